//! Whether what a receiver was told is what was so. Decides from the notices alone, and from how often services turned.

use super::SECRET;
use crate::hook::Told;
use anyhow::{Context, Result, ensure};
use farol_config::Secret;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::time::Duration;

/// What was told, in sum.
#[derive(Clone, Copy, Debug, Default)]
pub struct Judged {
    /// Notices, copies not counted.
    pub notices: usize,
    /// Copies of notices that had been taken.
    pub copies: usize,
    /// Notices that went out while the store did not take them.
    pub unrecorded: usize,
}

impl fmt::Display for Judged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} notices, {} copies, {} unrecorded", self.notices, self.copies, self.unrecorded)
    }
}

/// Whether the last that was taken of each service is that it is bad.
pub(super) fn last_words(told: &[Told], services: usize) -> Vec<bool> {
    let mut last = vec![false; services];
    for (service, alert) in told.iter().filter(|told| told.is_taken()).flat_map(words) {
        if let Some(last) = last.get_mut(service) {
            *last = !alert.is_over;
        }
    }
    last
}

struct Word {
    alert: String,
    is_over: bool,
}

fn words(told: &Told) -> impl Iterator<Item = (usize, Word)> {
    told.alerts().iter().filter_map(|alert| {
        let service = alert["labels"]["service"].as_str()?.strip_prefix("service-")?.parse().ok()?;
        let alert = Word { alert: alert["id"].as_str()?.to_owned(), is_over: !alert["ended"].is_null() };
        Some((service, alert))
    })
}

/// Judges all that came. `ends`: how many had come at each end of the monitor. `became_bad`: how often each service did.
pub(super) fn judge(told: &[Told], ends: &[usize], became_bad: &[usize]) -> Result<Judged> {
    signed(told)?;
    let mut judged = Judged::default();
    let mut groups: BTreeMap<String, Vec<(usize, &Told)>> = BTreeMap::new();
    for (at, told) in told.iter().enumerate().filter(|(_, told)| told.is_taken()) {
        groups.entry(told.notice["group"].to_string()).or_default().push((at, told));
    }
    let mut services: BTreeMap<usize, Vec<Word>> = BTreeMap::new();
    for (group, taken) in &groups {
        let mut known = HashSet::new();
        let mut before: Option<(usize, &Told)> = None;
        for (at, told) in taken {
            let is_copy = before.is_some_and(|(_, before)| before.id() == told.id());
            if is_copy {
                let was_at = before.map_or(0, |(at, _)| at);
                let crashed = ends.iter().any(|end| (was_at + 1..=*at).contains(end));
                ensure!(crashed, "{} of {group} came twice without a crash", told.id());
                judged.copies += 1;
            } else {
                ensure!(known.insert(told.id()), "{} of {group} came again after a later one", told.id());
                judged.notices += 1;
                judged.unrecorded += usize::from(told.notice["unrecorded"] == true);
                for (service, word) in words(told) {
                    services.entry(service).or_default().push(word);
                }
            }
            before = Some((*at, told));
        }
    }
    ensure!(judged.copies <= ends.len() * groups.len(), "{} copies of {} ends", judged.copies, ends.len());
    for (service, words) in &services {
        let most = became_bad.get(*service).copied().unwrap_or(0);
        in_turn(words, most).with_context(|| format!("service-{service}"))?;
    }
    Ok(judged)
}

/// An alert fires, and is over; then comes the next one.
fn in_turn(words: &[Word], most: usize) -> Result<()> {
    let mut known = HashSet::new();
    let mut firing: Option<&str> = None;
    for word in words {
        match (firing, word.is_over) {
            (None, false) => {
                ensure!(known.insert(&word.alert), "{} fires again after its end was told", word.alert);
                firing = Some(&word.alert);
            }
            // Told again because it is not muted any more.
            (Some(before), false) if before == word.alert => {}
            (Some(before), false) => {
                anyhow::bail!("{} is told, and the end of {before} never was", word.alert);
            }
            (Some(before), true) if before == word.alert => firing = None,
            (before, true) => anyhow::bail!("the end of {} is told, and {before:?} fires", word.alert),
        }
    }
    ensure!(known.len() <= most, "{} alerts were told, and it became unhealthy {most} times", known.len());
    Ok(())
}

fn signed(told: &[Told]) -> Result<()> {
    let (secret, now, tolerance) =
        (Secret::new(SECRET), jiff::Timestamp::now(), Duration::from_secs(24 * 3_600));
    for told in told {
        farol_monitor::notify::receivers::verify(&secret, &told.signature, &told.body, now, tolerance)
            .with_context(|| format!("the signature of {}", told.id()))?;
        ensure!(told.key == told.id() || told.key.len() == 64, "the key is {}", told.key);
    }
    Ok(())
}
