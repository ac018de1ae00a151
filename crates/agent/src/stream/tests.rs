//! Whole agents against doubles of monitors: order, resume, refusals, ends.

mod double;
mod drains;
mod earlier;
mod renewal;
mod tls;

use super::*;
use crate::config::{Config, Surroundings};
use crate::understanding::Understanding;
use crate::{Agent, Running};
use double::{Arrival, Double, SOON};
use farol_config::Sources;
use farol_health::{Figure, Outcome, Registration, Spec, Status, Unit, check_fn};
use farol_shutdown::{Budgets, ExitReport, Supervisor};
use farol_wire::proto;
use futures::FutureExt;
use futures::future::BoxFuture;
use monitor_message::Kind;
use std::io;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use tokio::task::JoinSet;
use tokio::time::Instant;

/// What the checks of a test say.
#[derive(Clone)]
struct Said(Arc<AtomicU8>);

impl Said {
    fn set(&self, status: Status) {
        self.0.store(status as u8, Ordering::Relaxed);
    }

    fn check(&self, name: &str, figures: usize) -> Registration {
        let interval = Duration::from_millis(50);
        let spec = Spec {
            interval,
            deadline: interval,
            failure_threshold: 1,
            success_threshold: 1,
            ..Spec::new(name, "shop")
        };
        let (said, runs) = (Arc::clone(&self.0), AtomicUsize::new(0));
        Registration::new(
            spec,
            check_fn("test", move || {
                let run = runs.fetch_add(1, Ordering::Relaxed) as f64;
                let status = Status::from_u8(said.load(Ordering::Relaxed)).unwrap();
                let figure =
                    |n| Figure::gauge(format!("figure_{n}"), run * 0.7531 + f64::from(n), Unit::None);
                let mut outcome = Outcome::new(status, "ok", "");
                outcome.figures = (0..figures as u32).map(figure).collect();
                std::future::ready(outcome)
            }),
        )
    }
}

/// An agent that runs, and its supervisor.
struct Alive {
    running: Running,
    handle: Handle,
    said: Said,
    ended: JoinSet<ExitReport>,
}

fn config(monitors: &[SocketAddrText], further: &str) -> Config {
    let list: Vec<_> = monitors.iter().map(|m| format!("\"http://{m}\"")).collect();
    let text = format!(
        "name: web-1\ninterval: 1s\nlisten: {{http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}}\nmonitors: [{}]\n{further}",
        list.join(", ")
    );
    let tree = Sources::new().text("agent.yaml", &text).load().unwrap();
    tree.read(|m| Config::read_alone(m, &Surroundings::default())).unwrap()
}

type SocketAddrText = std::net::SocketAddr;

fn start_with(mut config: Config, figures: usize, connect: Arc<dyn Connect>) -> Alive {
    let said = Said(Arc::new(AtomicU8::new(Status::Healthy as u8)));
    config.checks = vec![said.check("database", figures), said.check("cache", 1)];
    let supervisor = Supervisor::new(Budgets::default());
    let handle = supervisor.handle();
    let running = Agent::bind(config, None, &handle, connect).unwrap().start();
    let mut ended = JoinSet::new();
    ended.spawn(supervisor.run());
    Alive { running, handle, said, ended }
}

fn start(monitors: &[SocketAddrText], further: &str) -> Alive {
    start_with(config(monitors, further), 3, Arc::new(Network::default()))
}

impl Alive {
    async fn end(&mut self) -> ExitReport {
        timeout(SOON * 2, self.ended.join_next()).await.expect("it ends").unwrap().unwrap()
    }

    fn status_of_link(&self) -> (Status, String) {
        let snapshot = self.running.snapshot();
        let view = snapshot.component(link::COMPONENT).unwrap();
        (view.hard, view.reason.to_string())
    }

    /// Waits until no stream is had, for a reason that holds this text.
    async fn fails_with(&self, text: &str) {
        let deadline = Instant::now() + SOON;
        while !self.running.problem().contains(text) {
            assert!(Instant::now() < deadline, "{:?} does not hold {text}", self.running.problem());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn link_says(&self, reason: &str) {
        let deadline = Instant::now() + SOON;
        while self.status_of_link().1 != reason {
            assert!(Instant::now() < deadline, "{:?} is not {reason}", self.status_of_link());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
}

fn lives(arrival: &Arrival) -> usize {
    arrival.heard.order.matches('L').count()
}

#[tokio::test]
async fn a_stream_begins_in_the_protocols_order_and_tells_everything() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "labels: {cluster: eu}");
    let mut stream = double.stream(0).await;
    let hello = stream.hello.clone();
    assert_eq!((hello.agent.as_str(), hello.role()), ("web-1", proto::Role::Host));
    assert_eq!(hello.labels["cluster"], "eu");
    assert_eq!((hello.protocol_min, hello.protocol_max), (1, 1));
    assert_eq!(hello.spooled, [hello.boot.unwrap()]);
    stream.until(|heard| heard.rows.iter().any(|(source, ..)| source == "system")).await;
    stream.until(|heard| heard.rows.iter().any(|(source, ..)| source == "check.database")).await;
    stream.until(|heard| heard.statuses.len() == 2 && heard.renewed.len() == 2).await;
    let order = &stream.heard.order;
    assert!(order.starts_with("DS"), "{order}");
    assert!(!order.contains('B') || order.find('B') < order.find('L'), "{order}");
    assert!(stream.heard.statuses.values().all(|s| s.hard == Status::Healthy as i32));
    let last = *stream.heard.seqs.last().unwrap();
    stream.ack(last).await;
    let deadline = Instant::now() + SOON;
    while alive.running.counts().acked < last {
        assert!(Instant::now() < deadline);
        stream.hear().await;
    }
    assert_eq!(alive.status_of_link(), (Status::Healthy, "ok".to_owned()));
}

#[tokio::test]
async fn what_was_not_acknowledged_comes_again_as_backlog_and_then_live_goes_on() {
    let mut double = Double::start().await;
    let _alive = start(&[double.address], "");
    let mut first = double.stream(0).await;
    first.until(|heard| heard.seqs.len() >= 8).await;
    first.ack(3).await;
    let seen = *first.heard.seqs.last().unwrap();
    first.fail(tonic::Status::unavailable("the monitor is shutting down")).await;
    let mut second = double.stream(5).await;
    second.until(|heard| heard.order.contains('L')).await;
    let order = second.heard.order.clone();
    let opening = order.split('L').next().unwrap();
    assert!(opening.starts_with("DS") && opening.contains('B'), "{order}");
    let mut seqs = second.heard.seqs.clone();
    seqs.dedup();
    assert!(seqs.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{seqs:?}");
    assert!(seqs[0] <= 6 && *seqs.last().unwrap() > seen, "{seqs:?}");
    let asked = second.heard.ack_now[0];
    assert!(asked >= seen && seqs.contains(&asked), "the backlog's last report asks for its acknowledgement");
    assert_eq!(second.heard.keys, 1, "the first live report begins a segment");
    assert!(second.heard.dropped.is_empty());
}

#[tokio::test]
async fn a_status_change_goes_out_at_once() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let mut arrival = double.arrival().await;
    arrival.welcome_with(0, "store-a", 60_000, None).await;
    arrival.until(|heard| heard.rows.iter().any(|(source, ..)| source == "system")).await;
    let rows = arrival.heard.rows.len();
    alive.said.set(Status::Unhealthy);
    arrival.until(|heard| heard.statuses["database"].hard == Status::Unhealthy as i32).await;
    assert_eq!(arrival.heard.rows.len(), rows, "the next tick comes in a minute");
}

#[tokio::test]
async fn a_status_change_overtakes_the_backlog() {
    let mut double = Double::start().await;
    let alive = start_with(config(&[double.address], ""), 4_000, Arc::new(Network::default()));
    let mut stream = double.stream(0).await;
    // Enough unacknowledged to fill every window of the way.
    while alive.running.counts().ring_bytes < 1_700 << 10 {
        stream.hear().await;
    }
    stream.fail(tonic::Status::unavailable("gone")).await;
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('S')).await;
    alive.said.set(Status::Degraded);
    // Nothing is read meanwhile: what comes next must tell of it although the backlog is far from over.
    let deadline = Instant::now() + SOON;
    while alive.running.snapshot().component("database").unwrap().hard != Status::Degraded {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stream.until(|heard| heard.statuses["database"].hard == Status::Degraded as i32).await;
    let order = stream.heard.order.clone();
    assert!(!order.contains('L'), "{order}");
    stream.until(|heard| heard.order.contains('L')).await;
    let after = &stream.heard.order[order.len()..];
    assert!(after.contains('B'), "the backlog went on after that State: {}", stream.heard.order);
}

#[tokio::test]
async fn a_key_frame_is_made_at_once_and_tells_all() {
    let mut double = Double::start().await;
    let _alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.keys == 1).await;
    let before = lives(&stream);
    stream.say(Kind::NeedKeyFrame(proto::NeedKeyFrame {})).await;
    stream.until(|heard| heard.keys >= 2).await;
    assert!(lives(&stream) - before <= 4, "{}", stream.heard.order);
}

#[tokio::test]
async fn a_key_frame_asked_for_soon_after_another_is_made_when_its_time_has_come() {
    let mut double = Double::start().await;
    let _alive = start(&[double.address], "");
    let mut arrival = double.arrival().await;
    // None is made in this time but those that are asked for.
    arrival.welcome_with(0, "store-a", 60_000, None).await;
    arrival.until(|heard| heard.rows.iter().any(|(source, ..)| source == "system")).await;
    let before = arrival.heard.keys;
    arrival.say(Kind::NeedKeyFrame(proto::NeedKeyFrame {})).await;
    arrival.until(|heard| heard.keys > before).await;
    let since = Instant::now();
    for _ in 0..3 {
        arrival.say(Kind::NeedKeyFrame(proto::NeedKeyFrame {})).await;
    }
    arrival.until(|heard| heard.keys > before + 1).await;
    assert!(since.elapsed() < SOON / 2);
    assert_eq!(arrival.heard.keys, before + 2, "one answer for all that came too soon");
}

#[tokio::test]
async fn what_is_refused_is_retired_and_the_rest_goes_on() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.rows.iter().any(|(source, ..)| source == "check.database")).await;
    let series = stream.heard.set.series_ids("figure_2");
    let components = vec![stream.heard.set.component_id("cache").unwrap()];
    assert_eq!(series.len(), 1);
    let refused = proto::Refused { series, components, reason: "too many".to_owned() };
    stream.say(Kind::Refused(refused)).await;
    stream.until(|heard| heard.order.contains('R')).await;
    let rows = stream.heard.rows.len();
    stream.until(|heard| heard.rows.len() > rows + 6).await;
    let after = &stream.heard.rows[rows..];
    assert!(after.iter().all(|(source, _, row)| {
        source != "check.cache" && !row.keys().any(|(name, _)| name == "figure_2")
    }));
    assert!(after.iter().any(|(_, _, row)| row.keys().any(|(name, _)| name == "figure_1")));
    // It may have other limits by now.
    stream.fail(tonic::Status::unavailable("a restart")).await;
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    assert!(stream.heard.set.component_id("cache").is_some(), "the same monitor is asked again");
    drop(alive);
}

#[tokio::test]
async fn goodbye_is_the_first_act_and_the_last_report_is_acknowledged() {
    let mut double = Double::start().await;
    let mut alive = start(&[double.address], "role: pod");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    alive.handle.shutdown("a test");
    stream.until(|heard| heard.order.contains('G')).await;
    stream.hear_all().await;
    let last = *stream.heard.seqs.last().unwrap();
    assert_eq!(stream.heard.ack_now.last(), Some(&last), "{}", stream.heard.order);
    assert_eq!(stream.heard.goodbye, Some(proto::goodbye::Kind::Workload));
    stream.ack(last).await;
    let report = alive.end().await;
    assert_eq!((report.code, report.failures.len()), (0, 0), "{report:?}");
}

#[tokio::test]
async fn an_agent_whose_part_fails_says_that_it_is_failing_whatever_its_role() {
    for role in ["pod", "host"] {
        let mut double = Double::start().await;
        let mut alive = start(&[double.address], &format!("role: {role}"));
        let mut stream = double.stream(0).await;
        stream.until(|heard| heard.order.contains('L')).await;
        alive.handle.spawn("broken", async { Err("a test") });
        stream.until(|heard| heard.order.contains('G')).await;
        assert_eq!(stream.heard.goodbye, Some(proto::goodbye::Kind::Failing), "{role}");
        stream.hear_all().await;
        stream.ack(*stream.heard.seqs.last().unwrap()).await;
        assert_eq!(alive.end().await.code, farol_shutdown::exit::CUT);
    }
}

#[tokio::test]
async fn a_monitor_that_acknowledges_nothing_delays_the_end_by_two_seconds_at_most() {
    let mut double = Double::start().await;
    let mut alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    alive.handle.shutdown("a test");
    let since = Instant::now();
    let report = alive.end().await;
    assert_eq!(report.code, 0, "{report:?}");
    assert!(since.elapsed() < Duration::from_millis(3_500), "{:?}", since.elapsed());
}

#[tokio::test]
async fn an_agent_that_reaches_nobody_ends_at_once() {
    let mut alive =
        start_with(config(&["127.0.0.1:9".parse().unwrap()], ""), 1, Arc::new(Nowhere::default()));
    alive.handle.shutdown("a test");
    let since = Instant::now();
    assert_eq!(alive.end().await.code, 0);
    assert!(since.elapsed() < Duration::from_secs(1));
}

#[tokio::test]
async fn a_refused_agent_stays_away_and_is_degraded() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let arrival = double.arrival().await;
    arrival.fail(tonic::Status::already_exists("two processes speak for this agent")).await;
    alive.link_says("identity_conflict").await;
    assert_eq!(alive.status_of_link().0, Status::Degraded);
    assert!(!double.arrives_within(Duration::from_millis(1_500)).await);
}

#[tokio::test]
async fn an_agent_whose_protocol_is_not_spoken_says_so() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let arrival = double.arrival().await;
    let welcome = proto::Welcome { protocol: 77, ..Default::default() };
    arrival.say(Kind::Welcome(welcome)).await;
    alive.link_says("version_mismatch").await;
}

#[tokio::test]
async fn a_second_store_makes_the_agent_degraded() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let stream = double.stream(0).await;
    stream.fail(tonic::Status::unavailable("gone")).await;
    let mut arrival = double.arrival().await;
    arrival.welcome(0, "store-b").await;
    alive.link_says("second_store").await;
    arrival.until(|heard| heard.order.contains('L')).await;
}

#[tokio::test]
async fn the_monitor_may_ask_for_a_new_stream_and_for_checks() {
    let mut double = Double::start().await;
    let _alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    stream.say(Kind::CheckNow(proto::CheckNow { components: vec![] })).await;
    stream.say(Kind::Reconnect(proto::Reconnect { within_ms: 50, reason: "a test".to_owned() })).await;
    stream.hear_all().await;
    let last = *stream.heard.seqs.last().unwrap();
    stream.ack(last).await;
    drop(stream);
    let mut stream = double.stream(last).await;
    stream.until(|heard| heard.order.contains('L')).await;
    assert!(!stream.heard.seqs.iter().any(|seq| *seq < last.saturating_sub(64)));
}

#[tokio::test]
async fn drain_windows_are_applied_only_where_they_are_accepted() {
    for (further, accepted) in [("accept_drain: true", true), ("", false)] {
        let mut double = Double::start().await;
        let alive = start(&[double.address], further);
        let mut stream = double.stream(0).await;
        stream.until(|heard| heard.order.contains('L')).await;
        let services = vec!["shop".to_owned()];
        stream.say(Kind::Maintenance(proto::Maintenance { services, ..Default::default() })).await;
        stream.say(Kind::NeedKeyFrame(proto::NeedKeyFrame {})).await;
        stream.until(|heard| heard.keys >= 2).await;
        assert_eq!(stream.heard.statuses["database"].maintenance, accepted);
        assert!(!alive.running.snapshot().draining);
        stream.say(Kind::Maintenance(proto::Maintenance { drain: true, ..Default::default() })).await;
        stream.say(Kind::Maintenance(proto::Maintenance { drain: false, ..Default::default() })).await;
        stream.until(|heard| !heard.statuses["database"].maintenance).await;
    }
}

#[tokio::test]
async fn the_monitors_are_taken_in_turn_until_one_answers() {
    let mut double = Double::start().await;
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let _alive = start(&[nobody, other, double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
}

#[tokio::test]
async fn an_acknowledgement_of_what_was_not_sent_frees_nothing() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    stream.ack(u64::MAX).await;
    let other = Some(proto::Boot { number: 1, nonce: 1 });
    stream.say(Kind::Ack(proto::Ack { boot: other, seq: 1 })).await;
    let before = lives(&stream);
    stream.until(|heard| heard.order.matches('L').count() > before + 3).await;
    assert_eq!(alive.running.counts().acked, 0);
}

#[tokio::test]
async fn a_reload_tells_the_monitor_of_its_new_components() {
    let mut double = Double::start().await;
    let alive = start(&[double.address], "");
    let mut stream = double.stream(0).await;
    stream.until(|heard| heard.order.contains('L')).await;
    let mut new = config(&[double.address], "labels: {cluster: us}\naccess: {read: any}");
    new.checks = vec![alive.said.check("cache", 1), alive.said.check("queue", 1)];
    let done = alive.running.reload(new).unwrap();
    assert_eq!((done.checks.added, done.checks.removed), (vec!["queue".into()], vec!["database".into()]));
    assert_eq!(done.checks.kept.len() + done.checks.changed.len(), 2, "the cache and the link");
    assert_eq!(done.needs_restart, ["labels"]);
    stream.until(|heard| heard.statuses.get("queue").is_some_and(|s| s.hard == 2)).await;
    assert_eq!(stream.heard.set.component_id("database"), None);
}

/// A network without anybody: counts who tries.
#[derive(Default)]
struct Nowhere(AtomicUsize);

impl Connect for Nowhere {
    fn connect<'a>(&'a self, _: &'a Monitor) -> BoxFuture<'a, io::Result<Io>> {
        self.0.fetch_add(1, Ordering::Relaxed);
        async { Err(io::Error::from(io::ErrorKind::ConnectionRefused)) }.boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn an_unreachable_monitor_is_tried_ever_more_seldom() {
    let nowhere = Arc::new(Nowhere::default());
    let alive = start_with(
        config(&["127.0.0.1:9".parse().unwrap()], ""),
        1,
        Arc::clone(&nowhere) as Arc<dyn Connect>,
    );
    tokio::time::sleep(Duration::from_secs(600)).await;
    let tries = nowhere.0.load(Ordering::Relaxed);
    // Waits are any part of up to 30 s: 15 s on average, after some short ones.
    assert!((20..=90).contains(&tries), "{tries} tries in ten minutes");
    drop(alive);
}

/// A network of pipes in memory.
struct Pipes(mpsc::Sender<tokio::io::DuplexStream>);

impl Connect for Pipes {
    fn connect<'a>(&'a self, _: &'a Monitor) -> BoxFuture<'a, io::Result<Io>> {
        async move {
            let (ours, theirs) = tokio::io::duplex(64 << 10);
            self.0.send(theirs).await.map_err(io::Error::other)?;
            Ok(Box::new(ours) as Io)
        }
        .boxed()
    }
}

#[tokio::test(start_paused = true)]
async fn a_monitor_that_never_says_welcome_is_left_alone_after_ten_seconds() {
    let (connected, mut pipes) = mpsc::channel(8);
    let monitors = ["127.0.0.1:9".parse().unwrap()];
    let _alive = start_with(config(&monitors, ""), 1, Arc::new(Pipes(connected)));
    let since = Instant::now();
    let _silent = pipes.recv().await.unwrap();
    let _second = pipes.recv().await.unwrap();
    let waited = since.elapsed();
    assert!(waited >= Duration::from_secs(10) && waited < Duration::from_secs(12), "{waited:?}");
}
