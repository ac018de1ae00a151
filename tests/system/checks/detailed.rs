//! The figures of real databases on an agent's own `/health/detailed`, under the keys that its readers know.

use farol_tests::mysql::Mysql;
use farol_tests::postgres::Postgres;
use farol_tests::process::get;
use farol_tests::redis::Redis;
use farol_tests::stack::{SOON, Stack};
use farol_tests::wait::until;
use serde_json::Value;

/// Whether it is a percentage such as `45%`.
fn is_percent(value: &Value) -> bool {
    value.as_str().and_then(|text| text.strip_suffix('%')).is_some_and(|number| number.parse::<f64>().is_ok())
}

#[tokio::test]
async fn connections_hit_rate_and_memory_usage_are_shown() {
    let postgres = Postgres::start_with(&["max_connections=20"]).await.unwrap();
    let mysql = Mysql::start_with(&["--max-connections=30"]).await.unwrap();
    mysql.sql("CREATE USER app IDENTIFIED BY 'pw'").unwrap();
    let redis = Redis::start_with(&["--maxmemory", "50mb"]).await.unwrap();
    redis.say("SET a 1").await.unwrap();
    for key in ["a", "a", "a", "b"] {
        redis.say(&format!("GET {key}")).await.unwrap();
    }
    let stack = Stack::start("").await.unwrap();
    let common = "interval: 1s, deadline: 1s";
    let config = format!(
        "service: shop\nchecks:\n- {{name: database, {common}, postgres: {{url: '{}'}}}}\n\
         - {{name: orders, {common}, mysql: {{url: '{}'}}}}\n- {{name: cache, {common}, redis: {{url: '{}'}}}}\n",
        postgres.superuser_url(),
        mysql.url("app:pw", ""),
        redis.url("")
    );
    let agent = stack.agent("alpha", &config).await.unwrap();
    let mut page = Value::Null;
    let found = until("all three are healthy", SOON, async || {
        let (_, body) = get(agent.address("agent_http"), "/health/detailed").await.unwrap();
        page = serde_json::from_str(&body).unwrap();
        ["database", "orders", "cache"].iter().all(|name| page["components"][name]["status"] == "healthy")
    });
    found.await.unwrap_or_else(|error| panic!("{error}: {page}"));
    let components = &page["components"];
    for (name, max) in [("database", 20), ("orders", 30)] {
        let connections = &components[name]["connections"];
        assert_eq!(connections["max"], max, "{components}");
        assert!(connections["active"].is_u64() && connections["idle"].is_u64(), "{components}");
    }
    let cache = &components["cache"];
    assert_eq!(cache["hit_rate"], "75%", "{cache}");
    assert!(is_percent(&cache["memory_usage"]), "{cache}");
    for component in [&components["database"], &components["orders"], cache] {
        assert!(component["response_time"].as_str().is_some_and(|time| time.ends_with("ms")), "{component}");
    }
}
