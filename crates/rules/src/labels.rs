//! A set of labels that tells one thing apart from all others. Cheap to clone and to compare.

use serde::de::Deserializer;
use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// Labels by name, in the order of their names; each name once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Labels(Arc<[(Arc<str>, Arc<str>)]>);

impl Default for Labels {
    fn default() -> Self {
        Self(Arc::from([]))
    }
}

impl Labels {
    /// The value of a label.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Arc<str>> {
        let at = self.0.binary_search_by(|(known, _)| (**known).cmp(name)).ok()?;
        Some(&self.0[at].1)
    }

    /// Every name and value, in the order of names.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Arc<str>, &Arc<str>)> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Whether they are one and the same in memory: then they are equal, too.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Those of these names; one that is missing stays missing.
    #[must_use]
    pub fn only<N: AsRef<str>>(&self, names: &[N]) -> Self {
        self.0.iter().filter(|(name, _)| names.iter().any(|n| n.as_ref() == &**name)).cloned().collect()
    }

    /// Those of these names, if every one of them is there.
    #[must_use]
    pub fn all_of<N: AsRef<str>>(&self, names: &[N]) -> Option<Self> {
        let only = self.only(names);
        names.iter().all(|name| only.get(name.as_ref()).is_some()).then_some(only)
    }

    /// These with others: where both have a name, the other's value counts.
    #[must_use]
    pub fn with<'a>(&self, others: impl IntoIterator<Item = (&'a Arc<str>, &'a Arc<str>)>) -> Self {
        let others = others.into_iter().map(|(name, value)| (Arc::clone(name), Arc::clone(value)));
        self.0.iter().cloned().chain(others).collect()
    }
}

impl FromIterator<(Arc<str>, Arc<str>)> for Labels {
    /// Of a name that comes twice the last value counts.
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Arc<str>)>>(labels: I) -> Self {
        let by_name: BTreeMap<Arc<str>, Arc<str>> = labels.into_iter().collect();
        Self(by_name.into_iter().collect())
    }
}

impl<const N: usize> From<[(&str, &str); N]> for Labels {
    fn from(labels: [(&str, &str); N]) -> Self {
        labels.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))).collect()
    }
}

impl fmt::Display for Labels {
    /// As Prometheus writes them: `{agent="a",service="b"}`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (i, (name, value)) in self.iter().enumerate() {
            write!(f, "{}{name}={value:?}", if i > 0 { "," } else { "" })?;
        }
        f.write_str("}")
    }
}

impl Serialize for Labels {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, value) in self.iter() {
            map.serialize_entry(&**name, &**value)?;
        }
        map.end()
    }
}

impl<'de> Deserialize<'de> for Labels {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(map.into_iter().map(|(name, value)| (Arc::from(name), Arc::from(value))).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_label_is_never_equal_to_anything() {
        let labels = Labels::from([("service", "pay"), ("agent", "a")]);
        assert_eq!(labels.to_string(), r#"{agent="a",service="pay"}"#);
        assert_eq!(labels.all_of(&["agent"]), Some(Labels::from([("agent", "a")])));
        assert_eq!(labels.all_of(&["agent", "node"]), None);
        assert_eq!(labels.only(&["agent", "node"]), Labels::from([("agent", "a")]));
    }

    #[test]
    fn labels_read_back_as_they_were_written() {
        let labels = Labels::from([("b", "x\n\"y\""), ("a", "")]);
        let text = serde_json::to_string(&labels).unwrap();
        assert_eq!(serde_json::from_str::<Labels>(&text).unwrap(), labels);
        let more = labels.with(Labels::from([("a", "z"), ("c", "1")]).iter());
        assert_eq!(more, Labels::from([("a", "z"), ("b", "x\n\"y\""), ("c", "1")]));
    }
}
