//! Telling people: a [`Message`] goes to a [`Receiver`]. When it is told, again and to whom, is decided elsewhere;
//! here is what a message holds, how each kind of receiver writes it, and which addresses may be spoken to.

pub mod egress;
mod message;
pub mod receivers;
mod template;
mod text;
mod wording;

pub use message::{AlertWord, Listed, Message, Why};
pub use receivers::{Failure, Receiver, Sent};
pub use template::{Facts, TemplateError, Templates};
