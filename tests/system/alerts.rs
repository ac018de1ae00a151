//! Alerting with real processes: from what a check sees to what a receiver is told, through crashes, restarts, reloads and
//! receivers and stores that fail. What rules, groups and ledger decide is tested where they are; here it is whether the
//! right words come out at the end.

#![allow(clippy::unwrap_used, reason = "what breaks fails its test")]

mod crash_points;
