//! What is said of mistakes in the checks of web, TLS, gRPC, DNS and metrics.

use super::assert_refused;

/// A check's own keys, and what is said of them.
fn assert_each_refused(kind: &str, table: &[(&str, &str)]) {
    for (keys, expected) in table {
        let text = format!("checks:\n- {{name: a, {kind}: {{{keys}}}}}\n");
        assert_refused(&text, &format!("checks[0].{kind}.{expected}"));
    }
}

#[test]
fn mistakes_in_http_are_named_with_their_keys() {
    let own = [
        ("url: 'http://h/', method: get", "method: `get` is not a method"),
        ("url: 'http://h/', redirects: 21", "redirects: `21` is out of range"),
        ("url: 'http://h/', ca: gone.pem", "ca: the file `gone.pem` cannot be opened"),
        ("url: 'http://h/', cert: gone.pem", "cert: has no `key`"),
        ("url: 'http://h/', key: gone.pem", "key: has no `cert`"),
    ];
    assert_each_refused("http", &own);
    for (keys, expected) in [
        ("json: {status: ok}", "json: `status` is not a JSON pointer; write for instance `/status`"),
        ("json: {/depth: '> many'}", "json: `> many` is not a limit"),
        ("body_matches: ['(']", "body_matches: `(` is not a regular expression"),
        ("headers: {'a b': c}", "headers: `a b` is not a header"),
        ("headers_match: {a: '('}", "headers_match: `(` is not a regular expression"),
        ("body_limit: 1GB", "body_limit: `1GB` is out of range"),
        (
            "certificate_warn_below: 1d, certificate_critical_below: 2d",
            "certificate_critical_below: is longer than `certificate_warn_below`",
        ),
    ] {
        let keys = format!("url: 'http://h/', expect: {{{keys}}}");
        assert_each_refused("http", &[(&keys, &format!("expect.{expected}"))]);
    }
}

#[test]
fn mistakes_in_grpc_health_are_named_with_their_keys() {
    assert_each_refused(
        "grpc_health",
        &[
            ("url: 'grpc://h:1'", "url: it is not a server's address"),
            ("url: 'http://h:1', metadata: {x-bin: y}", "metadata: `x-bin` is not a name"),
            ("url: 'http://h:1', mode: look", "mode: `look` is none of `check`, `watch`"),
        ],
    );
}

#[test]
fn mistakes_in_dns_are_named_with_their_keys() {
    assert_each_refused(
        "dns",
        &[
            ("expect: [10.0.0.1]", "names: is missing or empty"),
            ("names: [a..b]", "names: `a..b` is no name of the DNS"),
            ("names: [a], type: PTR", "type: `PTR` is none of `A`"),
            ("names: [a], expect: ['::1']", "expect: `::1` is no A record"),
            ("names: [a], exact: true", "exact: expects nothing at all"),
            ("names: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, q]", "names: names more than 16"),
        ],
    );
}

#[test]
fn mistakes_in_tls_certificate_are_named_with_their_keys() {
    assert_each_refused(
        "tls_certificate",
        &[
            ("address: 'h:1', name: 'a b'", "name: `a b` is no name"),
            ("address: 'h:1', critical_below: 30d", "critical_below: is longer than `warn_below`"),
        ],
    );
}

#[test]
fn mistakes_in_prometheus_are_named_with_their_keys() {
    assert_each_refused(
        "prometheus",
        &[
            ("url: 'http://h/'", "metric: is required"),
            ("url: 'http://h/', metric: 'sum(a)'", "metric: `sum(a)` names no series"),
            ("url: 'http://h/', metric: a, degraded: 80", "degraded: `80` is not a limit"),
            ("url: 'http://h/', metric: a, missing: gone", "missing: `gone` is none of"),
        ],
    );
}
