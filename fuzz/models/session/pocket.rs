//! pocketsocket by `serde_json` and maps: every message has exactly the effects that the model foresees.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jackfield::frame::message::Kind;
use jackfield::hub::SessionId;
use jackfield::json::fields;
use jackfield::protocol::Session;
use jackfield::protocol::pocket::Pocket;
use jackfield::protocol::recorder::{Effect, World, sent};
use jackfield::protocol::root::Undecided;
use jackfield::protocol::ws2s::Dialect;
use serde_json::Value;
use serde_json::value::RawValue;

use super::MAX_OPERATIONS;
use crate::models::input::Input;
use crate::models::json::value;

/// Opens, speaks and closes as `input` decides.
pub(crate) fn run(input: &mut Input<'_>) {
    let mut world = World::new();
    let mut model = Model::default();

    for _ in 0..MAX_OPERATIONS {
        if input.is_used_up() {
            break;
        }
        let open = world.sessions();
        let who = (!open.is_empty()).then(|| input.one_of(&open));
        match (input.choice(16), who) {
            (0..=2, _) | (_, None) => model.open(&mut world, input),
            (3, Some(who)) => {
                let effects = world.close(who);
                model.close(who, effects);
            }
            (4, _) => {
                let time = Duration::from_millis(u64::from(input.byte()) * u64::from(input.byte()) * 997_331);
                world.advance(time);
                model.clock.advance(time);
            }
            (5..=6, Some(who)) => model.speak(&mut world, who, Kind::Binary, &input.bytes()),
            (7..=8, Some(who)) => {
                let text = String::from_utf8_lossy(&input.bytes()).into_owned();
                model.speak(&mut world, who, Kind::Text, text.as_bytes());
            }
            (_, Some(who)) => model.speak(&mut world, who, Kind::Text, said(input).as_bytes()),
        }
        let rooms: BTreeSet<&str> = model.members.values().map(|member| member.room).collect();
        assert_eq!(world.hub.channels.len(), rooms.len());
    }

    for who in world.sessions() {
        let effects = world.close(who);
        model.close(who, effects);
    }
    assert!(world.hub.channels.is_empty());
}

/// What clients say, most of the time.
fn said(input: &mut Input<'_>) -> String {
    let id = value(input, 3);
    let members = [
        format!(r#""id" : {id}"#),
        r#""message":"socket.message""#.to_owned(),
        format!(r#""data":{}"#, value(input, 2)),
        format!(r#""\u0069d":{}"#, value(input, 1)),
        r#""command":"key""#.to_owned(),
        format!(r#""socket":{}"#, value(input, 1)),
    ];
    let order: &[usize] = input.one_of(&[
        &[0, 1, 2][..],
        &[1, 2, 0],
        &[1, 2],
        &[0, 3],
        &[3, 2, 0],
        &[],
        &[4, 0],
        &[2, 0, 0],
        &[5, 1],
        &[0, 5],
    ]);
    let members: Vec<&str> = order.iter().map(|&member| &*members[member]).collect();
    let space = input.one_of(&["", " ", "\r\n", "\t "]);
    let object = format!("{space}{{{space}{}{space}}}{space}", members.join(&format!("{space},{space}")));
    match input.choice(8) {
        0 => format!("[{object}]"),
        1 => object[..object.len() - 1 - space.len()].to_owned(),
        2 => id,
        _ => object,
    }
}

const ROOMS: [&str; 3] = ["", "a", "/local/a"];

/// Where clients come from, and what others are told of that.
const ADDRESSES: [(Option<&str>, &str); 4] = [
    (Some("192.0.2.1:65535"), r#""port":65535,"address":"192.0.2.1""#),
    (Some("[::ffff:192.0.2.1]:1"), r#""port":1,"address":"192.0.2.1""#),
    (Some("[2001:db8::1]:80"), r#""port":80,"address":"2001:db8::1""#),
    (None, r#""port":null,"address":null"#),
];

#[derive(Default)]
struct Model {
    members: BTreeMap<SessionId, Member>,
    /// Those at an undecided root who have said nothing, with what they will be.
    silent: BTreeMap<SessionId, Member>,
    clock: Clock,
    /// The members that each version of an audience stood for.
    versions: BTreeMap<u64, Vec<SessionId>>,
}

#[derive(Clone, Copy)]
struct Member {
    room: &'static str,
    has_echo: bool,
    place: &'static str,
}

impl Model {
    fn open(&mut self, world: &mut World<Session>, input: &mut Input<'_>) {
        let (address, place) = input.one_of(&ADDRESSES);
        let (room, has_echo) = (input.one_of(&ROOMS), input.choice(4) == 1);
        let is_undecided = input.choice(4) == 1;
        let session = if is_undecided {
            Session::Undecided(Undecided::new(false, Dialect::of(None), room, has_echo))
        } else {
            Session::Pocket(Pocket::new(room, has_echo))
        };
        let address = address.map(|address| address.parse().expect("the table has addresses"));
        let (id, effects) = world.open_from(address, session);
        let member = Member { room, has_echo, place };
        if is_undecided {
            assert_eq!(effects, []);
            self.silent.insert(id, member);
        } else {
            let mut effects = effects.into_iter();
            self.join(id, member, effects.next());
            assert_eq!(effects.next(), None);
        }
    }

    /// A member joins: `push` tells the others.
    fn join(&mut self, id: SessionId, member: Member, push: Option<Effect>) {
        let told = format!(r#"{{"socket":"connected",{}}}"#, member.place);
        self.members.insert(id, member);
        self.expect_others(id, push, Kind::Text, told.as_bytes());
    }

    fn close(&mut self, who: SessionId, effects: Vec<Effect>) {
        let mut effects = effects.into_iter();
        if self.silent.remove(&who).is_none() {
            let told = format!(r#"{{"socket":"disconnected",{}}}"#, self.members[&who].place);
            self.expect_others(who, effects.next(), Kind::Text, told.as_bytes());
            self.members.remove(&who);
        }
        assert_eq!(effects.next(), None);
    }

    /// Says something in both worlds, unless `serde_json` cannot tell what it means, or it makes a silent client one of
    /// another protocol.
    fn speak(&mut self, world: &mut World<Session>, who: SessionId, kind: Kind, payload: &[u8]) {
        let text = if kind == Kind::Text { str::from_utf8(payload).expect("only texts are said") } else { "" };
        let parsed = serde_json::from_str::<Value>(text);
        if parsed.is_ok() != serde_json::from_str::<&RawValue>(text).is_ok() {
            return;
        }
        let (attr, id) = match (kind, parsed) {
            (Kind::Binary, _) => ("binary", payload.len().to_string()),
            (Kind::Text, Ok(Value::Object(object))) => {
                if self.silent.contains_key(&who) && object.contains_key("command") {
                    return;
                }
                let spans: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("an object");
                // Only the server says that.
                let attr = if spans.contains_key("socket") { "refused" } else { "json" };
                (attr, spans.get("id").map_or("null", |id| id.get()).to_owned())
            }
            (Kind::Text, Err(_)) if fields::may_have(payload, "socket") => ("refused", payload.len().to_string()),
            (Kind::Text, _) => ("string", payload.len().to_string()),
        };
        let mut effects = world.message(who, kind, payload).into_iter();
        if let Some(member) = self.silent.remove(&who) {
            self.join(who, member, effects.next());
        }
        let is_refused = attr == "refused";
        let time = self.clock.text();
        let receipt = format!(r#"{{"time":"{time}","messageId":{id},"socket":"sent","attr":"{attr}"}}"#);
        assert_eq!(effects.next(), Some(sent(who, &receipt)));
        if is_refused {
            return assert_eq!(effects.next(), None);
        }
        if self.members[&who].has_echo {
            assert_eq!(effects.next(), Some(Effect::Sent { to: who, kind, payload: payload.into() }));
        }
        let passed_on = effects.next();
        let is_pair = self.others(who).len() == 1;
        assert_eq!(matches!(passed_on, Some(Effect::Relayed { .. })), is_pair, "only a pair waits for each other");
        self.expect_others(who, passed_on, kind, payload);
        assert_eq!(effects.next(), None);
    }

    fn others(&self, who: SessionId) -> Vec<SessionId> {
        let room = self.members[&who].room;
        let others = self.members.iter().filter(|(id, other)| other.room == room && **id != who);
        others.map(|(id, _)| *id).collect()
    }

    /// The effect reaches exactly the others in the room of `who`.
    fn expect_others(&mut self, who: SessionId, effect: Option<Effect>, kind: Kind, payload: &[u8]) {
        let effect = effect.expect("others are told");
        let mut receivers = effect.receivers();
        receivers.sort();
        assert_eq!(receivers, self.others(who), "{effect:?}");
        assert_eq!(effect.payload(), Some(payload));
        match effect {
            Effect::Relayed { kind: of, .. } => assert_eq!(of, kind),
            Effect::Broadcast { kind: of, version, members, .. } => {
                assert_eq!(of, kind);
                assert_eq!(*self.versions.entry(version).or_insert_with(|| members.clone()), members);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Every [`World`]'s beginning, counted on by hand.
struct Clock {
    year: u32,
    month: u32,
    day: u32,
    /// Since midnight.
    micros: u64,
}

impl Default for Clock {
    fn default() -> Self {
        Self { year: 2013, month: 5, day: 7, micros: ((12 * 60 + 34) * 60 + 56) * 1_000_000 + 123_456 }
    }
}

impl Clock {
    fn advance(&mut self, time: Duration) {
        const DAY_MICROS: u64 = 24 * 60 * 60 * 1_000_000;
        self.micros += time.as_micros() as u64;
        while self.micros >= DAY_MICROS {
            self.micros -= DAY_MICROS;
            self.day += 1;
            let is = |divisor| self.year.is_multiple_of(divisor);
            let is_leap = is(4) && (!is(100) || is(400));
            let february = if is_leap { 29 } else { 28 };
            let days = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][self.month as usize - 1];
            if self.day > days {
                (self.day, self.month) = (1, self.month + 1);
            }
            if self.month > 12 {
                (self.month, self.year) = (1, self.year + 1);
            }
        }
    }

    fn text(&self) -> String {
        let Self { year, month, day, micros } = self;
        let seconds = micros / 1_000_000;
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{:06}", micros % 1_000_000)
    }
}
