//! `penstock display`: a small receiver that prints the events it is sent, for trying things.

use std::fmt::Write as _;
use std::io::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use clap::Args;
use http::{Request, StatusCode};
use hyper::body::Incoming;

use super::signals;
use crate::event::Event;
use crate::event::codec::http::{Message, read};
use crate::event::codec::json;
use crate::listen::{self, Answer, BodyLimits, Handler, Limits, Listener, read_body};

/// Prints the events it receives over HTTP.
#[derive(Args, Clone, Debug)]
#[command(after_help = "Examples:
  penstock display                      print what comes to port 9000, answer 200
  penstock display --port 9001 --answer 503
                                        be a sink that is down, to watch retries and dead letters")]
pub struct Options {
    /// The port to listen on; 0 takes a free one
    #[arg(long, short, default_value_t = 9000)]
    port: u16,

    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1", value_name = "ADDRESS")]
    bind: IpAddr,

    /// The status code of every answer
    #[arg(long, default_value_t = 200, value_name = "CODE", value_parser = clap::value_parser!(u16).range(200..600))]
    answer: u16,

    /// Print each event as one line of JSON
    #[arg(long)]
    json: bool,
}

/// A body larger than this is refused: what is printed for a person should fit a screen somehow.
const MAX_BODY: usize = 16 << 20;

/// Serves until a signal asks to stop.
///
/// # Errors
/// When the port cannot be opened.
pub async fn run(options: Options) -> anyhow::Result<()> {
    let limits = Limits { grace: Duration::from_secs(1), ..Limits::default() };
    let listener = Listener::bind(SocketAddr::new(options.bind, options.port), limits, None).await?;
    print(&format!("listening on http://{}\n", listener.local_addr()));
    let answer = StatusCode::from_u16(options.answer).context("the answer is no status code")?;
    let shutdown = signals::shutdown()?;
    listener.serve(Arc::new(Display { answer, json: options.json }), &shutdown).await?;
    Ok(())
}

struct Display {
    answer: StatusCode,
    json: bool,
}

impl Handler for Display {
    async fn handle(&self, request: Request<Incoming>, _: SocketAddr) -> Answer {
        let (head, body) = request.into_parts();
        let body = match read_body(body, BodyLimits { bytes: MAX_BODY, ..BodyLimits::default() }).await {
            Ok(body) => body,
            Err(fault) => return listen::text(listen::status(&fault), fault.message()),
        };
        match read(&head.headers, body.clone()) {
            Ok(Message::Event(event)) => self.show(head.uri.path(), &[event]),
            Ok(Message::Batch(events)) => self.show(head.uri.path(), &events),
            Ok(Message::Opaque) => print(&format!("{} {}: no CloudEvent\n{}\n", head.method, head.uri, lossy(&body))),
            Err(error) => {
                print(&format!("{} {}: {error}\n", head.method, head.uri));
                return listen::text(StatusCode::BAD_REQUEST, &error.to_string());
            }
        }
        listen::text(self.answer, "")
    }
}

impl Display {
    fn show(&self, path: &str, events: &[Event]) {
        for event in events {
            print(&if self.json { line(event) } else { block(path, event) });
        }
    }
}

/// One line of JSON, the `CloudEvents` JSON format.
fn line(event: &Event) -> String {
    let mut out = Vec::new();
    json::write(event, &mut out);
    out.push(b'\n');
    lossy(&out)
}

/// Attributes one a line, then the data.
fn block(path: &str, event: &Event) -> String {
    let mut out = format!("─── {path}\n");
    let mut row = |name: &str, value: &str| {
        // Writing to a String cannot fail.
        writeln!(out, "  {name:<16} {value}").unwrap_or_default();
    };
    row("type", event.ty());
    row("source", event.source());
    row("id", event.id());
    for (name, value) in event.attributes() {
        row(name, &value.text());
    }
    if let Some(data) = event.data() {
        let bytes = data.bytes();
        let text = String::from_utf8_lossy(bytes);
        let readable = if json::is_value(&text) { indented(&text) } else { text.into_owned() };
        for text in readable.lines() {
            writeln!(out, "  {text}").unwrap_or_default();
        }
    }
    out
}

/// JSON with a member a line. Only white space between values changes: numbers and texts stay as
/// they were sent.
fn indented(json: &str) -> String {
    let mut out = String::with_capacity(json.len() * 2);
    let (mut depth, mut text, mut escaped) = (0_usize, false, false);
    let mut all = json.chars().peekable();
    while let Some(c) = all.next() {
        if text {
            out.push(c);
            (text, escaped) = (escaped || c != '"', !escaped && c == '\\');
            continue;
        }
        match c {
            c if c.is_ascii_whitespace() => {}
            '"' => {
                out.push(c);
                text = true;
            }
            '{' | '[' => {
                out.push(c);
                depth += 1;
                while all.next_if(char::is_ascii_whitespace).is_some() {}
                if let Some(close) = all.next_if(|c| matches!(c, '}' | ']')) {
                    out.push(close);
                    depth -= 1;
                } else {
                    new_line(&mut out, depth);
                }
            }
            '}' | ']' => {
                depth -= 1;
                new_line(&mut out, depth);
                out.push(c);
            }
            ',' => {
                out.push(c);
                new_line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            other => out.push(other),
        }
    }
    out
}

fn new_line(out: &mut String, depth: usize) {
    out.push('\n');
    out.extend(std::iter::repeat_n("  ", depth));
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// Prints at once, so that a pipe sees it; a reader that went away is no reason to stop answering.
fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    if out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_err() {
        tracing::debug!("nobody reads standard output any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_indented_and_its_values_stay_as_they_were_sent() {
        let check = |json: &str, expected: &str| assert_eq!(indented(json), expected);
        check(
            "{\"a\":1.50,\"b\":[ 1e3 ,{}],\"c\":[ ]}",
            "{\n  \"a\": 1.50,\n  \"b\": [\n    1e3,\n    {}\n  ],\n  \"c\": []\n}",
        );
        check("\"a , \\\" {b}\"", "\"a , \\\" {b}\"");
        check(" 12345678901234567890 ", "12345678901234567890");
    }
}
