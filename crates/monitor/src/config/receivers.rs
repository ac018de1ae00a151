//! `receivers:` and `egress:`: who is told, and which addresses may be spoken to. What each kind takes is read by the
//! kind itself.

use crate::notify::egress::{Egress, Policy};
use crate::notify::receivers::Settings;
use farol_config::Map;
use farol_rules::{Route, Waits};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

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

/// What is wrong with how often these receivers are reminded by these routes, which name them as they are written: one
/// that takes an alert as over when it hears nothing must be reminded twice before.
pub(super) fn check_reminders(m: &mut Map<'_>, receivers: &Receivers, route: &Route) {
    let mut longest = BTreeMap::new();
    reminders(route, None, Waits::default().repeat_interval_ms, "route", &mut longest);
    for (name, (repeat_ms, path)) in longest {
        let first = receivers.peers.get(&*name).and_then(|peers| peers.first());
        let belief = first.and_then(|first| receivers.by_name.get(first)?.belief());
        let Some((kind, key, lasts)) = belief else { continue };
        let (repeat, least) = (Duration::from_millis(repeat_ms), Duration::from_millis(repeat_ms * 2));
        if lasts >= least {
            continue;
        }
        let message = format!(
            "is {}, and must be twice the longest `repeat_interval` of the routes to it ({} of `{path}`), or alerts \
             end there while they fire; write {} or more, or repeat more often",
            written(lasts),
            written(repeat),
            written(least)
        );
        within(m, &["receivers", &name, kind], |m| m.problem(key, message));
    }
}

/// The longest pause between two reminders of each receiver, and the route that makes it.
fn reminders(
    route: &Route,
    receiver: Option<&Arc<str>>,
    repeat_ms: u64,
    path: &str,
    longest: &mut BTreeMap<Arc<str>, (u64, String)>,
) {
    let receiver = route.receiver.as_ref().or(receiver);
    let repeat_ms = route.waits.repeat_interval_ms.unwrap_or(repeat_ms);
    if let Some(receiver) = receiver {
        let known = longest.entry(Arc::clone(receiver)).or_default();
        if repeat_ms > known.0 {
            *known = (repeat_ms, path.to_owned());
        }
    }
    for (i, child) in route.routes.iter().enumerate() {
        reminders(child, receiver, repeat_ms, &format!("{path}.routes[{i}]"), longest);
    }
}

/// A duration as it may be written.
fn written(duration: Duration) -> String {
    let ms = duration.as_millis();
    let units = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)];
    let fits = units.into_iter().find(|(_, unit)| ms.is_multiple_of(*unit));
    fits.map_or_else(|| format!("{ms}ms"), |(name, unit)| format!("{}{name}", ms / unit))
}

/// Goes to a map that was read already.
fn within(m: &mut Map<'_>, path: &[&str], f: impl FnOnce(&mut Map<'_>)) {
    let Some((key, rest)) = path.split_first() else { return f(m) };
    let mut f = Some(f);
    m.map(key, |m| {
        m.keys().iter().for_each(|key| m.ignore(key));
        if let Some(f) = f.take() {
            within(m, rest, f);
        }
    });
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

    #[test]
    fn many_people_are_told_by_a_list() {
        let read = |people: usize| {
            let to: Vec<String> = (0..people).map(|n| format!("p{n}@f.test")).collect();
            let to = to.join(", ");
            read_text(&format!(
                "receivers: {{mail: {{email: {{server: \"mail.test:587\", from: f@f.test, to: [{to}]}}}}}}"
            ))
        };
        assert_eq!(read(10).unwrap().by_name.len(), 10);
        let error = read(11).unwrap_err();
        assert!(
            error.contains("names 11 addresses; name 1 to 10, and for more people the address of a list"),
            "{error}"
        );
    }

    #[test]
    fn an_alertmanager_believes_twice_as_long_as_a_route_to_it_is_silent() {
        let problems = |valid: &str, routes: &str| {
            let text = format!(
                "receivers:\n  log-too: {{log: {}}}\n  am:\n    alertmanager:\n      urls: [\"https://am-0.test\", \
                 \"https://am-1.test\"]\n{valid}route:\n  receiver: log-too\n{routes}",
                "{}"
            );
            let tree = Sources::new().text("monitor.yaml", &text).load().unwrap();
            let read = tree.read(super::super::Config::read);
            read.err().map(|problems| problems.to_string()).unwrap_or_default()
        };
        let child = |more: &str| format!("  routes:\n    - {{match: {{a: b}}, receiver: am{more}}}\n");
        let days = |days: u32| format!("      valid_for: {days}d\n");
        assert_eq!(problems("", &child("")), "", "the default is long enough for the default");
        assert_eq!(problems(&days(2), &child(", repeat_interval: 1d")), "");
        assert_eq!(problems(&days(62), &child(", repeat_interval: 31d")), "");
        assert_eq!(problems(&days(1), "  repeat_interval: 31d\n"), "", "it leads to another one");
        let long = "  repeat_interval: 5d\n".to_owned();
        let deep = "  routes:\n    - {match: {a: b}, receiver: am, repeat_interval: 1h, routes: [{match: {c: d}, \
                    repeat_interval: 30h}]}\n";
        for (valid, routes, expected) in [
            (
                &*days(2),
                &*child(", repeat_interval: 25h"),
                "monitor.yaml:6: receivers.am.alertmanager.valid_for: is 2d",
            ),
            (&*days(2), &*(long.clone() + &child("")), "(5d of `route.routes[0]`)"),
            ("", &*(long + &child("")), "receivers.am.alertmanager.valid_for: is 7d"),
            (
                &*days(1),
                deep,
                "(30h of `route.routes[0].routes[0]`), or alerts end there while they fire; write 60h or",
            ),
        ] {
            let found = problems(valid, routes);
            assert!(found.contains(expected) && found.lines().count() == 1, "{expected}: {found}");
        }
    }
}
