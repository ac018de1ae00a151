//! Where the monitor keeps what lasts: reads `store:`. Decides which store is meant: `postgres` when it is written,
//! else SQLite; the `DB_…` variables fill in the first and never choose it. And for how long what is kept.

use crate::recent::{Keep, Settings as InMemory};
use crate::store::{Durability, PostgresServer, PostgresSettings, PostgresTls, Retention, TlsMode};
use farol_config::{Map, Secret, Sources};
use farol_shutdown::listener::verify_files;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Where the monitor keeps what lasts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Store {
    /// In a file on this machine.
    Sqlite {
        /// The file; a relative path lies in the data directory.
        path: PathBuf,
        /// What an acknowledgement survives.
        durability: Durability,
    },
    /// In a database.
    Postgres(Box<PostgresSettings>),
}

/// Variables that many programs know, and the keys of `store.postgres` that they fill in.
const VARIABLES: [(&str, &str); 7] = [
    ("DB_HOST", "host"),
    ("DB_PORT", "port"),
    ("DB_NAME", "name"),
    ("DB_USER", "user"),
    ("DB_PASSWORD", "password"),
    ("DB_PASSWORD_FILE", "password_file"),
    ("DB_MAX_RETRIES", "max_retries"),
];

/// Those that people write as a number of seconds.
const SECONDS: [(&str, &str); 2] = [("DB_TIMEOUT", "timeout"), ("DB_RETRY_DELAY", "retry_delay")];

/// Adds the `DB_…` variables and those by which a pod is told of its API server; `at` is where the monitor's own keys stand, `monitor.` or nothing.
pub fn database_variables(sources: Sources, at: &str) -> Sources {
    let path = |key: &str| format!("{at}store.postgres.{key}");
    let sources = VARIABLES.iter().fold(sources, |all, (name, key)| all.alias(name, &path(key)));
    let sources = super::actions::VARIABLES
        .iter()
        .fold(sources, |all, (name, key)| all.fallback(name, &format!("{at}kubernetes.{key}")));
    SECONDS.iter().fold(sources, |all, (name, key)| all.alias_in_seconds(name, &path(key)))
}

/// What a dump says of `DB_…` variables that are set and do nothing.
#[must_use]
pub fn unused_variables(store: &Store, env: &[(OsString, OsString)]) -> String {
    let Store::Sqlite { .. } = store else { return String::new() };
    let known = VARIABLES.iter().chain(&SECONDS).map(|(name, _)| *name);
    let set = known.filter(|name| env.iter().any(|(set, value)| set == name && !value.is_empty()));
    set.map(|name| {
        format!("# {name} is not used: the store is SQLite; `store: {{postgres: {{}}}}` takes it\n")
    })
    .collect()
}

/// For how long what is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Keeping {
    /// The ages and the budget.
    pub retention: Retention,
    /// Series of which there are roll-ups.
    pub keep: Keep,
}

/// Reads `store:`.
pub(super) fn read(m: &mut Map<'_>) -> (Store, Keeping) {
    let retention = m.section("retention", read_retention);
    let budget = m.bytes("budget").within(LEAST_BUDGET..=u64::MAX).or(Retention::default().budget);
    let has_keep = m.has("keep");
    let keep = m.texts("keep");
    if keep.iter().any(String::is_empty) {
        m.problem(
            "keep",
            "an empty word would keep every series; write the beginning of a name, such as `system_`",
        );
    }
    let keep = if has_keep { Keep(keep) } else { Keep::default() };
    (read_place(m), Keeping { retention: Retention { budget, ..retention }, keep })
}

/// Less is no history.
const LEAST_BUDGET: u64 = 16 << 20;

fn read_retention(m: &mut Map<'_>) -> Retention {
    let (hour, day) = (Duration::from_secs(3_600), Duration::from_secs(86_400));
    let mut age = |key: &str, least: Duration, usual: u32| {
        let age = m.duration(key).within(least..=4_000 * day).or(usual * day);
        i64::try_from(age.as_millis()).unwrap_or(i64::MAX)
    };
    let retention = Retention {
        raw_ms: age("raw", 2 * hour, 1),
        five_minutes_ms: age("five_minutes", 2 * day, 14),
        one_hour_ms: age("one_hour", 2 * day, 400),
        statuses_ms: age("statuses", day, 400),
        ..Retention::default()
    };
    if retention.one_hour_ms < retention.five_minutes_ms {
        m.problem(
            "one_hour",
            "is shorter than `five_minutes`, of which they are made; make it as long at least",
        );
    }
    retention
}

/// Reads `history:`.
pub(super) fn read_history(m: &mut Map<'_>, keep: Keep) -> InMemory {
    let minute = Duration::from_secs(60);
    let memory = m.duration("memory").within(minute..=24 * 60 * minute).or(60 * minute);
    let max_bytes = m.bytes("max_bytes").within(16 << 20..=1 << 42).or(InMemory::default().max_bytes as u64);
    InMemory {
        memory_ms: i64::try_from(memory.as_millis()).unwrap_or(i64::MAX),
        max_bytes: usize::try_from(max_bytes).unwrap_or(usize::MAX),
        keep,
    }
}

fn read_place(m: &mut Map<'_>) -> Store {
    if !m.has("postgres") {
        return m.section("sqlite", |m| Store::Sqlite {
            path: PathBuf::from(m.text("path").or("farol.db")),
            durability: m.one_of("durability", &DURABILITY).or(Durability::Normal),
        });
    }
    if m.has("sqlite") {
        m.ignore("sqlite");
        m.problem("sqlite", "stands beside `postgres`, and there is one store; take one of the two out");
    }
    Store::Postgres(Box::new(m.section("postgres", read_postgres)))
}

const DURABILITY: [(&str, Durability); 2] = [("normal", Durability::Normal), ("full", Durability::Full)];

fn read_postgres(m: &mut Map<'_>) -> PostgresSettings {
    let (milli, second) = (Duration::from_millis(1), Duration::from_secs(1));
    PostgresSettings {
        server: read_server(m),
        timeout: m.duration("timeout").within(100 * milli..=600 * second).or(10 * second),
        max_retries: m.integer::<u32>("max_retries").within(0..=1_000_000).or(10u32),
        retry_delay: m.duration("retry_delay").within(10 * milli..=30 * second).or(second),
        connections: m.integer::<u32>("connections").within(1..=1_000).or(8u32),
        durability: m.one_of("durability", &DURABILITY).or(Durability::Full),
    }
}

fn read_server(m: &mut Map<'_>) -> PostgresServer {
    let url = m.url("url").example("postgres://farol@127.0.0.1/farol");
    let url = url.check(|url| PostgresServer::check_url(url.expose())).optional();
    let port = m.integer::<u16>("port").within(1..=u16::MAX);
    PostgresServer {
        port: if url.is_some() { port.optional() } else { Some(port.or(5432u16)) },
        host: text(m, "host", url.is_none().then_some("127.0.0.1")),
        name: text(m, "name", url.is_none().then_some("farol")),
        user: text(m, "user", url.is_none().then_some("farol")),
        password: m.secret("password").optional(),
        tls: m.map("tls", read_tls).unwrap_or_default(),
        url: url.map(|url| Secret::new(url.expose())),
    }
}

/// With a URL what is not written is the URL's.
fn text(m: &mut Map<'_>, key: &str, default: Option<&str>) -> Option<String> {
    match default {
        Some(default) => Some(m.text(key).or(default)),
        None => m.text(key).optional(),
    }
}

fn read_tls(m: &mut Map<'_>) -> PostgresTls {
    let modes = [
        ("disable", TlsMode::Disable),
        ("prefer", TlsMode::Prefer),
        ("require", TlsMode::Require),
        ("verify-ca", TlsMode::VerifyCa),
        ("verify-full", TlsMode::VerifyFull),
    ];
    let tls = PostgresTls {
        mode: m.one_of("mode", &modes).optional(),
        ca: m.path("ca").optional(),
        cert: m.path("cert").optional(),
        key: m.path("key").optional(),
    };
    if tls.cert.is_some() != tls.key.is_some() {
        m.problem_here("`cert` and `key` go together; write both, or neither");
    }
    for (part, why) in verify_files(tls.cert.as_deref(), tls.key.as_deref(), tls.ca.as_deref()) {
        m.problem(part, why);
    }
    tls
}

#[cfg(test)]
mod tests;
