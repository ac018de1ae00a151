//! Telling people: a [`Message`] goes to a [`Receiver`]. What is told, and to whom, is decided elsewhere; here is what a
//! message holds, how each kind of receiver writes it, which addresses may be spoken to, and that what is due is sent:
//! the [`Dispatcher`].

mod backoff;
mod dispatch;
pub mod egress;
mod ledger;
mod message;
mod queue;
pub mod receivers;
mod template;
mod text;
mod wording;

pub use dispatch::{Attempt, Dispatcher, LaneStats, Outcome, READ_AT_ONCE, ResendError, Waiting, Watch};
pub use ledger::{Due, Letter, NoticeRecord, Verdict};
pub use message::{AlertWord, Listed, Message, Why};
pub use receivers::{Failure, Receiver, Sent};
pub use template::{Facts, TemplateError, Templates};
