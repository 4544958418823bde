//! Attacks that other projects fell to, by their stable numbers (T…): each must fail when its defence is taken out.
//!
//! The long ones (10,000 sockets, a gigabyte, ten million of anything) run with `JACKFIELD_TEST_LONG=1`, those through a
//! real nginx and HAProxy with `JACKFIELD_TEST_PROXIES=1`, those between machines with `JACKFIELD_TEST_LAN=1`. All numbers,
//! and where they are; a file here is named after its numbers, `(unit)` stands beside the code:
//!
//! | T | where |
//! |---|---|
//! | 1, 6 | here; as tables: `conformance/` (`refusals`, `framing`, `control`) |
//! | 2 | here |
//! | 3 | not applicable: no extension is ever negotiated, so none has parameters |
//! | 4, 39 | here; `limits`, `network`, `conformance/` (`fragments`, `limits`) |
//! | 5 | here (with 1); `conformance/` (`close`) |
//! | 7 | here; `http::upgrade` (unit) |
//! | 8 | here; `handshake`, `http_tables`, `memory_ceiling` (`who_…`), `timeouts`, `tls`, `lan/` |
//! | 9 | here |
//! | 10, 25 | here; as tables: `http_guard`; `handshake`, `engine_io/` (`browsers`), `admin` |
//! | 11 | here; `engine_io/` (names of sessions), `proxies`; `hub::pairs::guesses`, `protocol::webshare` (unit) |
//! | 12 | `engine_io/` (`hostile`, `protocol`), `models`, `fuzz/`, `protocol::p2p` (unit) |
//! | 13 | `engine_io/` (`bounds`, `bodies`, `protocol`); `protocol::p2p` (unit) |
//! | 14, 15 | `bridge_targets`, `bridge_properties`, `tcp`, `access/`, `lan/` |
//! | 16 | `access/`; `access` (unit) |
//! | 17, 35 | `access` (unit), `access/` |
//! | 18 | here; `http_tables`, `http`, `engine_io/` (`bodies`) |
//! | 19 | `limits`, `tls_program`, `access/` (`secrets`) |
//! | 20 | `access/`; `access` (unit) |
//! | 21 | `access/` |
//! | 22 | `access/`, `limits`; files that hold keys: `tls_program` |
//! | 23, 32 | `limits`, `pocket`, `logging`, `engine_io/` (`errors`); `discovery::announcement`, `server::usage` (unit) |
//! | 24 | here; `http` |
//! | 26 | `admin`, `browser/` |
//! | 27, 29, 33 | `links`, `network`, `access/` (`devices`), `lan/`; `discovery` (unit) |
//! | 28 | `resolve`, `links`: threads and attempts are bounded; clients have none of their own |
//! | 30 | here (with 2); `tls`, `memory_ceiling` |
//! | 31 | here; `http`, `pocket` |
//! | 34 | `access` (unit), `access/` |
//! | 36 | here; `limits` |
//! | 37 | `access/` (`secrets`) |
//! | 38, 42 | not applicable: there is no backplane and no client of TLS; links between servers are at 33 |
//! | 40 | `tls`; `net::tls` (unit) |
//! | 41 | `named`, `admin` (a client is closed by a name that no later one has), `links`; `net::timer` (unit) |
//! | slow consumers, the ceiling | `memory_ceiling`, `backpressure`, `limits` |
//! | whom limits count | `proxies`; `net::proxy`, `net::listener` (unit) |

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
