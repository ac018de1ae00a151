//! Any bytes as a configuration. See README.md for how it is run.
#![no_main]

#[path = "../entry/config.rs"]
mod config;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    config::exercise(bytes);
});
