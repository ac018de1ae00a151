//! Alert rules, pure: what is alerted, when, what is held back and who is told. No clock is read, nothing is sent and
//! nothing is stored: every decision is a function of what was observed and of `now`, so that the past can be replayed
//! through the same code as the present.
//!
//! The words: a [`Rule`] looks at *elements* (a series of an agent, a component of an agent, a service, …). An element's
//! [`Level`] steps its life: pending, firing, resolved. Elements that agree in the rule's `by` labels are one *alert*,
//! and alerts that a route groups are one *conversation* with a receiver.

mod compile;
mod labels;
mod level;
mod moment;
mod observation;
mod pattern;
mod rule;
mod window;

pub use compile::{CompileError, ConditionError, Judged, Program, Ruleset, SourceShape};
pub use labels::Labels;
pub use level::{Ending, Level, Severity};
pub use moment::Moment;
pub use observation::{ComponentSeen, Is, Observation, Reading, Shown, Standing};
pub use pattern::{Matcher, Pattern, PatternError};
pub use rule::{
    AgentCondition, AlertId, Condition, Dependency, Flap, Judge, MonitorCondition, Operator, Reduction, Rule,
    Subject,
};
pub use window::Window;
