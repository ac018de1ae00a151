//! Layouts in a database: how their bytes are read and written, and which of them a starting monitor takes in. Memory
//! holds only their keys.

use super::{Layout, LayoutKey};
use farol_wire::proto;
use foldhash::HashMap;
use prost::Message;
use std::sync::Arc;

/// Bytes of layouts that are read at open, as the database has them; in memory they take up up to sixteen times as
/// much.
const RESTORED_BYTES: usize = 16 << 20;

/// A layout in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownLayout {
    /// The last journal row that used it: once that row is deleted, nothing kept needs it.
    pub(crate) used_row: i64,
    /// The length of its bytes; 0 when the journal names it and the database does not have it.
    pub(crate) bytes: u32,
    /// Blocks may have been made with it.
    pub(crate) sealed: bool,
}

/// Layouts by key.
pub(crate) type Sets = HashMap<LayoutKey, Arc<Layout>>;

/// Those used last, as many as a starting monitor takes in; and the others.
pub(crate) fn used_last(known: &HashMap<LayoutKey, KnownLayout>) -> (Vec<LayoutKey>, Vec<LayoutKey>) {
    let mut all: Vec<_> = known.iter().filter(|(_, layout)| layout.bytes > 0).collect();
    all.sort_unstable_by_key(|(key, layout)| std::cmp::Reverse((layout.used_row, **key)));
    let mut bytes = 0;
    let mut fits = |layout: &KnownLayout| {
        bytes += layout.bytes as usize;
        bytes <= RESTORED_BYTES
    };
    let count = all.iter().take_while(|(_, layout)| fits(layout)).count();
    let keys = |some: &[(&LayoutKey, &KnownLayout)]| some.iter().map(|(key, _)| **key).collect();
    (keys(&all[..count]), keys(&all[count..]))
}

/// A layout's bytes, and as what it is known once the row `used_row` is committed.
pub(crate) fn encode(layout: &Layout, used_row: i64) -> (Vec<u8>, KnownLayout) {
    let define = proto::Define::from(&layout.set).encode_to_vec();
    let bytes = u32::try_from(define.len()).unwrap_or(u32::MAX);
    (define, KnownLayout { used_row, bytes, sealed: false })
}

/// Reads a layout's bytes; the error says what is damaged.
pub(crate) fn decode(key: LayoutKey, define: &[u8]) -> Result<Arc<Layout>, String> {
    let bad = |why: String| format!("layout {}: {why}", key.0);
    let define = proto::Define::decode(define).map_err(|e| bad(e.to_string()))?;
    let (set, refused) = farol_wire::define(define).map_err(|e| bad(e.to_string()))?;
    if refused.is_empty() { Ok(Arc::new(Layout { key, set })) } else { Err(bad(format!("{refused:?}"))) }
}
