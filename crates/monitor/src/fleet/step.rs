//! One step of the fleet while it is made. What it brings about is published before anybody can make the next step on
//! the same agent or on a service that it counted: that order is the order of events and of what is kept.

use super::board::{Board, Instance};
use super::effects::{Effects, Event, EventKind};
use crate::clock::Moment;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;

/// Where the effects of steps go: events, rows, and those who watch statuses.
pub trait Outlet: Send + Sync + 'static {
    /// Takes what came about. Called with the fleet locked: it never waits, and never looks at the fleet.
    fn publish(&self, effects: &Effects, now: Moment);
}

/// A step that is being made.
pub(crate) struct Step<'a> {
    /// When.
    pub(crate) now: Moment,
    /// What it has brought about so far.
    pub(crate) effects: Effects,
    board: &'a Mutex<Board>,
    /// From the first look at the board until the effects are published. Most reports change no status and never look.
    locked: Option<MutexGuard<'a, Board>>,
}

impl<'a> Step<'a> {
    pub(crate) fn new(now: Moment, board: &'a Mutex<Board>) -> Self {
        Self { now, effects: Effects::default(), board, locked: None }
    }

    /// The board, locked until the step ends, and where its changes are told.
    pub(crate) fn board(&mut self) -> (&mut Board, &mut Effects) {
        let board = self.locked.get_or_insert_with(|| self.board.lock());
        (board, &mut self.effects)
    }

    /// Counts one agent's instance of a service anew; `None` takes it away.
    pub(crate) fn count(&mut self, agent: &Arc<str>, service: &Arc<str>, instance: Option<Instance>) {
        let at_ms = self.now.wall_ms;
        let (board, effects) = self.board();
        board.set(agent, service, instance, at_ms, effects);
    }

    /// Whether each of these services would be up without this agent.
    pub(crate) fn is_up_without(&mut self, services: &[Arc<str>], agent: &str) -> bool {
        let (board, _) = self.board();
        services.iter().all(|service| board.is_up_without(service, agent))
    }

    /// Adds an event about an agent.
    pub(crate) fn tell(&mut self, what: EventKind, agent: &Arc<str>) {
        self.effects.events.push(Event::new(what, self.now.wall_ms).agent(agent));
    }

    /// Publishes what came about and ends the step. Whoever made it on an agent still holds that agent's lock.
    pub(crate) fn publish(self, outlet: &dyn Outlet) {
        if !self.effects.is_empty() {
            outlet.publish(&self.effects, self.now);
        }
    }
}
