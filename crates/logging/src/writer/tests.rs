//! Sinks that block, fail and tear: what is lost is counted and told, and nobody waits.

use std::io::{self, ErrorKind, Write};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use tokio::time::Instant;

use super::Guard;
use crate::config::Format;
use crate::limit::Repeats;
use crate::memory::Memory;
use crate::queue::{Bounds, Queue};
use crate::render::Style;

fn start(bounds: Bounds, sink: impl Write + Send + 'static) -> (Arc<Queue>, Guard) {
    let repeats = Arc::new(Repeats::new(0));
    super::start(Style::new(Format::Json, false), bounds, repeats, None, |_| Box::new(sink)).unwrap()
}

/// Says that a write has begun, then blocks until it is told to go on or the other end is gone.
struct Gate {
    begun: Sender<()>,
    go: Receiver<()>,
    memory: Memory,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.begun.send(()).is_ok() {
            let _opened_or_gone = self.go.recv();
        }
        self.memory.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gate() -> (Gate, Receiver<()>, Sender<()>, Memory) {
    let ((begun, has_begun), (open, go), memory) = (channel(), channel(), Memory::default());
    (Gate { begun, go, memory: memory.clone() }, has_begun, open, memory)
}

fn line(number: usize) -> String {
    format!("{{\"n\":{number}}}\n")
}

#[test]
fn a_full_queue_drops_at_once_and_the_count_is_logged() {
    let (sink, begun, open, memory) = gate();
    let bounds = Bounds { records: 4, bytes: usize::MAX };
    let (queue, guard) = start(bounds, sink);
    queue.push(line(0));
    begun.recv().unwrap();
    for number in 1..=10 {
        queue.push(line(number));
    }
    let drops = guard.drops();
    assert_eq!(drops.total(), 6, "one is being written, four wait");
    drop((begun, open));
    drop(guard);
    let records = memory.records();
    let numbers: Vec<_> = records.iter().filter_map(|record| record["n"].as_u64()).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4]);
    let told: Vec<_> = records.iter().filter(|record| record["level"] == "WARNING").collect();
    assert_eq!(told.len(), 1, "{records:?}");
    assert_eq!((&told[0]["dropped"], &told[0]["dropped_total"]), (&6.into(), &6.into()));
}

#[test]
fn long_records_fill_the_queue_by_their_bytes() {
    let (sink, begun, open, memory) = gate();
    let long = format!("\"{}\"\n", "x".repeat(1000));
    let bounds = Bounds { records: 1000, bytes: 2500 };
    let (queue, guard) = start(bounds, sink);
    queue.push(line(0));
    begun.recv().unwrap();
    for _ in 0..5 {
        queue.push(long.clone());
    }
    assert_eq!(guard.drops().total(), 3);
    drop((begun, open));
    drop(guard);
    assert_eq!(memory.records().len(), 4, "the first, two long ones and the count");
}

#[test]
fn a_record_above_the_bound_passes_an_empty_queue() {
    let memory = Memory::default();
    let (queue, guard) = start(Bounds { records: 1, bytes: 10 }, memory.clone());
    queue.push(format!("\"{}\"\n", "x".repeat(1000)));
    drop(guard);
    assert_eq!(memory.text().len(), 1003);
}

#[test]
fn the_guard_waits_for_all_that_was_logged() {
    let memory = Memory::default();
    let (queue, guard) = start(Bounds::default(), memory.clone());
    for number in 0..5000 {
        queue.push(line(number));
    }
    let drops = guard.drops();
    drop(guard);
    assert_eq!(memory.records().len(), 5000);
    queue.push(line(0));
    assert_eq!(drops.total(), 1, "after the end a record is counted, not written");
}

#[test]
fn the_guard_gives_up_on_a_sink_that_takes_nothing() {
    let (sink, begun, open, _memory) = gate();
    let (queue, guard) = start(Bounds::default(), sink);
    queue.push(line(0));
    begun.recv().unwrap();
    let before = Instant::now();
    drop(guard);
    let took = before.elapsed();
    assert!(took >= Duration::from_millis(90) && took < Duration::from_millis(1500), "{took:?}");
    drop(open);
}

/// Takes a few bytes, then fails for a while.
struct Flaky {
    memory: Memory,
    script: std::vec::IntoIter<Result<usize, ErrorKind>>,
}

impl Write for Flaky {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.script.next().unwrap_or(Ok(usize::MAX)) {
            Ok(count) => self.memory.write(&bytes[..bytes.len().min(count)]),
            Err(kind) => Err(kind.into()),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_sink_that_fails_inside_a_line_loses_it_alone() {
    let memory = Memory::default();
    let script = vec![
        Err(ErrorKind::Interrupted),
        Ok(3),
        Err(ErrorKind::StorageFull), // the line is torn
        Err(ErrorKind::StorageFull), // so is the record that tells of it
    ];
    let sink = Flaky { memory: memory.clone(), script: script.into_iter() };
    let (queue, guard) = start(Bounds::default(), sink);
    let drops = guard.drops();
    queue.push(line(1));
    let deadline = Instant::now() + Duration::from_secs(5);
    while drops.total() == 0 {
        assert!(Instant::now() < deadline, "the failed write is never counted");
        std::thread::yield_now();
    }
    queue.push(line(2));
    drop(guard);
    let text = memory.text();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!((lines[0], lines[1]), ("{\"n", "{\"n\":2}"), "{text}");
    assert!(lines[2].contains("\"dropped\":1,\"dropped_total\":1"), "{text}");
    assert_eq!(lines.len(), 3, "{text}");
}
