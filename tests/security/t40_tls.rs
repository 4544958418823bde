//! T40: records and hellos of TLS that are nearly right, and good hellos in crowds, through the real loop, beside
//! neighbours with TLS and without, who must not notice. What one turn of the loop may spend on handshakes is counted
//! turn by turn in `simulation`.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection};

use super::common::frame::text;
use super::common::server::TestServer;
use super::common::tls::{Identity, dial};
use super::dice::{Dice, seed};
use super::input::Input;

const SPAN: Duration = Duration::from_millis(2000);

/// How long a neighbour may wait for one message, on a machine that is busy with other tests.
const PATIENCE: Duration = Duration::from_secs(2);

/// Hellos that wait for the server at the same time.
const CROWD: usize = 48;

fn hello(config: &Arc<ClientConfig>) -> Vec<u8> {
    let name = ServerName::try_from("localhost").expect("a name");
    let mut client = ClientConnection::new(Arc::clone(config), name).expect("a configuration");
    let mut flight = Vec::new();
    client.write_tls(&mut flight).expect("in memory");
    flight
}

/// Records: of any kind, with any length, with whatever in them, and a good hello cut into them now and then.
fn records(input: &mut Input<'_>, hello: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..1 + input.choice(12) {
        let kind = input.one_of(&[22, 22, 22, 20, 21, 23, 24, 0, 255]);
        let body = match input.choice(6) {
            0 => Vec::new(),
            1 => vec![1],
            2 => vec![input.byte(), input.byte()],
            3 => hello[5..].iter().copied().take(1 << input.choice(10)).collect(),
            4 => [&[1, 0, 0xff, 0xff][..], &input.bytes()].concat(),
            _ => input.bytes(),
        };
        let len = match input.choice(8) {
            0 => 0xffff,
            1 => 0x4000,
            2 => body.len() + 1,
            _ => body.len(),
        };
        bytes.extend([kind, 3, input.one_of(&[1, 3, 3, 0, 4, 255])]);
        bytes.extend((len as u16).to_be_bytes());
        bytes.extend(body);
    }
    bytes
}

/// A good hello with something changed.
fn damaged(input: &mut Input<'_>, hello: &[u8]) -> Vec<u8> {
    let mut bytes = hello.to_vec();
    for _ in 0..1 + input.choice(6) {
        let at = (usize::from(input.byte()) << 8 | usize::from(input.byte())) % bytes.len().max(1);
        match input.choice(4) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, input.byte()),
            2 => drop(bytes.splice(at..at, hello.iter().copied().take(300))),
            _ => bytes.iter_mut().skip(at).take(1).for_each(|byte| *byte ^= input.byte()),
        }
    }
    bytes
}

fn attack(address: SocketAddr, dice: &mut Dice, hello: &[u8]) {
    let decisions = dice.bytes(3000);
    let mut input = Input(&decisions);
    let words = match input.choice(3) {
        0 => records(&mut input, hello),
        1 => damaged(&mut input, hello),
        _ => [hello.to_vec(), records(&mut input, hello)].concat(),
    };
    let mut stream = dial(address);
    let piece = input.one_of(&[usize::MAX, 1000, 17]);
    for piece in words.chunks(piece.min(words.len().max(1))) {
        if stream.write_all(piece).is_err() {
            break;
        }
    }
    if input.choice(3) > 0 {
        stream.shutdown(Shutdown::Write).unwrap_or_default();
        match stream.read_to_end(&mut Vec::new()) {
            Err(error) if error.kind() != ErrorKind::ConnectionReset => panic!("nobody ends it: {error}"),
            _ => {}
        }
    }
}

/// Hellos from everywhere at once: each is answered.
fn crowd(address: SocketAddr, hello: &[u8]) {
    let mut streams: Vec<TcpStream> = (0..CROWD).map(|_| dial(address)).collect();
    for stream in &mut streams {
        stream.write_all(hello).expect("taken");
    }
    for stream in &mut streams {
        let mut answer = [0; 6];
        stream.read_exact(&mut answer).expect("an answer");
        assert_eq!((answer[0], answer[5]), (22, 2), "a ServerHello");
    }
}

#[test]
fn t40_records_that_are_nearly_right_disturb_nobody() {
    let mut dice = Dice(seed());
    let identity = Identity::new("t40");
    let server = TestServer::with(|config| {
        identity.listen(config);
        config.limits.close_timeout = Duration::from_millis(200);
        config.limits.handshake_timeout = Duration::from_secs(3);
    });
    let address = server.addresses()[1];
    let hello = hello(&Arc::new(identity.client()));
    let mut plain = ["/local/plain", "/local/plain"].map(|target| server.client(target));
    let mut secure = ["/local/secure", "/local/secure"].map(|target| identity.socket(address, target));
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let neighbours = scope.spawn(|| {
            let (mut said, mut longest) = (0, Duration::ZERO);
            while !is_over.load(Ordering::Relaxed) || said == 0 {
                let (words, began) = (format!("{said}"), Instant::now());
                plain[0].send(&text(words.clone()));
                secure[0].send(words.clone());
                plain[1].expect_text(&words);
                assert_eq!(secure[1].text(), words);
                longest = longest.max(began.elapsed());
                said += 1;
            }
            (said, longest)
        });
        let begin = Instant::now();
        let attacked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            while begin.elapsed() < SPAN {
                (0..20).for_each(|_| attack(address, &mut dice, &hello));
                crowd(address, &hello);
            }
        }));
        is_over.store(true, Ordering::Relaxed);
        let (said, longest) = neighbours.join().expect("the neighbours are not disturbed");
        assert!(longest < PATIENCE, "a neighbour waited for {longest:?}, once in {said}");
        attacked.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
    });
    drop((plain, secure));
    server.expect_all_given_back();
}
