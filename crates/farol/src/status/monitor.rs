//! The questions that `farol status` asks a monitor over its REST interface, and what is said when no good
//! answer comes. Uses no proxy.

use super::picture::{Fleet, Many, Picture};
use crate::healthcheck::root;
use crate::terminal::one_line;
use crate::verdict::Error;
use reqwest::redirect::Policy;
use reqwest::{Client, Url};
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many of each kind are shown to people.
const PAGE: usize = 200;
/// The most that a monitor gives at once.
const AT_ONCE: usize = 10_000;
/// What a component may show when it is not healthy, the worst first.
const NOT_HEALTHY: [&str; 5] = ["unhealthy", "unknown", "degraded", "starting", "maintenance"];
/// What an agent is when it is not simply here, the worst first.
const AWAY: [&str; 4] = ["lost", "restored", "held", "leaving"];

/// What a list is asked for: names and values of its query.
type Filter<'a> = Vec<(&'a str, &'a str)>;
/// All of it.
const ALL: &[Filter<'_>] = &[Vec::new()];

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Much {
    /// What people can read.
    Page,
    /// Everything, for programs.
    All,
}

/// A monitor to ask.
pub(super) struct Monitor {
    client: Client,
    base: Url,
    timeout: Duration,
}

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
}

impl Monitor {
    pub(super) fn at(url: &Url, timeout: Duration) -> Result<Self, Error> {
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

    /// The fleet now. Its parts are asked for one after the other, so they may be a moment apart; of what is not
    /// well only that is asked for which the first look has shown.
    pub(super) async fn picture(&self, much: Much) -> Result<Picture, Error> {
        let raw: Value = self.get("fleet", &[]).await?;
        let fleet = self.read::<Fleet>(&raw)?;
        let count = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
        let services = self.many("services", ALL, Much::All).await?;
        let groups = if count(&fleet.groups, "total") > 0 { ALL } else { &[] };
        let groups = self.many("groups", groups, Much::All).await?;
        let not_healthy = NOT_HEALTHY.into_iter().filter(|word| count(&fleet.components, word) > 0);
        let not_healthy: Vec<Filter<'_>> = not_healthy.map(|word| vec![("shown_as", word)]).collect();
        let components = self.many("components", &not_healthy, much).await?;
        let away = AWAY.into_iter().filter(|word| count(&fleet.agents, word) > 0);
        let mut away: Vec<Filter<'_>> = away.map(|word| vec![("presence", word)]).collect();
        if count(&fleet.agents, "connected") < count(&fleet.agents, "total") {
            away.push(vec![("presence", "here"), ("connected", "false")]);
        }
        let agents = self.many("agents", &away, much).await?;
        Ok(Picture { fleet, raw, services, groups, components, agents })
    }

    /// A list, for one filter after the other.
    async fn many<T>(&self, list: &str, filters: &[Filter<'_>], much: Much) -> Result<Many<T>, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        let most = if much == Much::All { usize::MAX } else { PAGE };
        let mut raw = Vec::new();
        let mut more = false;
        for filter in filters {
            let mut after: Option<String> = None;
            loop {
                let limit = most.saturating_sub(raw.len()).clamp(1, AT_ONCE).to_string();
                let mut query = vec![("limit", limit.as_str())];
                query.extend(filter);
                query.extend(after.as_deref().map(|after| ("after", after)));
                let page: Page = self.get(list, &query).await?;
                raw.extend(page.items);
                after = page.next;
                if after.is_none() || raw.len() >= most {
                    break;
                }
            }
            more |= after.is_some() || raw.len() > most;
        }
        raw.truncate(most);
        let items = raw.iter().map(|value| self.read(value)).collect::<Result<_, _>>()?;
        Ok(Many { items, raw, more })
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, value: &Value) -> Result<T, Error> {
        T::deserialize(value).map_err(|error| self.stranger(&error.to_string()))
    }

    async fn get<T>(&self, what: &str, query: &[(&str, &str)]) -> Result<T, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        let mut url = self.base.clone();
        url.path_segments_mut().expect("it has a host").pop_if_empty().extend(["api", "v1", what]);
        let answer = self.client.get(url).query(query).send().await.map_err(|e| self.silence(&e))?;
        let status = answer.status();
        if farol_checks::http::is_grpc(&answer) {
            return Err(self.stranger("it is a gRPC port"));
        }
        let body = answer.bytes().await.map_err(|e| self.silence(&e))?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|error| self.stranger(&error.to_string()));
        }
        Err(match serde_json::from_slice::<Problem>(&body) {
            // An agent, or whoever else words its errors so.
            Ok(problem) if problem.code == "no_such_path" => self.stranger(&problem.detail),
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

    fn stranger(&self, why: &str) -> Error {
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
