#![doc = include_str!("../README.md")]

mod block;
mod bucket;
mod columns;
mod encoding;
mod envelope;
mod fold;
mod number;
mod range;
mod reduce;
mod rollup;
mod sealed;
mod sealer;

pub use block::{Applied, BlockError};
pub use bucket::Bucket;
pub use columns::{Columns, NotHeld, Pick};
pub use encoding::{Encoding, UnknownEncoding};
pub use envelope::SealedError;
pub use fold::{Fold, NeedsSamples};
pub use number::NumberFault;
pub use range::{MAX_POINTS, Point, RangeError, reduce_steps, steps};
pub use reduce::{Reduce, UnknownReduce, reduce};
pub use rollup::{Mismatch, Rolled, Rollup, SealedRollup};
pub use sealed::Sealed;
pub use sealer::{Full, Sealer};
