//! T9: what proves that somebody knows a secret is compared in constant time. Time itself shows that only to thousands of
//! measurements on a quiet machine, so this reads the source: each place that makes such a proof is known here, with the
//! function of the library that compares it, and nothing else compares what such a place makes.

use std::fs;
use std::path::{Path, PathBuf};

/// The only files with keyed hashes, and how often each has them compared: the third derives keys and compares nothing.
const KEYED: [(&str, &str, usize); 3] = [
    ("access/crypto.rs", "hmac::verify(", 1),
    ("protocol/link/proof.rs", ".verify_slice(", 2),
    ("hub/shared.rs", "verify", 0),
];

/// What would make a keyed hash, and what would take one apart to be compared by other means.
const MAKES: [&str; 4] = ["Hmac<", "hmac::", "HMAC_SHA", "Blake"];
const TAKES_APART: [&str; 3] = ["== mac", "== proof", "== signature"];

fn sources(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("our own source") {
        let path = entry.expect("our own source").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            found.push(path);
        }
    }
}

/// The code of a file, without comments and unit tests.
fn code(path: &Path) -> String {
    let text = fs::read_to_string(path).expect("our own source");
    let text = text.split("#[cfg(test)]").next().unwrap_or_default();
    text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

#[test]
fn t09_proofs_are_compared_in_constant_time() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let mut seen = 0;
    for path in paths {
        let name = path.strip_prefix(&root).expect("below it").to_str().expect("ASCII").to_owned();
        if name.contains("tests") {
            continue;
        }
        let code = code(&path);
        let Some((_, compares, times)) = KEYED.iter().find(|(file, ..)| *file == name) else {
            let made = MAKES.iter().find(|make| code.contains(**make));
            assert_eq!(made, None, "{name} makes keyed hashes: how are they compared?");
            continue;
        };
        seen += 1;
        assert_eq!(code.matches(compares).count(), *times, "{name}: {compares}");
        for apart in TAKES_APART {
            assert!(!code.contains(apart), "{name}: {apart}");
        }
        // What is made to be said is bytes; what is compared never is.
        for line in code.lines().filter(|line| line.contains("finalize()") || line.contains("hmac::sign(")) {
            assert!(!line.contains("==") && !line.contains("!="), "{name}: {line}");
        }
    }
    assert_eq!(seen, KEYED.len(), "a file is gone");
}
