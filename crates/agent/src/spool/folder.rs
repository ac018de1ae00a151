//! The spool's files. A new one is written beside its place, synced and renamed; more is added at a known end; what a crash
//! left half done is cut off at the next start. `kill -9` loses nothing that was written. A power loss may take the
//! segment in progress and what the disk itself held back: a file is synced when the next one begins, and at the end.

use super::record::{self, Fault, Kind, Origin, Usable};
use crate::ring::{Entry, Found, Key, Loaded, Note, Write};
use farol_wire::Boot;
use farol_wire::proto::Segment;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, File, OpenOptions, read_dir, remove_file, rename};
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What a new file is called until it is whole.
const UNFINISHED: &str = ".new";
/// No segment is longer, with a set that a monitor takes.
const LONGEST: u64 = 16 << 20;

/// The folder, and the file that grows.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    open: Option<(Key, File)>,
    /// Whose it is now.
    origin: Origin,
    /// Boots that were found, and the one that writes: another scan leaves them out.
    known: BTreeSet<Boot>,
}

/// The clocks at the start: files hold times of their own boots.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clocks {
    pub(super) boot_ms: i64,
    pub(super) wall_ms: i64,
    /// No report of an earlier start of the machine is taken for older, whatever the wall clock says: it may have been
    /// set since.
    pub(super) oldest_ms: i64,
}

/// What was found at the start.
#[derive(Debug, Default)]
pub(super) struct Scan {
    pub(super) found: Vec<Found>,
    /// What was dropped and no monitor has heard of.
    pub(super) notes: Vec<Note>,
    /// Files that are left where they are: somebody else's, another agent's, or a later version's.
    pub(super) left: Vec<String>,
    /// Why some could not be read. Their boots are left out whole: the next scan may find them.
    pub(super) unread: Option<io::Error>,
}

impl Folder {
    pub(super) fn new(path: PathBuf, boot: Boot, origin: Origin) -> Self {
        Self { path, open: None, origin, known: BTreeSet::from([boot]) }
    }

    fn make(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    fn file(&self, key: Key) -> PathBuf {
        self.path.join(record::name(key))
    }

    /// Reads all that is there. What cannot be used is cut off or deleted, but for what this agent did not write.
    pub(super) fn scan(&mut self, clocks: Clocks) -> io::Result<Scan> {
        self.make()?;
        let mut scan = Scan { notes: self.notes()?, ..Scan::default() };
        let (mut bytes, mut unread) = (Vec::new(), BTreeMap::new());
        for file in read_dir(&self.path)? {
            let file = file?;
            let name = file.file_name().to_string_lossy().into_owned();
            if name == record::NOTES {
                continue;
            }
            let unfinished = name.strip_suffix(UNFINISHED);
            if unfinished.is_some_and(|name| name == record::NOTES || record::key(name).is_some()) {
                // Where it cannot be removed it is written over, or found again.
                drop(remove_file(file.path()));
                continue;
            }
            let is_file = file.file_type()?.is_file();
            let Some(key) = record::key(&name).filter(|_| is_file) else {
                scan.left.push(name);
                continue;
            };
            if self.known.contains(&key.boot) || unread.contains_key(&key.boot) {
                continue;
            }
            let usable = match load(&file.path(), key, &mut bytes) {
                Ok(usable) => usable,
                Err(error) => {
                    unread.insert(key.boot, error);
                    continue;
                }
            };
            if usable.origin.as_ref().is_some_and(|origin| !origin.is_agent_of(&self.origin)) {
                scan.left.push(name);
                continue;
            }
            let same_clock = usable
                .origin
                .as_ref()
                .is_some_and(|origin| origin.machine == self.origin.machine && !origin.machine.is_empty());
            if usable.fault == Some(Fault::Newer) && usable.segment.is_none() {
                scan.left.push(name);
                continue;
            }
            if usable.fault.is_some() {
                repair(&file.path(), &usable);
            }
            let entry =
                usable.segment.as_ref().map(|segment| entry(key, segment, usable.bytes, clocks, same_clock));
            scan.found.push(Found { key, entry, damaged: usable.fault.is_some() });
        }
        scan.found.retain(|found| !unread.contains_key(&found.key.boot));
        self.known.extend(scan.found.iter().map(|found| found.key.boot));
        scan.unread = unread.into_values().next();
        Ok(scan)
    }

    /// Writes a part of a segment. Gives the length of its file.
    pub(super) fn write(&mut self, write: &Write) -> io::Result<u64> {
        let mut bytes = Vec::new();
        if let Some(head) = &write.head {
            self.origin.append(&mut bytes);
            record::append(Kind::Head, head, &mut bytes);
        }
        write.reports.iter().for_each(|report| record::append(Kind::Report, report, &mut bytes));
        if write.head.is_some() {
            self.create(write.key, &bytes)?;
        } else {
            self.add(write.key, write.at, &bytes)?;
        }
        Ok(write.at + bytes.len() as u64)
    }

    fn create(&mut self, key: Key, bytes: &[u8]) -> io::Result<()> {
        self.settle()?;
        self.make()?;
        self.open = Some((key, replace(&self.file(key), bytes)?));
        Ok(())
    }

    fn add(&mut self, key: Key, at: u64, bytes: &[u8]) -> io::Result<()> {
        if self.open.as_ref().is_none_or(|(open, _)| *open != key) {
            self.settle()?;
            self.open = Some((key, OpenOptions::new().write(true).open(self.file(key))?));
        }
        let (_, file) = self.open.as_ref().expect("was just opened");
        file.write_all_at(bytes, at).inspect_err(|_| {
            // What is behind the known end is written over, or cut off at the next start.
            drop(file.set_len(at));
        })
    }

    /// Reads segments, up to the first that the disk does not give, and why it does not.
    pub(super) fn read(&self, keys: Vec<Key>) -> (Vec<(Key, Loaded)>, io::Result<()>) {
        let (mut read, mut why) = (Vec::with_capacity(keys.len()), Ok(()));
        for key in keys {
            if why.is_err() {
                read.push((key, Loaded::Refused));
                continue;
            }
            let came = match load(&self.file(key), key, &mut Vec::new()) {
                Ok(usable) => usable.segment.map_or(Loaded::Damaged, Loaded::Segment),
                // Somebody took it away.
                Err(error) if error.kind() == ErrorKind::NotFound => Loaded::Damaged,
                Err(error) => {
                    why = Err(error);
                    Loaded::Refused
                }
            };
            read.push((key, came));
        }
        (read, why)
    }

    /// What was noted as dropped.
    fn notes(&self) -> io::Result<Vec<Note>> {
        let path = self.path.join(record::NOTES);
        let bytes = match std::fs::read(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Vec::new(),
            read => read?,
        };
        let (origin, begin) = record::origin(&bytes);
        if origin.is_some_and(|origin| !origin.is_agent_of(&self.origin)) {
            return Ok(Vec::new());
        }
        let (notes, is_whole) = record::read_notes(&bytes[begin..]);
        if !is_whole {
            tracing::warn!(file = %path.display(), "what was dropped before is not all known: the file is damaged");
        }
        Ok(notes)
    }

    /// Notes what was dropped.
    pub(super) fn note(&self, notes: &[Note]) -> io::Result<()> {
        let path = self.path.join(record::NOTES);
        if notes.is_empty() {
            return match remove_file(path) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        self.make()?;
        let mut bytes = Vec::new();
        self.origin.append(&mut bytes);
        record::write_notes(notes, &mut bytes);
        replace(&path, &bytes).map(drop)
    }

    /// Removes a segment's file.
    pub(super) fn remove(&mut self, key: Key) -> io::Result<()> {
        if self.open.as_ref().is_some_and(|(open, _)| *open == key) {
            self.open = None;
        }
        match remove_file(self.file(key)) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The file that grew is on the disk itself, under its name.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        if let Some((_, file)) = &self.open {
            file.sync_data()?;
            File::open(&self.path)?.sync_all()?;
        }
        self.open = None;
        Ok(())
    }
}

/// Writes a file beside its place and puts it there.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<File> {
    let mut beside = path.to_owned().into_os_string();
    beside.push(UNFINISHED);
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    if let Err(error) = file.write_all_at(bytes, 0).and_then(|()| file.sync_data()) {
        // It takes room from what comes next; where it cannot be removed, the next start does.
        drop(remove_file(&beside));
        return Err(error);
    }
    rename(&beside, path)?;
    Ok(file)
}

/// Only bytes that were read can be damaged.
fn load(path: &Path, key: Key, bytes: &mut Vec<u8>) -> io::Result<Usable> {
    bytes.clear();
    File::open(path)?.take(LONGEST).read_to_end(bytes)?;
    Ok(record::read(key, bytes))
}

/// Cuts off what is damaged. Where that cannot be done it is found again at the next start.
fn repair(path: &Path, usable: &Usable) {
    let done = match &usable.segment {
        Some(_) => {
            OpenOptions::new().write(true).open(path).and_then(|file| file.set_len(usable.bytes as u64))
        }
        None => remove_file(path),
    };
    let kept = usable.segment.as_ref().map_or(0, |segment| segment.reports.len());
    let (file, repaired) = (path.display(), done.is_ok());
    if usable.segment.is_none() {
        tracing::warn!(%file, repaired, "a spooled file is damaged and nothing in it is whole; it is removed");
        return;
    }
    tracing::warn!(%file, reports.kept = kept, repaired, "a spooled file is damaged; its good part is kept");
}

/// `same_clock`: the machine did not start anew since; otherwise there is the wall clock alone, which may have been set.
fn entry(key: Key, segment: &Segment, bytes: usize, clocks: Clocks, same_clock: bool) -> Entry {
    let at = |ms: u64| i64::try_from(ms).unwrap_or(i64::MAX);
    let made = segment.reports.first().map_or(0, |report| at(report.at_ms));
    let wall_ms = made.saturating_add(segment.wall_offset_ms);
    let by_wall = wall_ms.saturating_sub(clocks.wall_ms).saturating_add(clocks.boot_ms);
    let by_wall = by_wall.max(clocks.oldest_ms);
    Entry {
        first: key.first,
        last: key.first + segment.reports.len() as u64 - 1,
        bytes: bytes as u64,
        made_ms: if same_clock { made } else { by_wall }.min(clocks.boot_ms),
        sizes: record::sizes(segment),
    }
}
