//! The questions that `farol status` asks a monitor.

use super::picture::{Fleet, Many, Picture};
use crate::rest::Rest;
use crate::verdict::Error;
use reqwest::Url;
use serde::Deserialize;
use serde_json::Value;
use std::collections::BTreeMap;
use std::time::Duration;

/// So many of each kind are shown to people.
const PAGE: usize = 200;
/// The most that a monitor gives at once.
const AT_ONCE: usize = 10_000;
/// What a component may show when it is not healthy, the worst first.
const NOT_HEALTHY: [&str; 5] = ["unhealthy", "unknown", "degraded", "starting", "maintenance"];
/// What an agent is when it is not simply here, the worst first.
const AWAY: [&str; 4] = ["lost", "restored", "held", "leaving"];

/// What a list is asked for: names and values of its query.
type Filter<'a> = Vec<(&'a str, &'a str)>;
/// All of it.
const ALL: &[Filter<'_>] = &[Vec::new()];

/// How much is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Much {
    /// What people can read.
    Page,
    /// Everything, for programs.
    All,
}

/// A monitor to ask.
pub(super) struct Monitor(Rest);

/// A page of a list.
#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    next: Option<String>,
}

impl Monitor {
    pub(super) fn at(url: &Url, timeout: Duration) -> Result<Self, Error> {
        Rest::at(url, timeout).map(Self)
    }

    /// The fleet now. Its parts are asked for one after the other, so they may be a moment apart; of what is not
    /// well only that is asked for which the first look has shown.
    pub(super) async fn picture(&self, much: Much) -> Result<Picture, Error> {
        let raw: Value = self.0.get(&["fleet"], &[]).await?;
        let fleet = self.read::<Fleet>(&raw)?;
        let count = |counts: &BTreeMap<String, u64>, word: &str| counts.get(word).copied().unwrap_or(0);
        let services = self.many("services", ALL, Much::All).await?;
        let groups = if count(&fleet.groups, "total") > 0 { ALL } else { &[] };
        let groups = self.many("groups", groups, Much::All).await?;
        let not_healthy = NOT_HEALTHY.into_iter().filter(|word| count(&fleet.components, word) > 0);
        let not_healthy: Vec<Filter<'_>> = not_healthy.map(|word| vec![("shown_as", word)]).collect();
        let components = self.many("components", &not_healthy, much).await?;
        let away = AWAY.into_iter().filter(|word| count(&fleet.agents, word) > 0);
        let mut away: Vec<Filter<'_>> = away.map(|word| vec![("presence", word)]).collect();
        if count(&fleet.agents, "connected") < count(&fleet.agents, "total") {
            away.push(vec![("presence", "here"), ("connected", "false")]);
        }
        let agents = self.many("agents", &away, much).await?;
        Ok(Picture { fleet, raw, services, groups, components, agents })
    }

    /// A list, for one filter after the other.
    async fn many<T>(&self, list: &str, filters: &[Filter<'_>], much: Much) -> Result<Many<T>, Error>
    where
        T: for<'de> Deserialize<'de>,
    {
        let most = if much == Much::All { usize::MAX } else { PAGE };
        let mut raw = Vec::new();
        let mut more = false;
        for filter in filters {
            let mut after: Option<String> = None;
            loop {
                let limit = most.saturating_sub(raw.len()).clamp(1, AT_ONCE).to_string();
                let mut query = vec![("limit", limit.as_str())];
                query.extend(filter);
                query.extend(after.as_deref().map(|after| ("after", after)));
                let page: Page = self.0.get(&[list], &query).await?;
                raw.extend(page.items);
                after = page.next;
                if after.is_none() || raw.len() >= most {
                    break;
                }
            }
            more |= after.is_some() || raw.len() > most;
        }
        raw.truncate(most);
        let items = raw.iter().map(|value| self.read(value)).collect::<Result<_, _>>()?;
        Ok(Many { items, raw, more })
    }

    fn read<T: for<'de> Deserialize<'de>>(&self, value: &Value) -> Result<T, Error> {
        T::deserialize(value).map_err(|error| self.0.stranger(&error.to_string()))
    }
}
