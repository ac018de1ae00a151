//! `receivers:` and `egress:`: who is told, and which addresses may be spoken to. What each kind takes is read by the
//! kind itself.

use crate::notify::egress::{Egress, Policy};
use crate::notify::receivers::Settings;
use farol_config::Map;
use farol_rules::Route;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Who is told.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Receivers {
    /// Each under its name. The peers of one that has several are receivers of their own, so that none waits for another.
    pub by_name: BTreeMap<Arc<str>, Settings>,
    /// Who is told where a route names one: itself, or its peers.
    pub peers: BTreeMap<String, Vec<Arc<str>>>,
    /// Which addresses they may have.
    pub egress: Policy,
}

/// Reads both keys of the monitor's map.
pub(super) fn read(m: &mut Map<'_>) -> Receivers {
    let policy = m.section("egress", Policy::read);
    let egress = Egress::new(policy.clone());
    let read = m.entries("receivers", |_, m| Settings::read(m, &egress));
    let mut receivers = Receivers { egress: policy, ..Receivers::default() };
    for (name, settings) in read.into_iter().filter_map(|(name, settings)| Some((name, settings?))) {
        let all = settings.peers(&name);
        receivers.peers.insert(name, all.iter().map(|(name, _)| Arc::clone(name)).collect());
        receivers.by_name.extend(all);
    }
    receivers
}

impl Receivers {
    /// Leads each route that names one to all of its peers.
    pub(super) fn lead(&self, route: &mut Route) {
        let peers = route.receiver.as_deref().and_then(|name| self.peers.get(name));
        if let Some((first, others)) = peers.and_then(|peers| peers.split_first()) {
            route.receiver = Some(Arc::clone(first));
            route.peers = others.to_vec();
        }
        route.routes.iter_mut().for_each(|route| self.lead(route));
    }
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

    #[test]
    fn each_peer_of_an_alertmanager_is_a_receiver_and_a_route_to_it_leads_to_all() {
        let urls = "http://am-0:9093, http://am-1, http://am-0:9093/b, \"http://[::1]:9093\"";
        let receivers = read_text(&format!(
            "egress: {{private: true}}\nreceivers: {{am: {{alertmanager: {{urls: [{urls}]}}}}, log-too: {{log: {{}}}}}}"
        ))
        .unwrap();
        let names: Vec<&str> = receivers.by_name.keys().map(|name| &**name).collect();
        assert_eq!(names, ["am@[::1]:9093", "am@am-0:9093", "am@am-0:9093+2", "am@am-1", "log-too"]);
        let child = Route { receiver: Some("log-too".into()), ..Route::default() };
        let mut route = Route { receiver: Some("am".into()), routes: vec![child], ..Route::default() };
        receivers.lead(&mut route);
        assert_eq!(route.receiver.as_deref(), Some("am@am-0:9093"));
        let others: Vec<&str> = route.peers.iter().map(|name| &**name).collect();
        assert_eq!(others, ["am@am-1", "am@am-0:9093+2", "am@[::1]:9093"]);
        assert_eq!((route.routes[0].receiver.as_deref(), route.routes[0].peers.len()), (Some("log-too"), 0));
    }

    #[test]
    fn each_person_of_a_mail_is_a_receiver_and_a_route_to_it_leads_to_all() {
        let receivers = read_text(
            "receivers: {mail: {email: {server: \"mail.test:587\", from: f@f.test, to: [ops@f.test, Bob <a/b@f.test>, ops@f.test]}}, log-too: {log: {}}}",
        )
        .unwrap();
        let names: Vec<&str> = receivers.by_name.keys().map(|name| &**name).collect();
        assert_eq!(names, ["log-too", "mail@a%2Fb@f.test", "mail@ops@f.test"]);
        let child = Route { receiver: Some("log-too".into()), ..Route::default() };
        let mut route = Route { receiver: Some("mail".into()), routes: vec![child], ..Route::default() };
        receivers.lead(&mut route);
        assert_eq!(route.receiver.as_deref(), Some("mail@a%2Fb@f.test"));
        assert_eq!(route.peers, [Arc::from("mail@ops@f.test")]);
        assert_eq!((route.routes[0].receiver.as_deref(), route.routes[0].peers.len()), (Some("log-too"), 0));
    }
}
