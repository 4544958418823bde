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
//! | 12 | here; `engine_io/` (`hostile`, `protocol`), `models`, `fuzz/` (`server`: all of it), `protocol::p2p` (unit) |
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
//! | 40 | here; `tls`, `simulation` (what one turn may cost); `net::tls` (unit) |
//! | 41 | `named`, `admin` (a client is closed by a name that no later one has), `tcp`, `access/` (`devices`), `links`; `net::timer` (unit) |
//! | slow consumers, the ceiling | `memory_ceiling`, `backpressure`, `limits` |
//! | whom limits count | `proxies`; `net::proxy`, `net::listener` (unit) |
//!
//! In the order in which they must exist, what each family needs and which test fails without it:
//!
//! | family | without | fails |
//! |---|---|---|
//! | T31 | the gate of a path, of a root, of a first message, of polling | `t31_…` |
//! | T14, T15 | any one entry of the table of addresses; any one field of a rule; the judgement of what a lookup brought; our own listeners | `t14_…`, `t15_…`, `forbidden_targets_name_the_option` |
//! | T1, T6 | any one rule of a frame's header or of a close | `t01_t06_…` |
//! | T4, T39 | the count of fragments, empty ones too; the sum over them; growing with what came; the share of a turn | `t04_…`, `t39_…` |
//! | T2, T30 | no extension; the limit of a head, of what comes before a token, of a handshake of TLS; throwing away what follows a refusal | `t02_…`, `t30_…`, `t22_…` |
//! | T8 | each deadline; the limit per address; looking at a head once; the share of a turn for many, for each, for deadlines, for requests, for who leaves; turns in name lookups | `t8_…`, `t08_…`, `who_…`, `timeouts`, `simulation`, `resolve`, `net::reactor` (unit) |
//! | T10, T25 | Host; Origin on each way in; ports, suffixes, null; the own page of an operator | `t10_…`, `t25_…` |
//! | T23, T32 | characters and lengths of names; escapes in the log and in JSON; a key in a name's place | `t23_…`, `t26_…`, `with_a_secret_the_name_is_nowhere` |
//! | T27, T33 | who holds an id; whose announcement it was; both proofs of a link; neighbours only | `t27_…`, `t33_…`, `links` |
//! | T11 | the system's generator; all bits of it; the budget, asked before the key is looked for | `t11_…` |
//! | T18 | any one refusal of a doubtful head; closing behind a refused upgrade | `t18_…` |
//! | T12, T40 | counts and sums of attachments; what may be missing from a packet; the budget of handshakes | `engine_io`, `protocol::p2p`, `net::tls`, `simulation` |
//! | T21, T34 | any one question to the grant; the end of time, of a key, of a list; dropping what is queued | `t21_…`, `t34_…`, `…_permit_what_is_written` |
//! | T16, T17, T19, T20, T35 | signature, issuer, audience, time; opening after the token; keeping what was in force | `t16_…` to `t20_…`, `t35_…` |
//! | slow consumers | refusing when memory is tight; who does not finish a message, the slowest, then the largest, and no more than it takes; pausing; what the system takes for one; counting what devices and links keep; the descriptor in reserve | `memory_ceiling`, `backpressure`, `tcp`, `links`, `limits`, `simulation` |

#[path = "../common/mod.rs"]
mod common;

mod dice;
#[path = "../../fuzz/models/grammar.rs"]
mod grammar;
#[path = "../../fuzz/models/input.rs"]
mod input;

mod t01_t06_frames;
mod t02_t30_floods;
mod t04_t39_fragments;
mod t07_headers;
mod t08_crowds;
mod t09_secrets;
mod t10_t25_pages;
mod t11_ids;
mod t12_grammar;
mod t18_proxies;
mod t18_smuggling;
mod t24_paths;
mod t31_switched_off;
mod t36_queries;
#[cfg(feature = "tls")]
mod t40_tls;

/// Whether the long form is asked for.
fn is_long() -> bool {
    std::env::var_os("JACKFIELD_TEST_LONG").is_some()
}
