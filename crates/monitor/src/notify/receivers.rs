//! The kinds of receivers: one file and one line of the table each. A receiver writes a message in its own form and
//! sends it once; when to try again is decided by who calls it, from what the failure says.

mod alertmanager;
mod email;
mod log;
mod pagerduty;
mod progress;
mod reading;
mod slack;
mod webhook;

pub(crate) use webhook::{SIGNATURE, sign};
pub use webhook::{VerifyError, verify};

use super::egress::{Egress, Policy};
use super::message::Message;
use farol_config::Map;
use futures::future::BoxFuture;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

/// Someone who is told.
pub trait Receiver: Send + Sync {
    /// The kind: `slack`, `email`, ….
    fn kind(&self) -> &'static str;

    /// One that has not answered by then has failed. Where the other end may take a notice late, it is later than that.
    fn deadline(&self) -> Duration {
        Duration::from_secs(10)
    }

    /// What it is made of, where a configuration made it. One that is made of the same again is the same receiver.
    fn origin(&self) -> Option<&Origin> {
        None
    }

    /// Whether an alert that fires anew is another one to it: its end before is told under an id of its own.
    fn has_episodes(&self) -> bool {
        false
    }

    /// Tells it once. Safe to call again with the same message: what was taken is not told twice by this process.
    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>>;
}

/// What a configuration says that matters for one receiver.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    settings: Settings,
    policy: Policy,
}

/// A receiver that knows what it is made of.
struct Made<R> {
    origin: Origin,
    sender: R,
}

impl<R: Receiver> Receiver for Made<R> {
    fn kind(&self) -> &'static str {
        self.sender.kind()
    }

    fn deadline(&self) -> Duration {
        self.sender.deadline()
    }

    fn origin(&self) -> Option<&Origin> {
        Some(&self.origin)
    }

    fn has_episodes(&self) -> bool {
        self.sender.has_episodes()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        self.sender.send(message)
    }
}

/// It was taken.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// What an operator should know all the same: one of several addresses refused.
    pub note: Option<String>,
}

/// It was not taken, or not by all. No reason holds a URL's path or query, a token or a password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// It may be taken later.
    Retry {
        /// What happened.
        why: String,
        /// The receiver asks for so long a pause; at most an hour.
        after: Option<Duration>,
    },
    /// Some of it was answered for good, and the rest is to come soon: it is no sign that the receiver fails.
    Partly {
        /// Some of that was taken: it is a sign that the receiver does not fail.
        taken: bool,
        /// What happened.
        why: String,
        /// The receiver asks for so long a pause; at most an hour.
        after: Option<Duration>,
    },
    /// Perhaps it will never be taken, perhaps somebody mends it soon: tried again for ten minutes.
    Unsure {
        /// What happened.
        why: String,
    },
    /// It will not get better by itself.
    Dead {
        /// What happened, and what to do.
        why: String,
    },
}

impl Failure {
    pub(super) fn retry(why: impl Into<String>) -> Self {
        Self::Retry { why: why.into(), after: None }
    }

    /// What happened.
    #[must_use]
    pub fn why(&self) -> &str {
        match self {
            Self::Retry { why, .. }
            | Self::Partly { why, .. }
            | Self::Unsure { why }
            | Self::Dead { why } => why,
        }
    }
}

macro_rules! kinds {
    ($($word:literal => $kind:ident($module:ident),)+) => {
        /// What one receiver is told about itself.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum Settings {
            $(#[doc = concat!("`", $word, "`")] $kind($module::Settings),)+
        }

        /// Every kind, as it is written.
        pub const KINDS: &[&str] = &[$($word),+];

        impl Settings {
            fn of(kind: &str, m: &mut Map<'_>, egress: &Egress) -> Option<Self> {
                match kind {
                    $($word => m.map($word, |m| Self::$kind($module::Settings::read(m, egress))),)+
                    _ => None,
                }
            }

            /// The receiver itself, with this name.
            ///
            /// # Errors
            /// It cannot be made on this machine.
            pub fn build(&self, egress: &Egress) -> Result<Arc<dyn Receiver>, String> {
                let origin = Origin { settings: self.clone(), policy: egress.policy() };
                match self {
                    $(Self::$kind(settings) => {
                        Ok(Arc::new(Made { origin, sender: $module::Sender::new(settings, egress)? }))
                    })+
                }
            }
        }
    };
}

kinds! {
    "slack" => Slack(slack),
    "pagerduty" => Pagerduty(pagerduty),
    "email" => Email(email),
    "webhook" => Webhook(webhook),
    "alertmanager" => Alertmanager(alertmanager),
    "log" => Log(log),
}

/// The log of this process, which is always told when nobody else is named.
#[must_use]
pub fn to_log() -> Arc<dyn Receiver> {
    Arc::new(log::Sender)
}

/// Whether a receiver is meant by a name: its own, or the one that it shares with its peers, without what follows `@`.
pub(crate) fn is_meant(receiver: &str, name: &str) -> bool {
    receiver == name || receiver.split_once('@').is_some_and(|(shared, _)| shared == name)
}

impl Settings {
    /// Itself under its name, or each of its peers under a name of its own.
    pub(crate) fn peers(self, name: &str) -> Vec<(Arc<str>, Self)> {
        match self {
            Self::Alertmanager(settings) => {
                let peers = settings.peers().into_iter();
                peers.map(|(peer, one)| (format!("{name}@{peer}").into(), Self::Alertmanager(one))).collect()
            }
            Self::Email(settings) => {
                let peers = settings.peers().into_iter();
                peers.map(|(peer, one)| (format!("{name}@{peer}").into(), Self::Email(one))).collect()
            }
            other => vec![(name.into(), other)],
        }
    }

    /// Its kind and key for how long it believes that an alert fires, when it hears nothing, and how long that is.
    pub(crate) fn belief(&self) -> Option<(&'static str, &'static str, Duration)> {
        match self {
            Self::Alertmanager(settings) => Some(("alertmanager", "valid_for", settings.valid_for())),
            _ => None,
        }
    }

    /// Reads one receiver: a map with exactly one kind. What is wrong is recorded as a problem.
    pub fn read(m: &mut Map<'_>, egress: &Egress) -> Option<Self> {
        let written: Vec<&str> = KINDS.iter().copied().filter(|kind| m.has(kind)).collect();
        // Known even where it is not written: a misspelt kind is told with what was meant.
        KINDS.iter().for_each(|kind| m.ignore(kind));
        match written[..] {
            [kind] => Self::of(kind, m, egress),
            [] if m.keys().is_empty() => {
                m.problem_here(format!("is of no kind; name one of {}", KINDS.join(", ")));
                None
            }
            [] => None,
            [first, second, ..] => {
                m.problem(second, format!("stands beside `{first}`; make two receivers of them"));
                None
            }
        }
    }
}

/// A text's SHA-256, in hexadecimal digits.
fn digest(text: &str) -> String {
    hex(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, text.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        text.extend([byte >> 4, byte & 15].map(|digit| char::from(b"0123456789abcdef"[usize::from(digit)])));
        text
    })
}

/// A key that may stand in a header: itself, where that is safe.
fn token(text: &str) -> Cow<'_, str> {
    let safe = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
    let good = (1..=128).contains(&text.len()) && text.bytes().all(safe);
    if good { Cow::Borrowed(text) } else { Cow::Owned(digest(text)) }
}

#[cfg(test)]
pub(super) mod tests;
