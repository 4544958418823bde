//! Any bytes as a PROXY header and as a proxy's header fields: pieces change nothing, and nobody invents an address.
#![no_main]

#[path = "../models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| models::proxies::check(bytes));
