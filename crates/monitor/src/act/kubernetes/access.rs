//! How the API server is reached: address, token, authority. Token and authority are read for each call, so that
//! rotated ones count at once; calls are rare.

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a pod finds its token.
pub const TOKEN_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";
/// Where a pod finds the authority of its API server.
pub const CA_FILE: &str = "/var/run/secrets/kubernetes.io/serviceaccount/ca.crt";

/// The largest file.
const MOST: u64 = 4 << 20;

/// How the API server is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// `https://host:port`, or `http://` of this machine, without a path.
    pub url: String,
    /// Where the bearer token stands; `None` sends none.
    pub token_file: Option<PathBuf>,
    /// Whom to trust, PEM; `None` trusts those of the machine.
    pub ca_file: Option<PathBuf>,
    /// For each request.
    pub deadline: Duration,
}

/// One call.
pub(super) struct Call {
    client: Client,
    base: String,
    token: Option<HeaderValue>,
    deadline: Duration,
}

impl Access {
    pub(super) async fn call(&self) -> Result<Call, String> {
        let access = self.clone();
        let made = tokio::task::spawn_blocking(move || access.prepare()).await;
        made.map_err(|_| "the token could not be read".to_owned())?
    }

    /// Reads files: not on a thread that others wait for.
    fn prepare(&self) -> Result<Call, String> {
        let builder = Client::builder()
            .redirect(Policy::none())
            .no_proxy()
            .user_agent(concat!("farol/", env!("CARGO_PKG_VERSION")));
        let builder = match &self.ca_file {
            Some(path) => {
                let wrong = || format!("{} holds no certificate in PEM form", path.display());
                let found = Certificate::from_pem_bundle(&read(path)?).map_err(|_| wrong())?;
                if found.is_empty() {
                    return Err(wrong());
                }
                builder.tls_certs_only(found)
            }
            // TLS is never spoken: nothing need be read for it.
            None if self.url.starts_with("http://") => builder.tls_certs_only([]),
            None => builder,
        };
        let client = builder.build().map_err(|_| "no HTTP client can be made for the API server")?;
        let token = self.token_file.as_deref().map(bearer).transpose()?;
        Ok(Call { client, base: self.url.trim_end_matches('/').to_owned(), token, deadline: self.deadline })
    }
}

impl Call {
    pub(super) fn get(&self, path: &str) -> RequestBuilder {
        self.with(self.client.get(format!("{}{path}", self.base)))
    }

    pub(super) fn merge_patch(&self, path: &str, body: String) -> RequestBuilder {
        let request = self.client.patch(format!("{}{path}", self.base));
        self.with(request).header(CONTENT_TYPE, "application/merge-patch+json").body(body)
    }

    fn with(&self, request: RequestBuilder) -> RequestBuilder {
        let request = request.timeout(self.deadline).header("accept", "application/json");
        match &self.token {
            Some(token) => request.header(AUTHORIZATION, token.clone()),
            None => request,
        }
    }
}

fn bearer(path: &Path) -> Result<HeaderValue, String> {
    let bytes = read(path)?;
    let wrong = || format!("{} holds no token", path.display());
    let token = std::str::from_utf8(&bytes).map_err(|_| wrong())?.trim();
    let mut value = HeaderValue::from_str(&format!("Bearer {token}")).map_err(|_| wrong())?;
    value.set_sensitive(true);
    if token.is_empty() { Err(wrong()) } else { Ok(value) }
}

fn read(path: &Path) -> Result<Vec<u8>, String> {
    let why = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path).map_err(why)?.take(MOST).read_to_end(&mut bytes).map_err(why)?;
    Ok(bytes)
}
