//! A file, the environment and flags become a checked value or a list of problems.
//!
#![doc = include_str!("../README.md")]

mod map;
mod node;
mod parse;
mod problem;
mod quantity;
mod secret;
mod source;
mod suggest;
mod taken;
mod tree;
mod url;

pub use map::{DefaultFor, Field, Map};
pub use problem::{Origin, Problem, Problems};
pub use secret::Secret;
pub use source::Sources;
pub use tree::Tree;
pub use url::{HostPort, Url};
