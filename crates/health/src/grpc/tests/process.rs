//! A process that answers for itself.

use super::{next, serve, watch_name};
use crate::group::{Group, Groups};
use crate::grpc::pb::health_check_response::ServingStatus as Wire;
use crate::grpc::{ProcessStatuses, ServingStatus, Statuses};
use crate::probe::Source;
use crate::{ComponentView, Dependency, Snapshot, Status, clock};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;

/// A process with two services of which one depends on a database.
struct Process {
    snapshot: Mutex<Arc<Snapshot>>,
    started: AtomicBool,
    stopping: AtomicBool,
    changed: watch::Sender<u64>,
}

impl Source for Process {
    fn snapshot(&self) -> Arc<Snapshot> {
        Arc::clone(&self.snapshot.lock())
    }
    fn heartbeat_ms(&self) -> u64 {
        clock::boot_ms()
    }
    fn born_ms(&self) -> u64 {
        0
    }
    fn started(&self) -> bool {
        self.started.load(Ordering::Relaxed)
    }
    fn stopping(&self) -> bool {
        self.stopping.load(Ordering::Relaxed)
    }
    fn version(&self) -> &str {
        "1.0.0"
    }
    fn changed(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }
}

fn component(service: &str, name: &str, hard: Status) -> ComponentView {
    ComponentView {
        name: name.into(),
        service: service.into(),
        kind: "tcp",
        required: true,
        readiness: false,
        dependency: Dependency::Other,
        hard,
        soft: hard,
        reason: "ok".into(),
        message: "".into(),
        figures: Arc::new([]),
        metadata: Arc::new([]),
        response_time: None,
        checked_ms: Some(clock::boot_ms()),
        checked_at: None,
        changed_at: jiff::Timestamp::now(),
        ttl_ms: 60_000,
        maintenance: false,
    }
}

fn process(components: Vec<ComponentView>) -> Arc<Process> {
    let components = components.into_iter().map(Arc::new).collect();
    Arc::new(Process {
        snapshot: Mutex::new(Arc::new(Snapshot { components, ..Snapshot::default() })),
        started: AtomicBool::new(true),
        stopping: AtomicBool::new(false),
        changed: watch::channel(0).0,
    })
}

#[test]
fn a_process_answers_for_itself_its_services_and_their_components() {
    use ServingStatus::{NotServing, Serving, Unknown};
    let process = process(vec![
        ComponentView { readiness: true, ..component("shop", "database", Status::Degraded) },
        ComponentView { required: false, ..component("shop", "cache", Status::Unhealthy) },
        component("mail", "smtp", Status::Starting),
        ComponentView { ttl_ms: 0, checked_ms: Some(1), ..component("old", "disk", Status::Healthy) },
        ComponentView { maintenance: true, ..component("parked", "queue", Status::Healthy) },
    ]);
    let groups = [Group::new("all", ["database", "cache"]), Group::new("parked", ["queue"])];
    let groups = Groups::new(groups, &process.snapshot.lock()).unwrap();
    let statuses = ProcessStatuses::new(process.clone()).with_groups(groups);
    let cases = [
        ("", Some(Serving)),
        ("shop", Some(Serving)),
        ("shop/database", Some(Serving)),
        ("shop/cache", Some(NotServing)),
        ("mail", Some(NotServing)),
        ("mail/smtp", Some(NotServing)),
        ("old", Some(Unknown)),
        ("old/disk", Some(Unknown)),
        ("parked", Some(NotServing)),
        ("parked/queue", Some(NotServing)),
        ("group:all", Some(NotServing)),
        ("group:parked", Some(NotServing)),
        ("group:none", None),
        ("all", None),
        ("mail/database", None),
        ("database", None),
        ("shop/", None),
        ("/", None),
        ("shop/database/x", None),
    ];
    for (name, expected) in cases {
        assert_eq!(statuses.check(name), expected, "{name}");
    }
    let names = |status: &[(&str, ServingStatus)]| {
        status.iter().map(|(name, status)| ((*name).to_owned(), *status)).collect::<Vec<_>>()
    };
    let listed = [
        ("", Serving),
        ("shop", Serving),
        ("mail", NotServing),
        ("old", Unknown),
        ("parked", NotServing),
        ("group:all", NotServing),
        ("group:parked", NotServing),
    ];
    assert_eq!(statuses.list(), names(&listed));

    process.started.store(false, Ordering::Relaxed);
    assert_eq!((statuses.check(""), statuses.check("shop")), (Some(NotServing), Some(Serving)));
    process.started.store(true, Ordering::Relaxed);
    process.stopping.store(true, Ordering::Relaxed);
    assert!(statuses.list().iter().all(|(_, status)| *status == NotServing), "{:?}", statuses.list());
    for (name, expected) in cases {
        assert_eq!(statuses.check(name), expected.map(|_| NotServing), "{name} while stopping");
    }
    process.stopping.store(false, Ordering::Relaxed);
    Arc::make_mut(&mut process.snapshot.lock()).draining = true;
    assert_eq!((statuses.check(""), statuses.check("shop")), (Some(NotServing), Some(NotServing)));
    assert_eq!(statuses.check("nobody"), None);
}

#[tokio::test]
async fn a_stopping_process_says_not_serving_before_its_watches_end() {
    let process = process(vec![component("shop", "database", Status::Healthy)]);
    let served = serve(Arc::new(ProcessStatuses::new(process.clone()))).await;
    let mut client = served.client().await;
    let mut watches = Vec::new();
    for name in ["", "shop", "shop/database"] {
        let mut watch = watch_name(&mut client, name).await;
        assert_eq!(next(&mut watch).await, Some(Wire::Serving), "{name}");
        watches.push(watch);
    }
    process.stopping.store(true, Ordering::Relaxed);
    served.draining.cancel();
    for watch in &mut watches {
        assert_eq!(next(watch).await, Some(Wire::NotServing));
        assert_eq!(next(watch).await, None);
    }
}
