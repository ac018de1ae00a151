//! A double of a Kubernetes API server over TLS: the scale sub-resource of Deployments and StatefulSets as its published
//! contract has it (`autoscaling/v1` Scale, merge patches, `resourceVersion` and `uid` as preconditions, a zero left
//! out), with bearer tokens and the troubles that a test asks for. It runs no pods.

use crate::certificates::{Authority, Days};
use anyhow::Result;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Response, StatusCode, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

/// What befalls the next patch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Just before it the object changes, but not its replicas.
    Touched,
    /// Just before it someone else sets the replicas.
    ScaledByOthers(u32),
    /// It is done, and no answer comes.
    NoAnswer,
    /// It is answered so and not done; a redirect leads to this path of the server itself.
    Answered(u16, &'static str),
    /// It is done otherwise, as by an admission webhook.
    Becomes(u32),
}

struct Object {
    replicas: u32,
    uid: u32,
    version: u32,
}

struct Cluster {
    /// By the path of their scale.
    objects: BTreeMap<String, Object>,
    token: String,
    troubles: VecDeque<Trouble>,
    requests: Vec<String>,
    /// The last uid and version that were given.
    given: u32,
}

/// A running server.
pub struct Kubernetes {
    address: SocketAddr,
    authority: Authority,
    cluster: Arc<Mutex<Cluster>>,
    /// Whether reads wait.
    held: watch::Sender<bool>,
    _running: JoinSet<()>,
}

type Shared = (Arc<Mutex<Cluster>>, watch::Receiver<bool>);

impl Kubernetes {
    /// An empty cluster that takes this token.
    ///
    /// # Errors
    /// There is no free port.
    pub async fn start(token: &str) -> Result<Self> {
        let authority = Authority::new()?;
        let tls = authority.sign(&["127.0.0.1"], Days::default())?.server(None, &[b"h2", b"http/1.1"])?;
        let cluster = Arc::new(Mutex::new(Cluster {
            objects: BTreeMap::new(),
            token: token.to_owned(),
            troubles: VecDeque::new(),
            requests: Vec::new(),
            given: 100,
        }));
        let held = watch::Sender::new(false);
        let router = Router::new().fallback(answer).with_state((Arc::clone(&cluster), held.subscribe()));
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut running = JoinSet::new();
        running.spawn(serve(listener, TlsAcceptor::from(Arc::new(tls)), router));
        Ok(Self { address, authority, cluster, held, _running: running })
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Whom to trust, PEM.
    #[must_use]
    pub fn authority(&self) -> String {
        self.authority.pem()
    }

    /// The token that is taken from now on.
    pub fn token(&self, token: &str) {
        token.clone_into(&mut self.cluster.lock().token);
    }

    /// Makes an object (`deployments/shop/payments`), or another one of that name.
    pub fn make(&self, object: &str, replicas: u32) {
        let mut cluster = self.cluster.lock();
        cluster.given += 2;
        let made = Object { replicas, uid: cluster.given, version: cluster.given + 1 };
        cluster.objects.insert(path(object), made);
    }

    /// Someone scales it.
    pub fn scale(&self, object: &str, replicas: u32) {
        let mut cluster = self.cluster.lock();
        if let Some(object) = cluster.objects.get_mut(&path(object)) {
            object.replicas = replicas;
            object.version += 1;
        }
    }

    /// How many there are to be.
    #[must_use]
    pub fn replicas(&self, object: &str) -> Option<u32> {
        self.cluster.lock().objects.get(&path(object)).map(|object| object.replicas)
    }

    /// Befalls the next patches, one each.
    pub fn troubles(&self, troubles: impl IntoIterator<Item = Trouble>) {
        self.cluster.lock().troubles.extend(troubles);
    }

    /// Reads wait, or wait no more.
    pub fn hold_reads(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// The methods and paths of all requests.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.cluster.lock().requests.clone()
    }

    /// How many requests of this method there were.
    #[must_use]
    pub fn count(&self, method: &str) -> usize {
        self.requests().iter().filter(|request| request.starts_with(method)).count()
    }
}

fn path(object: &str) -> String {
    let mut parts = object.split('/');
    let (kind, namespace, name) = (parts.next(), parts.next(), parts.next());
    let part = Option::unwrap_or_default;
    format!("/apis/apps/v1/namespaces/{}/{}/{}/scale", part(namespace), part(kind), part(name))
}

async fn serve(listener: TcpListener, tls: TlsAcceptor, router: Router) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let (tls, router) = (tls.clone(), router.clone());
        connections.spawn(async move {
            let Ok(stream) = tls.accept(stream).await else { return };
            let service = TowerToHyperService::new(router);
            // How a connection ends is the client's business.
            drop(Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await);
        });
        while connections.try_join_next().is_some() {}
    }
}

async fn answer(
    State((cluster, mut held)): State<Shared>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response<Body> {
    cluster.lock().requests.push(format!("{method} {}", uri.path()));
    if method == Method::GET {
        drop(held.wait_for(|held| !held).await);
    }
    let said = cluster.lock().answer(&method, uri.path(), &headers, &body);
    match said {
        Some((status, location, said)) => {
            let mut response = Response::new(Body::from(said.to_string()));
            *response.status_mut() = status;
            if let Some(Ok(location)) = location.map(|path| path.parse()) {
                response.headers_mut().insert("location", location);
            }
            response
        }
        None => std::future::pending().await,
    }
}

type Said = Option<(StatusCode, Option<&'static str>, Value)>;

fn refuse(status: StatusCode, message: &str) -> Said {
    let body = json!({"kind": "Status", "status": "Failure", "message": message, "code": status.as_u16()});
    Some((status, None, body))
}

impl Cluster {
    fn answer(&mut self, method: &Method, path: &str, headers: &HeaderMap, body: &[u8]) -> Said {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        if header("authorization") != Some(&format!("Bearer {}", self.token)) {
            return refuse(StatusCode::UNAUTHORIZED, "Unauthorized");
        }
        let Some(object) = self.objects.get_mut(path) else {
            return refuse(StatusCode::NOT_FOUND, "the object was not found");
        };
        if method == Method::GET {
            return Some((StatusCode::OK, None, object.scale(path)));
        }
        if header("content-type") != Some("application/merge-patch+json") {
            return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is of a type that is not known");
        }
        let trouble = self.troubles.pop_front();
        match trouble {
            Some(Trouble::Touched) => object.version += 1,
            Some(Trouble::ScaledByOthers(replicas)) => {
                object.version += 1;
                object.replicas = replicas;
            }
            Some(Trouble::Answered(status, location)) => {
                let status = StatusCode::from_u16(status).unwrap_or(StatusCode::IM_A_TEAPOT);
                return Some((status, Some(location), json!({"kind": "Status", "message": "so it is"})));
            }
            _ => {}
        }
        let said = object.patch(path, body);
        match trouble {
            Some(Trouble::NoAnswer) => None,
            Some(Trouble::Becomes(replicas)) => {
                object.replicas = replicas;
                Some((StatusCode::OK, None, object.scale(path)))
            }
            _ => said,
        }
    }
}

impl Object {
    fn scale(&self, path: &str) -> Value {
        let parts: Vec<&str> = path.split('/').collect();
        // `omitempty`: a zero is left out.
        let spec = if self.replicas == 0 { json!({}) } else { json!({"replicas": self.replicas}) };
        json!({
            "kind": "Scale",
            "apiVersion": "autoscaling/v1",
            "metadata": {
                "name": parts[7], "namespace": parts[5],
                "uid": format!("uid-{}", self.uid), "resourceVersion": self.version.to_string(),
            },
            "spec": spec,
            "status": {"replicas": self.replicas, "selector": "app=x"},
        })
    }

    fn patch(&mut self, path: &str, body: &[u8]) -> Said {
        let Ok(patch) = serde_json::from_slice::<Value>(body) else {
            return refuse(StatusCode::BAD_REQUEST, "the body is no JSON");
        };
        let now = self.scale(path);
        for key in ["uid", "resourceVersion"] {
            let wanted = &patch["metadata"][key];
            if !wanted.is_null() && *wanted != now["metadata"][key] {
                return refuse(StatusCode::CONFLICT, "the object has been modified");
            }
        }
        match &patch["spec"]["replicas"] {
            Value::Null => {}
            replicas => match replicas.as_u64().and_then(|replicas| u32::try_from(replicas).ok()) {
                Some(replicas) => {
                    self.replicas = replicas;
                    self.version += 1;
                }
                None => return refuse(StatusCode::UNPROCESSABLE_ENTITY, "spec.replicas is not a number"),
            },
        }
        Some((StatusCode::OK, None, self.scale(path)))
    }
}
