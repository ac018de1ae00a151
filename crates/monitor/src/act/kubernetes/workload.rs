//! What can be scaled. Decides which names are taken: no name can lead to another path of the API.

use std::fmt;

/// The kinds with a scale sub-resource that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkloadKind {
    /// `apps/v1` Deployment.
    Deployment,
    /// `apps/v1` StatefulSet.
    StatefulSet,
}

impl WorkloadKind {
    /// Its name in the API's paths.
    #[must_use]
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Deployment => "deployments",
            Self::StatefulSet => "statefulsets",
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::Deployment => "deployment",
            Self::StatefulSet => "statefulset",
        }
    }
}

/// One Deployment or StatefulSet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// Which kind.
    pub kind: WorkloadKind,
    namespace: String,
    name: String,
}

impl Workload {
    /// Reads `namespace/name`.
    ///
    /// # Errors
    /// Says what is wrong with it.
    pub fn parse(kind: WorkloadKind, text: &str) -> Result<Self, String> {
        let example = "write for instance `shop/payments`";
        let (namespace, name) = text.split_once('/').ok_or_else(|| format!("has no namespace; {example}"))?;
        if !is_label(namespace, 63, false) {
            return Err(format!("names no namespace before the `/`; {example}"));
        }
        if !is_label(name, 253, true) {
            return Err(format!("names no object after the `/`; {example}"));
        }
        Ok(Self { kind, namespace: namespace.to_owned(), name: name.to_owned() })
    }

    /// The path of its scale.
    pub(crate) fn path(&self) -> String {
        let (kind, namespace, name) = (self.kind.plural(), &self.namespace, &self.name);
        format!("/apis/apps/v1/namespaces/{namespace}/{kind}/{name}/scale")
    }
}

/// A name as Kubernetes takes it: small letters, digits and `-` between others; dots where subdomains may be.
fn is_label(text: &str, most: usize, dots: bool) -> bool {
    let good = |part: &str| {
        let inner = part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        !part.is_empty() && inner && !part.starts_with('-') && !part.ends_with('-')
    };
    text.len() <= most && (dots || !text.contains('.')) && text.split('.').all(good)
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}/{}", self.kind.word(), self.namespace, self.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_leads_anywhere_else() {
        let parse = |text: &str| Workload::parse(WorkloadKind::StatefulSet, text);
        let good = parse("shop/pay-1.eu").unwrap();
        assert_eq!(good.path(), "/apis/apps/v1/namespaces/shop/statefulsets/pay-1.eu/scale");
        assert_eq!(good.to_string(), "statefulset shop/pay-1.eu");
        let long = format!("shop/{}", "a".repeat(254));
        for text in [
            "pay",
            "shop/",
            "/pay",
            "shop/../x",
            "shop/..",
            "a.b/c",
            "shop/Pay",
            "shop/p?x",
            "shop/p%2f",
            "s/-p",
            "shop/p#",
            "shop/a/b",
            "shop/pay ",
            &long,
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
