//! A service with probes, gRPC health and a graceful shutdown. `cargo run --example service --all-features`, then
//! `curl localhost:8080/health/ready`; Ctrl-C ends it in order.

#![allow(clippy::print_stderr, reason = "an example has no logs of its own")]

use farol_health::group::{Group, Groups, Rule};
use farol_health::grpc::{Limits, ProcessStatuses, server};
use farol_health::{Application, Checker, Details, Outcome, Registration, Spec};
use farol_health::{check_fn, group_router, router};
use farol_shutdown::{Budgets, Supervisor, listener, signal};
use std::{error::Error, process::ExitCode, sync::Arc, time::Duration};

/// A check of your own: a failure is an `Outcome`, and one that hangs is cut at its deadline.
async fn queue() -> Outcome {
    let waiting = 3; // Ask your queue.
    match waiting < 1_000 {
        true => Outcome::healthy(),
        false => Outcome::degraded("long", "the queue is long; add a worker"),
    }
}

fn checks() -> Vec<Registration> {
    let every = |name: &str| Spec { interval: Duration::from_secs(5), ..Spec::new(name, "shop") };
    let worker = || check_fn("worker", async || Outcome::healthy());
    vec![
        Registration::new(Spec { readiness: true, ..every("queue") }, check_fn("queue", queue)),
        Registration::new(every("worker-1"), worker()),
        Registration::new(every("worker-2"), worker()),
    ]
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let supervisor = Supervisor::for_process(Budgets::default(), signal::terminations()?)?;
    let handle = supervisor.handle();

    let checker = Checker::new(checks(), Arc::new(()))?;
    let workers = Group::new("workers", ["worker-1", "worker-2"]).rule(Rule::AtLeast(1));
    let groups = Groups::new([workers], &checker.snapshot())?;
    handle.spawn("checks", checker.clone().run(handle.cleaning()));

    let application = Application::new(checker, env!("CARGO_PKG_VERSION"), handle.stopping());
    let statuses = ProcessStatuses::new(application.clone()).with_groups(groups.clone());
    let grpc = server(Arc::new(statuses), handle.draining(), Limits::default());
    let routes = router(application.clone(), Details::Never) // `Loopback` reads `PeerIsLoopback`.
        .merge(group_router(application.clone(), groups))
        .route_service("/grpc.health.v1.Health/{method}", grpc)
        .route("/", axum::routing::get(async || "hello"));

    let socket = listener::bind(std::env::var("LISTEN").unwrap_or("127.0.0.1:8080".into()))?;
    eprintln!("http://{}", socket.local_addr()?);
    let http = listener::serve(socket, routes, listener::Limits::default(), None, &handle, "http");
    handle.spawn("http", http);
    handle.cleanup("queue", Duration::from_secs(1), async || eprintln!("the queue is closed"));
    application.started();
    Ok(supervisor.run().await.exit_code())
}
