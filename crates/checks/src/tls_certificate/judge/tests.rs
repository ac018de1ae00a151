//! Chains of every kind, judged at every time.

use super::*;
use crate::trust::Trust;
use farol_health::Status;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, date_time_ymd};

struct Made {
    root: String,
    intermediate: CertificateDer<'static>,
    /// An older one of the same key.
    older: CertificateDer<'static>,
    leaf: CertificateDer<'static>,
}

fn params(name: &str, until: i32) -> CertificateParams {
    let mut params = CertificateParams::new(vec!["api.test".to_owned()]).unwrap();
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(until, 1, 1);
    params
}

fn authority(name: &str, until: i32) -> CertificateParams {
    let mut params = params(name, until);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params
}

/// Root until 2040, intermediate until `intermediate`, leaf until `leaf`.
fn made(intermediate: i32, leaf: i32) -> Made {
    let [root_key, middle_key, leaf_key] = std::array::from_fn(|_| KeyPair::generate().unwrap());
    let root = authority("root", 2040).self_signed(&root_key).unwrap();
    let issuer = Issuer::new(authority("root", 2040), root_key);
    let middle = authority("middle", intermediate).signed_by(&middle_key, &issuer).unwrap();
    let older = authority("middle", 2023).signed_by(&middle_key, &issuer).unwrap();
    let issuer = Issuer::new(authority("middle", intermediate), middle_key);
    let leaf = params("leaf", leaf).signed_by(&leaf_key, &issuer).unwrap();
    Made {
        root: root.pem(),
        intermediate: middle.der().clone(),
        older: older.der().clone(),
        leaf: leaf.der().clone(),
    }
}

fn year(year: i16) -> Timestamp {
    jiff::civil::date(year, 1, 1).to_zoned(jiff::tz::TimeZone::UTC).unwrap().timestamp()
}

fn judge(root: &str, chain: &[&CertificateDer<'static>], name: &str, now: Timestamp) -> Judged {
    let verifier = Trust::default().ca(root).verifier().unwrap();
    let certificates: Vec<_> = chain.iter().map(|der| (*der).clone()).collect();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let chain = Chain { verifier: &verifier, certificates: &certificates, name: &name };
    let day = Duration::from_secs(86_400);
    let lifetime = Lifetime { warn_below: Some(21 * day), critical_below: Some(7 * day) };
    chain.judge(&lifetime, now, "api.test:443")
}

#[test]
fn each_fault_is_told_by_its_own_name() {
    let made = made(2035, 2030);
    let Made { root, intermediate, leaf, .. } = &made;
    let good = [leaf, intermediate];
    let days = |days: i64| year(2030) - jiff::SignedDuration::from_hours(24 * days);
    for (chain, name, now, status, reason) in [
        (&good[..], "api.test", year(2025), Status::Healthy, "ok"),
        (&good, "api.test", days(20), Status::Degraded, "certificate_expires_soon"),
        (&good, "api.test", days(6), Status::Unhealthy, "certificate_expires_soon"),
        (&good, "api.test", year(2031), Status::Unhealthy, "certificate_expired"),
        (&good, "api.test", year(2019), Status::Unhealthy, "certificate_not_yet_valid"),
        (&good, "www.test", year(2025), Status::Unhealthy, "name_mismatch"),
        (&good[..1], "api.test", year(2025), Status::Unhealthy, "untrusted"),
    ] {
        let judged = judge(root, chain, name, now);
        let seen = (judged.outcome.status, judged.outcome.reason.as_ref());
        assert_eq!(seen, (status, reason), "{name} {now}: {}", judged.outcome.message);
        assert_eq!(judged.expires, Some(year(2030).as_second()), "{name} {now}");
    }
    let own = rcgen::generate_simple_self_signed(["api.test".to_owned()]).unwrap();
    let judged = judge(root, &[own.cert.der()], "api.test", year(2025));
    assert_eq!(judged.outcome.reason, "self_signed");
    assert_eq!(judge(&own.cert.pem(), &[own.cert.der()], "api.test", year(2025)).outcome.reason, "ok");
    let broken = CertificateDer::from(b"no certificate".to_vec());
    let judged = judge(root, &[&broken], "api.test", year(2025));
    assert_eq!((judged.outcome.reason.as_ref(), judged.expires), ("certificate_invalid", None));
}

#[test]
fn the_chain_ends_with_its_first_needed_certificate() {
    let short = made(2027, 2030);
    let chain = [&short.leaf, &short.intermediate];
    let judged = judge(&short.root, &chain, "api.test", year(2025));
    assert_eq!(judged.expires, Some(year(2027).as_second()), "the intermediate ends first");
    let old = made(2035, 2030);
    let chain = [&old.leaf, &old.older, &old.intermediate];
    let judged = judge(&old.root, &chain, "api.test", year(2022));
    assert_eq!(judged.outcome.reason, "ok");
    assert_eq!(judged.expires, Some(year(2030).as_second()), "nobody needs the older one");
}
