//! The keys under `postgres:`.

use super::{Postgres, Settings};
use crate::kind::{Kind, Read};
use crate::target::{Examples, Target};
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "postgres", host: false, dependency: Dependency::Database, read };

const EXAMPLES: Examples = Examples {
    url: "postgres://app@127.0.0.1/app",
    address: "127.0.0.1:5432",
    good: |url| Settings::from_url(url).map(drop),
};

fn read(m: &mut Map<'_>) -> Option<Read> {
    let target = crate::target::read(m, &EXAMPLES)?;
    let text = target.text();
    let settings = match target {
        Target::Login(url, password) => {
            let settings = Settings::from_url(url.expose()).ok()?;
            match password {
                Some(password) => settings.password(password.expose()),
                None => settings,
            }
        }
        Target::Reachable(address) => Settings::reachable(address.into()),
    };
    Some(Read::new(text, Postgres::new(settings)))
}
