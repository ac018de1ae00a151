//! What the keys and variables of `store:` give, and what each mistake is told.

use super::*;
use farol_config::Tree;

fn load(text: &str, env: &[(&str, &str)]) -> Tree {
    let sources = Sources::new().text("monitor.yaml", text);
    let env = env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
    database_variables(sources, "").env("FAROL_MONITOR", None, env).load().unwrap()
}

fn read_all(text: &str, env: &[(&str, &str)]) -> Result<Store, String> {
    read_whole(text, env).map(|(store, _)| store)
}

fn read_whole(text: &str, env: &[(&str, &str)]) -> Result<(Store, Keeping), String> {
    load(text, env).read(|m| m.section("store", read)).map_err(|problems| problems.to_string())
}

fn postgres(text: &str, env: &[(&str, &str)]) -> PostgresSettings {
    match read_all(text, env).unwrap() {
        Store::Postgres(settings) => *settings,
        other => panic!("{other:?}"),
    }
}

const ALL: [(&str, &str); 8] = [
    ("DB_HOST", "db.example"),
    ("DB_PORT", "6432"),
    ("DB_NAME", "fleet"),
    ("DB_USER", "app"),
    ("DB_PASSWORD", "hunter2"),
    ("DB_TIMEOUT", "30"),
    ("DB_MAX_RETRIES", "3"),
    ("DB_RETRY_DELAY", "0.5"),
];

#[test]
fn the_variables_fill_in_a_postgres_that_is_written() {
    for text in ["store: {postgres: {}}", "store:\n  postgres:\n"] {
        let settings = postgres(text, &ALL);
        let server = &settings.server;
        assert_eq!(server.place(), "PostgreSQL at db.example:6432, database `fleet`");
        assert_eq!(
            (server.user.as_deref(), server.password.as_ref().unwrap().expose()),
            (Some("app"), "hunter2")
        );
        assert_eq!(settings.timeout, Duration::from_secs(30));
        assert_eq!((settings.max_retries, settings.retry_delay), (3, Duration::from_millis(500)));
        assert_eq!((settings.connections, settings.durability), (8, Durability::Full));
        assert!(!format!("{settings:?}").contains("hunter2"));
    }
    let with_unit = postgres("store: {postgres: {}}", &[("DB_TIMEOUT", "1500ms")]);
    assert_eq!(with_unit.timeout, Duration::from_millis(1_500));
}

#[test]
fn the_variables_never_choose_the_store_and_only_a_dump_tells_that_they_are_set() {
    for text in ["", "store: {sqlite: {path: a.db}}", "store: {}"] {
        let store = read_all(text, &ALL).unwrap();
        assert!(matches!(store, Store::Sqlite { .. }), "{text}");
        let env: Vec<_> = ALL.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let note = unused_variables(&store, &env);
        assert!(note.lines().count() == ALL.len() && note.contains("# DB_HOST is not used"), "{note}");
        assert!(!note.contains("hunter2"));
    }
    let store = read_all("store: {postgres: {}}", &ALL).unwrap();
    assert_eq!(unused_variables(&store, &[("DB_HOST".into(), "x".into())]), "");
}

#[test]
fn the_environments_own_key_wins_over_a_variable_and_that_over_the_file() {
    let file = "store: {postgres: {host: file.example, name: file, timeout: 1s, password: of-file}}";
    let env = [
        ("DB_HOST", "variable.example"),
        ("DB_NAME", "variable"),
        ("FAROL_MONITOR__STORE__POSTGRES__NAME", "own"),
    ];
    let settings = postgres(file, &env);
    assert_eq!(settings.server.place(), "PostgreSQL at variable.example:5432, database `own`");
    assert_eq!(settings.timeout, Duration::from_secs(1));
    let mut file_of_secret = tempfile::NamedTempFile::new().unwrap();
    std::io::Write::write_all(&mut file_of_secret, b"of-secret-file\n").unwrap();
    let path = file_of_secret.path().to_str().unwrap();
    let settings = postgres(file, &[("DB_PASSWORD_FILE", path)]);
    assert_eq!(settings.server.password.unwrap().expose(), "of-secret-file");
    // The environment's own key chooses the store, as a file does; the variables then fill it in.
    let chosen = [("FAROL_MONITOR__STORE__POSTGRES__CONNECTIONS", "3"), ("DB_NAME", "fleet")];
    assert_eq!(postgres("", &chosen).server.name.as_deref(), Some("fleet"));
}

#[test]
fn a_variable_wins_over_its_part_of_the_url() {
    let file = "store: {postgres: {url: \"postgres://a:hunter2@db.example:1/x?sslmode=require\"}}";
    let tree = load(file, &[("DB_HOST", "other.example"), ("DB_PASSWORD", "hunter3")]);
    let (store, _) = tree.read(|m| m.section("store", read)).unwrap();
    let Store::Postgres(settings) = store else { panic!() };
    assert_eq!(settings.server.place(), "PostgreSQL at other.example:1, database `x`");
    let dump = tree.dump();
    assert!(!dump.contains("hunter") && dump.contains("# from DB_HOST") && dump.contains("a:***@"), "{dump}");
    assert!(
        load(&dump, &[]).read(|m| m.section("store", read)).is_ok(),
        "a dump can be loaded again: {dump}"
    );
}

#[test]
fn what_is_wrong_is_told_with_its_key_or_variable_and_never_with_a_secret() {
    for (text, env, words) in [
        ("store: {postgres: {}, sqlite: {}}", ("", ""), "store.sqlite: stands beside `postgres`"),
        (
            "store: {postgres: {url: \"mysql://a:hunter2@b\"}}",
            ("", ""),
            "store.postgres.url: is not a PostgreSQL URL",
        ),
        ("store: {postgres: {}}", ("DB_PORT", "many"), "DB_PORT: store.postgres.port: "),
        (
            "store: {postgres: {}}",
            ("DB_TIMEOUT", "long"),
            "DB_TIMEOUT: store.postgres.timeout: `long` is not a duration",
        ),
        ("store: {postgres: {}}", ("DB_TIMEOUT", "0"), "out of range"),
        ("store: {postgres: {timeout: 30}}", ("", ""), "has no unit"),
        ("store: {postgres: {tls: {cert: a.pem}}}", ("", ""), "`cert` and `key` go together"),
        ("store: {postgres: {tls: {mode: maybe}}}", ("", ""), "store.postgres.tls.mode: "),
        ("store: {postgres: {password: a, password_file: b}}", ("", ""), "given as well as `password`"),
        ("store: {postgres: {passwort: a}}", ("", ""), "did you mean `password`?"),
        ("store: {retention: {raw: 5m}}", ("", ""), "store.retention.raw: "),
        (
            "store: {retention: {five_minutes: 30d, one_hour: 20d}}",
            ("", ""),
            "is shorter than `five_minutes`",
        ),
        ("store: {budget: 1MB}", ("", ""), "store.budget: "),
        ("store: {keep: [\"\"]}", ("", ""), "an empty word would keep every series"),
    ] {
        let error = read_all(text, &[env]).unwrap_err();
        assert!(error.contains(words) && !error.contains("hunter2"), "{text}: {error}");
    }
}

#[test]
fn how_long_what_is_kept_may_be_said_for_each_and_has_defaults() {
    assert_eq!(read_whole("", &[]).unwrap().1, Keeping::default());
    let text = "store: {retention: {raw: 2d, five_minutes: 3d}, keep: [orders_], budget: 1GB}";
    let keeping = read_whole(text, &[("FAROL_MONITOR__STORE__RETENTION__STATUSES", "30d")]).unwrap().1;
    let day_ms = 86_400_000;
    let retention = Retention {
        raw_ms: 2 * day_ms,
        five_minutes_ms: 3 * day_ms,
        statuses_ms: 30 * day_ms,
        budget: 1_000_000_000,
        ..Retention::default()
    };
    assert_eq!(keeping, Keeping { retention, keep: Keep(vec!["orders_".to_owned()]) });
    let read = |text| load(text, &[]).read(|m| m.section("history", |m| read_history(m, Keep::default())));
    assert_eq!(read("").unwrap(), InMemory::default());
    let held = read("history: {memory: 30m, max_bytes: 64MiB}").unwrap();
    assert_eq!((held.memory_ms, held.max_bytes), (1_800_000, 64 << 20));
}
