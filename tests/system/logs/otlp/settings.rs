//! The settings as an operator sees them: which source counts, what is hidden, how a mistake is told.

use crate::peers::{Done, run};
use farol_tests::process::command;
use std::path::Path;

async fn asked(binary: &str, folder: &Path, file: &str, flag: &str, env: &[(&str, &str)]) -> Done {
    let path = folder.join("farol.yaml");
    std::fs::write(&path, file).unwrap();
    let mut command = command(binary, &["--config", path.to_str().unwrap(), flag]).unwrap();
    command.envs(env.iter().copied());
    run(command, "").await
}

const ENV: [(&str, &str); 4] = [
    ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317"),
    ("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s3cret"),
    ("OTEL_SERVICE_NAME", "from-env"),
    ("OTEL_TRACES_EXPORTER", "none"),
];

#[tokio::test]
async fn the_file_wins_over_the_shared_variables_and_headers_are_hidden() {
    let folder = tempfile::tempdir().unwrap();
    let file = "logging: {otlp: {endpoint: auto, service_name: from-file, traces: true}}\n";
    for binary in ["farol", "farol-monitor", "farol-agent"] {
        let done = asked(binary, folder.path(), file, "--dump-config", &ENV).await;
        for line in [
            "endpoint: http://env:4317  # from OTEL_EXPORTER_OTLP_ENDPOINT",
            "headers: \"***\"  # from OTEL_EXPORTER_OTLP_HEADERS",
            "farol.yaml:1",
            "timeout: auto  # from default",
        ] {
            assert!(done.out.contains(line), "{line} is not in {binary}'s\n{}{}", done.out, done.err);
        }
        for (key, value) in [("service_name", "from-file"), ("traces", "\"true\"")] {
            let line = done.out.lines().find(|line| line.trim_start().starts_with(&format!("{key}: ")));
            assert!(line.is_some_and(|line| line.contains(value)), "{key}: {line:?}");
        }
        assert!(!done.out.contains("s3cret"), "{}", done.out);
    }
}

#[tokio::test]
async fn auto_leaves_every_key_to_its_variable() {
    let folder = tempfile::tempdir().unwrap();
    let file = "logging: {otlp: {endpoint: auto, ca: auto, headers: auto}}\n";
    for binary in ["farol", "farol-monitor", "farol-agent"] {
        let done = asked(binary, folder.path(), file, "--dump-config", &[]).await;
        assert_eq!((done.code, done.err.as_str()), (Some(0), ""), "{binary}");
        assert!(done.out.contains(" ca: auto  # from "), "{}", done.out);
        let set = [ENV[0], ENV[1], ("OTEL_EXPORTER_OTLP_CERTIFICATE", "shared/ca.pem")];
        let done = asked(binary, folder.path(), file, "--dump-config", &set).await;
        for line in [
            " ca: shared/ca.pem  # from OTEL_EXPORTER_OTLP_CERTIFICATE",
            " headers: \"***\"  # from OTEL_EXPORTER_OTLP_HEADERS",
        ] {
            assert!(done.out.contains(line), "{line} is not in {binary}'s\n{}{}", done.out, done.err);
        }
    }
}

#[tokio::test]
async fn an_endpoint_with_a_token_is_refused_and_shown_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "http://127.0.0.1:4317/?token=s3cret";
    let file = format!("logging: {{otlp: {{endpoint: \"{secret}\"}}}}\n");
    for binary in ["farol", "farol-monitor", "farol-agent"] {
        for flag in ["--check-config", "--dump-config"] {
            let of_file = asked(binary, folder.path(), &file, flag, &[]).await;
            let env = [("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", secret)];
            let of_env = asked(binary, folder.path(), "", flag, &env).await;
            for (done, place) in [
                (of_file, "farol.yaml:1: logging.otlp.endpoint: has a query"),
                (of_env, "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT: logging.otlp.logs_endpoint: has a query"),
            ] {
                assert_eq!(done.code, Some(64), "{}", done.err);
                assert!(done.err.contains(place), "{place} is not in {binary}'s\n{}", done.err);
                assert!(!done.err.contains("s3cret") && !done.out.contains("s3cret"), "{}", done.err);
            }
        }
    }
}

#[tokio::test]
async fn every_mistake_is_told_with_its_place_and_what_to_write() {
    let folder = tempfile::tempdir().unwrap();
    let file = "logging:\n  otlp:\n    endpoint: collector\n    sample: 7\n    protocol: http/protobuf\n    \
                metrics: true\n    headers: s3cret\n";
    for binary in ["farol", "farol-monitor", "farol-agent"] {
        let env = [("OTEL_LOGS_EXPORTER", "console")];
        let done = asked(binary, folder.path(), file, "--check-config", &env).await;
        assert_eq!(done.code, Some(64), "{}", done.err);
        for line in [
            "farol.yaml:3: logging.otlp.endpoint: is not the address of a collector; write for instance `http://",
            "farol.yaml:4: logging.otlp.sample: `7` is not a share of traces",
            "farol.yaml:5: logging.otlp.protocol: is not spoken by Farol; write `grpc`",
            "farol.yaml:7: logging.otlp.headers: entry 1 is not `name=value`",
            "OTEL_LOGS_EXPORTER: logging.otlp.logs: `console` is not known",
        ] {
            assert!(done.err.contains(line), "{line} is not in {binary}'s\n{}", done.err);
        }
        assert!(!done.err.contains("s3cret"), "{}", done.err);
    }
}
