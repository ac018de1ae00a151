//! The keys under `postgres:`.

use super::{Postgres, Settings};
use crate::kind::{Kind, Read};
use crate::sql::Limits;
use crate::target::Examples;
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "postgres", host: false, dependency: Dependency::Database, read };

const EXAMPLES: Examples = Examples {
    url: "postgres://app@127.0.0.1/app",
    address: "127.0.0.1:5432",
    good: |url| Settings::from_url(url).map(drop),
};

fn read(m: &mut Map<'_>) -> Option<Read> {
    let target = crate::target::read(m, &EXAMPLES);
    let limits = Limits::read(m, target.as_ref());
    let target = target?;
    let text = format!("{} {limits:?}", target.text());
    let settings = target.settings(Settings::from_url, Settings::password, Settings::reachable)?;
    Some(Read::new(text, Postgres::new(settings.limits(limits))))
}
