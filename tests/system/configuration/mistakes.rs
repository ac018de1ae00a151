//! What a file, the environment or the command line may get wrong.

use super::{BINARIES, check, folder_with, run};
use anyhow::{Context, Result, ensure};

/// `farol.yaml` nests what `monitor.yaml` says at its root.
fn of_monitor(binary: &str, text: &str) -> String {
    if binary == "farol" { format!("monitor:\n{}", indented(text)) } else { text.to_owned() }
}

fn of_agent(binary: &str, text: &str) -> String {
    if binary == "farol" { format!("agent:\n{}", indented(text)) } else { text.to_owned() }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

const SIX_OF_MONITOR: &str = "\
listen:
  http: \"127.0.0.1:99999\"
  health: nonsense
services: {payments: {at_least: two}}
groups:
  checkout: [payments, nobody]
detials: always
store: {sqlite: {durability: forever}}
";

const SIX_OF_AGENT: &str = "\
name: \"a b\"
interval: 5 parsecs
labels: {\"no-dash\": x}
checks:
  - {name: database, service: shop, tcp: {address: \"127.0.0.1:1\"}, interval: 0s}
  - {name: database, service: shop, tcp: {address: \"127.0.0.1:1\"}}
  - {name: other, carrier_pigeon: {}}
intervall: 3s
";

/// Each mistake: its line in the text, its key, a word of what is wrong or to do.
type Mistakes = [(usize, &'static str, &'static str)];

async fn are_all_told(
    binary: &str,
    text: &str,
    nested: usize,
    prefix: &str,
    mistakes: &Mistakes,
) -> Result<()> {
    let said = check(binary, text).await?;
    said.refuses(64, &[]).context(binary.to_owned())?;
    for (line, key, word) in mistakes {
        let place = format!("c.yaml:{}: {prefix}{key}: ", line + nested);
        let mut lines = said.err.lines().map(|told| told.strip_prefix("farol: ").unwrap_or(told));
        let told = lines.find(|told| told.starts_with(&place) && told.contains(word));
        ensure!(told.is_some(), "{binary}: `{place}… {word}` was expected:\n{}", said.err);
    }
    ensure!(said.err.lines().count() == mistakes.len(), "one line each:\n{}", said.err);
    Ok(())
}

#[tokio::test]
async fn all_mistakes_of_a_file_are_told_at_once_with_line_and_key() -> Result<()> {
    let of_monitors = [
        (2, "listen.http", "write for instance"),
        (3, "listen.health", "write for instance"),
        (4, "services.payments.at_least", "whole number"),
        (6, "groups", "declare it there"),
        (7, "detials", "did you mean `details`"),
        (8, "store.sqlite.durability", "`normal`"),
    ];
    let of_agents = [
        (1, "name", "letters"),
        (2, "interval", "write for instance `10s`"),
        (3, "labels.no-dash", "label"),
        (5, "checks[0].interval", "0s"),
        (6, "checks[1].name", "choose another"),
        (7, "checks[2]", "`postgres`"),
        (7, "checks[2].carrier_pigeon", "unknown key"),
        (8, "intervall", "did you mean `interval`"),
    ];
    are_all_told("farol-monitor", SIX_OF_MONITOR, 0, "", &of_monitors).await?;
    are_all_told("farol-agent", SIX_OF_AGENT, 0, "", &of_agents).await?;
    are_all_told("farol", &of_monitor("farol", SIX_OF_MONITOR), 1, "monitor.", &of_monitors).await?;
    are_all_told("farol", &of_agent("farol", SIX_OF_AGENT), 1, "agent.", &of_agents).await
}

#[tokio::test]
async fn a_file_that_is_no_yaml_is_refused_with_the_place() -> Result<()> {
    let deep = format!("a: {}1{}", "[".repeat(200), "]".repeat(200));
    let bomb = "a: &a [x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b]\n\
                d: &d [*c,*c,*c,*c,*c,*c,*c,*c]\ne: &e [*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e]\n\
                g: [*f,*f,*f,*f,*f,*f,*f,*f,*f,*f,*f,*f]\n";
    let huge = format!("# {}\n", "x".repeat(2 << 20));
    let cases: [(&str, &[u8], &str); 9] = [
        ("open brackets", b"a: [1\nb: }", "c.yaml:2"),
        ("a tab", b"listen:\n\thttp: x\n", "c.yaml:2"),
        ("the same key twice", b"details: always\ndetails: never\n", "c.yaml:2"),
        ("a list", b"- a\n- b\n", "c.yaml:1"),
        ("a word", b"hello", "c.yaml:1"),
        ("no UTF-8", b"a: \xff\xfe\n", "UTF-8"),
        ("too deep", deep.as_bytes(), "c.yaml"),
        ("a bomb of aliases", bomb.as_bytes(), "c.yaml"),
        ("two megabytes", huge.as_bytes(), "1024 KiB"),
    ];
    for binary in BINARIES {
        for (name, text, word) in cases {
            let said = check(binary, text).await?;
            said.refuses(64, &[word]).with_context(|| format!("{binary}: {name}"))?;
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_file_that_is_not_there_and_a_flag_that_is_not_one_are_told() -> Result<()> {
    let folder = tempfile::tempdir()?;
    for binary in BINARIES {
        for how in ["--check-config", "--dump-config"] {
            let said = run(binary, &["--config", "nowhere.yaml", how], &[], folder.path()).await?;
            said.refuses(64, &["nowhere.yaml: does not exist"]).context(binary)?;
        }
        let started = run(binary, &["--config", "nowhere.yaml"], &[], folder.path()).await?;
        started.refuses(64, &["nowhere.yaml: does not exist"]).context(binary)?;
        let flag = run(binary, &["--colour", "red"], &[], folder.path()).await?;
        flag.refuses(64, &["--colour", "--help"]).context(binary)?;
        let folder_as_file = run(binary, &["--config", ".", "--check-config"], &[], folder.path()).await?;
        folder_as_file.refuses(64, &["."]).context(binary)?;
    }
    Ok(())
}

#[tokio::test]
async fn a_sound_file_is_said_to_be_sound() -> Result<()> {
    for binary in BINARIES {
        let text = match binary {
            "farol-monitor" => "services: {shop: {at_least: 2}}\ngroups: {all: [shop]}\n".to_owned(),
            "farol-agent" => {
                "name: x\nchecks: [{name: a, service: shop, tcp: {address: \"127.0.0.1:1\"}}]\n".to_owned()
            }
            _ => "monitor: {services: {shop: {}}}\nagent: {name: x}\n".to_owned(),
        };
        let said = check(binary, &text).await?;
        ensure!(said.code == 0 && said.err.is_empty(), "{binary}: {said:?}");
    }
    Ok(())
}

#[tokio::test]
async fn a_dump_hides_secrets_names_sources_and_can_be_read_again() -> Result<()> {
    let checks = "\
name: x
checks:
  - {name: db, service: shop, postgres: {url: \"postgres://app:hunter2@127.0.0.1/app\"}}
  - {name: cache, service: shop, redis: {url: \"redis://127.0.0.1:1\", password: sesame}}
";
    for binary in ["farol-agent", "farol"] {
        let folder = folder_with("c.yaml", of_agent(binary, checks))?;
        let env = [("FAROL_AGENT__SERVICE", "from-env")];
        let said = run(binary, &["--config", "c.yaml", "--dump-config"], &env, folder.path()).await?;
        ensure!(said.code == 0, "{said:?}");
        ensure!(!said.out.contains("hunter2") && !said.out.contains("sesame"), "{}", said.out);
        for word in ["***", "# from c.yaml:", "# from FAROL_AGENT__SERVICE", "# from default"] {
            ensure!(said.out.contains(word), "{binary}: `{word}` was expected: {}", said.out);
        }
        let again = check(binary, &said.out).await?;
        ensure!(again.code == 0, "{binary}: {again:?}\n{}", said.out);
    }
    let folder = folder_with("c.yaml", "services: {shop: {percent: 50%}}\n")?;
    let args = ["--config", "c.yaml", "--http", "127.0.0.1:7", "--dump-config"];
    let said = run("farol-monitor", &args, &[], folder.path()).await?;
    ensure!(said.out.contains("http: 127.0.0.1:7  # from --http"), "{said:?}");
    let again = check("farol-monitor", &said.out).await?;
    ensure!(again.code == 0, "{again:?}\n{}", said.out);
    Ok(())
}

#[tokio::test]
async fn an_agents_port_for_all_without_certificates_is_refused() -> Result<()> {
    for binary in ["farol-monitor", "farol"] {
        for address in ["0.0.0.0:8502", "[::]:8502", "192.0.2.1:8502"] {
            let open = format!("listen: {{agents: \"{address}\"}}\n");
            let said = check(binary, of_monitor(binary, &open)).await?;
            said.refuses(64, &["c.yaml:", "listen.agents", "insecure: true", "client_ca"]).context(binary)?;
            let meant =
                check(binary, of_monitor(binary, &format!("{open}agents: {{insecure: true}}\n"))).await?;
            ensure!(meant.code == 0, "{binary}: {meant:?}");
        }
    }
    let folder = tempfile::tempdir()?;
    let by_flag = run("farol-monitor", &["--agents", "0.0.0.0:0"], &[], folder.path()).await?;
    by_flag.refuses(64, &["--agents", "insecure: true"])
}

#[tokio::test]
async fn certificates_and_keys_that_are_not_there_are_told_together() -> Result<()> {
    let of_monitor_tls = "tls:\n  agents:\n    cert: a.pem\n    client_ca: ca.pem\n";
    for binary in ["farol-monitor", "farol"] {
        let said = check(binary, of_monitor(binary, of_monitor_tls)).await?;
        said.refuses(64, &["tls.agents.cert: ", "tls.agents.client_ca: ", "key: tls/key.pem"])
            .context(binary)?;
    }
    let of_agent_tls = "name: x\nmonitors: [\"https://m\"]\ntls: {ca: ca.pem, cert: a.pem, key: a.key}\n";
    let said = check("farol-agent", of_agent_tls).await?;
    said.refuses(64, &["c.yaml:3: tls.ca: ", "c.yaml:3: tls.cert: ", "c.yaml:3: tls.key: "])
}

#[tokio::test]
async fn a_file_of_one_half_given_to_the_whole_is_named() -> Result<()> {
    let said = check("farol", "name: x\nchecks: []\n").await?;
    said.refuses(64, &["this looks like a file of farol-agent", "`agent:`"])?;
    let said = check("farol", "services: {shop: {}}\n").await?;
    said.refuses(64, &["this looks like a file of farol-monitor", "`monitor:`"])
}

#[tokio::test]
async fn mistakes_of_the_environment_are_told_by_the_variables_name() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let cases: [(&str, &str, &str, &str); 8] = [
        ("farol-monitor", "FAROL_MONITOR__LISTEN__HTTP", "nonsense", "listen.http"),
        ("farol-monitor", "FAROL_MONITOR__LISTENN__HTTP", "127.0.0.1:0", "did you mean `listen`"),
        ("farol-monitor", "FAROL_MONITOR__STORE", "x", "store"),
        ("farol-monitor", "FAROL_MONITOR__GROUPS", "[a]", "groups"),
        ("farol-agent", "FAROL_AGENT__INTERVAL", "soon", "interval"),
        ("farol-agent", "FAROL_AGENT__CHECKS", "[]", "checks"),
        ("farol", "FAROL_AGENT__INTERVAL", "soon", "interval"),
        ("farol", "FAROL_MONITOR__DETAILS", "maybe", "details"),
    ];
    for (binary, variable, value, word) in cases {
        let said = run(binary, &["--check-config"], &[(variable, value)], folder.path()).await?;
        said.refuses(64, &[variable, word]).with_context(|| format!("{binary}, {variable}"))?;
    }
    let both = [("LOG_LEVEL", "loud"), ("LOG_FORMAT", "xml")];
    for binary in BINARIES {
        let said = run(binary, &["--check-config"], &both, folder.path()).await?;
        said.refuses(64, &["LOG_LEVEL: logging.level: `loud`", "LOG_FORMAT: logging.format: `xml`"])
            .context(binary)?;
    }
    let level =
        run("farol-monitor", &["--check-config"], &[("LOG_LEVEL", "shouting")], folder.path()).await?;
    level.refuses(64, &["LOG_LEVEL", "shouting"])
}
