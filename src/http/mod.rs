//! HTTP/1.1 as far as a WebSocket server speaks it. Layer 0: slices in, slices out; no sockets, no clocks.
//!
//! [`request`] reads a request head strictly (RFC 9112), [`upgrade`] checks and answers the opening handshake
//! (RFC 6455 §4.2), [`response`] writes our few responses, and [`guard`] decides by Host and Origin who may talk to us
//! at all; [`opening`] is the client's side of a handshake, for connections of our own. This is no general HTTP library: there are no chunked bodies, no trailers, no ranges and no HTTP/2.
//!
//! The order for each request: [`parse`] it, ask the [`Guard`], then either [`check`](upgrade::check) the handshake or
//! answer with a [`Response`]. An error of any of these steps has a `status` and a `message`, which
//! [`refuse`] turns into a readable answer. After a [`RequestError`] the connection must be closed,
//! as nobody can tell where the next request would start.

pub mod authority;
pub mod error;
pub mod forwarded;
pub mod guard;
pub mod head;
pub mod opening;
mod query;
pub mod request;
pub mod response;
pub mod upgrade;

pub use error::RequestError;
pub use guard::{Guard, Refusal};
pub use head::end_of_head;
pub use request::{Method, Request, parse};
pub use response::{Framing, Response, etag_matches, refuse};
pub use upgrade::{Handshake, UpgradeError};
