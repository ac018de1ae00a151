//! Who gets in and who does not: what each refusal at open says, and migrations.

use super::super::documents::document;
use super::super::seqs;
use super::{Databases, Group, Issued, PostgresStore, Store, fatal, prepared, refused, settings, takes};
use farol_config::Secret;
use farol_monitor::store::{
    DocumentChange, DocumentKind, PostgresServer, PostgresSettings, PostgresTls, TlsMode,
};
use farol_tests::postgres::{PASSWORD, Postgres, SUPERUSER};
use std::path::PathBuf;

#[tokio::test]
async fn each_closed_door_says_what_to_do_and_never_the_password() {
    let databases = Databases::start().await;
    let port = databases.server.port();
    for text in [
        "CREATE ROLE app LOGIN PASSWORD 'hunter2'",
        "CREATE DATABASE theirs",
        "CREATE DATABASE readonly",
        "ALTER DATABASE readonly SET default_transaction_read_only = on",
        "CREATE DATABASE other",
    ] {
        databases.server.sql(text).unwrap();
    }
    databases.server.sql_in("other", "CREATE SCHEMA farol; CREATE TABLE farol.lights (a int)").unwrap();
    let table: [(PostgresSettings, bool, &[&str]); 7] = [
        (settings(port, "app", "hunter3", "theirs"), true, &["28P01", "check `user`, `password`"]),
        (settings(port, "nobody", "hunter3", "theirs"), true, &["28P01", "nobody"]),
        (settings(port, SUPERUSER, PASSWORD, "missing"), false, &["3D000", "create the database"]),
        (settings(port, "app", "hunter2", "theirs"), true, &["42501", "GRANT CREATE ON DATABASE"]),
        (settings(port, SUPERUSER, PASSWORD, "readonly"), false, &["25006", "read-only"]),
        (settings(port, SUPERUSER, PASSWORD, "other"), true, &["another program's"]),
        (settings(1, SUPERUSER, PASSWORD, "theirs"), false, &["cannot be reached", "127.0.0.1:1"]),
    ];
    for (settings, is_fatal, words) in table {
        let opened = PostgresStore::open(settings.clone()).await.map(|_| ());
        let why = if is_fatal { fatal(opened) } else { refused(opened) };
        for word in words {
            assert!(why.contains(word), "{word} is not in {why}");
        }
        assert!(!why.contains("hunter") && !why.contains(PASSWORD), "{why}");
    }
    // A role that owns its schema needs nothing else.
    databases.server.sql_in("theirs", "CREATE SCHEMA farol AUTHORIZATION app").unwrap();
    let url = Secret::new(databases.server.url("app", "hunter2", "theirs"));
    let server = PostgresServer { url: Some(url), ..PostgresServer::default() };
    let by_url = PostgresSettings { server, ..settings(port, "", "", "") };
    PostgresStore::open(by_url).await.unwrap().close().await.unwrap();
}

#[tokio::test]
async fn the_way_to_the_server_can_be_encrypted_and_must_be_where_that_is_said() {
    let mut databases = Databases::start().await;
    let database = databases.place().database;
    let port = databases.server.port();
    let with = |mode, ca: Option<&PathBuf>| {
        let mut settings = settings(port, SUPERUSER, PASSWORD, &database);
        settings.server.host = Some("localhost".to_owned());
        settings.server.tls = PostgresTls { mode: Some(mode), ca: ca.cloned(), ..PostgresTls::default() };
        settings
    };
    let open = async |settings| PostgresStore::open(settings).await.map(|_| ());
    let why = fatal(open(with(TlsMode::Require, None)).await);
    assert!(why.contains("TLS"), "{why}");
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let ca = databases.server.write("data/server.crt", &made.cert.pem()).unwrap();
    databases.server.write("data/server.key", &made.signing_key.serialize_pem()).unwrap();
    databases.server.set("ssl=on");
    databases.server.restart().await.unwrap();
    let why = fatal(open(with(TlsMode::VerifyFull, None)).await);
    assert!(why.contains("certificate"), "{why}");
    for (mode, ca) in
        [(TlsMode::Require, None), (TlsMode::VerifyCa, Some(&ca)), (TlsMode::VerifyFull, Some(&ca))]
    {
        let store = PostgresStore::open(with(mode, ca)).await.unwrap();
        let text = "SELECT bool_and(s.ssl) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) \
                    WHERE a.application_name LIKE 'farol-monitor%'";
        assert_eq!(databases.server.sql(text).unwrap(), "t", "{mode:?}");
        store.close().await.unwrap();
    }
}

#[tokio::test]
async fn a_store_of_a_newer_program_is_refused_and_left_alone() {
    let databases = Databases::start().await;
    let place = databases.place();
    place.store().await.close().await.unwrap();
    place.sql("INSERT INTO farol.migrations VALUES (99, '0099_later', 0)");
    let before = place.sql("SELECT * FROM farol.store");
    let why = fatal(PostgresStore::open(place.settings()).await.map(|_| ()));
    assert!(why.contains("version 99") && why.contains("newer Farol"), "{why}");
    assert_eq!(place.sql("SELECT * FROM farol.store"), before);
}

#[tokio::test]
async fn a_migration_that_fails_in_the_middle_leaves_nothing_and_the_next_start_makes_all() {
    let databases = Databases::start().await;
    let place = databases.place();
    place.sql(
        "CREATE FUNCTION public.trip() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN \
           IF EXISTS (SELECT FROM pg_event_trigger_ddl_commands() WHERE object_identity = 'farol.components') \
           THEN RAISE EXCEPTION 'no components today'; END IF; END $$; \
         CREATE EVENT TRIGGER trip ON ddl_command_end EXECUTE FUNCTION public.trip()",
    );
    let why = fatal(PostgresStore::open(place.settings()).await.map(|_| ()));
    for word in ["the migration 0001_init failed and nothing was changed", "no components today"] {
        assert!(why.contains(word), "{word} is not in {why}");
    }
    assert_eq!(place.sql("SELECT to_regnamespace('farol') IS NULL"), "t", "not even the schema is there");
    place.sql("DROP EVENT TRIGGER trip");
    prepared(&place).await.close().await.unwrap();
    assert_eq!(place.sql("SELECT count(*), max(name) FROM farol.migrations"), "5|0005_muted");
}

/// What the later migrations add, taken away again.
const AS_BEFORE_DOCUMENTS: &str = "
ALTER TABLE farol.status_changes DROP COLUMN muted;
DROP TABLE farol.documents;
DROP FUNCTION farol.count_documents;
ALTER TABLE farol.store DROP COLUMN document_bytes;
DELETE FROM farol.migrations WHERE number > 3";
const AS_BEFORE_BLOCKS: &str = "
DROP TABLE farol.blocks;
DROP FUNCTION farol.count_blocks;
ALTER TABLE farol.store DROP COLUMN raw_bytes, DROP COLUMN five_minutes_bytes, DROP COLUMN one_hour_bytes;
ALTER TABLE farol.boots DROP COLUMN sealed_seq, DROP COLUMN sealed_ms;
ALTER TABLE farol.store DROP COLUMN raw_cut_ms, DROP COLUMN five_minutes_cut_ms, DROP COLUMN one_hour_cut_ms;
DELETE FROM farol.migrations WHERE number > 1";

#[tokio::test]
async fn a_store_of_an_older_program_opens_with_all_that_it_has_and_takes_what_is_new() {
    let databases = Databases::start().await;
    for older in [vec![AS_BEFORE_DOCUMENTS], vec![AS_BEFORE_DOCUMENTS, AS_BEFORE_BLOCKS]] {
        let place = databases.place();
        let store = prepared(&place).await;
        let mut issued = Issued::new();
        takes(&store, &issued.group()).await;
        store.close().await.unwrap();
        older.into_iter().for_each(|sql| drop(place.sql(sql)));
        let store = place.store().await;
        assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
        assert_eq!(store.restore().await.unwrap().documents, []);
        let new = document(DocumentKind::Element, "a", 1, "{}");
        let documents = vec![DocumentChange::Put(new.clone())];
        takes(&store, &Group { documents, ..issued.group() }).await;
        store.close().await.unwrap();
        let store = place.store().await;
        assert_eq!(seqs(&store, 1, 0, i64::MAX).await, issued.all());
        assert_eq!(store.restore().await.unwrap().documents, [new]);
    }
}

#[tokio::test]
async fn of_several_that_start_at_once_one_writes_and_the_others_name_it() {
    let databases = Databases::start().await;
    let place = databases.place();
    let open = || PostgresStore::open(place.settings());
    let opened = futures::future::join_all([open(), open(), open()]).await;
    let (stores, refusals): (Vec<_>, Vec<_>) = opened.into_iter().partition(Result::is_ok);
    assert_eq!(stores.len(), 1, "one writes");
    for refusal in refusals {
        let why = refused(refusal.map(|_| ()));
        for word in ["is written by another monitor: `farol-monitor ", "from 127.0.0.1", "process "] {
            assert!(why.contains(word), "{word} is not in {why}");
        }
    }
    assert_eq!(place.sql("SELECT count(*) FROM farol.migrations"), "5");
    assert_eq!(place.sql("SELECT count(*) FROM farol.store"), "1");
    for store in stores {
        store.unwrap().close().await.unwrap();
    }
    place.store().await.close().await.unwrap();
}

#[tokio::test]
async fn too_many_connections_are_told_and_the_store_opens_when_there_is_room() {
    let server =
        Postgres::start_with(&["max_connections=6", "superuser_reserved_connections=0"]).await.unwrap();
    let databases = Databases::on(server);
    let place = databases.place();
    let hold = || PostgresStore::open(settings(place.server.port(), SUPERUSER, PASSWORD, &place.database));
    let first = prepared(&place).await;
    // Sessions of others, as many as there is room for.
    let mut others = Vec::new();
    let why = loop {
        match databases.session().await {
            Ok(held) => others.push(held),
            Err(why) => break why,
        }
        assert!(others.len() < 10);
    };
    assert!(why.contains("too many clients"), "{why}");
    let why = refused(hold().await.map(|_| ()));
    assert!(why.contains("53300") && why.contains("max_connections"), "{why}");
    // The one that writes has its connection and goes on; a question is refused and no more.
    first.commit(&super::Group::default()).await.unwrap();
    let why = refused(first.agents().await);
    assert!(why.contains("max_connections") || why.contains("gave no connection"), "{why}");
    drop(others);
    first.close().await.unwrap();
}
