//! What the processes write: formats, where lines go, and what must never be in them.

mod correlation;
mod gelf;
mod otlp;
mod secrets;
