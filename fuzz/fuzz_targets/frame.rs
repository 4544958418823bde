//! Any bytes in any pieces: no panic, pieces change nothing, and tungstenite's own context says the same of them.
#![no_main]

#[path = "../../tests/oracle/mod.rs"]
mod oracle;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    // The first bytes say how the rest is cut.
    let Some((count, data)) = data.split_first() else { return };
    let (cuts, bytes) = data.split_at(usize::from(*count % 8).min(data.len()));
    let pieces: Vec<usize> = cuts.iter().map(|cut| usize::from(*cut)).collect();
    oracle::compare(bytes, &pieces);
});
