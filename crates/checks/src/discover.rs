//! Which databases of this machine answer: what a Farol without configuration checks besides the machine.
//! Decides by the protocol, not by the open port, and never logs in: a server found so is checked for
//! reachability only, and its message says what a URL would add.

use crate::address::Address;
use crate::kind::Read;
use crate::postgres::{self, Postgres, socket_in};
use crate::redis::{self, Redis};
use crate::registrations::finish;
use farol_health::{Dependency, Registration, Spec};
use futures::future::join_all;
use std::path::Path;
use std::time::Duration;
use tokio::time::timeout;

/// Who has not answered after this long is not there.
const LIMIT: Duration = Duration::from_millis(200);

/// Where to look, the preferred place first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Places {
    /// Where a PostgreSQL may listen.
    pub postgres: Vec<Address>,
    /// Where a Redis may listen.
    pub redis: Vec<Address>,
}

impl Places {
    /// The usual ports of this machine, and PostgreSQL's socket in Debian's and in its own directory.
    #[must_use]
    pub fn usual() -> Self {
        let local = |port| Address::Tcp("127.0.0.1".to_owned(), port);
        let socket = |directory: &str| socket_in(Path::new(directory), 5432);
        Self {
            postgres: vec![local(5432), socket("/run/postgresql"), socket("/tmp")],
            redis: vec![local(6379)],
        }
    }
}

/// Suggested checks of what answers at the usual places, within 200 ms.
pub async fn discover(service: &str) -> Vec<Registration> {
    among(&Places::usual(), service).await
}

/// Suggested checks of what answers at these places: at most one PostgreSQL and one Redis, both optional,
/// since nobody has said that anything needs them.
pub async fn among(places: &Places, service: &str) -> Vec<Registration> {
    let postgres = first(&places.postgres, |address| async { postgres::answers(address).await.is_ok() });
    let redis = first(&places.redis, |address| async { redis::answers(address).await.is_ok() });
    let (postgres, redis) = tokio::join!(postgres, redis);
    let postgres = postgres.map(|address| {
        let read = Read::new(address.to_string(), Postgres::new(postgres::Settings::reachable(address)));
        suggestion("postgres", service, Dependency::Database, read)
    });
    let redis = redis.map(|address| {
        let read = Read::new(address.to_string(), Redis::new(redis::Settings::reachable(address)));
        suggestion("redis", service, Dependency::Other, read)
    });
    postgres.into_iter().chain(redis).collect()
}

fn suggestion(kind: &str, service: &str, dependency: Dependency, read: Read) -> Registration {
    let spec = Spec { required: false, dependency, ..Spec::new(kind, service) };
    finish(spec, kind, read)
}

/// The first place, in the order given, that answers; all are asked at once.
async fn first<'a, F>(places: &'a [Address], ask: impl Fn(&'a Address) -> F) -> Option<Address>
where
    F: Future<Output = bool>,
{
    let asked = places.iter().map(|place| timeout(LIMIT, ask(place)));
    let answers = join_all(asked).await;
    let answered = |answer: &Result<bool, _>| matches!(answer, Ok(true));
    answers.iter().position(answered).and_then(|index| places.get(index)).cloned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::AsyncWriteExt;
    use tokio::net::TcpListener;

    async fn listener() -> (TcpListener, Address) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        (listener, Address::Tcp("127.0.0.1".to_owned(), port))
    }

    #[tokio::test]
    async fn an_open_port_that_speaks_otherwise_or_not_at_all_is_no_database() {
        let (web, web_address) = listener().await;
        let (_silent, silent_address) = listener().await;
        let speak = async {
            loop {
                let (mut stream, _) = web.accept().await.unwrap();
                drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await);
            }
        };
        let both = vec![web_address, silent_address];
        let places = Places { postgres: both.clone(), redis: both };
        tokio::select! {
            found = among(&places, "host") => assert!(found.is_empty()),
            () = speak => {}
        }
    }
}
