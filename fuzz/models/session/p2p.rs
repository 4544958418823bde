//! Socket.IO and the plugin: whatever clients say, what each hears is packets that its parser takes, events with all their
//! attachments; what one emits to another arrives as it was; an upgrade goes its one way; and at the end nothing is left.

use std::collections::BTreeMap;
use std::time::Duration;

use jackfield::frame::message::Kind;
use jackfield::hub::SessionId;
use jackfield::hub::devices::{DeviceId, Generation};
use jackfield::protocol::Session;
use jackfield::protocol::p2p::probe::Probe;
use jackfield::protocol::p2p::socket_io::{self, PacketType, placeholders_fit};
use jackfield::protocol::p2p::{Arrival, Claim, Device, Revision, Transport};
use jackfield::protocol::recorder::{Effect, World, relayed, sent};
use serde_json::value::RawValue;

use super::MAX_OPERATIONS;
use crate::models::input::Input;

/// Opens, speaks, waits and closes as `input` decides.
pub(crate) fn run(input: &mut Input<'_>) {
    let mut world = World::new();
    let limits = &mut world.config.limits;
    (limits.max_message, limits.max_calls, limits.max_rooms) = (4000, 8, 4);
    world.config.device_overwrite = input.choice(2) == 1;
    let mut model = Model::default();
    for _ in 0..MAX_OPERATIONS {
        if input.is_used_up() {
            break;
        }
        let clients: Vec<SessionId> = model.clients.keys().copied().collect();
        let probes: Vec<SessionId> = model.probes.keys().copied().collect();
        let choice = input.choice(16);
        if choice == 0 || clients.is_empty() {
            model.open(&mut world, input);
        } else if choice == 1 {
            model.open_probe(&mut world, input.one_of(&clients));
        } else if choice <= 3 && !probes.is_empty() {
            model.try_out(&mut world, input.one_of(&probes), input);
        } else {
            model.speak(&mut world, input.one_of(&clients), choice, input);
        }
        model.check(&world);
    }
    for who in world.sessions() {
        let effects = world.close(who);
        model.hear(&world, &effects);
    }
    let hub = &world.hub;
    assert!(hub.devices.is_empty() && hub.devices.is_clear() && hub.channels.is_empty());
    assert_eq!(hub.devices.calls(), 0);
}

/// Under which clients want to be found, if at all.
const IDS: [Option<&str>; 5] = [Some("A"), Some("B"), Some("\u{e9} \"\\"), Some("__proto__"), None];

/// What clients of every generation say; `$T` is somebody's id, `$N` the number of an ack.
const PHRASES: [&str; 36] = [
    "40",
    "41",
    "2",
    "3",
    "6",
    "40/other,",
    r#"42$N["P2P_REGISTER",$T]"#,
    r#"42["P2P_REGISTER_SUCCESS"]"#,
    r#"42["P2P_REGISTER_FAILED"]"#,
    r#"42$N["P2P_UNREGISTER"]"#,
    r#"42$N["P2P_REGISTER_STREAM",$T]"#,
    r#"42["P2P_EMIT",{"targetClientId":$T,"event":"e","args":[1,{"a":[]}]}]"#,
    r#"42["P2P_EMIT",{"targetDeviceId":$T,"event":"e"}]"#,
    r#"42$N["P2P_EMIT_ACKNOWLEDGE",{"targetClientId":$T,"event":"e","args":["\u00e9"]}]"#,
    r#"42$N["P2P_EMIT",$T,"e",[1,2],null]"#,
    r#"42["P2P_EMIT",$T,"disconnect",[],null]"#,
    r#"42["P2P_EMIT",$T,"P2P_EMIT_STREAM-from-stream-1",[],null]"#,
    r#"451-["P2P_EMIT",$T,"e",[{"_placeholder":true,"num":0}],null]"#,
    r#"452-$N["P2P_EMIT",{"targetClientId":$T,"event":"e","args":[{"_placeholder":true,"num":1},{"_placeholder":true,"num":0}]}]"#,
    r#"42$N["ADD_TARGET",$T]"#,
    r#"42$N["MULTI_API_ADD_TARGET",$T]"#,
    r#"42$N["CREATE_STREAM",{"sourceStreamId":"1","targetStreamId":"2","targetClientId":$T,"channel":"c"}]"#,
    r#"42$N["MULTI_API_CREATE_STREAM",{"targetClientId":$T}]"#,
    r#"42$N["JOIN_ROOM",$T]"#,
    r#"42$N["LEAVE_ROOM",$T]"#,
    r#"42$N["EMIT_ROOM",$T,"e",1,"2"]"#,
    r#"451-["EMIT_ROOM",$T,"e",{"_placeholder":true,"num":0}]"#,
    r#"42$N["LIST_CLIENTS"]"#,
    r#"42$N["GET_CLIENT_CONNECTED_STATUS",$T]"#,
    r#"42$N["CHECK_API_NAME",$T]"#,
    r#"42$N["CREATE_API",$T]"#,
    r#"42$N["DESTROY_API",$T]"#,
    r#"42$N["USE_API",$T,1]"#,
    r#"42$N["SUBSCRIBE_DEVICES"]"#,
    r#"42$N["UNSUBSCRIBE_DEVICES"]"#,
    r#"42$N["nobody's",$T]"#,
];

/// Names that a client's library keeps for itself: no server may send them as an event.
const RESERVED: [&str; 8] =
    ["connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener", "error", "reconnect"];

#[derive(Default)]
struct Model {
    clients: BTreeMap<SessionId, Client>,
    probes: BTreeMap<SessionId, Trial>,
}

struct Client {
    device: DeviceId,
    revision: Revision,
    base64_only: bool,
    transport: Transport,
    /// Numbers that it was asked with and has not answered.
    asked: Vec<u64>,
    /// Attachments that its parser waits for.
    owed: u32,
}

struct Trial {
    session: SessionId,
    device: DeviceId,
    has_asked: bool,
}

impl Model {
    fn open(&mut self, world: &mut World<Session>, input: &mut Input<'_>) {
        let revision = input.one_of(&[Revision::Three, Revision::Four]);
        let transport = input.one_of(&[Transport::WebSocket, Transport::Polling]);
        let base64_only = input.choice(4) == 3;
        let generation = input.one_of(&[Generation::Later, Generation::Seed]);
        let id = input.one_of(&IDS).map(Into::into);
        let sid = world.hub.devices.name().expect("seeded");
        let claim = Claim { id, generation, is_operator: input.choice(2) == 1 };
        let device = Device::new(revision, Arrival { sid, transport, base64_only, claim });
        let (who, effects) = world.open_from(None, Session::Device(Box::new(device)));
        let device = world.hub.devices.by_sid(sid).expect("it is there from the first moment on");
        let client = Client { device, revision, base64_only, transport, asked: Vec::new(), owed: 0 };
        self.clients.insert(who, client);
        self.hear(world, &effects);
        if revision == Revision::Four && input.choice(4) != 3 {
            self.say(world, who, "40");
        }
    }

    fn open_probe(&mut self, world: &mut World<Session>, session: SessionId) {
        let device = self.clients[&session].device;
        let (who, effects) = world.open_from(None, Session::Probe(Probe::new(device)));
        self.probes.insert(who, Trial { session, device, has_asked: false });
        self.hear(world, &effects);
    }

    /// A WebSocket that is tried out says something.
    fn try_out(&mut self, world: &mut World<Session>, who: SessionId, input: &mut Input<'_>) {
        let said = input.one_of(&["2probe", "5", "4x", ""]);
        let trial = self.probes.get_mut(&who).expect("it is open");
        let session = trial.session;
        let transport =
            self.clients.get(&session).filter(|client| client.device == trial.device).map(|client| client.transport);
        let effects = world.text(who, said);
        match (said, transport, trial.has_asked) {
            ("2probe", Some(Transport::Polling), false) => {
                trial.has_asked = true;
                self.clients.get_mut(&session).expect("it is here").transport = Transport::Upgrading;
                assert_eq!(effects, [sent(who, "3probe"), sent(session, "6")]);
            }
            ("5", Some(Transport::Upgrading), true) => {
                self.clients.get_mut(&session).expect("it is here").transport = Transport::WebSocket;
                self.probes.remove(&who);
                assert_eq!(effects, [Effect::HandedOver { from: who, to: session }]);
            }
            _ => assert!(matches!(&effects[..], [Effect::Closed { who: closed, .. }] if *closed == who), "{effects:?}"),
        }
        self.hear(world, &effects);
    }

    /// A client does one thing or another.
    fn speak(&mut self, world: &mut World<Session>, who: SessionId, choice: usize, input: &mut Input<'_>) {
        let effects = match choice {
            4 => world.close(who),
            5 => world.sleep(Duration::from_secs(input.one_of(&[1, 5, 19, 25, 44, 60]))),
            6 => world.alive(who),
            7 => {
                let bytes = input.bytes();
                world.text(who, &String::from_utf8_lossy(&bytes))
            }
            8 => world.binary(who, &input.bytes()),
            9 => {
                let attachment = self.attachment(who, &input.bytes());
                world.binary(who, &attachment)
            }
            10 => return self.answer(world, who, input),
            11 => return self.emit(world, who, input),
            _ => {
                let target = serde_json::Value::from(input.one_of(&IDS).unwrap_or("nobody")).to_string();
                let number = input.one_of(&["", "7", "12"]);
                let phrase = input.one_of(&PHRASES).replace("$T", &target).replace("$N", number);
                return self.say(world, who, &phrase);
            }
        };
        self.hear(world, &effects);
    }

    /// A client says a text.
    fn say(&mut self, world: &mut World<Session>, who: SessionId, text: &str) {
        let effects = world.text(who, text);
        self.hear(world, &effects);
    }

    /// A client answers something that it was asked, or was not.
    fn answer(&mut self, world: &mut World<Session>, who: SessionId, input: &mut Input<'_>) {
        let asked = &mut self.clients.get_mut(&who).expect("it is open").asked;
        let number = if asked.is_empty() { u64::from(input.byte()) } else { asked.remove(0) };
        let answer =
            input.one_of(&["[true]", "[false]", "[]", "[null,{\"a\":1}]", "[{\"_placeholder\":true,\"num\":0}]"]);
        if !answer.contains("_placeholder") {
            return self.say(world, who, &format!("43{number}{answer}"));
        }
        self.say(world, who, &format!("461-{number}{answer}"));
        if world.is_open(who) {
            let attachment = self.attachment(who, b"answer");
            let effects = world.binary(who, &attachment);
            self.hear(world, &effects);
        }
    }

    /// A client emits an event with an attachment to another, in the newest form: it arrives as it was.
    fn emit(&mut self, world: &mut World<Session>, who: SessionId, input: &mut Input<'_>) {
        let Some(id) = input.one_of(&IDS) else { return };
        let (blob, sender) = (input.bytes(), world.hub.devices.get(self.clients[&who].device).expect("it is open"));
        let is_able = sender.is_connected() && sender.id().is_some();
        let target = world.hub.devices.by_name(id).and_then(|id| world.hub.devices.connected(id));
        let receiver = target.filter(|target| is_able && !target.is_seed()).map(|target| target.session);
        let id = serde_json::Value::from(id);
        let hole = r#"{"_placeholder":true,"num":0}"#;
        let first = world.text(who, &format!(r#"451-["P2P_EMIT",{id},"e",[[ "\u00e9" ],{hole}],null]"#));
        self.hear(world, &first);
        if !world.is_open(who) {
            return;
        }
        let attachment = self.attachment(who, &blob);
        let effects = world.binary(who, &attachment);
        if let Some(receiver) = receiver.filter(|_| first.iter().all(|effect| matches!(effect, Effect::Woken { .. }))) {
            let client = &self.clients[&receiver];
            if !client.base64_only {
                let text = format!(r#"451-["e",[ "\u00e9" ],{hole}]"#);
                let expected = [
                    relayed(receiver, Kind::Text, text.as_bytes()),
                    relayed(receiver, Kind::Binary, &self.attachment(receiver, &blob)),
                ];
                assert!(effects.windows(2).any(|pair| pair == expected), "{effects:?} lacks {expected:?}");
            }
        }
        self.hear(world, &effects);
    }

    /// Bytes as the client's revision says them.
    fn attachment(&self, who: SessionId, bytes: &[u8]) -> Vec<u8> {
        match self.clients[&who].revision {
            Revision::Three => [&[4], bytes].concat(),
            Revision::Four => bytes.to_vec(),
        }
    }

    /// Everybody hears what was said to it.
    fn hear(&mut self, world: &World<Session>, effects: &[Effect]) {
        for effect in effects {
            match effect {
                Effect::Sent { kind, payload, .. }
                | Effect::Relayed { kind, payload, .. }
                | Effect::Broadcast { kind, payload, .. } => {
                    for receiver in effect.receivers() {
                        match self.clients.get_mut(&receiver) {
                            Some(client) => client.hear(*kind, payload),
                            None => assert_eq!(payload, b"3probe", "to a WebSocket that is tried out"),
                        }
                    }
                }
                Effect::Closed { reason, .. } => assert!(reason.len() <= 123, "{reason}"),
                Effect::Woken { .. } | Effect::Pinged { .. } | Effect::HandedOver { .. } => {}
                Effect::Dialled { .. } | Effect::Bridged { .. } | Effect::HungUp { .. } | Effect::Granted { .. } => {
                    panic!("{effect:?}")
                }
            }
        }
        for (who, client) in &self.clients {
            assert!(client.owed == 0 || !world.is_open(*who), "{} attachments are missing", client.owed);
        }
        for trial in
            self.probes.iter().filter(|(who, trial)| trial.has_asked && !world.is_open(**who)).map(|(_, trial)| trial)
        {
            if let Some(client) = self.clients.get_mut(&trial.session)
                && client.transport == Transport::Upgrading
            {
                client.transport = Transport::Polling;
            }
        }
        self.clients.retain(|who, _| world.is_open(*who));
        self.probes.retain(|who, _| world.is_open(*who));
    }

    /// What the hub knows agrees with what we know.
    fn check(&self, world: &World<Session>) {
        let devices = &world.hub.devices;
        assert_eq!(devices.len(), self.clients.len());
        for (who, client) in &self.clients {
            let device = devices.get(client.device).expect("its session is open");
            assert_eq!((device.session, device.transport), (*who, client.transport));
        }
    }
}

impl Client {
    /// Takes a message as the client's library does.
    fn hear(&mut self, kind: Kind, payload: &[u8]) {
        let said = payload.escape_ascii();
        if kind == Kind::Binary || payload.first() == Some(&b'b') {
            assert_eq!(kind == Kind::Text, self.base64_only, "{said}");
            assert!(self.owed > 0, "nothing was to come: {said}");
            let is_typed = kind == Kind::Text || self.revision == Revision::Four || payload.first() == Some(&4);
            assert!(is_typed, "no message: {said}");
            self.owed -= 1;
            return;
        }
        assert_eq!(self.owed, 0, "an attachment was to come: {said}");
        let Some(text) = payload.strip_prefix(b"4") else {
            let is_known = match payload.first() {
                Some(b'0') => serde_json::from_slice::<&RawValue>(&payload[1..]).is_ok(),
                Some(b'2') => self.revision == Revision::Four && payload.len() == 1,
                Some(b'3') => self.revision == Revision::Three,
                Some(b'6') => payload.len() == 1,
                _ => false,
            };
            return assert!(is_known, "{said}");
        };
        let packet = socket_io::parse(text, u32::MAX).unwrap_or_else(|error| panic!("{error:?}: {said}"));
        let data = packet.data.unwrap_or(b"{}");
        serde_json::from_slice::<&RawValue>(data).unwrap_or_else(|error| panic!("{error}: {said}"));
        self.owed = packet.attachments;
        if packet.attachments > 0 {
            assert!(placeholders_fit(data, packet.attachments), "{said}");
        }
        if matches!(packet.kind, PacketType::Event | PacketType::BinaryEvent) {
            let event = socket_io::event(data).unwrap_or_else(|error| panic!("{error:?}: {said}"));
            assert!(!RESERVED.contains(&&*event.name), "{said}");
            self.asked.extend(packet.id.filter(|number| *number > 0));
        }
    }
}
