//! The kind `log`: one record an alert in the monitor's own log, which escapes what it writes.

use super::{Failure, Receiver, Sent};
use crate::notify::egress::Egress;
use crate::notify::message::{AlertWord, Message};
use crate::notify::wording;
use farol_config::Map;
use farol_rules::Severity;
use futures::future::BoxFuture;

/// Nothing is set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings;

impl Settings {
    pub(super) fn read(_: &mut Map<'_>, _: &Egress) -> Self {
        Self
    }
}

/// Writes to the log.
pub(super) struct Sender;

impl Sender {
    #[expect(clippy::unnecessary_wraps, reason = "every kind is made by the same signature")]
    pub(super) fn new(_: &Settings, _: &Egress) -> Result<Self, String> {
        Ok(Self)
    }
}

impl Receiver for Sender {
    fn kind(&self) -> &'static str {
        "log"
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        for alert in &message.alerts {
            write(message, alert);
        }
        Box::pin(std::future::ready(Ok(Sent::default())))
    }
}

fn write(message: &Message, alert: &AlertWord) {
    macro_rules! record {
        ($level:ident, $text:literal) => {
            tracing::$level!(
                alert = alert.id,
                alert_id = alert.alert_id,
                rule = alert.rule,
                labels = %alert.labels,
                severity = alert.severity.as_str(),
                since = wording::moment(alert.since_ms),
                ended = alert.ended.map(|ended| ended.as_str()),
                value = alert.value,
                elements = alert.elements.total,
                holds = alert.holds.total,
                summary = wording::summary(alert),
                receiver = message.receiver,
                notice = message.notice_id,
                $text
            )
        };
    }
    match (alert.ended, alert.severity) {
        (Some(_), _) => record!(info, "an alert is over"),
        (None, Severity::Warning) => record!(warn, "an alert fires"),
        (None, Severity::Critical) => record!(error, "an alert fires"),
    }
}
