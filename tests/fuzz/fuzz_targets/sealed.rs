//! libFuzzer's way into `entry/sealed.rs`.
#![no_main]

#[path = "../entry/sealed.rs"]
mod sealed;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    sealed::exercise(bytes);
});
