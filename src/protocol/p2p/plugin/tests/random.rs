//! Anything that clients may do, in any order, with anything of it under way for any time: in the end everybody agrees on
//! who is whose partner, and nothing is left over.

use std::collections::VecDeque;

use proptest::prelude::*;
use serde_json::Value;

use super::*;

/// A client that keeps its partner itself, as the originals do.
#[derive(Debug)]
struct Client {
    kin: Kin,
    /// Whether it answers registrations with an event, as the generations up to 1.2 do.
    answers_by_event: bool,
    who: SessionId,
    target: Option<String>,
    /// Whether it forgot a target without telling anybody, as the oldest do.
    has_forgotten: bool,
    /// Registrations that it waits for, by ack.
    asked: HashMap<u64, String>,
    acks: u64,
    /// What is on its way to it, with the number of the call.
    inbox: VecDeque<(String, Option<u64>)>,
    /// What is on its way from it.
    outbox: VecDeque<String>,
}

const IDS: [&str; 4] = ["A", "B", "C", "D"];

/// What kind each is, and whether it answers by event.
type Habits = [(usize, bool); 4];

struct Crowd {
    stage: Stage,
    clients: [Option<Client>; 4],
    habits: Habits,
}

impl Crowd {
    fn new(habits: Habits) -> Self {
        let mut stage = Stage::new();
        let limits = &mut stage.world.config.limits;
        // Nobody is given up for being silent.
        limits.device_ping_interval = Duration::from_secs(1 << 20);
        let mut crowd = Self { stage, clients: [const { None }; 4], habits };
        (0..4).for_each(|place| crowd.come(place));
        crowd
    }

    fn come(&mut self, place: usize) {
        if self.clients[place].is_some() {
            return;
        }
        let (kin, answers_by_event) = self.habits[place];
        let kin = KINDS[kin];
        let who = self.stage.open(kin, IDS[place]);
        self.clients[place] = Some(Client {
            kin,
            answers_by_event,
            who,
            target: None,
            has_forgotten: false,
            asked: HashMap::new(),
            acks: 0,
            inbox: VecDeque::new(),
            outbox: VecDeque::new(),
        });
    }

    fn leave(&mut self, place: usize) {
        let Some(client) = self.clients[place].take() else { return };
        let lines = self.stage.close(client.who);
        self.post(lines);
        self.stage.asked.remove(&client.who);
    }

    /// Puts lines on their way.
    fn post(&mut self, lines: Vec<String>) {
        let mut told = HashMap::new();
        for line in lines {
            let (name, said) = line.split_once(' ').unwrap();
            if said == r#"42["P2P_DISCONNECT"]"# {
                *told.entry(name.to_owned()).or_insert(0) += 1;
            }
            let place = IDS.iter().position(|id| *id == name).unwrap();
            let client = self.clients[place].as_mut().unwrap_or_else(|| panic!("{line}: it has gone"));
            let number = said.starts_with("42#").then(|| self.stage.asked.get_mut(&client.who).unwrap().remove(0));
            client.inbox.push_back((said.to_owned(), number));
        }
        assert!(told.values().all(|times| *times == 1), "told twice: {told:?}");
    }

    fn register(&mut self, place: usize, other: usize) {
        let Some(client) = &mut self.clients[place] else { return };
        if place == other || (client.kin != Kin::G0 && client.target.is_some()) {
            return;
        }
        client.acks += 1;
        client.asked.insert(client.acks, IDS[other].to_owned());
        client.outbox.push_back(format!(r#"42{}["P2P_REGISTER","{}"]"#, client.acks, IDS[other]));
    }

    fn unregister(&mut self, place: usize) {
        let Some(client) = &mut self.clients[place] else { return };
        if client.target.take().is_some() {
            match client.kin {
                Kin::G0 => client.has_forgotten = true,
                _ => {
                    client.acks += 1;
                    client.outbox.push_back(format!(r#"42{}["P2P_UNREGISTER"]"#, client.acks));
                }
            }
        }
    }

    /// What a client says reaches the server.
    fn send(&mut self, place: usize) -> bool {
        let Some(client) = &mut self.clients[place] else { return false };
        let Some(text) = client.outbox.pop_front() else { return false };
        let who = client.who;
        let lines = self.stage.say(who, &text);
        self.post(lines);
        self.stage.world.hub.devices.check();
        true
    }

    /// What was sent to a client reaches it.
    fn receive(&mut self, place: usize) -> bool {
        let Some(client) = &mut self.clients[place] else { return false };
        let Some((text, number)) = client.inbox.pop_front() else { return false };
        let data = text.find('[').expect("all of it has data");
        let list: Vec<Value> = serde_json::from_str(&text[data..]).unwrap();
        if let Some(ack) = text[..data].strip_prefix("43") {
            if let Some(target) = client.asked.remove(&ack.parse().unwrap())
                && list == [Value::Bool(true)]
            {
                (client.target, client.has_forgotten) = (Some(target), false);
            }
            return true;
        }
        match list[0].as_str().unwrap() {
            "P2P_REGISTER" => {
                let source = list[1].as_str().unwrap();
                let is_free =
                    client.target.is_none() || (client.kin == Kin::G5 && client.target.as_deref() == Some(source));
                if is_free {
                    (client.target, client.has_forgotten) = (Some(source.to_owned()), false);
                }
                client.outbox.push_back(match (client.answers_by_event, is_free) {
                    (true, true) => r#"42["P2P_REGISTER_SUCCESS"]"#.to_owned(),
                    (true, false) => r#"42["P2P_REGISTER_FAILED"]"#.to_owned(),
                    (false, _) => format!("43{}[{is_free}]", number.expect("it is asked with one")),
                });
            }
            "P2P_DISCONNECT" => client.target = None,
            "P2P_UNREGISTER" => {
                assert!(client.kin != Kin::G0 || !client.answers_by_event, "it does not know that");
                client.target = None;
            }
            "SERVER_ERROR" => {}
            other => panic!("{other}"),
        }
        true
    }

    /// Everything that is on its way arrives.
    fn settle(&mut self) {
        while (0..4).any(|place| self.send(place) || self.receive(place)) {}
    }

    fn check(&mut self) {
        self.settle();
        for client in self.clients.iter().flatten() {
            let devices = &self.stage.world.hub.devices;
            let partner = devices.partner(self.stage.id(client.who)).and_then(|id| devices.get(id)?.id());
            if client.target.is_some() || !client.has_forgotten {
                assert_eq!(client.target.as_deref(), partner, "{} is wrong", self.stage.names[&client.who]);
            }
            assert!(client.asked.is_empty(), "{client:?} waits for an answer");
        }
        assert_eq!(self.stage.world.hub.devices.calls(), 0);
    }
}

#[derive(Clone, Copy, Debug)]
enum Deed {
    Register(usize, usize),
    Unregister(usize),
    Send(usize),
    Receive(usize),
    Leave(usize),
    Come(usize),
    Wait,
}

fn deeds() -> impl Strategy<Value = Vec<Deed>> {
    let deed = prop_oneof![
        4 => (0..4usize, 0..4usize).prop_map(|(place, other)| Deed::Register(place, other)),
        2 => (0..4usize).prop_map(Deed::Unregister),
        6 => (0..4usize).prop_map(Deed::Send),
        6 => (0..4usize).prop_map(Deed::Receive),
        1 => (0..4usize).prop_map(Deed::Leave),
        2 => (0..4usize).prop_map(Deed::Come),
        1 => Just(Deed::Wait),
    ];
    proptest::collection::vec(deed, 1..60)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn all_agree_in_the_end(habits in proptest::array::uniform4((0..3usize, any::<bool>())), deeds in deeds()) {
        let mut crowd = Crowd::new(habits);
        for deed in deeds {
            match deed {
                Deed::Register(place, other) => crowd.register(place, other),
                Deed::Unregister(place) => crowd.unregister(place),
                Deed::Send(place) => drop(crowd.send(place)),
                Deed::Receive(place) => drop(crowd.receive(place)),
                Deed::Leave(place) => crowd.leave(place),
                Deed::Come(place) => crowd.come(place),
                Deed::Wait => {
                    let lines = crowd.stage.sleep(61);
                    crowd.post(lines);
                }
            }
            crowd.stage.world.hub.devices.check();
        }
        crowd.check();
        (0..4).for_each(|place| crowd.leave(place));
        prop_assert!(crowd.stage.is_empty());
    }
}
