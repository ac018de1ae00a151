//! Layouts: sets of definitions shared by all agents that define the same, so that names stand in memory and in the
//! store once. Decides nothing about statuses.

use crate::store::{Layout, LayoutKey};
use farol_rules::{Labels, SourceShape};
use farol_series::Encoding;
use farol_wire::Definition;
use parking_lot::Mutex;
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::{Arc, OnceLock};

/// A layout with what decoding needs at hand.
#[derive(Debug)]
pub struct Compiled {
    /// As the store keeps it.
    pub layout: Arc<Layout>,
    /// In order of their ids.
    pub sources: Vec<CompiledSource>,
    /// The same as alert rules want it of agents without a scope; made when first asked for.
    shapes: OnceLock<Vec<SourceShape>>,
    /// Positions of series that have the name and labels of an earlier one: they are kept, and shown nowhere.
    pub repeats: HashSet<u32>,
}

/// A source of a layout.
#[derive(Debug)]
pub struct CompiledSource {
    /// Its id on the stream.
    pub id: u32,
    /// How often it ticks.
    pub interval_ms: u32,
    /// Positions in the layout's series, in the order of the blocks.
    pub series: Vec<u32>,
    /// The encodings in the same order.
    pub encodings: Vec<Encoding>,
}

impl Compiled {
    /// The position of a source.
    #[must_use]
    pub fn source(&self, id: u32) -> Option<usize> {
        self.sources.binary_search_by_key(&id, |s| s.id).ok()
    }

    /// Compiles a layout. Series of an unknown encoding make their whole source undecodable; the caller refuses such
    /// before a layout is made.
    #[must_use]
    pub fn new(layout: Arc<Layout>) -> Self {
        let mut sources: Vec<CompiledSource> = layout
            .set
            .sources
            .iter()
            .map(|s| CompiledSource {
                id: s.id,
                interval_ms: s.interval_ms,
                series: Vec::new(),
                encodings: Vec::new(),
            })
            .collect();
        sources.sort_unstable_by_key(|s| s.id);
        let mut order: Vec<usize> = (0..layout.set.series.len()).collect();
        order.sort_unstable_by_key(|i| layout.set.series[*i].id);
        for position in order {
            let series = &layout.set.series[position];
            let (kind, digits) = series.encoding;
            let Ok(at) = sources.binary_search_by_key(&series.source, |s| s.id) else { continue };
            let (Ok(encoding), Ok(position)) = (Encoding::from_wire(kind, digits), u32::try_from(position))
            else {
                continue;
            };
            sources[at].series.push(position);
            sources[at].encodings.push(encoding);
        }
        let repeats = repeats(&layout.set);
        Self { layout, sources, shapes: OnceLock::new(), repeats }
    }

    /// Names and labels of each source's series, in the order of its columns, for an agent of this scope.
    pub(crate) fn shapes(&self, scope: &str) -> Cow<'_, [SourceShape]> {
        let shapes = || self.sources.iter().map(|source| self.shape(source, scope)).collect();
        if scope.is_empty() { Cow::Borrowed(self.shapes.get_or_init(shapes)) } else { Cow::Owned(shapes()) }
    }

    fn shape(&self, source: &CompiledSource, scope: &str) -> SourceShape {
        let series = source.series.iter().filter_map(|at| self.layout.set.series.get(*at as usize));
        let named = series.map(|series| (Arc::from(series.name.as_str()), scoped(&series.labels, scope)));
        SourceShape { interval_ms: u64::from(source.interval_ms), series: named.collect() }
    }
}

/// A series' own labels. What a check measures is of the service that its component is of: with the agent's scope.
pub(crate) fn scoped(labels: &BTreeMap<String, String>, scope: &str) -> Labels {
    let is_of_component = !scope.is_empty() && labels.contains_key("component");
    let of_series = labels.iter().map(|(name, value)| match name.as_str() {
        "service" if is_of_component => (Arc::from("service"), format!("{scope}.{value}").into()),
        name => (name.into(), value.as_str().into()),
    });
    of_series.collect()
}

fn repeats(set: &Definition) -> HashSet<u32> {
    let mut seen = HashSet::with_capacity(set.series.len());
    let numbered = (0_u32..).zip(&set.series);
    let repeated = numbered.filter(|(_, series)| !seen.insert((&series.name, &series.labels)));
    repeated.map(|(position, _)| position).collect()
}

/// All layouts in use.
#[derive(Debug, Default)]
pub struct Layouts(Mutex<Interner>);

/// A layout out of the interner.
#[derive(Debug)]
pub struct Interned {
    /// The layout.
    pub compiled: Arc<Compiled>,
    /// Layouts that were let go of meanwhile: nothing will be made with them any more.
    pub let_go: Vec<LayoutKey>,
}

#[derive(Debug, Default)]
struct Interner {
    /// By the hash of the content; compared in full on a hit.
    by_hash: HashMap<u64, Vec<Arc<Compiled>>>,
    /// Never reused.
    last_key: u32,
    /// What all of them take up, in bytes.
    weight: usize,
    /// At this weight it is time to look for those that nobody uses.
    sweep_at: usize,
    hasher: foldhash::fast::FixedState,
}

/// Bytes of definitions that may stand unused before they are looked for.
const UNUSED_AT_MOST: usize = 2 << 20;

impl Interner {
    fn hash(&self, set: &Definition) -> u64 {
        let mut hasher = self.hasher.build_hasher();
        set.sources.hash(&mut hasher);
        set.series.hash(&mut hasher);
        hasher.finish()
    }

    fn count(&self) -> usize {
        self.by_hash.values().map(Vec::len).sum()
    }

    /// Lets go of what no agent uses, once there may be much of it: agents whose set changes all the time would fill
    /// the memory. The same set is interned anew, under another key, when it comes back.
    fn sweep(&mut self) -> Vec<LayoutKey> {
        let mut let_go = Vec::new();
        if self.weight < self.sweep_at.max(UNUSED_AT_MOST) {
            return let_go;
        }
        self.by_hash.retain(|_, all| {
            all.retain_mut(|compiled| {
                // Nobody else has it: whoever had it has handed in all that was made with it.
                let unused = Arc::get_mut(compiled).map(|compiled| compiled.layout.key);
                let_go.extend(unused);
                unused.is_none()
            });
            !all.is_empty()
        });
        self.weight = self.by_hash.values().flatten().map(|compiled| compiled.layout.weight()).sum();
        self.sweep_later();
        let_go
    }

    /// Sweeping all takes as long as there are many.
    fn sweep_later(&mut self) {
        self.sweep_at = self.weight + (self.weight / 2).max(UNUSED_AT_MOST);
    }

    fn add(&mut self, hash: u64, compiled: Arc<Compiled>) {
        self.weight += compiled.layout.weight();
        self.by_hash.entry(hash).or_default().push(compiled);
    }
}

impl Layouts {
    /// The layout with these sources and series (components don't count). A new one is handed to `keep` before
    /// anybody else can get it, so that whatever is made with it is kept after it; when that fails there is none.
    pub fn intern<E>(
        &self,
        set: Definition,
        keep: impl FnOnce(&Arc<Layout>) -> Result<(), E>,
    ) -> Result<Interned, E> {
        let set = Definition { components: Vec::new(), ..set };
        let mut interner = self.0.lock();
        let hash = interner.hash(&set);
        let same = |c: &&Arc<Compiled>| c.layout.set == set;
        if let Some(known) = interner.by_hash.get(&hash).and_then(|all| all.iter().find(same)) {
            return Ok(Interned { compiled: Arc::clone(known), let_go: Vec::new() });
        }
        let layout = Arc::new(Layout { key: LayoutKey(interner.last_key + 1), set });
        keep(&layout)?;
        interner.last_key += 1;
        let let_go = interner.sweep();
        let compiled = Arc::new(Compiled::new(layout));
        interner.add(hash, Arc::clone(&compiled));
        Ok(Interned { compiled, let_go })
    }

    /// Takes in what the store has. Keys up to `last_key` were given already.
    pub fn restore(&self, layouts: &[Arc<Layout>], last_key: u32) {
        let mut interner = self.0.lock();
        interner.last_key = interner.last_key.max(last_key);
        for layout in layouts {
            interner.last_key = interner.last_key.max(layout.key.0);
            let hash = interner.hash(&layout.set);
            interner.add(hash, Arc::new(Compiled::new(Arc::clone(layout))));
        }
        // Their agents have not come back yet.
        interner.sweep_later();
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.lock().count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_wire::SourceDef;
    use std::convert::Infallible;

    fn set(id: u32) -> Definition {
        let source = SourceDef { id, name: "s".repeat(1_000), interval_ms: 1_000 };
        Definition { sources: vec![source], ..Definition::default() }
    }

    fn intern(layouts: &Layouts, id: u32) -> Interned {
        let Ok(interned) = layouts.intern(set(id), |_| Ok::<_, Infallible>(()));
        interned
    }

    #[test]
    fn the_same_set_is_one_layout_and_those_nobody_uses_are_let_go_of_and_named() {
        let layouts = Layouts::default();
        let used = intern(&layouts, 1).compiled;
        let mut let_go = Vec::new();
        let keys: Vec<_> = (2..40_000)
            .map(|id| {
                let interned = intern(&layouts, id);
                let_go.extend(interned.let_go);
                interned.compiled.layout.key
            })
            .collect();
        assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "keys are never reused");
        assert!(layouts.count() <= UNUSED_AT_MOST / 1_000, "{} layouts", layouts.count());
        assert_eq!(let_go.len() + layouts.count(), 39_999, "each is here or was named");
        assert!(!let_go.contains(&used.layout.key));
        let Ok(again) = layouts.intern(set(1), |_| -> Result<(), Infallible> { panic!("it is known") });
        assert!(Arc::ptr_eq(&used, &again.compiled));
    }

    #[test]
    fn what_is_not_kept_is_not_there_for_anybody() {
        let layouts = Layouts::default();
        layouts.intern(set(1), |_| Err("no room")).unwrap_err();
        assert_eq!(layouts.count(), 0);
        let mut kept = Vec::new();
        let again = layouts.intern(set(1), |layout| {
            kept.push(layout.key);
            Ok::<_, Infallible>(())
        });
        let Ok(again) = again;
        assert_eq!(kept, [again.compiled.layout.key], "the next one is asked anew");
    }

    #[test]
    fn no_key_is_given_that_was_given_before_a_restart_not_even_one_whose_layout_is_gone() {
        let layouts = Layouts::default();
        layouts.restore(&[Arc::new(Layout { key: LayoutKey(3), set: set(1) })], 7);
        assert_eq!(intern(&layouts, 1).compiled.layout.key, LayoutKey(3));
        assert_eq!(intern(&layouts, 2).compiled.layout.key, LayoutKey(8));
    }
}
