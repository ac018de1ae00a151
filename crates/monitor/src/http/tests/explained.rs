//! Why something is alerted or not, breakers, and what is counted.

use super::super::scene::{Scene, series};
use super::alerts::{firing, refused, scene, signed, until};
use crate::act::{Action, BreakerPolicy, Policy, Settings, What};
use crate::alerting::rules_moment;
use axum::http::{Method, StatusCode};
use farol_health::Status::{Healthy, Starting, Unhealthy, Unknown};
use farol_wire::SeriesType;
use serde_json::{Value, json};

fn text(why: &Value) -> String {
    let lines = why["text"].as_array().unwrap();
    lines.iter().map(|line| line.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

#[tokio::test]
async fn why_a_component_is_alerted_or_not_is_said_rule_by_rule() {
    let scene = scene().await;
    let why = scene.get("/api/v1/why/component/a/payments/database").await.json();
    let verdicts: Vec<_> = why["rules"]
        .as_array()
        .unwrap()
        .iter()
        .map(|rule| (rule["rule"].as_str().unwrap(), rule["verdict"].as_str().unwrap()))
        .collect();
    assert_eq!(verdicts, [("database_down", "firing"), ("database_slow", "not_matched")], "{why}");
    let no = json!([{"label": "cluster", "pattern": "us", "is": "eu"}]);
    assert_eq!(why["rules"][1]["unmatched"], no);
    assert_eq!(why["rules"][0]["routes"][0]["path"], "route");
    let words = text(&why);
    for line in [
        "Component database of service payments on agent a",
        "fires, critical, since",
        "It is unhealthy (database is unhealthy); bad is: critical unhealthy.",
        "It looks only where `cluster` is `us`; here it is `eu`.",
        "It goes to `log` by `route`",
    ] {
        assert!(words.contains(line), "{line}:\n{words}");
    }
    let why = scene.get("/api/v1/why/component/c/search/index?rule=index_down").await.json();
    assert_eq!(
        (&why["rules"][0]["verdict"], &why["rules"][0]["for_ms"]),
        (&json!("pending"), &json!(3_600_000))
    );
    assert!(text(&why).contains("of 1h"), "{}", text(&why));
    let why = scene.get("/api/v1/why/component/c/search/database?rule=database_down").await.json();
    assert_eq!(why["rules"][0]["verdict"], "well");
    let agent = scene.app.fleet.agent("c").unwrap();
    agent.live.lock().components[1].stale = true;
    let why = scene.get("/api/v1/why/component/c/search/database?rule=database_down").await.json();
    assert_eq!(why["rules"][0]["verdict"], "no_evidence", "{why}");
}

#[tokio::test]
async fn what_nothing_is_known_of_is_not_said_to_be_well() {
    let scene = Scene::new().await;
    scene.rules(
        "rules:\n  - {name: part, component: \"*\", status: [unhealthy], severity: critical}\n  \
         - {name: whole, service: \"*\", status: [unhealthy], severity: critical}\n",
    );
    for (agent, status) in [("a", Unknown), ("b", Starting)] {
        let service = format!("service-{agent}");
        scene.agent(agent, &[(&service, "database", status)]);
        for path in [format!("component/{agent}/{service}/database"), format!("service/{service}")] {
            let why = scene.get(&format!("/api/v1/why/{path}")).await.json();
            let verdicts: Vec<_> =
                why["rules"].as_array().unwrap().iter().map(|rule| &rule["verdict"]).collect();
            assert!(!verdicts.is_empty() && verdicts.iter().all(|it| **it == "no_evidence"), "{path}: {why}");
        }
    }
    scene.agent("c", &[("service-c", "database", Healthy)]);
    let why = scene.get("/api/v1/why/service/service-c").await.json();
    assert_eq!(why["rules"][0]["verdict"], "well", "{why}");
}

#[tokio::test]
async fn why_an_alert_is_quiet_names_who_holds_it_and_what_became_of_telling() {
    let scene = scene().await;
    let id = firing(&scene).await["id"].as_str().unwrap().to_owned();
    let wanted = signed(json!({"match": {"service": "payments"}, "lasts": "2h"}));
    let silence = scene.tell(Method::POST, "/api/v1/silences", &wanted).await.json();
    let silence = silence["id"].as_str().unwrap();
    scene.tell(Method::POST, &format!("/api/v1/alerts/{id}/acknowledge"), &signed(json!({}))).await;
    let path = format!("/api/v1/why/alert/{id}");
    let why = until(&scene, &path, |why| why["deliveries"] != json!([])).await;
    assert_eq!(why["deliveries"][0]["outcome"], "dead");
    assert_eq!((&why["alert"]["id"], why["rules"].as_array().unwrap().len()), (&json!(id), 2));
    assert_eq!(why["rules"][0]["muted"]["by"], format!("silence {silence}"));
    assert_eq!(why["rules"][0]["acknowledged_by"], "ann");
    let words = text(&why);
    for line in [
        "2 elements.".to_owned(),
        "ann takes care of it: new disks.".to_owned(),
        format!("It is muted by silence {silence} until "),
        ". ann: new disks".to_owned(),
        "to `log`, attempt 0: dead (".to_owned(),
        "`log` was not told: 1 notice of it is dead since ".to_owned(),
    ] {
        assert!(words.contains(&line), "{line}:\n{words}");
    }
    assert!(!words.contains("was told of it"), "nobody took it:\n{words}");
    assert_eq!((&why["waiting"], words.matches("attempt 0: dead").count()), (&json!([]), 1), "{words}");
}

#[tokio::test]
async fn why_an_agent_a_service_or_a_receiver() {
    let mut scene = Scene::new().await;
    scene.rules(
        "rules:\n  - {name: cpu, metric: cpu_percent, critical: \"> 85\"}\n  - {name: lost, agent: lost, severity: critical}\n  - {name: down, service: payments, status: [unhealthy], severity: critical}\n",
    );
    let agent = scene.agent("a", &[("payments", "database", Unhealthy)]);
    let cpu = series("cpu_percent", SeriesType::Gauge, &[("core", "0")]);
    scene.samples(&agent, &[(cpu, 91.0)]);
    scene.write();
    {
        let (now, rules) = (scene.app.clock.now(), scene.app.fleet.rules().clone());
        let live = &mut *agent.live.lock();
        let ticked = (now.run_ms, now.wall_ms);
        live.watch.read(&rules, &live.rule_labels, &live.samples, 0, ticked, 10_000);
    }
    let why = scene.get("/api/v1/why/agent/a").await.json();
    let found = |rule: &str| {
        let rules = why["rules"].as_array().unwrap();
        rules.iter().find(|r| r["rule"] == rule).unwrap_or_else(|| panic!("{rule}: {why}"))
    };
    assert_eq!((&found("cpu")["value"], &found("cpu")["bad"]), (&json!(91.0), &json!(["critical > 85"])));
    assert_eq!((&found("lost")["verdict"], &found("lost")["status"]), (&json!("well"), &json!("here")));
    let why = scene.get("/api/v1/why/service/payments").await.json();
    assert_eq!(
        (&why["rules"][0]["rule"], &why["rules"][0]["verdict"]),
        (&json!("down"), &json!("firing")),
        "{why}"
    );
    for (path, code) in [
        ("agent/nobody", "unknown_agent"),
        ("service/nothing", "unknown_service"),
        ("component/a/payments/cache", "unknown_component"),
        ("receiver/nobody", "unknown_receiver"),
        ("service/payments?rule=none", "unknown_rule"),
    ] {
        let reply = scene.get(&format!("/api/v1/why/{path}")).await;
        assert_eq!((reply.status, &*reply.code()), (StatusCode::NOT_FOUND, code), "{path}");
    }
    let log = std::collections::BTreeMap::from([("log".into(), crate::notify::receivers::to_log())]);
    scene.app.alerting.dispatcher().set_receivers(log);
    let why = scene.get("/api/v1/why/receiver/log").await.json();
    assert_eq!((&why["receiver"], &why["sent"]), (&json!("log"), &json!(0)), "{why}");
    let cpu = scene.get("/api/v1/why/agent/a?rule=cpu").await.json();
    assert_eq!(cpu["rules"].as_array().unwrap().len(), 1);
    assert_eq!(cpu["rules"][0]["samples"].as_array().map(Vec::len), Some(0), "{cpu}");
}

#[tokio::test]
async fn why_finds_the_last_sample_of_what_a_check_measures_whatever_the_agents_scope() {
    let scene = Scene::new().await;
    scene.rules("rules: [{name: pool, metric: pool, critical: \"> 85\"}]\n");
    let agent = scene.scoped_agent("a", "eu", &[("payments", "database", Unhealthy)]);
    let of = |name| series("pool", SeriesType::Gauge, &[("service", "payments"), ("component", name)]);
    scene.samples(&agent, &[(of("cache"), 90.0), (of("database"), 91.0)]);
    {
        let (now, rules) = (scene.app.clock.now(), scene.app.fleet.rules().clone());
        let live = &mut *agent.live.lock();
        let ticked = (now.run_ms, now.wall_ms);
        live.watch.read(&rules, &live.rule_labels, &live.samples, 0, ticked, 10_000);
    }
    let why = scene.get("/api/v1/why/agent/a").await.json();
    let pools = why["rules"].as_array().unwrap().iter().filter(|r| r["rule"] == "pool");
    let found: Vec<_> = pools.map(|r| (&r["labels"]["component"], &r["value"])).collect();
    assert_eq!(found, [(&json!("cache"), &json!(90.0)), (&json!("database"), &json!(91.0))], "{why}");
}

#[tokio::test]
async fn metrics_count_alerts_rules_and_notices() {
    let scene = scene().await;
    until(&scene, "/api/v1/notifications?state=dead", |list| list["items"] != json!([])).await;
    let log = std::collections::BTreeMap::from([("log".into(), crate::notify::receivers::to_log())]);
    scene.app.alerting.dispatcher().set_receivers(log);
    let page = scene.get("/metrics").await.body;
    for line in [
        "farol_alerts{state=\"firing\",severity=\"critical\"} 1",
        "farol_alerts{state=\"pending\",severity=\"warning\"} 1",
        "farol_alerts{state=\"firing\",severity=\"warning\"} 0",
        "farol_alerts_fired_total 1",
        "farol_rules 3",
        "farol_rule_elements 3",
        "farol_rule_elements_over_total 0",
        "farol_notifications_total{receiver=\"log\",outcome=\"dead\"} ",
        "farol_notifications_due{receiver=\"log\"} 0",
    ] {
        assert!(page.lines().any(|found| found.starts_with(line)), "{line}:\n{page}");
    }
}

#[tokio::test]
async fn a_breaker_is_opened_and_closed_by_who_says_why() {
    let mut scene = Scene::new().await;
    let what = What::Breaker {
        name: "pay".into(),
        policy: BreakerPolicy { open_for_ms: 30_000, half_open_probes: 1 },
    };
    let policy = Policy { cool_down_ms: 0, per_hour: 1, dry_run: false };
    let actions = [("cut".into(), Action { what, policy, verify: None })].into();
    scene.app.alerting.actions().replace(Settings { actions, ..Settings::default() });
    scene.write();
    let list = scene.get("/api/v1/breakers").await.json();
    assert_eq!((&list["items"][0]["name"], &list["items"][0]["state"]), (&json!("pay"), &json!("closed")));
    let path = "/api/v1/breakers/pay/open";
    let open = scene.tell(Method::POST, path, &signed(json!({"lasts": "10m"}))).await.json();
    assert_eq!((&open["state"], open["until"].is_string()), (&json!("open"), true), "{open}");
    assert_eq!(open["because"], json!({"cause": "person", "author": "ann", "reason": "new disks"}));
    let closed = scene.tell(Method::POST, "/api/v1/breakers/pay/close", &signed(json!({}))).await.json();
    assert_eq!((&closed["state"], &closed["until"]), (&json!("closed"), &json!(null)));
    let nobody = scene.tell(Method::POST, path, &json!({"author": " ", "reason": "x"})).await;
    refused(&nobody, StatusCode::UNPROCESSABLE_ENTITY, "refused");
    let unknown = scene.tell(Method::POST, "/api/v1/breakers/x/open", &signed(json!({}))).await;
    refused(&unknown, StatusCode::NOT_FOUND, "unknown_breaker");
    assert_eq!(scene.get("/api/v1/actions").await.json(), json!({"items": [], "next": null}));
}

#[tokio::test]
async fn a_half_open_breaker_lets_a_few_through_and_goes_by_how_they_fare() {
    let mut scene = Scene::new().await;
    let policy = BreakerPolicy { open_for_ms: 60_000, half_open_probes: 1 };
    let what = What::Breaker { name: "pay".into(), policy };
    let policy = Policy { cool_down_ms: 0, per_hour: 1, dry_run: false };
    let actions = [("cut".into(), Action { what, policy, verify: None })].into();
    scene.app.alerting.actions().replace(Settings { actions, ..Settings::default() });
    scene.write();
    let admit = "/api/v1/breakers/pay/admit";
    let allowed = scene.tell(Method::POST, admit, &json!({})).await.json();
    assert_eq!(allowed, json!({"admission": "allowed", "retry_after_ms": null}));
    let (breakers, then) = (scene.app.alerting.actions().breakers(), rules_moment(scene.app.clock.now()));
    let alert = farol_rules::AlertId { rule: "slow".into(), labels: Default::default() };
    let past = farol_rules::Moment { run_ms: then.run_ms - 60_000, ..then };
    breakers.fire("pay", &alert, past).unwrap();
    breakers.step(then);
    let probe = scene.tell(Method::POST, admit, &json!({})).await.json();
    assert_eq!(probe["admission"], "probe", "{probe}");
    let report = "/api/v1/breakers/pay/report";
    let failed = scene.tell(Method::POST, report, &json!({"success": false})).await.json();
    assert_eq!((&failed["state"], &failed["because"]["cause"]), (&json!("open"), &json!("probes")));
    scene.tell(Method::POST, "/api/v1/breakers/pay/open", &signed(json!({}))).await;
    let denied = scene.tell(Method::POST, admit, &json!({})).await.json();
    assert_eq!(denied, json!({"admission": "denied", "retry_after_ms": null}));
    let unknown = scene.tell(Method::POST, "/api/v1/breakers/x/admit", &json!({})).await;
    refused(&unknown, StatusCode::NOT_FOUND, "unknown_breaker");
    let odd = scene.tell(Method::POST, report, &json!({"success": "yes"})).await;
    refused(&odd, StatusCode::BAD_REQUEST, "bad_body");
}
