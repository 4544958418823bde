//! What the table has: the promises about cost, as measurements with their goals.

use std::fmt;

use rustix::process::{Resource, getrlimit};

use crate::dialect::Dialect;
use crate::payload::Content;

/// A measurement that is made on every server.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) work: Work,
    /// One for each figure that the measurement gives.
    pub(crate) lines: &'static [Line],
}

/// A line of the table.
pub(crate) struct Line {
    /// Behind the name of the row.
    pub(crate) name: &'static str,
    /// Whether a ratio to *bare WS*, or to *raw* where that is the goal, says something.
    pub(crate) is_compared: bool,
    pub(crate) goal: Goal,
}

/// What a figure should be.
pub(crate) enum Goal {
    /// Times *bare WS*, at most.
    Ratio(f64),
    /// Times *raw*, at most.
    RatioToRaw(f64),
    /// In the line's own unit.
    AtMost(f64),
    /// Nothing was promised.
    None,
}

/// What is done.
pub(crate) enum Work {
    /// One pair.
    Relay { content: Content, size: usize, window: usize },
    /// One sender and everybody else.
    FanOut { members: usize },
    /// One pair with receipts, 125 bytes of body.
    Webshare { window: usize },
    /// One sender with receipts and everybody else, 125 bytes of data.
    Pocket { members: usize },
    /// One pair of Socket.IO devices, events of 125 bytes.
    Socketio { window: usize },
    /// To an echo server behind a bridge and back.
    Bridge { dialect: Dialect, content: Content, size: usize, window: usize },
    /// Accept, upgrade, close.
    Connect { slots: usize, says_goodbye: bool },
    /// Pairs at a fixed rate.
    Rate { pairs: usize, rate: f64 },
    /// The same beside idle connections.
    Crowd { pairs: usize, rate: f64, idle: usize },
    /// Pairs that do nothing, then something.
    Memory { connections: usize },
    /// A server without anybody.
    Empty,
}

impl Work {
    /// Whether a server that knows no WebSocket can do it.
    pub(crate) fn suits_raw(&self) -> bool {
        !matches!(self, Self::Webshare { .. } | Self::Pocket { .. } | Self::Socketio { .. } | Self::Connect { .. })
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ratio(goal) => write!(f, "≤ {goal:.2} ×"),
            Self::RatioToRaw(goal) => write!(f, "≤ {goal:.2} × raw"),
            Self::AtMost(goal) => write!(f, "≤ {goal}"),
            Self::None => Ok(()),
        }
    }
}

const fn cpu(goal: Goal) -> Line {
    Line { name: ", µs CPU", is_compared: true, goal }
}

const BINARY: &[Line] = &[cpu(Goal::Ratio(1.10))];
const TEXT: &[Line] = &[cpu(Goal::Ratio(1.15))];
const LONG_TEXT: &[Line] = &[cpu(Goal::Ratio(1.3))];
const MIXED_TEXT: &[Line] = &[cpu(Goal::None)];
const FAN_OUT: &[Line] = &[cpu(Goal::Ratio(1.05))];
const WEBSHARE: &[Line] = &[cpu(Goal::Ratio(1.15))];
const SOCKETIO: &[Line] = &[cpu(Goal::Ratio(1.5))];
const BRIDGE: &[Line] = &[cpu(Goal::RatioToRaw(1.15))];
const WS2S: &[Line] = &[cpu(Goal::Ratio(1.3))];
const WS2S_BASE64: &[Line] = &[cpu(Goal::RatioToRaw(3.0))];
const HANDSHAKE: &[Line] = &[cpu(Goal::Ratio(1.05))];
const GOODBYE: &[Line] = &[cpu(Goal::None)];
const LATENCY: &[Line] = &[
    Line { name: ", p50 µs", is_compared: true, goal: Goal::Ratio(1.05) },
    Line { name: ", p99 µs", is_compared: true, goal: Goal::Ratio(1.05) },
];
const CROWD: &[Line] = &[
    Line { name: ", p99 µs", is_compared: true, goal: Goal::None },
    Line { name: ", p99 ÷ p99 without them", is_compared: false, goal: Goal::AtMost(1.2) },
];
const MEMORY: &[Line] = &[
    Line { name: ", resident bytes each", is_compared: false, goal: Goal::AtMost(256.0) },
    Line { name: ", after traffic", is_compared: false, goal: Goal::AtMost(256.0) },
];
const EMPTY: &[Line] = &[
    Line { name: ", resident MB", is_compared: false, goal: Goal::AtMost(4.0) },
    Line { name: ", wake-ups", is_compared: false, goal: Goal::AtMost(0.0) },
    Line { name: ", binary MB", is_compared: false, goal: Goal::AtMost(4.0) },
];

const TLS: &[Line] = &[cpu(Goal::None)];
const TLS_MEMORY: &[Line] = &[
    Line { name: ", resident bytes each", is_compared: false, goal: Goal::AtMost(10_000.0) },
    Line { name: ", after traffic", is_compared: false, goal: Goal::AtMost(10_000.0) },
];

const KIB: usize = 1024;

/// The rows that say what TLS costs.
pub(crate) fn tls_rows(is_smoke: bool) -> Vec<Row> {
    let connections = if is_smoke { 50 } else { 2_000 };
    let relay =
        |name, size, window| Row { name, work: Work::Relay { content: Content::Binary, size, window }, lines: TLS };
    vec![
        relay("relay 125 B, 1 in flight", 125, 1),
        relay("relay 125 B, 16 in flight", 125, 16),
        relay("relay 16 KiB, 1 in flight", 16 * KIB, 1),
        relay("relay 16 KiB, 16 in flight", 16 * KIB, 16),
        relay("relay 64 KiB, 4 in flight", 64 * KIB, 4),
        relay("relay 1 MiB, 2 in flight", 1024 * KIB, 2),
        Row {
            name: "handshake (accept, upgrade, close)",
            work: Work::Connect { slots: 16, says_goodbye: false },
            lines: TLS,
        },
        Row { name: "2,000 connections", work: Work::Memory { connections }, lines: TLS_MEMORY },
    ]
}

/// All rows; small ones for a smoke test.
pub(crate) fn rows(is_smoke: bool) -> Vec<Row> {
    let (pairs, rate) = if is_smoke { (5, 1_000.0) } else { (50, 20_000.0) };
    let members = |many| if is_smoke { 20 } else { many };
    // Both ends have a descriptor for each connection, and some for themselves.
    let descriptors = getrlimit(Resource::Nofile).current.map_or(usize::MAX, |limit| limit as usize);
    let crowd = if is_smoke { 5 } else { 500 };
    let idle = if is_smoke { 50 } else { 18_000.min(descriptors.saturating_sub(2 * crowd + 200)) };
    let connections = if is_smoke { 50 } else { 10_000.min(descriptors.saturating_sub(200)) };
    let relay = |name, content, size, window, lines| Row { name, work: Work::Relay { content, size, window }, lines };
    let (binary, text) = (Content::Binary, Content::Ascii);
    let bridge = |name, dialect, content, size, window, lines| Row {
        name,
        work: Work::Bridge { dialect, content, size, window },
        lines,
    };
    vec![
        relay("relay 125 B, 1 in flight", binary, 125, 1, BINARY),
        relay("relay 125 B, 16 in flight", binary, 125, 16, BINARY),
        relay("relay 125 B, 64 in flight", binary, 125, 64, BINARY),
        relay("relay 16 KiB, 1 in flight", binary, 16 * KIB, 1, BINARY),
        relay("relay 16 KiB, 16 in flight", binary, 16 * KIB, 16, BINARY),
        relay("relay 64 KiB, 4 in flight", binary, 64 * KIB, 4, BINARY),
        relay("relay 1 MiB, 2 in flight", binary, 1024 * KIB, 2, BINARY),
        relay("relay text 125 B, 1 in flight", text, 125, 1, TEXT),
        relay("relay text 125 B, 16 in flight", text, 125, 16, TEXT),
        relay("relay text 125 B, 64 in flight", text, 125, 64, TEXT),
        relay("relay text 16 KiB, 16 in flight", text, 16 * KIB, 16, TEXT),
        relay("relay text 64 KiB, 4 in flight", text, 64 * KIB, 4, LONG_TEXT),
        relay("relay text 1 MiB, 2 in flight", text, 1024 * KIB, 2, LONG_TEXT),
        relay("relay text beyond ASCII 16 KiB, 16 in flight", Content::Mixed, 16 * KIB, 16, MIXED_TEXT),
        Row { name: "fan-out to 200", work: Work::FanOut { members: members(200) }, lines: FAN_OUT },
        Row { name: "fan-out to 1,000", work: Work::FanOut { members: members(1_000) }, lines: FAN_OUT },
        Row { name: "webshare relay 125 B, 1 in flight", work: Work::Webshare { window: 1 }, lines: WEBSHARE },
        Row { name: "webshare relay 125 B, 16 in flight", work: Work::Webshare { window: 16 }, lines: WEBSHARE },
        Row { name: "pocket fan-out to 200", work: Work::Pocket { members: members(200) }, lines: FAN_OUT },
        Row { name: "pocket fan-out to 1,000", work: Work::Pocket { members: members(1_000) }, lines: FAN_OUT },
        Row { name: "Socket.IO event 125 B, 1 in flight", work: Work::Socketio { window: 1 }, lines: SOCKETIO },
        Row { name: "Socket.IO event 125 B, 16 in flight", work: Work::Socketio { window: 16 }, lines: SOCKETIO },
        Row { name: "Socket.IO event 125 B, 64 in flight", work: Work::Socketio { window: 64 }, lines: SOCKETIO },
        bridge("ws2s 125 B, 1 in flight", Dialect::Ws2s, text, 125, 1, WS2S),
        bridge("ws2s 125 B, 16 in flight", Dialect::Ws2s, text, 125, 16, WS2S),
        bridge("ws2s 64 KiB base64, 4 in flight", Dialect::Ws2s, binary, 64 * KIB, 4, WS2S_BASE64),
        bridge("tcp bridge 64 KiB, both directions, 1 in flight", Dialect::Tcp, binary, 64 * KIB, 1, BRIDGE),
        bridge("tcp bridge 64 KiB, both directions, 4 in flight", Dialect::Tcp, binary, 64 * KIB, 4, BRIDGE),
        Row {
            name: "handshake (accept, upgrade, close)",
            work: Work::Connect { slots: 16, says_goodbye: false },
            lines: HANDSHAKE,
        },
        Row {
            name: "handshake, closed by Close frames",
            work: Work::Connect { slots: 16, says_goodbye: true },
            lines: GOODBYE,
        },
        Row { name: "50 pairs at 20,000 messages/s", work: Work::Rate { pairs, rate }, lines: LATENCY },
        Row {
            name: "500 pairs at 20,000 messages/s beside 18,000 idle",
            work: Work::Crowd { pairs: crowd, rate, idle },
            lines: CROWD,
        },
        Row { name: "10,000 connections", work: Work::Memory { connections }, lines: MEMORY },
        Row { name: "empty server", work: Work::Empty, lines: EMPTY },
    ]
}
