//! What a file of the spool holds: records, each with its length, a version and a checksum, so that whatever is damaged
//! is seen, and a file that was not written to its end is good up to there. Pure: bytes in, bytes out.

use crate::ring::{Key, Loss, Note, Sizes, Span};
use farol_wire::Boot;
use farol_wire::proto::{Dropped, Report, Segment};
use prost::Message;

/// Records of greater versions are a later agent's.
const VERSION: u8 = 2;
/// Length (4), version (1), kind (1), checksum of all else (4): this stays so in every version.
const HEADER: usize = 10;

/// What a record is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The segment without its reports; the first record of each file.
    Head = 1,
    /// The next report.
    Report = 2,
    /// Whose the file is; before the head.
    Origin = 5,
    /// Dropped reports that are lost.
    Lost = 3,
    /// Dropped reports of which the next Welcome says whether they are committed.
    Doubtful = 4,
}

impl Kind {
    /// Agents before the second version take a file that begins otherwise than with a head for damaged, and delete it; one
    /// of a later version they leave.
    fn version(self) -> u8 {
        if self == Self::Origin { 2 } else { 1 }
    }
}

/// Whose reports a file holds, and which clock their times are on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) agent: String,
    /// Its services' prefix; empty for none.
    pub(crate) scope: String,
    /// The machine's own start, on whose clock the reports' times are; empty where it is not known.
    pub(crate) machine: String,
}

impl Origin {
    pub(super) fn is_agent_of(&self, other: &Self) -> bool {
        (&self.agent, &self.scope) == (&other.agent, &other.scope)
    }

    /// Adds its record. No part holds an end of line.
    pub(super) fn append(&self, out: &mut Vec<u8>) {
        append(Kind::Origin, format!("{}\n{}\n{}", self.agent, self.scope, self.machine).as_bytes(), out);
    }

    fn read(payload: &[u8]) -> Option<Self> {
        let mut parts = str::from_utf8(payload).ok()?.splitn(3, '\n').map(str::to_owned);
        Some(Self { agent: parts.next()?, scope: parts.next()?, machine: parts.next()? })
    }
}

/// Why a file is not good to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// It ends in the middle, or bytes of it are not as they were written.
    Damaged,
    /// A later version of the agent wrote it.
    Newer,
}

/// What can be used of a file.
#[derive(Debug)]
pub(super) struct Usable {
    /// Where the file says it.
    pub(super) origin: Option<Origin>,
    /// With at least one report.
    pub(super) segment: Option<Segment>,
    /// Its bytes.
    pub(super) bytes: usize,
    pub(super) fault: Option<Fault>,
}

/// Adds a record.
pub(super) fn append(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(payload.len()).expect("segments are far shorter than 4 GiB");
    let [a, b, c, d] = length.to_le_bytes();
    let head = [a, b, c, d, kind.version(), kind as u8];
    out.extend_from_slice(&head);
    out.extend_from_slice(&checksum(&head, payload).to_le_bytes());
    out.extend_from_slice(payload);
}

fn checksum(head: &[u8], payload: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(head);
    hasher.update(payload);
    hasher.finalize()
}

/// A record's kind, its payload and what it takes.
type Record<'b> = (u8, &'b [u8], usize);

/// The first record; `None` at the end.
fn first(bytes: &[u8]) -> Result<Option<Record<'_>>, Fault> {
    if bytes.is_empty() {
        return Ok(None);
    }
    let (header, rest) = bytes.split_at_checked(HEADER).ok_or(Fault::Damaged)?;
    let (head, told) = header.split_at(HEADER - 4);
    let length = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    let length = usize::try_from(length).map_err(|_| Fault::Damaged)?;
    let payload = rest.get(..length).ok_or(Fault::Damaged)?;
    if checksum(head, payload).to_le_bytes() != told {
        return Err(Fault::Damaged);
    }
    match head[4] {
        0 => Err(Fault::Damaged),
        1..=VERSION => Ok(Some((head[5], payload, HEADER + length))),
        _ => Err(Fault::Newer),
    }
}

/// Whose a file is, and what its record takes; nothing where it does not say so.
pub(super) fn origin(bytes: &[u8]) -> (Option<Origin>, usize) {
    match first(bytes) {
        Ok(Some((kind, payload, length))) if kind == Kind::Origin as u8 => (Origin::read(payload), length),
        _ => (None, 0),
    }
}

/// Reads a file of this name as far as it is good: a head, a key frame, and what follows it without holes.
pub(super) fn read(key: Key, bytes: &[u8]) -> Usable {
    let mut usable = Usable { origin: None, segment: None, bytes: 0, fault: None };
    (usable.origin, usable.bytes) = origin(bytes);
    let mut segment = match first(&bytes[usable.bytes..]) {
        Ok(Some((kind, payload, length))) if kind == Kind::Head as u8 => match Segment::decode(payload) {
            Ok(head) if head.boot.map(Boot::from) == Some(key.boot) && head.reports.is_empty() => {
                usable.bytes += length;
                head
            }
            _ => return Usable { fault: Some(Fault::Damaged), ..usable },
        },
        Err(Fault::Newer) => return Usable { fault: Some(Fault::Newer), ..usable },
        _ => return Usable { fault: Some(Fault::Damaged), ..usable },
    };
    loop {
        match first(&bytes[usable.bytes..]) {
            Ok(None) => break,
            Ok(Some((kind, payload, length))) if kind == Kind::Report as u8 => {
                let expected = key.first + segment.reports.len() as u64;
                match Report::decode(payload) {
                    Ok(report) if report.seq == expected && report.key == segment.reports.is_empty() => {
                        segment.reports.push(report);
                        usable.bytes += length;
                    }
                    _ => usable.fault = Some(Fault::Damaged),
                }
            }
            Ok(Some(_)) => usable.fault = Some(Fault::Damaged),
            Err(fault) => usable.fault = Some(fault),
        }
        if usable.fault.is_some() {
            break;
        }
    }
    if segment.reports.is_empty() {
        usable.fault = usable.fault.or(Some(Fault::Damaged));
    } else {
        usable.segment = Some(segment);
    }
    usable
}

/// The file of what was dropped and no monitor has heard of.
pub(super) const NOTES: &str = "dropped";

/// What it holds.
pub(super) fn write_notes(notes: &[Note], out: &mut Vec<u8>) {
    for Note { boot, span, was } in notes {
        let kind = match was {
            Loss::Certain => Kind::Lost,
            Loss::Doubtful => Kind::Doubtful,
        };
        let dropped = Dropped { boot: Some((*boot).into()), first: span.first, last: span.last };
        append(kind, &dropped.encode_to_vec(), out);
    }
}

/// What it holds as far as it is good, and whether that is all.
pub(super) fn read_notes(mut bytes: &[u8]) -> (Vec<Note>, bool) {
    let mut notes = Vec::new();
    while let Ok(Some((kind, payload, length))) = first(bytes) {
        let Some(note) = note(kind, payload) else { break };
        notes.push(note);
        bytes = &bytes[length..];
    }
    (notes, bytes.is_empty())
}

fn note(kind: u8, payload: &[u8]) -> Option<Note> {
    let was = [(Kind::Lost, Loss::Certain), (Kind::Doubtful, Loss::Doubtful)];
    let (_, was) = was.into_iter().find(|(of, _)| *of as u8 == kind)?;
    let Dropped { boot, first, last } = Dropped::decode(payload).ok()?;
    let is_span = first > 0 && first <= last && last < u64::MAX;
    Some(Note { boot: boot?.into(), span: Span { first, last }, was }).filter(|_| is_span)
}

/// How large a segment's set is.
pub(super) fn sizes(segment: &Segment) -> Sizes {
    segment.define.as_ref().map(Sizes::of).unwrap_or_default()
}

/// The file of a segment. In the order of names, boots and segments are oldest first.
pub(super) fn name(key: Key) -> String {
    let Key { boot: Boot { number, nonce }, first } = key;
    format!("{number:020}-{nonce:016x}-{first:020}.segment")
}

/// The segment of a file with this name.
pub(super) fn key(file: &str) -> Option<Key> {
    let mut parts = file.strip_suffix(".segment")?.split('-');
    let (number, nonce, first) = (parts.next()?, parts.next()?, parts.next()?);
    let boot = Boot { number: number.parse().ok()?, nonce: u64::from_str_radix(nonce, 16).ok()? };
    let key = Key { boot, first: first.parse().ok().filter(|first| *first > 0)? };
    (name(key) == file).then_some(key)
}
