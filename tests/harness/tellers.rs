//! Simulated agents, each with one component whose status a test says. They report every half second, say it again on
//! each new connection, and come back when the monitor does.

use crate::speaker::{Person, Speaker};
use anyhow::Result;
use farol_health::Status;
use farol_health::clock::boot_ms;
use farol_wire::Definition;
use farol_wire::proto::{self, agent_message};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// Between two reports: the monitor calls an agent lost after three seconds.
const EVERY: Duration = Duration::from_millis(500);
/// Between two tries to connect.
const AGAIN: Duration = Duration::from_millis(50);

/// What an agent is to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Say(Status),
    Leave,
}

/// Running agents. They end without a word when dropped.
#[derive(Default)]
pub struct Tellers {
    wishes: Vec<watch::Sender<Wish>>,
    running: JoinSet<()>,
}

impl Tellers {
    /// So many agents `teller-0`, …, each with the component `part` of the service `service-0`, …; healthy at first.
    #[must_use]
    pub fn begin(count: usize, at: SocketAddr) -> Self {
        let mut tellers = Self::default();
        for number in 0..count {
            let person = Person::new(&format!("teller-{number}"));
            tellers.add(at, person, Person::definition(&format!("service-{number}")), Status::Healthy);
        }
        tellers
    }

    /// One more, and its number.
    pub fn add(&mut self, at: SocketAddr, person: Person, definition: Definition, first: Status) -> usize {
        let (wish, wishes) = watch::channel(Wish::Say(first));
        self.wishes.push(wish);
        self.running.spawn(async move {
            let mut wishes = wishes;
            loop {
                match speak(at, &person, &definition, &mut wishes).await {
                    // It said Goodbye.
                    Ok(()) => return,
                    Err(_) => sleep(AGAIN).await,
                }
            }
        });
        self.wishes.len() - 1
    }

    /// From now on this is the status of its component.
    pub fn say(&self, number: usize, status: Status) {
        self.wishes[number].send_replace(Wish::Say(status));
    }

    /// Its pod ends: it says Goodbye.
    pub fn leave(&self, number: usize) {
        self.wishes[number].send_replace(Wish::Leave);
    }
}

/// One connection; `Ok` when it left for good.
async fn speak(
    at: SocketAddr,
    person: &Person,
    definition: &Definition,
    wishes: &mut watch::Receiver<Wish>,
) -> Result<()> {
    let mut speaker = Speaker::open(at, person).await?;
    let mut seq = speaker.resume_after(person.boot);
    speaker.define(definition).await?;
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    wishes.mark_changed();
    loop {
        tokio::select! {
            ended = speaker.ended(Duration::from_secs(86_400)) => anyhow::bail!("the stream is over: {ended:?}"),
            changed = wishes.changed() => {
                changed?;
                let wish = *wishes.borrow_and_update();
                match wish {
                    Wish::Say(status) => speaker.state(seq, status).await?,
                    Wish::Leave => {
                        let kind = proto::goodbye::Kind::Workload.into();
                        let goodbye = proto::Goodbye { kind, deadline_ms: 200 };
                        speaker.say(agent_message::Kind::Goodbye(goodbye)).await?;
                        return speaker.close().await;
                    }
                }
            }
            _ = ticks.tick() => {
                seq += 1;
                speaker.report(seq, boot_ms(), [seq as f64, seq as f64], false).await?;
            }
        }
    }
}
