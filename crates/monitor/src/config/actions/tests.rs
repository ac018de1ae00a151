//! What is taken, what is refused and what is said.

use super::*;
use farol_config::Sources;

fn read_with(text: &str, variables: &[(&str, &str)]) -> Result<Settings, String> {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let sources = crate::config::database_variables(Sources::new().text("monitor.yaml", text), "");
    let tree = sources.env("FAROL_MONITOR", None, variables).load().map_err(|p| p.to_string())?;
    let egress = Egress::new(Default::default());
    tree.read(|m| read(m, &egress).0).map_err(|p| p.to_string())
}

const POD: [(&str, &str); 2] = [("KUBERNETES_SERVICE_HOST", "fd00::1"), ("KUBERNETES_SERVICE_PORT", "443")];

#[test]
fn a_whole_configuration_is_read() {
    let settings = read_with(
        "actions:\n  \
           scale_up: {scale: {deployment: shop/payments, by: +2, min: 2, max: 10}, verify: {after: 2m}}\n  \
           half: {scale: {statefulset: shop/db, by: -50%, min: 1, max: 3}, cool_down: 1m, per_hour: 9, dry_run: true}\n  \
           trip: {circuit_breaker: {name: payments}}\n  \
           hook: {scale: {webhook: {url: 'https://s.test/x', secret: 0123456789abcdef}, min: 1, max: 5}}\n\
         blast_radius: {share: 50%}\n\
         breakers: {redis: 'redis://:pw@r.test'}\n",
        &POD,
    )
    .unwrap();
    let up = &settings.actions["scale_up"];
    assert_eq!(up.policy, Policy { cool_down_ms: 300_000, per_hour: 4, dry_run: false });
    assert_eq!(up.verify, Some(Verify { after_ms: 120_000, roll_back: true }));
    assert_eq!(up.what.target(), "deployment shop/payments");
    assert_eq!(settings.actions["half"].policy, Policy { cool_down_ms: 60_000, per_hour: 9, dry_run: true });
    let trip = &settings.actions["trip"];
    assert_eq!(trip.policy.cool_down_ms, 0);
    assert_eq!(settings.breakers().count(), 1);
    assert!(matches!(settings.actions["hook"].what, What::Webhook { by: None, .. }));
    assert_eq!(settings.radius, BlastRadius { share: 50.0, ..BlastRadius::default() });
    let access = settings.kubernetes.clone().unwrap();
    assert_eq!((&*access.url, access.token_file), ("https://[fd00::1]:443", Some(TOKEN_FILE.into())));
    assert!(settings.mirror.is_some() && !format!("{settings:?}").contains("0123456789abcdef"));
}

#[test]
fn nothing_written_is_no_action_and_the_documented_radius() {
    let settings = read_with("", &POD).unwrap();
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.radius, BlastRadius { share: 30.0, at_least: 5, within_ms: 60_000 });
}

#[test]
fn a_token_of_the_pod_goes_to_no_other_api_server() {
    let text = "actions: {up: {scale: {deployment: a/b, by: +1, min: 1, max: 2}}}\n\
                kubernetes: {url: 'https://elsewhere.test:6443'}\n";
    let access = read_with(text, &POD).unwrap().kubernetes.unwrap();
    assert_eq!((access.token_file, access.ca_file), (None, None));
}

#[test]
fn what_is_wrong_is_told_with_its_key() {
    let scale =
        |rest: &str| format!("actions: {{up: {{scale: {{{rest}}}}}}}\nkubernetes: {{url: 'https://k.test'}}");
    let good = "deployment: a/b, by: +1, min: 1, max: 2";
    assert!(read_with(&scale(good), &[]).is_ok());
    let webhook = "min: 1, max: 2, webhook: {url: 'https://x.test', secret: short}";
    for (text, expected) in [
        (
            scale("deployment: payments, by: +1, min: 1, max: 2"),
            "actions.up.scale.deployment: has no namespace",
        ),
        (
            scale("deployment: a/b, by: 2, min: 1, max: 2"),
            "actions.up.scale.by: `2` is not a change (it has no sign)",
        ),
        (scale("deployment: a/b, min: 1, max: 2"), "actions.up.scale.by: is required"),
        (scale("deployment: a/b, by: +1"), "actions.up.scale.max: is required"),
        (scale("deployment: a/b, by: +1, min: 0, max: 2"), "actions.up.scale.min: `0` is out of range"),
        (scale("deployment: a/b, by: +1, min: 3, max: 2"), "actions.up.scale.min: is more than `max`"),
        (scale("deployment: a/b, statefulset: a/b, by: +1, min: 1, max: 2"), "write one of `deployment`"),
        (scale("by: +1, min: 1, max: 2"), "write one of `deployment`"),
        (scale(webhook), "actions.up.scale.webhook.secret: is shorter than 16"),
        (scale(&format!("{good}, intervall: 3")), "unknown key `intervall`"),
        ("actions: {up: {}}".into(), "actions.up: does one thing"),
        ("actions: {t: {circuit_breaker: {name: a}, verify: {}}}".into(), "actions.t.verify: is for `scale`"),
        (
            "actions: {a: {circuit_breaker: {name: x}}, b: {circuit_breaker: {name: x}}}".into(),
            "actions.b.circuit_breaker.name: `x` is another action's breaker",
        ),
        (format!("actions: {{up: {{scale: {{{good}}}}}}}"), "kubernetes: has no `url`"),
        ("kubernetes: {url: 'http://10.0.0.1'}".into(), "kubernetes.url: would send the token in plain text"),
        ("kubernetes: {url: 'https://k.test/api'}".into(), "kubernetes.url: holds more than"),
        ("breakers: {redis: 'http://x'}".into(), "breakers.redis: is not a URL of `redis://` or `rediss://`"),
        ("blast_radius: {share: 0%}".into(), "blast_radius.share: "),
    ] {
        let said = read_with(&text, &[]).unwrap_err();
        assert!(said.contains(expected), "{text}\nsaid {said}");
        assert_eq!(
            said.lines().count(),
            if expected.ends_with("max: is required") { 2 } else { 1 },
            "{said}"
        );
    }
}

#[test]
fn a_webhook_at_an_address_that_nobody_may_speak_to_is_refused_where_it_is_written() {
    let action = |host: &str| {
        format!(
            "actions: {{up: {{scale: {{webhook: {{url: 'http://{host}/x', secret: 0123456789abcdef}}, min: 1, max: 2}}}}}}"
        )
    };
    let read = |host: &str, egress: crate::notify::egress::Policy| {
        let tree = Sources::new().text("monitor.yaml", &action(host)).load().unwrap();
        tree.read(|m| super::read(m, &Egress::new(egress)).0).map_err(|p| p.to_string())
    };
    let private = crate::notify::egress::Policy { private: true, ..Default::default() };
    for (host, word) in
        [("169.254.169.254", "169.254.169.254 is "), ("10.0.0.7", "10.0.0.7 is a private address")]
    {
        let found = read(host, Default::default()).unwrap_err();
        assert!(found.starts_with("monitor.yaml:1: actions.up.scale.webhook.url: "), "{found}");
        assert!(found.contains(word), "{found}");
    }
    assert!(read("10.0.0.7", private.clone()).is_ok() && read("a.test", Default::default()).is_ok());
    assert!(read("169.254.169.254", private).is_err(), "metadata is never spoken to");
}
