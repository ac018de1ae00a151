//! libFuzzer's way into `entry.rs`. Run it with `cargo +stable fuzz run -s none apply` in `crates/series`.
#![no_main]

#[path = "../entry.rs"]
mod entry;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    entry::exercise(bytes);
});
