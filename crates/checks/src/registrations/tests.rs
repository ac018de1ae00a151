//! What a `checks:` list becomes, and what is said of a wrong one.

mod machine;
mod network;

use super::*;
use farol_config::Sources;
use farol_health::Dependency;

fn read(text: &str) -> Result<Vec<Registration>, String> {
    let tree = Sources::new().text("agent.yaml", text).load().map_err(|problems| problems.to_string())?;
    tree.read(|m| registrations(m, "host")).map_err(|problems| problems.to_string())
}

#[test]
fn every_kind_is_read_with_its_defaults() {
    let read = read(
        "checks:\n\
         - {name: database, service: payments, postgres: {url: 'postgres://app@127.0.0.1/app'}}\n\
         - {name: cache, redis: {address: '127.0.0.1:6379'}, required: false}\n\
         - {name: shop, mysql: {url: 'mysql://app@127.0.0.1/app', writable: true, lag_above: 10s, connections_above: 90%}}\n\
         - {name: api, http: {url: 'http://127.0.0.1/', status: [200, 300-302], headers: {x-token: s3cret}}}\n\
         - {name: mail, tcp: {address: 'mail:25'}}\n\
         - {name: disk, disk: {paths: [/, /tmp], degraded_at: 80%, writable: true}}\n\
         - {name: memory, memory: {of: machine}}\n\
         - {name: system, system: }\n\
         - {name: search, grpc_health: {url: 'http://search:50051', service: a.B, mode: watch, metadata: {x: y}}}\n\
         - {name: names, dns: {names: [db.example], type: MX, server: '10.0.0.1:53', expect: [10 a.example]}}\n\
         - {name: door, tls_certificate: {address: 'api:443', name: api.example, warn_below: 30d}}\n\
         - {name: jobs, prometheus: {url: 'http://h/m', metric: 'a{b=\"c\"}', degraded: '> 80', several: sum}}\n\
         - {name: load, command: {argv: [check_load, -w, '5'], env: {TOKEN: s3cret}}}\n\
         - {name: nightly, heartbeat: {ttl: 25h}}\n\
         - {name: queue, push: {ttl: 1m}, failure_threshold: 2}\n\
         - {name: proxy, process: {name: nginx, at_least: 2, at_most: 9}}\n\
         - {name: cpu, cpu: {of: machine, window: 5m}}\n\
         - {name: files, file_descriptors: }\n\
         - {name: files-of-proxy, file_descriptors: {name: nginx, degraded_at: 70%}}\n",
    )
    .unwrap();
    let seen: Vec<_> = read
        .iter()
        .map(|r| (r.check.kind(), r.spec.name.as_str(), r.spec.service.as_str(), r.spec.required))
        .collect();
    let expected = [
        ("postgres", "database", "payments", true),
        ("redis", "cache", "host", false),
        ("mysql", "shop", "host", true),
        ("http", "api", "host", true),
        ("tcp", "mail", "host", true),
        ("disk", "disk", "host", false),
        ("memory", "memory", "host", false),
        ("system", "system", "host", false),
        ("grpc_health", "search", "host", true),
        ("dns", "names", "host", true),
        ("tls_certificate", "door", "host", true),
        ("prometheus", "jobs", "host", true),
        ("command", "load", "host", true),
        ("heartbeat", "nightly", "host", true),
        ("push", "queue", "host", true),
        ("process", "proxy", "host", true),
        ("cpu", "cpu", "host", false),
        ("file_descriptors", "files", "host", false),
        ("file_descriptors", "files-of-proxy", "host", false),
    ];
    assert_eq!(seen, expected);
    let kinds: std::collections::BTreeSet<_> = seen.iter().map(|(kind, ..)| *kind).collect();
    assert_eq!(KINDS.len(), kinds.len(), "a new kind belongs into this test");
    assert_eq!(read[0].spec.dependency, Dependency::Database);
    assert_eq!(read[1].spec.dependency, Dependency::Other);
    let default = Spec::new("mail", "host");
    assert_eq!(read[2].spec.dependency, Dependency::Database);
    assert_eq!(read[4].spec, default);
}

#[test]
fn the_common_keys_are_read() {
    let spec = read(
        "checks:\n\
         - name: mail\n  \
           tcp: {address: 'mail:25'}\n  \
           service: post\n  \
           interval: 5s\n  \
           deadline: 400ms\n  \
           failure_threshold: 1\n  \
           success_threshold: 4\n  \
           required: false\n  \
           readiness: true\n  \
           ttl: 1m\n  \
           labels: {team: post}\n  \
           degraded_above: 200ms\n  \
           start_grace: 1s\n",
    )
    .unwrap()
    .remove(0)
    .spec;
    let ms = Duration::from_millis;
    let expected = Spec {
        interval: ms(5_000),
        deadline: ms(400),
        failure_threshold: 1,
        success_threshold: 4,
        required: false,
        readiness: true,
        ttl: ms(60_000),
        labels: [("team".to_owned(), "post".to_owned())].into(),
        degraded_above: Some(ms(200)),
        start_grace: ms(1_000),
        ..Spec::new("mail", "post")
    };
    assert_eq!(spec, expected);
}

#[test]
fn each_mistake_is_named_with_its_key() {
    let check = |keys: &str| format!("checks:\n- {{name: a, {keys}}}\n");
    let tcp = "tcp: {address: 'h:1'}";
    let table = [
        (check("interval: 5s"), "checks[0]: says not what to check; add one of `postgres`, `mysql`, `redis`"),
        (check(&format!("{tcp}, system: ")), "checks[0].system: is a second kind beside `tcp`"),
        (check("postgress: {url: x}"), "did you mean `postgres`?"),
        (
            check(&format!("{tcp}, interval: 1s, deadline: 2s")),
            "checks[0].deadline: is longer than the interval",
        ),
        (check(&format!("{tcp}, deadline: 0s")), "checks[0].deadline: is no time at all"),
        (check(&format!("{tcp}, deadline: 18446744073709551615s")), "checks[0].deadline: "),
        (check(&format!("{tcp}, ttl: 18446744073709551615s")), "checks[0].ttl: "),
        (check(&format!("{tcp}, interval: 18446744073709551615s")), "checks[0].interval: "),
        (check(&format!("{tcp}, ttl: 1s")), "checks[0].ttl: is shorter than interval"),
        (check(&format!("{tcp}, degraded_above: 1s")), "checks[0].degraded_above: is not below the deadline"),
        (check(&format!("{tcp}, intervall: 1s")), "did you mean `interval`?"),
        (check("tcp: {}"), "checks[0].tcp.address: is required"),
        (check("postgres: {}"), "checks[0].postgres: names no server"),
        (check("postgres: {url: 'mysql://x/y'}"), "checks[0].postgres.url: it must begin with `postgres://`"),
        (
            check("redis: {url: 'redis://h', address: 'h:1'}"),
            "checks[0].redis.address: is given as well as `url`",
        ),
        (check("redis: {address: 'h:1', password: pw}"), "checks[0].redis.password: has no `url`"),
        (
            check("postgres: {address: 'h:1', writable: true}"),
            "checks[0].postgres.writable: needs a log-in; write a `url`",
        ),
        (check("redis: {address: 'h:1', memory_above: 9%}"), "checks[0].redis.memory_above: needs a log-in"),
        (check("mysql: {url: 'mysql://h', lag_abov: 1s}"), "did you mean `lag_above`?"),
        (check("http: {url: 'ftp://h/'}"), "checks[0].http.url: it is not a web address"),
        (
            check("http: {url: 'http://h/', status: [2xx]}"),
            "checks[0].http.status: `2xx` is not an HTTP status",
        ),
        (
            check("http: {url: 'http://h/', headers: {'a b': c}}"),
            "checks[0].http.headers: `a b` is not a header",
        ),
        (check("disk: {paths: [data]}"), "checks[0].disk.paths: `data` does not begin with `/`"),
        (check("memory: {of: me}"), "checks[0].memory.of: `me` is none of"),
        (check("system: {cpu: 1}"), "unknown key `cpu`"),
        (format!("checks:\n- {{{tcp}}}\n"), "checks[0].name: is required"),
        (
            format!("checks:\n- {{name: a, {tcp}}}\n- {{name: a, {tcp}}}\n"),
            "checks[1].name: `a` is the name of an earlier",
        ),
    ];
    for (text, expected) in table {
        assert_refused(&text, expected);
    }
}

fn assert_refused(text: &str, expected: &str) {
    let problems = read(text).err().unwrap_or_default();
    assert!(problems.contains(expected), "{text} gave {problems}, not {expected}");
    assert!(!problems.contains("mysql://x"), "{problems}");
}

#[test]
fn what_is_told_counts_at_once_and_expires_after_its_ttl() {
    let read =
        read("checks: [{name: a, heartbeat: {ttl: 1h}}, {name: b, push: {ttl: 2m}, failure_threshold: 3}]")
            .unwrap();
    let hour = Duration::from_secs(3_600);
    let spec = &read[0].spec;
    assert_eq!((spec.told, spec.interval, spec.start_grace), (true, hour, Duration::ZERO));
    assert_eq!((spec.failure_threshold, spec.success_threshold), (1, 1));
    assert!(spec.ttl > 3 * hour, "what the silence means is said in time to stay fresh");
    assert_eq!((read[1].spec.failure_threshold, read[1].spec.success_threshold), (3, 1));
    assert_ne!(read[0].fingerprint, read[1].fingerprint);
}

#[test]
fn a_short_interval_shortens_the_default_deadline() {
    let read = read("checks: [{name: a, tcp: {address: 'h:1'}, interval: 200ms}]").unwrap();
    assert_eq!(read[0].spec.deadline, Duration::from_millis(200));
}

#[test]
fn the_fingerprint_changes_with_every_setting_and_with_nothing_else() {
    let one = |url: &str, more: &str| {
        let text = format!("checks: [{{name: a, postgres: {{url: '{url}'{more}}}}}]");
        read(&text).unwrap()[0].fingerprint
    };
    let before = one("postgres://app:one@h/app", "");
    assert_eq!(before, one("postgres://app:one@h/app", " "));
    assert_ne!(before, one("postgres://app:two@h/app", ""), "another password");
    assert_ne!(before, one("postgres://app:one@h/app", ", password: three"));
    assert_ne!(before, one("postgres://app:one@h/app", ", lag_above: 1s"));
    let spec =
        read("checks: [{name: a, postgres: {url: 'postgres://app:one@h/app'}, interval: 5s}]").unwrap();
    assert_ne!(before, spec[0].fingerprint);
}

#[test]
fn secrets_do_not_show_in_a_dump() {
    let text = "checks:\n- {name: a, postgres: {url: 'postgres://app:s3cret@h/app'}}\n\
                - {name: b, redis: {url: 'redis://h', password: s3cret}}\n\
                - {name: c, http: {url: 'http://u:s3cret@h/', headers: {authorization: s3cret}, body: s3cret}}\n\
                - {name: d, grpc_health: {url: 'http://h:1', metadata: {authorization: s3cret}}}\n\
                - {name: e, prometheus: {url: 'http://u:s3cret@h/', metric: a, headers: {x-a: s3cret}}}\n\
                - {name: f, command: {argv: [x], env: {TOKEN: s3cret}}}\n";
    let tree = Sources::new().text("agent.yaml", text).load().unwrap();
    assert!(tree.read(|m| registrations(m, "host").len()).is_ok_and(|read| read == 6));
    let dump = tree.dump();
    assert!(dump.contains("authorization") && !dump.contains("s3cret"), "{dump}");
}

#[test]
fn a_run_that_takes_too_long_names_what_was_asked_on_this_machine_too() {
    for (kind, target) in [
        ("command: {argv: [/bin/check_load, -w, \"5\"]}", "`/bin/check_load`"),
        ("process: {name: nginx}", "the kernel about `nginx`"),
        ("process: {pid_file: /run/a.pid}", "the kernel about the process of /run/a.pid"),
        ("cpu:", "the kernel about the processors"),
        ("file_descriptors:", "the kernel about the files of this machine"),
        ("file_descriptors: {pattern: ^java}", "the kernel about the files of what matches `^java`"),
    ] {
        let read = read(&format!("checks:\n- name: a\n  {kind}\n")).unwrap();
        assert_eq!(read[0].check.target().as_deref(), Some(target), "{kind}");
    }
}
