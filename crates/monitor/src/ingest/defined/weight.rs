//! What a definition takes up in memory, nearly. Decides how much all of an agent's together may.

use farol_wire::{ComponentDef, Limits, SeriesDef};
use std::collections::BTreeMap;

/// On the average of all that an agent may define, one takes up no more than this.
const BYTES_EACH: usize = 1024;
/// What stands round names and labels.
const FIXED: usize = 96;

pub(super) fn of_series(series: &SeriesDef) -> usize {
    FIXED + series.name.len() + series.unit.len() + labels(&series.labels)
}

pub(super) fn of_component(component: &ComponentDef) -> usize {
    FIXED + component.service.len() + component.name.len() + component.kind.len() + labels(&component.labels)
}

fn labels(labels: &BTreeMap<String, String>) -> usize {
    labels.iter().map(|(name, value)| FIXED / 2 + name.len() + value.len()).sum()
}

/// Whether so many bytes of definitions are within the limits.
pub(super) fn fits(bytes: usize, limits: &Limits) -> Result<(), String> {
    let most = limits.max_series.saturating_add(limits.max_components).saturating_mul(BYTES_EACH);
    if bytes > most {
        return Err(format!("the definitions take up more than {most} bytes; use fewer or shorter labels"));
    }
    Ok(())
}
