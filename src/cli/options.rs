//! The table of options, from which everything else comes: flags, environment, file, help, `generate`. Layer 3.
//!
//! An option has one name. `--max-message` is `JACKFIELD_MAX_MESSAGE` in the environment and `max_message` in a file.
//! Defaults are not written here: they are read out of `Settings::default()`, that is, of `Config::default()`.

use std::path::{Path, PathBuf};

use crate::cli::settings::Settings;
use crate::cli::units::Unit;
use crate::cli::{access, bridge, exposure, lan, listen};

/// One thing that can be configured.
pub(super) struct Setting {
    /// The flag without its dashes.
    pub(super) name: &'static str,
    /// The one-letter flag.
    pub(super) short: Option<char>,
    /// The heading it stands under.
    pub(super) group: Group,
    /// One or two sentences: what it is, what happens beyond it.
    pub(super) doc: &'static str,
    /// Its form, and how it is read from and written to [`Settings`].
    pub(super) kind: Kind,
}

/// Headings, in the order in which they are shown.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Group {
    General,
    Access,
    Bridge,
    Lan,
    Protocols,
    Limits,
}

impl Group {
    pub(super) const ALL: [Self; 6] =
        [Self::General, Self::Access, Self::Bridge, Self::Lan, Self::Protocols, Self::Limits];

    pub(super) fn heading(self) -> &'static str {
        match self {
            Self::General => "General",
            Self::Access => "Who may connect",
            Self::Bridge => "Bridge to TCP servers",
            Self::Lan => "Local network",
            Self::Protocols => "Protocols",
            Self::Limits => "Limits",
        }
    }
}

/// The form of an option's value.
pub(super) enum Kind {
    /// A number within a range.
    Number {
        unit: Unit,
        /// Smallest and largest value.
        range: (u64, u64),
        /// Whether 0 is allowed as well, below the range.
        or_zero: bool,
        get: fn(&Settings) -> u64,
        set: fn(&mut Settings, u64),
    },
    /// A number that the flag counts: `-vv`.
    Counted { most: u8, get: fn(&Settings) -> u8, set: fn(&mut Settings, u8) },
    /// Yes or no.
    Switch { get: fn(&Settings) -> bool, set: fn(&mut Settings, bool) },
    /// One text.
    Text {
        placeholder: &'static str,
        get: fn(&Settings) -> String,
        /// Sets it, or says what is wrong.
        set: fn(&mut Settings, &str) -> Result<(), String>,
    },
    /// Any number of texts; the flag may be repeated, the variable has commas between them.
    List {
        placeholder: &'static str,
        /// Whether a text that stands behind a comma of the variable is still part of the one before it.
        continues: fn(&str) -> bool,
        get: fn(&Settings) -> Vec<String>,
        /// Replaces the list, or says which text is wrong and how.
        set: fn(&mut Settings, &[&str]) -> Result<(), String>,
    },
}

impl Setting {
    /// Its name in the environment.
    pub(super) fn variable(&self) -> String {
        format!("JACKFIELD_{}", self.key().to_ascii_uppercase())
    }

    /// Its name in a file.
    pub(super) fn key(&self) -> String {
        self.name.replace('-', "_")
    }

    /// What stands for its value in usage lines.
    pub(super) fn placeholder(&self) -> &'static str {
        match &self.kind {
            Kind::Number { unit, .. } => unit.placeholder(),
            Kind::Counted { .. } => Unit::Count.placeholder(),
            Kind::Switch { .. } => "true|false",
            Kind::Text { placeholder, .. } | Kind::List { placeholder, .. } => placeholder,
        }
    }

    /// Sets it from the texts of one source. Lists are replaced, not extended.
    ///
    /// # Errors
    /// What is wrong, and what is allowed.
    pub(super) fn set(&self, settings: &mut Settings, texts: &[&str]) -> Result<(), String> {
        let text = texts.first().copied().unwrap_or_default();
        match &self.kind {
            Kind::Number { unit, range, or_zero, set, .. } => {
                let number = unit.read(text)?;
                let is_zero_meant = *or_zero && number == 0;
                if !is_zero_meant && !(range.0..=range.1).contains(&number) {
                    return Err(format!("must be {}", self.allowed().unwrap_or_default()));
                }
                set(settings, number);
            }
            Kind::Counted { most, set, .. } => match u8::try_from(Unit::Count.read(text)?) {
                Ok(number) if number <= *most => set(settings, number),
                _ => return Err(format!("must be {}", self.allowed().unwrap_or_default())),
            },
            Kind::Switch { set, .. } => match text {
                "true" | "1" => set(settings, true),
                "false" | "0" => set(settings, false),
                _ => return Err("expected true or false".to_owned()),
            },
            Kind::Text { set, .. } => set(settings, text)?,
            Kind::List { set, .. } => set(settings, texts)?,
        }
        Ok(())
    }

    /// Its value as texts: one, or those of a list.
    pub(super) fn get(&self, settings: &Settings) -> Vec<String> {
        match &self.kind {
            Kind::Number { unit, get, .. } => vec![unit.write(get(settings))],
            Kind::Counted { get, .. } => vec![get(settings).to_string()],
            Kind::Switch { get, .. } => vec![get(settings).to_string()],
            Kind::Text { get, .. } => vec![get(settings)],
            Kind::List { get, .. } => get(settings),
        }
    }

    /// Its range in words, if it has one.
    pub(super) fn allowed(&self) -> Option<String> {
        match &self.kind {
            Kind::Number { unit, range: (least, most), or_zero, .. } => {
                let zero = if *or_zero { "0, or " } else { "" };
                Some(format!("{zero}from {} to {}", unit.write(*least), unit.write(*most)))
            }
            Kind::Counted { most, .. } => Some(format!("from 0 to {most}")),
            Kind::Switch { .. } | Kind::Text { .. } | Kind::List { .. } => None,
        }
    }
}

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
pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "listen",
        short: None,
        group: Group::General,
        doc: "Where to listen. HOST is an address, a name, or * for every IPv4 address; port 0 takes a free one. ROOT \
              says who answers at `/`: auto (the client's first message decides), webshare, pocket (which clients \
              that only listen need), ws2s, named (nobody), or network (nobody, and `/NAME` is `/network/NAME`). With \
              tls+ in front, clients speak TLS: https:// and wss:// (--tls-cert). With proxy+ before that, every \
              connection begins with a PROXY header (version 1 or 2), as HAProxy's send-proxy writes it.",
        kind: Kind::List {
            placeholder: "[proxy+][tls+][ROOT@]HOST:PORT",
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
    exposure::ALLOW_ORIGIN,
    exposure::ALLOW_HOST,
    access::TOKEN_KEY,
    access::TOKEN_REVOKED,
    access::TOKEN_IN_QUERY,
    access::ANONYMOUS,
    exposure::TRUSTED_PROXY,
    Setting {
        name: "token-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a client may take to show its token, once it is connected.",
        kind: time!(token_timeout, SHORT_MS, HOUR_MS),
    },
    bridge::ALLOW,
    bridge::NAME,
    lan::MODE,
    lan::INTERFACE,
    lan::PEER,
    lan::SECRET,
    lan::OFF_LINK,
    exposure::WITHOUT,
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
        doc: "Bytes waiting for one member of a channel above which it is closed as too slow (1013), so that it does \
              not hold everybody's memory; at least --queue-high. As much again may wait in the system (Linux).",
        kind: limit!(Bytes, max_queue, 4 * KIB, GIB),
    },
    Setting {
        name: "max-memory",
        short: None,
        group: Group::Limits,
        doc: "Bytes that the whole process is to stay below; 0 sets no bound. What clients make it remember (what waits for \
              them, or for more from them) gets what the program and its connections leave of it. From half of that on, \
              devices get few more rooms, services and calls; from three quarters on, new sessions are refused (503), \
              senders wait sooner, and clients that do not finish a message which they began are closed (1013); from \
              seven eighths on, those that have taken nothing for longest; when it is full, those that hold most.",
        kind: match limit!(Bytes, max_memory, 16 * KIB * KIB, 4 * GIB - 1) {
            Kind::Number { unit, range, get, set, .. } => Kind::Number { unit, range, or_zero: true, get, set },
            other => other,
        },
    },
    Setting {
        name: "write-stall-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a client may take not a byte of what waits for it before it is dropped; 0 waits for ever.",
        kind: time!(write_stall_timeout, SHORT_MS, HOUR_MS, or_zero),
    },
    Setting {
        name: "first-message-timeout",
        short: None,
        group: Group::Limits,
        doc: "How long a client that belongs to no protocol until it speaks (at `/`) may stay silent before it is closed; \
              0 waits for ever.",
        kind: time!(first_message_timeout, SHORT_MS, HOUR_MS, or_zero),
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
        doc: "Bytes of the name of a channel (with the slashes in it) or a room, or of a device's id.",
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
pub(super) fn never(_: &str) -> bool {
    false
}

/// `wrong`, with the text it is about where that is one of several.
pub(super) fn about(text: &str, texts: &[&str], wrong: String) -> String {
    if texts.len() > 1 { format!("{text:?}: {wrong}") } else { wrong }
}

pub(super) fn checked(texts: &[&str], form: &str, is_right: fn(&str) -> bool) -> Result<Vec<String>, String> {
    match texts.iter().find(|text| !is_right(text)) {
        Some(text) => Err(about(text, texts, form.to_owned())),
        None => Ok(texts.iter().map(ToString::to_string).collect()),
    }
}
