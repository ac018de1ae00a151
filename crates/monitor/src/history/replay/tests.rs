//! A past in a real store, read while the one that writes it has it open.

use super::*;
use crate::store::{
    AgentKey, AgentRecord, BlockRecord, ComponentKey, ComponentRecord, Durability, Group, Layout, LayoutKey,
    ReportRecord, SqliteStore, read,
};
use farol_health::Status;
use farol_rules::Why;
use farol_series::{Columns, Encoding};
use farol_wire::{Boot, Definition, Role, SeriesDef, SeriesType, SourceDef};
use std::path::Path;

const START_MS: i64 = 1_790_000_000_000;
const BOOT: Boot = Boot { number: 1, nonce: 1 };

fn at(seconds: i64) -> i64 {
    START_MS + seconds * 1_000
}

fn settings() -> config::Store {
    config::Store::Sqlite { path: "farol.db".into(), durability: Durability::Normal }
}

async fn store(dir: &Path) -> SqliteStore {
    let settings = crate::store::Settings { path: dir.join("farol.db"), durability: Durability::Normal };
    SqliteStore::open(settings).await.unwrap()
}

/// One agent whose processors are busy from 100 s to 200 s, sampled each 10 s.
fn group() -> Group {
    let series = SeriesDef {
        id: 1,
        source: 1,
        name: "cpu".to_owned(),
        labels: BTreeMap::new(),
        kind: SeriesType::Gauge,
        encoding: (1, 0),
        unit: String::new(),
    };
    let sources = vec![SourceDef { id: 1, name: "system".to_owned(), interval_ms: 10_000 }];
    let set = Definition { sources, series: vec![series], components: Vec::new() };
    let mut columns = Columns::new(vec![Encoding::Integer]);
    let reports = (1_u64..60).map(|seq| {
        let seconds = seq.cast_signed() * 10;
        let busy = (100..200).contains(&seconds);
        let mut data = Vec::new();
        columns.encode(&[Some(if busy { 95.0 } else { 5.0 })], &mut data).unwrap();
        let blocks = vec![BlockRecord { source: 1, before_ms: 0, data: data.into() }];
        let (agent, layout, at_ms) = (AgentKey(1), LayoutKey(1), at(seconds));
        ReportRecord { agent, boot: BOOT, seq, layout, at_ms, key: seq == 1, blocks }
    });
    Group {
        agents: vec![AgentRecord {
            key: AgentKey(1),
            id: "a".into(),
            role: Role::Host,
            labels: Arc::new([("cluster".to_owned(), "eu".to_owned())].into()),
            version: "1".into(),
            interval_ms: 10_000,
            last_seen_ms: at(600),
            boot: BOOT,
        }],
        layouts: vec![Arc::new(Layout { key: LayoutKey(1), set })],
        reports: reports.collect(),
        components: vec![ComponentRecord {
            key: key(),
            required: true,
            readiness: false,
            ttl_ms: 30_000,
            kind: "tcp".into(),
            hard: Status::Healthy,
            soft: Status::Healthy,
            reason: "ok".into(),
            message: "".into(),
            checked_ms: Some(at(600)),
            changed_ms: at(500),
            stale: false,
        }],
        changes: vec![
            change(-100, Status::Healthy, false),
            change(300, Status::Unhealthy, false),
            change(400, Status::Unknown, true),
            change(450, Status::Unhealthy, false),
            change(540, Status::Healthy, false),
        ],
        blind: vec![(at(320), at(380))],
        ..Group::default()
    }
}

fn key() -> ComponentKey {
    ComponentKey { agent: "a".into(), service: "pay".into(), component: "db".into() }
}

fn change(seconds: i64, status: Status, stale: bool) -> StatusChange {
    let reason = "ok".into();
    let (maintenance, muted) = (false, false);
    StatusChange { key: key(), at_ms: at(seconds), status: Some(status), maintenance, muted, stale, reason }
}

const RULES: &str = "
rules:
  - {name: busy, metric: cpu, match: {cluster: eu}, critical: '> 90', for: 30s}
  - {name: down, component: db, match: {kind: tcp}, for: 60s, depends_on: [{rule: lost, on: [agent]}]}
  - {name: lost, agent: lost}
  - {name: below, service: pay, status: [unhealthy]}
  - {name: asleep, monitor: blind, severity: warning}
";

fn side(text: &str) -> Side {
    let rules = config::rules_in("rules.yaml", text).unwrap();
    Side::new(&config::Alerting { rules, ..config::Alerting::default() }, &BTreeMap::new()).unwrap()
}

fn span() -> Span {
    Span { from_ms: at(0), to_ms: at(1_200), services: BTreeMap::new(), groups: BTreeMap::new() }
}

/// When, why, and of which rule.
fn words(told: &[Told]) -> Vec<(i64, Why, String)> {
    let rule = |told: &Told| told.to.group.get("alertname").map(ToString::to_string).unwrap_or_default();
    told.iter().map(|told| ((told.at_ms - START_MS) / 1_000, told.notice.why, rule(told))).collect()
}

#[tokio::test]
async fn a_stored_past_tells_what_would_have_been_told_live() {
    let dir = tempfile::tempdir().unwrap();
    let writer = store(dir.path()).await;
    writer.commit(&group()).await.unwrap();
    let reader = read(&settings(), dir.path()).await.unwrap();
    let sides = [side(RULES), side("rules: [{name: below, service: pay, status: [unhealthy]}]")];
    let mut shares = Vec::new();
    let retold = retell(&*reader, &span(), &sides, &mut |share| shares.push(share)).await.unwrap();
    let expected = [
        (130, Why::First, "busy"),
        (300, Why::First, "below"),
        (400, Why::First, "lost"),
        // A warning waits for others.
        (410, Why::First, "asleep"),
        // Ends wait for the interval of their group, in which the monitor runs.
        (490, Why::Resolved, "busy"),
        // It is bad for 20 s until the monitor stops, for 20 s until nothing is heard, and for 20 s afterwards: at 470 s. A
        // minute from the end of what it depends on it is told.
        (510, Why::Released, "down"),
        (660, Why::Resolved, "below"),
        (700, Why::Resolved, "lost"),
        (810, Why::Resolved, "down"),
        // What only happens is over when it has not happened again for ten minutes.
        (980, Why::Resolved, "asleep"),
    ];
    assert_eq!(words(&retold.told[0]), expected.map(|(at, why, rule)| (at, why, rule.to_owned())));
    assert_eq!(words(&retold.told[1]).first(), Some(&(300, Why::First, "below".to_owned())));
    assert_eq!((retold.changes, retold.samples, retold.agents), (5, 59, 1));
    assert_eq!(retold.resolution, [(at(0), Level::Raw)]);
    assert_eq!(shares.first(), Some(&0.0));
    // Nothing that reads may write.
    assert!(matches!(reader.commit(&Group::default()).await, Err(StoreError::Refused(_))));
    writer.commit(&Group::default()).await.unwrap();
}

#[tokio::test]
async fn what_is_bad_at_the_beginning_is_told_at_the_beginning() {
    let dir = tempfile::tempdir().unwrap();
    let writer = store(dir.path()).await;
    let changes = vec![change(-100, Status::Healthy, false), change(-50, Status::Unhealthy, false)];
    writer.commit(&Group { changes, ..group() }).await.unwrap();
    let reader = read(&settings(), dir.path()).await.unwrap();
    let sides = [side("rules: [{name: down, component: db}]")];
    let retold = retell(&*reader, &span(), &sides, &mut |_| {}).await.unwrap();
    assert_eq!(words(&retold.told[0]), [(0, Why::First, "down".to_owned())]);
    assert_eq!(retold.firing, [1]);
}

#[tokio::test]
async fn what_is_no_store_is_not_read_and_not_made() {
    let dir = tempfile::tempdir().unwrap();
    let error = read(&settings(), dir.path()).await.err().unwrap();
    assert!(error.to_string().contains("there is no store at"), "{error:#}");
    std::fs::write(dir.path().join("farol.db"), "").unwrap();
    assert!(read(&settings(), dir.path()).await.is_err());
    assert_eq!(std::fs::read(dir.path().join("farol.db")).unwrap(), b"");
}

#[test]
fn a_piece_is_of_one_fineness_and_ends_where_another_begins() {
    let resolution = [(at(0), Level::OneHour), (at(90_000), Level::FiveMinutes), (at(100_000), Level::Raw)];
    let mut pieces = Vec::new();
    let mut from_ms = at(0);
    while from_ms < at(102_000) {
        let fineness = Fineness::at(&resolution, from_ms);
        from_ms = fineness.end(from_ms, at(102_000), &resolution);
        pieces.push(((from_ms - START_MS) / 1_000, fineness.step_ms / 1_000, fineness.at_end));
    }
    let expected = [(90_000, 3_600, true), (100_000, 300, true), (101_800, 1, false), (102_000, 1, false)];
    assert_eq!(pieces, expected);
}
