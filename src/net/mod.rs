//! Sockets, readiness and time over raw mio. Layer 1: moves bytes and knows no protocol.
//!
//! [`reactor`] is the loop, [`listener`] accepts, [`socket`] is a [`stream`] with a write [`queue`], [`scratch`] is
//! where all connections receive, [`timer`] keeps their deadlines.

pub mod address;
pub mod listener;
pub mod queue;
pub mod reactor;
pub mod resolve;
pub mod scratch;
pub mod socket;
pub mod stream;
pub mod targets;
pub mod timer;
