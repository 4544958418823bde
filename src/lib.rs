//! jackfield joins WebSocket clients: two to each other, everyone on a name or in a room, a browser to a TCP server, over
//! one port and on one thread.
//!
//! A *jackfield* is the panel of a telephone exchange where an operator joins one line to another with a cord.
//!
//! # The layers
//!
//! A file imports only from layers below its own; layers 1 and 2 do not know each other (`tests/layers.rs` checks it).
//!
//! | layer | modules | what they are |
//! |---|---|---|
//! | 3 | [`server`] (with `assets`, `cli` and `main` beside it) | joins sockets to sessions; the only place that knows both |
//! | 2 | [`protocol`], [`hub`], [`discovery`] | pure state machines: messages and time come in, effects go out |
//! | 1 | [`net`] | mio, sockets, TLS, timers: moves bytes, knows no protocol |
//! | 0 | [`frame`], [`http`], [`json`], [`access`] | codecs: slices in, slices out; tokens: text in, permissions out |
//!
//! [`config`] is plain data that everyone may read, [`memory`] counts what clients make us remember.
//!
//! There are two tables: connections, by mio's token, and sessions. They are two because a participant need not have a
//! socket of its own.
//!
//! # The life of one relayed message
//!
//! 1. [`net::reactor`] hands readiness to the server, which receives once into the one buffer of the loop.
//! 2. [`frame::split`] checks the frame's header, [`frame::assemble`] unmasks the payload where it lies.
//! 3. The [`protocol`] decides who gets what; [`frame::message::Message::reframe`] writes the header of the onward frame
//!    into the bytes in front of the payload, which is now the finished frame.
//! 4. `server::relay`, the fast path, writes once per receiver. What a kernel does not take is copied once, into that
//!    receiver's [`net::queue`].
//!
//! # Words
//!
//! One meaning each. *Reactor*: the loop. *Readiness*: what mio reported. *Turn*: one pass of the loop.
//! *Connection*: a socket with its phase. *Session*: an application participant. *Peer*: the other session.
//! *Pair*, *channel*: relations in the hub; *room*: what pocket calls a channel. *Member*: a session on a channel;
//! *watcher*: one that asked for presence.
//! *Frame*, *fragment*, *message*, *control frame*, *masking key*, *close code*, *opening* and *closing handshake*,
//! *subprotocol*: as RFC 6455. *Relay*: pass a message on unchanged. *Send*: frame something new. *Scratch*: the shared
//! receive buffer. *Carry*: a kept partial head. *Batch*: what one read causes to be written; *lane*: one receiver's
//! part of it. *Bridge*: a TCP connection behind a WebSocket; *target*: what it leads to. *Write queue*, *high* and *hard
//! mark*, *backpressure*: what a socket could not take, and what follows.
//! *Link*: joins one channel of two servers; *announce*, *proxy*: what servers say of their channels, and another server
//! that says so.
//! *Key*: the public name of a session (never "token": that is mio's).

pub mod access;
pub mod assets;
pub mod cli;
pub mod config;
pub mod discovery;
pub mod frame;
pub mod http;
pub mod hub;
pub mod json;
pub mod memory;
pub mod net;
pub mod protocol;
pub mod server;
