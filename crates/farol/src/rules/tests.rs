//! `farol rules` as it is called.
