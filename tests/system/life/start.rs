//! How a process begins: its data directory is its own, and its ready file appears whole.

use farol_tests::process::{Process, command};
use farol_tests::wait::until;
use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::time::Duration;

const ANY: [&str; 6] = ["--http", "127.0.0.1:0", "--agents", "127.0.0.1:0", "--health", "127.0.0.1:0"];

#[tokio::test]
async fn a_second_process_with_the_same_data_directory_is_told_who_holds_it() {
    let folder = tempfile::tempdir().unwrap();
    let first = Process::start("farol-monitor", &ANY, folder.path()).await.unwrap();
    let data = folder.path().join("data");
    for name in ["farol-monitor", "farol"] {
        let mut second = command(name, &ANY).unwrap();
        let second = second.arg("--data-dir").arg(&data).output();
        let second = tokio::time::timeout(Duration::from_secs(10), second).await.unwrap().unwrap();
        let said =
            format!("{}{}", String::from_utf8_lossy(&second.stdout), String::from_utf8_lossy(&second.stderr));
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("process {}", first.pid())) && said.contains("--data-dir"), "{said}");
    }
    assert_eq!(first.get("/health/ready").await.unwrap().0, 200, "the first one is undisturbed");
    first.kill().await.unwrap();
    let again = Process::start("farol-monitor", &ANY, folder.path()).await.unwrap();
    assert_eq!(again.get("/health/ready").await.unwrap().0, 200, "a dead holder holds nothing");
}

#[tokio::test]
async fn the_ready_file_takes_the_place_of_an_old_one_whole_and_every_address_in_it_answers() {
    for name in ["farol-monitor", "farol"] {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready.json");
        fs::write(&ready, "old").unwrap();
        let mut old = File::open(&ready).unwrap();
        let mut child = command(name, &ANY).unwrap();
        child.arg("--data-dir").arg(folder.path().join("data")).arg("--ready-file").arg(&ready);
        let child = child.spawn().unwrap();
        until("the new ready file", Duration::from_secs(20), async || read(&ready) != "old").await.unwrap();
        let addresses: serde_json::Value = serde_json::from_str(&read(&ready)).unwrap();
        let mut text = String::new();
        old.read_to_string(&mut text).unwrap();
        assert_eq!(text, "old", "the old file was written over in place");
        for key in ["http", "agents", "health"] {
            let address: std::net::SocketAddr = addresses[key].as_str().unwrap().parse().unwrap();
            assert!(address.port() != 0 && address.ip().is_loopback(), "{address}");
            tokio::net::TcpStream::connect(address).await.unwrap();
        }
        for key in ["agent_http", "agent_health"] {
            assert!(addresses[key].is_null(), "{addresses}");
        }
        let http = addresses["http"].as_str().unwrap().parse().unwrap();
        let (code, body) = farol_tests::process::get(http, "/health/ready").await.unwrap();
        assert_eq!(code, 200, "ready says the file, and so says the probe: {body}");
        drop(child);
    }
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).expect("a rename leaves no moment without the file")
}

#[tokio::test]
async fn how_long_each_process_takes_to_be_ready() {
    for name in ["farol-monitor", "farol"] {
        let folder = tempfile::tempdir().unwrap();
        let process = Process::start(name, &ANY, folder.path()).await.unwrap();
        println!("{name} was ready after {:?}", process.took);
        assert!(process.took < Duration::from_secs(5), "{name} took {:?}", process.took);
    }
}
