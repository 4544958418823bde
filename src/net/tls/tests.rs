//! Sessions against rustls' own client, over sockets of memory that take and give as little as a test likes.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, IoSlice, Read, Write};

use proptest::prelude::*;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::CertifiedKey;
use rustls::{ClientConfig, ClientConnection, RootCertStore, SupportedProtocolVersion};

use super::*;

/// One direction of a connection each: what the client sent, and what the server's kernel took.
#[derive(Default)]
struct Wire {
    to_server: VecDeque<u8>,
    to_client: VecDeque<u8>,
    /// Bytes that the server's kernel still takes.
    room: usize,
    /// Whether the client has ended its side.
    is_ended: bool,
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self.to_server.read(buffer)? {
            0 if !self.is_ended && !buffer.is_empty() => Err(ErrorKind::WouldBlock.into()),
            bytes => Ok(bytes),
        }
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let taken = bytes.len().min(self.room);
        if taken == 0 {
            return Err(ErrorKind::WouldBlock.into());
        }
        self.room -= taken;
        self.to_client.extend(&bytes[..taken]);
        Ok(taken)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Pair {
    tls: Tls,
    server: Session,
    client: ClientConnection,
    wire: Wire,
}

fn identity() -> (Identity, RootCertStore) {
    let key = rcgen::KeyPair::generate().unwrap();
    let cert = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    let der: CertificateDer<'static> = cert.der().to_vec().into();
    let mut roots = RootCertStore::empty();
    roots.add(der.clone()).unwrap();
    let key = PrivateKeyDer::try_from(key.serialized_der().to_vec()).unwrap();
    (Identity::of(CertifiedKey::from_der(vec![der], key, &provider()).unwrap()), roots)
}

fn client(roots: RootCertStore, version: &'static SupportedProtocolVersion) -> ClientConnection {
    let builder = ClientConfig::builder_with_provider(ring::default_provider().into());
    let config =
        builder.with_protocol_versions(&[version]).unwrap().with_root_certificates(roots).with_no_client_auth();
    ClientConnection::new(config.into(), ServerName::try_from("localhost").unwrap()).unwrap()
}

impl Pair {
    fn new(version: &'static SupportedProtocolVersion) -> Self {
        let (identity, roots) = identity();
        let tls = Tls::new(identity).unwrap();
        let wire = Wire { room: usize::MAX, ..Wire::default() };
        Self { server: tls.accept(&Account::default()).unwrap(), tls, client: client(roots, version), wire }
    }

    fn open(version: &'static SupportedProtocolVersion) -> Self {
        let mut pair = Self::new(version);
        while pair.client.is_handshaking() || pair.server.is_handshaking() {
            pair.client_speaks();
            let mut buffer = [0; 1024];
            let received = pair.server.recv(&mut pair.wire, &mut buffer);
            assert!(received.is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
            pair.client_listens();
        }
        pair
    }

    fn client_speaks(&mut self) {
        while self.client.wants_write() {
            self.client.write_tls(&mut self.wire.to_server).unwrap();
        }
    }

    /// Everything that the client understands of what has come.
    fn client_listens(&mut self) -> Vec<u8> {
        let mut plain = Vec::new();
        while !self.wire.to_client.is_empty() {
            self.client.read_tls(&mut self.wire.to_client).unwrap();
            self.client.process_new_packets().unwrap();
            let mut chunk = [0; 64 * 1024];
            while let Ok(bytes @ 1..) = self.client.reader().read(&mut chunk) {
                plain.extend_from_slice(&chunk[..bytes]);
            }
        }
        plain
    }

    /// Receives as the loop does: again while there may be more, and not once the socket is drained.
    fn server_listens(&mut self, asked: usize) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut buffer = vec![0; asked];
        loop {
            match self.server.recv(&mut self.wire, &mut buffer) {
                Ok(0) => panic!("the client has not ended"),
                Ok(received) => {
                    plain.extend_from_slice(&buffer[..received]);
                    if received < asked && !self.server.has_more() {
                        return plain;
                    }
                }
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    self.tls.end_turn();
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return plain,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

fn bytes(len: usize) -> Vec<u8> {
    (0..len).map(|place| (place * 31 + place / 251) as u8).collect()
}

const VERSIONS: [&SupportedProtocolVersion; 2] = [&rustls::version::TLS13, &rustls::version::TLS12];

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever arrives, in whatever pieces, into whatever buffers: all of it is handed out, in order, without a byte more
    /// on the wire than the client sent.
    #[test]
    fn nothing_that_was_received_stays_behind(
        version in 0..2usize,
        messages in proptest::collection::vec(0..40_000usize, 1..6),
        pieces in proptest::collection::vec(1..50_000usize, 1..20),
        asked in prop_oneof![1..300usize, 16_000..18_000usize, Just(SCRATCH_BYTES)],
    ) {
        let mut pair = Pair::open(VERSIONS[version]);
        let sent: Vec<u8> = messages.iter().flat_map(|len| bytes(*len)).collect();
        for len in messages {
            pair.client.writer().write_all(&bytes(len)).unwrap();
            pair.client_speaks();
        }
        let mut ciphertext: VecDeque<u8> = std::mem::take(&mut pair.wire.to_server);
        let mut received = Vec::new();
        for piece in pieces.iter().cycle() {
            if ciphertext.is_empty() {
                break;
            }
            pair.wire.to_server.extend(ciphertext.drain(..(*piece).min(ciphertext.len())));
            received.extend(pair.server_listens(asked));
            prop_assert!(pair.wire.to_server.is_empty(), "the socket was left before it was drained");
        }
        prop_assert!(received == sent);
        prop_assert!(pair.server.owns_nothing());
    }

    /// Whatever the kernel takes at a time: what counts as sent arrives, in order, and what is pending is counted.
    #[test]
    fn nothing_that_was_sent_is_lost(
        version in 0..2usize,
        messages in proptest::collection::vec(proptest::collection::vec(0..90_000usize, 1..5), 1..4),
        rooms in proptest::collection::vec(1..60_000usize, 1..20),
    ) {
        let mut pair = Pair::open(VERSIONS[version]);
        let mut rooms = rooms.iter().copied().cycle();
        let (mut sent, mut received) = (Vec::new(), Vec::new());
        for message in messages {
            let parts: Vec<Vec<u8>> = message.iter().map(|len| bytes(*len)).collect();
            let mut rest: Vec<u8> = parts.concat();
            sent.extend_from_slice(&rest);
            let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
            pair.wire.room = rooms.next().unwrap();
            let mut taken = pair.server.send(&mut pair.wire, &slices);
            loop {
                match taken {
                    Ok(bytes) => drop(rest.drain(..bytes)),
                    Err(ref error) => prop_assert!(error.kind() == ErrorKind::WouldBlock && pair.server.pending() > 0),
                }
                if !rest.is_empty() {
                    prop_assert!(pair.server.pending() > 0, "a writable socket is not waited for");
                }
                prop_assert!(pair.server.pending() <= CHUNK_BYTES + CHUNK_OVERHEAD_BYTES);
                received.extend(pair.client_listens());
                if rest.is_empty() {
                    break;
                }
                pair.wire.room = rooms.next().unwrap();
                slices.clear();
                taken = pair.server.send(&mut pair.wire, &[IoSlice::new(&rest)]);
            }
        }
        pair.server.finish(&mut pair.wire);
        while pair.server.pending() > 0 {
            pair.wire.room = rooms.next().unwrap();
            pair.server.flush(&mut pair.wire).unwrap();
            received.extend(pair.client_listens());
        }
        received.extend(pair.client_listens());
        prop_assert!(received == sent);
        prop_assert!(pair.client.process_new_packets().unwrap().peer_has_closed(), "the end was announced");
        prop_assert!(pair.server.owns_nothing());
    }

    /// T40: any bytes in place of a flight, at any place, changed, doubled or cut.
    #[test]
    fn no_handshake_panics(
        version in 0..2usize,
        changes in proptest::collection::vec((0..2usize, any::<prop::sample::Index>(), any::<u8>(), 0..5u8), 1..6),
        pieces in proptest::collection::vec(1..600usize, 1..8),
        noise in proptest::collection::vec(any::<u8>(), 0..60),
    ) {
        let mut pair = Pair::new(VERSIONS[version]);
        let mut pieces = pieces.iter().copied().cycle();
        for flight in 0..3 {
            pair.client_speaks();
            let mut bytes: Vec<u8> = pair.wire.to_server.drain(..).collect();
            for (_, place, byte, how) in changes.iter().filter(|change| change.0 == flight) {
                if bytes.is_empty() {
                    break;
                }
                let at = place.index(bytes.len());
                match how {
                    0 => bytes[at] = *byte,
                    1 => bytes.truncate(at),
                    2 => drop(bytes.splice(at..at, noise.iter().copied())),
                    3 => drop(bytes.splice(at..at, bytes.clone())),
                    _ => bytes[at] ^= 1 << (byte % 8),
                }
            }
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let (piece, beyond) = rest.split_at(pieces.next().unwrap().min(rest.len()));
                pair.wire.to_server.extend(piece);
                rest = beyond;
                let mut buffer = [0; 4096];
                for _ in 0..4 {
                    pair.tls.end_turn();
                    let _ = pair.server.recv(&mut pair.wire, &mut buffer);
                    // Sending may be tried in any state.
                    let _ = pair.server.send(&mut pair.wire, &[IoSlice::new(b"x")]);
                }
            }
            // The client may not like what it is answered.
            let _ = pair.client.read_tls(&mut pair.wire.to_client);
            if pair.client.process_new_packets().is_err() {
                break;
            }
        }
        pair.server.finish(&mut pair.wire);
    }

    /// T40: the same once the handshake is done, with records that only a client with keys can make around it.
    #[test]
    fn no_record_panics(
        version in 0..2usize,
        noise in proptest::collection::vec(any::<u8>(), 0..60),
        place in any::<prop::sample::Index>(),
        asked in 1..30_000usize,
    ) {
        let mut pair = Pair::open(VERSIONS[version]);
        pair.client.writer().write_all(&bytes(40_000)).unwrap();
        pair.client_speaks();
        let at = place.index(pair.wire.to_server.len());
        for byte in noise {
            pair.wire.to_server.insert(at, byte);
        }
        let mut buffer = vec![0; asked];
        for _ in 0..50_000 / asked + 10 {
            let _ = pair.server.recv(&mut pair.wire, &mut buffer);
        }
        let _ = pair.server.send(&mut pair.wire, &[IoSlice::new(b"x")]);
        pair.server.finish(&mut pair.wire);
    }
}

#[test]
fn only_so_many_handshakes_are_worked_on_in_a_turn() {
    let (identity, roots) = identity();
    let tls = Tls::new(identity).unwrap();
    let mut all: Vec<_> = (0..2 * HANDSHAKES_PER_TURN)
        .map(|_| {
            let mut client = client(roots.clone(), &rustls::version::TLS13);
            let mut wire = Wire { room: usize::MAX, ..Wire::default() };
            client.write_tls(&mut wire.to_server).unwrap();
            (tls.accept(&Account::default()).unwrap(), wire)
        })
        .collect();
    let mut turn = || -> Vec<ErrorKind> {
        let kinds = all.iter_mut().map(|(server, wire)| server.recv(wire, &mut [0; 64]).unwrap_err().kind());
        kinds.collect()
    };
    let served = HANDSHAKES_PER_TURN as usize;
    let kinds = turn();
    assert!(kinds[..served].iter().all(|kind| *kind == ErrorKind::WouldBlock), "{kinds:?}");
    assert!(kinds[served..].iter().all(|kind| *kind == ErrorKind::ResourceBusy), "{kinds:?}");
    assert_eq!(tls.end_turn().flights, HANDSHAKES_PER_TURN);
    let kinds = turn();
    assert!(kinds.iter().all(|kind| *kind == ErrorKind::WouldBlock), "the others have their turn: {kinds:?}");
    assert!(all.iter().all(|(_, wire)| !wire.to_client.is_empty()), "everybody was answered");
}

#[test]
fn a_hello_in_records_of_one_byte_is_a_hello_and_an_endless_one_is_not() {
    let mut pair = Pair::new(&rustls::version::TLS13);
    pair.client_speaks();
    let hello: Vec<u8> = pair.wire.to_server.drain(..).skip(5).collect();
    let mut buffer = [0; 64];
    for byte in hello {
        for byte in [22, 3, 1, 0, 1, byte] {
            pair.wire.to_server.push_back(byte);
            let error = pair.server.recv(&mut pair.wire, &mut buffer).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::WouldBlock, "{error}");
        }
    }
    pair.client_listens();
    assert!(pair.client.negotiated_cipher_suite().is_some(), "the server answered");

    // A hello that claims 60,000 bytes.
    let mut pair = Pair::new(&rustls::version::TLS13);
    pair.wire.to_server.extend([22, 3, 1, 0, 4, 1, 0, 0xea, 0x60]);
    let error = (0..20_000).find_map(|_| {
        pair.wire.to_server.extend([22, 3, 1, 0, 1, 0]);
        pair.server.recv(&mut pair.wire, &mut buffer).err().filter(|error| error.kind() != ErrorKind::WouldBlock)
    });
    assert_eq!(error.unwrap().to_string(), "TLS: a handshake of more than 16384 bytes");
}

#[test]
fn new_keys_on_both_sides_in_the_middle_of_it() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    for round in 0..40 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"from the client").unwrap();
        pair.client_speaks();
        assert_eq!(pair.server_listens(SCRATCH_BYTES), b"from the client", "{round}");
        assert_eq!(pair.server.send(&mut pair.wire, &[IoSlice::new(b"from the server")]).unwrap(), 15);
        assert_eq!(pair.client_listens(), b"from the server", "{round}");
    }
    assert!(pair.server.owns_nothing());
}

#[test]
fn a_client_that_asks_for_new_keys_and_reads_nothing_costs_nothing() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    pair.wire.room = 0;
    for _ in 0..2_000 {
        pair.client.refresh_traffic_keys().unwrap();
        pair.client.writer().write_all(b"x").unwrap();
        pair.client_speaks();
        assert_eq!(pair.server_listens(64), b"x");
        assert!(pair.server.pending() < 1024, "{}", pair.server.pending());
    }
}

#[test]
fn the_end_is_seen_announced_or_not_and_behind_what_was_sent() {
    for version in VERSIONS {
        let mut pair = Pair::open(version);
        pair.client.writer().write_all(b"last").unwrap();
        pair.client.send_close_notify();
        pair.client_speaks();
        let mut buffer = [0; 64];
        assert_eq!(pair.server.recv(&mut pair.wire, &mut buffer).unwrap(), 4);
        assert!(pair.server.has_more(), "the loop looks again");
        assert_eq!(pair.server.recv(&mut pair.wire, &mut buffer).unwrap(), 0);
        // Our side is still open.
        assert_eq!(pair.server.send(&mut pair.wire, &[IoSlice::new(b"answer")]).unwrap(), 6);
        assert_eq!(pair.client_listens(), b"answer");

        let mut pair = Pair::open(version);
        pair.wire.is_ended = true;
        assert_eq!(pair.server.recv(&mut pair.wire, &mut buffer).unwrap(), 0, "cut off");

        let mut pair = Pair::new(version);
        pair.client_speaks();
        pair.wire.to_server.truncate(100);
        pair.wire.is_ended = true;
        assert_eq!(pair.server.recv(&mut pair.wire, &mut buffer).unwrap(), 0, "cut off behind half a hello");
    }
}

#[test]
fn what_comes_before_a_fault_is_handed_out_and_the_fault_after_it() {
    let mut pair = Pair::open(&rustls::version::TLS13);
    pair.client.writer().write_all(b"good").unwrap();
    pair.client_speaks();
    pair.wire.to_server.extend([23, 3, 3, 0, 30]);
    pair.wire.to_server.extend([7; 30]);
    let mut buffer = [0; 64];
    assert_eq!(pair.server.recv(&mut pair.wire, &mut buffer).unwrap(), 4);
    assert!(pair.server.has_more());
    let error = pair.server.recv(&mut pair.wire, &mut buffer).unwrap_err();
    assert_eq!(error.to_string(), "TLS: cannot decrypt peer's message");
    assert_eq!(pair.tls.end_turn().failed, 1);
    assert!(pair.server.send(&mut pair.wire, &[IoSlice::new(b"x")]).is_err());
    pair.client.read_tls(&mut pair.wire.to_client).unwrap();
    pair.client.read_tls(&mut pair.wire.to_client).unwrap_or(0);
    let error = pair.client.process_new_packets().unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
}
