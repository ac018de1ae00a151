//! Named subsets of a process's components: each with its own rule, and its own map from status to HTTP code. Decides
//! what a group shows; the components' statuses are the checker's, the route is the router's.

use crate::aggregate::{Aggregate, InstanceCounts, Policy, group, service};
use crate::{Snapshot, Status, probe};
use std::collections::{BTreeMap, BTreeSet};

/// How the statuses of a group's members become its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Rule {
    /// The worst of its members: unhealthy, then unknown, starting, degraded, healthy.
    #[default]
    Worst,
    /// So many members must be up: healthy when all are healthy, degraded while enough are up, unknown while the
    /// unknown ones could fill the gap, else unhealthy.
    AtLeast(u32),
}

/// A named subset of the components. Members under maintenance are left out of the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    /// Its name, unique among the groups.
    name: String,
    /// The names of its members.
    members: BTreeSet<String>,
    /// How they count.
    rule: Rule,
    /// HTTP codes that differ from 200 for healthy and degraded and 503 for the rest.
    codes: BTreeMap<u8, u16>,
}

impl Group {
    /// The worst of these components, with the usual codes.
    pub fn new<M: Into<String>>(name: impl Into<String>, members: impl IntoIterator<Item = M>) -> Self {
        let members = members.into_iter().map(Into::into).collect();
        Self { name: name.into(), members, rule: Rule::Worst, codes: BTreeMap::new() }
    }

    /// Counts by this rule.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rule = rule;
        self
    }

    /// Answers with this code while it shows that, for instance 429 for degraded: a [`Status`] or
    /// [`Aggregate::Maintenance`].
    #[must_use]
    pub fn answers(mut self, shown: impl Into<Aggregate>, code: u16) -> Self {
        let shown: Aggregate = shown.into();
        self.codes.insert(shown.as_u8(), code);
        self
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What each member shows at `now_ms` of the boot clock; one that was taken away since is unknown.
    fn members_at(&self, snapshot: &Snapshot, now_ms: u64) -> BTreeMap<&str, Aggregate> {
        let mut members: BTreeMap<&str, Aggregate> =
            self.members.iter().map(|name| (name.as_str(), Status::Unknown.into())).collect();
        for component in &snapshot.components {
            if let Some(shown) = members.get_mut(&*component.name) {
                *shown = probe::shown(component, now_ms);
            }
        }
        members
    }

    /// What it shows at `now_ms` of the boot clock.
    #[must_use]
    pub fn status_at(&self, snapshot: &Snapshot, now_ms: u64) -> Aggregate {
        self.view(snapshot, now_ms).0
    }

    /// What it shows, and what its members show.
    pub(crate) fn view(&self, snapshot: &Snapshot, now_ms: u64) -> (Aggregate, BTreeMap<&str, Aggregate>) {
        let members = self.members_at(snapshot, now_ms);
        let shown = members.values().copied();
        let status = match self.rule {
            _ if snapshot.draining => Aggregate::Maintenance,
            Rule::Worst => group(shown),
            Rule::AtLeast(number) => {
                let policy = Policy { at_least: Some(number), ..Policy::default() };
                service(&policy, &shown.collect::<InstanceCounts>())
            }
        };
        (status, members)
    }

    /// The HTTP code of what it shows.
    #[must_use]
    pub fn code(&self, shown: Aggregate) -> u16 {
        let usual = if shown.is_up() { 200 } else { 503 };
        self.codes.get(&shown.as_u8()).copied().unwrap_or(usual)
    }
}

/// A group that cannot stand.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GroupError {
    /// A member is no check of this process.
    #[error("group `{group}` names the check `{check}`, which there is not; known here: {known}")]
    UnknownCheck {
        /// The group.
        group: String,
        /// What it names.
        check: String,
        /// The names of the checks.
        known: String,
    },
    /// Nothing is in it.
    #[error("group `{0}` has no members; name at least one check")]
    Empty(String),
    /// Two groups have one name.
    #[error("two groups are named `{0}`; rename one")]
    DuplicateName(String),
    /// The group's name is not a name.
    #[error("`{0}` cannot name a group; use 1 to 128 of the characters A-Z a-z 0-9 . _ -")]
    BadName(String),
    /// More are asked for than there are, or none.
    #[error("group `{group}` asks for {asked} of its {members} members; ask for 1 to {members}")]
    Unreachable {
        /// The group.
        group: String,
        /// How many must be up.
        asked: u32,
        /// How many there are.
        members: usize,
    },
    /// No answer with a body can have this code.
    #[error("group `{group}` answers with the code {code}; use one of 200 to 599, but not 204, 205 or 304")]
    BadCode {
        /// The group.
        group: String,
        /// The code.
        code: u16,
    },
}

/// The groups of a process, by name.
#[derive(Clone, Debug, Default)]
pub struct Groups(BTreeMap<String, Group>);

impl Groups {
    /// Takes the groups in over the checks of this snapshot: the one of a [`Checker`](crate::Checker) that has them
    /// all.
    ///
    /// # Errors
    /// The first thing that is wrong, with the group's name.
    pub fn new(groups: impl IntoIterator<Item = Group>, checks: &Snapshot) -> Result<Self, GroupError> {
        let known: BTreeSet<&str> = checks.components.iter().map(|component| &*component.name).collect();
        let mut all = BTreeMap::new();
        for group in groups {
            verify(&group, &known)?;
            if let Some(first) = all.insert(group.name.clone(), group) {
                return Err(GroupError::DuplicateName(first.name));
            }
        }
        Ok(Self(all))
    }

    /// The group of this name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Group> {
        self.0.get(name)
    }

    /// All of them, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Group> {
        self.0.values()
    }
}

fn verify(group: &Group, known: &BTreeSet<&str>) -> Result<(), GroupError> {
    let name = || group.name.clone();
    if !crate::check::is_name(&group.name) {
        return Err(GroupError::BadName(name()));
    }
    if group.members.is_empty() {
        return Err(GroupError::Empty(name()));
    }
    if let Some(check) = group.members.iter().find(|member| !known.contains(member.as_str())) {
        let known = known.iter().copied().collect::<Vec<_>>().join(", ");
        return Err(GroupError::UnknownCheck { group: name(), check: check.clone(), known });
    }
    let members = group.members.len();
    if let Rule::AtLeast(asked) = group.rule
        && !(1..=members).contains(&(asked as usize))
    {
        return Err(GroupError::Unreachable { group: name(), asked, members });
    }
    match group.codes.values().find(|code| !(200..600).contains(*code) || [204, 205, 304].contains(*code)) {
        Some(&code) => Err(GroupError::BadCode { group: name(), code }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
