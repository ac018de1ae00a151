//! Numbers over time, pure: the lossless block codec, ranges and reductions.
