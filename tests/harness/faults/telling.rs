//! The monitor ends round its ledger of notices: at a named commit, in the middle of a send, at a start with notices due.
//! Simulated agents say how services are, a webhook writes down what it is told, and the two must agree.

mod judged;

use super::Kind;
use crate::dice::Dice;
use crate::hook::{Hook, Mood, Told};
use crate::saboteur::LEDGER;
use crate::tellers::Tellers;
use crate::victim::{Means, Victim};
use crate::wait::until;
use anyhow::{Context, Result, ensure};
use farol_health::Status;
pub use judged::Judged;
use reqwest::Method;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// The webhook's secret.
pub const SECRET: &str = "whsec";
/// The path where it listens.
const PATH: &str = "/hook";
/// A point that is met must be met within this, and what is to be told must be told.
const MET_WITHIN: Duration = Duration::from_secs(25);
/// Simulated agents, each with a service of its own.
const SERVICES: usize = 4;

/// What stands in the way of a send or of a start, and is not in the store's seam. `held`: killed before the receiver
/// answers. `answered`: as soon as it has. `refused`, `hung_up`: killed between two tries. `starts`: ended in the middle
/// of starts with a notice due. `anytime`: killed at a random moment while everything changes.
const OUTSIDE: [&str; 6] = ["held", "answered", "refused", "hung_up", "starts", "anytime"];

/// All names.
#[must_use]
pub fn names() -> Vec<&'static str> {
    LEDGER.iter().map(|(name, _)| *name).chain(OUTSIDE).collect()
}

/// A monitor with one rule and one receiver, and agents.
pub struct Scene {
    /// The monitor.
    pub victim: Victim,
    hook: Hook,
    fleet: Tellers,
    dice: Dice,
    /// Which services are unhealthy.
    bad: Vec<bool>,
    /// How often each became so.
    became_bad: Vec<usize>,
    /// How much was told when the monitor ended: once for each end.
    ends: Vec<usize>,
}

impl Scene {
    /// A running monitor over an empty store, and agents that are healthy.
    ///
    /// # Errors
    /// The monitor does not start.
    pub async fn begin(kind: Kind, seed: u64) -> Result<Self> {
        let hook = Hook::start().await?;
        let further = format!(
            "default_rules: false\nrules: [rules.yaml]\negress: {{private: true}}\n\
             receivers: {{hook: {{webhook: {{url: \"{}\", secret: {SECRET}}}}}}}\n\
             route: {{receiver: hook, group_by: [service], group_wait: 0s, group_interval: 1s, repeat_interval: 1d}}\n",
            hook.url(PATH)
        );
        let mut victim = Victim::new(kind.ground().await?, &further)?;
        let rules = "rules: [{name: part_down, component: part, flap: {changes: 0}}]\n";
        std::fs::write(victim.folder().join("rules.yaml"), rules)?;
        victim.start(&Means::default()).await?;
        let fleet = Tellers::begin(SERVICES, victim.at().agents);
        let (bad, became_bad) = (vec![false; SERVICES], vec![0; SERVICES]);
        Ok(Self { victim, hook, fleet, dice: Dice::apart(seed, 0), bad, became_bad, ends: Vec::new() })
    }

    /// A service that is as it is wanted to be now, or changes to it and is told so.
    async fn one_that_is(&mut self, bad: bool) -> Result<usize> {
        let service = self.dice.within(0..SERVICES as u64) as usize;
        if self.bad[service] != bad {
            self.turn(service);
            self.settle().await?;
        }
        Ok(service)
    }

    /// Well becomes unhealthy, and back.
    fn turn(&mut self, service: usize) {
        let bad = !self.bad[service];
        self.bad[service] = bad;
        self.became_bad[service] += usize::from(bad);
        self.fleet.say(service, if bad { Status::Unhealthy } else { Status::Healthy });
    }

    async fn kill(&mut self) -> Result<()> {
        self.victim.kill().await?;
        self.ends.push(self.hook.told(PATH).len());
        Ok(())
    }

    /// Waits until it has ended by itself.
    async fn ends(&mut self, what: &str) -> Result<()> {
        let ended = timeout(MET_WITHIN, self.victim.ends()).await;
        let ended = ended.with_context(|| format!("{what} is not met"))??;
        ensure!(ended.code == 128 + 6, "{what}: the monitor ended with {}: {}", ended.code, ended.log);
        self.ends.push(self.hook.told(PATH).len());
        Ok(())
    }

    async fn start(&mut self) -> Result<()> {
        self.victim.start(&Means::default()).await
    }

    /// Waits until the last word on each service is how it is, and then judges all that was ever told.
    ///
    /// # Errors
    /// It is not in time, or something was told that should not have been.
    pub async fn settle(&mut self) -> Result<Judged> {
        let bad = self.bad.clone();
        let is_so = |told: &[Told]| judged::last_words(told, SERVICES) == bad;
        self.hook.until("the last word on each service is the truth", PATH, MET_WITHIN, is_so).await?;
        judged::judge(&self.hook.told(PATH), &self.ends, &self.became_bad)
    }

    /// All are well again, and all that was told is judged once more after the time in which more could be said.
    ///
    /// # Errors
    /// As [`settle`](Self::settle).
    pub async fn finish(&mut self) -> Result<Judged> {
        for service in 0..SERVICES {
            if self.bad[service] {
                self.turn(service);
            }
        }
        self.settle().await?;
        let told = self.hook.told(PATH).len();
        // More than a group's interval.
        let quiet = async || self.hook.told(PATH).len() == told;
        crate::wait::holds("nothing more is told", Duration::from_millis(1_500), quiet).await?;
        let ended = self.victim.stop().await?;
        ensure!(ended.code == 0, "the monitor ended with {}: {}", ended.code, ended.log);
        judged::judge(&self.hook.told(PATH), &self.ends, &self.became_bad)
    }

    /// All that was told, line by line, for who looks into what broke.
    #[must_use]
    pub fn told(&self) -> String {
        let line = |(n, told): (usize, &Told)| {
            let end = if self.ends.contains(&n) { "-- the monitor ended\n" } else { "" };
            let group = &told.notice["group"]["service"];
            format!("{end}{} {group} {} {:?} {:?}", told.id(), told.why(), told.words(), told.answer)
        };
        self.hook.told(PATH).iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    /// Asks the monitor as its operator.
    async fn ask(&self, method: Method, path: &str, body: Option<Value>) -> Result<(u16, Value)> {
        let token = std::fs::read_to_string(self.victim.data_dir().join("operator.token"))?;
        let client = reqwest::Client::builder().timeout(Duration::from_secs(5)).build()?;
        let mut request = client.request(method, format!("http://{}{path}", self.victim.at().http));
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.bearer_auth(token.trim()).send().await?;
        let status = answer.status().as_u16();
        Ok((status, answer.json().await.unwrap_or_default()))
    }
}

/// The monitor ends at this point, and is started again. What was done.
///
/// # Errors
/// The point is not met, the monitor does not come back, or an invariant does not hold.
pub async fn at(scene: &mut Scene, name: &str) -> Result<String> {
    let before = scene.ends.len();
    match name {
        "held" => sent(scene, Mood::Hangs, false).await?,
        "answered" => sent(scene, Mood::Takes, true).await?,
        "refused" => sent(scene, Mood::Refuses(500, None), true).await?,
        "hung_up" => sent(scene, Mood::HangsUp, false).await?,
        "starts" => starts(scene).await?,
        "anytime" => anytime(scene).await?,
        _ => in_the_seam(scene, name).await?,
    }
    let judged = scene.settle().await.with_context(|| name.to_owned())?;
    Ok(format!("{name}: {} ends, {judged}", scene.ends.len() - before))
}

/// At a commit.
async fn in_the_seam(scene: &mut Scene, name: &str) -> Result<()> {
    let is_asked_for = name.ends_with("_silence") || name.ends_with("_acknowledgement");
    let bad = name.ends_with("_resolved") || is_asked_for;
    let service = scene.one_that_is(bad).await?;
    scene.kill().await?;
    let before_ready = scene.victim.start_to_end(&Means::sabotaged(&["--crash", name])).await?;
    let mut was_taken = false;
    if before_ready {
        scene.ends.push(scene.hook.told(PATH).len());
    } else if name.ends_with("_silence") {
        was_taken = silence(scene, service).await.is_ok_and(|status| status < 300);
        scene.ends(name).await?;
    } else if name.ends_with("_acknowledgement") {
        was_taken = acknowledge(scene, service).await.is_ok_and(|status| status < 300);
        scene.ends(name).await?;
    } else {
        scene.turn(service);
        scene.ends(name).await?;
    }
    ensure!(scene.victim.log().contains(&format!("crash point {name} reached")), "{name} is not met");
    ensure!(!was_taken, "{name}: it was said to be kept before it was");
    scene.start().await?;
    if name.ends_with("_silence") {
        unsilence(scene, name == "after_silence").await?;
    }
    Ok(())
}

async fn silence(scene: &Scene, service: usize) -> Result<u16> {
    let body = json!({
        "match": {"service": format!("service-{service}")}, "lasts": "1h", "author": "test", "reason": "test",
    });
    Ok(scene.ask(Method::POST, "/api/v1/silences", Some(body)).await?.0)
}

/// What was kept of it is ended: what fires was told already, and is told again at once.
async fn unsilence(scene: &mut Scene, is_kept: bool) -> Result<()> {
    let (_, list) = scene.ask(Method::GET, "/api/v1/silences", None).await?;
    let silences = list["items"].as_array().context("silences")?;
    ensure!(silences.len() == usize::from(is_kept), "{} silences are kept", silences.len());
    for silence in silences {
        let id = silence["id"].as_str().context("an id")?;
        let (status, answer) = scene.ask(Method::DELETE, &format!("/api/v1/silences/{id}"), None).await?;
        ensure!(status < 300, "{status} {answer}");
    }
    Ok(())
}

async fn acknowledge(scene: &Scene, service: usize) -> Result<u16> {
    let (_, list) = scene.ask(Method::GET, "/api/v1/alerts", None).await?;
    let alerts = list["items"].as_array().context("alerts")?;
    let name = format!("service-{service}");
    let alert = alerts.iter().find(|alert| alert["labels"]["service"] == *name).context("the alert")?;
    let path = format!("/api/v1/alerts/{}/acknowledge", alert["id"].as_str().context("an id")?);
    Ok(scene.ask(Method::POST, &path, Some(json!({"author": "test", "reason": "test"}))).await?.0)
}

/// In the middle of a send, or just after the answer.
async fn sent(scene: &mut Scene, mood: Mood, answered: bool) -> Result<()> {
    let bad = scene.dice.once_in(2);
    let service = scene.one_that_is(bad).await?;
    let before = scene.hook.told(PATH).len();
    scene.hook.mood(PATH, mood);
    scene.turn(service);
    let is_there =
        || scene.hook.told(PATH).get(before).is_some_and(|told| !answered || told.answer.is_some());
    until("it is told", MET_WITHIN, async || is_there()).await?;
    scene.kill().await?;
    scene.hook.mood(PATH, Mood::Takes);
    scene.start().await
}

/// A notice is due, and start after start is ended before it is over.
async fn starts(scene: &mut Scene) -> Result<()> {
    let bad = scene.dice.once_in(2);
    let service = scene.one_that_is(bad).await?;
    let before = scene.hook.told(PATH).len();
    scene.hook.mood(PATH, Mood::Hangs);
    scene.turn(service);
    until("it is told", MET_WITHIN, async || scene.hook.told(PATH).len() > before).await?;
    scene.kill().await?;
    scene.hook.mood(PATH, Mood::Takes);
    for name in ["after_open", "before_restore", "after_restore"] {
        let before_ready = scene.victim.start_to_end(&Means::sabotaged(&["--crash", name])).await?;
        ensure!(before_ready, "{name} is not met");
        scene.ends.push(scene.hook.told(PATH).len());
    }
    scene.start().await
}

/// Services turn, now and then quicker than is told, and the monitor is killed somewhere amidst.
async fn anytime(scene: &mut Scene) -> Result<()> {
    for _ in 0..scene.dice.within(1..6) {
        let service = scene.dice.within(0..SERVICES as u64) as usize;
        scene.turn(service);
        sleep(scene.dice.millis(0..300)).await;
    }
    scene.kill().await?;
    sleep(scene.dice.millis(0..300)).await;
    scene.start().await
}
