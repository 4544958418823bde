//! A whole server over lines in memory, and clients of every kind, against what must hold for each of them.
#![no_main]

#[path = "../models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|data: &[u8]| models::server::run(data));
