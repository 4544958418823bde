//! The rows of the table. Layer 3.

use std::path::{Path, PathBuf};

use super::{Group, Kind, Setting};
use crate::cli::units::Unit;
use crate::cli::{access, bridge, lan, listen};
use crate::http::guard::{is_host, is_origin};

/// A number of `config.limits`. The ranges fit 32 bits, so that nothing is cut on small machines.
macro_rules! limit {
    ($unit:ident, $field:ident, $least:expr, $most:expr) => {
        Kind::Number {
            unit: Unit::$unit,
            range: ($least, {
                const { assert!($most <= u32::MAX as u64) };
                $most
            }),
            or_zero: false,
            get: |settings| settings.config.limits.$field as u64,
            set: |settings, number| settings.config.limits.$field = number as _,
        }
    };
}

/// A time of `config.limits`.
macro_rules! time {
    ($field:ident, $least:expr, $most:expr) => {
        time!($field, $least, $most, false)
    };
    ($field:ident, $least:expr, $most:expr, or_zero) => {
        time!($field, $least, $most, true)
    };
    ($field:ident, $least:expr, $most:expr, $zero:literal) => {
        Kind::Number {
            unit: Unit::Time,
            range: ($least, $most),
            or_zero: $zero,
            get: |settings| u64::try_from(settings.config.limits.$field.as_millis()).unwrap_or(u64::MAX),
            set: |settings, number| settings.config.limits.$field = std::time::Duration::from_millis(number),
        }
    };
}

const KIB: u64 = 1 << 10;
const GIB: u64 = 1 << 30;
/// More sockets, frames or tries than any machine of today has.
const MANY: u64 = 10_000_000;
/// What the parser of requests makes room for (`http::request::MAX_HEADERS`).
const MOST_HEADERS: u64 = 256;
/// Timers pass up to a tenth of a second late, so shorter ones would not mean what they say.
const SHORT_MS: u64 = 100;
const SECOND_MS: u64 = 1_000;
const HOUR_MS: u64 = 3_600 * SECOND_MS;

/// Every option but `--config`, which says where to look for the others.
pub(in crate::cli) const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        short: None,
        group: Group::General,
        doc: "Where to listen. HOST is an address, a name, or * for every IPv4 address; port 0 takes a free one. ROOT \
              says who answers at `/`: auto (the client's first message decides), webshare, pocket (which clients \
              that only listen need), ws2s, named (nobody), or network (nobody, and `/NAME` is `/network/NAME`). With \
              tls+ in front, clients speak TLS: https:// and wss:// (--tls-cert).",
        kind: Kind::List {
            placeholder: "[tls+][ROOT@]HOST:PORT",
            continues: never,
            get: |settings| settings.listen.iter().map(ToString::to_string).collect(),
            set: |settings, texts| {
                settings.listen = texts
                    .iter()
                    .map(|text| listen::read(text).map_err(|wrong| about(text, texts, wrong)))
                    .collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        name: "classic",
        short: None,
        group: Group::General,
        doc: "Opens the ports of the original servers as well, on every host of --listen: 9000 with the root webshare, \
              8001 with the root pocket, 9009 with the root named, 3613 with the root ws2s; without TLS, as their clients.",
        kind: Kind::Switch { get: |settings| settings.classic, set: |settings, on| settings.classic = on },
    },
    Setting {
        name: "admin",
        short: None,
        group: Group::General,
        doc: "Where administrators connect, in place of this machine's programs on every listener: whoever reaches it sees \
              who is connected and may close clients (`/console`, `/metrics`, `/livez`, `/readyz`, `/api/...`).",
        kind: Kind::List {
            placeholder: "HOST:PORT",
            continues: never,
            get: |settings| settings.admin.iter().map(ToString::to_string).collect(),
            set: |settings, texts| {
                settings.admin = texts
                    .iter()
                    .map(|text| listen::read_plain(text).map_err(|wrong| about(text, texts, wrong)))
                    .collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        name: "tls-cert",
        short: None,
        group: Group::General,
        doc: "The certificate that tls+ listeners show, in PEM, with those behind it that lead to a known authority. HUP \
              has it and its key read again. `jackfield generate cert` makes one for a local network.",
        kind: Kind::Text {
            placeholder: "FILE",
            get: |settings| written(settings.config.tls_cert.as_deref()),
            set: |settings, text| {
                settings.config.tls_cert = path(text)?;
                Ok(())
            },
        },
    },
    Setting {
        name: "tls-key",
        short: None,
        group: Group::General,
        doc: "The private key of that certificate, in PEM, without a passphrase. Nobody but the server should be able to \
              read it.",
        kind: Kind::Text {
            placeholder: "FILE",
            get: |settings| written(settings.config.tls_key.as_deref()),
            set: |settings, text| {
                settings.config.tls_key = path(text)?;
                Ok(())
            },
        },
    },
    Setting {
        name: "verbose",
        short: Some('v'),
        group: Group::General,
        doc: "What is logged: 0 warnings and the server's own life, 1 (-v) connections with the reasons why they end and \
              how much who says in pocket rooms, 2 (-vv) everything, the first 200 bytes of pocket messages included.",
        kind: Kind::Counted {
            most: 2,
            get: |settings| settings.config.verbose,
            set: |settings, number| settings.config.verbose = number,
        },
    },
    Setting {
        name: "allow-origin",
        short: None,
        group: Group::Access,
        doc: "Web pages that may connect, beside this server's own: https://example.com, null, or * for all. Keeps \
              foreign pages from driving this server through a visitor's browser.",
        kind: Kind::List {
            placeholder: "ORIGIN",
            continues: never,
            get: |settings| settings.config.allow_origin.clone(),
            set: |settings, texts| {
                let form = "expected SCHEME://HOST or SCHEME://HOST:PORT without a path, null, or * for all";
                settings.config.allow_origin = checked(texts, form, is_origin)?;
                Ok(())
            },
        },
    },
    Setting {
        name: "allow-host",
        short: None,
        group: Group::Access,
        doc: "Host names that requests may use, beside localhost, this machine's own and any address: example.com, \
              *.example.com, or * for all. Prevents DNS rebinding.",
        kind: Kind::List {
            placeholder: "HOST",
            continues: never,
            get: |settings| settings.config.allow_host.clone(),
            set: |settings, texts| {
                let form = "expected HOST or HOST:PORT without a scheme, *.DOMAIN, or * for all";
                settings.config.allow_host = checked(texts, form, is_host)?;
                Ok(())
            },
        },
    },
    Setting {
        name: "token-key",
        short: None,
        group: Group::Access,
        doc: "A file with a key that tokens may be signed with: a secret of 32 bytes or more (HS256), or a public Ed25519 \
              key in PEM. KID is the tokens' `kid` (without it, the file's name up to its first dot), ISSUER their `iss`. \
              With a key, whoever connects must show a token; see Access.",
        kind: Kind::List {
            placeholder: "[KID[@ISSUER]=]FILE",
            continues: never,
            get: |settings| settings.config.token_key.iter().map(access::written).collect(),
            set: |settings, texts| {
                let read = |text: &&str| access::key(text).map_err(|wrong| about(text, texts, wrong));
                settings.config.token_key = texts.iter().map(read).collect::<Result<_, _>>()?;
                Ok(())
            },
        },
    },
    Setting {
        name: "token-revoked",
        short: None,
        group: Group::Access,
        doc: "A file that lists tokens which are worth nothing any more: the `jti` or the `sub` of one on each line. HUP \
              reads it and the keys again; sessions under such a token end.",
        kind: Kind::List {
            placeholder: "FILE",
            continues: never,
            get: |settings| settings.config.token_revoked.iter().map(|path| path.display().to_string()).collect(),
            set: |settings, texts| {
                settings.config.token_revoked = texts.iter().map(PathBuf::from).collect();
                Ok(())
            },
        },
    },
    Setting {
        name: "token-in-query",
        short: None,
        group: Group::Access,
        doc: "A token may stand in the URL (?token=JWT), where the logs of proxies keep it.",
        kind: Kind::Switch {
            get: |settings| settings.config.token_in_query,
            set: |settings, on| settings.config.token_in_query = on,
        },
    },
    Setting {
        name: "anonymous",
        short: None,
        group: Group::Access,
        doc: "What may be done without a token where --token-key asks for one: pair, publish=PATTERN, subscribe=PATTERN, \
              device=PATTERN, tcp=TARGET, or all. Without it, nothing.",
        kind: Kind::List {
            placeholder: "CAPABILITY",
            continues: never,
            get: |settings| settings.config.anonymous.clone(),
            set: |settings, texts| {
                settings.config.anonymous = access::anonymous(texts)?;
                Ok(())
            },
        },
    },
    Setting {
        name: "token-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a client may take to show its token, once it is connected.",
        kind: time!(token_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "bridge-allow",
        short: None,
        group: Group::Bridge,
        doc: "Where clients may connect to through this server: example.com:443, *.example.com:80,8000-8100, *:443 for \
              every public host, 127.0.0.1:6379, 10.0.0.0/8:* or [fd00::]/8:22. Names open public addresses only; \
              addresses inside must be listed as such. Without it there is no bridge.",
        kind: Kind::List {
            placeholder: "HOST:PORTS",
            continues: bridge::continues,
            get: |settings| settings.config.bridge_allow.clone(),
            set: |settings, texts| {
                for text in texts {
                    bridge::check(text).map_err(|wrong| about(text, texts, wrong))?;
                }
                settings.config.bridge_allow = texts.iter().map(ToString::to_string).collect();
                Ok(())
            },
        },
    },
    Setting {
        name: "bridge-name",
        short: None,
        group: Group::Bridge,
        doc: "A target with a name of its own, for `/tcp/NAME`: redis=127.0.0.1:6379. It needs no entry in \
              --bridge-allow and may have any address.",
        kind: Kind::List {
            placeholder: "NAME=HOST:PORT",
            continues: never,
            get: |settings| settings.config.bridge_names.iter().map(bridge::written).collect(),
            set: |settings, texts| {
                let mut targets: Vec<(String, String, u16)> = Vec::new();
                for text in texts {
                    let target = bridge::named(text).map_err(|wrong| about(text, texts, wrong))?;
                    if targets.iter().any(|(name, ..)| *name == target.0) {
                        return Err(format!("the name {} is given twice", target.0));
                    }
                    targets.push(target);
                }
                settings.config.bridge_names = targets;
                Ok(())
            },
        },
    },
    lan::MODE,
    lan::INTERFACE,
    lan::PEER,
    lan::SECRET,
    lan::OFF_LINK,
    Setting {
        name: "presence",
        short: None,
        group: Group::Protocols,
        doc: "Named channels tell every member who comes and goes, as the first namedwebsockets did. Without it only \
              those who ask with ?presence=1 are told.",
        kind: Kind::Switch {
            get: |settings| settings.config.presence,
            set: |settings, on| settings.config.presence = on,
        },
    },
    Setting {
        name: "echo",
        short: Some('e'),
        group: Group::Protocols,
        doc: "Pocket clients get back what they send, after its receipt. Without it only those who ask with ?echo=1 do.",
        kind: Kind::Switch { get: |settings| settings.config.echo, set: |settings, on| settings.config.echo = on },
    },
    Setting {
        name: "device-overwrite",
        short: None,
        group: Group::Protocols,
        doc: "A Socket.IO device that comes with an id that is taken gets it at once, instead of only if the device that \
              has it gives no sign of life within 5 seconds.",
        kind: Kind::Switch {
            get: |settings| settings.config.device_overwrite,
            set: |settings, on| settings.config.device_overwrite = on,
        },
    },
    Setting {
        name: "key-digits",
        short: None,
        group: Group::Protocols,
        doc: "Hexadecimal digits of a WebShare key: few are easy to read aloud, many are hard to guess.",
        kind: Kind::Number {
            unit: Unit::Count,
            range: (4, 32),
            or_zero: false,
            get: |settings| settings.config.key_digits.into(),
            set: |settings, number| settings.config.key_digits = number as u8,
        },
    },
    Setting {
        name: "max-connections",
        short: None,
        group: Group::Limits,
        doc: "Connections held at once; 0 means as many as file descriptors allow.",
        kind: limit!(Count, max_connections, 0, MANY),
    },
    Setting {
        name: "max-per-address",
        short: None,
        group: Group::Limits,
        doc: "Connections from one IPv4 address or IPv6 /64, so that one host cannot take them all; this machine's own \
              are exempt.",
        kind: limit!(Count, max_per_address, 1, MANY),
    },
    Setting {
        name: "handshake-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a client may take to send a whole request head.",
        kind: time!(handshake_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "max-head",
        short: None,
        group: Group::Limits,
        doc: "Bytes of a request head.",
        kind: limit!(Bytes, max_head, 512, 64 * KIB),
    },
    Setting {
        name: "max-headers",
        short: None,
        group: Group::Limits,
        doc: "Header fields of a request.",
        kind: limit!(Count, max_headers, 8, MOST_HEADERS),
    },
    Setting {
        name: "max-message",
        short: None,
        group: Group::Limits,
        doc: "Payload of one message over all its fragments; above it the connection is closed with 1009.",
        kind: limit!(Bytes, max_message, 1, GIB),
    },
    Setting {
        name: "max-fragments",
        short: None,
        group: Group::Limits,
        doc: "Fragments of one message, empty ones included; above it the connection is closed with 1008.",
        kind: limit!(Count, max_fragments, 1, MANY),
    },
    Setting {
        name: "queue-high",
        short: None,
        group: Group::Limits,
        doc: "Bytes waiting for one receiver above which its partner is read no further; below a quarter of it reading \
              goes on.",
        kind: limit!(Bytes, queue_high, 4 * KIB, GIB),
    },
    Setting {
        name: "max-queue",
        short: None,
        group: Group::Limits,
        doc: "Bytes waiting for one member of a channel above which it is closed as too slow (1008), so that it does \
              not hold everybody's memory; at least --queue-high.",
        kind: limit!(Bytes, max_queue, 4 * KIB, GIB),
    },
    Setting {
        name: "control-rate",
        short: None,
        group: Group::Limits,
        doc: "Control frames (pings, mostly) accepted from one client per second.",
        kind: limit!(Count, control_rate, 1, MANY),
    },
    Setting {
        name: "control-burst",
        short: None,
        group: Group::Limits,
        doc: "Control frames accepted from one client at once; above it the connection is closed with 1008.",
        kind: limit!(Count, control_burst, 1, MANY),
    },
    Setting {
        name: "ping-interval",
        short: None,
        group: Group::Limits,
        doc: "Silence after which a client is pinged; 0 never pings.",
        kind: time!(ping_interval, SHORT_MS, 24 * HOUR_MS, or_zero),
    },
    Setting {
        name: "pong-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a pinged client may stay silent before it is dropped.",
        kind: time!(pong_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "close-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a closing client may take for its part of the closing handshake and for what is still queued.",
        kind: time!(close_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "drain-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long TERM and INT wait for queued bytes and closing handshakes; 0 does not wait.",
        kind: time!(drain_timeout, SHORT_MS, HOUR_MS, or_zero),
    },
    Setting {
        name: "max-name",
        short: None,
        group: Group::Limits,
        doc: "Bytes of the name of a channel or a room, or of a device's id.",
        kind: limit!(Count, max_name, 1, 255),
    },
    Setting {
        name: "guess-burst",
        short: None,
        group: Group::Limits,
        doc: "Wrong pairing keys that one address may try at once, so that keys cannot be scanned; this machine's own \
              are exempt.",
        kind: limit!(Count, guess_burst, 1, MANY),
    },
    Setting {
        name: "guess-interval",
        short: None,
        group: Group::Limits,
        doc: "Time after which an address may try one more wrong key.",
        kind: time!(guess_interval, 1, HOUR_MS),
    },
    Setting {
        name: "max-bridges",
        short: None,
        group: Group::Limits,
        doc: "TCP connections of all clients through the bridge; 0 means as many as connections are allowed.",
        kind: limit!(Count, max_bridges, 0, MANY),
    },
    Setting {
        name: "max-bridges-per-address",
        short: None,
        group: Group::Limits,
        doc: "TCP connections through the bridge of the clients of one IPv4 address or IPv6 /64; this machine's own are \
              exempt.",
        kind: limit!(Count, max_bridges_per_address, 1, MANY),
    },
    Setting {
        name: "dial-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long it may take to reach a target of the bridge, from looking up its name to an open connection.",
        kind: time!(dial_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "bridge-idle",
        short: None,
        group: Group::Limits,
        doc: "Silence in both directions after which a TCP connection of the bridge is closed; 0 never closes it.",
        kind: time!(bridge_idle, SHORT_MS, 24 * HOUR_MS, or_zero),
    },
    Setting {
        name: "device-ping-interval",
        short: None,
        group: Group::Limits,
        doc: "How often Socket.IO clients and the server assure each other that they are there.",
        kind: time!(device_ping_interval, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "device-ping-timeout",
        short: None,
        group: Group::Limits,
        doc: "How much later than that a silent Socket.IO client is given up, and its id is free again.",
        kind: time!(device_ping_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "max-attachments",
        short: None,
        group: Group::Limits,
        doc: "Binary attachments of one Socket.IO event; above it the connection is closed. Together they may be as long \
              as one message (--max-message).",
        kind: limit!(Count, max_attachments, 1, MANY),
    },
    Setting {
        name: "call-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a device may take to answer the call of another.",
        kind: time!(call_timeout, SHORT_MS, HOUR_MS),
    },
    Setting {
        name: "max-calls",
        short: None,
        group: Group::Limits,
        doc: "Calls of one device that wait for an answer at once.",
        kind: limit!(Count, max_calls, 1, MANY),
    },
    Setting {
        name: "max-rooms",
        short: None,
        group: Group::Limits,
        doc: "Rooms that one device is in, and as many targets and services.",
        kind: limit!(Count, max_rooms, 1, MANY),
    },
    Setting {
        name: "max-links",
        short: None,
        group: Group::Limits,
        doc: "Links of channels with other servers at once, those being opened included.",
        kind: limit!(Count, max_links, 1, MANY),
    },
    Setting {
        name: "max-links-per-peer",
        short: None,
        group: Group::Limits,
        doc: "The same with the servers of one address; each is also one of its connections (--max-per-address).",
        kind: limit!(Count, max_links_per_peer, 1, MANY),
    },
    Setting {
        name: "max-proxies",
        short: None,
        group: Group::Limits,
        doc: "Announcements of other servers' channels that are remembered; the oldest of those that concern nobody here \
              make room.",
        kind: limit!(Count, max_proxies, 1, MANY),
    },
    Setting {
        name: "announcement-rate",
        short: None,
        group: Group::Limits,
        doc: "Announcements of other servers that are looked at per second; further ones are dropped.",
        kind: limit!(Count, announcement_rate, 1, MANY),
    },
    Setting {
        name: "link-ping-interval",
        short: None,
        group: Group::Limits,
        doc: "Silence after which the server at the other end of a link is pinged, so that a cut cable is noticed.",
        kind: time!(link_ping_interval, SHORT_MS, HOUR_MS),
    },
];

/// A path, or none.
fn path(text: &str) -> Result<Option<PathBuf>, String> {
    if text.contains(char::is_control) {
        return Err("the name of a file has no control characters here".to_owned());
    }
    Ok((!text.is_empty()).then(|| PathBuf::from(text)))
}

/// A path as it was written, or nothing.
fn written(path: Option<&Path>) -> String {
    path.map(|path| path.display().to_string()).unwrap_or_default()
}

/// For lists whose texts hold no commas.
pub(in crate::cli) fn never(_: &str) -> bool {
    false
}

/// `wrong`, with the text it is about where that is one of several.
pub(in crate::cli) fn about(text: &str, texts: &[&str], wrong: String) -> String {
    if texts.len() > 1 { format!("{text:?}: {wrong}") } else { wrong }
}

fn checked(texts: &[&str], form: &str, is_right: fn(&str) -> bool) -> Result<Vec<String>, String> {
    match texts.iter().find(|text| !is_right(text)) {
        Some(text) => Err(about(text, texts, form.to_owned())),
        None => Ok(texts.iter().map(ToString::to_string).collect()),
    }
}
