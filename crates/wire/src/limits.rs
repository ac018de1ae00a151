//! How much a peer may send. What is over is refused by a clear error; nothing here is a guess of a peer's.

use crate::proto;

/// The largest id of a source, series or component: ids index tables.
pub const MAX_ID: u32 = 1 << 24;
/// Bytes of a series' name.
pub const METRIC_NAME_BYTES: usize = 256;
/// Bytes of a label's name.
pub const LABEL_NAME_BYTES: usize = 128;
/// Bytes of a label's value.
pub const LABEL_VALUE_BYTES: usize = 1024;
/// Labels of one series, component or agent.
pub const LABELS: usize = 32;
/// Bytes of a status' message; longer ones are cut at a character's end.
pub const MESSAGE_BYTES: usize = 1024;
/// Bytes of a reason code.
pub const REASON_BYTES: usize = 64;
/// Boots a Hello may name.
pub const SPOOLED_BOOTS: usize = 64;
/// Losses an agent announces before it knows that those before were heard.
pub const LOSSES: usize = 500;

/// What one agent may define, and how long one of its messages may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Series of one agent.
    pub max_series: usize,
    /// Components of one agent; sources are held to the same number.
    pub max_components: usize,
    /// Bytes of one message, after decompression.
    pub max_message_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_series: 10_000, max_components: 1_000, max_message_bytes: 1 << 20 }
    }
}

impl From<Limits> for proto::Limits {
    fn from(limits: Limits) -> Self {
        let number = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            max_series: number(limits.max_series),
            max_components: number(limits.max_components),
            max_message_bytes: number(limits.max_message_bytes),
        }
    }
}

impl From<proto::Limits> for Limits {
    fn from(limits: proto::Limits) -> Self {
        Self {
            max_series: limits.max_series as usize,
            max_components: limits.max_components as usize,
            max_message_bytes: limits.max_message_bytes as usize,
        }
    }
}
