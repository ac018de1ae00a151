//! A monitor's REST interface, as the commands use it: questions, an operator's words, and what is said when no good
//! answer comes. Uses no proxy, follows no redirect.

use crate::healthcheck::root;
use crate::terminal::one_line;
use crate::verdict::Error;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, RequestBuilder, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A token file is not longer.
const TOKEN_BYTES: u64 = 1_024;
/// The most that a monitor gives at once.
const AT_ONCE: &str = "10000";

/// A monitor to ask.
pub(crate) struct Rest {
    client: Client,
    base: Url,
    timeout: Duration,
}

/// What an operator shows.
pub(crate) struct Token(String);

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

/// A problem document.
#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    code: String,
    detail: String,
    #[serde(default)]
    id: Option<String>,
}

impl Token {
    /// The token of this file, or of this data directory.
    pub(crate) fn read(file: Option<&Path>, data_dir: &Path) -> Result<Self, Error> {
        let path: PathBuf = file.map_or_else(|| data_dir.join("operator.token"), Path::to_owned);
        let wrong = |why: String| {
            Error::Failed(format!(
                "the operator's token cannot be read from {}: {why}; name the monitor's data directory with --data-dir, or \
                 the file with --token-file",
                path.display()
            ))
        };
        let size = std::fs::metadata(&path).map_err(|error| wrong(error.to_string()))?.len();
        if size > TOKEN_BYTES {
            return Err(wrong("it is too long for a token".to_owned()));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| wrong(error.to_string()))?;
        let token = text.trim();
        if token.is_empty() || !token.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(wrong("it holds no token".to_owned()));
        }
        Ok(Self(token.to_owned()))
    }
}

impl Rest {
    pub(crate) fn at(url: &Url, timeout: Duration) -> Result<Self, Error> {
        let mut base = url.clone();
        base.set_query(None);
        base.set_fragment(None);
        let mut client = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .timeout(timeout)
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")));
        if url.scheme() == "http" {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|e| Error::Failed(format!("no HTTP client: {}", root(&e))))?;
        Ok(Self { client, base, timeout })
    }

    fn url(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        let mut segments = url.path_segments_mut().expect("it has a host");
        segments.pop_if_empty().extend(["api", "v1"]).extend(path);
        drop(segments);
        url
    }

    /// Asks for what is at this path under `/api/v1`.
    pub(crate) async fn get<T>(&self, path: &[&str], query: &[(&str, &str)]) -> Result<T, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        self.answer(self.client.get(self.url(path)).query(query)).await
    }

    /// All of a list.
    pub(crate) async fn all(&self, path: &[&str], filter: &[(&str, &str)]) -> Result<Vec<Value>, Error> {
        let (mut items, mut after): (Vec<Value>, Option<String>) = (Vec::new(), None);
        loop {
            let mut query = vec![("limit", AT_ONCE)];
            query.extend(filter);
            query.extend(after.as_deref().map(|after| ("after", after)));
            let page: Page = self.get(path, &query).await?;
            items.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(items);
            }
        }
    }

    /// Says what an operator wants.
    pub(crate) async fn post(&self, path: &[&str], token: &Token, body: &Value) -> Result<Value, Error> {
        let request = self.client.request(Method::POST, self.url(path)).bearer_auth(&token.0);
        self.answer(request.header("content-type", "application/json").body(body.to_string())).await
    }

    /// Makes something that is listed here: what was made, and why it is not kept yet, if it is not.
    pub(crate) async fn make(
        &self,
        list: &str,
        token: &Token,
        body: &Value,
    ) -> Result<(Value, Result<(), Error>), Error> {
        match self.post(&[list], token, body).await {
            Ok(made) => Ok((made, Ok(()))),
            Err(Error::Unkept { id: Some(id), why }) => {
                let made = self.get(&[list, &id], &[]).await.unwrap_or_else(|_| json!({ "id": id }));
                Ok((made, Err(Error::Unkept { id: Some(id), why })))
            }
            Err(error) => Err(error),
        }
    }

    /// Takes something away, and says who wants that, if that is known.
    pub(crate) async fn delete(&self, path: &[&str], token: &Token, by: Option<&str>) -> Result<(), Error> {
        let request = self.client.request(Method::DELETE, self.url(path)).bearer_auth(&token.0);
        let author: Vec<_> = by.map(|by| ("author", by)).into_iter().collect();
        self.body(request.query(&author)).await.map(|_| ())
    }

    async fn answer<T>(&self, request: RequestBuilder) -> Result<T, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        let body = self.body(request).await?;
        serde_json::from_slice(&body).map_err(|error| self.stranger(&error.to_string()))
    }

    /// The body of a good answer.
    async fn body(&self, request: RequestBuilder) -> Result<Vec<u8>, Error> {
        let answer = request.send().await.map_err(|e| self.silence(&e))?;
        let status = answer.status();
        if farol_checks::http::is_grpc(&answer) {
            return Err(self.stranger("it is a gRPC port"));
        }
        let body = answer.bytes().await.map_err(|e| self.silence(&e))?;
        if status.is_success() {
            return Ok(body.to_vec());
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            // An agent, or whoever else words its errors so.
            Ok(problem) if problem.code == "no_such_path" => self.stranger(&problem.detail),
            Ok(problem) if problem.code == "not_recorded" => {
                Error::Unkept { id: problem.id, why: one_line(&problem.detail) }
            }
            Ok(problem) => Error::Failed(format!(
                "the monitor at {} refuses: {}",
                self.shown(),
                one_line(&problem.detail)
            )),
            Err(_) => self.stranger(&status.to_string()),
        })
    }

    fn silence(&self, error: &reqwest::Error) -> Error {
        let url = self.shown();
        Error::Failed(if error.is_timeout() {
            format!(
                "{url} gives no answer within {:?}; look at its load and at the network, or raise --timeout",
                self.timeout
            )
        } else if farol_checks::http::speaks_no_tls(error) {
            format!("what answers at {url} speaks no TLS; if it speaks plain HTTP, write `http://`")
        } else if error.is_connect() {
            let why = root(error);
            format!("nothing answers at {url} ({why}); start one with `farol`, or name it with --url")
        } else {
            let why = root(error);
            format!(
                "what answers at {url} does not answer as a monitor does ({why}); if it speaks TLS, write `https://`"
            )
        })
    }

    pub(crate) fn stranger(&self, why: &str) -> Error {
        let url = self.shown();
        Error::Failed(format!(
            "what answers at {url} is no Farol monitor ({}); name the monitor's HTTP port (`listen.http`) with --url, \
             for instance `http://127.0.0.1:8501`",
            one_line(why)
        ))
    }

    /// The address without user and password.
    fn shown(&self) -> String {
        let host = self.base.host_str().unwrap_or_default();
        let port = self.base.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}", self.base.scheme())
    }
}
