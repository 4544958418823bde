//! RFC 6455 framing over slices: bytes in, messages and control frames out, and back. Layer 0: no sockets, no clocks.
//!
//! [`split`] reads and checks one header, [`assemble`] makes messages of frames, [`message`] lets a message leave with
//! a header of ours in front of the same bytes, [`write`](mod@write) frames what is new. The server's side only: our
//! frames are never masked, a client's always are.

pub mod assemble;
pub mod close;
pub mod mask;
pub mod message;
pub mod pool;
pub mod split;
pub mod utf8;
pub mod write;
