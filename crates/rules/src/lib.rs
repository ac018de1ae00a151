//! Alert rules, pure: what is alerted, when, what is held back and who is told. No clock is read, nothing is sent and
//! nothing is stored: every decision is a function of what was observed and of `now`, so that the past can be replayed
//! through the same code as the present.
//!
//! The words: a [`Rule`] looks at *elements* (a series of an agent, a component of an agent, a service, …). An element's
//! [`Level`] steps its life: pending, firing, resolved. Elements that agree in the rule's `by` labels are one *alert*,
//! and alerts that a route groups are one *conversation* with a receiver.

mod group;
mod labels;
mod level;
mod moment;
mod pattern;
mod route;
mod rule;

pub use group::{Belief, Conversation, Notice, Over, Saved, Standing, Voiced, Waiting, Why};
pub use labels::Labels;
pub use level::{Ending, Level, Severity};
pub use moment::Moment;
pub use pattern::{Matcher, Pattern, PatternError};
pub use route::{DEFAULT_GROUP_BY, GroupBy, Lane, PartialWaits, Route, RouteError, Tree, Waits};
pub use rule::{
    AgentCondition, AlertId, Condition, Dependency, Flap, Judge, MonitorCondition, Operator, Reduction, Rule,
    Subject,
};
