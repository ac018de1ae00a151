//! Rows come back as they were, and damage is found.

use super::{Damaged, Directory, KeyReport, Row, Run, pack, unpack};
use crate::store::{AgentKey, BlockRecord, LayoutKey, ReportRecord};
use bytes::Bytes;
use farol_wire::Boot;
use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};

const AGENT: AgentKey = AgentKey(9);
const BOOT: Boot = Boot { number: 4, nonce: 2 };

fn block() -> impl Strategy<Value = BlockRecord> {
    (any::<u32>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(source, before_ms, data)| BlockRecord { source, before_ms, data: data.into() })
}

fn reports() -> impl Strategy<Value = Vec<ReportRecord>> {
    let one = (1..u64::MAX, 0..4_u32, any::<i64>(), any::<bool>(), prop::collection::vec(block(), 0..4));
    prop::collection::btree_map(0..u64::MAX, one, 1..6).prop_map(|all| {
        let record = |(seq, (_, layout, at_ms, key, blocks))| ReportRecord {
            agent: AGENT,
            boot: BOOT,
            seq,
            layout: LayoutKey(layout),
            // Times of one row lie within one another's reach.
            at_ms: at_ms / 4,
            key,
            blocks,
        };
        all.into_iter().map(record).collect()
    })
}

fn read(row: &Row) -> Result<Directory, Damaged> {
    Directory::read(row.first_ms, row.last_ms, &row.boots, &row.directory)
}

fn run_of(row: &Row, boot: u32) -> Result<Vec<ReportRecord>, Damaged> {
    let directory = read(row)?;
    let entry = directory.entries.iter().find(|entry| entry.boot == boot).unwrap();
    let bytes = Bytes::copy_from_slice(&row.body[entry.start..entry.start + entry.length]);
    unpack(entry, AGENT, BOOT, bytes)
}

fn sample() -> Row {
    let one = |seq: u64, key: bool| ReportRecord {
        agent: AGENT,
        boot: BOOT,
        seq,
        layout: LayoutKey(1),
        at_ms: 1_000 * seq as i64,
        key,
        blocks: vec![BlockRecord { source: 1, before_ms: 10, data: vec![seq as u8; 9].into() }],
    };
    let (first, second) = ([one(1, true), one(2, false)], [one(7, false), one(9, true)]);
    let (first, second): (Vec<_>, Vec<_>) = (first.iter().collect(), second.iter().collect());
    let run = |boot, reports, key_back| Run { boot, reports, key_back };
    pack(&[run(3, &first, Some(5)), run(300, &second, Some(6)), run(70_000, &second[..1], None)])
}

proptest! {
    #[test]
    fn any_reports_come_back(all in prop::collection::vec(reports(), 1..5), back in any::<Option<u64>>()) {
        let borrowed: Vec<Vec<&ReportRecord>> = all.iter().map(|reports| reports.iter().collect()).collect();
        let runs: Vec<Run<'_>> = borrowed
            .iter()
            .enumerate()
            .map(|(n, reports)| Run { boot: n as u32 * 1_000, reports, key_back: back })
            .collect();
        let row = pack(&runs);
        let directory = read(&row).unwrap();
        prop_assert_eq!(&directory.entries, &row.entries);
        for (entry, reports) in directory.entries.iter().zip(&all) {
            prop_assert_eq!(&run_of(&row, entry.boot).unwrap(), reports);
            prop_assert_eq!(entry.first_seq, reports[0].seq);
            prop_assert_eq!(entry.last_seq, reports[reports.len() - 1].seq);
            prop_assert_eq!(entry.first_ms, reports.iter().map(|r| r.at_ms).min().unwrap());
            prop_assert_eq!(entry.last_ms, reports.iter().map(|r| r.at_ms).max().unwrap());
            prop_assert_eq!(entry.holds_key, reports.iter().any(|r| r.key));
            let key = match (reports[0].key, back) {
                (true, _) => KeyReport::First,
                (false, Some(rows)) => KeyReport::Back(rows),
                (false, None) => KeyReport::Nowhere,
            };
            prop_assert_eq!(entry.key, key);
        }
    }

    #[test]
    fn what_the_database_gives_back_never_makes_a_panic(
        boots in prop::collection::vec(any::<u8>(), 0..20),
        directory in prop::collection::vec(any::<u8>(), 0..80),
        first_ms in any::<i64>(),
        last_ms in any::<i64>(),
    ) {
        let mut directory = directory;
        // With the right checksum too, so that all that follows is tried.
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&first_ms.to_le_bytes());
        hasher.update(&last_ms.to_le_bytes());
        hasher.update(&boots);
        directory.insert(0, 1);
        hasher.update(&directory);
        directory.extend_from_slice(&hasher.finalize().to_le_bytes());
        if let Ok(directory) = Directory::read(first_ms, last_ms, &boots, &directory) {
            for entry in &directory.entries {
                let mut entry = entry.clone();
                let bytes: Bytes = boots.clone().into();
                (entry.length, entry.checksum) = (bytes.len(), crc32fast::hash(&bytes));
                if let Ok(reports) = unpack(&entry, AGENT, BOOT, bytes) {
                    prop_assert_eq!(reports.len(), entry.reports);
                }
            }
        }
    }
}

#[test]
fn a_flipped_bit_in_the_directory_costs_the_row() {
    let row = sample();
    assert_eq!(read(&row).unwrap().entries.len(), 3);
    for at in 0..row.directory.len() {
        let mut bad = sample();
        bad.directory[at] ^= 4;
        read(&bad).unwrap_err();
    }
    for at in 0..row.boots.len() {
        let mut bad = sample();
        bad.boots[at] ^= 4;
        read(&bad).unwrap_err();
    }
    read(&Row { first_ms: row.first_ms + 1, ..sample() }).unwrap_err();
}

#[test]
fn a_flipped_bit_in_the_body_costs_one_run() {
    let row = sample();
    let directory = read(&row).unwrap();
    for at in 0..row.body.len() {
        let mut bad = sample();
        bad.body[at] ^= 4;
        for entry in &directory.entries {
            let hit = (entry.start..entry.start + entry.length).contains(&at);
            assert_eq!(run_of(&bad, entry.boot).is_err(), hit, "byte {at}, boot {}", entry.boot);
        }
    }
}

#[test]
fn a_row_costs_about_thirty_bytes_more_than_its_blocks() {
    let reports: Vec<ReportRecord> = (0..1_000)
        .map(|n| ReportRecord {
            agent: AGENT,
            boot: BOOT,
            seq: 86_400,
            layout: LayoutKey(3),
            at_ms: 1_760_000_000_000 + n % 200,
            key: n % 30 == 0,
            blocks: vec![BlockRecord { source: 1, before_ms: 3, data: vec![1; 170].into() }],
        })
        .collect();
    let reports: Vec<&ReportRecord> = reports.iter().collect();
    let one = |(n, reports)| Run { boot: n as u32, reports, key_back: Some(40) };
    let row = pack(&reports.chunks(1).enumerate().map(one).collect::<Vec<_>>());
    let bytes = row.boots.len() + row.directory.len() + row.body.len();
    assert!(bytes < 1_000 * (170 + 32), "{bytes}");
}
