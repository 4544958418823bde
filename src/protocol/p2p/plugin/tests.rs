//! The plugin's events as dialogues: what one client says, and what everybody hears of it.

mod arrival;
mod directory;
mod emit;
mod hostile;
mod pairs;
mod random;
mod register;
mod rooms;
mod services;
mod targets;

use std::collections::HashMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::super::{Arrival, Claim, Device, Revision, Transport};
use crate::frame::message::Kind;
use crate::hub::SessionId;
use crate::hub::devices::{DeviceId, Generation};
use crate::protocol::recorder::{Effect, World};

/// A kind of client.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Kin {
    /// The seed's: `deviceId`, socket.io 2.
    G0,
    /// Its successors up to 1.12: `clientId`, socket.io 2.
    G2,
    /// 2.0.0: `clientId`, socket.io 4.
    G5,
}

const KINDS: [Kin; 3] = [Kin::G0, Kin::G2, Kin::G5];

/// Clients in a world of their own. What they hear is written as lines: `A 42["x"]`, `A <00ff>` for a binary message,
/// `A ping`, `A closed: why`. The number of a call is written `#`, and remembered.
struct Stage {
    world: World<Device>,
    names: HashMap<SessionId, String>,
    /// The calls that each was asked with and has not answered, oldest first.
    asked: HashMap<SessionId, Vec<u64>>,
}

impl Stage {
    fn new() -> Self {
        Self { world: World::new(), names: HashMap::new(), asked: HashMap::new() }
    }

    /// A client comes, and is let in.
    fn open(&mut self, kin: Kin, id: &str) -> SessionId {
        let (who, lines) = self.come(kin, id);
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(lines[0].starts_with(&format!("{id} 40")), "{lines:?}");
        who
    }

    /// A client comes, and asks for the namespace. What that leads to, without what opens its session.
    fn come(&mut self, kin: Kin, id: &str) -> (SessionId, Vec<String>) {
        let generation = if kin == Kin::G0 { Generation::Seed } else { Generation::Later };
        let claim = Claim { id: Some(id.into()), generation, is_operator: false };
        let revision = if kin == Kin::G5 { Revision::Four } else { Revision::Three };
        self.come_as(id, claim, revision, Transport::WebSocket, false)
    }

    fn come_as(
        &mut self,
        name: &str,
        claim: Claim,
        revision: Revision,
        transport: Transport,
        base64_only: bool,
    ) -> (SessionId, Vec<String>) {
        let sid = self.world.hub.devices.name().unwrap();
        let device = Device::new(revision, Arrival { sid, transport, base64_only, claim });
        let address = (Ipv4Addr::LOCALHOST, 1000 + self.names.len() as u16).into();
        let (who, effects) = self.world.open_from(Some(address), device);
        self.names.insert(who, name.to_owned());
        let mut lines = self.lines(effects);
        assert!(lines.remove(0).starts_with(&format!("{name} 0{{\"sid\"")));
        if revision == Revision::Four {
            lines.extend(self.say(who, "40"));
        }
        (who, lines)
    }

    /// A client says a text.
    fn say(&mut self, who: SessionId, text: &str) -> Vec<String> {
        let effects = self.world.text(who, text);
        self.lines(effects)
    }

    /// A client emits an event: `id` is that of the ack that it wants, `data` what stands between the brackets.
    fn emit(&mut self, who: SessionId, id: impl Into<Option<u64>>, data: &str) -> Vec<String> {
        let id = id.into().map(|id| id.to_string()).unwrap_or_default();
        self.say(who, &format!("42{id}[{data}]"))
    }

    /// A client answers the oldest call that it was asked with.
    fn answer(&mut self, who: SessionId, data: &str) -> Vec<String> {
        let number = self.asked.get_mut(&who).expect("it was asked").remove(0);
        self.say(who, &format!("43{number}[{data}]"))
    }

    /// A client says bytes, which are an attachment.
    fn attach(&mut self, who: SessionId, bytes: &[u8]) -> Vec<String> {
        let is_v3 = self.device(who).revision == Revision::Three;
        let bytes = if is_v3 { [&[4], bytes].concat() } else { bytes.to_vec() };
        let effects = self.world.binary(who, &bytes);
        self.lines(effects)
    }

    /// A client vanishes.
    fn close(&mut self, who: SessionId) -> Vec<String> {
        let effects = self.world.close(who);
        self.lines(effects)
    }

    /// A client gives a sign of life.
    fn alive(&mut self, who: SessionId) -> Vec<String> {
        let effects = self.world.alive(who);
        self.lines(effects)
    }

    fn sleep(&mut self, seconds: u64) -> Vec<String> {
        let effects = self.world.sleep(Duration::from_secs(seconds));
        self.lines(effects)
    }

    /// Two become partners: B answers in its generation's manner.
    fn pair(&mut self, a: SessionId, b: SessionId) {
        let (name_a, name_b) = (self.names[&a].clone(), self.names[&b].clone());
        assert_eq!(
            self.emit(a, 1, &format!(r#""P2P_REGISTER","{name_b}""#)),
            [format!(r#"{name_b} 42#["P2P_REGISTER","{name_a}"]"#)]
        );
        assert_eq!(self.accept(b), [format!("{name_a} 431[true]")]);
        assert!(self.is_pair(a, b));
    }

    /// A client accepts a registration in its generation's manner.
    fn accept(&mut self, who: SessionId) -> Vec<String> {
        if self.device(who).is_seed() {
            self.emit(who, None, r#""P2P_REGISTER_SUCCESS""#)
        } else {
            self.answer(who, "true")
        }
    }

    /// A client rejects a registration in its generation's manner.
    fn reject(&mut self, who: SessionId) -> Vec<String> {
        if self.device(who).is_seed() {
            self.emit(who, None, r#""P2P_REGISTER_FAILED""#)
        } else {
            self.answer(who, "false")
        }
    }

    fn id(&self, who: SessionId) -> DeviceId {
        self.world.hub.devices.iter().find(|(_, device)| device.session == who).expect("it is open").0
    }

    fn device(&self, who: SessionId) -> &crate::hub::devices::Device {
        self.world.hub.devices.get(self.id(who)).unwrap()
    }

    fn is_pair(&self, a: SessionId, b: SessionId) -> bool {
        let partner = |who| self.world.hub.devices.partner(self.id(who));
        partner(a) == Some(self.id(b)) && partner(b) == Some(self.id(a))
    }

    /// Whether nothing is left of anybody.
    fn is_empty(&self) -> bool {
        let hub = &self.world.hub;
        hub.devices.is_empty() && hub.devices.is_clear() && hub.channels.is_empty() && hub.devices.memory.used() == 0
    }

    /// What was heard, by whom; who is to be called when is left out.
    fn lines(&mut self, effects: Vec<Effect>) -> Vec<String> {
        let mut lines = Vec::new();
        for effect in effects {
            if let Effect::Woken { .. } = effect {
                continue;
            }
            for receiver in effect.receivers() {
                let said = match &effect {
                    Effect::Closed { reason, .. } => format!("closed: {reason}"),
                    Effect::Pinged { .. } => "ping".to_owned(),
                    Effect::Sent { kind, payload, .. }
                    | Effect::Relayed { kind, payload, .. }
                    | Effect::Broadcast { kind, payload, .. } => match kind {
                        Kind::Binary => format!("<{}>", payload.iter().map(|b| format!("{b:02x}")).collect::<String>()),
                        Kind::Text => self.text(receiver, str::from_utf8(payload).unwrap()),
                    },
                    other => panic!("{other:?}"),
                };
                lines.push(format!("{} {said}", self.names[&receiver]));
            }
        }
        lines
    }

    /// A text with the number of its call taken out.
    fn text(&mut self, who: SessionId, text: &str) -> String {
        let (head, rest) = match text.as_bytes() {
            [b'4', b'2', ..] => text.split_at(2),
            [b'4', b'5', ..] => text.split_at(text.find('-').unwrap() + 1),
            _ => return text.to_owned(),
        };
        let data = rest.find('[').unwrap();
        // What is written is JSON, always.
        serde_json::from_str::<serde_json::Value>(&rest[data..]).expect(text);
        if data == 0 || &rest[..data] == "0" {
            return text.to_owned();
        }
        self.asked.entry(who).or_default().push(rest[..data].parse().unwrap());
        format!("{head}#{}", &rest[data..])
    }
}

/// The line of a SERVER_ERROR.
fn error(who: &str, text: &str) -> String {
    format!("{who} 42[\"SERVER_ERROR\",{}]", serde_json::Value::from(text))
}
