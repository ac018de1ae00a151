//! OTLP as a collector made of the official packages receives it: records, a trace over two processes, metrics; and what
//! a collector that is late, hangs or is not there costs.

mod collector;
mod outage;
mod received;
mod settings;
