//! From what the book decided to what follows: documents, notices, events, actions. Decides that all of it comes in the
//! order of the decisions, and outside the book's lock: words take their time. Decides nothing about alerts.

use super::hand_ins::{self, Told};
use super::{Alerting, keeping, rules_moment, telling};
use crate::act::{ActionRecord, ActionRequest};
use crate::clock::Moment;
use crate::fleet::Effects;
use crate::notify::{AlertWord, Due, ResendError};
use crate::store::DocumentChange;
use farol_rules::{AlertChange, Book, Entry, EntryKind, Keep, Output};
use parking_lot::Mutex;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::Ordering;

/// Decisions that wait while one thread carries out earlier ones; with more, who decides waits for it.
const WAITING_AT_MOST: usize = 1_024;

/// One change of the book.
struct Decided {
    outputs: Vec<Output>,
    /// What somebody said that brought it about: kept together with what follows of it.
    said: Vec<DocumentChange>,
    now: Moment,
}

/// What was decided, and is not carried out yet.
#[derive(Default)]
pub(super) struct Outbox {
    /// In the order of the decisions, for it is filled under the book's lock.
    waiting: Mutex<VecDeque<Decided>>,
    /// Locked by the thread that carries out, before the book and never with it; the number of the last hand-in.
    carrying: Mutex<u64>,
}

impl Outbox {
    fn next(&self) -> Option<Decided> {
        self.waiting.lock().pop_front()
    }
}

impl Alerting {
    /// Changes the book. What follows is carried out by this thread, or by the one that is at it: that may be any, the
    /// sending one too, and it goes on as long as decisions come faster than it carries them out. Not to be called while
    /// `carrying` is locked by this thread.
    pub(super) fn change<T>(&self, now: Moment, change: impl FnOnce(&mut Book) -> T) -> T {
        let changed = self.decide(now, |book| (change(book), Vec::new()));
        self.carry_out();
        changed
    }

    /// Changes the book by what somebody says, which is kept in one with all that follows of it: gives the number of a
    /// hand-in that is not before it.
    pub(super) fn say<T>(
        &self,
        now: Moment,
        change: impl FnOnce(&mut Book) -> (T, Vec<DocumentChange>),
    ) -> (T, u64) {
        let changed = self.decide(now, change);
        let number = self.carry_all(&mut self.outbox.carrying.lock());
        self.carry_out();
        (changed, number)
    }

    fn decide<T>(&self, now: Moment, change: impl FnOnce(&mut Book) -> (T, Vec<DocumentChange>)) -> T {
        let mut book = self.book.lock();
        let (changed, said) = change(&mut book);
        let outputs = book.take();
        if !outputs.is_empty() || !said.is_empty() {
            self.outbox.waiting.lock().push_back(Decided { outputs, said, now });
        }
        changed
    }

    /// Carries out what waits, unless another thread is at it: that one looks again before it goes.
    fn carry_out(&self) {
        loop {
            // Not in one statement: who carries out looks at what waits.
            let waiting = self.outbox.waiting.lock().len();
            let carrying = match waiting {
                0 => None,
                1..=WAITING_AT_MOST => self.outbox.carrying.try_lock(),
                _ => Some(self.outbox.carrying.lock()),
            };
            let Some(mut carrying) = carrying else { return };
            self.carry_all(&mut carrying);
        }
    }

    fn carry_all(&self, last: &mut u64) -> u64 {
        while let Some(decided) = self.outbox.next() {
            *last = self.carry(decided);
        }
        *last
    }

    fn carry(&self, Decided { outputs, said, now }: Decided) -> u64 {
        let (mut documents, mut told, mut events) = (Vec::new(), Vec::new(), Vec::new());
        let mut asked = Vec::new();
        for output in outputs {
            match output {
                Output::Notify(_) | Output::Keep(Keep::Conversation(..)) => told.push(output),
                Output::Keep(keep) => documents.push(keeping::kept(&keep, now.wall_ms)),
                Output::Alert(event) => {
                    self.count(event.change);
                    // Whatever its rule says by now: something may still be done for it.
                    if let AlertChange::Resolved(_) = event.change {
                        self.actions.resolved(&event.id, rules_moment(now));
                    }
                    events.extend(telling::event(&event));
                }
                Output::Entry(incident, entry) => documents.push(self.line(&incident, &entry)),
                Output::Act(act) => {
                    let request = ActionRequest::of(act, now.wall_ms);
                    documents.extend(self.told(&self.actions.asked(&request)));
                    asked.push(request);
                }
            }
        }
        // The last word on what it is about.
        documents.extend(said);
        let number = self.tell(documents, told, now);
        asked.into_iter().for_each(|request| self.actions.start(request));
        events.iter().for_each(crate::outlet::log);
        if !events.is_empty() {
            self.events.push(&Effects { events, ..Effects::default() });
        }
        number
    }

    /// Hands in what is to be kept, and sends what is told with it; each notice once it is written. Gives the number of
    /// the hand-in of the `state`.
    fn tell(&self, state: Vec<DocumentChange>, outputs: Vec<Output>, now: Moment) -> u64 {
        let phrases = self.phrases.load();
        let told = outputs.into_iter().flat_map(|output| match output {
            Output::Notify(telling) => {
                let messages = phrases.messages(&telling, &self.lines).into_iter();
                let due = messages.map(|message| self.dispatcher.due(message));
                due.map(|due| (due.put().weight(), due))
                    .map(|(weight, due)| Told::Notice(due, weight))
                    .collect()
            }
            Output::Keep(keep) => vec![Told::Kept(keeping::kept(&keep, now.wall_ms))],
            _ => Vec::new(),
        });
        hand_ins::divide(state, told, |mut words, notices| {
            words.extend(notices.iter().map(Due::put));
            let number = self.journal.documents(words);
            for notice in notices {
                self.counts.notices.fetch_add(1, Ordering::Relaxed);
                self.dispatcher.push(notice, number);
            }
            number
        })
    }

    /// What is known of an attempt, and the line of it on its incident's time line.
    pub(super) fn told(&self, record: &ActionRecord) -> Vec<DocumentChange> {
        let text = format!("action {} on {}: {}", record.action, record.target, record.outcome);
        let alert = Some(record.alert.clone());
        let entry = Entry { at_ms: record.known_ms, kind: EntryKind::Action, alert, text };
        let mut documents = keeping::action(record);
        documents.push(self.line(&record.incident, &entry));
        documents
    }

    fn count(&self, change: AlertChange) {
        let counter = match change {
            AlertChange::Fired(_) => &self.counts.fired,
            AlertChange::Resolved(_) => &self.counts.resolved,
            _ => return,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Makes a dead notice due again, with what of it is still so, and gives its new id. What is over by now was told
    /// in a notice of its own, to which nothing may be added; what ends from now on is told after this.
    pub(crate) async fn resend(&self, notice_id: &str) -> Result<String, ResendError> {
        let dead = self.dispatcher.dead_one(notice_id).await?;
        let mut carrying = self.outbox.carrying.lock();
        self.carry_all(&mut carrying);
        let firing = self.firing_among(&dead.message.alerts);
        let has_episodes = self.dispatcher.has_episodes(&dead.message.receiver);
        let still = |word: &AlertWord| match firing.get(&word.id) {
            Some(since_ms) if word.ended.is_none() => *since_ms == word.since_ms,
            // An end after the word that it fires anew would end that, unless each is told under an id of its own.
            Some(_) => has_episodes,
            None => word.ended.is_some(),
        };
        let again = self.dispatcher.resend(dead, still);
        drop(carrying);
        self.carry_out();
        again
    }

    /// Those of these words whose alerts fire, by their ids, and since when they do.
    fn firing_among(&self, words: &[AlertWord]) -> BTreeMap<String, i64> {
        let book = self.book.lock();
        let since_ms = |word: &AlertWord| book.firing_since_ms(word.id.rsplit_once('#')?.0);
        words.iter().filter_map(|word| Some((word.id.clone(), since_ms(word)?))).collect()
    }
}
