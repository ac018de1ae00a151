//! The keys `url`, `password` and `address`, common to the servers one logs in to: a `url` logs in and gives
//! figures, an `address` alone asks only whether the server answers.

use crate::address::Address;
use farol_config::{HostPort, Map, Secret, Url};

/// Which server, and how far to go.
pub(crate) enum Target {
    /// Log in, with this password if the URL has none.
    Login(Url, Option<Secret>),
    /// Only ask whether it answers.
    Reachable(HostPort),
}

/// How good values look, and which URLs the kind takes.
pub(crate) struct Examples {
    pub(crate) url: &'static str,
    pub(crate) address: &'static str,
    /// Says what is wrong with a URL, without repeating it.
    pub(crate) good: fn(&str) -> Result<(), String>,
}

/// Reads the keys; `None` after a problem was told.
pub(crate) fn read(m: &mut Map<'_>, examples: &Examples) -> Option<Target> {
    let (by_url, by_address) = (m.has("url") || m.has("url_file"), m.has("address"));
    let url = m.url("url").example(examples.url).check(|url| (examples.good)(url.expose())).optional();
    let password = m.secret("password").optional();
    let address = m.host_port("address").example(examples.address).optional();
    match (by_url, by_address) {
        (true, false) => Some(Target::Login(url?, password)),
        (false, true) if password.is_some() => {
            m.problem("password", format!("has no `url` to log in with; write `url: {}`", examples.url));
            None
        }
        (false, true) => Some(Target::Reachable(address?)),
        (true, true) => {
            m.problem("address", "is given as well as `url`; keep one of the two");
            None
        }
        (false, false) => {
            m.problem_here(format!(
                "names no server; write `url: {}`, or `address: {}` to ask only whether it answers",
                examples.url, examples.address
            ));
            None
        }
    }
}

impl Target {
    /// Makes a kind's settings of it.
    pub(crate) fn settings<S>(
        self,
        from_url: fn(&str) -> Result<S, String>,
        password: fn(S, &str) -> S,
        reachable: fn(Address) -> S,
    ) -> Option<S> {
        match self {
            Self::Login(url, secret) => {
                let settings = from_url(url.expose()).ok()?;
                Some(match secret {
                    Some(secret) => password(settings, secret.expose()),
                    None => settings,
                })
            }
            Self::Reachable(address) => Some(reachable(address.into())),
        }
    }

    /// Tells of keys that ask for more than whether it answers, when nobody logs in.
    pub(crate) fn needs_login(&self, m: &mut Map<'_>, keys: &[&str]) {
        if matches!(self, Self::Reachable(_)) {
            for key in keys {
                if m.has(key) {
                    m.problem(key, "needs a log-in; write a `url` instead of `address`");
                }
            }
        }
    }

    /// All of it, secrets included, to tell a change.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Login(url, password) => {
                format!("{} {:?}", url.expose(), password.as_ref().map(Secret::expose))
            }
            Self::Reachable(address) => address.to_string(),
        }
    }
}
