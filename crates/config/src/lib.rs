//! A file, the environment and flags become a checked value or a list of problems.
