//! Discovery against real servers.

use super::{healthy, unhealthy};
use farol_checks::Address;
use farol_checks::discover::{Places, among};
use farol_health::Dependency;
use farol_tests::postgres::Postgres;
use farol_tests::redis::Redis;

fn local(port: u16) -> Address {
    Address::Tcp("127.0.0.1".into(), port)
}

#[tokio::test]
async fn what_answers_is_suggested_as_an_optional_check_that_needs_no_password() {
    let (mut postgres, mut redis) =
        (Postgres::start().await.unwrap(), Redis::start_with(&["--requirepass", "horse"]).await.unwrap());
    let socket = Address::Unix(postgres.path(&format!(".s.PGSQL.{}", postgres.port())));
    // Each answers, but not in the other's language.
    let places = Places {
        postgres: vec![local(redis.port()), socket, local(postgres.port())],
        redis: vec![local(postgres.port()), local(redis.port())],
    };
    let found = among(&places, "host").await;
    let seen: Vec<_> =
        found.iter().map(|r| (r.spec.name.as_str(), r.spec.required, r.spec.dependency)).collect();
    assert_eq!(seen, [("postgres", false, Dependency::Database), ("redis", false, Dependency::Other)]);
    for registration in &found {
        healthy(&*registration.check).await;
    }
    postgres.stop().await.unwrap();
    redis.stop().await.unwrap();
    unhealthy(&*found[0].check, "socket_missing").await;
    unhealthy(&*found[1].check, "connection_refused").await;
    assert!(among(&places, "host").await.is_empty());
}
