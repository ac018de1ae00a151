//! A start that cannot be: a port, a directory or a store that cannot be had.

use super::{BINARIES, Said, flags, folder_with, run};
use anyhow::{Context, Result, ensure};
use farol_tests::process::Process;
use std::net::TcpListener;
use std::path::Path;

/// Starts a binary that must not come up.
async fn start(binary: &str, data: &Path) -> Result<Said> {
    let folder = folder_with("agent.yaml", quiet_agent())?;
    if binary == "farol-agent" {
        let data = data.to_string_lossy().into_owned();
        return run(binary, &["--config", "agent.yaml", "--data-dir", &data], &[], folder.path()).await;
    }
    let flags = flags(data);
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    run(binary, &flags, &[], folder.path()).await
}

fn quiet_agent() -> &'static str {
    "name: x\nlisten: {http: \"127.0.0.1:0\", health: \"127.0.0.1:0\"}\n"
}

#[tokio::test]
async fn a_port_in_use_is_named_with_what_to_do() -> Result<()> {
    let taken = TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    let folder = folder_with("agent.yaml", format!("name: x\nlisten: {{http: \"{address}\"}}\n"))?;
    let words = [address.as_str(), "in use", "choose another port"];
    for binary in ["farol-monitor", "farol"] {
        for (at, flag) in ["--http", "--agents", "--health"].into_iter().enumerate() {
            let mut flags = flags(&folder.path().join(binary));
            flags[2 * at + 1].clone_from(&address);
            let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
            let said = run(binary, &flags, &[], folder.path()).await?;
            said.refuses(1, &words).with_context(|| format!("{binary} {flag}"))?;
        }
    }
    let args = ["--config", "agent.yaml", "--data-dir", "agent"];
    let said = run("farol-agent", &args, &[], folder.path()).await?;
    said.refuses(1, &words).context("farol-agent")
}

#[tokio::test]
async fn a_data_directory_that_cannot_be_written_is_named_with_what_to_do() -> Result<()> {
    let folder = folder_with("file", "not a directory")?;
    let file = folder.path().join("file");
    for binary in BINARIES {
        // Nobody, not even root, makes a directory there.
        for (data, words) in [
            (file.as_path(), "is a file, not a directory"),
            (&file.join("below"), "is a file, not a directory"),
            (Path::new("/proc/farol"), "let this user write to it"),
        ] {
            let said = start(binary, data).await?;
            let name = data.to_string_lossy();
            said.refuses(1, &[&name, words]).context(binary)?;
        }
    }
    ensure!(std::fs::read_to_string(&file)? == "not a directory", "the file is as it was");
    Ok(())
}

#[tokio::test]
async fn a_data_directory_that_is_held_names_who_holds_it() -> Result<()> {
    let folder = folder_with("agent.yaml", quiet_agent())?;
    let config = folder.path().join("agent.yaml").to_string_lossy().into_owned();
    for holder in BINARIES {
        let home = folder.path().join(holder);
        let flags = flags(&home);
        let ports: Vec<&str> = flags[..6].iter().map(String::as_str).collect();
        let args = if holder == "farol-agent" { vec!["--config", config.as_str()] } else { ports };
        let first = Process::start(holder, &args, &home).await?;
        let pid = format!("process {}", first.pid());
        let data = home.join("data");
        for second in BINARIES {
            let said = start(second, &data).await?;
            said.refuses(1, &[&data.to_string_lossy(), holder, &pid, "--data-dir"])
                .with_context(|| format!("{second} after {holder}"))?;
        }
        let ended = first.stop().await?;
        ensure!(ended.code == 0, "{ended:?}");
    }
    Ok(())
}

/// A data directory with a store that was closed in good order.
async fn with_store(folder: &Path) -> Result<std::path::PathBuf> {
    let flags = flags(folder);
    let ports: Vec<&str> = flags[..6].iter().map(String::as_str).collect();
    let ended = Process::start("farol-monitor", &ports, folder).await?.stop().await?;
    ensure!(ended.code == 0, "{ended:?}");
    let file = folder.join("data/farol.db");
    ensure!(file.exists(), "the store is there");
    Ok(file)
}

#[tokio::test]
async fn a_damaged_store_is_refused_and_left_as_it_is() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = with_store(folder.path()).await?;
    let sound = std::fs::read(&file)?;
    let page = usize::from(u16::from_be_bytes([sound[16], sound[17]]));
    ensure!(page >= 512 && sound.len() > 4 * page, "pages of {page} bytes in {}", sound.len());
    let mut pages_lost = sound.clone();
    pages_lost[page..].fill(0xa5);
    let mut head_lost = sound.clone();
    head_lost[..100].fill(0xa5);
    let damages = [
        ("pages lost", pages_lost),
        ("head lost", head_lost),
        ("cut in the middle of a page", sound[..sound.len() / 2 + 1].to_vec()),
        ("another program's text", b"this is no database, whatever its name says\n".repeat(200)),
    ];
    for (name, bytes) in damages {
        std::fs::write(&file, &bytes)?;
        for binary in ["farol-monitor", "farol"] {
            let said = start(binary, &folder.path().join("data")).await?;
            said.refuses(1, &["farol.db"]).with_context(|| format!("{binary}: {name}"))?;
            ensure!(std::fs::read(&file)? == bytes, "{binary}: {name}: the file was changed");
        }
    }
    std::fs::write(&file, &sound)?;
    with_store(folder.path()).await.context("the sound file is taken again")?;
    Ok(())
}

#[tokio::test]
async fn a_newer_store_is_refused_with_its_version() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = with_store(folder.path()).await?;
    let mut bytes = std::fs::read(&file)?;
    // SQLite's header: the user version stands at byte 60.
    bytes[60..64].copy_from_slice(&9_999u32.to_be_bytes());
    std::fs::write(&file, &bytes)?;
    for binary in ["farol-monitor", "farol"] {
        let said = start(binary, &folder.path().join("data")).await?;
        said.refuses(1, &["farol.db", "version 9999", "run the newer Farol"]).context(binary)?;
    }
    ensure!(std::fs::read(&file)? == bytes, "the file is as it was");
    Ok(())
}

#[tokio::test]
async fn a_store_of_another_program_is_refused() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = with_store(folder.path()).await?;
    let mut bytes = std::fs::read(&file)?;
    // The application's id stands at byte 68.
    bytes[68..72].copy_from_slice(&0u32.to_be_bytes());
    std::fs::write(&file, &bytes)?;
    let said = start("farol-monitor", &folder.path().join("data")).await?;
    said.refuses(1, &["farol.db", "another program"])
}

#[tokio::test]
async fn an_operators_token_that_is_none_is_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    with_store(folder.path()).await?;
    std::fs::write(folder.path().join("data/operator.token"), "short")?;
    let said = start("farol-monitor", &folder.path().join("data")).await?;
    said.refuses(1, &["operator.token", "delete it"])
}

#[tokio::test]
async fn certificates_that_are_none_are_told() -> Result<()> {
    let text = "tls: {http: {cert: cert.pem, key: key.pem}}\n";
    let folder = folder_with("c.yaml", text)?;
    let flags = flags(&folder.path().join("data"));
    let mut args = vec!["--config", "c.yaml"];
    args.extend(flags.iter().map(String::as_str));
    let said = run("farol-monitor", &args, &[], folder.path()).await?;
    said.refuses(64, &["c.yaml:1: tls.http.cert: ", "cert.pem", "c.yaml:1: tls.http.key: ", "key.pem"])?;
    std::fs::write(folder.path().join("cert.pem"), "no certificate")?;
    std::fs::write(folder.path().join("key.pem"), "no key")?;
    let said = run("farol-monitor", &args, &[], folder.path()).await?;
    said.refuses(64, &["tls.http.cert", "cert.pem", "tls.http.key", "no unencrypted private key"])
}

#[tokio::test]
async fn an_agents_port_that_believes_strangers_is_warned_of() -> Result<()> {
    for (agents, warned) in [("0.0.0.0:0", true), ("127.0.0.1:0", false)] {
        let folder = folder_with("monitor.yaml", "agents: {insecure: true}\n")?;
        let config = folder.path().join("monitor.yaml").to_string_lossy().into_owned();
        let args =
            ["--config", &config, "--http", "127.0.0.1:0", "--agents", agents, "--health", "127.0.0.1:0"];
        let monitor = Process::start("farol-monitor", &args, folder.path()).await?;
        let ended = monitor.stop().await?;
        let log = &ended.log;
        ensure!(log.contains("whoever reaches this address") == warned, "{agents}: {log}");
        let start = log.lines().find(|line| line.contains("the monitor is ready"));
        let named =
            start.is_some_and(|line| line.contains(&config) && line.contains(env!("CARGO_PKG_VERSION")));
        ensure!(named, "the start names version and file: {log}");
    }
    Ok(())
}
