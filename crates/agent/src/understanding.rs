//! What a monitor would understand of an agent's messages, for tests: it keeps to the protocol as strictly as a
//! monitor does, and panics where a monitor would end the stream. A double; it knows no time and no store.

use farol_series::{Columns, Encoding};
use farol_wire::Bitmap;
use farol_wire::proto::{self, ComponentStatus, Report, agent_message};
use prost::Message;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// A series by its name and labels.
pub(crate) type SeriesKey = (String, BTreeMap<String, String>);
/// What a source said at a time.
pub(crate) type Row = (String, u64, BTreeMap<SeriesKey, f64>);

/// The set that is defined.
#[derive(Clone, Debug, Default)]
pub(crate) struct Set {
    sources: BTreeMap<u32, proto::Source>,
    series: BTreeMap<u32, proto::Series>,
    pub(crate) components: BTreeMap<u32, proto::Component>,
    retired: BTreeSet<u32>,
}

/// What was understood so far.
#[derive(Debug, Default)]
pub(crate) struct Understanding {
    pub(crate) set: Set,
    /// The sequence of messages, one letter each: D R S B L(ive) X(dropped) G.
    pub(crate) order: String,
    columns: HashMap<u32, Columns>,
    must_start: bool,
    live: bool,
    last_seq: u64,
    /// Rows, live and history.
    pub(crate) rows: Vec<Row>,
    /// Sequence numbers, live and history, each as often as it came.
    pub(crate) seqs: Vec<u64>,
    /// Those that asked for an acknowledgement.
    pub(crate) ack_now: Vec<u64>,
    /// The last status of each component, from State and live reports.
    pub(crate) statuses: BTreeMap<String, ComponentStatus>,
    /// Every status of history and live reports, in order: sequence number, component, status.
    pub(crate) changes: Vec<(u64, String, i32)>,
    /// Components that were renewed by a live report.
    pub(crate) renewed: BTreeSet<String>,
    /// The set of the next segment, as far as it came before it.
    parts: Set,
    pub(crate) dropped: Vec<(u64, u64)>,
    pub(crate) keys: usize,
    pub(crate) goodbye: Option<proto::goodbye::Kind>,
}

impl Understanding {
    pub(crate) fn new() -> Self {
        Self { must_start: true, ..Self::default() }
    }

    pub(crate) fn take(&mut self, kind: agent_message::Kind) {
        use agent_message::Kind;
        let length = proto::AgentMessage { kind: Some(kind.clone()) }.encoded_len();
        assert!(length <= 1 << 20, "a message of {length} bytes");
        match kind {
            Kind::Hello(_) => panic!("a second Hello"),
            Kind::Define(define) => {
                self.order.push('D');
                assert!(length <= (256 << 10) + 16, "a Define of {length} bytes");
                self.set.define(define);
                self.must_start = true;
            }
            Kind::Retire(retire) => {
                self.order.push('R');
                self.set.retire(&retire);
                self.must_start = true;
            }
            Kind::State(state) => self.state(state),
            Kind::Backlog(backlog) => {
                self.order.push('B');
                assert!(self.order.contains('S'), "a Backlog before State");
                backlog.segments.into_iter().for_each(|segment| self.segment(segment));
            }
            Kind::Report(report) => self.report(report, length),
            Kind::Dropped(dropped) => {
                self.order.push('X');
                self.dropped.push((dropped.first, dropped.last));
            }
            Kind::Goodbye(goodbye) => {
                self.order.push('G');
                self.goodbye = Some(goodbye.kind());
            }
        }
    }

    fn state(&mut self, state: proto::State) {
        self.order.push('S');
        assert!(state.as_of >= self.last_seq, "State as of {} after {}", state.as_of, self.last_seq);
        self.last_seq = state.as_of;
        self.live = true;
        self.statuses.clear();
        for status in state.components {
            self.statuses.insert(self.set.name(status.id), status);
        }
    }

    fn report(&mut self, mut report: Report, length: usize) {
        self.order.push('L');
        assert!(self.live, "a Report before State");
        assert!(length >= 64, "a tiny frame of {length} bytes");
        assert!(report.seq > self.last_seq, "{} after {}", report.seq, self.last_seq);
        self.last_seq = report.seq;
        if report.key {
            self.keys += 1;
            self.must_start = false;
            self.columns.clear();
            let told: BTreeSet<u32> = report.changed.iter().map(|s| s.id).collect();
            assert_eq!(told, self.set.components.keys().copied().collect(), "a key report tells all");
        }
        assert!(!self.must_start || report.blocks.is_empty(), "blocks before a key frame");
        for status in std::mem::take(&mut report.changed) {
            let name = self.set.name(status.id);
            self.changes.push((report.seq, name.clone(), status.hard));
            self.statuses.insert(name, status);
        }
        let ids: Vec<u32> = self.set.components.keys().copied().collect();
        for position in Bitmap::from_bytes(report.checked.clone()).positions() {
            self.renewed.insert(self.set.name(ids[position]));
        }
        let set = self.set.clone();
        self.blocks(&set, &report);
    }

    fn segment(&mut self, segment: proto::Segment) {
        self.parts.define(segment.define.unwrap_or_default());
        if segment.reports.is_empty() {
            return;
        }
        let set = std::mem::take(&mut self.parts);
        let columns = std::mem::take(&mut self.columns);
        let first = segment.reports[0].seq;
        for (seq, report) in (first..).zip(&segment.reports) {
            assert_eq!((report.seq, report.key), (seq, seq == first), "a hole, or a key frame in the middle");
            for status in &report.changed {
                self.changes.push((report.seq, set.name(status.id), status.hard));
            }
            self.blocks(&set, report);
        }
        self.columns = columns;
    }

    fn blocks(&mut self, set: &Set, report: &Report) {
        self.seqs.push(report.seq);
        self.ack_now.extend(report.ack_now.then_some(report.seq));
        for block in &report.blocks {
            let source = set.sources.get(&block.source).expect("the block's source is defined");
            let series: Vec<_> = set.series.values().filter(|s| s.source == block.source).collect();
            let columns = self.columns.entry(block.source).or_insert_with(|| {
                let encoding = |s: &&proto::Series| Encoding::from_wire(s.encoding, s.digits).unwrap();
                Columns::new(series.iter().map(encoding).collect())
            });
            columns.apply(&block.data).expect("the block decodes");
            let values = columns.values().zip(&series).filter_map(|(value, s)| {
                let labels = s.labels.clone().into_iter().collect();
                Some(((s.name.clone(), labels), value?))
            });
            self.rows.push((source.name.clone(), report.at_ms - block.before_ms, values.collect()));
        }
    }
}

impl Set {
    fn define(&mut self, define: proto::Define) {
        let (_, refused) = farol_wire::define(define.clone()).expect("the Define is taken");
        assert_eq!(refused, [], "the Define is taken whole");
        for source in define.sources {
            self.sources.insert(source.id, source);
        }
        for series in define.series {
            assert!(self.sources.contains_key(&series.source), "series {} before its source", series.name);
            assert!(!self.retired.contains(&series.id), "id {} is used again", series.id);
            if let Some(known) = self.series.insert(series.id, series.clone()) {
                let same =
                    (known.name, known.r#type, known.source) == (series.name, series.r#type, series.source);
                assert!(same, "id {} changed its meaning", series.id);
            }
        }
        for component in define.components {
            self.components.insert(component.id, component);
        }
    }

    fn retire(&mut self, retire: &proto::Retire) {
        for id in &retire.series {
            self.series.remove(id);
            self.retired.insert(*id);
        }
        retire.components.iter().for_each(|id| drop(self.components.remove(id)));
        for id in &retire.sources {
            self.sources.remove(id);
            self.series.retain(|_, series| series.source != *id);
        }
    }

    fn name(&self, id: u32) -> String {
        self.components.get(&id).unwrap_or_else(|| panic!("component {id} is not defined")).name.clone()
    }

    pub(crate) fn series_ids(&self, name: &str) -> Vec<u32> {
        self.series.values().filter(|s| s.name == name).map(|s| s.id).collect()
    }

    pub(crate) fn component_id(&self, name: &str) -> Option<u32> {
        self.components.values().find(|c| c.name == name).map(|c| c.id)
    }
}
