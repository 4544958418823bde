//! What the operator decides: plain data that every layer may read.
//!
//! [`Config`] is the whole of it, [`Limits`] the part that bounds what a stranger may cost us. Each field says its
//! unit, its default and the failure it prevents. Reading flags, environment and files is `cli`'s work; nothing here
//! opens, resolves or checks anything beyond its own values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

/// The log target of the server's own life (draining, stopped): its lines show at every verbosity. All other lines have
/// their module's path as target. `log::info!(target: config::LIFE, "…")`.
pub const LIFE: &str = "jackfield";

/// Who answers a WebSocket client at `/`, where the URL does not name a protocol.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Root {
    /// The client's first message decides, once and for good (see `protocol::root`).
    #[default]
    Auto,
    /// Every client is a WebShare client, as on the original's port 9000.
    Webshare,
    /// Every client is a ws2s client, as on the original's port 3613.
    Ws2s,
    /// Every client is a pocketsocket client, as on the original's port 8001: those that only listen are heard of and
    /// spoken to, which a first message cannot bring about.
    Pocket,
    /// `/` upgrades are refused: only named paths are served, as on the original's port 9009.
    Named,
    /// `/NAME` is `/network/NAME`, as on port 9009 of the original's last generation.
    Network,
}

impl Root {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Auto, Self::Webshare, Self::Pocket, Self::Ws2s, Self::Named, Self::Network];

    /// What it is called, in options and wherever it is shown.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Webshare => "webshare",
            Self::Ws2s => "ws2s",
            Self::Pocket => "pocket",
            Self::Named => "named",
            Self::Network => "network",
        }
    }
}

/// An application protocol that can be switched off.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Switch {
    /// Pairs by key: `/webshare`, and who speaks it at `/`.
    Webshare,
    /// Rooms: `/pocket`, and who speaks it at `/`.
    Pocket,
    /// Socket.IO devices: `/socket.io/`.
    P2p,
    /// Named channels: `/local/NAME`, `/broadcast/NAME`.
    Named,
    /// TCP in JSON: `/ws2s`, and who speaks it at `/`.
    Ws2s,
    /// Raw TCP: `/tcp/TARGET`.
    Tcp,
    /// Channels with peer ids: `/network/NAME`.
    Network,
}

impl Switch {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Webshare, Self::Pocket, Self::P2p, Self::Named, Self::Ws2s, Self::Tcp, Self::Network];

    /// Its name, as options and messages have it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Webshare => "webshare",
            Self::Pocket => "pocket",
            Self::P2p => "p2p",
            Self::Named => "named",
            Self::Ws2s => "ws2s",
            Self::Tcp => "tcp",
            Self::Network => "network",
        }
    }
}

/// One address to listen on, with the protocol that answers at its `/`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Listen {
    /// Address and port; port 0 takes a free one, which the start-up block prints.
    pub address: SocketAddr,
    /// Who answers at `/`.
    pub root: Root,
    /// Whether every connection begins with a PROXY header (versions 1 and 2), which says who the client is.
    pub proxy: bool,
    /// Whether clients must speak TLS.
    pub tls: bool,
}

impl Listen {
    /// A plain listener: clients come to it themselves.
    #[must_use]
    pub fn new(address: SocketAddr, root: Root) -> Self {
        Self { address, root, proxy: false, tls: false }
    }
}

/// A key that tokens may be signed with: where it is, never what it is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct TokenKey {
    /// The `kid` of its tokens.
    pub id: String,
    /// The `iss` of its tokens; without one they have none.
    pub issuer: Option<String>,
    /// The file that holds it.
    pub path: PathBuf,
}

/// Everything that can be configured.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where we listen. Default: `127.0.0.1:9009`, root `auto`.
    pub listen: Vec<Listen>,
    /// Where administrators connect: whoever reaches one of these addresses may see who is connected and close clients.
    /// Default: none, and then only programs and pages of this machine may, on any listener.
    pub admin: Vec<SocketAddr>,
    /// The certificate chain that TLS listeners show, PEM, the server's first. Default: none.
    pub tls_cert: Option<PathBuf>,
    /// The key of that certificate, PEM. Default: none.
    pub tls_key: Option<PathBuf>,
    /// Origins, beside the server's own, whose pages may connect (`https://example.com`, `null`, or `*` for all).
    /// Default: none. Prevents foreign web pages from driving this server through a visitor's browser.
    pub allow_origin: Vec<String>,
    /// Host names, beside `localhost`, this machine's own and any IP address, that requests may name.
    /// Default: none. Prevents DNS rebinding.
    pub allow_host: Vec<String>,
    /// Proxies that are believed when they say whom a connection or a request is for: `ADDRESS` or `ADDRESS/PREFIX`.
    /// Default: none; on listeners with `proxy`, those of this machine. Prevents clients from inventing addresses.
    pub trusted_proxy: Vec<String>,
    /// Where the bridge may connect to: `PATTERN:PORTS`, see `net::targets`. Default: nowhere. Prevents strangers from
    /// reaching through this machine what they cannot reach themselves.
    pub bridge_allow: Vec<String>,
    /// Targets with a name of their own, `/tcp/NAME`: name, host (IPv6 without brackets) and port. Default: none. Such a
    /// target needs no entry in `bridge_allow` and may have any address, as the operator named exactly this one; where
    /// the host is a name, whoever controls it in DNS decides which address that is.
    pub bridge_names: Vec<(String, String, u16)>,
    /// Protocols that are switched off: their paths answer 404, and nobody becomes theirs at `/`. Default: none.
    pub without: Vec<Switch>,
    /// Keys that tokens may be signed with. Default: none, and whoever may connect may do everything. With one, clients
    /// must show a token.
    pub token_key: Vec<TokenKey>,
    /// Files that list tokens that are worth nothing any more. Default: none.
    pub token_revoked: Vec<PathBuf>,
    /// Whether a token may stand in the query of the URL, where logs of others may keep it. Default: no.
    pub token_in_query: bool,
    /// What may be done without a token, in the words of `access::Rights::read`. Default: nothing.
    pub anonymous: Vec<String>,
    /// Whether named channels always send presence frames, as the first namedwebsockets did. Default: only to clients
    /// that ask with `?presence=1`.
    pub presence: bool,
    /// Whether pocket clients always get their own messages back, after the receipt. Default: only those that ask with
    /// `?echo=1`.
    pub echo: bool,
    /// Whether a device that comes with an id that is taken gets it at once. Default: only if the one that has it gives no
    /// sign of life.
    pub device_overwrite: bool,
    /// Hexadecimal digits of a WebShare key, 4 to 32. Default: 8, short enough to read aloud.
    pub key_digits: u8,
    /// Channels that reach other machines.
    pub lan: Lan,
    /// Log verbosity: 0 warnings and the life of the server, 1 connections with reasons and the senders of pocket
    /// messages, 2 everything, pocket messages included.
    pub verbose: u8,
    /// What a stranger may cost us.
    pub limits: Limits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: vec![Listen::new(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9009), Root::Auto)],
            admin: Vec::new(),
            tls_cert: None,
            tls_key: None,
            allow_origin: Vec::new(),
            allow_host: Vec::new(),
            trusted_proxy: Vec::new(),
            bridge_allow: Vec::new(),
            bridge_names: Vec::new(),
            without: Vec::new(),
            token_key: Vec::new(),
            token_revoked: Vec::new(),
            token_in_query: false,
            anonymous: Vec::new(),
            presence: false,
            echo: false,
            device_overwrite: false,
            key_digits: 8,
            lan: Lan::default(),
            verbose: 0,
            limits: Limits::default(),
        }
    }
}

impl Config {
    /// Whether the bridge may connect anywhere.
    #[must_use]
    pub fn has_targets(&self) -> bool {
        !self.bridge_allow.is_empty() || !self.bridge_names.is_empty()
    }

    /// Whether channels are announced and linked.
    #[must_use]
    pub fn lan_is_on(&self) -> bool {
        match self.lan.mode {
            LanMode::On => true,
            LanMode::Off => false,
            LanMode::Auto => self.listen.iter().any(|listen| !listen.address.ip().to_canonical().is_loopback()),
        }
    }
}

/// When channels are announced and linked.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum LanMode {
    /// As soon as a listener is not loopback.
    #[default]
    Auto,
    /// Always.
    On,
    /// Never.
    Off,
}

/// Channels that reach other machines of the local network.
#[derive(Clone, Debug, Default)]
pub struct Lan {
    /// Default: auto.
    pub mode: LanMode,
    /// Names or addresses of the interfaces to announce and look on. Default: an empty list, which means all but
    /// loopback; `["none"]` means none.
    pub interfaces: Vec<String>,
    /// Servers to link every channel with, host (IPv6 without brackets) and port. Default: none.
    pub peers: Vec<(String, u16)>,
    /// What the servers of a group share. Default: none, and whoever is on the network may link.
    pub secret: Option<Secret>,
    /// Whether announced addresses are dialled that are on no network of this machine. Default: no. Prevents a forged
    /// announcement from making us knock at doors elsewhere.
    pub off_link: bool,
}

/// Bytes that nobody prints.
#[derive(Clone, Eq, PartialEq)]
pub struct Secret(Box<[u8]>);

impl Secret {
    /// Keeps `bytes`.
    #[must_use]
    pub fn new(bytes: &[u8]) -> Self {
        Self(bytes.into())
    }

    /// The bytes, for keying a hash.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// Bounds on time, memory and rate. Each is checked in exactly one place, and each refusal names its option.
#[derive(Clone, Debug)]
pub struct Limits {
    /// `--max-connections`: sockets held at once; 0 means as many as descriptors allow. Default: 0.
    pub max_connections: usize,
    /// `--max-per-address`: connections from one IPv4 address or IPv6 /64; loopback is exempt. Default: 256.
    /// Prevents one host from taking every descriptor.
    pub max_per_address: usize,
    /// `--handshake-timeout`: from accept (or the previous response) to a complete request head. Default: 5 s.
    /// Prevents slow heads from holding descriptors.
    pub handshake_timeout: Duration,
    /// `--max-head`: bytes of a request head. Default: 8 KiB.
    pub max_head: usize,
    /// `--max-headers`: header fields of a request. Default: 64.
    pub max_headers: usize,
    /// `--max-message`: payload bytes of one message over all its fragments. Default: 1 MiB. Above: close 1009.
    pub max_message: usize,
    /// `--max-fragments`: fragments of one message, empty ones included. Default: 4,096. Above: close 1008.
    pub max_fragments: u32,
    /// `--queue-high`: bytes waiting for one receiver above which reading from its sender pauses; it resumes below a
    /// quarter of this. Default: 256 KiB.
    pub queue_high: usize,
    /// `--max-queue`: bytes waiting for one member of a channel above which it is closed as too slow (1013).
    /// Default: 1 MiB. Prevents one slow reader from holding everybody's memory. On Linux it is also what the system takes
    /// for one connection without being able to send it (`TCP_NOTSENT_LOWAT`).
    pub max_queue: usize,
    /// `--max-memory`: bytes that the whole process is to stay below; 0 sets no bound. Default: 256 MiB. What the program
    /// and its connections leave of it ([`crate::memory::room`]) is for what waits for clients or for more from them: write
    /// queues, mailboxes, halves of requests and messages, what devices have names for. From half of that on, devices get
    /// no more of those than a few (rooms, services, targets, calls); from three quarters on, new sessions are refused
    /// (503), senders wait for receivers that are hardly behind, and clients that do not finish a message which they began
    /// are closed (1013); from seven eighths on, those that have taken nothing for longest; when it is full, those that
    /// hold most. Prevents many modest clients from doing together what none of them may.
    pub max_memory: usize,
    /// `--write-stall-timeout`: how long a client may take not a byte of what waits for it; 0 waits for ever. Default:
    /// 30 s. Prevents clients that never read from holding their queue. Targets of the bridge may stop as long as they like.
    pub write_stall_timeout: Duration,
    /// `--first-message-timeout`: how long a client that belongs to nobody until it speaks (`/` of an `auto` listener) may
    /// stay silent; 0 waits for ever. Default: 0, as pages may connect long before they have something to say, and such a
    /// client is sent nothing and costs no more than any idle one.
    pub first_message_timeout: Duration,
    /// `--control-rate`: control frames accepted per second from one client. Default: 50. Above the burst: close 1008.
    pub control_rate: u32,
    /// `--control-burst`: control frames accepted at once from one client. Default: 200.
    pub control_burst: u32,
    /// `--ping-interval`: silence after which a client is pinged; 0 never pings. Default: 54 s, as namedwebsockets.
    pub ping_interval: Duration,
    /// `--pong-timeout`: how long a pinged client may stay silent before it is dropped. Default: 10 s.
    pub pong_timeout: Duration,
    /// `--close-timeout`: how long a closing client may take for its side, and for what is queued. Default: 2 s.
    pub close_timeout: Duration,
    /// `--drain-timeout`: how long TERM and INT wait for queued bytes and closing handshakes. Default: 5 s.
    pub drain_timeout: Duration,
    /// `--max-name`: bytes of a channel's or a room's name. Default: 255, as namedwebsockets.
    pub max_name: usize,
    /// `--guess-burst`: wrong pairing keys an address may try at once; loopback is exempt. Default: 10.
    /// Prevents scanning for keys.
    pub guess_burst: u32,
    /// `--guess-interval`: time that earns an address one more wrong key. Default: 1 s.
    pub guess_interval: Duration,
    /// `--max-bridges`: TCP connections of all clients to targets, those being opened included; 0 means as many as
    /// connections are allowed. Default: 0.
    pub max_bridges: usize,
    /// `--max-bridges-per-address`: the same for the clients of one IPv4 address or IPv6 /64; loopback is exempt.
    /// Default: 64. Prevents one host from taking every descriptor twice.
    pub max_bridges_per_address: usize,
    /// `--dial-timeout`: from the wish to an open TCP connection, over name lookup and all addresses. Default: 10 s.
    /// Prevents targets that never answer from holding clients.
    pub dial_timeout: Duration,
    /// `--bridge-idle`: silence in both directions after which a TCP connection is closed; 0 never closes. Default: 0, as
    /// many protocols are silent for hours.
    pub bridge_idle: Duration,
    /// `--device-ping-interval`: how often Socket.IO clients and we assure each other that we are there. Default: 25 s, as
    /// socket.io.
    pub device_ping_interval: Duration,
    /// `--device-ping-timeout`: how much later than that a Socket.IO client is given up. Default: 20 s, as socket.io.
    pub device_ping_timeout: Duration,
    /// `--max-attachments`: binary attachments of one Socket.IO event. Default: 10, more than which socket.io 4 clients do not take. Prevents one event from being many.
    pub max_attachments: u32,
    /// `--call-timeout`: how long a device may take to answer another's call. Default: 60 s. Prevents calls that nobody
    /// answers from piling up.
    pub call_timeout: Duration,
    /// `--max-calls`: calls of one device that wait for an answer. Default: 1,024.
    pub max_calls: usize,
    /// `--token-timeout`: how long a client may take to show its token. Default: 10 s. Prevents connections that nobody
    /// vouches for from staying.
    pub token_timeout: Duration,
    /// `--max-rooms`: rooms, targets and services, each, of one device. Default: 128.
    pub max_rooms: usize,
    /// `--max-links`: links of channels with other servers, those being opened included. Default: 1,024.
    pub max_links: usize,
    /// `--max-links-per-peer`: the same with one address. Default: 256. Prevents one host from taking all of them.
    pub max_links_per_peer: usize,
    /// `--max-proxies`: announcements that are remembered. Default: 1,024. Prevents forged ones from filling memory.
    pub max_proxies: usize,
    /// `--announcement-rate`: announcements looked at per second. Default: 1,000. Prevents a flood of them from taking
    /// the loop's time.
    pub announcement_rate: u32,
    /// `--link-ping-interval`: silence after which the other end of a link is pinged. Default: 10 s; with
    /// `pong_timeout`, a cut cable is noticed within 20 s.
    pub link_ping_interval: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_connections: 0,
            max_per_address: 256,
            handshake_timeout: Duration::from_secs(5),
            max_head: 8 * 1024,
            max_headers: 64,
            max_message: 1024 * 1024,
            max_fragments: 4096,
            queue_high: 256 * 1024,
            max_queue: 1024 * 1024,
            max_memory: 256 * 1024 * 1024,
            write_stall_timeout: Duration::from_secs(30),
            first_message_timeout: Duration::ZERO,
            control_rate: 50,
            control_burst: 200,
            ping_interval: Duration::from_secs(54),
            pong_timeout: Duration::from_secs(10),
            close_timeout: Duration::from_secs(2),
            drain_timeout: Duration::from_secs(5),
            max_name: 255,
            guess_burst: 10,
            guess_interval: Duration::from_secs(1),
            max_bridges: 0,
            max_bridges_per_address: 64,
            dial_timeout: Duration::from_secs(10),
            bridge_idle: Duration::ZERO,
            device_ping_interval: Duration::from_secs(25),
            device_ping_timeout: Duration::from_secs(20),
            max_attachments: 10,
            call_timeout: Duration::from_secs(60),
            max_calls: 1024,
            token_timeout: Duration::from_secs(10),
            max_rooms: 128,
            max_links: 1024,
            max_links_per_peer: 256,
            max_proxies: 1024,
            announcement_rate: 1000,
            link_ping_interval: Duration::from_secs(10),
        }
    }
}
