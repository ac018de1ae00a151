#![doc = include_str!("../README.md")]

mod block;
mod columns;
mod encoding;
mod number;
mod range;
mod reduce;

pub use block::{Applied, BlockError};
pub use columns::{Columns, NotHeld};
pub use encoding::{Encoding, UnknownEncoding};
pub use number::NumberFault;
pub use range::{MAX_POINTS, Point, RangeError, reduce_steps, steps};
pub use reduce::{Reduce, UnknownReduce, reduce};
