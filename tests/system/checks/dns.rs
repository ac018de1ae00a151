//! Kind `dns` against a small server.

use super::{fact, figures, healthy, is_cut_at, unhealthy};
use farol_checks::dns::{Dns, RecordType, Settings};
use farol_tests::dns::{Dns as Server, Manner, Zone, parsed};
use hickory_proto::rr::RData;
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, NS, SRV, TXT};
use std::time::Duration;
use tokio::net::UdpSocket;

fn a(last: u8) -> RData {
    RData::A(A::new(10, 0, 0, last))
}

fn zone() -> Zone {
    let shop = vec![
        a(1),
        a(2),
        RData::AAAA(AAAA::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        RData::MX(MX::new(10, parsed("mail.shop.test"))),
        RData::MX(MX::new(20, parsed("mail2.shop.test"))),
        RData::NS(NS(parsed("ns1.shop.test"))),
        RData::TXT(TXT::new(vec!["v=spf1 ".into(), "-all".into()])),
        RData::SRV(SRV::new(10, 5, 5060, parsed("sip.shop.test"))),
    ];
    let many = (0..=255).map(a).collect();
    Zone::default()
        .with("shop.test", Manner::Plain, shop)
        .with("www.shop.test", Manner::Plain, vec![RData::CNAME(CNAME(parsed("Shop.test")))])
        .with("many.test", Manner::Cut, many)
        .with("forged.test", Manner::Forged, vec![a(7)])
        .with("lost.test", Manner::Lost, vec![a(7)])
        .with("silent.test", Manner::Silent, vec![])
        .with("format.test", Manner::Error(1), vec![])
        .with("failing.test", Manner::Error(2), vec![])
        .with("odd.test", Manner::Error(4), vec![])
        .with("closed.test", Manner::Error(5), vec![])
}

async fn server() -> Server {
    Server::start(zone()).await.expect("a DNS server")
}

fn of(server: &Server, name: &str, records: RecordType) -> Settings {
    Settings::of(name).expect("a name").records(records).server("127.0.0.1", server.port())
}

#[tokio::test]
async fn each_type_of_record_is_found_and_compared() {
    let server = server().await;
    for (name, records, expect) in [
        ("shop.test", RecordType::A, &["10.0.0.2", "10.0.0.1"][..]),
        ("SHOP.test.", RecordType::A, &["10.0.0.1"]),
        ("www.shop.test", RecordType::A, &["10.0.0.1"]),
        ("www.shop.test", RecordType::Cname, &["shop.test."]),
        ("shop.test", RecordType::Aaaa, &["2001:DB8::1"]),
        ("shop.test", RecordType::Mx, &["20 MAIL2.shop.test", "10 mail.shop.test"]),
        ("shop.test", RecordType::Ns, &["ns1.shop.test"]),
        ("shop.test", RecordType::Txt, &["v=spf1 -all"]),
        ("shop.test", RecordType::Srv, &["10 5 5060 sip.shop.test"]),
    ] {
        let mut settings = of(&server, name, records);
        for record in expect {
            settings = settings.expect(record).expect("a record");
        }
        let outcome = healthy(&Dns::new(settings.clone())).await;
        assert_eq!(figures(&outcome, "dns_response_seconds"), 1);
        assert_eq!(fact(&outcome, "records"), Some(records.to_string().as_str()));
        let exact = expect.len() > 1 || !matches!(records, RecordType::A | RecordType::Mx);
        let check = Dns::new(settings.exact(true));
        if exact {
            healthy(&check).await;
        } else {
            unhealthy(&check, "unexpected_answer").await;
        }
    }
    let other = of(&server, "shop.test", RecordType::A).expect("10.0.0.9").unwrap();
    let message = unhealthy(&Dns::new(other), "unexpected_answer").await.message;
    assert!(message.contains("10.0.0.9"), "{message}");
}

#[tokio::test]
async fn each_way_not_to_resolve_has_its_reason() {
    let server = server().await;
    for (name, records, reason) in [
        ("gone.test", RecordType::A, "no_such_name"),
        ("many.test", RecordType::Aaaa, "no_records"),
        ("format.test", RecordType::A, "format_error"),
        ("failing.test", RecordType::A, "server_failure"),
        ("odd.test", RecordType::A, "not_implemented"),
        ("closed.test", RecordType::A, "refused"),
    ] {
        unhealthy(&Dns::new(of(&server, name, records)), reason).await;
    }
    let port = server.port();
    drop(server);
    let nobody = Settings::of("shop.test").unwrap().server("127.0.0.1", port);
    unhealthy(&Dns::new(nobody), "connection_refused").await;
    let unnamed = Settings::of("shop.test").unwrap().server(&format!("{}.invalid", "a".repeat(64)), 53);
    unhealthy(&Dns::new(unnamed), "dns_failure").await;
}

#[tokio::test]
async fn cut_lost_and_forged_answers_do_not_deceive() {
    let server = server().await;
    let many = of(&server, "many.test", RecordType::A).expect("10.0.0.255").unwrap();
    healthy(&Dns::new(many)).await;
    assert_eq!(server.asked("many.test"), 2, "over UDP, then over TCP");
    let forged = of(&server, "forged.test", RecordType::A).expect("10.0.0.7").unwrap().exact(true);
    healthy(&Dns::new(forged)).await;
    healthy(&Dns::new(of(&server, "lost.test", RecordType::A))).await;
    assert_eq!(server.asked("lost.test"), 2);
    let silent = Dns::new(of(&server, "silent.test", RecordType::A));
    is_cut_at(Duration::from_millis(200), &silent).await;
    unhealthy(&silent, "timeout").await;
}

#[tokio::test]
async fn of_several_names_the_first_that_fails_is_told() {
    let server = server().await;
    let of = |names: &[&str]| {
        let settings = of(&server, "shop.test", RecordType::A);
        Dns::new(names.iter().fold(settings, |settings, name| settings.name(name).unwrap()))
    };
    let outcome = healthy(&of(&["www.shop.test", "forged.test"])).await;
    assert_eq!(figures(&outcome, "dns_response_seconds"), 3);
    let outcome = unhealthy(&of(&["failing.test", "gone.test"]), "server_failure").await;
    assert!(outcome.message.contains("SERVFAIL"), "{}", outcome.message);
    assert_eq!(figures(&outcome, "dns_response_seconds"), 1, "the others were not answered with a record");
}

#[tokio::test]
async fn what_speaks_no_dns_is_told_as_such() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let port = socket.local_addr().unwrap().port();
    let mut task = tokio::task::JoinSet::new();
    task.spawn(async move {
        let mut buffer = [0; 512];
        while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
            // Its own question, marked as an answer that holds more than there is.
            buffer[2] |= 0x80;
            buffer[7] = 9;
            drop(socket.send_to(&buffer[..length], from).await);
        }
    });
    let settings = Settings::of("shop.test").unwrap().server("127.0.0.1", port);
    unhealthy(&Dns::new(settings), "protocol_error").await;
}
