//! The database is away while something fires.

use super::{BAD, HOOK, SOON, WAITS, WELL, all, webhook};
use farol_tests::faults::Kind;
use farol_tests::hook::{Hook, Told};
use farol_tests::tellers::Tellers;
use farol_tests::victim::{Means, Victim};
use farol_tests::wait::until;

fn of(told: &[Told], rule: &str) -> Vec<String> {
    all(told).into_iter().filter(|word| word.starts_with(rule)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_fires_while_the_database_is_away_is_told_and_recorded_later() {
    let hook = Hook::start().await.unwrap();
    let further = format!(
        "default_rules: false\nrules: [rules.yaml]\negress: {{private: true}}\nreceivers: {{hook: {}}}\n\
         route: {{receiver: hook, {WAITS}}}\n",
        webhook(&hook, HOOK)
    );
    let mut victim = Victim::new(Kind::Postgres.ground().await.unwrap(), &further).unwrap();
    let rules = "rules:\n- {name: part_down, component: part}\n- {name: no_store, monitor: store_unusable}\n";
    std::fs::write(victim.folder().join("rules.yaml"), rules).unwrap();
    victim.start(&Means::default()).await.unwrap();
    let fleet = Tellers::begin(1, victim.at().agents);
    let is_here = async || {
        farol_tests::process::get(victim.at().http, "/api/v1/components")
            .await
            .is_ok_and(|(_, list)| list.contains("healthy"))
    };
    until("the agent is here", SOON, is_here).await.unwrap();

    victim.server().unwrap().stop().await.unwrap();
    fleet.say(0, BAD);
    let fires = |told: &[Told]| of(told, "part_down") == ["part_down fires"];
    let told = hook.until("it is told all the same", HOOK, SOON, fires).await.unwrap();
    let notice = told.iter().find(|told| told.words() == ["part_down fires"]).unwrap();
    assert_eq!(notice.notice["unrecorded"], true, "{notice:?}");
    let store = |told: &[Told]| of(told, "no_store") == ["no_store fires"];
    hook.until("the store's alert is told", HOOK, SOON, store).await.unwrap();

    victim.server().unwrap().start_again().await.unwrap();
    let store = |told: &[Told]| of(told, "no_store") == ["no_store fires", "no_store recovered"];
    hook.until("and its end", HOOK, SOON, store).await.unwrap();
    // What was told is in the store now: another process knows of it.
    victim.kill().await.unwrap();
    victim.start(&Means::default()).await.unwrap();
    fleet.say(0, WELL);
    let over = |told: &[Told]| of(told, "part_down") == ["part_down fires", "part_down recovered"];
    let told = hook.until("its end is told", HOOK, SOON, over).await.unwrap();
    let last = told.iter().find(|told| told.words() == ["part_down recovered"]).unwrap();
    assert_eq!(last.notice["unrecorded"], false);
    assert_eq!(last.alerts()[0]["id"], notice.alerts()[0]["id"]);
}
