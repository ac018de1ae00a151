//! The keys under `redis:`.

use super::{Limits, Redis, Settings};
use crate::kind::{Kind, Read};
use crate::target::Examples;
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "redis", host: false, dependency: Dependency::Other, read };

const EXAMPLES: Examples = Examples {
    url: "redis://127.0.0.1:6379",
    address: "127.0.0.1:6379",
    good: |url| Settings::from_url(url).map(drop),
};

fn read(m: &mut Map<'_>) -> Option<Read> {
    let target = crate::target::read(m, &EXAMPLES);
    let limits = Limits {
        writable: m.flag("writable").or(false),
        memory_above: m.percent("memory_above").within(1.0..=100.0).optional(),
    };
    let target = target?;
    target.needs_login(m, &["writable", "memory_above"]);
    let text = format!("{} {limits:?}", target.text());
    let settings = target.settings(Settings::from_url, Settings::password, Settings::reachable)?;
    Some(Read::new(text, Redis::new(settings.limits(limits))))
}
