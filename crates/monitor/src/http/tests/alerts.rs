//! Alerts as operators see them: what fires, who takes care of it, what is silenced, and why.

use super::super::scene::{Reply, Scene, local};
use crate::fleet::Planned;
use axum::body::Body;
use axum::http::{Method, StatusCode};
use farol_health::Status::{Healthy, Unhealthy};
use serde_json::{Value, json};

const RULES: &str = r#"
rules:
  - name: database_down
    component: database
    status: [unhealthy]
    severity: critical
    labels: {team: sre}
    annotations: {summary: "{{ count }} instances of {{ labels.service }}"}
  - name: database_slow
    component: database
    match: {cluster: us}
    status: [unhealthy]
    severity: warning
  - name: index_down
    component: index
    status: [unhealthy]
    severity: warning
    for: 1h
"#;

/// Two agents whose database is down, and one whose index has been bad for less than an hour.
pub(super) async fn scene() -> Scene {
    let mut scene = Scene::new().await;
    scene.rules(RULES);
    scene.agent("a", &[("payments", "database", Unhealthy)]);
    scene.agent("b", &[("payments", "database", Unhealthy)]);
    scene.agent("c", &[("search", "index", Unhealthy), ("search", "database", Healthy)]);
    scene.write();
    scene
}

pub(super) fn signed(more: Value) -> Value {
    let mut body = json!({"author": "ann", "reason": "new disks"});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

pub(super) async fn firing(scene: &Scene) -> Value {
    let list = scene.get("/api/v1/alerts").await.json();
    assert_eq!(list["items"].as_array().unwrap().len(), 1, "{list}");
    list["items"][0].clone()
}

#[track_caller]
pub(super) fn refused(reply: &Reply, status: StatusCode, code: &str) {
    assert_eq!((reply.status, &*reply.code()), (status, code), "{}", reply.body);
}

#[tokio::test]
async fn an_alert_is_shown_whole() {
    let scene = scene().await;
    let mut alert = firing(&scene).await;
    let id = alert["id"].as_str().unwrap().to_owned();
    assert!(id.len() == 16 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(scene.get(&format!("/api/v1/alerts/{id}")).await.json(), alert);
    for key in ["id", "since", "incident"] {
        assert!(alert.as_object_mut().unwrap().remove(key).unwrap().is_string(), "{key}");
    }
    let element = &mut alert["elements"]["named"][0];
    assert!(element.as_object_mut().unwrap().remove("seen").unwrap().is_string());
    let expected = json!({
        "labels": {"agent": "a", "cluster": "eu", "component": "database", "kind": "tcp", "service": "payments"},
        "value": null, "status": "unhealthy", "reason": "connection_refused",
        "message": "database is unhealthy", "stale": false,
    });
    assert_eq!(*element, expected);
    let mut receivers = alert["receivers"].take();
    assert!(receivers[0].as_object_mut().unwrap().remove("told").unwrap().is_string(), "{receivers}");
    let group = json!({"alertname": "database_down", "service": "payments"});
    assert_eq!(receivers[0]["receiver"], "log");
    assert_eq!(receivers[0]["group"], group);
    alert["elements"].as_object_mut().unwrap().remove("named");
    let expected = json!({
        "rule": "database_down", "severity": "critical", "state": "firing",
        "labels": {"alertname": "database_down", "component": "database", "service": "payments",
            "severity": "critical", "team": "sre"},
        "ended": null, "ending": null, "elements": {"count": 2}, "held_by": [], "muted": null,
        "acknowledged": null, "holds": {"count": 0, "named": []}, "flapping": false, "stale": false,
        "annotations": {"summary": "2 instances of payments"}, "receivers": null,
    });
    assert_eq!(alert, expected);
}

#[tokio::test]
async fn a_list_of_alerts_is_filtered_and_goes_on() {
    let scene = scene().await;
    let names = async |query: &str| {
        let list = scene.get(&format!("/api/v1/alerts?{query}")).await.json();
        let items = list["items"].as_array().unwrap_or_else(|| panic!("{query}: {list}")).clone();
        items
            .iter()
            .map(|a| format!("{} {}", a["rule"].as_str().unwrap(), a["state"].as_str().unwrap()))
            .collect()
    };
    let down = "database_down firing";
    let index = "index_down pending";
    let none: [&str; 0] = [];
    for (query, expected) in [
        ("", vec![down]),
        ("state=firing", vec![down]),
        ("state=pending", vec![index]),
        ("state=ended", none.to_vec()),
        ("state=all", vec![down, index]),
        ("state=all&severity=warning", vec![index]),
        ("state=all&rule=database_down", vec![down]),
        ("state=all&match=service:~pay.*&match=team:sre", vec![down]),
        ("state=all&match=service:!payments", vec![index]),
        ("match=alertname:index_down", none.to_vec()),
    ] {
        let found: Vec<String> = names(query).await;
        assert_eq!(found, expected, "{query}");
    }
    let first = scene.get("/api/v1/alerts?state=all&limit=1").await.json();
    assert_eq!(first["items"][0]["rule"], "database_down");
    let next = first["next"].as_str().unwrap();
    let next = percent_encoding::utf8_percent_encode(next, percent_encoding::NON_ALPHANUMERIC);
    let rest = scene.get(&format!("/api/v1/alerts?state=all&limit=1&after={next}")).await.json();
    assert_eq!((&rest["items"][0]["rule"], &rest["next"]), (&json!("index_down"), &json!(null)));
    for query in ["match=service", "match=service:~(", "state=bad", "after=x", "colour=red"] {
        let reply = scene.get(&format!("/api/v1/alerts?{query}")).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn an_alert_that_ended_is_shown_a_while_with_how_it_ended() {
    let scene = scene().await;
    for agent in ["a", "b"] {
        let agent = scene.app.fleet.agent(agent).unwrap();
        scene.say(&agent, &[("payments", "database", Healthy)]);
    }
    assert_eq!(scene.get("/api/v1/alerts").await.json()["items"], json!([]));
    let ended = scene.get("/api/v1/alerts?state=ended").await.json();
    assert_eq!(ended["items"][0]["ending"], "recovered", "{ended}");
    assert!(ended["items"][0]["ended"].is_string());
    assert_eq!(ended["items"][0]["elements"]["count"], 2, "as it was when it fired");
    assert_eq!(ended["items"][0]["annotations"]["summary"], "2 instances of payments");
}

#[tokio::test]
async fn an_alert_is_found_by_the_id_of_its_messages_and_they_have_its_own() {
    let scene = scene().await;
    let id = firing(&scene).await["id"].clone();
    let known = scene.app.alerting.book().alerts().next().cloned().unwrap();
    let word = crate::alerting::word_id(&known, 7);
    let path = percent_encoding::utf8_percent_encode(&word, percent_encoding::NON_ALPHANUMERIC);
    assert_eq!(scene.get(&format!("/api/v1/alerts/{path}")).await.json()["id"], id);
    let episode = firing(&scene).await["since"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    let word = crate::alerting::word_id(&known, episode.as_millisecond());
    until(&scene, &format!("/api/v1/why/alert/{}", id.as_str().unwrap()), |why| {
        why["deliveries"] != json!([])
    })
    .await;
    let told = scene.app.alerting.dispatcher().of_alert(&word, i64::MIN).await.unwrap();
    let alert = &told[0].record.message.alerts[0];
    assert_eq!(json!(alert.alert_id), id);
    assert_eq!(alert.elements.names, ["a"], "the first to be seen, by what tells it apart");
    for none in ["database_down%237", "%23", "database_down"] {
        let reply = scene.get(&format!("/api/v1/alerts/{none}")).await;
        refused(&reply, StatusCode::NOT_FOUND, "unknown_alert");
    }
}

#[tokio::test]
async fn somebody_takes_care_of_an_alert_until_it_ends_or_they_do_no_more() {
    let scene = scene().await;
    let id = firing(&scene).await["id"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/alerts/{id}/acknowledge");
    let acknowledged = scene.tell(Method::POST, &path, &signed(json!({"lasts": "2h"}))).await.json();
    let ack = &acknowledged["acknowledged"];
    assert_eq!((&ack["by"], &ack["reason"]), (&json!("ann"), &json!("new disks")), "{acknowledged}");
    assert!(ack["until"].is_string() && ack["at"].is_string());
    assert_eq!(scene.operate(Method::DELETE, &path).await.status, StatusCode::NO_CONTENT);
    assert_eq!(firing(&scene).await["acknowledged"], json!(null));
    refused(&scene.operate(Method::DELETE, &path).await, StatusCode::NOT_FOUND, "not_acknowledged");
    let pending = scene.get("/api/v1/alerts?state=pending").await.json();
    let pending = format!("/api/v1/alerts/{}/acknowledge", pending["items"][0]["id"].as_str().unwrap());
    let reply = scene.tell(Method::POST, &pending, &signed(json!({}))).await;
    refused(&reply, StatusCode::CONFLICT, "alert_not_firing");
    for (body, status, code) in [
        (json!({"author": "ann"}), StatusCode::BAD_REQUEST, "bad_body"),
        (json!({"author": " ", "reason": "x"}), StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        (signed(json!({"colour": "red"})), StatusCode::BAD_REQUEST, "bad_body"),
        (signed(json!({"until": "2020-01-01T00:00:00Z"})), StatusCode::UNPROCESSABLE_ENTITY, "refused"),
        (signed(json!({"until": "soon"})), StatusCode::UNPROCESSABLE_ENTITY, "refused"),
    ] {
        let reply = scene.tell(Method::POST, &path, &body).await;
        assert_eq!((reply.status, &*reply.code()), (status, code), "{body}");
    }
    let unknown = scene.tell(Method::POST, "/api/v1/alerts/0/acknowledge", &signed(json!({}))).await;
    refused(&unknown, StatusCode::NOT_FOUND, "unknown_alert");
}

#[tokio::test]
async fn a_silence_mutes_what_it_matches_and_says_how_much_that_is() {
    let scene = scene().await;
    let wanted = signed(json!({"match": {"service": "payments"}, "lasts": "2h"}));
    let silence = scene.tell(Method::POST, "/api/v1/silences", &wanted).await.json();
    assert_eq!((&silence["state"], &silence["mutes"]), (&json!("active"), &json!({"whole": 1, "partly": 0})));
    let id = silence["id"].as_str().unwrap();
    assert_eq!(firing(&scene).await["muted"]["by"], format!("silence {id}"));
    let path = format!("/api/v1/silences/{id}");
    assert_eq!(scene.get(&path).await.json()["match"], json!({"service": "payments"}));
    let list = scene.get("/api/v1/silences").await.json();
    assert_eq!(list["items"][0]["id"], id);
    let unsigned = scene.operate(Method::DELETE, &format!("{path}?author=%20")).await;
    refused(&unsigned, StatusCode::UNPROCESSABLE_ENTITY, "refused");
    let ended = scene.operate(Method::DELETE, &format!("{path}?author=bob")).await;
    assert_eq!(ended.status, StatusCode::NO_CONTENT);
    let incident = firing(&scene).await["incident"].as_str().unwrap().to_owned();
    let line = format!("not muted by silence {id} any more: ended by bob");
    until(&scene, &format!("/api/v1/incidents/{incident}"), |incident| incident.to_string().contains(&line))
        .await;
    assert_eq!(firing(&scene).await["muted"], json!(null));
    refused(&scene.get(&path).await, StatusCode::NOT_FOUND, "unknown_silence");
    let partly = signed(json!({"match": {"agent": "a"}, "lasts": "2h"}));
    let silence = scene.tell(Method::POST, "/api/v1/silences", &partly).await.json();
    assert_eq!(silence["mutes"], json!({"whole": 0, "partly": 1}));
    let later = signed(json!({"match": {"agent": "a"}, "starts": "2999-01-01T00:00:00Z", "lasts": "1h"}));
    let silence = scene.tell(Method::POST, "/api/v1/silences", &later).await.json();
    assert_eq!(
        (&silence["state"], &silence["ends"]),
        (&json!("pending"), &json!("2999-01-01T01:00:00.000Z"))
    );
}

#[tokio::test]
async fn a_silence_that_makes_no_sense_is_refused_with_what_to_do() {
    let scene = scene().await;
    for (body, words) in [
        (json!({"match": {"service": "a"}}), "no end"),
        (json!({"match": {"service": "a"}, "lasts": "0s"}), "`30m`"),
        (json!({"match": {"service": "a"}, "lasts": "1h", "ends": "2999-01-01T00:00:00Z"}), "one of them"),
        (json!({"match": {"service": "a"}, "ends": "2020-01-01T00:00:00Z"}), "ends before"),
        (json!({"match": {"service": "a"}, "lasts": "99999999d"}), "`lasts` is `99999999d`"),
        (json!({"match": {"alertname": "~.*"}, "lasts": "1h"}), "every alert"),
        (json!({"match": {"severity": "~critical|warning"}, "lasts": "1h"}), "every alert"),
        (json!({"match": {}, "lasts": "1h"}), "every alert"),
        (json!({"match": {"service": "!a"}, "lasts": "1h"}), "every alert"),
        (json!({"match": {"service": "~("}, "lasts": "1h"}), "regular expression"),
    ] {
        let reply = scene.tell(Method::POST, "/api/v1/silences", &signed(body.clone())).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.body);
        assert!(reply.json()["detail"].as_str().unwrap().contains(words), "{body}: {}", reply.body);
    }
    assert_eq!(scene.get("/api/v1/silences").await.json()["items"], json!([]));
}

#[tokio::test]
async fn what_the_store_does_not_take_is_in_force_and_said_to_be_unrecorded() {
    let scene = Scene::new().await;
    let wanted = signed(json!({"match": {"service": "payments"}, "lasts": "2h"}));
    let reply = scene.tell(Method::POST, "/api/v1/silences", &wanted).await;
    refused(&reply, StatusCode::SERVICE_UNAVAILABLE, "not_recorded");
    let listed = scene.get("/api/v1/silences").await.json();
    assert_eq!(listed["items"].as_array().unwrap().len(), 1);
    assert_eq!(listed["items"][0]["id"], reply.json()["id"], "{}", reply.body);
}

#[tokio::test]
async fn a_body_is_an_object_with_each_label_once() {
    let scene = scene().await;
    let bearer = format!("Bearer {}", scene.app.token.expose());
    for (body, words) in [
        (r#" [{"service":"a"},null,null,"1h","ann","x"]"#, "an array"),
        (
            r#"{"match":{"service":"a","service":"b"},"lasts":"1h","author":"ann","reason":"x"}"#,
            "there twice",
        ),
    ] {
        let request = local(Method::POST, "/api/v1/silences").header("authorization", &bearer);
        let reply = scene.send(request.body(Body::from(body)).unwrap()).await;
        refused(&reply, StatusCode::BAD_REQUEST, "bad_body");
        assert!(reply.body.contains(words), "{}", reply.body);
    }
}

#[tokio::test]
async fn what_drains_says_which_services_it_leaves_with_too_few_instances() {
    let mut scene = Scene::new().await;
    scene.rules(RULES);
    scene.agent("a", &[("payments", "database", Healthy), ("search", "index", Healthy)]);
    scene.agent("b", &[("payments", "database", Unhealthy)]);
    scene.write();
    let wanted =
        |mode: &str| signed(json!({"name": "disks", "match": {"agent": "a"}, "lasts": "2h", "mode": mode}));
    let muted = scene.tell(Method::POST, "/api/v1/maintenance", &wanted("mute")).await.json();
    assert_eq!(muted["short"], json!(null), "{muted}");
    let drained = scene.tell(Method::POST, "/api/v1/maintenance", &wanted("drain")).await.json();
    // Nothing is left of `search`: it is in maintenance as a whole.
    assert_eq!(drained["short"], json!([{"service": "payments", "up": 0, "needed": 1}]), "{drained}");
    let now = scene.app.clock.now();
    let windows = scene.app.alerting.book().windows().to_vec();
    scene.app.fleet.plan(Planned::at(&windows, now.wall_ms), now);
    let why = scene.get("/api/v1/why/service/payments").await.json();
    let by = format!("drained by window {} (ann: disks)", drained["id"].as_str().unwrap());
    assert_eq!(why["text"][1], "It is unhealthy: 0 up, 1 needed.", "{why}");
    let said = why["text"][2].as_str().unwrap();
    assert!(said.contains("on a is") && said.contains(&by), "{said}");
}

#[tokio::test]
async fn maintenance_is_planned_once_or_again_and_again() {
    let scene = scene().await;
    let planned = |more: Value| {
        let mut body = signed(json!({"name": "disks", "match": {"agent": "a"}}));
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        body
    };
    let path = "/api/v1/maintenance";
    let now = scene.tell(Method::POST, path, &planned(json!({"lasts": "2h", "mode": "drain"}))).await.json();
    assert_eq!((&now["active"], &now["mode"], &now["recurs"]), (&json!(true), &json!("drain"), &json!(null)));
    assert_eq!(now["mutes"], json!({"whole": 0, "partly": 1}));
    let nightly = json!({"days": "mon, fri", "at": "22:00", "zone": "Europe/Berlin", "lasts": "2h"});
    let nightly = scene.tell(Method::POST, path, &planned(nightly)).await.json();
    let recurs = json!({"days": "mon, fri", "at": "22:00", "zone": "Europe/Berlin", "lasts_ms": 7_200_000});
    assert_eq!(nightly["recurs"], recurs, "{nightly}");
    assert!(nightly["from"].is_string());
    assert_eq!(scene.get(path).await.json()["items"].as_array().unwrap().len(), 2);
    for (body, words) in [
        (json!({}), "`to` or `lasts`"),
        (json!({"days": "mon", "lasts": "1h"}), "`at` is missing"),
        (json!({"days": "mon", "at": "25:00", "lasts": "1h"}), "time of day"),
        (json!({"days": "mon", "at": "22:00"}), "`lasts` is missing"),
        (json!({"days": "mon", "at": "22:00", "zone": "Mars", "lasts": "1h"}), "time zone"),
        (json!({"days": "mon", "at": "22:00", "lasts": "1h", "from": "now"}), "once, or again"),
        (json!({"lasts": "1h", "mode": "off"}), "`mute` or `drain`"),
        (json!({"lasts": "1h", "until": "now"}), "`until`"),
    ] {
        let reply = scene.tell(Method::POST, path, &planned(body.clone())).await;
        assert_eq!(reply.status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {}", reply.body);
        assert!(reply.json()["detail"].as_str().unwrap().contains(words), "{body}: {}", reply.body);
    }
    let one = format!("{path}/{}", now["id"].as_str().unwrap());
    assert_eq!(scene.operate(Method::DELETE, &one).await.status, StatusCode::NO_CONTENT);
    refused(&scene.get(&one).await, StatusCode::NOT_FOUND, "unknown_window");
    let configured = scene.operate(Method::DELETE, "/api/v1/maintenance/config:x").await;
    refused(&configured, StatusCode::CONFLICT, "configured_window");
}

#[tokio::test]
async fn rules_say_what_they_look_at_and_how_much_of_it_is_bad() {
    let scene = scene().await;
    let list = scene.get("/api/v1/rules").await.json();
    let rules = list["items"].as_array().unwrap();
    let found: Vec<_> =
        rules.iter().map(|r| (r["name"].as_str().unwrap(), &r["firing"], &r["pending"])).collect();
    let (none, one, two) = (&json!(0), &json!(1), &json!(2));
    assert_eq!(
        found,
        [("database_down", two, none), ("database_slow", none, none), ("index_down", none, one)]
    );
    let looks_at = json!({"what": "component", "name": "database", "of": null, "kind": null});
    assert_eq!(rules[0]["looks_at"], looks_at);
    assert_eq!((&rules[1]["match"], &rules[2]["for_ms"]), (&json!({"cluster": "us"}), &json!(3_600_000)));
    let after = scene.get("/api/v1/rules?limit=1&after=database_down").await.json();
    assert_eq!(
        (&after["items"][0]["name"], &after["next"]),
        (&json!("database_slow"), &json!("database_slow"))
    );
}

/// Asks until the answer is so.
pub(super) async fn until(scene: &Scene, path: &str, is: impl Fn(&Value) -> bool) -> Value {
    let asking = async {
        loop {
            let answer = scene.get(path).await.json();
            if is(&answer) {
                return answer;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(10), asking).await.expect("it becomes so")
}

#[tokio::test]
async fn an_incident_has_a_time_line_while_it_goes_on_and_when_it_is_over() {
    let scene = scene().await;
    let id = firing(&scene).await["incident"].as_str().unwrap().to_owned();
    let list = scene.get("/api/v1/incidents?open=true").await.json();
    assert_eq!((&list["items"][0]["id"], &list["items"][0]["open"]), (&json!(id), &json!(true)), "{list}");
    assert_eq!(scene.get("/api/v1/incidents?open=false").await.json()["items"], json!([]));
    let path = format!("/api/v1/incidents/{id}");
    let whole = until(&scene, &path, |whole| whole["timeline"] != json!([])).await;
    assert_eq!(whole["timeline"][0]["kind"], "fired", "{whole}");
    assert_eq!((&whole["alerts"], &whole["named"][0]["rule"]), (&json!(1), &json!("database_down")));
    for agent in ["a", "b"] {
        scene.say(&scene.app.fleet.agent(agent).unwrap(), &[("payments", "database", Healthy)]);
    }
    let over = until(&scene, "/api/v1/incidents?open=false", |list| list["items"] != json!([])).await;
    assert_eq!((&over["items"][0]["id"], &over["items"][0]["firing"]), (&json!(id), &json!(0)), "{over}");
    let whole = until(&scene, &path, |whole| whole["timeline"].as_array().unwrap().len() > 1).await;
    assert_eq!(whole["open"], false);
    let last = whole["timeline"].as_array().unwrap().last().unwrap();
    assert_eq!(last["kind"], "resolved", "{whole}");
    let early = scene.get("/api/v1/incidents?to=2020-01-01T00:00:00Z").await.json();
    assert_eq!(early["items"], json!([]));
}

#[tokio::test]
async fn notices_are_listed_by_what_became_of_them_and_a_dead_one_is_unknown_where_there_is_none() {
    let scene = scene().await;
    // Nobody has set up the log here: what is told dies at once.
    let dead = until(&scene, "/api/v1/notifications?state=dead", |list| list["items"] != json!([])).await;
    let notice = &dead["items"][0];
    assert_eq!(
        (&notice["receiver"], &notice["state"], &notice["why"]),
        (&json!("log"), &json!("dead"), &json!("first"))
    );
    assert_eq!((&notice["firing"], &notice["rules"]), (&json!(1), &json!(["database_down"])), "{notice}");
    assert!(notice["note"].is_string());
    let other = scene.get("/api/v1/notifications?state=dead&receiver=other").await;
    refused(&other, StatusCode::NOT_FOUND, "unknown_receiver");
    for query in ["state=due", "state=sent"] {
        let list = scene.get(&format!("/api/v1/notifications?{query}")).await.json();
        assert_eq!((&list["items"], &list["next"]), (&json!([]), &json!(null)), "{query}");
    }
    let path = format!("/api/v1/notifications/{}/resend", notice["id"].as_str().unwrap());
    refused(&scene.operate(Method::POST, &path).await, StatusCode::CONFLICT, "no_receiver");
    let unknown = scene.operate(Method::POST, "/api/v1/notifications/x/resend").await;
    refused(&unknown, StatusCode::NOT_FOUND, "unknown_notification");
}
