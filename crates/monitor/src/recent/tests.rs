//! Runs and blocks in memory, by hand. What history makes of them is tested over the stores.

use super::{FIVE_MINUTES_MS, Keep, Recent, Settings};
use crate::store::{
    AgentKey, BlockRecord, DAY_MS, Group, Layout, LayoutKey, ReportRecord, Restored, SealedRecord,
};
use farol_series::{Columns, Encoding, Fold, Reduce, Rollup, Sealed};
use farol_wire::{Boot, Definition, SeriesDef, SeriesType, SourceDef};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

const BOOT: Boot = Boot { number: 1, nonce: 1 };
const START_MS: i64 = 1_760_000_000_000;

fn layout(key: u32) -> Arc<Layout> {
    let series = |id: u32, name: &str, labels: &[(&str, &str)]| SeriesDef {
        id,
        source: 1,
        name: name.to_owned(),
        labels: labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        kind: SeriesType::Gauge,
        encoding: (1, 0),
        unit: String::new(),
    };
    let set = Definition {
        sources: vec![SourceDef { id: 1, name: "system".to_owned(), interval_ms: 10_000 }],
        series: vec![
            series(1, "system_load", &[]),
            series(2, "orders", &[]),
            series(3, "latency", &[("component", "database")]),
        ],
        components: Vec::new(),
    };
    Arc::new(Layout { key: LayoutKey(key), set })
}

/// Reports ten seconds apart, with a key report each `every`.
fn reports(numbers: std::ops::Range<u64>, every: u64) -> Vec<ReportRecord> {
    let mut columns = Columns::new(vec![Encoding::Integer; 3]);
    let mut one = |seq: u64| {
        let key = seq % every == 1;
        if key {
            columns.reset();
        }
        let mut data = Vec::new();
        columns.encode(&[Some(seq as f64), Some(1.0), Some(-(seq as f64))], &mut data).unwrap();
        ReportRecord {
            agent: AgentKey(1),
            boot: BOOT,
            seq,
            layout: LayoutKey(1),
            at_ms: START_MS + seq as i64 * 10_000,
            key,
            blocks: vec![BlockRecord { source: 1, before_ms: 0, data: data.into() }],
        }
    };
    numbers.map(&mut one).collect()
}

fn recent(settings: Settings) -> Recent {
    let recent = Recent::new(settings, &Restored::default());
    recent.take(&Group { layouts: vec![layout(1)], ..Group::default() }, START_MS);
    recent
}

fn take(recent: &Recent, reports: Vec<ReportRecord>) {
    let now_ms = reports.last().map_or(START_MS, |report| report.at_ms);
    recent.take(&Group { reports, ..Group::default() }, now_ms);
}

fn seal(recent: &Recent) -> Vec<SealedRecord> {
    recent.seal(Duration::from_secs(60), usize::MAX)
}

#[test]
fn a_run_that_would_lean_on_a_report_before_it_is_left_to_the_journal() {
    // What came before it may be sealed, or gone with its run.
    let recent = recent(Settings::default());
    take(&recent, reports(2..1_000, 64));
    assert!(seal(&recent).is_empty(), "a block without its first reports would be all there is of them");
    assert!(recent.of(AgentKey(1), START_MS, i64::MAX, |_| true).is_in_journal);
}

#[test]
fn a_run_ends_before_a_key_report_so_that_what_follows_decodes_by_itself() {
    let recent = recent(Settings::default());
    take(&recent, reports(1..1_000, 64));
    let records = seal(&recent);
    assert!((3..8).contains(&records.len()), "half an hour each, more or less: {}", records.len());
    let mut next = 1;
    for record in &records {
        assert_eq!(record.first_seq, next);
        assert_eq!(record.last_seq % 64, 0, "{}..={}", record.first_seq, record.last_seq);
        next = record.last_seq + 1;
        let sealed = Sealed::open(&record.bytes).unwrap();
        let mut values = Vec::new();
        sealed.samples(1, 0, |at_ms, value| values.push((at_ms, value))).unwrap();
        let expected: Vec<_> =
            (record.first_seq..next).map(|seq| (START_MS + seq as i64 * 10_000, seq as f64)).collect();
        assert_eq!(values, expected);
        assert_eq!(record.samples, 3 * values.len() as u64);
    }
    assert_eq!(seal(&recent), [], "the last run is open");
    // A stream that may go on is not cut; one that is over is sealed to its end.
    let later_ms = START_MS + 100_000_000;
    recent.sweep(later_ms, |_, _| true);
    assert_eq!(seal(&recent), []);
    recent.sweep(later_ms, |_, _| false);
    let last = seal(&recent);
    assert_eq!((last[0].first_seq, last[0].last_seq), (next, 999));
}

#[test]
fn roll_ups_are_of_names_and_labels_that_are_kept() {
    for (words, expected) in [
        (vec!["system_"], [true, false, false]),
        (vec!["component"], [false, false, true]),
        (vec!["orders", "system_load"], [true, true, false]),
        (vec![], [false, false, false]),
    ] {
        let keep = Keep(words.iter().map(|word| (*word).to_owned()).collect());
        let recent = recent(Settings { keep, ..Settings::default() });
        take(&recent, reports(1..600, 64));
        let record = &seal(&recent)[0];
        let rollup = (!record.rollup.is_empty()).then(|| Rollup::decode(&record.rollup).unwrap());
        let kept = [0, 1, 2].map(|at| rollup.as_ref().is_some_and(|r| !r.buckets(at).is_empty()));
        assert_eq!(kept, expected, "{words:?}");
    }
}

#[test]
fn old_blocks_leave_once_they_are_committed_and_under_pressure_all_do() {
    let recent = recent(Settings::default());
    take(&recent, reports(1..1_000, 64));
    let sealed = seal(&recent);
    let now_ms = START_MS + 10_000_000;
    recent.sweep(now_ms, |_, _| true);
    let all = recent.held();
    assert_eq!(all.sealed_blocks, sealed.len() as u64);
    assert_eq!(recent.of(AgentKey(1), 0, i64::MAX, |_| true).covers_from_ms, Some(i64::MIN));
    // They wait for their commit, however old they are.
    recent.sweep(now_ms + 100_000_000, |_, _| true);
    assert_eq!(recent.held().samples, all.samples);
    recent.take(&Group { sealed: sealed.clone(), ..Group::default() }, now_ms);
    recent.sweep(now_ms, |_, _| true);
    let held = recent.held();
    assert!(held.samples > 0 && held.samples < all.samples, "{held:?}");
    let covers_ms = recent.of(AgentKey(1), 0, i64::MAX, |_| true).covers_from_ms.unwrap();
    assert!(sealed.iter().any(|record| record.last_ms + 1 == covers_ms), "{covers_ms}");

    let small = self::recent(Settings { max_bytes: 1, ..Settings::default() });
    take(&small, reports(1..1_000, 64));
    let sealed = seal(&small);
    small.take(&Group { sealed, ..Group::default() }, now_ms);
    small.sweep(START_MS + 9_990_000, |_, _| true);
    assert_eq!(small.held().samples, 0, "only what is not sealed stays");
    assert!(small.held().reports > 0);
}

#[test]
fn what_can_never_be_sealed_is_left_to_the_journal_and_takes_up_no_memory() {
    let recent = recent(Settings::default());
    let large = |seq: u64| {
        let mut report = reports(seq..seq + 1, u64::MAX).remove(0);
        report.key = seq == 1;
        report.blocks[0].data = vec![0; 1 << 20].into();
        report
    };
    take(&recent, (1..=20).map(large).collect());
    recent.sweep(START_MS + 300_000, |_, _| true);
    let held = recent.held();
    assert_eq!(held.in_journal, 1);
    assert!(held.bytes < 1 << 20, "{held:?}");
    assert!(recent.of(AgentKey(1), 0, i64::MAX, |_| true).is_in_journal);
    recent.sweep(START_MS + 100_000_000, |_, _| false);
    assert_eq!(seal(&recent), []);
}

#[test]
fn what_a_start_replays_stands_before_what_came_since() {
    let all = reports(1..400, 64);
    let restored = Restored {
        marks: vec![(AgentKey(1), BOOT, 200)],
        sealed: vec![(AgentKey(1), BOOT, 64)],
        layouts: vec![layout(1)],
        ..Restored::default()
    };
    let recent = Recent::new(Settings::default(), &restored);
    // A new stream begins with a key report; it comes before the replay is over.
    let mut new = reports(193..300, 64);
    new.drain(..8);
    new[0] = {
        let mut columns = Columns::new(vec![Encoding::Integer; 3]);
        let mut data = Vec::new();
        columns.encode(&[Some(201.0), Some(1.0), Some(-201.0)], &mut data).unwrap();
        ReportRecord {
            key: true,
            blocks: vec![BlockRecord { source: 1, before_ms: 0, data: data.into() }],
            ..new[0].clone()
        }
    };
    take(&recent, new);
    assert_eq!(seal(&recent).len(), 0, "older reports come first");
    assert!(recent.of(AgentKey(1), 0, i64::MAX, |_| true).is_in_journal);
    // The journal may show some twice, some that are sealed, and some that came since.
    for report in all[..230].iter().chain(&all[100..200]) {
        recent.replay(report, &layout(1));
    }
    recent.replay_is_over();
    assert!(!recent.of(AgentKey(1), 0, i64::MAX, |_| true).is_in_journal);
    for now_ms in [START_MS, START_MS + 100_000_000] {
        recent.sweep(now_ms, |_, _| false);
    }
    let sealed = seal(&recent);
    let mut seen: BTreeMap<i64, f64> = BTreeMap::new();
    let mut samples = 0;
    for record in &sealed {
        let block = Sealed::open(&record.bytes).unwrap();
        let take = |at_ms, value| {
            samples += 1;
            seen.insert(at_ms, value);
        };
        block.samples(1, 0, take).unwrap();
    }
    assert_eq!((samples, seen.len()), (235, 235), "65 to 299, each once");
    assert!(seen.iter().all(|(at_ms, value)| *at_ms == START_MS + *value as i64 * 10_000));
    assert!(sealed.windows(2).all(|pair| pair[0].last_seq + 1 == pair[1].first_seq));
}

#[test]
fn a_clock_that_was_set_back_ends_a_block_so_that_each_is_in_order_and_rolled_up_whole() {
    let recent = recent(Settings::default());
    let mut reports = reports(1..65, 64);
    for report in &mut reports[40..] {
        report.at_ms -= 3_600_000;
    }
    take(&recent, reports);
    recent.sweep(START_MS + 100_000_000, |_, _| false);
    let sealed = seal(&recent);
    let numbers: Vec<_> = sealed.iter().map(|record| (record.first_seq, record.last_seq)).collect();
    assert_eq!(numbers, [(1, 40), (41, 64)]);
    for record in &sealed {
        let mut times = Vec::new();
        Sealed::open(&record.bytes).unwrap().samples(1, 0, |at_ms, _| times.push(at_ms)).unwrap();
        assert!(times.is_sorted_by(|a, b| a < b), "{times:?}");
        assert_eq!((times[0], times[times.len() - 1]), (record.first_ms, record.last_ms));
        let rolled = Rollup::decode(&record.rollup).unwrap();
        let count: u32 = rolled.buckets(0).iter().map(|bucket| bucket.count).sum();
        assert_eq!(u64::from(count), record.last_seq + 1 - record.first_seq);
    }
}

#[test]
fn a_clock_that_is_set_back_again_and_again_ends_the_run_so_that_no_run_becomes_very_many_blocks() {
    let recent = recent(Settings::default());
    let mut reports = reports(1..257, 64);
    for report in reports.iter_mut().filter(|report| report.seq % 2 == 0) {
        report.at_ms -= 15_000;
    }
    take(&recent, reports);
    recent.sweep(START_MS + 100_000_000, |_, _| false);
    let mut next = 1;
    for _ in 0..4 {
        // One run.
        let records = recent.seal(Duration::from_secs(60), 1);
        assert_eq!(records.len(), 32 + 1, "from {next}");
        assert!(records.iter().all(|r| r.first_seq == std::mem::replace(&mut next, r.last_seq + 1)));
    }
    assert_eq!((next, seal(&recent).len()), (257, 0));
}

/// The rates of the first series, a counter here, by five minutes and by the hour, as its roll-ups tell them.
fn rolled_rates(recent: &Recent, sealed: &[SealedRecord]) -> [Vec<f64>; 2] {
    let mut rows: Vec<_> = sealed.iter().map(|r| (r.first_ms, Rollup::decode(&r.rollup).unwrap())).collect();
    rows.sort_by_key(|(first_ms, _)| *first_ms);
    let mut all = Rollup::new(FIVE_MINUTES_MS, rows[0].1.kinds().to_vec());
    rows.iter().for_each(|(_, rollup)| all.merge(rollup).unwrap());
    assert!(all.kinds()[0].counter && recent.held().in_journal == 0);
    [all.clone(), all.coarsen(12 * FIVE_MINUTES_MS).unwrap()].map(|rollup| {
        let begin_ms = START_MS / 3_600_000 * 3_600_000 - 48 * 3_600_000;
        let (end_ms, step_ms) = (begin_ms + 96 * 3_600_000, rollup.length_ms());
        let mut fold = Fold::new(begin_ms, end_ms, step_ms, Reduce::Rate).unwrap();
        rollup.buckets(0).iter().for_each(|bucket| fold.bucket(bucket).unwrap());
        fold.finish().into_iter().filter_map(|point| point.value).collect()
    })
}

#[test]
fn a_rate_of_roll_ups_is_no_restart_on_either_side_of_a_clock_that_was_set_back() {
    let mut counters = (*layout(1)).clone();
    counters.set.series[0].kind = SeriesType::Counter;
    counters.set.series[0].encoding = (1, 0);
    // A tenth a second, far from zero. A clock that is set back in a run, between two, and twice; and one that was ahead
    // for days. What grew meanwhile is told where it goes on.
    for (jumps, most) in [
        (vec![(72, -50_000)], 0.12),
        (vec![(65, -260_000)], 0.19),
        (vec![(65, -260_000), (150, -100_000)], 0.19),
        (vec![(1, 3 * DAY_MS), (40, -3 * DAY_MS)], 0.1),
    ] {
        let recent = Recent::new(Settings::default(), &Restored::default());
        recent.take(&Group { layouts: vec![Arc::new(counters.clone())], ..Group::default() }, START_MS);
        let mut columns = Columns::new(vec![Encoding::Integer; 3]);
        let mut sealed = Vec::new();
        let mut reports = reports(1..257, 64);
        for report in &mut reports {
            if report.key {
                columns.reset();
            }
            let mut data = Vec::new();
            let values = [Some(1e9 + report.seq as f64), Some(1.0), Some(-1.0)];
            columns.encode(&values, &mut data).unwrap();
            report.blocks[0].data = data.into();
            let set = jumps.iter().filter(|(from, _)| report.seq >= *from);
            report.at_ms += set.map(|(_, by_ms)| by_ms).sum::<i64>();
        }
        for run in reports.chunks(64) {
            take(&recent, run.to_vec());
            recent.sweep(START_MS + 100_000_000, |_, _| false);
            sealed.extend(seal(&recent));
        }
        assert!(sealed.len() >= 4, "{} blocks", sealed.len());
        let samples = |at: usize| -> u32 {
            let of = sealed.iter().map(|record| Rollup::decode(&record.rollup).unwrap());
            of.flat_map(|rollup| rollup.buckets(at).to_vec()).map(|bucket| bucket.count).sum()
        };
        assert_eq!(samples(2), 256, "a gauge is rolled up whole");
        for (rates, least) in rolled_rates(&recent, &sealed).iter().zip([6, 1]) {
            assert!(rates.len() >= least, "{jumps:?}: {} rates", rates.len());
            let (low, high) = rates.iter().fold((1.0_f64, 0.0_f64), |(l, h), r| (l.min(*r), h.max(*r)));
            assert!(low > 0.0999 && high < most + 0.0001, "{jumps:?}: from {low} to {high}");
        }
    }
}

#[test]
fn a_sweep_holds_no_lock_while_it_asks_who_is_followed_and_takes_some_agents_at_a_time() {
    let recent = recent(Settings::default());
    let of_many =
        (1..=1_000).map(|agent| ReportRecord { agent: AgentKey(agent), ..reports(1..2, 64).remove(0) });
    take(&recent, of_many.collect());
    let asked = std::cell::Cell::new(0);
    recent.sweep(START_MS + 100_000_000, |_, _| {
        assert!(!recent.0.state.is_locked());
        asked.set(asked.get() + 1);
        false
    });
    assert_eq!(asked.get(), 1_000);
    assert_eq!(seal(&recent).len(), 1_000);
    let mut looks = Vec::new();
    recent.each(256, |_, agents| looks.push(agents));
    assert_eq!(looks, [0..256, 256..512, 512..768, 768..1_001]);
}

#[test]
fn over_the_bound_the_oldest_blocks_leave_and_no_more_than_must() {
    let of = |max_bytes| {
        let recent = recent(Settings { max_bytes, memory_ms: i64::MAX, ..Settings::default() });
        take(&recent, reports(1..5_000, 64));
        let sealed = seal(&recent);
        recent.take(&Group { sealed: sealed.clone(), ..Group::default() }, START_MS);
        recent.sweep(START_MS + 50_000_000, |_, _| true);
        (sealed, recent)
    };
    let (sealed, whole) = of(usize::MAX);
    assert!(sealed.len() > 20, "{}", sealed.len());
    let (_, cut) = of(whole.held().bytes - 1);
    let covers_ms = cut.of(AgentKey(1), 0, i64::MAX, |_| true).covers_from_ms;
    assert_eq!(covers_ms, Some(sealed[0].last_ms + 1), "one was enough");
}

#[test]
fn of_an_agent_that_is_gone_next_to_nothing_stays() {
    let recent = recent(Settings::default());
    take(&recent, reports(1..100, 64));
    recent.sweep(START_MS + 100_000_000, |_, _| false);
    let sealed = seal(&recent);
    recent.take(&Group { sealed, forgotten: vec![AgentKey(1)], ..Group::default() }, START_MS);
    recent.sweep(START_MS + 200_000_000, |_, _| false);
    let held = recent.held();
    assert!(held.bytes < 256, "{held:?}");
}

#[test]
fn who_reads_copies_nothing_and_a_run_that_ended_takes_up_what_it_needs() {
    let recent = recent(Settings::default());
    take(&recent, reports(1..50, 64));
    let [first, second] = [(); 2].map(|()| recent.of(AgentKey(1), 0, i64::MAX, |_| true).runs.remove(0));
    assert!(Arc::ptr_eq(&first, &second));
    // What comes meanwhile is not in what was read before.
    take(&recent, reports(1..60, 64).split_off(49));
    assert_eq!(first.reports, 49);
    assert_eq!(recent.of(AgentKey(1), 0, i64::MAX, |_| true).runs[0].reports, 59);
    drop((first, second));
    recent.sweep(START_MS + 100_000_000, |_, _| false);
    let ended = recent.of(AgentKey(1), 0, i64::MAX, |_| true).runs.remove(0);
    assert_eq!(ended.spare(), 0);
}
