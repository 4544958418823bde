//! Any text as a token, as signed claims, as a key file and as a list of revoked tokens.
#![no_main]

#[path = "../models/mod.rs"]
mod models;

libfuzzer_sys::fuzz_target!(|text: &str| models::token::check(text));
