//! The TLS of one connection, behind the calls of a stream.
//!
//! One receive is one `recv(2)` of ciphertext into the shared inbox; its whole records are decrypted and handed out, the
//! rest is kept. What TLS itself has to say (a handshake's next flight, an alert, the answer to a key update) goes out at
//! once. One send encrypts a chunk after the other and writes each; what the kernel does not take of one is ciphertext
//! that must go before anything else does, so it stays here, counts as queued, and nothing more is encrypted meanwhile.
//!
//! Readiness is edge-triggered. Two things could therefore be waited for in vain, and both are told: that the socket may
//! hold more than was asked for ([`Session::has_more`]), and that a handshake has to wait for the loop's next turn
//! (`ResourceBusy`).

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus};
use rustls::{AlertDescription, Error};

use super::{Buffers, CHUNK_BYTES, CHUNK_OVERHEAD_BYTES, HANDSHAKES_PER_TURN, RECORD_BYTES, Shared};
use crate::memory::{Account, Charge};

/// Bytes that a client may send before its handshake is complete, all of which may have to be kept. Browsers send an eighth
/// of this at most.
const MAX_HANDSHAKE_BYTES: usize = 16 * 1024;

/// Bytes that may have to be kept later: a record, or a message of TLS itself that is spread over several.
const MAX_KEPT_BYTES: usize = 2 * RECORD_BYTES;

/// Reads in a row that may bring a caller nothing before the others have their turn.
const BARREN_READS: usize = 8;

/// What rustls keeps for a session, in bytes.
const STATE_BYTES: usize = 4096;

/// The TLS of one connection.
pub struct Session(Box<Inner>);

struct Inner {
    conn: UnbufferedServerConnection,
    shared: Arc<Shared>,
    /// Ciphertext that is no whole record yet, or no whole message of TLS itself, or that waits behind `held`.
    kept: Vec<u8>,
    /// Plaintext for which the receiver's buffer had no room.
    held: Vec<u8>,
    pending: Pending,
    /// Bytes received before the handshake was complete.
    handshake_bytes: usize,
    /// What the next receive brings, whatever comes.
    end: Option<End>,
    /// `kept` was not looked at to its end, for `held` had to be taken first.
    has_unread: bool,
    has_more: bool,
    is_finishing: bool,
    /// For what is kept, held and pending.
    charge: Charge,
    /// For rustls' own state, which lasts as long as the session.
    _state: Charge,
}

/// Ciphertext that the kernel has not taken.
#[derive(Default)]
struct Pending {
    bytes: Vec<u8>,
    /// How many of them it has taken; invariant: `written < bytes.len()`, or both are 0 and no heap is owned.
    written: usize,
}

/// How the receiving side came to an end.
enum End {
    /// The peer said that nothing more comes.
    Closed,
    /// A rule of TLS was broken.
    Failed(String),
}

/// Where plaintext goes: what fits to the receiver, the rest to the session.
struct Plain<'a> {
    buffer: &'a mut [u8],
    filled: usize,
    held: &'a mut Vec<u8>,
}

impl Session {
    pub(super) fn new(conn: UnbufferedServerConnection, shared: Arc<Shared>, memory: &Account) -> Self {
        let mut state = memory.charge();
        state.set(STATE_BYTES);
        Self(Box::new(Inner {
            conn,
            shared,
            kept: Vec::new(),
            held: Vec::new(),
            pending: Pending::default(),
            handshake_bytes: 0,
            end: None,
            has_unread: false,
            has_more: false,
            is_finishing: false,
            charge: memory.charge(),
            _state: state,
        }))
    }

    /// Receives plaintext into `buffer`; 0 means that the peer has finished, in order or not.
    ///
    /// # Errors
    /// As `recv(2)`; `WouldBlock` if nothing is there, `ResourceBusy` if something is and has to wait for the loop's next
    /// turn, `InvalidData` with the cause if a rule of TLS was broken.
    pub fn recv(&mut self, tcp: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        let inner = &mut *self.0;
        if inner.is_finishing {
            // Whatever still comes is thrown away, so it is not worth decrypting.
            inner.has_more = false;
            return tcp.read(buffer);
        }
        let shared = Arc::clone(&inner.shared);
        let mut buffers = shared.lock();
        if inner.conn.is_handshaking() && buffers.turn.flights >= HANDSHAKES_PER_TURN {
            return Err(ErrorKind::ResourceBusy.into());
        }
        for _ in 0..BARREN_READS {
            match inner.recv(&mut buffers, tcp, buffer) {
                // Something came, and nothing of it is for the caller. What lies behind it was announced along with it, the
                // end of the stream for one, and would not be announced again.
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                result => {
                    inner.weigh();
                    return result;
                }
            }
        }
        inner.weigh();
        inner.has_more = true;
        Err(ErrorKind::ResourceBusy.into())
    }

    /// Whether another receive may bring more, though the last one did not fill what it was given.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.0.has_more
    }

    /// Encrypts `slices` and sends them. What was encrypted counts as sent, though the kernel may not have taken it.
    ///
    /// # Errors
    /// As `writev(2)`; `WouldBlock` if the kernel takes nothing.
    pub fn send(&mut self, tcp: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let inner = &mut *self.0;
        if slices.iter().all(|slice| slice.is_empty()) {
            return Ok(0);
        }
        if !inner.pending.flush(tcp)? {
            return Err(ErrorKind::WouldBlock.into());
        }
        let shared = Arc::clone(&inner.shared);
        let sent = inner.send(&mut shared.lock(), tcp, slices);
        inner.weigh();
        sent
    }

    /// Writes what was encrypted before.
    ///
    /// # Errors
    /// As `write(2)`, but for `WouldBlock`.
    pub fn flush(&mut self, tcp: &mut impl Write) -> io::Result<()> {
        let flushed = self.0.pending.flush(tcp).map(|_| ());
        self.0.weigh();
        flushed
    }

    /// Bytes that were encrypted and that the kernel has not taken.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.0.pending.len()
    }

    /// Tells the peer that nothing more will come (RFC 8446 §6.1), behind what is pending.
    pub fn finish(&mut self, tcp: &mut impl Write) {
        let inner = &mut *self.0;
        if inner.is_finishing {
            return;
        }
        if !inner.conn.is_handshaking() && !matches!(inner.end, Some(End::Failed(_))) {
            inner.say_goodbye();
        }
        inner.is_finishing = true;
        (inner.kept, inner.held) = (Vec::new(), Vec::new());
        // Fails only when the peer is gone already, which the next receive reports.
        let _ = inner.pending.flush(tcp);
        inner.weigh();
    }

    /// The memory of what it keeps of what came, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.0.charge.bytes()
    }

    /// Whether the end was announced: once nothing is pending, the connection's own end follows.
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        self.0.is_finishing
    }
}

#[cfg(test)]
impl Session {
    pub(super) fn is_handshaking(&self) -> bool {
        self.0.conn.is_handshaking()
    }

    /// Whether it holds no bytes, and no memory for any.
    pub(super) fn owns_nothing(&self) -> bool {
        let Inner { kept, held, pending, .. } = &*self.0;
        [kept, held, &pending.bytes].iter().all(|buffer| buffer.capacity() == 0)
    }
}

impl Inner {
    fn weigh(&mut self) {
        let bytes = self.kept.capacity() + self.held.capacity() + self.pending.bytes.capacity();
        if bytes != self.charge.bytes() {
            self.charge.set(bytes);
        }
    }

    /// One receive; `Interrupted` if it brought nothing for the caller.
    fn recv(&mut self, buffers: &mut Buffers, tcp: &mut (impl Read + Write), buffer: &mut [u8]) -> io::Result<usize> {
        self.has_more = false;
        if !self.held.is_empty() {
            let given = self.held.len().min(buffer.len());
            buffer[..given].copy_from_slice(&self.held[..given]);
            if given == self.held.len() {
                self.held = Vec::new();
            } else {
                self.held.drain(..given);
            }
            self.has_more = true;
            return Ok(given);
        }
        match &self.end {
            Some(End::Closed) => return Ok(0),
            Some(End::Failed(cause)) => return Err(io::Error::new(ErrorKind::InvalidData, cause.clone())),
            None => {}
        }
        let was_handshaking = self.conn.is_handshaking();
        if buffers.inbox.is_empty() {
            buffers.inbox = vec![0; Buffers::INBOX_BYTES];
        }
        // What was kept is looked at before more is received, and so stays bounded.
        let kept = self.kept.len();
        let was_unread = self.has_unread;
        let received = if was_unread {
            0
        } else {
            // Plaintext is shorter than its ciphertext, so that what is asked for fits, but for a record across its end.
            let room = buffer.len().saturating_sub(kept).clamp(RECORD_BYTES, Buffers::INBOX_BYTES - kept);
            let received = tcp.read(&mut buffers.inbox[kept..kept + room])?;
            if received == 0 {
                // Cut off or ended: every message that is carried says itself how long it is, so none can be cut short.
                return Ok(0);
            }
            self.has_more = received == room;
            received
        };
        let data = &mut buffers.inbox[..kept + received];
        data[..kept].copy_from_slice(&self.kept);
        self.kept.clear();
        let speaks_tls = !was_handshaking || self.handshake_bytes > 0 || data.first() == Some(&HANDSHAKE_RECORD);
        let pending = self.pending.len();

        let mut plain = Plain { buffer, filled: 0, held: &mut self.held };
        let (used, outcome) = drive(&mut self.conn, data, &mut plain, &mut self.pending);
        let given = plain.filled;
        let rest = data.len() - used;
        self.has_unread = !self.held.is_empty() && rest > 0;

        let is_handshaking = self.conn.is_handshaking();
        buffers.turn.flights += u32::from(was_handshaking && self.pending.len() > pending);
        buffers.turn.completed += u32::from(was_handshaking && !is_handshaking);
        if is_handshaking {
            self.handshake_bytes += received;
        }
        let is_too_long =
            self.handshake_bytes > MAX_HANDSHAKE_BYTES && is_handshaking || rest > MAX_KEPT_BYTES && !self.has_unread;
        self.end = match outcome {
            Ok(false) if is_too_long => {
                Some(End::Failed(format!("TLS: a handshake of more than {MAX_HANDSHAKE_BYTES} bytes")))
            }
            Ok(false) => None,
            Ok(true) => Some(End::Closed),
            Err(error) => Some(End::Failed(cause(&error, speaks_tls))),
        };
        buffers.turn.failed += u32::from(matches!(self.end, Some(End::Failed(_))));
        self.kept = if self.end.is_none() { data[used..].to_vec() } else { Vec::new() };
        self.has_more |= was_unread || self.end.is_some() || !self.held.is_empty();
        self.pending.flush(tcp)?;
        match &self.end {
            _ if given > 0 => Ok(given),
            Some(End::Closed) => Ok(0),
            Some(End::Failed(cause)) => Err(io::Error::new(ErrorKind::InvalidData, cause.clone())),
            // Only now is the socket looked at again.
            None if was_unread => Err(ErrorKind::Interrupted.into()),
            None if self.has_more => Err(ErrorKind::ResourceBusy.into()),
            None => Err(ErrorKind::Interrupted.into()),
        }
    }

    fn send(&mut self, buffers: &mut Buffers, tcp: &mut impl Write, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Buffers { outbox, plain, .. } = buffers;
        if outbox.is_empty() {
            outbox.resize(CHUNK_BYTES + CHUNK_OVERHEAD_BYTES, 0);
        }
        let mut sent = 0;
        if let [slice] = slices {
            for chunk in slice.chunks(CHUNK_BYTES) {
                let is_taken = self.put(tcp, outbox, chunk)?;
                sent += chunk.len();
                if !is_taken {
                    break;
                }
            }
            return Ok(sent);
        }
        plain.clear();
        for slice in slices {
            let mut rest = &slice[..];
            while !rest.is_empty() {
                let (fits, beyond) = rest.split_at(rest.len().min(CHUNK_BYTES - plain.len()));
                plain.extend_from_slice(fits);
                rest = beyond;
                if plain.len() == CHUNK_BYTES {
                    let is_taken = self.put(tcp, outbox, plain)?;
                    sent += plain.len();
                    plain.clear();
                    if !is_taken {
                        return Ok(sent);
                    }
                }
            }
        }
        if !plain.is_empty() {
            self.put(tcp, outbox, plain)?;
            sent += plain.len();
        }
        Ok(sent)
    }

    /// Encrypts one chunk and writes it. `false` if the kernel did not take all of it.
    fn put(&mut self, tcp: &mut impl Write, outbox: &mut Vec<u8>, chunk: &[u8]) -> io::Result<bool> {
        let len = self.encrypt(outbox, chunk)?;
        // Something that TLS itself had to say goes before it.
        if self.pending.len() > 0 {
            self.pending.bytes.extend_from_slice(&outbox[..len]);
            return self.pending.flush(tcp);
        }
        let written = write_all(tcp, &outbox[..len])?;
        if written < len {
            self.pending.bytes = outbox[written..len].to_vec();
        }
        Ok(written == len)
    }

    /// Encrypts `chunk` into `outbox` and returns how many bytes that made.
    fn encrypt(&mut self, outbox: &mut Vec<u8>, chunk: &[u8]) -> io::Result<usize> {
        self.speak(|state| {
            let ConnectionState::WriteTraffic(mut traffic) = state else { return None };
            Some(loop {
                match traffic.encrypt(chunk, outbox) {
                    Ok(len) => break Ok(len),
                    Err(EncryptError::InsufficientSize(size)) if size.required_size > outbox.len() => {
                        outbox.resize(size.required_size, 0);
                    }
                    Err(error) => break Err(io::Error::new(ErrorKind::BrokenPipe, format!("TLS: {error}"))),
                }
            })
        })
    }

    /// Puts a close_notify behind what is pending.
    fn say_goodbye(&mut self) {
        // An alert in its record, with room to spare.
        let mut alert = [0; 64];
        let len = self.speak(|state| {
            let ConnectionState::WriteTraffic(mut traffic) = state else { return None };
            Some(traffic.queue_close_notify(&mut alert).map_err(io::Error::other))
        });
        // A session that broke has nothing to say.
        self.pending.bytes.extend_from_slice(&alert[..len.unwrap_or(0)]);
    }

    /// Brings the session to where it can send, and lets `say` do so.
    fn speak(
        &mut self,
        mut say: impl FnMut(ConnectionState<'_, '_, ServerConnectionData>) -> Option<io::Result<usize>>,
    ) -> io::Result<usize> {
        if let Some(End::Failed(cause)) = &self.end {
            return Err(io::Error::new(ErrorKind::InvalidData, cause.clone()));
        }
        loop {
            // What is kept is where rustls left off reading, and has to be there when it is asked anything.
            let UnbufferedStatus { discard, state } = self.conn.process_tls_records(&mut self.kept);
            let said = match state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => {
                    self.pending.encode(&mut data)?;
                    None
                }
                Ok(ConnectionState::TransmitTlsData(data)) => {
                    data.done();
                    None
                }
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        self.held.extend_from_slice(record.map_err(io::Error::other)?.payload);
                    }
                    None
                }
                Ok(ConnectionState::PeerClosed) => {
                    self.end = Some(End::Closed);
                    None
                }
                Ok(state @ ConnectionState::WriteTraffic(_)) => say(state),
                Ok(_) => Some(Err(ErrorKind::NotConnected.into())),
                Err(error) => {
                    let cause = cause(&error, true);
                    self.end = Some(End::Failed(cause.clone()));
                    self.kept.drain(..discard);
                    say_last_words(&mut self.conn, &mut self.kept, &mut self.pending);
                    return Err(io::Error::new(ErrorKind::InvalidData, cause));
                }
            };
            self.kept.drain(..discard);
            if let Some(said) = said {
                return said;
            }
        }
    }
}

/// Lets rustls read `data`. Returns how many bytes it is done with, and whether the peer said that nothing more comes.
fn drive(
    conn: &mut UnbufferedServerConnection,
    data: &mut [u8],
    plain: &mut Plain<'_>,
    pending: &mut Pending,
) -> (usize, Result<bool, Error>) {
    let mut used = 0;
    let mut failure = None;
    loop {
        let UnbufferedStatus { discard, state } = conn.process_tls_records(&mut data[used..]);
        let stop = match state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                while let Some(record) = traffic.next_record() {
                    match record {
                        Ok(record) => plain.push(record.payload),
                        Err(error) => failure = Some(error),
                    }
                }
                failure.is_some() || !plain.held.is_empty()
            }
            Ok(ConnectionState::EncodeTlsData(mut data)) => pending.encode(&mut data).is_err(),
            Ok(ConnectionState::TransmitTlsData(data)) => {
                data.done();
                false
            }
            Ok(ConnectionState::PeerClosed | ConnectionState::Closed) => return (used + discard, Ok(true)),
            // Early data is refused in the handshake.
            Ok(_) => true,
            Err(error) => {
                failure = Some(error);
                true
            }
        };
        used += discard;
        if stop {
            let Some(failure) = failure else { return (used, Ok(false)) };
            say_last_words(conn, &mut data[used..], pending);
            return (used, Err(failure));
        }
    }
}

/// After an error: the alert that tells the peer, and what was to be said before it. rustls must not be asked to read on
/// (it panics when it finds a second fault), and it is not for as long as there is something to write.
fn say_last_words(conn: &mut UnbufferedServerConnection, data: &mut [u8], pending: &mut Pending) {
    while conn.wants_write() {
        match conn.process_tls_records(data).state {
            Ok(ConnectionState::ReadTraffic(mut traffic)) => while traffic.next_record().is_some() {},
            Ok(ConnectionState::EncodeTlsData(mut data)) => match pending.encode(&mut data) {
                Ok(()) => {}
                Err(_) => return,
            },
            _ => return,
        }
    }
}

impl Plain<'_> {
    fn push(&mut self, bytes: &[u8]) {
        let (fits, beyond) = bytes.split_at(bytes.len().min(self.buffer.len() - self.filled));
        self.buffer[self.filled..self.filled + fits.len()].copy_from_slice(fits);
        self.filled += fits.len();
        self.held.extend_from_slice(beyond);
    }
}

impl Pending {
    fn len(&self) -> usize {
        self.bytes.len() - self.written
    }

    /// Appends what TLS itself has to say.
    fn encode(&mut self, data: &mut EncodeTlsData<'_, ServerConnectionData>) -> io::Result<()> {
        let end = self.bytes.len();
        // Asked with no room, it says how much it takes.
        let size = match data.encode(&mut []) {
            Err(EncodeError::InsufficientSize(size)) => size.required_size,
            Err(error) => return Err(io::Error::other(error)),
            Ok(_) => return Ok(()),
        };
        self.bytes.resize(end + size, 0);
        data.encode(&mut self.bytes[end..]).map_err(io::Error::other)?;
        Ok(())
    }

    /// Writes as much as the kernel takes: was that everything?
    fn flush(&mut self, tcp: &mut impl Write) -> io::Result<bool> {
        if self.len() == 0 {
            return Ok(true);
        }
        self.written += write_all(tcp, &self.bytes[self.written..])?;
        if self.len() == 0 {
            *self = Self::default();
            return Ok(true);
        }
        Ok(false)
    }
}

/// One write, and more only if it was interrupted; 0 if the kernel takes nothing now.
fn write_all(tcp: &mut impl Write, bytes: &[u8]) -> io::Result<usize> {
    loop {
        return match tcp.write(bytes) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result,
        };
    }
}

/// The first byte of a record of a handshake (RFC 8446 §5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// What went wrong, for the log.
fn cause(error: &Error, speaks_tls: bool) -> String {
    match error {
        _ if !speaks_tls => "TLS: the client does not speak it (https:// and wss:// are for this port)".to_owned(),
        Error::AlertReceived(
            alert @ (AlertDescription::UnknownCA
            | AlertDescription::BadCertificate
            | AlertDescription::CertificateUnknown
            | AlertDescription::CertificateExpired),
        ) => format!("TLS: the client does not trust our certificate ({alert:?})"),
        error => format!("TLS: {error}"),
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session").field("pending", &self.0.pending.len()).finish_non_exhaustive()
    }
}
