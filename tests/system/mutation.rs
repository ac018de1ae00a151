//! The short form of what `tests/fuzz` searches for long: known good inputs, mutated from a printed seed, go through the
//! readers of configurations, over the ports of a monitor and an agent, and through what opens sealed blocks. It finds what a change breaks at once.

#[path = "../fuzz/entry/config.rs"]
mod config;
#[path = "../fuzz/entry/requests.rs"]
#[allow(dead_code, reason = "the fuzz targets need more of it")]
mod requests;
#[path = "../fuzz/entry/scene.rs"]
mod scene;
#[path = "../fuzz/entry/sealed.rs"]
mod sealed;
#[path = "../fuzz/entry/words.rs"]
mod words;

use crate::examples::whole;
use farol_tests::memory_store;
use requests::Dice;
use scene::{Port, Scene};

/// Inputs tried of each kind; about two seconds together.
const CONFIGURATIONS: usize = 600;
const REQUESTS: usize = 1_500;
const SEALED: usize = 40_000;

/// SplitMix64: small, and the same on every machine.
struct Chance(u64);

impl Chance {
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

/// Damages of the kinds that people and programs do to a text.
fn damage(chance: &mut Chance, text: &mut Vec<u8>) {
    const PIECES: [&[u8]; 12] = [
        b"\x1b[31m",
        b"\0",
        b"\xff",
        b"\"\\e[2J\"",
        b"~",
        b"{",
        b"- ",
        b"&a ",
        b"*a",
        b"1e999",
        b": ",
        b"\xef\xbb\xbf",
    ];
    for _ in 0..chance.below(4) {
        let at = chance.below(text.len());
        match chance.below(5) {
            _ if text.is_empty() => text.push(b'a'),
            0 => text[at] ^= 1 << chance.below(8),
            1 => drop(text.splice(at..at, PIECES[chance.below(PIECES.len())].iter().copied())),
            2 => drop(text.drain(at..(at + chance.below(20)).min(text.len()))),
            3 => {
                let part = text[at..(at + chance.below(60)).min(text.len())].to_vec();
                let to = chance.below(text.len());
                drop(text.splice(to..to, part));
            }
            // From a value's beginning to its line's end.
            _ => {
                let end = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |n| at + n);
                drop(text.splice(at..end, PIECES[chance.below(PIECES.len())].iter().copied()));
            }
        }
    }
}

#[test]
fn mutated_configurations_are_taken_or_refused_in_printable_lines() {
    let seed = 0x5eed_c0f1_2026_0001;
    println!("seed {seed:#x}, {CONFIGURATIONS} rounds");
    let mut chance = Chance(seed);
    let environment = "\n--- environment\nFAROL_X__LISTEN__HTTP=127.0.0.1:0\nFAROL_X__INTERVAL=5s\nLOG_LEVEL=debug\nPOD_NAME=p\n";
    let mut corpus: Vec<Vec<u8>> = ["agent.yaml", "monitor.yaml", "farol.yaml"]
        .iter()
        .flat_map(|file| whole(file))
        .flat_map(|text| [format!("{text}{environment}").into_bytes(), text.into_bytes()])
        .collect();
    let long = corpus.len();
    // Short ones, so that a damage often meets what it needs.
    corpus.extend(SHORT.map(|text| text.as_bytes().to_vec()));
    let mut total = config::Seen::default();
    for round in 0..CONFIGURATIONS {
        let place = if round % 8 == 0 { chance.below(long) } else { long + chance.below(SHORT.len()) };
        let mut input = corpus[place].clone();
        damage(&mut chance, &mut input);
        let seen = std::panic::catch_unwind(|| config::exercise(&input)).unwrap_or_else(|_| {
            panic!("seed {seed:#x}, round {round}: {:?}", String::from_utf8_lossy(&input))
        });
        total.taken += seen.taken;
        total.refused += seen.refused;
    }
    println!("{total:?}");
    assert!(total.taken > CONFIGURATIONS / 20 && total.refused > CONFIGURATIONS, "{total:?}");
}

const SHORT: [&str; 4] = [
    "name: a\nchecks:\n- {name: a, tcp: {address: 'a:1'}, interval: 5s, labels: {a: b}}\n- {name: b, push: {ttl: 1m}}\n",
    "services: {a: {at_least: 2, percent: 50%}, b: {all: true}}\ngroups: {c: [a, b]}\nlogging: {level: info}\n",
    "monitor: {listen: {http: \"127.0.0.1:1\"}, access: {read: any, hosts: [a]}}\nagent: {name: a, ring: 8MiB}\n",
    "name: \"a\\e\\0\"\ninterval: !!str 10s\nlisten: &a {http: 127.0.0.1:0}\nmonitors: [\"http://a:1\"]\n",
];

/// Good bodies of a block and of a roll-up, each after the byte that says what it is.
fn bodies() -> [Vec<u8>; 4] {
    // Source 7: an integer, a decimal and a float at three ticks; the layout's example.
    let block = b"\x02\x01\x07\x03\x03\x00\x02\x0a\xd0\x0f\x00\x0a\x06\x06\x09\x00\xd8\x04\x00\x00\x02\x00\x96\x01\x31\x00\x00\x02\x01\x02\xd1\xfe\x03\x00\x00\x00";
    // Buckets of 5 ms; one shape of one bucket; one counter of integers.
    let rollup = b"\x03\x05\x01\x01\x00\x00\x02\x02\x01\x80\x01\x08\x02\x04\x01\x04\x00\x00\x00\x00";
    let whole =
        |what: u8, kind: u8, body: &[u8]| [&[what], &sealed::enveloped(kind, &body[1..])[..]].concat();
    [block.to_vec(), rollup.to_vec(), whole(0, b'S', block), whole(1, b'R', rollup)]
}

#[test]
fn mutated_blocks_and_roll_ups_are_opened_or_refused() {
    let seed = 0x5eed_5ea1_2026_0001;
    println!("seed {seed:#x}, {SEALED} rounds");
    let mut chance = Chance(seed);
    let mut corpus = bodies().to_vec();
    for good in &corpus {
        assert_eq!(sealed::exercise(good).taken, 1, "{good:02x?}");
    }
    let mut total = sealed::Seen::default();
    for round in 0..SEALED {
        let place = chance.below(corpus.len());
        let mut input = corpus[place].clone();
        for _ in 0..=chance.below(3) {
            // What it is stays.
            let at = 1 + chance.below(input.len() - 1);
            match chance.below(5) {
                0 => input[at] ^= 1 << chance.below(8),
                1 => input[at] = chance.roll() as u8,
                2 => input.insert(at, [0, 1, 2, 0x80, 0xff][chance.below(5)]),
                3 if input.len() > 2 => drop(input.remove(at)),
                _ => input.truncate(at + 1),
            }
        }
        let seen = std::panic::catch_unwind(|| sealed::exercise(&input))
            .unwrap_or_else(|_| panic!("seed {seed:#x}, round {round}: {input:02x?}"));
        total.taken += seen.taken;
        total.refused += seen.refused;
        total.in_part += seen.in_part;
        if seen.taken > 0 && corpus.len() < 200 && input.len() < 200 {
            corpus.push(input);
        }
    }
    println!("{total:?}");
    let least = SEALED / 100;
    assert!(total.taken > least && total.refused > least && total.in_part > least, "{total:?}");
}

#[test]
fn arbitrary_requests_are_answered_by_every_port_and_break_nothing() {
    let seed = 0x5eed_4e77_2026_0001;
    println!("seed {seed:#x}, {REQUESTS} rounds");
    let mut chance = Chance(seed);
    let scene = Scene::start();
    let (mut good, mut bad) = (0, 0);
    for round in 0..REQUESTS {
        let bytes: Vec<u8> = (0..chance.below(100)).map(|_| chance.roll() as u8).collect();
        let port = [
            Port::Http,
            Port::Http,
            Port::AgentHttp,
            Port::Local,
            Port::Local,
            Port::AgentHealth,
            Port::Health,
            Port::Agents,
        ][round % 8];
        let sent = match (port, Dice::new(&bytes).byte() % 4) {
            (Port::Agents, 0) => requests::call(b"/farol.v1.Fleet/Stream", &mut Dice::new(&bytes), false),
            (Port::Health, 0) => {
                requests::call(b"/grpc.health.v1.Health/Check", &mut Dice::new(&bytes), false)
            }
            _ => requests::http(&bytes, &scene.token),
        };
        let answer = scene.send(port, &sent, round % 9 != 0);
        good += usize::from(answer.starts_with(b"HTTP/1.1 2"));
        bad += usize::from(answer.starts_with(b"HTTP/1.1 4"));
    }
    println!("{good} good, {bad} refused");
    // A loop that only ever sees one side proves nothing.
    assert!(good > REQUESTS / 100 && bad > REQUESTS / 20, "{good} good, {bad} refused");
    let alive = scene.send(
        Port::Http,
        b"GET /health/live HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n",
        true,
    );
    assert!(alive.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&alive));
}
