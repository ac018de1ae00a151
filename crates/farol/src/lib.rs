//! The operator command and the standalone process.
