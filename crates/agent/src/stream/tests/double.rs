//! A monitor for tests, spoken to over real sockets: a double. The test decides what it answers; what it hears is held
//! against the protocol by `Understanding`.

use crate::understanding::Understanding;
use farol_shutdown::listener::{Limits, Tls, serve};
use farol_shutdown::{Budgets, Supervisor};
use farol_wire::proto::fleet_server::{Fleet, FleetServer};
use farol_wire::proto::monitor_message::Kind;
use farol_wire::proto::{self, AgentMessage, MonitorMessage, agent_message};
use futures::stream::BoxStream;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_stream::wrappers::{ReceiverStream, TcpListenerStream};
use tonic::{Request, Response, Status, Streaming};

/// Nothing here takes longer.
pub(super) const SOON: Duration = Duration::from_secs(10);

/// The server.
pub(super) struct Double {
    pub(super) address: SocketAddr,
    arrivals: mpsc::Receiver<Arrival>,
    _server: JoinSet<()>,
}

/// One stream, from its Hello on.
pub(super) struct Arrival {
    pub(super) hello: proto::Hello,
    pub(super) heard: Understanding,
    incoming: Streaming<AgentMessage>,
    answers: mpsc::Sender<Result<MonitorMessage, Status>>,
}

struct Service(mpsc::Sender<Arrival>);

#[tonic::async_trait]
impl Fleet for Service {
    type StreamStream = BoxStream<'static, Result<MonitorMessage, Status>>;

    async fn stream(
        &self,
        request: Request<Streaming<AgentMessage>>,
    ) -> Result<Response<Self::StreamStream>, Status> {
        let (answers, said) = mpsc::channel(64);
        let mut incoming = request.into_inner();
        let Some(agent_message::Kind::Hello(hello)) = incoming.message().await?.and_then(|m| m.kind) else {
            return Err(Status::invalid_argument("the first message must be Hello"));
        };
        let arrival = Arrival { hello, heard: Understanding::new(), incoming, answers };
        self.0.send(arrival).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(said))))
    }
}

impl Double {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, arrivals) = mpsc::channel(8);
        let mut server = JoinSet::new();
        let service = FleetServer::new(Service(arrived)).max_decoding_message_size(1 << 20);
        server.spawn(async move {
            let incoming = TcpListenerStream::new(listener);
            tonic::transport::Server::builder()
                .initial_stream_window_size(64 << 10)
                .initial_connection_window_size(1 << 20)
                .add_service(service)
                .serve_with_incoming(incoming)
                .await
                .unwrap();
        });
        Self { address, arrivals, _server: server }
    }

    /// Behind the guarded listener, as a monitor's is.
    pub(super) async fn start_with_tls(tls: Tls) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (arrived, arrivals) = mpsc::channel(8);
        let routes = tonic::service::Routes::new(FleetServer::new(Service(arrived)));
        let router = routes.prepare().into_axum_router();
        let supervisor = Supervisor::new(Budgets::default());
        let served = serve(listener, router, Limits::default(), Some(tls), &supervisor.handle(), "double");
        let mut server = JoinSet::new();
        server.spawn(async move {
            tokio::join!(served, supervisor.run());
        });
        Self { address, arrivals, _server: server }
    }

    /// The next stream, before it is welcomed.
    pub(super) async fn arrival(&mut self) -> Arrival {
        timeout(SOON, self.arrivals.recv()).await.expect("an agent arrives soon").unwrap()
    }

    /// Whether one arrives within this time.
    pub(super) async fn arrives_within(&mut self, time: Duration) -> bool {
        timeout(time, self.arrivals.recv()).await.is_ok()
    }

    /// The next stream, welcomed.
    pub(super) async fn stream(&mut self, resume: u64) -> Arrival {
        let mut arrival = self.arrival().await;
        arrival.welcome(resume, "store-a").await;
        arrival
    }
}

impl Arrival {
    pub(super) async fn say(&self, kind: Kind) {
        self.answers.send(Ok(MonitorMessage { kind: Some(kind) })).await.expect("the agent listens");
    }

    pub(super) async fn welcome(&mut self, resume: u64, store: &str) {
        self.welcome_with(resume, store, 200, None).await;
    }

    pub(super) async fn welcome_with(
        &mut self,
        resume: u64,
        store: &str,
        interval_ms: u32,
        limits: Option<proto::Limits>,
    ) {
        let boot = self.hello.boot;
        self.say(Kind::Welcome(proto::Welcome {
            protocol: 1,
            store_id: store.to_owned(),
            resume: vec![proto::Ack { boot, seq: resume }],
            limits,
            interval_ms,
        }))
        .await;
    }

    pub(super) async fn ack(&self, seq: u64) {
        self.say(Kind::Ack(proto::Ack { boot: self.hello.boot, seq })).await;
    }

    /// Ends the stream with this status.
    pub(super) async fn fail(self, status: Status) {
        self.answers.send(Err(status)).await.expect("the agent listens");
    }

    /// Hears one message; false at the end of the agent's half.
    pub(super) async fn hear(&mut self) -> bool {
        let message = timeout(SOON, self.incoming.message()).await.expect("the agent speaks soon");
        match message.expect("the agent's half is whole") {
            Some(message) => {
                self.heard.take(message.kind.unwrap());
                true
            }
            None => false,
        }
    }

    /// Hears until something is understood.
    pub(super) async fn until(&mut self, mut done: impl FnMut(&Understanding) -> bool) {
        while !done(&self.heard) {
            assert!(self.hear().await, "the agent ended its half after {}", self.heard.order);
        }
    }

    /// Hears to the end.
    pub(super) async fn hear_all(&mut self) {
        while self.hear().await {}
    }
}
