//! A segment whose first reports are known already. Decides how the others stand by themselves: what was known may be
//! sealed and gone from the journal, and nothing that comes after it may lean on it.

use crate::fleet::Compiled;
use crate::store::ReportRecord;
use farol_series::Columns;

/// Makes the first report after `known` a key report, when it is not the segment's first. The segment was tried: all
/// of its blocks can be decoded.
pub(super) fn begin(layout: &Compiled, records: &mut [ReportRecord], known: u64) {
    let first = records.iter().take_while(|record| record.seq <= known).count();
    if first == 0 || first == records.len() {
        return;
    }
    let new = || layout.sources.iter().map(|source| Columns::new(source.encodings.clone())).collect();
    let (mut told, mut anew): (Vec<Columns>, Vec<Columns>) = (new(), new());
    for (position, record) in records.iter_mut().enumerate() {
        record.key |= position == first;
        for block in &mut record.blocks {
            let Some(at) = layout.source(block.source) else { continue };
            if told[at].apply(&block.data).is_err() || position < first {
                continue;
            }
            // Every block from here on: a series that is absent now comes back as a difference to what it was before.
            let row: Vec<Option<f64>> = told[at].values().collect();
            let mut data = Vec::new();
            if anew[at].encode(&row, &mut data).is_ok() {
                block.data = data.into();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::begin;
    use crate::fleet::Compiled;
    use crate::store::{AgentKey, BlockRecord, Layout, LayoutKey, ReportRecord};
    use farol_series::{Columns, Encoding};
    use farol_wire::{Boot, Definition, SeriesDef, SeriesType, SourceDef};
    use std::sync::Arc;

    fn layout() -> Compiled {
        let source = |id: u32| SourceDef { id, name: format!("s{id}"), interval_ms: 1_000 };
        let series = |id: u32, source, encoding: Encoding| SeriesDef {
            id,
            source,
            name: format!("n{id}"),
            labels: Default::default(),
            kind: SeriesType::Gauge,
            encoding: encoding.to_wire(),
            unit: String::new(),
        };
        let set = Definition {
            sources: vec![source(1), source(2)],
            series: vec![
                series(1, 1, Encoding::Integer),
                series(2, 1, Encoding::Float),
                series(3, 2, Encoding::Decimal(1)),
            ],
            components: Vec::new(),
        };
        Compiled::new(Arc::new(Layout { key: LayoutKey(1), set }))
    }

    /// What each source says in a report; `None`: it did not tick.
    type Rows = [Option<Vec<Option<f64>>>; 2];

    fn rows() -> Vec<Rows> {
        let first = |a: f64, b: Option<f64>| Some(vec![Some(a), b]);
        let second = |a: f64| Some(vec![Some(a)]);
        vec![
            [first(5.0, Some(0.1)), second(1.5)],
            [first(6.0, None), None],
            // Nothing has changed since; and the second source ticks later.
            [first(6.0, None), None],
            [first(6.0, Some(-0.0)), second(1.5)],
            [first(9.0, Some(f64::NAN)), second(2.5)],
        ]
    }

    fn segment(layout: &Compiled) -> Vec<ReportRecord> {
        let mut columns: Vec<Columns> =
            layout.sources.iter().map(|source| Columns::new(source.encodings.clone())).collect();
        let record = |(seq, rows): (u64, &Rows)| {
            let mut blocks = Vec::new();
            for (at, row) in rows.iter().enumerate() {
                let Some(row) = row else { continue };
                let mut data = Vec::new();
                columns[at].encode(row, &mut data).unwrap();
                let source = layout.sources[at].id;
                blocks.push(BlockRecord { source, before_ms: 0, data: data.into() });
            }
            let boot = Boot { number: 1, nonce: 1 };
            let (agent, layout) = (AgentKey(1), layout.layout.key);
            ReportRecord { agent, boot, seq, layout, at_ms: 0, key: seq == 1, blocks }
        };
        (1..).zip(&rows()).map(record).collect()
    }

    /// As bits: NaN is not itself.
    fn bits(row: impl Iterator<Item = Option<f64>>) -> Vec<Option<u64>> {
        row.map(|value| value.map(f64::to_bits)).collect()
    }

    #[test]
    fn what_is_left_of_a_segment_decodes_without_what_was_known_wherever_it_is_cut() {
        let layout = layout();
        for known in 1..rows().len() as u64 {
            let mut records = segment(&layout);
            begin(&layout, &mut records, known);
            let left: Vec<_> = records.into_iter().filter(|record| record.seq > known).collect();
            let keys: Vec<bool> = left.iter().map(|record| record.key).collect();
            assert!(keys[0] && !keys[1..].contains(&true), "{known}: {keys:?}");
            let mut columns: Vec<Columns> =
                layout.sources.iter().map(|source| Columns::new(source.encodings.clone())).collect();
            for record in &left {
                for block in &record.blocks {
                    let at = layout.source(block.source).unwrap();
                    columns[at].apply(&block.data).unwrap();
                    let said = rows()[record.seq as usize - 1][at].clone().unwrap();
                    assert_eq!(bits(columns[at].values()), bits(said.into_iter()), "{known}, {}", record.seq);
                }
            }
        }
    }

    #[test]
    fn a_segment_that_is_all_new_or_all_known_is_left_as_it_is() {
        let layout = layout();
        for known in [0, 5, 9] {
            let mut records = segment(&layout);
            begin(&layout, &mut records, known);
            assert_eq!(records, segment(&layout), "{known}");
        }
    }
}
