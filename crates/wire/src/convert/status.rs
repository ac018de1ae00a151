//! A component's status on the wire, and the bitmap of checked components.

use crate::limits::{MESSAGE_BYTES, REASON_BYTES};
use crate::proto;
use farol_health::Status;

/// One component's status as an agent reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ComponentReport {
    /// The component's id on the stream.
    pub id: u32,
    /// The status that counts.
    pub hard: Status,
    /// What the last result said.
    pub soft: Status,
    /// A stable code.
    pub reason: String,
    /// For people.
    pub message: String,
    /// When the last result came, on the agent's boot clock; `None` for never.
    pub checked_ms: Option<u64>,
    /// The agent holds it under maintenance.
    pub maintenance: bool,
}

/// Reads a status. It never fails: a number of a newer protocol is unknown, a reason that is no code becomes
/// `other`, a long message is cut.
#[must_use]
pub fn component_report(entry: proto::ComponentStatus) -> ComponentReport {
    let status = |number: i32| u8::try_from(number).ok().and_then(Status::from_u8).unwrap_or_default();
    let code = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let reason = if entry.reason.len() <= REASON_BYTES && entry.reason.bytes().all(code) {
        entry.reason
    } else {
        "other".to_owned()
    };
    let mut message = entry.message;
    message.truncate(message.floor_char_boundary(MESSAGE_BYTES));
    ComponentReport {
        id: entry.id,
        hard: status(entry.hard),
        soft: status(entry.soft),
        reason,
        message,
        checked_ms: (entry.checked_ms > 0).then_some(entry.checked_ms),
        maintenance: entry.maintenance,
    }
}

impl From<ComponentReport> for proto::ComponentStatus {
    fn from(report: ComponentReport) -> Self {
        Self {
            id: report.id,
            hard: i32::from(report.hard as u8),
            soft: i32::from(report.soft as u8),
            reason: report.reason,
            message: report.message,
            checked_ms: report.checked_ms.unwrap_or(0),
            maintenance: report.maintenance,
        }
    }
}

/// The bitmap of `Report.checked`: bit i stands for the component with the i-th smallest id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bitmap(Vec<u8>);

impl Bitmap {
    /// A bitmap from the wire.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// Sets a bit.
    pub fn set(&mut self, position: usize) {
        let byte = position / 8;
        if self.0.len() <= byte {
            self.0.resize(byte + 1, 0);
        }
        self.0[byte] |= 1 << (position % 8);
    }

    /// The positions of all set bits, rising.
    pub fn positions(&self) -> impl Iterator<Item = usize> + '_ {
        self.0.iter().enumerate().flat_map(|(byte, bits)| {
            (0..8).filter(move |bit| bits & (1 << bit) != 0).map(move |bit| byte * 8 + bit)
        })
    }

    /// For the wire.
    #[must_use]
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}
