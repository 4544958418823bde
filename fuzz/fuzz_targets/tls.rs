//! A session of TLS and a client of rustls, whose bytes arrive in any pieces, into any buffers, over a kernel that takes as
//! little as it likes, and damaged anywhere. Nothing panics; and as long as nothing was damaged, what one end says the other
//! gets, in order, and nothing that has arrived stays behind.

#![no_main]

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use arbitrary::Arbitrary;
use jackfield::memory::Account;
use jackfield::net::tls::{Identity, Session, Tls};
use libfuzzer_sys::fuzz_target;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

#[derive(Arbitrary, Debug)]
enum Step {
    /// The client says this many bytes.
    Say(u16),
    /// The client's next flight is changed before it is sent.
    Damage(u16, u8, Vec<u8>),
    /// The client changes its keys.
    Refresh,
    /// This many bytes of the client's arrive.
    Arrive(u16),
    /// The server receives into a buffer of this size until the socket is drained.
    Receive(u16),
    /// The server says messages of these lengths, in one write.
    Send(Vec<u16>),
    /// The server's kernel takes this many bytes more.
    Room(u16),
    /// The client reads.
    Listen,
    /// The client ends its side.
    Close,
    /// The server ends its.
    Finish,
}

#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    room: usize,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.to_server.is_empty() {
            return Err(ErrorKind::WouldBlock.into());
        }
        // Reading less than was asked for says that nothing more is there, as it does of a socket.
        self.to_server.make_contiguous();
        self.to_server.read(buffer)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        self.to_client.extend(&bytes[..taken]);
        if taken > 0 { Ok(taken) } else { Err(ErrorKind::WouldBlock.into()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Made once: keys are dear.
fn parties() -> &'static (Tls, [Arc<ClientConfig>; 2]) {
    static PARTIES: OnceLock<(Tls, [Arc<ClientConfig>; 2])> = OnceLock::new();
    PARTIES.get_or_init(|| {
        let key = rcgen::KeyPair::generate().expect("randomness");
        let params = rcgen::CertificateParams::new(["localhost".to_owned()]).expect("a name");
        let cert = params.self_signed(&key).expect("good parameters");
        let folder = std::env::temp_dir().join(format!("jackfield-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        let files = [folder.join("cert.pem"), folder.join("key.pem")];
        std::fs::write(&files[0], cert.pem()).expect("writable");
        std::fs::write(&files[1], key.serialize_pem()).expect("writable");
        let identity = Identity::load(&files[0], &files[1], SystemTime::now()).expect("a good identity");
        std::fs::remove_dir_all(&folder).expect("ours");
        let der: CertificateDer<'static> = cert.der().clone();
        let client = |version| {
            let mut roots = RootCertStore::empty();
            roots.add(der.clone()).expect("a certificate");
            let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
            let builder = builder.with_protocol_versions(&[version]).expect("a version");
            Arc::new(builder.with_root_certificates(roots).with_no_client_auth())
        };
        let clients = [client(&rustls::version::TLS13), client(&rustls::version::TLS12)];
        (Tls::new(identity).expect("randomness"), clients)
    })
}

struct World {
    server: Session,
    client: ClientConnection,
    wire: Wire,
    /// What the client has sent and what has not arrived.
    on_its_way: VecDeque<u8>,
    said: VecDeque<u8>,
    sent: VecDeque<u8>,
    /// How often in a row the client has changed its keys without a word between.
    refreshed: usize,
    /// Something that no good client sends is on its way.
    is_damaged: bool,
}

/// What rustls, like other implementations, bears of changed keys in a row (`kMaxKeyUpdates`).
const MOST_REFRESHED: usize = 32;

impl World {
    fn client_flushes(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.on_its_way).expect("memory");
        }
    }

    fn client_listens(&mut self) {
        while !self.wire.to_client.is_empty() {
            let read = self.client.read_tls(&mut self.wire.to_client);
            if read.is_err() || self.client.process_new_packets().is_err() {
                assert!(self.is_damaged, "the server said something wrong");
                self.wire.to_client.clear();
            }
            let mut chunk = vec![0; 1 << 16];
            while let Ok(bytes @ 1..) = self.client.reader().read(&mut chunk) {
                assert!(self.is_damaged || self.sent.drain(..bytes).eq(chunk[..bytes].iter().copied()));
            }
        }
        self.client_flushes();
    }

    fn server_listens(&mut self, asked: usize) {
        let mut buffer = vec![0; asked.max(1)];
        loop {
            parties().0.end_turn();
            match self.server.recv(&mut self.wire, &mut buffer) {
                Ok(0) => return,
                Ok(bytes) => {
                    if !self.is_damaged && !self.server.is_finishing() {
                        assert!(self.said.drain(..bytes).eq(buffer[..bytes].iter().copied()));
                    }
                    if bytes < buffer.len() && !self.server.has_more() {
                        break;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {}
                Err(error) => {
                    assert!(self.is_damaged || error.kind() == ErrorKind::WouldBlock, "{error}");
                    if error.kind() != ErrorKind::WouldBlock {
                        return;
                    }
                    break;
                }
            }
        }
        assert!(self.wire.to_server.is_empty(), "the socket was left before it was drained");
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Say(len) => {
                let bytes: Vec<u8> = (0..*len).map(|place| (place ^ len) as u8).collect();
                // Before its handshake is done the client takes only so much.
                let taken = self.client.writer().write(&bytes).unwrap_or(0);
                self.said.extend(&bytes[..taken]);
                if taken > 0 {
                    self.refreshed = 0;
                }
                self.client_flushes();
            }
            Step::Damage(at, byte, noise) => {
                if let Some(there) = self.on_its_way.get_mut(usize::from(*at)) {
                    self.is_damaged = true;
                    *there ^= byte;
                    for byte in noise {
                        self.on_its_way.insert(usize::from(*at), *byte);
                    }
                }
            }
            Step::Refresh => {
                self.refreshed += usize::from(self.client.refresh_traffic_keys().is_ok());
                self.is_damaged |= self.refreshed > MOST_REFRESHED;
            }
            Step::Arrive(len) => {
                let len = self.on_its_way.len().min(usize::from(*len));
                self.wire.to_server.extend(self.on_its_way.drain(..len));
            }
            Step::Receive(len) => self.server_listens(usize::from(*len)),
            Step::Send(lens) => {
                let parts: Vec<Vec<u8>> = lens.iter().take(4).map(|len| vec![*len as u8; usize::from(*len)]).collect();
                let slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
                if !self.server.is_finishing()
                    && let Ok(taken) = self.server.send(&mut self.wire, &slices)
                {
                    self.sent.extend(parts.concat().into_iter().take(taken));
                    assert!(taken == parts.concat().len() || self.server.pending() > 0, "nobody waits for the kernel");
                }
            }
            Step::Room(room) => {
                self.wire.room += usize::from(*room);
                let _ = self.server.flush(&mut self.wire);
            }
            Step::Listen => self.client_listens(),
            Step::Close => {
                // In the middle of a handshake it is a fault.
                self.is_damaged |= self.client.is_handshaking();
                self.client.send_close_notify();
                self.client_flushes();
            }
            Step::Finish => self.server.finish(&mut self.wire),
        }
        assert!(self.server.pending() < 1 << 18);
    }
}

fuzz_target!(|input: (bool, bool, Vec<Step>)| {
    let (is_old, is_open, steps) = input;
    let (tls, clients) = parties();
    let name = ServerName::try_from("localhost").expect("a name");
    let mut world = World {
        server: tls.accept(&Account::default()).expect("a good configuration"),
        client: ClientConnection::new(Arc::clone(&clients[usize::from(is_old)]), name).expect("a configuration"),
        wire: Wire::default(),
        on_its_way: VecDeque::new(),
        said: VecDeque::new(),
        sent: VecDeque::new(),
        refreshed: 0,
        is_damaged: false,
    };
    world.client_flushes();
    // Half of the time the handshake is over before anything happens.
    while is_open && world.client.is_handshaking() {
        for step in [Step::Room(u16::MAX), Step::Arrive(u16::MAX), Step::Receive(99), Step::Listen] {
            world.step(&step);
        }
    }
    for step in steps.iter().take(60) {
        world.step(step);
    }
});
