//! Kind `redis`: PING and INFO over a connection that is kept open. With `reachable`, only PING, and being
//! asked for a password is an answer. What errors mean is in `reason.rs`, what INFO tells in `info.rs`.

mod info;
mod ping;
mod read;
mod reason;

use crate::address::Address;
use crate::failure::Failure;
use crate::kept::{Kept, Opened};
use ::redis::aio::MultiplexedConnection;
use ::redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, InfoDict, IntoConnectionInfo,
    RedisConnectionInfo, RedisError,
};
use farol_health::{Check, Figure, Outcome, Unit};
use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::time::Instant;

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
        Ok(Self { address, login: Some(Login { client, username, password }) })
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
        Self { address, login: None }
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

    async fn ask(&self, login: &Login) -> Outcome {
        if let Some(opened) = self.kept.take(Instant::now())
            && let Ok(outcome) = self.query(opened).await
        {
            return outcome;
        }
        // None kept, or the kept one broke (the server restarted between two runs): a new one decides.
        let asked = match login.connect().await {
            Ok(connection) => self.query(Opened::new(connection, Instant::now())).await,
            Err(error) => Err(error),
        };
        asked.unwrap_or_else(|error| self.failure(&error).outcome())
    }

    async fn query(&self, mut opened: Opened<MultiplexedConnection>) -> Result<Outcome, RedisError> {
        let before = Instant::now();
        ::redis::cmd("PING").query_async::<()>(&mut opened.connection).await?;
        let seconds = before.elapsed().as_secs_f64();
        let told: Result<InfoDict, RedisError> =
            ::redis::cmd("INFO").query_async(&mut opened.connection).await;
        let outcome = match told {
            Ok(dict) => info::outcome(&|key| dict.get::<String>(key)),
            Err(error) if error.code() == Some("NOPERM") => info::no_figures(),
            Err(error) => return Err(error),
        };
        self.kept.put(opened);
        Ok(outcome.with(Figure::gauge("cache_response_seconds", seconds, Unit::Seconds)))
    }

    fn failure(&self, error: &RedisError) -> Failure {
        reason::of(error, &self.settings.address.to_string())
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
                Some(login) => self.ask(login).await,
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
