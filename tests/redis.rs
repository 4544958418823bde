//! The bridge in front of a real redis-server: a protocol of text and bytes, long values, pipelines and pushes.
//!
//! Without redis-server on this machine these tests say so and pass, unless `JACKFIELD_TEST_REDIS` is set.

mod common;

use std::env;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use common::DEADLINE;
use common::client::Client;
use common::frame::{BINARY, binary, text};
use common::server::TestServer;
use common::target::pattern;
use serde_json::{Value, json};
use socket2::{Domain, Socket, Type};

/// A value of redis that is long: more than one read, one frame and one queue mark.
const LONG: usize = 1024 * 1024;

/// Between two attempts to reach a redis-server that is starting.
const POLL_PAUSE: Duration = Duration::from_millis(1);

/// A running redis-server that keeps nothing; killed when dropped.
struct Redis {
    child: Child,
    port: u16,
    /// Bound to the port, so that the system gives it to nobody else, and not listening, so that redis may.
    _reserved: Socket,
}

impl Redis {
    /// Starts one on a free port of 127.0.0.1 and waits until it can be reached; `None` where there is none.
    #[track_caller]
    fn start() -> Option<Self> {
        let reserved = Socket::new(Domain::IPV4, Type::STREAM, None).expect("a descriptor is free");
        // Redis sets it as well, and a port may be shared by those who do.
        reserved.set_reuse_address(true).expect("a live socket");
        reserved.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into()).expect("a port is free");
        let address = reserved.local_addr().expect("bound").as_socket().expect("an IP address");
        let port = address.port();
        let started = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match started {
            Ok(child) => child,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                assert!(env::var_os("JACKFIELD_TEST_REDIS").is_none(), "JACKFIELD_TEST_REDIS is set: {error}");
                eprintln!("skipped: redis-server is not installed");
                return None;
            }
            Err(error) => panic!("redis-server does not start: {error}"),
        };
        let mut redis = Self { child, port, _reserved: reserved };
        redis.wait_until_reached();
        Some(redis)
    }

    #[track_caller]
    fn wait_until_reached(&mut self) {
        let start = Instant::now();
        while let Err(error) = TcpStream::connect(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))) {
            let ended = self.child.try_wait().expect("our own child");
            assert_eq!(ended, None, "redis-server ended at once");
            assert!(start.elapsed() < DEADLINE, "redis-server does not listen: {error}");
            std::thread::sleep(POLL_PAUSE);
        }
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A redis-server, a jackfield that may reach it and calls it "redis", and the paths that lead there.
#[track_caller]
fn joined() -> Option<(Redis, TestServer, [String; 2])> {
    let redis = Redis::start()?;
    let port = redis.port;
    let server = TestServer::with(|config| {
        config.bridge_allow = vec![format!("127.0.0.1:{port}")];
        config.bridge_names = vec![("redis".to_owned(), "127.0.0.1".to_owned(), port)];
    });
    Some((redis, server, [format!("/tcp/127.0.0.1:{port}"), "/tcp/redis".to_owned()]))
}

/// A request as redis reads it: an array of bulk strings.
fn request(words: &[&[u8]]) -> Vec<u8> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    words.iter().for_each(|word| out.extend(bulk(word)));
    out
}

/// A bulk string: `$3\r\nabc\r\n`.
fn bulk(bytes: &[u8]) -> Vec<u8> {
    [format!("${}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// Something that carries bytes to redis and back, however it cuts them.
trait Pipe {
    fn say(&mut self, bytes: &[u8]);

    /// Some more bytes.
    fn more(&mut self) -> Vec<u8>;

    /// The next bytes are these, and nothing came with them.
    #[track_caller]
    fn expect(&mut self, bytes: impl AsRef<[u8]>) {
        let bytes = bytes.as_ref();
        let mut heard = Vec::with_capacity(bytes.len());
        while heard.len() < bytes.len() {
            heard.extend(self.more());
        }
        let shown = heard[..heard.len().min(200)].escape_ascii();
        assert!(heard == bytes, "heard {} bytes instead of {}: {shown}", heard.len(), bytes.len());
    }

    #[track_caller]
    fn ask(&mut self, words: &[&[u8]], answer: impl AsRef<[u8]>) {
        self.say(&request(words));
        self.expect(answer);
    }
}

/// Through `/tcp`.
impl Pipe for Client {
    /// In messages that fit into `--max-message`, wherever that cuts.
    fn say(&mut self, bytes: &[u8]) {
        bytes.chunks(LONG).for_each(|piece| self.send(&binary(piece)));
    }

    fn more(&mut self) -> Vec<u8> {
        let frame = self.expect_frame();
        assert_eq!(frame.opcode, BINARY, "{}", frame.summary());
        frame.payload
    }
}

#[test]
fn tcp_carries_values_of_every_length() {
    let Some((_redis, server, paths)) = joined() else { return };
    for path in &paths {
        let mut client = server.client(path);
        client.ask(&[b"PING"], "+PONG\r\n");
        // As a person would type it, too.
        client.send(&text("PING héllo\r\n"));
        client.expect(bulk("héllo".as_bytes()));
        for len in [0, 1, 125, 126, 65_535, 65_536, LONG] {
            let value = pattern(len, len);
            client.ask(&[b"SET", path.as_bytes(), &value], "+OK\r\n");
            client.ask(&[b"STRLEN", path.as_bytes()], format!(":{len}\r\n"));
            client.ask(&[b"GET", path.as_bytes()], bulk(&value));
        }
        client.ask(&[b"GET", b"nothing"], "$-1\r\n");
        client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn tcp_carries_a_thousand_commands_at_once() {
    let Some((_redis, server, paths)) = joined() else { return };
    for (path, is_one_frame) in [(&paths[0], true), (&paths[1], false)] {
        let mut client = server.client(path);
        let commands: Vec<_> = (0..1000).map(|number| request(&[b"ECHO", format!("{number}").as_bytes()])).collect();
        if is_one_frame {
            client.say(&commands.concat());
        } else {
            let frames: Vec<u8> = commands.iter().flat_map(|command| binary(command).bytes()).collect();
            client.write(&frames);
        }
        client.expect((0..1000).flat_map(|number| bulk(format!("{number}").as_bytes())).collect::<Vec<u8>>());
        client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn tcp_carries_what_redis_says_by_itself() {
    let Some((_redis, server, [listening, speaking])) = joined() else { return };
    let mut listener = server.client(&listening);
    let mut speaker = server.client(&speaking);
    listener.ask(&[b"SUBSCRIBE", b"news"], [b"*3\r\n", &bulk(b"subscribe")[..], &bulk(b"news"), b":1\r\n"].concat());
    for len in [0, 1, 1000, LONG] {
        let news = pattern(0, len);
        speaker.ask(&[b"PUBLISH", b"news", &news], ":1\r\n");
        listener.expect([b"*3\r\n", &bulk(b"message")[..], &bulk(b"news"), &bulk(&news)].concat());
    }
    drop(listener);
    // Redis learns that nobody listens any more, in its own time.
    let start = Instant::now();
    loop {
        speaker.say(&request(&[b"PUBLISH", b"news", b"anybody?"]));
        match &speaker.more()[..] {
            b":0\r\n" => break,
            answer => assert_eq!(answer, b":1\r\n"),
        }
        assert!(start.elapsed() < DEADLINE, "the connection of a client that went is still there");
    }
    speaker.close();
    server.expect_all_given_back();
}

#[test]
fn tcp_ends_when_redis_does() {
    let Some((redis, server, paths)) = joined() else { return };
    for path in &paths {
        let mut client = server.client(path);
        client.ask(&[b"QUIT"], "+OK\r\n");
        assert_eq!(client.expect_close(1000), "the target closed the connection");
        client.expect_end();
    }
    // And when it is not there any more, that is said.
    let port = redis.port;
    drop(redis);
    let mut client = server.client("/tcp/redis");
    let reason = client.expect_close(1014);
    assert!(reason.contains("refused the connection"), "port {port}: {reason}");
    server.expect_all_given_back();
}

/// Through `/ws2s`: a dialect, and whether the next bytes go with `send` or with `sendb`.
struct Ws2s {
    client: Client,
    dialect: Dialect,
    is_sendb: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Dialect {
    /// `/ws2s`: text, base64 where it is none.
    Ours,
    /// `/ws2s?v=1`.
    First,
    /// `/ws2s?v=2`: base64 always.
    Second,
}

const DIALECTS: [Dialect; 3] = [Dialect::Ours, Dialect::First, Dialect::Second];

impl Ws2s {
    #[track_caller]
    fn open(server: &TestServer, dialect: Dialect, port: u16) -> Self {
        let path = match dialect {
            Dialect::Ours => "/ws2s",
            Dialect::First => "/ws2s?v=1",
            Dialect::Second => "/ws2s?v=2",
        };
        let mut ws2s = Self { client: server.client(path), dialect, is_sendb: true };
        ws2s.command(json!({"command": "connect", "host": "127.0.0.1", "port": port}));
        let answer = ws2s.answer();
        assert_eq!(answer, ws2s.done("connect"));
        ws2s
    }

    fn command(&mut self, members: Value) {
        self.client.send(&text(members.to_string()));
    }

    #[track_caller]
    fn answer(&mut self) -> Value {
        serde_json::from_str(&self.client.any_text()).expect("answers are JSON")
    }

    fn done(&self, command: &str) -> Value {
        let message = if self.dialect == Dialect::First { "done".to_owned() } else { format!("{command} done") };
        json!({"success": true, "code": 0, "message": message})
    }

    /// The bytes of an answer that brings some.
    #[track_caller]
    fn bytes(&self, answer: &Value) -> Vec<u8> {
        assert_eq!((&answer["code"], &answer["message"]), (&json!(-1), &json!("recv data")), "{answer}");
        let data = answer["data"].as_str().expect("data is a string");
        match (self.dialect, answer.get("encoding")) {
            (Dialect::Second, None) => STANDARD.decode(data).expect("base64"),
            (Dialect::Ours | Dialect::First, None) => data.as_bytes().to_vec(),
            (Dialect::Ours | Dialect::First, Some(encoding)) => {
                assert_eq!(encoding, "base64");
                STANDARD.decode(data).expect("base64")
            }
            (Dialect::Second, Some(_)) => panic!("it needs no saying: {answer}"),
        }
    }
}

impl Pipe for Ws2s {
    fn say(&mut self, bytes: &[u8]) {
        if self.is_sendb {
            self.command(json!({"command": "sendb", "data": STANDARD.encode(bytes)}));
        } else {
            let data = std::str::from_utf8(bytes).expect("send takes text");
            self.command(json!({"command": "send", "data": data}));
        }
    }

    /// Answers to `send` and what redis says may come in either order.
    fn more(&mut self) -> Vec<u8> {
        loop {
            let answer = self.answer();
            if answer != self.done(if self.is_sendb { "sendb" } else { "send" }) {
                return self.bytes(&answer);
            }
        }
    }
}

#[test]
fn ws2s_carries_text_and_bytes() {
    let Some((redis, server, _)) = joined() else { return };
    for dialect in DIALECTS {
        let mut client = Ws2s::open(&server, dialect, redis.port);
        for is_sendb in [false, true] {
            client.is_sendb = is_sendb;
            client.ask(&[b"PING"], "+PONG\r\n");
            let words = "grüße, 你好 😀 \" \\ \u{0} \u{1f}";
            client.ask(&[b"SET", b"words", words.as_bytes()], "+OK\r\n");
            client.ask(&[b"GET", b"words"], bulk(words.as_bytes()));
            client.ask(&[b"STRLEN", b"words"], format!(":{}\r\n", words.len()));
        }
        for bytes in [b"\xff\xfe\0".to_vec(), b"\xe2\x82".to_vec(), (0..=255).collect(), pattern(0, 300_000)] {
            client.ask(&[b"SET", b"bytes", &bytes], "+OK\r\n");
            client.ask(&[b"GET", b"bytes"], bulk(&bytes));
        }
        // Text that is longer than a read, and cut in the middle of characters.
        let words = "😀é".repeat(50_000);
        client.is_sendb = false;
        client.ask(&[b"SET", b"words", words.as_bytes()], "+OK\r\n");
        client.ask(&[b"GET", b"words"], bulk(words.as_bytes()));
        client.client.close();
    }
    server.expect_all_given_back();
}

#[test]
fn ws2s_carries_what_redis_says_by_itself_and_its_end() {
    let Some((redis, server, _)) = joined() else { return };
    for dialect in DIALECTS {
        let mut listener = Ws2s::open(&server, dialect, redis.port);
        let mut speaker = Ws2s::open(&server, dialect, redis.port);
        let welcome = [b"*3\r\n", &bulk(b"subscribe")[..], &bulk(b"news"), b":1\r\n"].concat();
        listener.ask(&[b"SUBSCRIBE", b"news"], welcome);
        for news in ["first".as_bytes(), "zweitens: 😀".as_bytes(), b"\xff"] {
            speaker.ask(&[b"PUBLISH", b"news", news], ":1\r\n");
            listener.expect([b"*3\r\n", &bulk(b"message")[..], &bulk(b"news"), &bulk(news)].concat());
        }
        speaker.ask(&[b"QUIT"], "+OK\r\n");
        let code = if dialect == Dialect::First { 3 } else { 5 };
        // The answer to the command that asked for the end may come behind what redis said to it.
        let mut answer = speaker.answer();
        while answer == speaker.done("sendb") {
            answer = speaker.answer();
        }
        assert_eq!(answer, json!({"success": false, "code": code, "message": "connection closed by peer"}));
        // The WebSocket is still good for another connection.
        speaker.command(json!({"command": "connect", "host": "127.0.0.1", "port": redis.port}));
        assert_eq!(speaker.answer(), speaker.done("connect"));
        speaker.ask(&[b"PING"], "+PONG\r\n");
        speaker.client.close();
        listener.client.close();
    }
    server.expect_all_given_back();
}
