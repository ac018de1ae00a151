//! A small fuzzer that runs with every test run: seeds of real blocks, mutated from a printed seed, over the same
//! entry function as the fuzz target. Finds what a changed codec breaks at once; the long search is cargo-fuzz's.

#[path = "../fuzz/entry.rs"]
mod entry;

use farol_series::Columns;

/// Inputs tried; about two seconds in a debug build.
const ROUNDS: usize = 200_000;
/// Longest input.
const LONGEST: usize = 400;

/// SplitMix64: small, and the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        (self.roll() % end.max(1) as u64) as usize
    }
}

/// An input in `entry`'s form with good blocks for `series` integers, a few of which change from row to row.
fn good_blocks(dice: &mut Dice, series: usize) -> Vec<u8> {
    // With kinds 5, 253 and so on, eight series in a row take each encoding that `entry` knows.
    let mut input = vec![1, series as u8];
    let kinds: Vec<u8> = (0..series.div_ceil(8)).map(|place| 5_u8.wrapping_sub(place as u8 * 8)).collect();
    input.extend(&kinds);
    let mut columns = Columns::new(entry::encodings(&kinds, series));
    let mut row = vec![Some(0.0); series];
    for _ in 0..4 {
        for value in &mut row {
            match dice.below(6) {
                0 => *value = None,
                1..=3 => *value = Some(dice.below(1 << 20) as f64),
                _ => {}
            }
        }
        let mut block = Vec::new();
        columns.encode(&row, &mut block).expect("whole numbers are held by all encodings");
        let length = u8::try_from(block.len()).unwrap_or(u8::MAX);
        input.push(length);
        input.extend(&block[..usize::from(length)]);
    }
    input
}

/// Any byte, but for the first two, which say what an input is.
fn scatter(dice: &mut Dice, at: usize) -> u8 {
    if at < 2 { 0 } else { dice.roll() as u8 }
}

/// One to four small damages of the kinds that files and peers do.
fn mutate(dice: &mut Dice, input: &mut Vec<u8>) {
    const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0x81, 0xfe, 0xff, 0x20];
    for _ in 0..=dice.below(4) {
        let at = dice.below(input.len());
        match dice.below(7) {
            _ if input.is_empty() => input.push(dice.roll() as u8),
            0 => input[at] ^= 1 << dice.below(8),
            1 => input[at] = dice.roll() as u8,
            2 => input[at] = TELLING[dice.below(TELLING.len())],
            3 => input.insert(at, TELLING[dice.below(TELLING.len())]),
            4 => drop(input.remove(at)),
            5 => input.truncate(at),
            _ => {
                let part = input[at..(at + dice.below(24)).min(input.len())].to_vec();
                input.extend(part);
            }
        }
    }
    input.truncate(LONGEST);
}

#[test]
fn mutated_blocks_and_rows_never_panic_never_half_apply_and_always_come_back() {
    let seed = 0x5eed_f0a5_2026_0001;
    println!("seed {seed:#x}, {ROUNDS} rounds");
    let mut dice = Dice(seed);
    let blocks = [0, 1, 2, 7, 8, 9, 20].map(|series| good_blocks(&mut dice, series)).to_vec();
    let rows =
        (0..6).map(|series| (0..60).map(|at| [0, series][at.min(1)] ^ scatter(&mut dice, at)).collect());
    let mut corpora = [blocks, rows.collect()];
    let mut total = entry::Seen::default();
    for round in 0..ROUNDS {
        // Rows take longer and have less to find: one round in eight is theirs.
        let corpus = &mut corpora[usize::from(round % 8 == 0)];
        let mut input = corpus[dice.below(corpus.len())].clone();
        mutate(&mut dice, &mut input);
        let seen = std::panic::catch_unwind(|| entry::exercise(&input))
            .unwrap_or_else(|_| panic!("seed {seed:#x}, round {round}, input {input:02x?}"));
        total.applied += seen.applied;
        total.refused += seen.refused;
        total.rows += seen.rows;
        // An input that got far is a good one to go on from.
        if seen.applied > 3 && dice.below(20) == 0 {
            let place = dice.below(256);
            if corpus.len() < 256 { corpus.push(input) } else { corpus[place] = input }
        }
    }
    println!("{total:?}");
    // A loop that only ever sees one side proves nothing.
    assert!(total.applied > ROUNDS / 2 && total.refused > ROUNDS / 4 && total.rows > ROUNDS / 8, "{total:?}");
}
