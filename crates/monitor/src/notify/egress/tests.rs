//! The way out, shown: addresses in every disguise, names that change what they stand for, connections never made.

use super::*;

/// Every name stands for these.
struct Fixed(Vec<IpAddr>);

impl Lookup for Fixed {
    fn lookup(&self, _: String) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let found = self.0.clone();
        Box::pin(async move { Ok(found) })
    }
}

fn egress(policy: Policy, addresses: &[&str]) -> Egress {
    let addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
    Egress::with_lookup(policy, Arc::new(Fixed(addresses)))
}

fn private() -> Policy {
    Policy { private: true, ..Policy::default() }
}

#[test]
fn an_address_in_a_url_is_judged_however_it_is_written() {
    let strict = Egress::new(Policy::default());
    let loose = Egress::new(private());
    for (url, by_default, with_private) in [
        ("http://169.254.169.254/latest", false, false),
        ("http://2852039166/", false, false),
        ("http://0xa9fea9fe/", false, false),
        ("http://0251.0376.0251.0376/", false, false),
        ("http://169.16689662/", false, false),
        ("http://[::ffff:169.254.169.254]/", false, false),
        ("http://[64:ff9b::a9fe:a9fe]/", false, false),
        ("http://１６９.254.169.254/", false, false),
        ("http://169。254。169。254/", false, false),
        ("http://0/", false, false),
        ("http://127.1/", false, true),
        ("http://0x7f.1/", false, true),
        ("http://017700000001/", false, true),
        ("http://[::1]:9093/", false, true),
        ("http://10.0.0.1:8080/", false, true),
        ("https://1.1.1.1/", true, true),
        ("https://hooks.slack.com/services/x", true, true),
        ("https://bücher.example/", true, true),
        ("ftp://hooks.slack.com/", false, false),
        ("file:///etc/passwd", false, false),
    ] {
        let parsed = Url::parse(url).unwrap();
        assert_eq!(strict.check_url(&parsed).is_ok(), by_default, "{url}");
        assert_eq!(loose.check_url(&parsed).is_ok(), with_private, "{url} with private addresses");
    }
    assert_eq!(Url::parse("https://bücher.example/").unwrap().host_str(), Some("xn--bcher-kva.example"));
}

#[tokio::test]
async fn a_name_is_judged_by_what_it_stands_for_at_that_moment() {
    let refused = egress(private(), &["169.254.169.254"]).addresses("innocent.test").await.unwrap_err();
    assert_eq!(refused, "innocent.test is not spoken to: 169.254.169.254 is a link-local address");
    let mixed = egress(Policy::default(), &["10.0.0.1", "1.1.1.1", "fe80::1"]).addresses("a.test").await;
    assert_eq!(mixed, Ok(vec!["1.1.1.1".parse().unwrap()]));
    let refused = egress(Policy::default(), &["10.0.0.1"]).addresses("a.test").await.unwrap_err();
    assert!(refused.contains("allow it under `egress`"), "{refused}");
    assert!(egress(private(), &["10.0.0.1"]).addresses("a.test").await.is_ok());
    assert!(egress(private(), &[]).addresses("a.test").await.unwrap_err().contains("no address"));
}

#[tokio::test]
async fn private_addresses_may_be_allowed_by_host_or_range_but_metadata_never() {
    let policy = Policy {
        private: false,
        hosts: vec!["alerts.internal".into()],
        ranges: vec!["192.168.7.0/24".parse().unwrap(), "169.254.0.0/16".parse().unwrap()],
    };
    for (host, address, allowed) in [
        ("Alerts.Internal", "10.0.0.1", true),
        ("alerts.internal.", "10.0.0.1", true),
        ("evil.alerts.internal", "10.0.0.1", false),
        ("other", "192.168.7.9", true),
        ("other", "192.168.8.9", false),
        ("alerts.internal", "169.254.169.254", false),
        ("other", "169.254.1.1", false),
    ] {
        let found = egress(policy.clone(), &[address]).addresses(host).await;
        assert_eq!(found.is_ok(), allowed, "{host} {address}");
    }
}

#[tokio::test]
async fn a_connection_to_a_refused_address_is_never_made() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    for host in ["innocent.test", "127.0.0.1", "2130706433"] {
        let egress = egress(Policy::default(), &["127.0.0.1"]);
        let url = Url::parse(&format!("http://{host}:{port}/T0KEN")).unwrap();
        let client = egress.client(&url, None).unwrap();
        let failure = egress.send(&url, client.post(url.clone())).await.err().unwrap();
        assert!(failure.why().contains("127.0.0.1 is a private address"), "{failure:?}");
        assert!(!failure.why().contains("T0KEN"), "{failure:?}");
    }
    let accepted = tokio::time::timeout(Duration::from_millis(50), listener.accept()).await;
    assert!(accepted.is_err(), "somebody connected");
}

/// Answers each request so, and never ends its body.
async fn endless(status: &'static str) -> Url {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let mut serving = tokio::task::JoinSet::new();
    serving.spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 4096];
        assert!(stream.read(&mut request).await.unwrap() > 0);
        let head = format!("HTTP/1.1 {status}\r\ncontent-length: 1000\r\n\r\nbegins");
        stream.write_all(head.as_bytes()).await.unwrap();
        std::future::pending::<()>().await;
    });
    serving.detach_all();
    url
}

#[tokio::test]
async fn an_answer_counts_when_its_status_is_there_whether_or_not_its_body_ends() {
    let egress = Egress::new(private());
    for (status, taken) in [("200 OK", true), ("500 Sorry", false)] {
        let url = endless(status).await;
        let request = egress.client(&url, None).unwrap().post(url.clone()).body("told");
        let sent = tokio::time::timeout(Duration::from_secs(5), egress.send(&url, request)).await;
        let answer = sent.expect("its body is not waited for").unwrap();
        assert_eq!(answer.judge(&url).is_ok(), taken, "{status}");
    }
}
