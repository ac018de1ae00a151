//! One port serves HTTP/1.1 and gRPC together, streaming included.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::pin::Pin;
use std::task::{Context, Poll};

use farol_shutdown::listener::{Limits, Peer};
use futures::future::BoxFuture;
use futures::{Stream, StreamExt};
use tonic::server::{NamedService, StreamingService};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;
use tower::Service;

use crate::rig::{Rig, router, short};

type Codec = ProstCodec<String, String>;
const METHOD: &str = "/test.v1.Echo/Stream";

/// A bidirectional gRPC method, as generated code serves it.
#[derive(Clone)]
struct Echo;

impl NamedService for Echo {
    const NAME: &'static str = "test.v1.Echo";
}

impl Service<http::Request<tonic::body::Body>> for Echo {
    type Response = http::Response<tonic::body::Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<tonic::body::Body>) -> Self::Future {
        Box::pin(
            async move { Ok(tonic::server::Grpc::new(Codec::default()).streaming(EachLine, request).await) },
        )
    }
}

struct EachLine;

impl StreamingService<String> for EachLine {
    type Response = String;
    type ResponseStream = Pin<Box<dyn Stream<Item = Result<String, Status>> + Send>>;
    type Future = Ready<Result<Response<Self::ResponseStream>, Status>>;

    fn call(&mut self, request: Request<Streaming<String>>) -> Self::Future {
        let peer = request.extensions().get::<Peer>().unwrap().addr.ip();
        let lines = request.into_inner();
        let echo = lines.map(move |line| line.map(|line| format!("{line} from {peer}")));
        ready(Ok(Response::new(Box::pin(echo) as Self::ResponseStream)))
    }
}

#[tokio::test]
async fn one_port_serves_pages_and_a_bidirectional_stream() {
    let grpc = tonic::service::Routes::new(Echo).into_axum_router();
    let rig = Rig::serving(router().merge(without_fallback(grpc)), short(), Limits::default(), None);

    let page = reqwest::get(rig.url("/")).await.unwrap();
    assert_eq!(page.version(), http::Version::HTTP_11);
    assert_eq!(page.text().await.unwrap(), "hello");
    let client = reqwest::Client::builder().http2_prior_knowledge().build().unwrap();
    let upload = client.post(rig.url("/upload")).body(vec![7; 3 << 20 >> 1]).send().await.unwrap();
    assert_eq!(upload.version(), http::Version::HTTP_2);
    assert_eq!(upload.text().await.unwrap(), (3 << 20 >> 1).to_string(), "more than the windows hold");

    let channel = tonic::transport::Endpoint::new(rig.url("")).unwrap().connect().await.unwrap();
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await.unwrap();
    let (say, said) = tokio::sync::mpsc::channel(1);
    let said = Request::new(tokio_stream::wrappers::ReceiverStream::new(said));
    let path = http::uri::PathAndQuery::from_static(METHOD);
    let mut answers = grpc.streaming(said, path, Codec::default()).await.unwrap().into_inner();
    for index in 0..100 {
        say.send(format!("line {index}")).await.unwrap();
        let answer = answers.next().await.unwrap().unwrap();
        assert_eq!(answer, format!("line {index} from 127.0.0.1"), "each way, one by one");
    }
    // The client's end of the stream ends the server's: nothing is left to cut.
    drop(say);
    assert!(answers.next().await.is_none());
    let (report, _) = rig.stop().await;
    assert_eq!((report.code, report.connections_cut), (0, 0));
}

/// A router for pages has its own fallback.
fn without_fallback(router: axum::Router) -> axum::Router {
    router.reset_fallback()
}
