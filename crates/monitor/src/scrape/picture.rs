//! One moment of all the agents' series: what is chosen is copied, agent by agent, each under its own lock and no
//! longer than that; afterwards nothing is locked. Decides what is fresh, what is chosen and which type a name has.

use super::selector::{Matcher, Selector};
use crate::clock::Moment;
use crate::fleet::{Agent, Compiled, Fleet};
use farol_wire::{SeriesDef, SeriesType};
use std::collections::HashMap;
use std::sync::Arc;

/// The label that says which agent.
pub(super) const AGENT: &str = "agent";
/// The label that says which service.
pub(super) const SERVICE: &str = "service";
/// Who has this label too has got the service from Farol's own agent.
const COMPONENT: &str = "component";
/// So many selectors at once: each has a bit.
pub(super) const SELECTORS: usize = 64;

/// All that one page shows.
#[derive(Default)]
pub(super) struct Picture {
    pub(super) layouts: Vec<Layout>,
    /// In the order of their names.
    pub(super) families: Vec<Family>,
    /// How many series are shown.
    pub(super) shown: usize,
    /// How many are left out because their name has another type.
    pub(super) conflicting: usize,
}

/// A set of definitions, and the agents that have it.
pub(super) struct Layout {
    pub(super) compiled: Arc<Compiled>,
    /// The place of each series among the chosen ones; [`NONE`] for those that are not.
    slots: Vec<u32>,
    /// The chosen series: their positions, and the selectors that chose them.
    pub(super) chosen: Vec<(u32, u64)>,
    pub(super) agents: Vec<Values>,
}

/// One agent's values.
pub(super) struct Values {
    pub(super) agent: Arc<str>,
    /// Prefix of its services, with the dot.
    pub(super) scope: String,
    /// Its only service; empty where it has several.
    pub(super) service: Arc<str>,
    /// By slot.
    values: Vec<f64>,
    present: Vec<u64>,
}

impl Values {
    /// The value in a slot.
    pub(super) fn get(&self, slot: u32) -> Option<f64> {
        let slot = slot as usize;
        (self.present[slot / 64] >> (slot % 64) & 1 == 1).then(|| self.values[slot])
    }
}

/// All series of one name.
pub(super) struct Family {
    pub(super) kind: SeriesType,
    /// Layout and slot, rising; the first one gives the name.
    pub(super) members: Vec<(u32, u32)>,
    /// How many series it shows.
    pub(super) shown: usize,
}

const NONE: u32 = u32::MAX;

/// More series than one page may show.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TooMany;

/// What is asked for.
pub(super) struct Choice<'a> {
    /// One of them must match; none means all.
    pub(super) selectors: &'a [Selector],
    pub(super) max_series: usize,
}

impl Picture {
    /// Looks at every agent.
    pub(super) fn take(fleet: &Fleet, now: Moment, choice: &Choice<'_>) -> Result<Self, TooMany> {
        let mut picture = Self::default();
        let mut known: HashMap<*const Compiled, usize> = HashMap::new();
        for agent in fleet.agents() {
            let mask = choice.of_agent(&agent);
            if mask != 0 {
                picture.add(&agent, now, mask, choice, &mut known)?;
            }
        }
        picture.sort_into_families();
        Ok(picture)
    }

    fn add(
        &mut self,
        agent: &Agent,
        now: Moment,
        mask: u64,
        choice: &Choice<'_>,
        known: &mut HashMap<*const Compiled, usize>,
    ) -> Result<(), TooMany> {
        let live = agent.live.lock();
        let Some(compiled) = live.samples.layout() else { return Ok(()) };
        let at = *known.entry(Arc::as_ptr(compiled)).or_insert_with(|| {
            self.layouts.push(Layout::new(Arc::clone(compiled), choice));
            self.layouts.len() - 1
        });
        let layout = &mut self.layouts[at];
        let services = live.services();
        let service = if let [only] = &*services { Arc::clone(only) } else { "".into() };
        let scope = if live.scope.is_empty() { String::new() } else { format!("{}.", live.scope) };
        let chosen = layout.chosen.len();
        let mut values = Values {
            agent: Arc::clone(&agent.id),
            scope,
            service,
            values: vec![0.0; chosen],
            present: vec![0; chosen.div_ceil(64)],
        };
        let before = self.shown;
        for sample in live.samples.fresh(now, live.interval_ms) {
            let slot = layout.slots[sample.position as usize];
            if slot == NONE {
                continue;
            }
            let slot = slot as usize;
            if choice.takes(mask & layout.chosen[slot].1, sample.series, &values) {
                values.values[slot] = sample.value;
                values.present[slot / 64] |= 1 << (slot % 64);
                self.shown += 1;
            }
        }
        drop(live);
        if self.shown > before {
            layout.agents.push(values);
        }
        if self.shown > choice.max_series { Err(TooMany) } else { Ok(()) }
    }

    /// The first type of a name wins: others are left out. What no agent has a value of is no member.
    fn sort_into_families(&mut self) {
        let mut places: HashMap<&str, usize, foldhash::fast::FixedState> = HashMap::default();
        let mut families: Vec<(&str, Family)> = Vec::new();
        let mut conflicting = 0;
        for (at, layout) in (0_u32..).zip(&self.layouts) {
            for (slot, (position, _)) in (0_u32..).zip(&layout.chosen) {
                let shown = layout.agents.iter().filter(|values| values.get(slot).is_some()).count();
                if shown == 0 {
                    continue;
                }
                let series = layout.series(*position);
                let place = *places.entry(&series.name).or_insert_with(|| {
                    families
                        .push((&series.name, Family { kind: series.kind, members: Vec::new(), shown: 0 }));
                    families.len() - 1
                });
                let family = &mut families[place].1;
                if family.kind == series.kind {
                    family.members.push((at, slot));
                    family.shown += shown;
                } else {
                    conflicting += shown;
                }
            }
        }
        families.sort_unstable_by_key(|(name, _)| *name);
        self.families = families.into_iter().map(|(_, family)| family).collect();
        self.conflicting = conflicting;
        self.shown -= conflicting;
    }

    /// The series in a slot.
    pub(super) fn series(&self, layout: u32, slot: u32) -> &SeriesDef {
        let layout = &self.layouts[layout as usize];
        layout.series(layout.chosen[slot as usize].0)
    }
}

impl Layout {
    fn new(compiled: Arc<Compiled>, choice: &Choice<'_>) -> Self {
        let series = &compiled.layout.set.series;
        let (mut slots, mut chosen) = (vec![NONE; series.len()], Vec::new());
        for (position, one) in (0_u32..).zip(series) {
            let mask = if compiled.repeats.contains(&position) { 0 } else { choice.of_series(one) };
            if mask != 0 {
                slots[position as usize] = u32::try_from(chosen.len()).unwrap_or(NONE);
                chosen.push((position, mask));
            }
        }
        Self { slots, chosen, agents: Vec::new(), compiled }
    }

    fn series(&self, position: u32) -> &SeriesDef {
        &self.compiled.layout.set.series[position as usize]
    }
}

/// The service in a series' own labels, where Farol's agent put it there.
pub(super) fn own_service(series: &SeriesDef) -> Option<&str> {
    let service = series.labels.get(SERVICE)?;
    series.labels.contains_key(COMPONENT).then_some(service.as_str())
}

/// The name under which a label of a series is shown. Reserved names give way.
pub(super) fn exported<'a>(series: &'a SeriesDef, name: &'a str, buffer: &'a mut String) -> &'a str {
    if !matches!(name, AGENT | SERVICE) {
        return name;
    }
    name.clone_into(buffer);
    while matches!(buffer.as_str(), AGENT | SERVICE) || series.labels.contains_key(buffer.as_str()) {
        buffer.insert_str(0, "exported_");
    }
    buffer
}

impl Choice<'_> {
    /// A bit for each selector all of whose conditions hold; all bits where there is none.
    fn mask(&self, holds: impl Fn(&Matcher) -> bool) -> u64 {
        if self.selectors.is_empty() {
            return u64::MAX;
        }
        let bits = self.selectors.iter().take(SELECTORS).enumerate();
        bits.map(|(bit, selector)| u64::from(selector.matchers.iter().all(&holds)) << bit).sum()
    }

    fn of_agent(&self, agent: &Agent) -> u64 {
        self.mask(|matcher| matcher.label != AGENT || matcher.holds(&agent.id))
    }

    fn of_series(&self, series: &SeriesDef) -> u64 {
        self.mask(|matcher| match matcher.label.as_str() {
            AGENT | SERVICE => true,
            "__name__" => matcher.holds(&series.name),
            label => matcher.holds(shown_label(series, label)),
        })
    }

    /// The rest: what depends on both, which is the service.
    fn takes(&self, mask: u64, series: &SeriesDef, values: &Values) -> bool {
        let asks_service = |matcher: &&Matcher| matcher.label == SERVICE;
        mask != 0
            && (self.selectors.is_empty()
                || self.selectors.iter().enumerate().any(|(bit, selector)| {
                    let mut rest = selector.matchers.iter().filter(asks_service).peekable();
                    mask >> bit & 1 == 1
                        && (rest.peek().is_none() || {
                            let service = match own_service(series) {
                                Some(own) => &format!("{}{own}", values.scope),
                                None => &*values.service,
                            };
                            rest.all(|matcher| matcher.holds(service))
                        })
                }))
    }
}

/// The value of a label as it is shown; empty where there is none.
fn shown_label<'a>(series: &'a SeriesDef, label: &str) -> &'a str {
    if let Some(value) = series.labels.get(label) {
        return value;
    }
    let reserved = [AGENT, SERVICE].into_iter().filter(|name| label.ends_with(name));
    for name in reserved {
        let ours = name == SERVICE && own_service(series).is_some();
        if let Some(value) = series.labels.get(name).filter(|_| !ours)
            && exported(series, name, &mut String::new()) == label
        {
            return value;
        }
    }
    ""
}
