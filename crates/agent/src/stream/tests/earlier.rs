//! Reports of earlier starts that a stream does not get: found too late, or on a disk that does not give them.

use super::super::session::READ_WITHIN;
use super::*;
use crate::recorder::Made;
use crate::ring::{Entry, Found, Job, Key, May, Room, Sizes};

const EARLIER: Boot = Boot { number: 1, nonce: 1 };
const NOW: Boot = Boot { number: 2, nonce: 2 };

/// A start without a disk: nobody reads what it asks for.
struct Start {
    recorder: Arc<Recorder>,
    checker: Checker,
    _tasks: JoinSet<()>,
}

impl Start {
    fn report(&self) {
        self.recorder.report(&self.checker.snapshot(), Now::read(), Made::Tick);
    }
}

fn files(entries: &[u64]) -> Vec<Found> {
    let file = |first: &u64| {
        let key = Key { boot: EARLIER, first: *first };
        let entry = Entry { first: *first, last: first + 9, bytes: 100, made_ms: 0, sizes: Sizes::default() };
        Found { key, entry: Some(entry), damaged: false }
    };
    entries.iter().map(file).collect()
}

fn start_streamer(double: &Double, found: Vec<Found>) -> Start {
    let config = config(&[double.address], "");
    let handle = Supervisor::new(Budgets::default()).handle();
    let room = Room { bytes: 1 << 20, age_ms: i64::MAX };
    let recorder = Arc::new(Recorder::new(NOW, 8 << 20, config.interval, &[]).with_spool(room));
    recorder.found(found, None, 0);
    let checker = Checker::new(Vec::new(), Arc::clone(&recorder) as Arc<dyn farol_health::Observer>).unwrap();
    let streamer = Streamer {
        identity: config.identity.clone(),
        boot: NOW,
        monitors: config.monitors.clone(),
        connect: Arc::new(Network::default()),
        recorder: Arc::clone(&recorder),
        checker: checker.clone(),
        link: Link::new(),
        spool: None,
        wished: config.interval,
        interval: watch::Sender::new(config.interval),
        drained: CancellationToken::new(),
        drains: Default::default(),
        handle,
    };
    let mut tasks = JoinSet::new();
    tasks.spawn(streamer.run());
    let start = Start { recorder, checker, _tasks: tasks };
    start.report();
    start
}

fn names(stream: &Arrival) -> bool {
    stream.hello.spooled.contains(&EARLIER.into())
}

#[tokio::test]
async fn what_is_found_on_disk_while_a_stream_is_live_is_brought_by_another_one() {
    let mut double = Double::start().await;
    let start = start_streamer(&double, Vec::new());
    let mut stream = double.stream(0).await;
    assert!(!names(&stream));
    stream.until(|heard| heard.order.contains('B')).await;
    start.report();
    stream.until(|heard| heard.order.contains('L')).await;
    start.recorder.found(files(&[1, 11]), None, 0);
    stream.hear_all().await;
    drop(stream);
    assert!(names(&double.stream(0).await));
}

#[tokio::test]
async fn what_is_found_between_hello_and_welcome_is_brought_by_the_next_stream() {
    let mut double = Double::start().await;
    let start = start_streamer(&double, Vec::new());
    let mut stream = double.arrival().await;
    start.recorder.found(files(&[1, 11]), None, 0);
    stream.welcome(0, "store-a").await;
    stream.hear_all().await;
    assert!(stream.heard.order.contains('B'), "what is its own goes first");
    drop(stream);
    assert!(names(&double.stream(0).await));
}

#[tokio::test]
async fn a_disk_that_hangs_keeps_what_is_new_waiting_for_half_a_minute_at_most() {
    let mut double = Double::start().await;
    let start = start_streamer(&double, files(&[1, 11]));
    let mut stream = double.stream(0).await;
    assert!(names(&stream));
    stream.until(|heard| heard.order.contains('S')).await;
    let may_read = May { write: false, remove: false, read: true, again: true };
    while !matches!(start.recorder.spool_job(0, may_read), Some(Job::Read(_))) {
        timeout(SOON, start.recorder.to_spool.notified()).await.expect("the stream asks for it");
    }
    tokio::time::pause();
    tokio::time::advance(READ_WITHIN).await;
    tokio::time::resume();
    start.report();
    stream.until(|heard| heard.order.contains('B')).await;
    start.report();
    stream.until(|heard| heard.order.contains('L')).await;
    assert_eq!(start.recorder.spooled().past_reports, 20, "they are kept");
    assert!(!double.arrives_within(Duration::from_millis(200)).await, "no stream could bring them now");
}
