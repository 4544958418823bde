use super::super::DialError;
use super::*;

/// Does what it is told: `ID` greets somebody, `!ID` closes somebody, `*` greets all of 0 to 2 but 0; `dial`, `say` and
/// `hang` are about the first one's line.
#[derive(Default)]
struct Puppet {
    closed: u32,
    last_words: &'static str,
}

impl Puppet {
    fn act(words: &str, fx: &mut impl Effects) {
        for word in words.split_whitespace() {
            let id = |digits: &str| SessionId(digits.parse().unwrap());
            match word.strip_prefix('!') {
                Some(who) => fx.close(id(who), CloseCode::Policy, "told to"),
                None if word == "*" => {
                    let members = [0, 1, 2].map(SessionId);
                    let audience = Audience { version: 7, members: &members, except: Some(members[0]) };
                    let bytes = [&[0; HEADROOM][..], b"all"].concat();
                    let payload = HEADROOM..bytes.len();
                    let message = Message::owned(Kind::Text, bytes, payload);
                    fx.broadcast(audience, message);
                }
                None if word == "dial" => fx.dial(SessionId(0), "host", 1),
                None if word == "say" => fx.bridge_bytes(SessionId(0), b"said"),
                None if word == "hang" => fx.hang_up(SessionId(0)),
                None => fx.send(id(word), Kind::Text, &[b"he", b"", b"llo"]),
            }
        }
    }
}

impl Protocol for Puppet {
    fn on_open(&mut self, cx: &mut Context<'_>, _: &mut impl Effects) {
        assert_eq!(cx.address, Some((Ipv4Addr::LOCALHOST, cx.id.0 as u16).into()));
    }

    fn on_message(&mut self, _: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        match message.kind() {
            Kind::Text => Self::act(str::from_utf8(message.payload()).unwrap(), fx),
            Kind::Binary => fx.relay(SessionId(message.payload()[0].into()), message),
        }
    }

    fn on_bridge(&mut self, _: &mut Context<'_>, event: BridgeEvent<'_>, fx: &mut impl Effects) {
        match event {
            BridgeEvent::Received(message) => fx.relay(SessionId(0), message),
            event => fx.send(SessionId(0), Kind::Text, &[format!("{event:?}").as_bytes()]),
        }
    }

    fn on_close(&mut self, _: &mut Context<'_>, fx: &mut impl Effects) {
        self.closed += 1;
        Self::act(self.last_words, fx);
    }
}

fn world<const N: usize>(last_words: [&'static str; N]) -> World<Puppet> {
    let mut world = World::new();
    for last_words in last_words {
        world.open(Puppet { last_words, ..Puppet::default() });
    }
    world
}

fn closed(who: u32) -> Effect {
    Effect::Closed { who: SessionId(who), code: CloseCode::Policy, reason: "told to".to_owned() }
}

#[test]
fn effects_are_written_down_in_their_order() {
    let mut world = world(["", "", ""]);
    let [a, b, c] = [0, 1, 2].map(SessionId);
    assert_eq!(world.text(a, "1 0 1"), [sent(b, "hello"), sent(a, "hello"), sent(b, "hello")]);
    assert_eq!(world.binary(a, &[2; 70_000]), [relayed(c, Kind::Binary, &[2; 70_000])]);
    let effects = world.text(a, "*");
    assert_eq!(effects[0].receivers(), [b, c]);
    assert_eq!(effects[0].payload(), Some(&b"all"[..]));
    let shown = format!("{effects:?}");
    assert!(shown.contains("broadcast Text to version 7") && shown.ends_with("all]"), "{shown}");
}

#[test]
fn who_is_closed_leaves_once_and_is_heard() {
    let mut world = world(["1", "!2 0 1", "0 2"]);
    let [a, b, c] = [0, 1, 2].map(SessionId);
    assert_eq!(
        world.text(a, "1 !1 0"),
        [sent(b, "hello"), closed(1), sent(a, "hello"), closed(2), sent(a, "hello"), sent(a, "hello")],
    );
    assert_eq!(world.sessions(), [a]);
    assert_eq!(world.seats.iter().map(|seat| seat.session.closed).collect::<Vec<_>>(), [0, 1, 1]);
    assert!(world.is_open(a) && !world.is_open(b) && !world.is_open(c) && !world.is_open(SessionId(3)));
}

#[test]
fn what_is_said_while_a_session_dials_is_held() {
    let mut world = world([""]);
    let a = SessionId(0);
    let dialled = Effect::Dialled { who: a, host: "host".to_owned(), port: 1 };
    let said = Effect::Bridged { who: a, bytes: b"said".to_vec() };
    assert_eq!(world.text(a, "dial"), std::slice::from_ref(&dialled));
    assert_eq!(world.line(a), Line::Dialling);
    for words in ["0", "dial", "say", "hang"] {
        assert_eq!(world.text(a, words), []);
    }
    let failed = BridgeEvent::Failed(DialError::Refused);
    assert_eq!(world.bridge(a, failed), [sent(a, "Failed(Refused)"), sent(a, "hello"), dialled.clone()]);
    let hung_up = Effect::HungUp { who: a };
    assert_eq!(world.bridge(a, BridgeEvent::Open), [sent(a, "Open"), said.clone(), hung_up]);
    assert_eq!(world.line(a), Line::Idle);

    world.text(a, "dial");
    world.bridge(a, BridgeEvent::Open);
    assert_eq!(world.receive(a, b"\xff"), [relayed(a, Kind::Binary, b"\xff")]);
    assert_eq!(world.text(a, "say"), [said]);
    assert_eq!(world.bridge(a, BridgeEvent::Ended), [sent(a, "Ended")]);
    assert_eq!(world.line(a), Line::Idle);
}

#[test]
fn who_leaves_while_it_dials_is_not_heard_any_more() {
    let mut world = world(["0 dial hang"]);
    let a = SessionId(0);
    world.text(a, "dial");
    world.text(a, "0");
    assert_eq!(world.close(a), []);
    assert_eq!(world.line(a), Line::Idle);
}

#[test]
#[should_panic(expected = "nothing is open: 0 bridges said")]
fn nothing_is_said_to_nobody() {
    world([""]).text(SessionId(0), "dial say");
}

#[test]
#[should_panic(expected = "Ended cannot happen to session 0, whose line is Dialling")]
fn nothing_ends_that_has_not_begun() {
    let mut world = world([""]);
    world.text(SessionId(0), "dial");
    world.bridge(SessionId(0), BridgeEvent::Ended);
}

#[test]
#[should_panic(expected = "the caller is gone: 0 dials host:1")]
fn nobody_dials_behind_a_close() {
    world([""]).text(SessionId(0), "!0 dial");
}

#[test]
fn effects_on_oneself_are_ignored_at_the_end() {
    let mut world = world(["0 1 !0 dial", ""]);
    assert_eq!(world.close(SessionId(0)), [sent(SessionId(1), "hello")]);
}

#[test]
#[should_panic(expected = "the receiver is gone: send Text to 1: hello")]
fn nothing_may_be_sent_to_who_is_gone() {
    let mut world = world(["", ""]);
    world.close(SessionId(1));
    world.text(SessionId(0), "1");
}

#[test]
#[should_panic(expected = "the receiver is gone: send Text to 1: hello")]
fn nothing_may_be_sent_behind_a_close() {
    world(["", ""]).text(SessionId(0), "!1 1");
}

#[test]
#[should_panic(expected = "the receiver is gone: broadcast")]
fn no_audience_may_contain_who_is_gone() {
    let mut world = world(["", "", ""]);
    world.close(SessionId(2));
    world.text(SessionId(0), "*");
}

#[test]
#[should_panic(expected = "session 0 is not open")]
fn nobody_speaks_after_leaving() {
    let mut world = world([""]);
    world.close(SessionId(0));
    world.text(SessionId(0), "");
}
