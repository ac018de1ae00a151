//! `kill -9` while the disk is written, and what the next start makes of it.

use super::{Kept, Scene, is_empty, is_whole, makes, own, restless};
use farol_tests::proxy::Proxy;
use farol_tests::stack::SOON;
use farol_tests::wait::until;
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::time::Duration;

#[tokio::test]
async fn two_starts_that_were_cut_off_fill_history_and_move_nothing_of_now() {
    let scene = Scene::start().await;
    let way = Proxy::to(scene.agents()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let door = folder.path().join("door");
    fs::write(&door, "").unwrap();
    let agent = restless(folder.path(), way.address(), "").await;
    until("it reports", SOON, async || scene.kept().await.values().any(|reports| reports.len() > 10))
        .await
        .unwrap();
    way.cut();
    // Nobody sees that the door is shut for a while.
    fs::remove_file(&door).unwrap();
    until("it is lost", SOON, async || scene.events("web-1", "agent_lost").await == 1).await.unwrap();
    let made = own(&agent, "farol_agent_reports_total").await;
    fs::write(&door, "").unwrap();
    makes(&agent, made + 5.0).await;
    until("all of it is on disk", SOON, async || own(&agent, "farol_spool_segments").await > 0.0)
        .await
        .unwrap();
    agent.kill().await.unwrap();

    let agent = restless(folder.path(), way.address(), "").await;
    makes(&agent, 10.0).await;
    assert!(own(&agent, "farol_spool_past_reports").await > 0.0);
    assert_eq!(own(&agent, "farol_spool_dropped_reports_total").await, 0.0);
    way.mend();
    is_empty(&agent).await;
    let kept = scene.kept().await;
    let mut boots = kept.iter();
    let (first, second) = (boots.next().unwrap(), boots.next().unwrap());
    assert!(is_whole(first.1) && first.1.len() as f64 >= made, "{} of {made}", first.1.len());
    assert!(is_whole(second.1) && second.1.len() >= 10 && boots.next().is_none());
    assert!(first.0.number < second.0.number);

    assert_eq!(scene.events("web-1", "agent_lost").await, 1, "one staleness");
    assert_eq!(scene.events("web-1", "agent_back").await, 1, "one return");
    let events = super::items(scene.http(), "/api/v1/events?limit=1000").await;
    let of_door = super::super::status_changes(events.iter().filter(|event| event["component"] == "door"));
    let shut = of_door.iter().filter(|change| change.ends_with(">unhealthy")).count();
    assert_eq!(shut, 0, "the backlog tells nothing of now: {of_door:?}");
    let path = "/api/v1/uptime?agent=web-1&component=door&from=-1m";
    let mut items = Vec::new();
    let known = until("uptime knows that the door was shut", Duration::from_secs(5), async || {
        items = super::items(scene.http(), path).await;
        items[0]["unhealthy_ms"].as_u64().is_some_and(|ms| ms > 1_000)
    });
    assert!(known.await.is_ok(), "{items:#?} {of_door:#?}");
    assert_eq!(agent.stop().await.unwrap().code, 0);
}

/// The files of a spool as they are.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let all = fs::read_dir(folder.join("data/spool")).into_iter().flatten().map(|file| file.unwrap());
    let read =
        all.filter_map(|file| Some((file.file_name().into_string().ok()?, fs::read(file.path()).ok()?)));
    read.filter(|(name, _)| name.ends_with(".segment")).collect()
}

/// What was committed once stays as it was.
fn agrees(before: &Kept, after: &Kept) {
    for (boot, reports) in before {
        for (seq, blocks) in reports {
            assert_eq!(after.get(boot).and_then(|reports| reports.get(seq)), Some(blocks), "{boot:?} {seq}");
        }
    }
}

#[tokio::test]
async fn twenty_kills_while_the_disk_is_written_give_no_number_twice_and_lose_nothing_that_was_acknowledged()
{
    let seed = std::env::var("SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(random);
    println!("SEED={seed}");
    let mut state = seed;
    let mut chance = |most: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % most
    };
    let scene = Scene::start().await;
    let way = Proxy::to(scene.agents()).await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("door"), "").unwrap();
    let (mut before, mut written): (Kept, BTreeMap<String, Vec<u8>>) = Default::default();
    let (mut starts, mut seen) = (0, BTreeSet::new());
    for round in 0..20 {
        if chance(4) == 0 {
            way.mend()
        } else {
            way.cut()
        }
        let agent = restless(folder.path(), way.address(), "").await;
        makes(&agent, (1 + chance(3)) as f64).await;
        let end = Duration::from_millis(chance(120));
        tokio::time::timeout(end, std::future::pending::<()>()).await.unwrap_err();
        agent.kill().await.unwrap();
        starts += 1;
        let now = files(folder.path());
        for (name, bytes) in &written {
            // What a start finds of an earlier one it leaves as it is, or cuts off what was half written.
            if let Some(after) = now.get(name) {
                assert!(bytes.starts_with(after), "round {round}: {name} was written anew");
            }
        }
        seen.extend(now.keys().filter_map(|name| name.get(..37).map(str::to_owned)));
        written = now;
        let kept = scene.kept().await;
        agrees(&before, &kept);
        before = kept;
    }
    way.mend();
    let agent = restless(folder.path(), way.address(), "").await;
    println!("{} starts left something on disk", seen.len());
    assert!(seen.len() > 8, "hardly anything was cut off");
    is_empty(&agent).await;
    let kept = scene.kept().await;
    agrees(&before, &kept);
    assert!(kept.values().all(is_whole), "{kept:?}");
    assert!(kept.len() <= starts + 1 && kept.len() >= seen.len(), "{} boots", kept.len());
    assert_eq!(super::metric(scene.http(), "farol_ingest_reports_lost_total").await, 0.0);
    assert_eq!(agent.stop().await.unwrap().code, 0);
}

fn random() -> u64 {
    RandomState::new().hash_one(std::process::id())
}
