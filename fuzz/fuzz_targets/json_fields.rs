//! Any text: the scanner agrees with `serde_json` about what is JSON and what its members are.
#![no_main]

#[path = "../models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|text: &str| models::json::check(text));
