//! Sockets, readiness and time over raw mio. Layer 1: moves bytes and knows no protocol.
//!
//! [`reactor`] is the loop, [`listener`] accepts, [`socket`] is a [`stream`], plain or [`tls`], with a write [`queue`], [`scratch`] is
//! where all connections receive, [`timer`] keeps their deadlines. For connections that we open, [`resolve`] looks names
//! up, and [`targets`] says which addresses are allowed, by what kind of [`address`] they are. [`proxy`] reads who a
//! connection is for that a proxy passes on. [`mdns`] announces and browses on the local network, whose [`interfaces`] it
//! knows.

pub mod address;
pub mod interfaces;
pub mod listener;
pub mod mdns;
pub mod proxy;
pub mod queue;
pub mod reactor;
pub mod resolve;
pub mod scratch;
pub mod socket;
pub mod stream;
pub mod targets;
pub mod timer;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
pub mod tls;
