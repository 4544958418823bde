//! Operations on sessions of every protocol, through the recorder, against that protocol's model.
#![no_main]

#[path = "../models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|data: &[u8]| models::session::run(data));
