//! The client against our server, foreign ones and none.

use super::{PATIENCE, Table, serve, serve_routes};
use crate::grpc::ServingStatus;
use crate::grpc::client::{self, CheckError, Retry, Watched};
use futures::{Stream, StreamExt};
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic::transport::Endpoint;

#[tokio::test]
async fn the_client_tells_a_status_from_an_unknown_name_a_foreign_server_and_silence() {
    let served = serve(Table::new(&[("", ServingStatus::Serving), ("a", ServingStatus::Unknown)])).await;
    let channel = served.channel().await;
    let ask = |name| client::check(channel.clone(), name, PATIENCE);
    assert_eq!(ask("").await.unwrap(), ServingStatus::Serving);
    assert_eq!(ask("a").await.unwrap(), ServingStatus::Unknown);
    assert!(matches!(ask("b").await, Err(CheckError::UnknownService(name)) if name == "b"));

    let foreign = serve_routes(tonic::service::Routes::default(), CancellationToken::new()).await;
    let answer = client::check(foreign.channel().await, "", PATIENCE).await;
    assert!(matches!(answer, Err(CheckError::Unimplemented)), "{answer:?}");

    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = Endpoint::from_shared(format!("http://{}", silent.local_addr().unwrap())).unwrap();
    let short = Duration::from_millis(50);
    let answer = client::check(endpoint.connect_lazy(), "", short).await;
    assert!(matches!(answer, Err(CheckError::Deadline(deadline)) if deadline == short), "{answer:?}");

    drop(silent);
    let answer = client::check(endpoint.connect_lazy(), "", PATIENCE).await;
    assert!(
        matches!(&answer, Err(CheckError::Call(cause)) if cause.code() == Code::Unavailable),
        "{answer:?}"
    );
}

async fn item(watch: &mut (impl Stream<Item = Watched> + Unpin)) -> Option<Watched> {
    timeout(PATIENCE, watch.next()).await.expect("an item in time")
}

#[tokio::test]
async fn the_client_watches_again_after_an_end_and_hears_the_status_anew() {
    let table = Table::new(&[("a", ServingStatus::Serving)]);
    let served = serve(table.clone()).await;
    let retry = Retry { first: Duration::from_millis(5), most: Duration::from_millis(20) };
    let mut watch = Box::pin(client::watch(served.channel().await, "a", retry));
    assert!(matches!(item(&mut watch).await, Some(Watched::Status(ServingStatus::Serving))));
    table.set("a", None);
    assert!(matches!(item(&mut watch).await, Some(Watched::UnknownService)));
    served.draining.cancel();
    for _ in 0..3 {
        let lost = item(&mut watch).await;
        let Some(Watched::Lost { cause, retry_in }) = lost else { panic!("{lost:?}") };
        assert_eq!(cause.code(), Code::Ok, "the server ended it properly");
        assert!(retry_in <= Duration::from_millis(6), "a message received starts over: {retry_in:?}");
        assert!(matches!(item(&mut watch).await, Some(Watched::UnknownService)), "watched again");
    }
    served.closing.cancel();
    let mut waits = Vec::new();
    while waits.len() < 6 {
        match item(&mut watch).await {
            Some(Watched::Lost { retry_in, .. }) => waits.push(retry_in),
            Some(Watched::UnknownService) => waits.clear(),
            other => panic!("{other:?}"),
        }
    }
    assert!(waits[5] >= Duration::from_millis(16), "the wait grows while nobody answers: {waits:?}");
}

#[tokio::test]
async fn the_client_does_not_ask_a_server_without_the_protocol_again() {
    let foreign = serve_routes(tonic::service::Routes::default(), CancellationToken::new()).await;
    let mut watch = Box::pin(client::watch(foreign.channel().await, "", Retry::default()));
    assert!(matches!(item(&mut watch).await, Some(Watched::Unimplemented)));
    assert!(item(&mut watch).await.is_none());
}
