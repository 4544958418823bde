//! ws2s by `serde_json`, `base64` and strings: every request and everything that happens to a target has exactly the
//! effects that the model foresees.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use base64::engine::{DecodePaddingMode, Engine};
use jackfield::frame::message::Kind;
use jackfield::hub::SessionId;
use jackfield::protocol::recorder::{Effect, Line, World, relayed, sent};
use jackfield::protocol::ws2s::{Dialect, Ws2s};
use jackfield::protocol::{BridgeEvent, DialError};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ERRORS, MAX_OPERATIONS};
use crate::models::input::Input;
use crate::models::json::is_falsy;

/// What a client says while its session dials, in order.
type Held = Vec<(Kind, Vec<u8>)>;

/// One client, as it should be.
struct Model {
    id: SessionId,
    dialect: Dialect,
    line: Line,
    /// What it dials.
    host: String,
    held: Held,
    /// The beginning of a character that the target has not finished.
    cut: Vec<u8>,
}

/// Opens, speaks, answers for the targets and closes as `input` decides.
pub(crate) fn run(input: &mut Input<'_>) {
    let mut world = World::new();
    let mut models: BTreeMap<SessionId, Model> = BTreeMap::new();
    for _ in 0..MAX_OPERATIONS {
        if input.is_used_up() {
            break;
        }
        let open = world.sessions();
        let who = (!open.is_empty()).then(|| input.one_of(&open));
        match (input.choice(16), who) {
            (0, _) | (_, None) => {
                let dialect = input.one_of(&[Dialect::Text, Dialect::First, Dialect::Base64]);
                let id = world.open(Ws2s::new(dialect));
                let (host, held, cut) = (String::new(), Vec::new(), Vec::new());
                models.insert(id, Model { id, dialect, line: Line::Idle, host, held, cut });
            }
            (1, Some(who)) => {
                models.remove(&who);
                assert_eq!(world.close(who), []);
            }
            (2, Some(who)) => {
                let bytes = input.bytes();
                speak(&mut world, &mut models, who, Kind::Binary, &bytes);
            }
            (3, Some(who)) => {
                let text = String::from_utf8_lossy(&input.bytes()).into_owned();
                speak(&mut world, &mut models, who, Kind::Text, text.as_bytes());
            }
            (4..=9, Some(who)) => {
                let request = request(input);
                speak(&mut world, &mut models, who, Kind::Text, request.as_bytes());
            }
            (_, Some(who)) => happen(&mut world, models.get_mut(&who).expect("one for each"), input),
        }
        for (who, model) in &models {
            assert_eq!(world.line(*who), model.line);
        }
    }
}

/// Says something in both worlds, unless `serde_json` cannot tell what it means: some JSON has numbers or strings that it
/// cannot hold.
fn speak(world: &mut World<Ws2s>, models: &mut BTreeMap<SessionId, Model>, who: SessionId, kind: Kind, payload: &[u8]) {
    let is_told =
        serde_json::from_slice::<Value>(payload).is_ok() == serde_json::from_slice::<&RawValue>(payload).is_ok();
    if kind == Kind::Binary || is_told {
        let expected = models.get_mut(&who).expect("one for each").message(kind, payload);
        assert_eq!(world.message(who, kind, payload), expected, "{}", payload.escape_ascii());
    }
}

/// Something happens to the target of a client.
fn happen(world: &mut World<Ws2s>, model: &mut Model, input: &mut Input<'_>) {
    let who = model.id;
    match (model.line, input.choice(8)) {
        (Line::Idle, _) => {}
        (Line::Dialling, 0..=5) => {
            let expected = model.outcome(None);
            assert_eq!(world.bridge(who, BridgeEvent::Open), expected);
        }
        (Line::Dialling, _) => {
            let error = input.one_of(&ERRORS);
            let expected = model.outcome(Some(error));
            assert_eq!(world.bridge(who, BridgeEvent::Failed(error)), expected);
        }
        (Line::Open, 0) => {
            let mut expected = model.end();
            let code = if model.dialect == Dialect::First { 3 } else { 5 };
            expected.push(failed(who, code, "connection closed by peer"));
            assert_eq!(world.bridge(who, BridgeEvent::Ended), expected);
        }
        (Line::Open, 1) => {
            let mut expected = model.end();
            let code = if model.dialect == Dialect::First { 3 } else { 1 };
            expected.push(failed(who, code, "ConnectionResetError(104, 'Connection reset by peer')"));
            assert_eq!(world.bridge(who, BridgeEvent::Broken(ErrorKind::ConnectionReset)), expected);
        }
        (Line::Open, way) => {
            let mut bytes = input.bytes();
            if way < 6 {
                // Text that is cut anywhere, and sometimes damaged.
                let text = String::from_utf8_lossy(&bytes).into_owned() + "é€😀";
                let cut = input.choice(text.len()) + 1;
                bytes = text.into_bytes()[..cut].to_vec();
                if way == 5 {
                    bytes = bytes.split_off(input.choice(bytes.len()));
                }
            }
            if !bytes.is_empty() {
                let expected = model.received(&bytes);
                assert_eq!(world.receive(who, &bytes), expected, "{}", bytes.escape_ascii());
            }
        }
    }
}

impl Model {
    fn message(&mut self, kind: Kind, payload: &[u8]) -> Vec<Effect> {
        if self.line == Line::Dialling {
            self.held.push((kind, payload.to_vec()));
            return Vec::new();
        }
        let outcome = match kind {
            Kind::Binary if self.line != Line::Open => Err((3, self.no_socket())),
            Kind::Binary => Ok(self.bridged(payload, "sendb")),
            Kind::Text => self.request(std::str::from_utf8(payload).expect("text is")),
        };
        outcome.unwrap_or_else(|(code, message)| vec![failed(self.id, code, &message)])
    }

    fn request(&mut self, text: &str) -> Result<Vec<Effect>, (u8, String)> {
        let other = |message: &str| (1, message.to_owned());
        let value =
            serde_json::from_str::<Value>(text).map_err(|_| other("JSONDecodeError: the request is not JSON"))?;
        let Value::Object(request) = value else { return Err(other("TypeError: the request is not an object")) };
        let missing = |name| (1, format!("KeyError('{name}'): the request needs it"));
        let command = request.get("command").ok_or(missing("command"))?;
        let command = command.as_str().ok_or(other("TypeError: the command is not a string"))?;
        // Success quotes the command as it was written.
        let spans: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("an object");
        let written = spans["command"].get();
        let written =
            written.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).expect("it is a string").to_owned();
        match command {
            "connect" => {
                if request.get("ssh_host").is_some_and(|host| !is_falsy(host)) {
                    return Err((6, "ssh tunnels are not offered".to_owned()));
                }
                let host = request.get("host").ok_or(missing("host"))?;
                let port = spans.get("port").ok_or(missing("port"))?.get();
                if !port.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) {
                    return Err(other("TypeError: the port is not a whole number"));
                }
                let port = port.parse::<u16>().ok().filter(|port| *port > 0);
                let port = port.ok_or(other("OverflowError: the port must be from 1 to 65535"))?;
                let host = host.as_str().ok_or(other("TypeError: the host is not a string"))?;
                (self.line, self.host) = (Line::Dialling, host.to_owned());
                self.cut.clear();
                Ok(vec![Effect::Dialled { who: self.id, host: host.to_owned(), port }])
            }
            "send" | "sendb" => {
                let data = request.get("data").ok_or(missing("data"))?;
                if self.line != Line::Open {
                    return Err((3, self.no_socket()));
                }
                let data = data.as_str().ok_or(other("TypeError: the data is not a string"))?;
                let bytes = match command {
                    "send" => data.as_bytes().to_vec(),
                    _ => lenient().decode(data).map_err(|_| other("binascii.Error: the data is not base64"))?,
                };
                Ok(self.bridged(&bytes, &written))
            }
            "close" if self.line == Line::Open => {
                self.line = Line::Idle;
                self.cut.clear();
                Ok(vec![Effect::HungUp { who: self.id }, self.done(&written)])
            }
            _ => Ok(vec![self.done(&written)]),
        }
    }

    fn bridged(&self, bytes: &[u8], command: &str) -> Vec<Effect> {
        let bridged = Effect::Bridged { who: self.id, bytes: bytes.to_vec() };
        let done = self.done(command);
        if bytes.is_empty() { vec![done] } else { vec![bridged, done] }
    }

    /// A dial has come to its end: what is said of it, and of everything that waited for it.
    fn outcome(&mut self, error: Option<DialError>) -> Vec<Effect> {
        let id = self.id;
        self.line = if error.is_some() { Line::Idle } else { Line::Open };
        let host = std::mem::take(&mut self.host);
        let mut effects = vec![match error {
            None => self.done("connect"),
            Some(DialError::Refused) => failed(id, 2, "connection refused"),
            Some(DialError::Forbidden) => {
                let reason = "cause that's a dangerous operation (--bridge-allow)";
                failed(id, 4, &format!("ws2s refuse to connect target host: {host}, {reason}"))
            }
            Some(DialError::Ourselves) => {
                let reason = "cause that's ws2s itself (--bridge-name)";
                failed(id, 4, &format!("ws2s refuse to connect target host: {host}, {reason}"))
            }
            Some(DialError::NotPermitted) => {
                let reason = "cause the client's token does not permit it (tcp)";
                failed(id, 4, &format!("ws2s refuse to connect target host: {host}, {reason}"))
            }
            Some(DialError::NoSuchName) => failed(id, 1, "gaierror(-2, 'Name or service not known')"),
            Some(DialError::TimedOut) => failed(id, 1, "TimeoutError: the target does not answer (--dial-timeout)"),
            Some(DialError::TooMany(what)) => failed(id, 1, &format!("OSError: too many at once ({what})")),
            Some(DialError::Unreachable(kind)) => failed(id, 1, &format!("OSError: {kind}")),
        }];
        for (kind, payload) in std::mem::take(&mut self.held) {
            effects.extend(self.message(kind, &payload));
        }
        effects
    }

    /// The target has gone: what it left unfinished.
    fn end(&mut self) -> Vec<Effect> {
        self.line = Line::Idle;
        let cut = std::mem::take(&mut self.cut);
        if cut.is_empty() { Vec::new() } else { vec![self.base64(&cut)] }
    }

    fn received(&mut self, bytes: &[u8]) -> Vec<Effect> {
        if self.dialect == Dialect::Base64 {
            return vec![self.data(json!({"data": STANDARD.encode(bytes)}))];
        }
        let bytes = [std::mem::take(&mut self.cut), bytes.to_vec()].concat();
        let whole = match std::str::from_utf8(&bytes) {
            Ok(text) => text.len(),
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return vec![self.base64(&bytes)],
        };
        self.cut = bytes[whole..].to_vec();
        assert!(self.cut.len() < 4);
        let text = std::str::from_utf8(&bytes[..whole]).expect("valid up to there");
        if text.is_empty() { Vec::new() } else { vec![self.data(json!({"data": text}))] }
    }

    fn base64(&self, bytes: &[u8]) -> Effect {
        self.data(json!({"data": STANDARD.encode(bytes), "encoding": "base64"}))
    }

    /// With `serde_json`'s escapes, which are as few as ours.
    fn data(&self, members: Value) -> Effect {
        let members = members.to_string();
        let text = format!(r#"{{"success":true,"code":-1,"message":"recv data",{}"#, &members[1..]);
        relayed(self.id, Kind::Text, text.as_bytes())
    }

    fn done(&self, command: &str) -> Effect {
        let message = if self.dialect == Dialect::First { "done" } else { &format!("{command} done") };
        sent(self.id, &format!(r#"{{"success":true,"code":0,"message":"{message}"}}"#))
    }

    fn no_socket(&self) -> String {
        format!("illegal socket status, please connect again. socketId: {}", self.id.0)
    }
}

fn failed(to: SessionId, code: u8, message: &str) -> Effect {
    sent(to, &format!(r#"{{"success":false,"code":{code},"message":{}}}"#, Value::from(message)))
}

/// As Python reads base64, but for what it skips.
fn lenient() -> impl Engine {
    let config = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    GeneralPurpose::new(&base64::alphabet::STANDARD, config)
}

/// A request that means something, most of the time.
fn request(input: &mut Input<'_>) -> String {
    const ODD: [&str; 12] = [
        "null",
        "true",
        "0",
        "-0",
        "80.0",
        "65536",
        "123456789012345678901234567890",
        r#""""#,
        r#""\u00e9\"\\\/\n""#,
        r#""\ud83d\ude00é😀""#,
        "[ ]",
        r#"{"command":"send"}"#,
    ];
    let command = match input.choice(16) {
        0..=3 => r#""connect""#,
        4..=7 => r#""send""#,
        8..=10 => r#""sendb""#,
        11 => r#""close""#,
        12 => r#""\u0073end""#,
        13 => r#""ping""#,
        _ => input.one_of(&ODD),
    };
    let data = match input.choice(8) {
        0 => input.one_of(&ODD).to_owned(),
        1..=3 => Value::from(STANDARD.encode(input.bytes())).to_string(),
        4 => Value::from(STANDARD.encode(input.bytes())).to_string().replace('/', r"\/").replace('=', ""),
        _ => Value::from(String::from_utf8_lossy(&input.bytes()).into_owned()).to_string(),
    };
    let host = match input.choice(4) {
        0 => input.one_of(&ODD).to_owned(),
        1 => Value::from(String::from_utf8_lossy(&input.bytes()).into_owned()).to_string(),
        _ => r#""localhost""#.to_owned(),
    };
    let port = match input.choice(4) {
        0 => input.one_of(&ODD).to_owned(),
        _ => (256 * u32::from(input.byte()) + u32::from(input.byte())).to_string(),
    };
    let members = [
        format!(r#""command":{command}"#),
        format!(r#""data":{data}"#),
        format!(r#""host" : {host}"#),
        format!(r#""port":{port}"#),
        format!(r#""ssh_host":{}"#, input.one_of(&ODD)),
        format!(r#""comman\u0064":{command}"#),
        format!(r#""other":{data}"#),
    ];
    let order: &[usize] = input.one_of(&[
        &[0, 1, 2, 3][..],
        &[3, 2, 0, 1],
        &[0, 2, 3],
        &[1, 0],
        &[0],
        &[6, 5, 1, 3, 2],
        &[0, 1, 2, 3, 4],
        &[2, 3, 1],
        &[0, 2],
        &[0, 3],
        &[0, 0, 1, 1, 2, 2, 3, 3],
    ]);
    let members: Vec<&str> = order.iter().map(|&member| &*members[member]).collect();
    let space = input.one_of(&["", " ", "\n\t", "  \r\n"]);
    format!("{space}{{{space}{}{space}}}{space}", members.join(&format!("{space},{space}")))
}
