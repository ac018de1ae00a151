//! Reads at open what is kept in memory and what a starting monitor must know: agents, components, layouts, and the
//! marks, rebuilt from those saved and the journal's rows since.

use super::SqliteStore;
use super::catalog::Catalog;
use super::fault;
use super::layouts::{self, KnownLayout};
use super::statuses::{Texts, status};
use crate::store::marks::Marks;
use crate::store::row::Directory;
use crate::store::{AgentKey, AgentRecord, ComponentKey, ComponentRecord, LayoutKey, Restored, StoreError};
use farol_wire::{Boot, Role};
use futures::TryStreamExt;
use sqlx::SqliteConnection;
use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

/// What the file holds.
pub(super) struct Loaded {
    pub(super) id: Arc<str>,
    pub(super) catalog: Catalog,
    pub(super) restored: Restored,
    /// Layouts that are not taken in.
    pub(super) unused: Vec<LayoutKey>,
    pub(super) last_row: i64,
    pub(super) last_boot: u32,
    /// Rows up to this one are in the saved marks.
    pub(super) marked_row: i64,
}

/// One opening's reading.
struct Loader<'a> {
    path: &'a Path,
    connection: &'a mut SqliteConnection,
    /// Nobody knows the layouts yet: unused ones may be deleted.
    prune: bool,
}

pub(super) async fn load(path: &Path, connection: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    Loader { path, connection, prune: true }.load().await
}

/// The same while the store is in use.
pub(super) async fn reload(path: &Path, connection: &mut SqliteConnection) -> Result<Loaded, StoreError> {
    Loader { path, connection, prune: false }.load().await
}

type StoreRow = (String, Option<i64>, u32, u32);
type AgentRow = (u32, String, String, String, String, u32, i64, i64, i64);
type TailRow = (i64, i64, i64, Vec<u8>, Vec<u8>);
type ComponentRow =
    (String, String, String, bool, bool, u32, String, i64, i64, String, String, Option<i64>, i64, bool);

const AGENTS: &str = "
SELECT key, id, role, labels, version, interval_ms, last_seen_ms, boot_number, boot_nonce
FROM agents WHERE forgotten_ms IS NULL ORDER BY key";

const COMPONENTS: &str = "
SELECT n.agent, n.service, n.component, c.required, c.readiness, c.ttl_ms, c.kind, c.hard, c.soft, c.reason, c.message,
  c.checked_ms, c.changed_ms, c.stale
FROM components c JOIN component_names n ON n.key = c.name ORDER BY c.name";

const TAIL: &str = "
SELECT id, first_ms, last_ms, boots, directory FROM journal WHERE id > ?1 ORDER BY id";

impl Loader<'_> {
    async fn load(&mut self) -> Result<Loaded, StoreError> {
        let (id, last_commit_ms, last_agent_key, last_boot): StoreRow =
            sqlx::query_as("SELECT id, last_commit_ms, last_agent, last_boot FROM store")
                .fetch_one(&mut *self.connection)
                .await
                .map_err(|e| self.judge(&e))?;
        let mut catalog = Catalog::default();
        let (marked_row, marks) = self.marks().await?;
        let tail = self.tail(marked_row).await?;
        let last_row = tail.last().map_or(marked_row, |(row, _)| *row);
        let last_layout_key = self.layouts(&mut catalog, &marks, &tail, last_row + 1).await?;
        self.boots(&mut catalog, marks).await?;
        for (row, directory) in &tail {
            directory.entries.iter().for_each(|entry| catalog.advance(entry, *row));
        }
        let mut texts = Texts::default();
        let mut agents = self.agents(&mut texts).await?;
        let mut heard: HashMap<AgentKey, i64> = HashMap::new();
        for start in catalog.starts.values() {
            let newest = heard.entry(start.agent).or_insert(i64::MIN);
            *newest = (*newest).max(start.mark.last_ms);
        }
        for agent in &mut agents {
            agent.last_seen_ms =
                heard.get(&agent.key).map_or(agent.last_seen_ms, |ms| agent.last_seen_ms.max(*ms));
        }
        let with_mark = catalog.starts.values().filter(|start| start.mark.seq > 0);
        let (used_last, unused) = layouts::used_last(&catalog.layouts);
        let sets = layouts::read(self.path, &mut *self.connection, &used_last).await?;
        let mut layouts: Vec<_> = sets.into_values().collect();
        layouts.sort_unstable_by_key(|layout| layout.key);
        let restored = Restored {
            agents,
            components: self.components(&mut texts).await?,
            marks: with_mark.map(|start| (start.agent, start.boot, start.mark.seq)).collect(),
            layouts,
            last_commit_ms,
            last_agent_key,
            last_layout_key,
        };
        Ok(Loaded { id: id.into(), catalog, restored, unused, last_row, last_boot, marked_row })
    }

    fn judge(&self, error: &sqlx::Error) -> StoreError {
        fault::judge(self.path, error)
    }

    fn damaged(&self, what: impl std::fmt::Display) -> StoreError {
        StoreError::Fatal(fault::damaged(self.path, &what.to_string()))
    }

    async fn marks(&mut self) -> Result<(i64, Marks), StoreError> {
        let row: Option<(i64, Vec<u8>)> = sqlx::query_as("SELECT journal, body FROM marks")
            .fetch_optional(&mut *self.connection)
            .await
            .map_err(|e| self.judge(&e))?;
        let Some((row, body)) = row else { return Ok((0, Marks::default())) };
        let marks = Marks::read(&body).map_err(|e| self.damaged(format_args!("the marks: {e}")))?;
        Ok((row, marks))
    }

    /// The directories of the rows since the marks were saved.
    async fn tail(&mut self, marked_row: i64) -> Result<Vec<(i64, Directory)>, StoreError> {
        let path = self.path;
        let mut rows = sqlx::query_as::<_, TailRow>(TAIL).bind(marked_row).fetch(&mut *self.connection);
        let mut tail = Vec::new();
        while let Some((row, first_ms, last_ms, boots, bytes)) =
            rows.try_next().await.map_err(|e| fault::judge(path, &e))?
        {
            let directory = Directory::read(first_ms, last_ms, &boots, &bytes);
            let bad = |e| StoreError::Fatal(fault::damaged(path, &format!("journal row {row}: {e}")));
            tail.push((row, directory.map_err(bad)?));
        }
        Ok(tail)
    }

    /// Layouts that nothing kept was made with are deleted: here, because nobody knows them yet. Gives the highest key
    /// that is named anywhere.
    async fn layouts(
        &mut self,
        catalog: &mut Catalog,
        marks: &Marks,
        tail: &[(i64, Directory)],
        next_row: i64,
    ) -> Result<u32, StoreError> {
        let oldest_row: Option<i64> = sqlx::query_scalar("SELECT min(id) FROM journal")
            .fetch_one(&mut *self.connection)
            .await
            .map_err(|e| self.judge(&e))?;
        let mut used: HashMap<LayoutKey, i64> = marks.layouts.iter().copied().collect();
        for (row, entry) in tail.iter().flat_map(|(row, d)| d.entries.iter().map(move |e| (*row, e))) {
            used.extend(entry.layouts().map(|layout| (layout, row)));
        }
        let kept = |used_row: i64| oldest_row.is_some_and(|oldest| used_row >= oldest);
        let named = used.iter().filter(|(_, used_row)| kept(**used_row));
        let named = named.map(|(key, used_row)| (*key, KnownLayout { used_row: *used_row, bytes: 0 }));
        catalog.layouts.extend(named);
        let mut last_key = used.keys().copied().max();
        let mut gone = Vec::new();
        for (key, bytes) in layouts::sizes(self.path, self.connection).await? {
            last_key = last_key.max(Some(key));
            // One that is in no marks came after them, without a report: it is kept until the next time.
            let used_row = used.get(&key).copied().unwrap_or(next_row);
            if self.prune && !kept(used_row) {
                gone.push(key);
            } else {
                catalog.layouts.insert(key, KnownLayout { used_row, bytes });
            }
        }
        layouts::delete(self.connection, &gone).await.map_err(|e| self.judge(&e))?;
        Ok(last_key.map_or(0, |key| key.0))
    }

    async fn boots(&mut self, catalog: &mut Catalog, marks: Marks) -> Result<(), StoreError> {
        let rows: Vec<(u32, u32, i64, i64)> =
            sqlx::query_as("SELECT key, agent, number, nonce FROM boots ORDER BY key")
                .fetch_all(&mut *self.connection)
                .await
                .map_err(|e| self.judge(&e))?;
        for (key, agent, number, nonce) in rows {
            catalog.add_boot(key, AgentKey(agent), Boot { number: number as u64, nonce: nonce as u64 });
        }
        for (key, mark) in marks.boots {
            if let Some(start) = catalog.starts.get_mut(&key) {
                start.mark = mark;
            }
        }
        Ok(())
    }

    async fn agents(&mut self, texts: &mut Texts) -> Result<Vec<AgentRecord>, StoreError> {
        let rows: Vec<AgentRow> =
            sqlx::query_as(AGENTS).fetch_all(&mut *self.connection).await.map_err(|e| self.judge(&e))?;
        let mut known_labels: HashMap<String, Arc<BTreeMap<String, String>>> = HashMap::new();
        let mut agents = Vec::with_capacity(rows.len());
        for (key, id, role, labels, version, interval_ms, last_seen_ms, number, nonce) in rows {
            let bad = |why: String| self.damaged(format_args!("agent {id}: {why}"));
            let role = match role.as_str() {
                "pod" => Role::Pod,
                "node" => Role::Node,
                "host" => Role::Host,
                other => return Err(bad(format!("unknown role {other:?}"))),
            };
            let labels = match known_labels.get(&labels) {
                Some(known) => Arc::clone(known),
                None => {
                    let read = serde_json::from_str(&labels).map_err(|e| bad(e.to_string()))?;
                    Arc::clone(known_labels.entry(labels).or_insert(Arc::new(read)))
                }
            };
            agents.push(AgentRecord {
                key: AgentKey(key),
                id: texts.one(&id),
                role,
                labels,
                version: texts.one(&version),
                interval_ms,
                last_seen_ms,
                boot: Boot { number: number as u64, nonce: nonce as u64 },
            });
        }
        Ok(agents)
    }

    async fn components(&mut self, texts: &mut Texts) -> Result<Vec<ComponentRecord>, StoreError> {
        let rows: Vec<ComponentRow> =
            sqlx::query_as(COMPONENTS).fetch_all(&mut *self.connection).await.map_err(|e| self.judge(&e))?;
        let record = |row: ComponentRow| ComponentRecord {
            key: ComponentKey {
                agent: texts.one(&row.0),
                service: texts.one(&row.1),
                component: texts.one(&row.2),
            },
            required: row.3,
            readiness: row.4,
            ttl_ms: row.5,
            kind: texts.one(&row.6),
            hard: status(row.7),
            soft: status(row.8),
            reason: texts.one(&row.9),
            message: texts.one(&row.10),
            checked_ms: row.11,
            changed_ms: row.12,
            stale: row.13,
        };
        Ok(rows.into_iter().map(record).collect())
    }
}

impl SqliteStore {
    /// What was read at open, or is read anew when it was taken or something was committed since.
    pub(super) async fn restored(&self) -> Result<Restored, StoreError> {
        self.usable()?;
        let first = self.restored.lock().take();
        match first {
            Some(restored) => Ok(restored),
            None => {
                let mut guard = self.writer.lock().await;
                let writer = guard.as_mut().ok_or_else(|| self.closed())?;
                self.settle(writer).await?;
                Ok(reload(&self.path, &mut writer.connection).await?.restored)
            }
        }
    }
}
