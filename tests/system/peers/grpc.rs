//! Python's official `grpcio-health-checking` client on the monitor's health port.

use super::shop::Shop;
use super::{PATIENCE, python, run};
use farol_tests::process::Ended;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};
use tokio::time::timeout;

fn client(command: &str, address: SocketAddr, rest: &[&str]) -> Command {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("system/peers/health_client.py");
    let mut python = Command::new(python());
    python.arg(script).arg(command).arg(address.to_string()).args(rest);
    // A proxy of the environment is not for loopback.
    python.env_clear().env("PATH", "/usr/bin:/bin").kill_on_drop(true);
    python
}

/// The lines that the client prints.
async fn asks(command: &str, address: SocketAddr, rest: &[&str]) -> Vec<String> {
    let done = run(client(command, address, rest), "").await;
    assert_eq!(done.code, Some(0), "{}", done.err);
    done.out.lines().map(str::to_owned).collect()
}

/// An open Watch of the Python client.
struct Watch {
    lines: Lines<BufReader<ChildStdout>>,
    _client: Child,
}

impl Watch {
    fn open(address: SocketAddr, name: &str) -> Self {
        let mut command = client("watch", address, &[name]);
        let mut child = command.stdout(Stdio::piped()).spawn().expect("Python runs");
        let out = child.stdout.take().expect("it is piped");
        Self { lines: BufReader::new(out).lines(), _client: child }
    }

    /// The next message.
    async fn next(&mut self) -> String {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("a message comes");
        line.expect("it can be read").expect("the client goes on")
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_knows_the_process_its_services_components_and_groups() {
    let shop = Shop::open().await;
    let health = shop.farol.address("health");
    let names =
        ["", "shop", "shop/web", "shop@shop-1", "shop/web@shop-1", "group:checkout", "nobody", "group:none"];
    let expected = [
        "=SERVING",
        "shop=SERVING",
        "shop/web=SERVING",
        "shop@shop-1=SERVING",
        "shop/web@shop-1=SERVING",
        "group:checkout=SERVING",
        "nobody=!NOT_FOUND",
        "group:none=!NOT_FOUND",
    ];
    assert_eq!(asks("check", health, &names).await, expected);
    let listed = asks("list", health, &[]).await;
    for name in ["=SERVING", "group:checkout=SERVING", "shop=SERVING"] {
        assert!(listed.iter().any(|line| line == name), "{name} is not in {listed:?}");
    }
    shop.web.set(false);
    shop.becomes("unhealthy").await;
    let expected = ["=SERVING", "shop=NOT_SERVING", "shop/web=NOT_SERVING", "group:checkout=NOT_SERVING"];
    assert_eq!(asks("check", health, &["", "shop", "shop/web", "group:checkout"]).await, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_tells_each_change_once() {
    let shop = Shop::open().await;
    let health = shop.farol.address("health");
    let mut watches = ["shop", "shop/web", "group:checkout"].map(|name| Watch::open(health, name));
    for (up, status) in [(true, "SERVING"), (false, "NOT_SERVING"), (true, "SERVING")] {
        shop.web.set(up);
        for watch in &mut watches {
            assert_eq!(watch.next().await, status);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watch_of_an_unknown_name_stays_open_until_it_is_known() {
    let shop = Shop::open().await;
    let mut watch = Watch::open(shop.farol.address("health"), "later");
    assert_eq!(watch.next().await, "SERVICE_UNKNOWN");
    shop.declare("{shop: {}, later: {}}");
    assert_eq!(watch.next().await, "UNKNOWN");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_told_to_watchers_and_does_not_wait_for_them() {
    let shop = Shop::open().await;
    let mut watch = Watch::open(shop.farol.address("health"), "shop");
    assert_eq!(watch.next().await, "SERVING");
    let Ended { code, log, .. } = shop.farol.stop().await.expect("it ends");
    assert_eq!(code, 0, "{log}");
    assert_eq!(watch.next().await, "NOT_SERVING");
    let end = watch.next().await;
    assert!(["!UNAVAILABLE", "!END", "!CANCELLED"].contains(&end.as_str()), "{end}");
}
