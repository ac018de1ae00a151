//! Reports with the set they were made with. The first is a key frame, so that they decode by themselves.

use bytes::Bytes;
use farol_wire::proto::{Boot as WireBoot, Define, Report, Segment as Sent, agent_message};
use farol_wire::{Boot, Limits};
use prost::Message;
use std::sync::Arc;

/// Memory that each held report costs besides its bytes.
const REPORT_OVERHEAD: usize = 64;
/// What the message needs round a report, and round the whole.
const FRAME_BYTES: usize = 8;
const SEGMENT_FRAME_BYTES: usize = 64;

/// How large a defined set is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sizes {
    sources: u32,
    series: u32,
    components: u32,
}

impl Sizes {
    pub(crate) fn of(define: &Define) -> Self {
        let count = |n| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            sources: count(define.sources.len()),
            series: count(define.series.len()),
            components: count(define.components.len()),
        }
    }

    /// Whether a monitor with these limits takes it.
    pub(crate) fn fits(self, limits: &Limits) -> bool {
        let within = |n, most| usize::try_from(n).is_ok_and(|n: usize| n <= most);
        within(self.series, limits.max_series)
            && within(self.components, limits.max_components)
            && within(self.sources, limits.max_components)
    }
}

/// A defined set, as it stands in a segment's message.
#[derive(Debug)]
pub(crate) struct Layout {
    /// An encoded Define.
    body: Bytes,
    pub(super) sizes: Sizes,
}

impl Layout {
    pub(crate) fn new(define: &Define) -> Self {
        Self { body: define.encode_to_vec().into(), sizes: Sizes::of(define) }
    }

    pub(super) fn bytes(&self) -> usize {
        self.body.len()
    }

    pub(crate) fn define(&self) -> Define {
        Define::decode(self.body.clone()).expect("was encoded here")
    }

    /// Whether a monitor with these limits takes it.
    pub(crate) fn fits(&self, limits: &Limits) -> bool {
        self.sizes.fits(limits)
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    /// The first report's sequence number.
    pub(super) first: u64,
    /// Encoded, in order, without holes.
    pub(super) reports: Vec<Bytes>,
    /// What the reports cost.
    pub(super) bytes: usize,
    /// Shared with neighbours that have the same set.
    pub(super) layout: Arc<Layout>,
    wall_offset_ms: i64,
    /// When its first report was made, on the boot clock.
    pub(super) made_ms: u64,
    /// What a live stream hears before the first report.
    pub(super) announce: Vec<agent_message::Kind>,
    /// Nothing may be added.
    pub(super) closed: bool,
    /// Its copy on disk.
    pub(super) copy: Copied,
}

/// How much of a segment is on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Copied {
    /// So many of its reports.
    pub(super) reports: usize,
    /// Bytes of its file; 0 for none.
    pub(super) bytes: u64,
    /// It had to go from there, and does not come back.
    pub(super) passed: bool,
}

impl Segment {
    pub(super) fn new(
        first: u64,
        layout: Arc<Layout>,
        wall_offset_ms: i64,
        announce: Vec<agent_message::Kind>,
    ) -> Self {
        Self {
            first,
            reports: Vec::new(),
            bytes: 0,
            layout,
            wall_offset_ms,
            made_ms: 0,
            announce,
            closed: false,
            copy: Copied::default(),
        }
    }

    /// The last report's sequence number; the one before the first while there is none.
    pub(super) fn last(&self) -> u64 {
        self.first + self.reports.len() as u64 - 1
    }

    /// Keeps a report and says how many bytes that costs.
    pub(super) fn push(&mut self, report: &Report) -> usize {
        if self.reports.is_empty() {
            self.made_ms = report.at_ms;
        }
        let body = Bytes::from(report.encode_to_vec());
        let cost = body.len() + REPORT_OVERHEAD;
        self.reports.push(body);
        self.bytes += cost;
        cost
    }

    pub(super) fn report(&self, seq: u64) -> Report {
        let at = usize::try_from(seq - self.first).expect("a held report's place fits");
        Report::decode(self.reports[at].clone()).expect("was encoded here")
    }

    /// What its file begins with: itself without reports.
    pub(super) fn head(&self, boot: Boot) -> Vec<u8> {
        let wall_offset_ms = self.wall_offset_ms;
        let head = Sent {
            boot: Some(boot.into()),
            define: Some(self.layout.define()),
            reports: Vec::new(),
            wall_offset_ms,
        };
        head.encode_to_vec()
    }

    /// Whether all of it is on disk.
    pub(super) fn is_copied(&self) -> bool {
        !self.reports.is_empty() && self.copy.reports == self.reports.len()
    }

    /// How long its message is without its set, at most.
    pub(super) fn message_bytes(&self) -> usize {
        let reports: usize = self.reports.iter().map(|body| body.len() + FRAME_BYTES).sum();
        reports + SEGMENT_FRAME_BYTES
    }

    pub(super) fn to_message(&self, boot: Boot) -> Sent {
        let decode = |body: &Bytes| Report::decode(body.clone()).expect("was encoded here");
        Sent {
            boot: Some(WireBoot::from(boot)),
            define: Some(self.layout.define()),
            reports: self.reports.iter().map(decode).collect(),
            wall_offset_ms: self.wall_offset_ms,
        }
    }
}
