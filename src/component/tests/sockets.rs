use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use tokio::net::{UnixListener, UnixStream};
use tonic_reflection::pb::v1alpha::ServerReflectionRequest;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;

use super::super::socket::Socket;
use super::*;
use crate::fault::FaultKind;

fn kind(name: &'static str, keeps_state: bool) -> Kind {
    Kind { name, keeps_state, factory: Arc::new(Ready { made: StdMutex::default(), asked: StdMutex::default() }) }
}

/// The services that the socket of a kind tells of, as daprd asks.
async fn reflected(path: &Path) -> Vec<String> {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_: http::Uri| {
        let path = path.clone();
        async move { UnixStream::connect(path).await.map(TokioIo::new) }
    });
    let channel = Endpoint::from_static("http://component").connect_with_connector(connector).await.unwrap();
    let ask = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::ListServices(String::new())),
    };
    let mut client = ServerReflectionClient::new(channel);
    let mut answers = client.server_reflection_info(tokio_stream::once(ask)).await.unwrap().into_inner();
    match answers.message().await.unwrap().unwrap().message_response.unwrap() {
        MessageResponse::ListServicesResponse(list) => list.service.into_iter().map(|service| service.name).collect(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn every_kind_has_a_socket_that_tells_its_services_and_is_gone_with_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let sockets = folder.path().join("made").join("here");
    let kinds = vec![kind("eventbus.test", true), kind("eventsource.test", false)];
    let server = Server::bind(&sockets, kinds, Clock::system(), Arc::new(Metrics::new())).await.unwrap();
    let bus = sockets.join("eventbus.test.sock");
    assert_eq!(std::fs::metadata(&bus).unwrap().permissions().mode() & 0o777, 0o777);
    let shutdown = Shutdown::new();
    let mut group = crate::task::Group::new(&Shutdown::new());
    group.spawn(server.run(shutdown.clone()));
    let dapr = |name: &str| format!("dapr.proto.components.v1.{name}");
    let services = reflected(&bus).await;
    for service in ["PubSub", "StateStore", "TransactionalStateStore"] {
        assert!(services.contains(&dapr(service)), "{services:?}");
    }
    let services = reflected(&sockets.join("eventsource.test.sock")).await;
    assert!(services.contains(&dapr("PubSub")) && !services.contains(&dapr("StateStore")), "{services:?}");
    shutdown.request();
    group.join().await.unwrap();
    assert_eq!(std::fs::read_dir(&sockets).unwrap().count(), 0);
}

#[tokio::test]
async fn a_dead_socket_is_replaced_and_a_live_one_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("k.sock");
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "the file outlives its listener");
    let socket = Socket::bind(folder.path(), "k").await.unwrap();
    let fault = Socket::bind(folder.path(), "k").await.unwrap_err();
    assert_eq!(fault.kind(), FaultKind::Conflict);
    UnixStream::connect(&path).await.unwrap();
    std::fs::remove_file(&path).unwrap();
    let _other = UnixListener::bind(&path).unwrap();
    drop(socket);
    assert!(path.exists(), "another's socket is not removed");
}
