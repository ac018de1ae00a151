//! The commands about alerts, against a monitor's answers.
