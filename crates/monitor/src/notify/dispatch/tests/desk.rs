//! A receiver that answers as a test says, and notes what it got and when.

use crate::notify::receivers::Origin;
use crate::notify::{Attempt, Failure, Message, Receiver, Sent, Watch};
use futures::FutureExt;
use futures::future::BoxFuture;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// An answer.
#[derive(Clone, Debug)]
pub(super) enum Answer {
    Take,
    /// After so long.
    Slowly(Duration),
    Fail,
    Pause(Duration),
    /// Some of it is taken, after so long; what follows has to wait for so long.
    Partly(Duration, Option<Duration>),
    /// Some of it is refused and none taken, after so long.
    RefuseSome(Duration),
    Refuse,
    Unsure,
    /// None ever; the notice was not taken.
    Hang,
    /// It was taken, and the answer never comes.
    TakeAndHang,
    Panic,
}

/// What it got.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Got {
    pub(super) at_ms: u64,
    pub(super) id: String,
    pub(super) unrecorded: bool,
}

pub(super) struct Desk {
    pub(super) began: Instant,
    /// Used up first.
    pub(super) answers: Mutex<VecDeque<Answer>>,
    /// Then always this.
    pub(super) then: Mutex<Answer>,
    /// This conversation is answered so.
    pub(super) of: Mutex<Option<(String, Answer)>>,
    pub(super) tried: Mutex<Vec<Got>>,
    pub(super) taken: Mutex<Vec<Got>>,
    pub(super) deadline: Mutex<Duration>,
    pub(super) origin: Option<Origin>,
    /// Most at once.
    pub(super) at_once: Mutex<(usize, usize)>,
}

impl Desk {
    pub(super) fn new(then: Answer) -> Arc<Self> {
        Self::made_of(None, then)
    }

    pub(super) fn made_of(origin: Option<Origin>, then: Answer) -> Arc<Self> {
        Arc::new(Self {
            origin,
            began: Instant::now(),
            answers: Mutex::default(),
            then: Mutex::new(then),
            of: Mutex::default(),
            tried: Mutex::default(),
            taken: Mutex::default(),
            deadline: Mutex::new(Duration::from_secs(10)),
            at_once: Mutex::default(),
        })
    }

    pub(super) fn ids(&self) -> Vec<String> {
        self.taken.lock().iter().map(|got| got.id.clone()).collect()
    }

    pub(super) fn tried_ms(&self) -> Vec<u64> {
        self.tried.lock().iter().map(|got| got.at_ms).collect()
    }

    fn answer(&self, message: &Message) -> Answer {
        let of = self.of.lock().clone().filter(|(conversation, _)| *conversation == message.conversation);
        let next = || self.answers.lock().pop_front().unwrap_or_else(|| self.then.lock().clone());
        of.map_or_else(next, |(_, answer)| answer)
    }
}

impl Receiver for Desk {
    fn kind(&self) -> &'static str {
        "desk"
    }

    fn deadline(&self) -> Duration {
        *self.deadline.lock()
    }

    fn origin(&self) -> Option<&Origin> {
        self.origin.as_ref()
    }

    fn send<'a>(&'a self, message: &'a Message) -> BoxFuture<'a, Result<Sent, Failure>> {
        async move {
            let at_ms = self.began.elapsed().as_millis() as u64;
            let got = Got { at_ms, id: message.notice_id.clone(), unrecorded: message.unrecorded };
            self.tried.lock().push(got.clone());
            let answer = self.answer(message);
            {
                let mut at_once = self.at_once.lock();
                at_once.0 += 1;
                at_once.1 = at_once.1.max(at_once.0);
            }
            let _left = Left(self);
            let failure = |after| Failure::Retry { why: "500".into(), after };
            match answer {
                Answer::Take => {}
                Answer::Slowly(takes) => tokio::time::sleep(takes).await,
                Answer::Fail => return Err(failure(None)),
                Answer::Pause(pause) => return Err(failure(Some(pause))),
                Answer::Partly(takes, after) => {
                    tokio::time::sleep(takes).await;
                    return Err(Failure::Partly { taken: true, why: "200 of 500".into(), after });
                }
                Answer::RefuseSome(takes) => {
                    tokio::time::sleep(takes).await;
                    return Err(Failure::Partly { taken: false, why: "0 of 500".into(), after: None });
                }
                Answer::Refuse => return Err(Failure::Dead { why: "404".into() }),
                Answer::Unsure => return Err(Failure::Unsure { why: "401".into() }),
                Answer::Hang => std::future::pending().await,
                Answer::TakeAndHang => {
                    self.taken.lock().push(got);
                    std::future::pending::<()>().await;
                    return Err(failure(None));
                }
                Answer::Panic => panic!("a receiver's bug"),
            }
            self.taken.lock().push(got);
            Ok(Sent { note: None })
        }
        .boxed()
    }
}

/// Counts down also when the try is cut.
struct Left<'a>(&'a Desk);

impl Drop for Left<'_> {
    fn drop(&mut self) {
        self.0.at_once.lock().0 -= 1;
    }
}

/// What was told.
#[derive(Default)]
pub(super) struct Told {
    pub(super) attempts: Mutex<Vec<Attempt>>,
    pub(super) failing: Mutex<Vec<(String, Option<String>)>>,
    pub(super) full: Mutex<Vec<(String, bool)>>,
}

impl Watch for Told {
    fn attempted(&self, attempt: &Attempt) {
        self.attempts.lock().push(attempt.clone());
    }

    fn failing(&self, receiver: &str, why: Option<&str>) {
        self.failing.lock().push((receiver.to_owned(), why.map(str::to_owned)));
    }

    fn full(&self, receiver: &str, full: bool) {
        self.full.lock().push((receiver.to_owned(), full));
    }
}
