//! RFC 6455 framing over slices: bytes in, frames and messages out. Layer 0; no sockets, no clocks.

pub mod message;
