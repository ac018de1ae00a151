//! The keys under `redis:`.

use super::{Redis, Settings};
use crate::kind::{Kind, Read};
use crate::target::{Examples, Target};
use farol_config::Map;
use farol_health::Dependency;

pub(crate) const KIND: Kind = Kind { name: "redis", host: false, dependency: Dependency::Other, read };

const EXAMPLES: Examples = Examples {
    url: "redis://127.0.0.1:6379",
    address: "127.0.0.1:6379",
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
    Some(Read::new(text, Redis::new(settings)))
}
