//! The house rule: a file imports only from layers below its own, and layers 1 and 2 do not know each other.

use std::fs;
use std::path::{Path, PathBuf};

/// What each module may import beside itself, `config`, which is plain data, and `memory`, which only counts. `json` knows nothing of `frame`: codecs
/// do not build on each other.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    // Hosts of targets are read as HTTP reads them.
    ("access", &["http"]),
    ("frame", &[]),
    ("http", &[]),
    ("json", &[]),
    ("net", &["frame", "http", "json"]),
    ("hub", &["frame", "http", "json"]),
    ("protocol", &["access", "frame", "http", "json", "hub"]),
    ("discovery", &["hub"]),
    ("server", &["access", "frame", "http", "json", "net", "hub", "protocol", "discovery", "assets"]),
    ("assets", &[]),
    ("config", &[]),
    ("memory", &[]),
    ("cli", &["access", "http", "net"]),
    ("main", &["cli", "server"]),
    (
        "lib",
        &[
            "access",
            "assets",
            "cli",
            "discovery",
            "frame",
            "http",
            "hub",
            "json",
            "memory",
            "net",
            "protocol",
            "server",
        ],
    ),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).expect("the sources are here").map(|entry| entry.expect("readable").path());
    entries
        .flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] })
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .collect()
}

/// The top-level modules that a line of code names, documentation and strings aside.
fn imports(line: &str) -> Vec<&str> {
    let code = line.trim_start();
    if code.starts_with("//") {
        return Vec::new();
    }
    let starts = code.match_indices("crate::").chain(code.match_indices("jackfield::"));
    let is_quoted = |at: usize| code[..at].matches('"').count() % 2 == 1;
    starts
        .filter(|(at, _)| !is_quoted(*at))
        .map(|(at, prefix)| {
            let rest = &code[at + prefix.len()..];
            &rest[..rest.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(rest.len())]
        })
        .collect()
}

#[test]
fn files_import_from_below_only() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut checked = 0;
    for path in sources(&root) {
        let inside = path.strip_prefix(&root).expect("listed below it");
        let module = inside.iter().next().expect("a name").to_str().expect("UTF-8").trim_end_matches(".rs");
        let (_, allowed) = MAY_IMPORT
            .iter()
            .find(|(name, _)| *name == module)
            .unwrap_or_else(|| panic!("{} is in no layer; say in which", inside.display()));
        let text = fs::read_to_string(&path).expect("readable");
        for (number, line) in text.lines().enumerate() {
            for import in imports(line) {
                checked += 1;
                assert!(
                    import == module || import == "config" || import == "memory" || allowed.contains(&import),
                    "{}:{}: {module} must not import {import}",
                    inside.display(),
                    number + 1
                );
            }
        }
    }
    assert!(checked > 50, "the test found hardly an import and must be looking in the wrong place");
}

#[test]
fn no_file_is_too_long_to_read() {
    for path in sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src")) {
        let lines = fs::read_to_string(&path).expect("readable").lines().count();
        assert!(lines < 700, "{} has {lines} lines", path.display());
    }
}
