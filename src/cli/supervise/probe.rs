//! One question to a child over HTTP.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::task;

/// A child on this machine that is well answers within milliseconds; a busy machine takes longer.
const LIMIT: Duration = Duration::from_secs(2);

/// The largest answer: the metrics of thousands of Triggers.
const MAX_ANSWER: u64 = 16 << 20;

/// The status and the body of an answer from this machine's port.
///
/// # Errors
/// When there is no answer in time, or it is not HTTP.
pub async fn get(port: u16, path: &str) -> io::Result<(u16, String)> {
    ask(port, path, "*/*", LIMIT).await
}

/// As [`get`], for an answer of this content type that may take so long.
///
/// # Errors
/// As [`get`].
pub async fn ask(port: u16, path: &str, accept: &str, limit: Duration) -> io::Result<(u16, String)> {
    let asked = task::within(limit, async {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).await?;
        // HTTP/1.0: the end of the answer is the end of the connection.
        stream.write_all(format!("GET {path} HTTP/1.0\r\nAccept: {accept}\r\n\r\n").as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(MAX_ANSWER).read_to_end(&mut answer).await?;
        io::Result::Ok(answer)
    });
    let answer = asked.await.unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok((status, body.to_owned()))
}
