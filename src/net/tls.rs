//! TLS on accepted connections, over rustls with ring. Layer 1: bytes in, bytes out; what they mean is not known here.
//!
//! [`Tls`] makes sessions with the certificate that is in force; [`Session`] is the TLS of one connection and stands
//! behind the calls of [`Stream`](super::stream::Stream); [`Identity`] is a certificate with its key, read from files and
//! checked. Versions 1.2 and 1.3, application protocol `http/1.1`, no client certificates, no early data.
//!
//! rustls is used without buffers of its own ([`rustls::unbuffered`]): all sessions decrypt and encrypt in the same few
//! buffers, as the loop has one thread, and own bytes only while a record is incomplete or the kernel is slow. So an idle
//! session is its keys and little more. Built without the feature `tls`, `no_tls.rs` stands in for this module.

mod identity;
mod session;
mod validity;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustls::crypto::{CryptoProvider, ring};
use rustls::server::{NoServerSessionStorage, ServerConfig, UnbufferedServerConnection};
use rustls::{CipherSuite, SupportedCipherSuite};

pub use identity::{BadIdentity, Identity};
pub use session::Session;

use super::scratch::SCRATCH_BYTES;
use crate::memory::Account;

/// Handshakes whose arithmetic (a key exchange and a signature, up to a millisecond on a small machine) is done in one turn
/// of the loop; the others wait for the next, so that a flood of them cannot starve what is relayed.
pub const HANDSHAKES_PER_TURN: u32 = 4;

/// Bytes of a record with everything around it (RFC 8446 §5.2: 2^14 + 256 and its header), rounded up.
const RECORD_BYTES: usize = 17 * 1024;

/// Plaintext that is encrypted before it is written: four full records stay in a core's cache.
const CHUNK_BYTES: usize = 64 * 1024;

/// What encryption adds to a chunk at most: 22 bytes for each of its four records, or 29 in TLS 1.2, and a key update.
const CHUNK_OVERHEAD_BYTES: usize = 1024;

/// Makes sessions.
pub struct Tls {
    config: Arc<ServerConfig>,
    shared: Arc<Shared>,
}

/// What all sessions use in turn. The lock is never contended: sessions live on the loop's thread.
#[derive(Default)]
struct Shared(Mutex<Buffers>);

#[derive(Default)]
struct Buffers {
    /// Ciphertext as received; invariant: empty before the first receive, then [`Buffers::INBOX_BYTES`].
    inbox: Vec<u8>,
    /// Ciphertext as sent; invariant: empty before the first send, then a chunk with its overhead at least.
    outbox: Vec<u8>,
    /// Plaintext put together from several slices.
    plain: Vec<u8>,
    turn: TurnReport,
}

/// What sessions did since the last turn of the loop ended.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TurnReport {
    /// Flights of handshakes that took arithmetic.
    pub flights: u32,
    /// Handshakes completed.
    pub completed: u32,
    /// Sessions ended by an error of TLS.
    pub failed: u32,
}

impl Buffers {
    /// What the loop asks for at once, behind what a session keeps: a record less a byte, or whole ones that wait.
    const INBOX_BYTES: usize = SCRATCH_BYTES + 2 * RECORD_BYTES;
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Buffers> {
        // Whatever a panic left in the buffers is overwritten before it is read.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tls {
    /// Sessions will show this identity.
    ///
    /// # Errors
    /// [`BadIdentity`], if the system's generator of randomness fails.
    pub fn new(identity: Identity) -> Result<Self, BadIdentity> {
        Ok(Self { config: config(identity)?, shared: Arc::default() })
    }

    /// Sessions that begin from now on will show another identity; those that exist are not touched. Tickets of earlier
    /// sessions are worth nothing any more: whoever comes back sees the new certificate.
    ///
    /// # Errors
    /// As [`Tls::new`]; then everything stays as it was.
    pub fn replace(&mut self, identity: Identity) -> Result<(), BadIdentity> {
        self.config = config(identity)?;
        Ok(())
    }

    /// A session for a connection on which nothing was received yet, which charges what it keeps to `memory`.
    ///
    /// # Errors
    /// What rustls finds wrong with its configuration, which is nothing that a client can bring about.
    pub fn accept(&self, memory: &Account) -> Result<Session, BadIdentity> {
        let conn = UnbufferedServerConnection::new(Arc::clone(&self.config));
        let conn = conn.map_err(|error| BadIdentity::refused(&error))?;
        Ok(Session::new(conn, Arc::clone(&self.shared), memory))
    }

    /// The turn is over: sessions that were held back may go on in the next.
    pub fn end_turn(&self) -> TurnReport {
        std::mem::take(&mut self.shared.lock().turn)
    }
}

fn config(identity: Identity) -> Result<Arc<ServerConfig>, BadIdentity> {
    let refused = |error| BadIdentity::refused(&error);
    let builder = ServerConfig::builder_with_provider(provider().into());
    let versions = [&rustls::version::TLS13, &rustls::version::TLS12];
    let builder = builder.with_protocol_versions(&versions).map_err(refused)?.with_no_client_auth();
    let mut config = builder.with_cert_resolver(identity.into_resolver());
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Tickets carry what a client needs to come back: nothing about it is remembered here.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = ring::Ticketer::new().map_err(refused)?;
    config.send_tls13_tickets = 1;
    // A client that has AES in its processor would have a small server compute it bit by bit.
    config.ignore_client_order = !has_aes();
    Ok(Arc::new(config))
}

/// The cryptography, with what this processor does fastest first.
fn provider() -> CryptoProvider {
    let mut provider = ring::default_provider();
    if !has_aes() {
        provider.cipher_suites.sort_by_key(|suite| !is_chacha(suite));
    }
    provider
}

fn is_chacha(suite: &SupportedCipherSuite) -> bool {
    matches!(
        suite.suite(),
        CipherSuite::TLS13_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256
            | CipherSuite::TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256
    )
}

/// Whether the processor has instructions for AES; a Raspberry Pi before the fifth has none.
fn has_aes() -> bool {
    #[cfg(target_arch = "aarch64")]
    return std::arch::is_aarch64_feature_detected!("aes");
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    return std::arch::is_x86_feature_detected!("aes");
    #[cfg(not(any(target_arch = "aarch64", target_arch = "x86", target_arch = "x86_64")))]
    return false;
}

#[cfg(test)]
mod tests;
