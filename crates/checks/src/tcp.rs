//! Kind `tcp`: something accepts connections at an address. Says nothing of what it speaks.

use crate::address::Address;
use crate::kind::{Kind, Read};
use farol_config::Map;
use farol_health::{Check, Dependency, Outcome};
use futures::FutureExt;
use futures::future::BoxFuture;

pub(crate) const KIND: Kind = Kind { name: "tcp", host: false, dependency: Dependency::Other, read };

fn read(m: &mut Map<'_>) -> Option<Read> {
    let settings = Settings { address: m.host_port("address").required().into() };
    Some(Read::new(format!("{settings:?}"), Tcp::new(settings)))
}

/// What a `tcp` check asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// Where to connect.
    pub address: Address,
}

/// The check.
#[derive(Debug)]
pub struct Tcp {
    settings: Settings,
}

impl Tcp {
    /// A check of this address.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self { settings }
    }
}

impl Check for Tcp {
    fn kind(&self) -> &'static str {
        "tcp"
    }

    fn target(&self) -> Option<String> {
        Some(self.settings.address.to_string())
    }

    fn run(&self) -> BoxFuture<'_, Outcome> {
        async move {
            match self.settings.address.connect("its server").await {
                Ok(_) => Outcome::healthy(),
                Err(failure) => failure.outcome(),
            }
        }
        .boxed()
    }
}
