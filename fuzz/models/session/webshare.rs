//! WebShare by `serde_json` and maps: every request has exactly the effects that the model foresees.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use jackfield::frame::message::Kind;
use jackfield::hub::SessionId;
use jackfield::protocol::recorder::{Effect, World, relayed, sent};
use jackfield::protocol::webshare::Webshare;
use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_OPERATIONS;
use crate::models::input::Input;
use crate::models::json::{is_falsy, value};

/// Opens, speaks and closes as `input` decides.
pub(crate) fn run(input: &mut Input<'_>) {
    let mut world = World::new();
    world.config.limits.guess_burst = BURST as u32;
    world.config.limits.guess_interval = Duration::from_millis(INTERVAL_MS);
    // Short keys collide with live ones, and can be hit by chance.
    world.config.key_digits = input.one_of(&[1, 4, 8, 32]);
    let mut model = Model::default();

    for _ in 0..MAX_OPERATIONS {
        if input.is_used_up() {
            break;
        }
        let open = world.sessions();
        let who = (!open.is_empty()).then(|| input.one_of(&open));
        match (input.choice(16), who) {
            (0..=1, _) | (_, None) => model.open(&mut world, input),
            (2, Some(who)) => assert_eq!(world.close(who), model.close(who)),
            (3, _) => {
                let ms = 1 + 97 * u64::from(input.byte());
                world.advance(Duration::from_millis(ms));
                model.advance(ms);
            }
            (4..=5, Some(who)) => {
                let bytes = input.bytes();
                assert_eq!(world.binary(who, &bytes), model.binary(who, &bytes));
            }
            (6..=8, Some(who)) => speak(&mut world, &mut model, who, &String::from_utf8_lossy(&input.bytes())),
            (_, Some(who)) => {
                let request = model.request(input);
                speak(&mut world, &mut model, who, &request);
            }
        }
        assert!(world.hub.pairs.is_consistent());
        assert_eq!(world.hub.pairs.len(), model.clients.len());
        assert_eq!(world.hub.pairs.pairs() * 2, model.partners.len());
    }

    for who in world.sessions() {
        assert_eq!(world.close(who), model.close(who));
    }
    assert!(world.hub.pairs.is_empty());
}

/// Says `text` in both worlds, unless `serde_json` cannot tell what it means: some JSON has numbers or strings that it
/// cannot hold.
fn speak(world: &mut World<Webshare>, model: &mut Model, who: SessionId, text: &str) {
    let value = serde_json::from_str::<Value>(text);
    if value.is_ok() == serde_json::from_str::<&RawValue>(text).is_ok() {
        assert_eq!(world.text(who, text), model.text(who, text, value.ok()), "{text}");
    }
}

/// Where clients come from, and who shares a budget; nobody, when it is none.
const ADDRESSES: [(Option<&str>, Option<u8>); 7] = [
    (Some("127.0.0.1"), None),
    (Some("::1"), None),
    (None, None),
    (Some("192.0.2.1"), Some(0)),
    (Some("::ffff:192.0.2.1"), Some(0)),
    (Some("2001:db8::1"), Some(1)),
    (Some("2001:db8::2"), Some(1)),
];

const BURST: u64 = 3;

const INTERVAL_MS: u64 = 1000;

#[derive(Default)]
struct Model {
    clients: BTreeMap<SessionId, Client>,
    /// Both directions.
    partners: BTreeMap<SessionId, SessionId>,
    /// What each budget has left, in milliseconds that were waited for it.
    budgets: BTreeMap<u8, u64>,
}

struct Client {
    key: String,
    may_send_binary: bool,
    budget: Option<u8>,
}

impl Model {
    fn open(&mut self, world: &mut World<Webshare>, input: &mut Input<'_>) {
        let (address, budget) = input.one_of(&ADDRESSES);
        let may_send_binary = input.choice(2) == 1;
        let address = address.map(|address| SocketAddr::new(address.parse().expect("the table has addresses"), 0));
        let (id, effects) = world.open_from(address, Webshare::new(may_send_binary));
        assert_eq!(effects, []);

        let replies = world.text(id, r#"{"command":"key"}"#);
        let key = replies.first().and_then(Effect::payload).and_then(|payload| {
            let reply: Value = serde_json::from_slice(payload).ok()?;
            Some(reply["body"]["key"].as_str()?.to_owned())
        });
        let key = key.expect("a key is answered");
        assert_eq!(replies, [reply(id, true, "SUCCESS", &format!(r#"{{"key":"{key}"}}"#), "key", "null")]);
        assert!(self.clients.values().all(|client| client.key != key), "{key} is taken");
        self.clients.insert(id, Client { key, may_send_binary, budget });
    }

    fn close(&mut self, who: SessionId) -> Vec<Effect> {
        let key = self.clients.remove(&who).expect("the model knows every client").key;
        let partner = self.part(who);
        partner.map(|partner| with(partner, "unpair", &key, "null")).into_iter().collect()
    }

    fn part(&mut self, who: SessionId) -> Option<SessionId> {
        let partner = self.partners.remove(&who)?;
        assert_eq!(self.partners.remove(&partner), Some(who));
        Some(partner)
    }

    fn advance(&mut self, ms: u64) {
        for left in self.budgets.values_mut() {
            *left = (*left + ms).min(BURST * INTERVAL_MS);
        }
    }

    fn binary(&mut self, who: SessionId, bytes: &[u8]) -> Vec<Effect> {
        vec![match self.partners.get(&who) {
            _ if !self.clients[&who].may_send_binary => command_error(who, r#""INVALID_REQUEST""#, "null"),
            Some(&partner) => relayed(partner, Kind::Binary, bytes),
            None => reply(who, false, "NOT_PAIRED", "null", "relay", "null"),
        }]
    }

    fn text(&mut self, who: SessionId, text: &str, value: Option<Value>) -> Vec<Effect> {
        let Some(Value::Object(request)) = value else {
            return vec![command_error(who, r#""INVALID_FORMAT""#, "null")];
        };
        let Some(command) = request.get("command") else {
            return vec![command_error(who, r#""INCOMPLETE_FORMAT""#, "null")];
        };
        let spans: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("the text is an object");
        let span = |name| spans.get(name).map_or("null", |value| value.get());
        let (body, echo) = (request.get("body").unwrap_or(&Value::Null), span("echo"));
        match command.as_str() {
            Some("key") => {
                let body = format!(r#"{{"key":"{}"}}"#, self.clients[&who].key);
                vec![reply(who, true, "SUCCESS", &body, "key", echo)]
            }
            Some("pair") => self.pair(who, body, echo),
            Some("unpair") => match self.part(who) {
                Some(partner) => self.told("unpair", who, partner, echo),
                None => vec![reply(who, false, "NOT_PAIRED", "null", "unpair", echo)],
            },
            Some("relay") => match self.partners.get(&who) {
                Some(&partner) => vec![
                    reply(who, true, "RELAY_SENT", "null", "relay", echo),
                    pushed(reply(partner, true, "RELAY_OK", span("body"), "relay", "null")),
                ],
                None => vec![reply(who, false, "NOT_PAIRED", "null", "relay", echo)],
            },
            Some("error") if body.get("error").is_some() => {
                let body: BTreeMap<String, Box<RawValue>> = serde_json::from_str(span("body")).expect("an object");
                vec![command_error(who, body["error"].get(), echo)]
            }
            Some("error") => vec![command_error(who, r#""INVALID_REQUEST""#, echo)],
            _ => vec![command_error(who, r#""UNKNOWN_COMMAND""#, echo)],
        }
    }

    fn pair(&mut self, who: SessionId, body: &Value, echo: &str) -> Vec<Effect> {
        let refused = |code, body: &str| vec![reply(who, false, code, body, "pair", echo)];
        if self.partners.contains_key(&who) {
            return refused("ALREADY_PAIRED", "null");
        }
        let Value::Object(body) = body else {
            return refused("INVALID_ARGUMENTS", "null");
        };
        let target = body.get("target").unwrap_or(&Value::Null);
        if is_falsy(target) || target.is_array() || target.is_object() {
            return refused("INVALID_KEY", "null");
        }
        let client = &self.clients[&who];
        if target.as_str() == Some(&client.key) {
            return refused("CANNOT_SELF_PAIR", "null");
        }
        let left = client.budget.map(|budget| self.budgets.entry(budget).or_insert(BURST * INTERVAL_MS));
        if let Some(missing) = left.as_ref().and_then(|left| INTERVAL_MS.checked_sub(**left).filter(|ms| *ms > 0)) {
            return refused("RATE_LIMITED", &format!(r#"{{"retry_after_ms":{missing}}}"#));
        }
        let found = self.clients.iter().find(|(_, client)| target.as_str() == Some(&client.key));
        let Some((&found, _)) = found else {
            if let Some(left) = left {
                *left -= INTERVAL_MS;
            }
            return refused("TARGET_NOT_FOUND", "null");
        };
        if self.partners.contains_key(&found) {
            return refused("ALREADY_PAIRED", "null");
        }
        self.partners.extend([(who, found), (found, who)]);
        self.told("pair", who, found, echo)
    }

    /// The reply, and then the push.
    fn told(&self, command: &str, who: SessionId, other: SessionId, echo: &str) -> Vec<Effect> {
        vec![with(who, command, &self.clients[&other].key, echo), with(other, command, &self.clients[&who].key, "null")]
    }

    /// A request that means something, most of the time.
    fn request(&self, input: &mut Input<'_>) -> String {
        let command = match input.choice(16) {
            0 => r#""key""#.to_owned(),
            1..=5 => r#""pair""#.to_owned(),
            6..=7 => r#""unpair""#.to_owned(),
            8..=11 => r#""relay""#.to_owned(),
            12 => r#""error""#.to_owned(),
            13 => r#""\u0072elay""#.to_owned(),
            _ => value(input, 2),
        };
        let keys: Vec<&str> = self.clients.values().map(|client| &*client.key).collect();
        let target = match input.choice(8) {
            0 => value(input, 1),
            1 => r#""0""#.to_owned(),
            _ if keys.is_empty() => r#""""#.to_owned(),
            _ => format!("\"{}\"", input.one_of(&keys)),
        };
        let body = match input.choice(8) {
            0..=4 => format!(r#"{{"target":{target}}}"#),
            5 => format!(r#"{{ "error" : {} }}"#, value(input, 2)),
            _ => value(input, 4),
        };
        let members = [
            format!(r#""command":{command}"#),
            format!(r#""body":{body}"#),
            format!(r#""echo" : {}"#, value(input, 3)),
            format!(r#""comman\u0064":{command}"#),
            format!(r#""other":{}"#, value(input, 1)),
        ];
        let order: &[usize] = input.one_of(&[
            &[0, 1, 2][..],
            &[2, 0, 1],
            &[4, 1, 2, 3],
            &[0, 1],
            &[0, 2],
            &[0],
            &[1, 2],
            &[2, 2, 0, 4, 1, 1],
        ]);
        let members: Vec<&str> = order.iter().map(|&member| &*members[member]).collect();
        let space = input.one_of(&["", " ", "\n\t", "  \r\n"]);
        format!("{space}{{{space}{}{space}}}{space}", members.join(&format!("{space},{space}")))
    }
}

fn reply(to: SessionId, ok: bool, code: &str, body: &str, command: &str, echo: &str) -> Effect {
    sent(to, &format!(r#"{{"ok":{ok},"code":"{code}","body":{body},"command":"{command}","echo":{echo}}}"#))
}

/// What is passed on in an envelope keeps the receiver's pace.
fn pushed(reply: Effect) -> Effect {
    relayed(reply.receivers()[0], Kind::Text, reply.payload().expect("a reply says something"))
}

fn with(to: SessionId, command: &str, key: &str, echo: &str) -> Effect {
    reply(to, true, "SUCCESS", &format!(r#"{{"with":"{key}"}}"#), command, echo)
}

fn command_error(to: SessionId, error: &str, echo: &str) -> Effect {
    reply(to, false, "COMMAND_ERROR", &format!(r#"{{"error":{error}}}"#), "error", echo)
}
