//! The state store services, over the store of a bus.
//!
//! An etag is the revision of the stored value, in decimal digits. Every call that changes several
//! keys changes all of them or none.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use prost::Message as _;
use tonic::{Request, Response, Status};

use super::expiry;
use super::instances::Instances;
use super::merge::merge;
use super::publish::state_ttl;
use super::question::{self, Rests};
use super::staged;
use super::status::{etag_invalid, etag_mismatch, rows_mismatch, status};
use crate::fault::{Fault, FaultKind};
use crate::flow::{Expect, Revision, Store, Write};
use crate::frame::{self, Question};
use crate::proto::dapr_components::state_options::StateConcurrency;
use crate::proto::dapr_components::state_store_server::StateStore;
use crate::proto::dapr_components::transactional_state_operation::Request as Operation;
use crate::proto::dapr_components::transactional_state_store_server::TransactionalStateStore;
use crate::proto::dapr_components::{
    BulkDeleteRequest, BulkDeleteResponse, BulkGetRequest, BulkGetResponse, BulkSetRequest, BulkSetResponse,
    BulkStateItem, DeleteRequest, DeleteResponse, Etag, FeaturesRequest, FeaturesResponse, GetRequest, GetResponse,
    InitRequest, InitResponse, PingRequest, PingResponse, SetRequest, SetResponse, StateOptions,
    TransactionalStateRequest, TransactionalStateResponse,
};
use crate::proto::penstock::StateValue;

const FEATURES: [&str; 3] = ["ETAG", "TRANSACTIONAL", "TTL"];

/// Before every key, so that nothing else in the store of a bus is ever met.
const PREFIX: &str = "dapr/";

/// What daprd hands on to those who ask for a value's metadata: when it is gone.
const EXPIRES: &str = "ttlExpireTime";

/// All Components of one kind, as daprd's state stores.
pub(super) struct State {
    instances: Arc<Instances>,
    rests: Rests,
}

/// A value that is there.
struct Found {
    value: StateValue,
    revision: Revision,
}

/// What a write finds under its key, when that decides what it expects.
enum Present {
    Nothing,
    /// Something that is worth nothing any more.
    Expired(Revision),
    Value,
}

impl State {
    pub(super) fn new(instances: Arc<Instances>) -> Self {
        Self { instances, rests: Rests::default() }
    }

    fn store<T>(&self, request: &Request<T>) -> Result<Arc<dyn Store>, Status> {
        self.instances.find(request)?.store().cloned()
    }

    fn now(&self) -> Timestamp {
        self.instances.clock().now()
    }

    async fn find(&self, store: &dyn Store, key: &str) -> Result<Option<Found>, Fault> {
        let Some(stored) = store.get(&name(key)).await? else { return Ok(None) };
        let value = StateValue::decode(stored.value).map_err(|error| {
            Fault::new(FaultKind::Malformed, "read a state value", "it is damaged").with_source(error)
        })?;
        Ok(Some(Found { value, revision: stored.revision }))
    }

    fn is_gone(&self, value: &StateValue) -> bool {
        expiry::is_over(value.expires, self.now())
    }

    async fn read(&self, store: &dyn Store, key: &str) -> Result<Option<Found>, Fault> {
        Ok(self.find(store, key).await?.filter(|found| !self.is_gone(&found.value)))
    }

    async fn present(&self, store: &dyn Store, key: &str) -> Result<Present, Fault> {
        Ok(match self.find(store, key).await? {
            None => Present::Nothing,
            Some(found) if self.is_gone(&found.value) => Present::Expired(found.revision),
            Some(_) => Present::Value,
        })
    }

    /// Adds what sets a value: the value, and the note of its end if it has one.
    async fn add_set(&self, store: &dyn Store, set: SetRequest, writes: &mut Vec<Write>) -> Result<(), Status> {
        let expect = match (revision(set.etag.as_ref())?, first_write(set.options.as_ref())) {
            (Some(revision), _) => Expect::Revision(revision),
            (None, false) => Expect::Anything,
            // The first write wins: nothing may be there, but for what is worth nothing any more.
            (None, true) => match self.present(store, &set.key).await.map_err(|fault| failed(&fault))? {
                Present::Nothing => Expect::Absent,
                Present::Expired(revision) => Expect::Revision(revision),
                Present::Value => return Err(etag_mismatch()),
            },
        };
        let ttl = state_ttl(&set.metadata).map_err(Status::invalid_argument)?;
        let expires = ttl.and_then(|ttl| self.now().checked_add(ttl).ok()).map_or(0, Timestamp::as_microsecond);
        let value = StateValue { value: set.value, content_type: set.content_type, expires };
        let key = name(&set.key);
        writes.extend((expires != 0).then(|| expiry::note(&key, expires)));
        writes.push(Write { key, value: Some(value.encode_to_vec().into()), expect });
        Ok(())
    }

    async fn change(&self, store: &dyn Store, writes: Vec<Write>) -> Result<(), Status> {
        let writes = merge(writes).ok_or_else(etag_mismatch)?;
        match store.write(writes).await {
            Ok(_) => Ok(()),
            Err(fault) if fault.kind() == FaultKind::Conflict => Err(etag_mismatch()),
            Err(fault) => Err(failed(&fault)),
        }
    }
}

#[tonic::async_trait]
impl StateStore for State {
    async fn init(&self, request: Request<InitRequest>) -> Result<Response<InitResponse>, Status> {
        let properties = request.get_ref().metadata.clone().unwrap_or_default().properties;
        self.instances.init(&request, properties).await?;
        self.instances.find(&request)?.keep_swept(self.instances.clock()).await;
        Ok(Response::new(InitResponse {}))
    }

    async fn features(&self, _: Request<FeaturesRequest>) -> Result<Response<FeaturesResponse>, Status> {
        Ok(Response::new(FeaturesResponse { features: FEATURES.map(str::to_owned).to_vec() }))
    }

    async fn get(&self, request: Request<GetRequest>) -> Result<Response<GetResponse>, Status> {
        if let Some(question) = Question::read(&request.get_ref().metadata).map_err(Status::invalid_argument)? {
            let (instance, prefix) = (self.instances.find(&request)?, name(&request.get_ref().key));
            let data = question::answer(&instance, &self.rests, question, &prefix, self.instances.clock()).await?;
            return Ok(Response::new(GetResponse { data: data.into(), ..GetResponse::default() }));
        }
        let store = self.store(&request)?;
        let found = self.read(store.as_ref(), &request.get_ref().key).await.map_err(|fault| failed(&fault))?;
        Ok(Response::new(found.map_or_else(GetResponse::default, |found| GetResponse {
            etag: Some(etag(found.revision)),
            metadata: metadata(&found.value),
            data: found.value.value,
            content_type: found.value.content_type,
        })))
    }

    async fn set(&self, request: Request<SetRequest>) -> Result<Response<SetResponse>, Status> {
        let store = self.store(&request)?;
        let mut writes = Vec::with_capacity(2);
        self.add_set(store.as_ref(), request.into_inner(), &mut writes).await?;
        self.change(store.as_ref(), writes).await?;
        Ok(Response::new(SetResponse {}))
    }

    async fn delete(&self, request: Request<DeleteRequest>) -> Result<Response<DeleteResponse>, Status> {
        let store = self.store(&request)?;
        let write = delete_write(request.get_ref())?;
        self.change(store.as_ref(), vec![write]).await?;
        Ok(Response::new(DeleteResponse {}))
    }

    async fn ping(&self, _: Request<PingRequest>) -> Result<Response<PingResponse>, Status> {
        Ok(Response::new(PingResponse {}))
    }

    async fn bulk_delete(&self, request: Request<BulkDeleteRequest>) -> Result<Response<BulkDeleteResponse>, Status> {
        let store = self.store(&request)?;
        let writes = request.get_ref().items.iter().map(delete_write).collect::<Result<Vec<_>, _>>()?;
        let expected = writes.len();
        match store.write(writes).await {
            Ok(_) => Ok(Response::new(BulkDeleteResponse {})),
            Err(fault) if fault.kind() == FaultKind::Conflict => Err(rows_mismatch(expected, 0)),
            Err(fault) => Err(failed(&fault)),
        }
    }

    async fn bulk_get(&self, request: Request<BulkGetRequest>) -> Result<Response<BulkGetResponse>, Status> {
        let store = self.store(&request)?;
        let mut items = Vec::with_capacity(request.get_ref().items.len());
        for GetRequest { key, .. } in request.into_inner().items {
            let read = self.read(store.as_ref(), &key).await;
            let item = BulkStateItem { key, ..BulkStateItem::default() };
            items.push(match read {
                Ok(None) => item,
                Ok(Some(found)) => BulkStateItem {
                    etag: Some(etag(found.revision)),
                    metadata: metadata(&found.value),
                    data: found.value.value,
                    content_type: found.value.content_type,
                    ..item
                },
                Err(fault) => BulkStateItem { error: failed(&fault).message().to_owned(), ..item },
            });
        }
        Ok(Response::new(BulkGetResponse { items }))
    }

    async fn bulk_set(&self, request: Request<BulkSetRequest>) -> Result<Response<BulkSetResponse>, Status> {
        let store = self.store(&request)?;
        let mut writes = Vec::with_capacity(request.get_ref().items.len());
        for set in request.into_inner().items {
            self.add_set(store.as_ref(), set, &mut writes).await?;
        }
        self.change(store.as_ref(), writes).await?;
        Ok(Response::new(BulkSetResponse {}))
    }
}

#[tonic::async_trait]
impl TransactionalStateStore for State {
    async fn transact(
        &self,
        request: Request<TransactionalStateRequest>,
    ) -> Result<Response<TransactionalStateResponse>, Status> {
        let store = self.store(&request)?;
        let mut writes = Vec::with_capacity(request.get_ref().operations.len());
        for operation in request.into_inner().operations {
            match operation.request {
                Some(Operation::Set(set)) => {
                    match frame::staged::parts(&set.metadata).map_err(Status::invalid_argument)? {
                        None => self.add_set(store.as_ref(), set, &mut writes).await?,
                        Some(parts) => writes.extend(staged::writes(store.as_ref(), &set.key, parts).await?),
                    }
                }
                Some(Operation::Delete(delete)) => writes.push(delete_write(&delete)?),
                None => return Err(Status::invalid_argument("an operation is neither set nor delete")),
            }
        }
        self.change(store.as_ref(), writes).await?;
        Ok(Response::new(TransactionalStateResponse {}))
    }
}

/// A key as it is in the store.
pub(super) fn name(key: &str) -> Bytes {
    format!("{PREFIX}{key}").into()
}

fn delete_write(delete: &DeleteRequest) -> Result<Write, Status> {
    let expect = revision(delete.etag.as_ref())?.map_or(Expect::Anything, Expect::Revision);
    Ok(Write { key: name(&delete.key), value: None, expect })
}

/// The revision that an etag names; an empty one names none.
fn revision(etag: Option<&Etag>) -> Result<Option<Revision>, Status> {
    match etag.map(|etag| etag.value.as_str()) {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(|number| Some(Revision(number))).map_err(|_| etag_invalid(text)),
    }
}

fn etag(Revision(number): Revision) -> Etag {
    Etag { value: number.to_string() }
}

fn first_write(options: Option<&StateOptions>) -> bool {
    options.is_some_and(|options| options.concurrency() == StateConcurrency::ConcurrencyFirstWrite)
}

fn metadata(value: &StateValue) -> BTreeMap<String, String> {
    let expires = (value.expires != 0).then(|| Timestamp::from_microsecond(value.expires).ok()).flatten();
    expires.map(|expires| (EXPIRES.to_owned(), expires.to_string())).into_iter().collect()
}

fn failed(fault: &Fault) -> Status {
    tracing::warn!(fault = fault.chain(), "a state store call failed");
    status(fault)
}
