//! What a bus behind daprd is asked, by way of the state store Component that stands beside it.

use jiff::Timestamp;
use prost::Message as _;
use tonic::{Response, Status};

use super::connection::Connection;
use crate::fault::{Fault, FaultKind};
use crate::flow::{End, Group, Position, Topic};
use crate::frame::{Question, at};
use crate::proto::dapr_common::state_options::StateConsistency;
use crate::proto::dapr_runtime::GetStateRequest;
use crate::proto::penstock::answer::Answer as Content;
use crate::proto::penstock::{About, Answer, Page, Spot};

/// The key of a call that asks about no key.
const NO_KEY: &str = "penstock";

/// Asks one Component.
#[derive(Clone)]
pub(super) struct Questions {
    pub connection: Connection,
    pub component: String,
}

impl Questions {
    /// What the bus can do.
    ///
    /// # Errors
    /// `Unsupported` when the Component is none of ours, or older than the question.
    pub async fn about(&self) -> Result<About, Fault> {
        match self.ask(NO_KEY, &Question::About).await? {
            Content::About(about) => Ok(about),
            _ => Err(self.beside_the_point()),
        }
    }

    pub async fn end(&self, topic: &Topic) -> Result<End, Fault> {
        match self.ask(NO_KEY, &Question::End(topic.clone())).await? {
            Content::End(end) => {
                let time = Timestamp::from_microsecond(end.time).map_err(|_| self.beside_the_point())?;
                Ok(End { position: place(end.position.as_ref()), time })
            }
            _ => Err(self.beside_the_point()),
        }
    }

    pub async fn begin(&self, topic: &Topic) -> Result<Option<Position>, Fault> {
        match self.ask(NO_KEY, &Question::Begin(topic.clone())).await? {
            Content::Begin(begin) => Ok(place(begin.position.as_ref())),
            _ => Err(self.beside_the_point()),
        }
    }

    pub async fn behind(&self, topic: &Topic, after: Option<Position>) -> Result<u64, Fault> {
        match self.ask(NO_KEY, &Question::Behind(topic.clone(), after)).await? {
            Content::Count(count) => count.events.ok_or_else(|| self.beside_the_point()),
            _ => Err(self.beside_the_point()),
        }
    }

    /// # Errors
    /// `NotFound` when the topic has no such group.
    pub async fn lag(&self, topic: &Topic, group: &Group) -> Result<u64, Fault> {
        let unknown = || Fault::new(FaultKind::NotFound, "ask for the lag", "the topic has no such consumer group");
        match self.ask(NO_KEY, &Question::Lag(topic.clone(), group.clone())).await? {
            Content::Count(count) => count.events.ok_or_else(unknown),
            _ => Err(self.beside_the_point()),
        }
    }

    /// Values whose keys begin with `prefix`, from the beginning or going on with a list.
    pub async fn page(&self, prefix: &str, question: &Question) -> Result<Page, Fault> {
        match self.ask(prefix, question).await? {
            Content::Page(page) => Ok(page),
            _ => Err(self.beside_the_point()),
        }
    }

    async fn ask(&self, key: &str, question: &Question) -> Result<Content, Fault> {
        const OPERATION: &str = "ask a component";
        let request = GetStateRequest {
            store_name: self.component.clone(),
            key: key.to_owned(),
            consistency: StateConsistency::ConsistencyStrong.into(),
            metadata: question.metadata(),
        };
        let mut client = self.connection.client();
        let answer = call(&self.connection, OPERATION, client.get_state(request)).await;
        let answer = answer.map_err(|fault| self.about_it(fault))?;
        let answer = Answer::decode(answer.data).ok().and_then(|answer| answer.answer);
        answer.ok_or_else(|| {
            let message = "it does not know the question: it is no Component of Penstock, or an older one";
            self.about_it(Fault::new(FaultKind::Unsupported, OPERATION, message))
        })
    }

    fn beside_the_point(&self) -> Fault {
        self.about_it(Fault::new(FaultKind::Malformed, "ask a component", "it answers something else"))
    }

    fn about_it(&self, fault: Fault) -> Fault {
        fault.with_context("store", self.component.as_str())
    }
}

/// Calls a state store. daprd knew the Component when this process began: one that it does not find now is about to be
/// loaded.
pub(super) async fn call<T>(
    connection: &Connection,
    operation: &'static str,
    answer: impl Future<Output = Result<Response<T>, Status>>,
) -> Result<T, Fault> {
    connection.call(operation, answer).await.map_err(|fault| match fault.kind() {
        FaultKind::NotFound => {
            Fault::new(FaultKind::Unavailable, "reach a state store", "daprd has not loaded it yet").with_source(fault)
        }
        _ => fault,
    })
}

fn place(spot: Option<&Spot>) -> Option<Position> {
    spot.map(at)
}
