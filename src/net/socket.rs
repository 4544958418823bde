//! A stream with its write queue: write first, keep what the kernel does not take. Layer 1.

use std::io::{self, ErrorKind, IoSlice};

use super::queue::{MAX_SLICES, WriteQueue};
use super::stream::Stream;

/// A connected, non-blocking socket.
#[derive(Debug)]
pub struct Socket {
    stream: Stream,
    queue: WriteQueue,
}

/// What one receive brought.
#[derive(Debug)]
pub enum Received {
    /// This many bytes, `> 0`.
    Bytes(usize),
    /// Nothing is there; readiness will tell when there is.
    Nothing,
    /// Something is there and has to wait for the loop's next turn; no readiness will tell.
    Later,
    /// The peer has finished sending.
    End,
    /// The connection is broken.
    Failed(io::Error),
}

impl Socket {
    /// Takes over a stream.
    #[must_use]
    pub fn new(stream: Stream) -> Self {
        Self { stream, queue: WriteQueue::default() }
    }

    /// The stream, for registration.
    pub fn stream(&mut self) -> &mut Stream {
        &mut self.stream
    }

    /// One receive.
    pub fn recv(&mut self, buffer: &mut [u8]) -> Received {
        received(|| self.stream.recv(buffer))
    }

    /// What one receive would bring, without taking it.
    pub fn peek(&mut self, buffer: &mut [u8]) -> Received {
        received(|| self.stream.peek(buffer))
    }

    /// Whether a receive that brought `received` bytes of the `asked` left nothing behind.
    #[must_use]
    #[inline]
    pub fn is_drained(&self, received: usize, asked: usize) -> bool {
        received < asked && !self.stream.has_more()
    }

    /// Writes `slices` behind what already waits. `keep` appends the rest of them, from the given byte on, to the
    /// queue; it is called at most once and only if something is left.
    ///
    /// # Errors
    /// The stream's, when the connection is broken.
    #[inline]
    pub fn send(&mut self, slices: &[IoSlice<'_>], keep: impl FnOnce(usize, &mut WriteQueue)) -> io::Result<()> {
        let total: usize = slices.iter().map(|slice| slice.len()).sum();
        let mut written = 0;
        if self.queue.is_empty() {
            written = self.write(slices)?;
        }
        if written < total {
            keep(written, &mut self.queue);
        }
        Ok(())
    }

    /// Has something wait without offering it to the kernel yet, unless something that was offered waits already: then it
    /// joins that. `keep` appends it to the queue. Whether the caller has to see to it that [`Socket::flush`] is called.
    pub fn postpone(&mut self, keep: impl FnOnce(&mut WriteQueue)) -> bool {
        let is_first = self.queue.is_empty();
        keep(&mut self.queue);
        if is_first {
            self.queue.set_postponed(true);
        }
        self.queue.is_postponed()
    }

    /// Whether something waits that the kernel was not offered yet.
    #[must_use]
    pub fn is_postponed(&self) -> bool {
        self.queue.is_postponed()
    }

    /// Writes what waits, as far as the kernel takes it, and the end of the stream behind it if that was asked for.
    ///
    /// # Errors
    /// The stream's.
    pub fn flush(&mut self) -> io::Result<()> {
        if self.stream.pending() > 0 {
            self.stream.flush()?;
        }
        self.queue.set_postponed(false);
        while !self.queue.is_empty() {
            let mut slices = [IoSlice::new(&[]); MAX_SLICES];
            let filled = self.queue.slices(&mut slices);
            let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            let written = write(&mut self.stream, &slices[..filled])?;
            self.queue.advance(written);
            if written < offered {
                return Ok(());
            }
        }
        if self.stream.is_finishing {
            self.stream.is_finishing = false;
            self.stream.finish();
        }
        Ok(())
    }

    /// Ends the sending side once everything that waits is written.
    pub fn finish(&mut self) {
        if self.queue.is_empty() {
            self.stream.finish();
        } else {
            self.stream.is_finishing = true;
        }
    }

    /// The connection is about to be dropped: a peer who would take that for a cut is told that everything was said, if
    /// it was.
    pub fn part(&mut self) {
        if self.queued() == 0 {
            self.stream.announce_end();
        }
    }

    /// The memory of what waits to be written, in bytes: what limits are compared with.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.queue.weight() + self.stream.pending()
    }

    /// The memory that it holds, in bytes: what waits to be written, and what the transport keeps of what came.
    #[must_use]
    pub fn held(&self) -> usize {
        self.queue.weight() + self.stream.weight()
    }

    /// Drops what waits: nothing more can be written.
    pub fn forget(&mut self) {
        self.queue = WriteQueue::default();
    }

    /// See [`WriteQueue::taken`].
    #[must_use]
    pub fn taken(&self) -> Option<u64> {
        self.queue.taken()
    }

    /// See [`WriteQueue::watch`].
    pub fn watch(&mut self) -> bool {
        self.queue.watch()
    }

    /// Bytes that wait to be written.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.queue.len() + self.stream.pending()
    }

    fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        write(&mut self.stream, slices)
    }
}

/// What a receive came to, once it is not interrupted.
#[inline]
fn received(mut receive: impl FnMut() -> io::Result<usize>) -> Received {
    loop {
        return match receive() {
            Ok(0) => Received::End,
            Ok(bytes) => Received::Bytes(bytes),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Received::Nothing,
            Err(error) if error.kind() == ErrorKind::ResourceBusy => Received::Later,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Received::Failed(error),
        };
    }
}

/// One write; 0 if the kernel takes nothing now.
fn write(stream: &mut Stream, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    loop {
        return match stream.send(slices) {
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(0),
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            result => result,
        };
    }
}

#[cfg(all(test, debug_assertions))]
mod tests {
    use super::*;
    use crate::memory::Account;
    use crate::net::simulated::{Line, TcpStream};

    #[test]
    fn what_is_put_off_is_offered_once_and_joins_what_was_offered() {
        let memory = Account::default();
        let (server, mut client) = Line::open();
        client.set_room(1000);
        let mut socket = Socket::new(Stream::plain(TcpStream::Simulated(server)));
        let put_off = |socket: &mut Socket, byte: u8| {
            socket.postpone(|queue| queue.push_copy(&[IoSlice::new(&[byte; 700])], 0, &memory))
        };
        assert!(put_off(&mut socket, 1) && put_off(&mut socket, 2));
        assert_eq!((client.unread(), socket.is_postponed()), (0, true));
        socket.flush().expect("open");
        assert_eq!((client.unread(), socket.is_postponed()), (1000, false));
        assert!(!put_off(&mut socket, 3), "readiness tells when it can be written");
        assert_eq!(client.read(1000), [[1; 700].as_slice(), &[2; 300]].concat());
        socket.flush().expect("open");
        assert_eq!(client.read(1000).len(), 1000);
        socket.flush().expect("open");
        assert_eq!((client.read(1000).len(), socket.queued(), socket.is_postponed()), (100, 0, false));
    }
}
