//! What was read at open becomes what is kept in memory and what a starting monitor must know: agents, components,
//! layouts, and the marks, rebuilt from those saved and the journal's rows since. Pure; how it is read is each
//! store's business.

use super::catalog::Catalog;
use super::documents::{self, DocumentRow};
use super::layouts::{self, KnownLayout, Sets};
use super::marks::Marks;
use super::row::Directory;
use super::texts::{Texts, status};
use super::{AgentKey, AgentRecord, ComponentKey, ComponentRecord, Cuts, LayoutKey, Level, Restored};
use farol_wire::{Boot, Role};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Id, last commit, last agent's and last boot's number.
pub(crate) type StoreRow = (String, Option<i64>, i64, i64);
/// Before when each level is gone.
pub(crate) type CutsRow = (Option<i64>, Option<i64>, Option<i64>);
/// Boot, agent, number, nonce, sealed up to.
pub(crate) type BootRow = (i64, i64, i64, i64, i64);
/// Key, id, role, labels, version, interval, last seen, number and nonce of the boot, since when forgotten. Words that a stranger chose are
/// bytes, here and below.
pub(crate) type AgentRow = (i64, String, String, Vec<u8>, Vec<u8>, i64, i64, i64, i64, Option<i64>);
/// Agent, service, component, required, readiness, time to live, kind, hard, soft, reason, message, checked, changed,
/// stale.
pub(crate) type ComponentRow =
    (String, String, String, bool, bool, i64, Vec<u8>, i64, i64, Vec<u8>, Vec<u8>, Option<i64>, i64, bool);

/// What a database holds, as it was read.
pub(crate) struct Raw {
    pub(crate) store: StoreRow,
    pub(crate) cuts: CutsRow,
    /// The saved marks: the row up to which they go, and their bytes.
    pub(crate) marks: Option<(i64, Vec<u8>)>,
    /// The directories of the rows since.
    pub(crate) tail: Vec<(i64, Directory)>,
    /// The oldest row there is.
    pub(crate) oldest_row: Option<i64>,
    /// Keys of layouts, how many bytes each has, and whether blocks were made with it.
    pub(crate) layouts: Vec<(i64, i64, bool)>,
    pub(crate) boots: Vec<BootRow>,
    pub(crate) agents: Vec<AgentRow>,
    pub(crate) components: Vec<ComponentRow>,
    /// Those of the kinds that are kept until they are deleted.
    pub(crate) documents: Vec<DocumentRow>,
}

/// What it means.
pub(crate) struct Loaded {
    pub(crate) id: Arc<str>,
    pub(crate) catalog: Catalog,
    /// Without the layouts, which are still to be read.
    pub(crate) restored: Restored,
    /// Layouts that are to be read.
    pub(crate) wanted: Vec<LayoutKey>,
    /// Layouts that are to be deleted: nothing kept was made with them.
    pub(crate) gone: Vec<LayoutKey>,
    /// Layouts that are not taken in.
    pub(crate) unused: Vec<LayoutKey>,
    pub(crate) last_row: i64,
    pub(crate) last_boot: u32,
    /// Rows up to this one are in the saved marks.
    pub(crate) marked_row: i64,
}

impl Loaded {
    /// Makes sense of what was read. With `prune` nobody knows the layouts yet: unused ones may be deleted. The error
    /// says what is damaged.
    pub(crate) fn of(raw: Raw, prune: bool) -> Result<Self, String> {
        let mut catalog = Catalog { cuts: cuts(raw.cuts), ..Catalog::default() };
        let (marked_row, marks) = match &raw.marks {
            Some((row, body)) => (*row, Marks::read(body).map_err(|e| format!("the marks: {e}"))?),
            None => (0, Marks::default()),
        };
        let last_row = raw.tail.last().map_or(marked_row, |(row, _)| *row);
        let (last_layout_key, gone) = layouts_of(&raw, &mut catalog, &marks, last_row + 1, prune)?;
        boots(&raw.boots, &mut catalog, marks)?;
        for (row, directory) in &raw.tail {
            directory.entries.iter().for_each(|entry| catalog.advance(entry, *row));
        }
        let mut texts = Texts::default();
        let (away, there) = raw.agents.into_iter().partition(|row: &AgentRow| row.9.is_some());
        let (mut agents, mut forgotten) = (agents(there, &mut texts)?, agents(away, &mut texts)?);
        let mut heard: HashMap<AgentKey, i64> = HashMap::new();
        for start in catalog.starts.values() {
            let newest = heard.entry(start.agent).or_insert(i64::MIN);
            *newest = (*newest).max(start.mark.last_ms);
        }
        for agent in agents.iter_mut().chain(&mut forgotten) {
            agent.last_seen_ms =
                heard.get(&agent.key).map_or(agent.last_seen_ms, |ms| agent.last_seen_ms.max(*ms));
        }
        let sealed = catalog.starts.values().filter(|start| start.sealed > 0);
        let with_mark = catalog.starts.values().filter(|start| start.mark.seq > 0);
        let (wanted, unused) = layouts::used_last(&catalog.layouts);
        let (id, last_commit_ms, last_agent_key, last_boot) = raw.store;
        let restored = Restored {
            agents,
            forgotten,
            components: raw.components.into_iter().map(|row| component(row, &mut texts)).collect(),
            marks: with_mark.map(|start| (start.agent, start.boot, start.mark.seq)).collect(),
            sealed: sealed.map(|start| (start.agent, start.boot, start.sealed)).collect(),
            layouts: Vec::new(),
            last_commit_ms,
            last_agent_key: small(last_agent_key)?,
            last_layout_key,
            documents: documents::read(raw.documents)?,
        };
        let last_boot = small(last_boot)?;
        Ok(Self { id: id.into(), catalog, restored, wanted, gone, unused, last_row, last_boot, marked_row })
    }

    /// Takes in the layouts that were wanted.
    pub(crate) fn take(&mut self, sets: Sets) {
        self.restored.layouts = sets.into_values().collect();
        self.restored.layouts.sort_unstable_by_key(|layout| layout.key);
    }
}

/// A row number of agents, boots or layouts, which the monitor itself gave.
fn small(number: i64) -> Result<u32, String> {
    u32::try_from(number).map_err(|_| format!("{number} is no key"))
}

/// Notes the layouts; the highest key that is named anywhere, and those that nothing kept was made with.
fn layouts_of(
    raw: &Raw,
    catalog: &mut Catalog,
    marks: &Marks,
    next_row: i64,
    prune: bool,
) -> Result<(u32, Vec<LayoutKey>), String> {
    let mut used: HashMap<LayoutKey, i64> = marks.layouts.iter().copied().collect();
    for (row, entry) in raw.tail.iter().flat_map(|(row, d)| d.entries.iter().map(move |e| (*row, e))) {
        used.extend(entry.layouts().map(|layout| (layout, row)));
    }
    let kept = |used_row: i64| raw.oldest_row.is_some_and(|oldest| used_row >= oldest);
    let named = used.iter().filter(|(_, used_row)| kept(**used_row));
    let named =
        named.map(|(key, used_row)| (*key, KnownLayout { used_row: *used_row, bytes: 0, sealed: false }));
    catalog.layouts.extend(named);
    let mut last_key = used.keys().copied().max();
    let mut gone = Vec::new();
    for (key, bytes, sealed) in &raw.layouts {
        let (key, bytes) = (LayoutKey(small(*key)?), u32::try_from(*bytes).unwrap_or(u32::MAX));
        last_key = last_key.max(Some(key));
        // One that is in no marks came after them, without a report: it is kept until the next time.
        let used_row = used.get(&key).copied().unwrap_or(next_row);
        if prune && !kept(used_row) && !sealed {
            gone.push(key);
        } else {
            catalog.layouts.insert(key, KnownLayout { used_row, bytes, sealed: *sealed });
        }
    }
    Ok((last_key.map_or(0, |key| key.0), gone))
}

fn cuts((raw, five_minutes, one_hour): CutsRow) -> Cuts {
    let mut cuts = Cuts::default();
    for (level, cut) in Level::ALL.into_iter().zip([raw, five_minutes, one_hour]) {
        cuts.raise(level, cut.unwrap_or(i64::MIN));
    }
    cuts
}

fn boots(rows: &[BootRow], catalog: &mut Catalog, marks: Marks) -> Result<(), String> {
    for (key, agent, number, nonce, _) in rows {
        let boot = Boot { number: *number as u64, nonce: *nonce as u64 };
        catalog.add_boot(small(*key)?, AgentKey(small(*agent)?), boot);
    }
    for (key, mark) in marks.boots {
        if let Some(start) = catalog.starts.get_mut(&key) {
            start.mark = mark;
        }
    }
    for (key, .., sealed) in rows {
        catalog.seal(small(*key)?, *sealed as u64);
    }
    Ok(())
}

fn agents(rows: Vec<AgentRow>, texts: &mut Texts) -> Result<Vec<AgentRecord>, String> {
    let mut known_labels: HashMap<Vec<u8>, Arc<BTreeMap<String, String>>> = HashMap::new();
    let mut agents = Vec::with_capacity(rows.len());
    for (key, id, role, labels, version, interval_ms, last_seen_ms, number, nonce, _) in rows {
        let bad = |why: String| format!("agent {id}: {why}");
        let role = match role.as_str() {
            "pod" => Role::Pod,
            "node" => Role::Node,
            "host" => Role::Host,
            other => return Err(bad(format!("unknown role {other:?}"))),
        };
        let labels = match known_labels.get(&labels) {
            Some(known) => Arc::clone(known),
            None => {
                let read = serde_json::from_slice(&labels).map_err(|e| bad(e.to_string()))?;
                Arc::clone(known_labels.entry(labels).or_insert(Arc::new(read)))
            }
        };
        agents.push(AgentRecord {
            key: AgentKey(small(key)?),
            id: texts.one(&id),
            role,
            labels,
            version: texts.of(&version),
            interval_ms: small(interval_ms)?,
            last_seen_ms,
            boot: Boot { number: number as u64, nonce: nonce as u64 },
        });
    }
    Ok(agents)
}

fn component(row: ComponentRow, texts: &mut Texts) -> ComponentRecord {
    ComponentRecord {
        key: ComponentKey {
            agent: texts.one(&row.0),
            service: texts.one(&row.1),
            component: texts.one(&row.2),
        },
        required: row.3,
        readiness: row.4,
        ttl_ms: u32::try_from(row.5).unwrap_or(u32::MAX),
        kind: texts.of(&row.6),
        hard: status(row.7),
        soft: status(row.8),
        reason: texts.of(&row.9),
        message: texts.of(&row.10),
        checked_ms: row.11,
        changed_ms: row.12,
        stale: row.13,
    }
}
