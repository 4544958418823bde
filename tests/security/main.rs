//! Attacks that other projects fell to, by their stable numbers (T…): each must fail when its defence is taken out.
//!
//! The long ones (10,000 sockets, a gigabyte, ten million of anything) run with `JACKFIELD_TEST_LONG=1`, those through a
//! real nginx and HAProxy with `JACKFIELD_TEST_PROXIES=1`. Beside what is here, these are elsewhere, under their numbers:
//!
//! | T | where |
//! |---|---|
//! | 1, 5, 6, 39 | `conformance/` (`refusals`, `close`, `limits`); memory: `limits` |
//! | 8, 18 | heads and handshakes as tables: `http_tables`, `handshake`, `http` |
//! | 10, 25 | the rules as tables: `http_guard`; over sockets: `handshake` |
//! | 11 | keys: `hub::ids`, `hub::pairs`, and the budget of guesses: `protocol::webshare` |
//! | 12 | `fuzz/` and `models` |
//! | 14, 15 | `bridge_targets`, `bridge_properties` |
//! | 19 | no descriptor left: `limits` |
//! | 22, 36 | `limits` |
//! | 23, 32 | names: `limits`, `pocket`; the log: `logging` |
//! | 24 | `http` |
//! | 41 | `named` |
//! | slow consumers, the ceiling | `memory_ceiling`, `backpressure` |
//! | whom limits count | `proxies` |

#[path = "../common/mod.rs"]
mod common;

mod t01_t06_frames;
mod t02_t30_floods;
mod t04_t39_fragments;
mod t07_headers;
mod t08_crowds;
mod t09_secrets;
mod t10_t25_pages;
mod t11_ids;
mod t18_proxies;
mod t18_smuggling;
mod t24_paths;
mod t31_switched_off;
mod t36_queries;

/// Whether the long form is asked for.
fn is_long() -> bool {
    std::env::var_os("JACKFIELD_TEST_LONG").is_some()
}
