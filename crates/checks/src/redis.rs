//! Kind `redis`: PING and INFO over a connection that is kept open. With `reachable`, only PING, and being
//! asked for a password is an answer. What errors mean is in `reason.rs`, what INFO tells in `info.rs`.

mod info;
mod ping;
mod read;
mod reason;

use crate::address::Address;
use crate::kept::{Kept, Server};
use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, InfoDict, IntoConnectionInfo,
    RedisConnectionInfo, RedisError,
};
use farol_health::{Check, Figure, Outcome, Status, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

use ping::Answered;
pub(crate) use ping::answers;
pub(crate) use read::KIND;

/// What should listen, in messages.
const THING: &str = "Redis";

/// Which server is asked, and how.
#[derive(Clone)]
pub struct Settings {
    /// Where it listens.
    address: Address,
    /// How to speak to it; `None` asks for PING only.
    login: Option<Login>,
    /// What is asked beyond an answer.
    limits: Limits,
}

/// What is asked of a Redis beyond an answer; what does not hold makes it degraded.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Limits {
    /// It takes writes. Tried by one that changes nothing: `SETRANGE farol:writable 0 ""`.
    pub writable: bool,
    /// Less than so many per hundred of its memory are used.
    pub memory_above: Option<f64>,
}

/// The client and who it is.
#[derive(Clone)]
struct Login {
    client: Client,
    username: Option<String>,
    password: Option<String>,
}

impl Settings {
    /// A `redis://[user][:password@]host[:port]` URL, `rediss://` for TLS, `unix:///path` for a socket.
    ///
    /// # Errors
    /// Says what is wrong with the URL, without repeating it: it may hold a password.
    pub fn from_url(url: &str) -> Result<Self, String> {
        const WRONG: &str = "it is not a Redis URL; write for instance `redis://127.0.0.1:6379`";
        let info = url.into_connection_info().map_err(|_| WRONG)?;
        let address = match info.addr() {
            ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
                Address::Tcp(host.trim_matches(['[', ']']).to_owned(), *port)
            }
            ConnectionAddr::Unix(path) => Address::Unix(path.clone()),
            _ => return Err(WRONG.into()),
        };
        let username = info.redis_settings().username().map(str::to_owned);
        let password = info.redis_settings().password().map(str::to_owned);
        let client = Client::open(anonymous(info)).map_err(|_| WRONG)?;
        let login = Some(Login { client, username, password });
        Ok(Self { address, login, limits: Limits::default() })
    }

    /// Logs in with this password instead of the URL's.
    #[must_use]
    pub fn password(mut self, password: &str) -> Self {
        self.login = self.login.map(|login| Login { password: Some(password.to_owned()), ..login });
        self
    }

    /// Asks only whether a Redis answers.
    #[must_use]
    pub fn reachable(address: Address) -> Self {
        Self { address, login: None, limits: Limits::default() }
    }

    /// Asks for this much, too; only of a server that is logged in to.
    #[must_use]
    pub fn limits(self, limits: Limits) -> Self {
        Self { limits, ..self }
    }
}

/// The same without user, password and database: the client hides the server's own words on a failed log-in
/// (a full server looks like a wrong password), so the check logs in by itself.
fn anonymous(info: ConnectionInfo) -> ConnectionInfo {
    info.set_redis_settings(RedisConnectionInfo::default().set_skip_set_lib_name())
}

/// The check.
pub struct Redis {
    settings: Settings,
    /// Kept between runs, so that a run measures a command.
    kept: Kept<MultiplexedConnection>,
}

impl Redis {
    /// A check of this server.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings, kept: Kept::new() }
    }
}

/// A server that is logged in to.
struct Session<'s> {
    settings: &'s Settings,
    login: &'s Login,
}

impl Server for Session<'_> {
    type Connection = MultiplexedConnection;
    type Error = RedisError;

    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        self.login.connect().await
    }

    async fn ask(&self, connection: &mut MultiplexedConnection) -> Result<Outcome, RedisError> {
        let (target, limits) = (&self.settings.address.to_string(), &self.settings.limits);
        let before = Instant::now();
        let ping: Result<(), _> = ::redis::cmd("PING").query_async(connection).await;
        let seconds = before.elapsed().as_secs_f64();
        let refused = reason::state_in(ping, target)?;
        let told: Result<InfoDict, _> = ::redis::cmd("INFO").query_async(connection).await;
        let mut outcome = match told {
            Ok(dict) => info::outcome(&|key| dict.get::<String>(key), limits),
            Err(error) if error.code() == Some("NOPERM") => info::no_figures(),
            Err(error) => return Err(error),
        };
        if let Some(failure) = refused {
            outcome = failure.over(outcome);
        } else if limits.writable && outcome.status != Status::Unhealthy {
            let mut write = ::redis::cmd("SETRANGE");
            let tried: Result<(), _> =
                write.arg("farol:writable").arg(0).arg("").query_async(connection).await;
            if let Some(failure) = reason::refusal_in(tried, target)? {
                outcome = failure.over(outcome);
            }
        }
        Ok(outcome.with(Figure::gauge("cache_response_seconds", seconds, Unit::Seconds)))
    }

    fn failure(&self, error: &RedisError) -> Outcome {
        reason::of(error, &self.settings.address.to_string()).outcome()
    }

    async fn leave(&self, connection: MultiplexedConnection) {
        drop(connection);
    }
}

impl Session<'_> {
    /// A server that refuses a connection says why and closes it at once; the client may see only the end.
    async fn hear_out(&self, outcome: Outcome) -> Outcome {
        let plain = !matches!(self.login.client.get_connection_info().addr(), ConnectionAddr::TcpTls { .. });
        if plain
            && outcome.reason == "connection_closed"
            && let Ok(Answered::Refuses(failure)) = answers(&self.settings.address).await
        {
            return failure.outcome();
        }
        outcome
    }
}

impl Login {
    async fn connect(&self) -> Result<MultiplexedConnection, RedisError> {
        // The deadline is the checker's alone.
        let config = AsyncConnectionConfig::new().set_connection_timeout(None).set_response_timeout(None);
        let mut connection = self.client.get_multiplexed_async_connection_with_config(&config).await?;
        if let Some(password) = &self.password {
            let mut auth = ::redis::cmd("AUTH");
            if let Some(username) = &self.username {
                auth.arg(username);
            }
            auth.arg(password).query_async::<()>(&mut connection).await?;
        }
        Ok(connection)
    }
}

impl Check for Redis {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.address.to_string())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            match &self.settings.login {
                Some(login) => {
                    let session = Session { settings: &self.settings, login };
                    session.hear_out(self.kept.ask(&session).await).await
                }
                None => ping::ask(&self.settings.address).await,
            }
        }
        .boxed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_tells_where_the_server_listens() {
        let table = [
            ("redis://127.0.0.1", "127.0.0.1:6379"),
            ("redis://:pw@cache:7000/2", "cache:7000"),
            ("rediss://user:pw@[::1]:7000", "[::1]:7000"),
            ("unix:///run/redis.sock", "/run/redis.sock"),
        ];
        for (url, expected) in table {
            assert_eq!(Settings::from_url(url).unwrap().address.to_string(), expected, "{url}");
        }
    }

    #[test]
    fn a_wrong_url_is_refused_without_being_repeated() {
        for url in ["http://:s3cret@cache", "redis://:s3cret@cache:port", "s3cret"] {
            let message = Settings::from_url(url).err().unwrap();
            assert!(!message.contains("s3cret"), "{message}");
            assert!(message.contains("redis://"), "{message}");
        }
    }
}
