//! Events that somebody counts, bills or watches for: performance, security and business, with fixed field names.
//! What they mean is decided where they happen.

use std::fmt::Display;
use std::time::Duration;

/// Something that was refused, or tried by somebody who may not: WARNING.
#[must_use = "an event is written by `.log()`"]
pub fn security(name: &'static str) -> Event {
    Event::new(Kind::Security, name)
}

/// How long something took: INFO.
#[must_use = "an event is written by `.log()`"]
pub fn performance(name: &'static str) -> Event {
    Event::new(Kind::Performance, name)
}

/// Something that people decided or that matters to them: INFO.
#[must_use = "an event is written by `.log()`"]
pub fn business(name: &'static str) -> Event {
    Event::new(Kind::Business, name)
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Security,
    Performance,
    Business,
}

/// An event on its way into the log.
#[derive(Debug)]
#[must_use = "an event is written by `.log()`"]
pub struct Event {
    kind: Kind,
    name: &'static str,
    outcome: Option<&'static str>,
    duration: Option<Duration>,
    peer: Option<String>,
    subject: Option<String>,
    detail: Option<String>,
}

impl Event {
    fn new(kind: Kind, name: &'static str) -> Self {
        Self { kind, name, outcome: None, duration: None, peer: None, subject: None, detail: None }
    }

    /// How it ended: `success`, `failure`, `refused`.
    pub fn outcome(mut self, outcome: &'static str) -> Self {
        self.outcome = Some(outcome);
        self
    }

    /// How long it took.
    pub fn took(mut self, duration: Duration) -> Self {
        self.duration = Some(duration);
        self
    }

    /// The address of who caused it.
    pub fn peer(mut self, address: impl Display) -> Self {
        self.peer = Some(address.to_string());
        self
    }

    /// What it is about: an agent, a file, a route.
    pub fn subject(mut self, subject: impl Display) -> Self {
        self.subject = Some(subject.to_string());
        self
    }

    /// More for a human; never a secret.
    pub fn detail(mut self, detail: impl Display) -> Self {
        self.detail = Some(detail.to_string());
        self
    }

    /// Writes it.
    pub fn log(self) {
        let Self { kind, name, outcome, duration, peer, subject, detail } = self;
        let duration_ms = duration.map(|took| (took.as_secs_f64() * 1e6).round() / 1e3);
        match kind {
            Kind::Security => tracing::warn!(
                target: "security",
                { event.kind = "security", event.name = name, outcome, duration_ms, peer.address = peer, subject, detail },
                "security event"
            ),
            Kind::Performance => tracing::info!(
                target: "performance",
                { event.kind = "performance", event.name = name, outcome, duration_ms, peer.address = peer, subject, detail },
                "performance event"
            ),
            Kind::Business => tracing::info!(
                target: "business",
                { event.kind = "business", event.name = name, outcome, duration_ms, peer.address = peer, subject, detail },
                "business event"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{business, performance, security};
    use crate::memory::Memory;
    use crate::{Config, Format, dispatch};
    use std::time::Duration;

    #[test]
    fn each_kind_has_its_level_and_the_fixed_names() {
        let memory = Memory::default();
        let config = Config { format: Format::Json, ..Config::default() };
        let (dispatch, guard) = dispatch(&config, memory.clone()).unwrap();
        tracing::dispatcher::with_default(&dispatch, || {
            security("wrong_token").outcome("refused").peer("10.0.0.7").subject("/x").detail("a\nb").log();
            performance("commit").took(Duration::from_micros(1_500)).outcome("success").log();
            business("agent_forgotten").subject("alpha").log();
        });
        drop(guard);
        let records = memory.records();
        for (at, key, value) in [
            (0, "level", "WARNING"),
            (0, "event.kind", "security"),
            (0, "event.name", "wrong_token"),
            (0, "outcome", "refused"),
            (0, "peer.address", "10.0.0.7"),
            (0, "subject", "/x"),
            (0, "detail", "a\nb"),
            (1, "level", "INFO"),
            (1, "event.kind", "performance"),
            (2, "event.kind", "business"),
            (2, "subject", "alpha"),
        ] {
            assert_eq!(records[at][key], value, "{key} of {}", records[at]);
        }
        assert_eq!(records[1]["duration_ms"], 1.5);
        assert_eq!(records[2].get("peer.address"), None, "what is not said is left out");
    }
}
