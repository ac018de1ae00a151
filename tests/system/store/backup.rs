//! `farol backup` and `farol restore` on real stores under real monitors: what was acknowledged before a copy began is in
//! it, and nothing is overwritten unasked.

use super::documents::{all, commit, document};
use super::in_postgres::{Databases, InPostgres};
use farol_monitor::store::{DocumentChange, DocumentKind, Retention, Settings, SqliteStore, Store};
use farol_tests::postgres::{PASSWORD, SUPERUSER};
use farol_tests::process::{self, Process};
use farol_tests::speaker::{Person, Speaker};
use futures::FutureExt;
use futures::future::BoxFuture;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::Arc;
use tempfile::TempDir;
use tokio::process::Command;

const LISTEN: &str = "listen: {http: \"127.0.0.1:0\", agents: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\n";

/// A folder with a monitor's file.
pub(super) struct Place {
    dir: TempDir,
}

impl Place {
    pub(super) fn new(store: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("monitor.yaml"), format!("{LISTEN}{store}")).unwrap();
        Self { dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(super) async fn monitor(&self) -> Process {
        let config = self.path("monitor.yaml");
        let args = ["--config", config.to_str().unwrap()];
        Process::start("farol-monitor", &args, self.dir.path()).await.unwrap()
    }

    /// A subcommand on this store.
    fn farol(&self, subcommand: &str, file: &Path, more: &[&str]) -> Command {
        let mut command = process::command("farol", &[subcommand]).unwrap();
        command.arg(file).arg("--config").arg(self.path("monitor.yaml"));
        command.arg("--data-dir").arg(self.path("data")).args(more);
        command
    }

    async fn runs(&self, subcommand: &str, file: &Path, more: &[&str]) -> String {
        let output = self.farol(subcommand, file, more).output().await.unwrap();
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    async fn is_refused(&self, subcommand: &str, file: &Path, more: &[&str], words: &[&str]) {
        refused(&self.farol(subcommand, file, more).output().await.unwrap(), words);
    }
}

fn refused(output: &Output, words: &[&str]) {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{text}");
    assert!(!text.contains(PASSWORD), "the password is told: {text}");
    words.iter().for_each(|word| assert!(text.contains(word), "{word} is not in: {text}"));
}

fn in_postgres(place: &InPostgres<'_>) -> String {
    let (port, name) = (place.server.port(), &place.database);
    format!("store: {{postgres: {{port: {port}, name: {name}, user: {SUPERUSER}, password: {PASSWORD}}}}}\n")
}

/// Reports one after another, each acknowledged before the next.
pub(super) struct Talk {
    person: Person,
    speaker: Speaker,
    /// The last that was reported.
    pub(super) seq: u64,
}

impl Talk {
    pub(super) async fn with(monitor: &Process) -> Self {
        let person = Person::new("alpha");
        let speaker = Speaker::open(monitor.address("agents"), &person).await.unwrap();
        speaker.define(&Person::definition("shop")).await.unwrap();
        speaker.state(0, farol_health::Status::Healthy).await.unwrap();
        Self { person, speaker, seq: 0 }
    }

    pub(super) async fn report(&mut self) {
        self.try_report().await.unwrap();
    }

    pub(super) async fn try_report(&mut self) -> anyhow::Result<()> {
        self.seq += 1;
        let now = farol_health::clock::boot_ms();
        self.speaker.report(self.seq, now, [self.seq as f64; 2], true).await?;
        self.speaker.acknowledged(self.seq).await.map(drop)
    }
}

/// The store's id and how far the talk's boot is, as a monitor tells it.
pub(super) async fn told(monitor: &Process, talk: &Talk) -> (String, u64) {
    let again = Speaker::open(monitor.address("agents"), &talk.person).await.unwrap();
    let known = (again.welcome.store_id.clone(), again.resume_after(talk.person.boot));
    again.close().await.unwrap();
    known
}

/// How many samples and their sum history has of the talk.
pub(super) async fn history(monitor: &Process, reduce: &str) -> f64 {
    let path = format!("/api/v1/history?metric=spoken_value&agent=alpha&from=-10m&step=20m&reduce={reduce}");
    let answer = monitor.json(&path).await.unwrap();
    let values = answer["items"][0]["values"].as_array().cloned().unwrap_or_default();
    values.iter().filter_map(serde_json::Value::as_f64).sum()
}

/// Copies under load, restores elsewhere, and finds there all that was acknowledged before.
async fn a_copy_holds_what_was_acknowledged(from: &Place, to: &Place) {
    let monitor = from.monitor().await;
    let mut talk = Talk::with(&monitor).await;
    for _ in 0..20 {
        talk.report().await;
    }
    let (file, before) = (from.path("copy"), talk.seq);
    let mut backup = from.farol("backup", &file, &[]).spawn().unwrap();
    let status = loop {
        talk.report().await;
        if let Some(status) = backup.try_wait().unwrap() {
            break status;
        }
    };
    assert_eq!(status.code(), Some(0));
    let (store_id, acknowledged) = (talk.speaker.welcome.store_id.clone(), talk.seq);
    assert!(acknowledged > before, "nothing was reported meanwhile");

    let said = to.runs("restore", &file, &[]).await;
    assert!(said.contains(&store_id), "{said}");
    let restored = to.monitor().await;
    let (id, resume) = told(&restored, &talk).await;
    assert_eq!(id, store_id, "it is the same store");
    assert!((before..=acknowledged).contains(&resume), "{resume} of {before}..={acknowledged}");
    assert_eq!(history(&restored, "count").await, resume as f64);
    assert_eq!(history(&restored, "sum").await, (resume * (resume + 1) / 2) as f64);
    assert_eq!(restored.stop().await.unwrap().code, 0);
    assert_eq!(history(&monitor, "count").await, acknowledged as f64, "the first goes on");
}

#[tokio::test]
async fn a_copy_of_sqlite_under_load_holds_all_that_was_acknowledged_before() {
    a_copy_holds_what_was_acknowledged(&Place::new(""), &Place::new("")).await;
}

#[tokio::test]
async fn a_copy_of_postgresql_under_load_holds_all_that_was_acknowledged_before() {
    let databases = Databases::start().await;
    let (from, to) = (databases.place(), databases.place());
    a_copy_holds_what_was_acknowledged(&Place::new(&in_postgres(&from)), &Place::new(&in_postgres(&to)))
        .await;
}

/// Fills the one, and looks into the other, which is a copy.
async fn a_copy_holds_documents(from: &Place, to: &Place, stores: [&dyn super::Place; 2]) {
    let kinds = DocumentKind::ALL.into_iter();
    let documents: Vec<_> = kinds.map(|kind| document(kind, "a/\0/ü", 5, "{\"now\":\0}")).collect();
    let store = stores[0].open().await;
    commit(&*store, documents.iter().cloned().map(DocumentChange::Put).collect()).await;
    store.close().await.unwrap();
    let file = from.path("copy");
    from.runs("backup", &file, &[]).await;
    to.runs("restore", &file, &[]).await;
    let store = stores[1].open().await;
    for document in documents {
        assert_eq!(all(&*store, document.kind).await, [document]);
    }
    let until_deleted = DocumentKind::ALL.iter().filter(|kind| kind.kept_ms().is_none()).count();
    assert_eq!(store.restore().await.unwrap().documents.len(), until_deleted);
    // It counts on from there.
    commit(&*store, vec![DocumentChange::Delete { kind: DocumentKind::Element, key: "a/\0/ü".into() }]).await;
    while store.tidy(1_000_000, &Retention::default()).await.unwrap().more {}
    assert_eq!(store.sizes().documents, (DocumentKind::ALL.len() as u64 - 1) * (64 + 6 + 9));
    store.close().await.unwrap();
}

/// The file that a monitor makes in its directory.
struct InDirectory(PathBuf);

impl super::Place for InDirectory {
    fn open(&self) -> BoxFuture<'_, Arc<dyn Store>> {
        async {
            let settings = Settings { path: self.0.clone(), durability: super::Durability::Normal };
            Arc::new(SqliteStore::open(settings).await.unwrap()) as Arc<dyn Store>
        }
        .boxed()
    }
}

#[tokio::test]
async fn a_copy_of_sqlite_holds_documents() {
    let (from, to) = (Place::new(""), Place::new(""));
    let stores = [&from, &to].map(|place| InDirectory(place.path("data/farol.db")));
    a_copy_holds_documents(&from, &to, [&stores[0], &stores[1]]).await;
}

#[tokio::test]
async fn a_copy_of_postgresql_holds_documents() {
    let databases = Databases::start().await;
    let (from, to) = (databases.place(), databases.place());
    let places = [&from, &to].map(|place| Place::new(&in_postgres(place)));
    a_copy_holds_documents(&places[0], &places[1], [&from, &to]).await;
}

#[tokio::test]
async fn nothing_in_a_directory_is_overwritten_unasked_and_a_damaged_copy_changes_nothing() {
    let place = Place::new("");
    let file = place.path("copy");
    place.is_refused("backup", &file, &[], &["there is no store at", "--data-dir"]).await;
    let monitor = place.monitor().await;
    let mut talk = Talk::with(&monitor).await;
    talk.report().await;
    place.runs("backup", &file, &[]).await;
    use std::os::unix::fs::PermissionsExt;
    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    place.is_refused("backup", &file, &[], &["exists", "--force"]).await;
    place.runs("backup", &file, &["--force"]).await;
    for more in [&[][..], &["--force"]] {
        place.is_refused("restore", &file, more, &["held by farol-monitor, process"]).await;
    }
    talk.report().await;
    monitor.kill().await.unwrap();

    // A bit in the middle of a page, the end, and another file altogether.
    let good = std::fs::read(&file).unwrap();
    let mut flipped = good.clone();
    flipped[4096 + 1] ^= 0x40;
    for (bytes, words) in [
        (&flipped[..], &["damaged"][..]),
        (&good[..good.len() - 4096], &["damaged"]),
        (b"something else", &["no copy that `farol backup` made"]),
        (b"PGDMP\x01", &["a copy of a PostgreSQL store"]),
    ] {
        let bad = place.path("bad");
        std::fs::write(&bad, bytes).unwrap();
        place.is_refused("restore", &bad, &["--force"], words).await;
    }
    place.is_refused("restore", &file, &[], &["a store is there", "--force"]).await;
    assert_eq!(partials(&place.path("data")), 0, "half a copy was left");
    let said = place.runs("restore", &file, &["--force"]).await;
    assert!(said.contains("the old one is") && said.contains("farol.db.before-"), "{said}");

    // The second report came after the copy; it is in what was set aside, log and all.
    let monitor = place.monitor().await;
    assert_eq!(told(&monitor, &talk).await.1, 1);
    monitor.stop().await.unwrap();
    let aside = said.trim().rsplit(' ').next().unwrap();
    let old = Place::new(&format!("store: {{sqlite: {{path: \"{aside}\"}}}}\n"));
    let monitor = old.monitor().await;
    assert_eq!(told(&monitor, &talk).await.1, 2);
}

fn partials(dir: &Path) -> usize {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name());
    names.filter(|name| name.to_string_lossy().ends_with(".partial")).count()
}

#[tokio::test]
async fn nothing_in_a_database_is_overwritten_unasked() {
    let databases = Databases::start().await;
    let database = databases.place();
    let place = Place::new(&in_postgres(&database));
    let file = place.path("copy");
    place.is_refused("backup", &file, &[], &["there is no store in PostgreSQL at"]).await;
    let monitor = place.monitor().await;
    let mut talk = Talk::with(&monitor).await;
    talk.report().await;
    let without_programs = place.farol("backup", &file, &[]).env("PATH", place.dir.path()).output().await;
    refused(&without_programs.unwrap(), &["pg_dump is not installed", "postgresql-client"]);
    assert_eq!(partials(place.dir.path()), 0, "half a copy was left");
    place.runs("backup", &file, &[]).await;
    place
        .is_refused("restore", &file, &["--force"], &["is written by another monitor", "farol-monitor"])
        .await;
    talk.report().await;
    monitor.stop().await.unwrap();
    place.is_refused("restore", &file, &[], &["a store is in PostgreSQL at", "--force"]).await;

    // A dump that ends in the middle: the old schema is in its place again.
    let bytes = std::fs::read(&file).unwrap();
    let cut = place.path("cut");
    std::fs::write(&cut, &bytes[..bytes.len() / 2]).unwrap();
    place.is_refused("restore", &cut, &["--force"], &["pg_restore failed"]).await;
    let monitor = place.monitor().await;
    assert_eq!(told(&monitor, &talk).await.1, 2);
    monitor.stop().await.unwrap();

    let said = place.runs("restore", &file, &["--force"]).await;
    assert!(said.contains("the old one is the schema farol_before_"), "{said}");
    let monitor = place.monitor().await;
    assert_eq!(told(&monitor, &talk).await.1, 1);
    assert_eq!(database.sql("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'farol%'"), "2");
}

#[tokio::test]
async fn an_estimate_reads_a_store_in_use() {
    let place = Place::new("");
    let monitor = place.monitor().await;
    Talk::with(&monitor).await.report().await;
    let mut command = process::command("farol", &["store", "estimate", "--json", "--data-dir"]).unwrap();
    let output = command.arg(place.path("data")).output().await.unwrap();
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(told["store_bytes"].as_u64().unwrap() >= 4_096, "{told}");
    assert!(told["disk_bytes"].as_u64().unwrap() > 1_000_000, "{told}");
    assert_eq!(told["measured"], false, "nothing is sealed so soon");
    let nowhere =
        process::command("farol", &["store", "estimate", "--data-dir", "/nowhere"]).unwrap().output().await;
    refused(&nowhere.unwrap(), &["there is no store at /nowhere/farol.db"]);
}

#[tokio::test]
async fn an_estimate_says_what_a_sample_takes_in_this_store_and_keeps_what_its_file_keeps() {
    use farol_monitor::store::PostgresStore;

    let databases = Databases::start().await;
    let database = databases.place();
    let url = format!(
        "postgres://{SUPERUSER}:{PASSWORD}@127.0.0.1:{}/{}",
        database.server.port(),
        database.database
    );
    let keeping = "retention: {raw: 3d}, budget: 7GB";
    for (keys, with_postgres) in [
        (format!("store: {{sqlite: {{path: some.db}}, {keeping}}}\n"), false),
        (format!("store: {{postgres: {{url: \"{url}\"}}, {keeping}}}\n"), true),
    ] {
        let place = Place::new(&keys);
        let estimate = async |more: &[&str]| -> serde_json::Value {
            let mut command =
                process::command("farol", &["store", "estimate", "--json", "--config"]).unwrap();
            command.arg(place.path("monitor.yaml")).args(more).current_dir(place.path(""));
            let output = command.output().await.unwrap();
            assert_eq!(output.status.code(), Some(0), "{output:?}");
            serde_json::from_slice(&output.stdout).unwrap()
        };
        if !with_postgres {
            assert_eq!(estimate(&[]).await["store_bytes"], serde_json::Value::Null, "it is still to be made");
        }
        let store: Box<dyn Store> = if with_postgres {
            Box::new(PostgresStore::open(database.settings()).await.unwrap())
        } else {
            let settings =
                Settings { path: place.path("data/some.db"), durability: super::Durability::Normal };
            Box::new(SqliteStore::open(settings).await.unwrap())
        };
        let (samples, bytes) = super::sealed::fill(&*store).await;
        store.close().await.unwrap();
        let data = place.path("data");
        let told = estimate(&["--data-dir", data.to_str().unwrap(), "--raw", "2d"]).await;
        assert_eq!(told["measured"], true, "{told}");
        assert_eq!(told["bytes_per_sample"].as_f64().unwrap(), bytes as f64 / samples as f64);
        assert_eq!(told["budget_bytes"], 7_000_000_000_u64);
        assert_eq!(told["parts"][1]["kept_seconds"], 2 * 86_400);
        let told = estimate(&["--data-dir", data.to_str().unwrap()]).await;
        assert_eq!(told["parts"][1]["kept_seconds"], 3 * 86_400);
    }
}
