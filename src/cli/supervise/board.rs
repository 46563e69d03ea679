//! Who is ready, for `/readyz`; one `/metrics` for all; and what is asked of one of them: the routers tell of
//! events, the component process has the dead letters.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::fleet::Stage;
use super::{probe, tales};
use crate::cli::dlq::{self, Index};
use crate::cli::ledger;
use crate::listen::{self, Answer, Handler, Limits, Listener};
use crate::task::Group;
use crate::telemetry;

/// What is known of the children.
#[derive(Debug)]
pub struct Board {
    children: Mutex<BTreeMap<String, Child>>,
    letters: Index,
}

#[derive(Clone, Copy, Debug)]
struct Child {
    stage: Stage,
    ready: bool,
    restarts: u64,
    /// The port that answers for it.
    port: u16,
}

impl Board {
    /// Nobody was started yet. The index says where the dead letters are on the buses.
    pub fn new(letters: Index) -> Self {
        Self { children: Mutex::default(), letters }
    }

    /// A child was started, for the first time or again.
    pub fn started(&self, name: &str, stage: Stage, port: u16) {
        let mut children = self.lock();
        let restarts = children.get(name).map_or(0, |child| child.restarts + 1);
        children.insert(name.to_owned(), Child { stage, ready: false, restarts, port });
    }

    pub fn set_ready(&self, name: &str, ready: bool) {
        if let Some(child) = self.lock().get_mut(name) {
            child.ready = ready;
        }
    }

    /// Opens the admin port and serves it until the group is told to stop.
    ///
    /// # Errors
    /// When the port cannot be had.
    pub async fn serve(self: &Arc<Self>, address: SocketAddr, group: &mut Group) -> anyhow::Result<()> {
        let listener = Listener::bind(address, Limits::default(), None).await;
        let listener = listener.context("the admin port (--admin)")?;
        tracing::info!(address = %listener.local_addr(), "metrics and health are served");
        let (board, shutdown) = (self.clone(), group.shutdown().clone());
        group.spawn(async move { listener.serve(board, &shutdown).await });
        Ok(())
    }

    fn ready(&self) -> Answer {
        let children = self.lock();
        let missing: Vec<&str> =
            children.iter().filter(|(_, child)| !child.ready).map(|(name, _)| name.as_str()).collect();
        if children.is_empty() || !missing.is_empty() {
            let reason = format!("starting or stopping: {}", missing.join(", "));
            return listen::text(StatusCode::SERVICE_UNAVAILABLE, &reason);
        }
        listen::text(StatusCode::OK, "ok")
    }

    async fn metrics(&self) -> Answer {
        let children: Vec<(String, Child)> = self.lock().iter().map(|(name, child)| (name.clone(), *child)).collect();
        let mut merged = Families::default();
        // daprd's metrics are off.
        for (name, child) in children.iter().filter(|(_, child)| child.ready && child.stage != Stage::Daprd) {
            // One that is going away right now is missing from this answer.
            if let Ok((200, text)) = probe::get(child.port, "/metrics").await {
                merged.add(name, &text);
            }
        }
        let mut restarts = String::from(
            "# HELP penstock_process_restarts How often a process was started again.\n\
             # TYPE penstock_process_restarts counter\n",
        );
        for (name, child) in &children {
            // Writing to a String cannot fail.
            writeln!(restarts, "penstock_process_restarts_total{{process={name:?}}} {}", child.restarts)
                .unwrap_or_default();
        }
        let mut answer = Answer::new(Full::new(Bytes::from(format!("{}{restarts}# EOF\n", merged.text()))));
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(telemetry::CONTENT_TYPE));
        answer
    }

    /// The ports of those of a stage who are ready.
    fn ports(&self, stage: Stage) -> Vec<u16> {
        let children = self.lock();
        children.values().filter(|child| child.ready && child.stage == stage).map(|child| child.port).collect()
    }

    async fn explain(&self, request: &Request<Incoming>) -> Answer {
        if !self.lock().values().any(|child| child.stage == Stage::Routers) {
            return listen::text(StatusCode::NOT_FOUND, "no journal is kept: nothing is routed");
        }
        tales::tell(&self.ports(Stage::Routers), request.uri().path(), ledger::wants_json(request)).await
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Child>> {
        self.children.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handler for Board {
    async fn handle(&self, request: Request<Incoming>, peer: SocketAddr) -> Answer {
        if request.uri().path() == dlq::PATH {
            let component = self.ports(Stage::Components).first().copied();
            return dlq::pass_on(&self.letters, component, request, peer).await;
        }
        if request.method() != Method::GET && request.method() != Method::HEAD {
            return listen::text(StatusCode::METHOD_NOT_ALLOWED, "only GET");
        }
        match request.uri().path() {
            "/metrics" => self.metrics().await,
            // What is stuck is for the children to say; this process only starts them.
            "/livez" => listen::text(StatusCode::OK, "ok"),
            "/readyz" => self.ready(),
            path if ledger::is_path(path) => self.explain(&request).await,
            _ => listen::text(StatusCode::NOT_FOUND, "known paths: /metrics /livez /readyz /explain /explain/ID"),
        }
    }
}

/// Metrics of several processes as one text, in which each family stands once.
#[derive(Debug, Default)]
struct Families(BTreeMap<String, Family>);

#[derive(Debug, Default)]
struct Family {
    about: String,
    samples: String,
}

impl Families {
    /// Adds the metrics of one process: its samples get the label `process`.
    fn add(&mut self, process: &str, text: &str) {
        let mut name = String::new();
        for line in text.lines() {
            if let Some(about) = line.strip_prefix("# ") {
                let Some((_, rest)) = about.split_once(' ') else { continue };
                rest.split(' ').next().unwrap_or_default().clone_into(&mut name);
                let family = self.0.entry(name.clone()).or_default();
                // All processes say the same of a family.
                if !family.about.contains(line) {
                    family.about.push_str(line);
                    family.about.push('\n');
                }
                continue;
            }
            let samples = &mut self.0.entry(name.clone()).or_default().samples;
            let labelled = match line.find(['{', ' ']) {
                Some(at) if line[at..].starts_with("{}") => {
                    format!("{}{{process={process:?}}}{}", &line[..at], &line[at + 2..])
                }
                Some(at) if line[at..].starts_with('{') => {
                    format!("{}{{process={process:?},{}", &line[..at], &line[at + 1..])
                }
                Some(at) => format!("{}{{process={process:?}}}{}", &line[..at], &line[at..]),
                None => continue,
            };
            samples.push_str(&labelled);
            samples.push('\n');
        }
    }

    fn text(&self) -> String {
        self.0.values().filter(|family| !family.samples.is_empty()).fold(String::new(), |mut text, family| {
            text.push_str(&family.about);
            text.push_str(&family.samples);
            text
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_family_of_metrics_stands_once() {
        let mut families = Families::default();
        let of = |samples: &str| format!("# HELP a_b Words.\n# TYPE a_b counter\n{samples}# EOF\n");
        families.add("intake", &of("a_b_total{x=\"1\"} 5\na_b_total 6\n"));
        families.add("router", &of("a_b_total{x=\"2\"} 7\n"));
        families.add("other", &of(""));
        let expected = "# HELP a_b Words.\n# TYPE a_b counter\na_b_total{process=\"intake\",x=\"1\"} 5\n\
                        a_b_total{process=\"intake\"} 6\na_b_total{process=\"router\",x=\"2\"} 7\n";
        assert_eq!(families.text(), expected);
    }
}
