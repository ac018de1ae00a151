//! `receivers:` and `egress:`: who is told, and which addresses may be spoken to. What each kind takes is read by the
//! kind itself.

use crate::notify::egress::{Egress, Policy};
use crate::notify::receivers::Settings;
use farol_config::Map;
use std::collections::BTreeMap;

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receivers {
    /// Each under its name, which routes use.
    pub by_name: BTreeMap<String, Settings>,
    /// Which addresses they may have.
    pub egress: Policy,
}

/// Reads both keys of the monitor's map.
pub(super) fn read(m: &mut Map<'_>) -> Receivers {
    let policy = m.section("egress", Policy::read);
    let egress = Egress::new(policy.clone());
    let read = m.entries("receivers", |_, m| Settings::read(m, &egress));
    let by_name = read.into_iter().filter_map(|(name, settings)| Some((name, settings?))).collect();
    Receivers { by_name, egress: policy }
}

#[cfg(test)]
mod tests {
    use super::*;
    use farol_config::Sources;

    fn read_text(text: &str) -> Result<Receivers, String> {
        let tree = Sources::new().text("monitor.yaml", text).load().map_err(|p| p.to_string())?;
        tree.read(read).map_err(|p| p.to_string())
    }

    #[test]
    fn private_receivers_need_a_word_of_the_operator() {
        let receiver = "receivers: {ops: {webhook: {url: \"http://10.0.0.7/hook\"}}}";
        let error = read_text(receiver).unwrap_err();
        assert!(error.contains("10.0.0.7 is a private address"), "{error}");
        for egress in ["{private: true}", "{allow: [\"10.0.0.0/24\"]}"] {
            let receivers = read_text(&format!("egress: {egress}\n{receiver}")).unwrap();
            assert!(receivers.by_name.contains_key("ops"), "{egress}");
        }
        let error = read_text("egress: {allow: [\"10.0.0.0/99\", \"http://x\"]}").unwrap_err();
        assert!(error.contains("egress.allow: holds what is neither a host nor a range"), "{error}");
        assert_eq!(read_text("").unwrap(), Receivers::default());
    }
}
