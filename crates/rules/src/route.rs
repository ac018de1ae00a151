//! Who is told of an alert: a tree of routes, walked by the alert's labels. Decides where an alert goes and with whom it
//! is told; not when, and not whether it is silenced.
//!
//! Depth first: of a route's children the first that matches takes the alert, and the next ones too only where that one
//! `continues`. Where no child matches, the route itself takes it. What a route does not say it has from its parent.

#[cfg(test)]
mod tests;

use crate::{Labels, Matcher};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Routes stand in each other at most so deep.
const DEPTH: usize = 64;

/// The labels that alerts are grouped by where no route says it: what is wrong, where, and with what. A label that an
/// alert does not have is missing from its group, too.
pub const DEFAULT_GROUP_BY: [&str; 3] = ["alertname", "cluster", "service"];

/// The label of an alert's severity. It changes while the alert goes on.
const SEVERITY: &str = "severity";

/// A route as it is written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Route {
    /// Who is told; `None` is as the parent says. The root must say it.
    pub receiver: Option<Arc<str>>,
    /// Who else is told just as that one is: its peers. Nobody where `receiver` is as the parent says.
    pub peers: Vec<Arc<str>>,
    /// Which alerts it takes; all of them must match. The root has none.
    pub matchers: Vec<Matcher>,
    /// Which alerts are told together; `None` is as the parent says.
    pub group_by: Option<GroupBy>,
    /// When they are told.
    pub waits: PartialWaits,
    /// Whether its next brothers are asked too, although it took the alert.
    pub continues: bool,
    /// Its children, in the order in which they are asked.
    pub routes: Vec<Self>,
}

/// Which alerts are told together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum GroupBy {
    /// Each alert alone (`...`): its group is all of its labels but `severity`, as an alert that is raised is the same.
    All,
    /// Those that agree in these labels.
    Labels(Vec<Arc<str>>),
}

impl Default for GroupBy {
    fn default() -> Self {
        Self::Labels(DEFAULT_GROUP_BY.map(Arc::from).to_vec())
    }
}

/// What a route says of the waits; the rest it has from its parent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PartialWaits {
    /// See [`Waits::group_wait_ms`].
    pub group_wait_ms: Option<u64>,
    /// See [`Waits::critical_wait_ms`].
    pub critical_wait_ms: Option<u64>,
    /// See [`Waits::group_interval_ms`].
    pub group_interval_ms: Option<u64>,
    /// See [`Waits::repeat_interval_ms`].
    pub repeat_interval_ms: Option<u64>,
}

/// When a receiver is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waits {
    /// The first alert of a group waits so long for others.
    pub group_wait_ms: u64,
    /// So long waits what is urgent: a new critical alert, a raise to critical, an alert that is not muted any more.
    pub critical_wait_ms: u64,
    /// What changes in a group that was told of waits until so long after the last notice.
    pub group_interval_ms: u64,
    /// What still fires is told again so long after the last notice.
    pub repeat_interval_ms: u64,
}

impl Default for Waits {
    fn default() -> Self {
        Self {
            group_wait_ms: 30_000,
            critical_wait_ms: 0,
            group_interval_ms: 5 * 60_000,
            repeat_interval_ms: 4 * 3_600_000,
        }
    }
}

impl PartialWaits {
    fn over(self, parent: Waits) -> Waits {
        Waits {
            group_wait_ms: self.group_wait_ms.unwrap_or(parent.group_wait_ms),
            critical_wait_ms: self.critical_wait_ms.unwrap_or(parent.critical_wait_ms),
            group_interval_ms: self.group_interval_ms.unwrap_or(parent.group_interval_ms),
            repeat_interval_ms: self.repeat_interval_ms.unwrap_or(parent.repeat_interval_ms),
        }
    }
}

/// Where an alert goes: one receiver and one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lane {
    /// Who is told.
    pub receiver: Arc<str>,
    /// The labels that the group's alerts agree in.
    pub group: Labels,
    /// When.
    pub waits: Waits,
    /// The route's place in the tree, as a configuration names it: `route.routes[1]`.
    pub path: Arc<str>,
}

/// Routes that do not make a tree.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RouteError {
    /// Nobody would be told.
    #[error("`route` names no receiver; name the one that is told of what no other route takes")]
    NoReceiver,
    /// Some alerts would go nowhere.
    #[error("`route` has matchers, but must take every alert; move them to one of its `routes`")]
    RootMatchers,
    /// The root has no brothers.
    #[error("`route` cannot continue, nothing comes after it; take `continue` out")]
    RootContinues,
    /// Too deep.
    #[error("`{path}` stands {DEPTH} routes deep; put it higher")]
    TooDeep {
        /// Which route.
        path: Arc<str>,
    },
    /// A notice would follow at once, for ever.
    #[error("`{path}.{wait}` is 0; write for instance `5m`")]
    NoInterval {
        /// Which route.
        path: Arc<str>,
        /// Which of its waits.
        wait: &'static str,
    },
}

/// Routes whose every node knows its receiver, group and waits.
#[derive(Clone, Debug)]
pub struct Tree(Node);

#[derive(Clone, Debug)]
struct Node {
    /// Who is told, each in lanes of its own.
    receivers: Arc<[Arc<str>]>,
    matchers: Vec<Matcher>,
    group_by: Arc<GroupBy>,
    waits: Waits,
    continues: bool,
    routes: Vec<Node>,
    path: Arc<str>,
}

/// What a child has from its parent.
struct Heritage<'a> {
    receivers: &'a Arc<[Arc<str>]>,
    group_by: &'a Arc<GroupBy>,
    waits: Waits,
}

impl Tree {
    /// Resolves what each route has from its parents.
    ///
    /// # Errors
    /// The root does not take every alert or names no receiver, the routes are too deep, or an interval is 0.
    pub fn new(root: Route) -> Result<Self, RouteError> {
        if !root.matchers.is_empty() {
            return Err(RouteError::RootMatchers);
        }
        if root.continues {
            return Err(RouteError::RootContinues);
        }
        if root.receiver.is_none() {
            return Err(RouteError::NoReceiver);
        }
        let (receivers, group_by) = (Arc::from([]), Arc::default());
        let heritage = Heritage { receivers: &receivers, group_by: &group_by, waits: Waits::default() };
        Ok(Self(Node::new(root, &heritage, Arc::from("route"), 1)?))
    }

    /// Where an alert with these labels goes, in the order of the tree: at least one lane, each receiver and group once.
    #[must_use]
    pub fn lanes(&self, labels: &Labels) -> Vec<Lane> {
        let mut lanes = Vec::new();
        self.0.collect(labels, &mut lanes);
        lanes
    }
}

impl Node {
    fn new(route: Route, parent: &Heritage<'_>, path: Arc<str>, depth: usize) -> Result<Self, RouteError> {
        if depth > DEPTH {
            return Err(RouteError::TooDeep { path });
        }
        let receivers = match route.receiver {
            Some(first) => std::iter::once(first).chain(route.peers).collect(),
            None => Arc::clone(parent.receivers),
        };
        let group_by = route.group_by.map_or_else(|| Arc::clone(parent.group_by), Arc::new);
        let waits = route.waits.over(parent.waits);
        for (wait, ms) in
            [("group_interval", waits.group_interval_ms), ("repeat_interval", waits.repeat_interval_ms)]
        {
            if ms == 0 {
                return Err(RouteError::NoInterval { path, wait });
            }
        }
        let heritage = Heritage { receivers: &receivers, group_by: &group_by, waits };
        let mut routes = Vec::with_capacity(route.routes.len());
        for (i, child) in route.routes.into_iter().enumerate() {
            routes.push(Self::new(child, &heritage, format!("{path}.routes[{i}]").into(), depth + 1)?);
        }
        Ok(Self {
            receivers,
            matchers: route.matchers,
            group_by,
            waits,
            continues: route.continues,
            routes,
            path,
        })
    }

    /// Whether this node takes the alert; if so, its lanes are added.
    fn collect(&self, labels: &Labels, lanes: &mut Vec<Lane>) -> bool {
        if !Matcher::all(&self.matchers, labels) {
            return false;
        }
        let mut taken = false;
        for child in &self.routes {
            if child.collect(labels, lanes) {
                taken = true;
                if !child.continues {
                    break;
                }
            }
        }
        if !taken {
            let group = self.group(labels);
            for receiver in &*self.receivers {
                if !lanes.iter().any(|lane| lane.receiver == *receiver && lane.group == group) {
                    let (receiver, path) = (Arc::clone(receiver), Arc::clone(&self.path));
                    lanes.push(Lane { receiver, group: group.clone(), waits: self.waits, path });
                }
            }
        }
        true
    }

    fn group(&self, labels: &Labels) -> Labels {
        match &*self.group_by {
            GroupBy::Labels(names) => labels.only(names),
            GroupBy::All => {
                let lasting = labels.iter().filter(|(name, _)| &***name != SEVERITY);
                lasting.map(|(name, value)| (Arc::clone(name), Arc::clone(value))).collect()
            }
        }
    }
}
