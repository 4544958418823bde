//! One connection of the load generator: connecting, the opening handshake, what waits to be sent.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use mio::event::Event;
use mio::net::TcpStream;
use mio::{Interest, Registry, Token};
use socket2::{Domain, Socket, Type};

use crate::Outcome;
use crate::frames::Reader;
use crate::secure::Secure;
use crate::target::Url;

/// The key and its answer in RFC 6455 §1.3. That all connections send the same key is nobody's business but a cache's.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A longer answer is no answer to an opening handshake.
const MAX_ANSWER_BYTES: usize = 16 * 1024;

/// Where a connection is in its life.
#[derive(Debug)]
pub(crate) enum Phase {
    Connecting,
    /// The answer to the opening handshake as far as it is there.
    Opening(Vec<u8>),
    Open,
}

/// A client's connection.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    tls: Option<Box<Secure>>,
    pub(crate) phase: Phase,
    pub(crate) reader: Reader,
    /// Frames that wait to be sent.
    pub(crate) out: Vec<u8>,
    sent: usize,
    /// The number of the message that is due next.
    pub(crate) due: u64,
    /// How much of it is there, where messages are a stream.
    pub(crate) due_at: usize,
    /// The number of the message whose receipt is due next.
    pub(crate) unconfirmed: u64,
    /// The start of a message that must be seen whole.
    pub(crate) whole: Vec<u8>,
}

/// Addresses to connect from. A closed connection keeps its port busy for a minute, and one address has some 28,000.
const SOURCES: u32 = 250;

impl Client {
    /// Begins to connect. On loopback the clients of different numbers come from different addresses.
    pub(crate) fn connect(to: SocketAddr, number: u32, registry: &Registry, token: usize) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(to), Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.set_tcp_nodelay(true)?;
        if let IpAddr::V4(ip) = to.ip()
            && ip.is_loopback()
        {
            let from = Ipv4Addr::from(u32::from(Ipv4Addr::new(127, 0, 1, 0)) + number % SOURCES);
            socket.bind(&SocketAddr::new(from.into(), 0).into())?;
        }
        match socket.connect(&to.into()) {
            Err(error) if error.raw_os_error() != Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {
                return Err(error);
            }
            _ => {}
        }
        let mut stream = TcpStream::from_std(socket.into());
        registry.register(&mut stream, Token(token), Interest::READABLE | Interest::WRITABLE)?;
        Ok(Self {
            stream,
            tls: None,
            phase: Phase::Connecting,
            reader: Reader::default(),
            out: Vec::new(),
            sent: 0,
            due: 0,
            due_at: 0,
            unconfirmed: 0,
            whole: Vec::new(),
        })
    }

    /// Has everything go over TLS, if the server is to be spoken to so.
    pub(crate) fn secure(mut self, url: &Url) -> Outcome<Self> {
        self.tls = url.tls.as_ref().map(|config| Secure::new(config).map(Box::new)).transpose()?;
        Ok(self)
    }

    /// What a readiness event says about connecting. True once, when the connection stands.
    pub(crate) fn is_connected_by(&mut self, event: &Event) -> io::Result<bool> {
        if !matches!(self.phase, Phase::Connecting) || !event.is_writable() {
            return Ok(false);
        }
        if let Some(error) = self.stream.take_error()? {
            return Err(error);
        }
        match self.stream.peer_addr() {
            Ok(_) => {}
            // An event of the connection that had this token before.
            Err(error) if error.kind() == ErrorKind::NotConnected => return Ok(false),
            Err(error) => return Err(error),
        }
        self.phase = Phase::Opening(Vec::new());
        Ok(true)
    }

    /// Asks for the upgrade.
    pub(crate) fn request(&mut self, host: &str, path: &str) -> io::Result<()> {
        write!(
            self.out,
            "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )?;
        self.flush()
    }

    /// Takes the answer to the opening handshake off the front of `input`. True when it is complete.
    pub(crate) fn on_answer(&mut self, input: &mut &[u8]) -> Outcome<bool> {
        let Phase::Opening(answer) = &mut self.phase else { return Ok(true) };
        let before = answer.len();
        answer.extend_from_slice(input);
        let mut headers = [httparse::EMPTY_HEADER; 32];
        let mut response = httparse::Response::new(&mut headers);
        let httparse::Status::Complete(len) = response.parse(answer)? else {
            *input = &[];
            return if answer.len() > MAX_ANSWER_BYTES { Err("the answer has no end".into()) } else { Ok(false) };
        };
        let is_accepted = response.headers.iter().any(|header| {
            header.name.eq_ignore_ascii_case("sec-websocket-accept") && header.value == ACCEPT.as_bytes()
        });
        if response.code != Some(101) || !is_accepted {
            let shown = String::from_utf8_lossy(&answer[..answer.len().min(400)]).into_owned();
            return Err(format!("the server does not upgrade:\n{shown}").into());
        }
        *input = &input[len - before..];
        self.phase = Phase::Open;
        Ok(true)
    }

    /// Sends what the kernel takes.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        if let Some(tls) = &mut self.tls {
            tls.send(&mut self.stream, &self.out)?;
            self.out.clear();
            return Ok(());
        }
        while self.sent < self.out.len() {
            match self.stream.write(&self.out[self.sent..]) {
                Ok(sent) => self.sent += sent,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.out.clear();
        self.sent = 0;
        Ok(())
    }

    /// Reads once; `None` when nothing is there.
    pub(crate) fn read(&mut self, scratch: &mut [u8]) -> io::Result<Option<usize>> {
        if let Some(tls) = &mut self.tls {
            return tls.read(&mut self.stream, scratch);
        }
        loop {
            match self.stream.read(scratch) {
                Ok(read) => return Ok(Some(read)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}
