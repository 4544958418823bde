//! Devices that find each other over Socket.IO: the codecs of its two layers. Layer 2.

pub mod engine_io;
pub mod socket_io;
