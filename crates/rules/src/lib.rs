//! Alert rules, pure: what is alerted, when, what is held back and who is told. No clock is read, nothing is sent and
//! nothing is stored: every decision is a function of what was observed and of `now`, so that the past can be replayed
//! through the same code as the present.
//!
//! The words: a [`Rule`] looks at *elements* (a series of an agent, a component of an agent, a service, …). An element's
//! [`Level`] steps its life: pending, firing, resolved. Elements that agree in the rule's `by` labels are one *alert*,
//! and alerts that a route groups are one *conversation* with a receiver.

mod book;
mod calendar;
mod compile;
mod group;
mod incident;
mod judge;
mod labels;
mod level;
mod moment;
mod mute;
mod observation;
mod output;
mod pattern;
mod replay;
mod route;
mod rule;
mod step;
mod suppress;
mod window;

pub use book::{
    AlertHead, AlertShown, AlertState, Away, Book, ELEMENTS_AT_MOST, ElementCounts, Explanation,
    NAMED_AT_MOST, Orders, SavedBook, TalkShown, ToldOf,
};
pub use calendar::{CalendarError, Days, Recurring, Schedule, Span, TimeOfDay, Zone};
pub use compile::{CompileError, ConditionError, Program, Reading, Ruleset, SourceShape, joined};
pub use group::{
    Belief, Conversation, Notice, Over, Saved as SavedConversation, Standing, Voiced, Waiting, Why,
};
pub use incident::{ALERTS_AT_MOST, Entry, EntryKind, Incident};
pub use labels::Labels;
pub use level::{Ending, Level, Severity};
pub use moment::Moment;
pub use mute::{
    Acknowledged, Acknowledgement, InForce, MUTES_AT_MOST, MuteError, Muted, MutedBy, Silence, SilenceState,
    Window, WindowMode, check_author, muted, next_mute_change, read_matchers, room_for_mute,
};
pub use observation::{ComponentSeen, Evidence, Is, Measured, Observation, Shown};
pub use output::{
    Act, AlertChange, AlertEvent, AlertView, ConversationId, ElementId, ElementView, Keep, MuteView, Output,
    SavedAlert, SavedElement, SavedHold, Seen, Telling,
};
pub use pattern::{Matcher, Pattern, PatternError};
pub use replay::{Meter, Replay, Told, replay};
pub use route::{DEFAULT_GROUP_BY, GroupBy, Lane, PartialWaits, Route, RouteError, Tree, Waits};
pub use rule::{
    AgentCondition, AlertId, Condition, Dependency, Flap, Judge, MonitorCondition, Operator, Reduction, Rule,
    Subject,
};
pub use step::{Input, Life, Phase, Saved as SavedLife, Timing, Turn, Turns};
pub use suppress::{Graph, GraphError, HOLDERS_NAMED, Held, Holder, Suppressor};
