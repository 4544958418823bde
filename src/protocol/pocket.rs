//! pocketsocket: everybody in a room hears everybody else, and gets a receipt for what it says. Layer 2.
//!
//! What pocketsocket's `server.py` speaks. A message may be anything; the original's clients say
//! `{"id": STRING, "message": STRING, "data": ANY}`. The sender gets its receipt first,
//!
//! `{"time":"YYYY-MM-DD HH:MM:SS.ffffff","messageId":ID,"socket":"sent","attr":ATTR}`,
//!
//! and then all others get the message as it is.
//!
//! | message | `attr` | `messageId` |
//! |---|---|---|
//! | text, a JSON object | `"json"` | its `id`, byte for byte; null without one |
//! | any other text, the empty one too | `"string"` | the message's length in bytes |
//! | binary | `"binary"` | the message's length in bytes |
//! | text that only the server says | `"refused"` | as above, by what it is |
//!
//! When a client comes or goes, all others get `{"socket":"connected","port":PORT,"address":"IP"}` or the same with
//! `disconnected`; the client itself does not. Its port and address are null where it has no socket of ours.
//!
//! Where we differ: text that is no JSON, the empty message, fragments and pings work, and binary stays binary (the
//! original drops the client, or takes them for text). `--echo` does what it says: the sender gets its message back
//! after the receipt, as does one who asks with `?echo=1`. `--verbose` prints who says how much, and at its second
//! level what. `?room=NAME` keeps apart what the original has in one room; without it everybody is in the room "". The
//! time is UTC. Nobody hears of a client whose opening handshake is not complete, nor is one told anything.
//!
//! A JSON object with a member `socket` is what only the server says: receipts and pushes, which clients believe. From a
//! client it is passed on to nobody, nor back to itself, and its receipt has the `attr` `"refused"`. Clients of the
//! original never say it: they signal by `message`, and `{"message":"socket.reconnect"}` is passed on like anything else.
//!
//! A message is scanned once, for `id` and `socket`, and neither copied nor allocated; with `--echo` its copy for the
//! sender is.

mod stamp;

use std::fmt;
use std::net::SocketAddr;

use log::{debug, info};

use super::membership::{Membership, pass_on, refuse_speech};
use super::{Context, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::hub::channels::ChannelId;
use crate::json::fields;
use stamp::Stamp;

/// What rooms are called in the hub, before their names. Named channels begin with a slash.
const ROOM: &str = "pocket room ";

/// One pocketsocket client.
#[derive(Debug)]
pub struct Pocket {
    membership: Membership,
    wants_echo: bool,
    /// It may not say anything.
    is_mute: bool,
}

impl Pocket {
    /// A client that will join this room; `echo` is whether it gets its own messages back.
    #[must_use]
    pub fn new(room: &str, echo: bool) -> Self {
        Self { membership: Membership::Outside([ROOM, room].concat().into()), wants_echo: echo, is_mute: false }
    }
}

impl Pocket {
    /// The channel it is in.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        self.membership.channel()
    }
}

impl Protocol for Pocket {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Membership::Outside(name) = &self.membership else { return };
        // What tokens call the room.
        let permitted = ["/pocket/", name.strip_prefix(ROOM).unwrap_or_default()].concat();
        self.is_mute = !cx.permit.may_publish(&permitted);
        if let Some(room) = self.membership.join(&permitted, cx, false, fx) {
            announce("connected", room, cx, fx);
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        if self.is_mute {
            return refuse_speech(cx, fx);
        }
        print(cx.address, &message);
        if !receipt(&message, cx, fx) {
            return;
        }
        let own = self.membership.channel();
        if self.wants_echo && own.is_some() {
            fx.send(cx.id, message.kind(), &[message.payload()]);
        }
        if let Some(room) = self.membership.addressed(cx) {
            pass_on(fx, cx.hub.channels.members(room, own.map(|_| cx.id)), message);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Some(room) = self.membership.channel() {
            announce("disconnected", room, cx, fx);
            cx.hub.channels.leave(room, cx.id);
        }
    }
}

/// Confirms a message to its sender. Whether it is for others: not what only the server says.
#[inline]
fn receipt(message: &Message<'_>, cx: &Context<'_>, fx: &mut impl Effects) -> bool {
    let payload = message.payload();
    let found = match message.kind() {
        Kind::Text => fields::find(payload, ["id", "socket"]).ok(),
        Kind::Binary => None,
    };
    let length = Decimal::new(payload.len());
    let (id, attr): (&[u8], &[u8]) = match (found, message.kind()) {
        (Some([id, None]), _) => (id.unwrap_or(b"null"), b"json"),
        (Some([id, Some(_)]), _) => (id.unwrap_or(b"null"), REFUSED),
        (None, Kind::Text) if fields::may_have(payload, "socket") => (length.as_bytes(), REFUSED),
        (None, Kind::Text) => (length.as_bytes(), b"string"),
        (None, Kind::Binary) => (length.as_bytes(), b"binary"),
    };
    const REFUSED: &[u8] = b"refused";
    const TIME: &[u8] = br#"{"time":""#;
    const ID: &[u8] = br#"","messageId":"#;
    const ATTR: &[u8] = br#","socket":"sent","attr":""#;
    fx.send(cx.id, Kind::Text, &[TIME, Stamp::new(cx.wall).as_bytes(), ID, id, ATTR, attr, br#""}"#]);
    attr != REFUSED
}

/// Tells everybody else in the room that this client came or went.
fn announce(what: &str, room: ChannelId, cx: &Context<'_>, fx: &mut impl Effects) {
    let port_and_address = match cx.address {
        // An IPv4 client of an IPv6 listener is called by its own address, as on the original's IPv4 one.
        Some(peer) => format!(r#""port":{},"address":"{}""#, peer.port(), peer.ip().to_canonical()),
        None => r#""port":null,"address":null"#.to_owned(),
    };
    let parts = [br#"{"socket":""#, what.as_bytes(), br#"","#, port_and_address.as_bytes(), b"}"];
    fx.send_all(cx.hub.channels.members(room, Some(cx.id)), Kind::Text, &parts);
}

/// `--verbose`, which the original promises: who said how much, and at the second level the beginning of it.
#[inline]
fn print(sender: Option<SocketAddr>, message: &Message<'_>) {
    info!("{}: {} bytes of {} for the room", Sender(sender), message.payload().len(), Word(message.kind()));
    debug!("{}: {}", Sender(sender), Excerpt(message));
}

/// Bytes of a message that are printed.
const EXCERPT_BYTES: usize = 200;

/// A client in a line of the log.
struct Sender(Option<SocketAddr>);

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("a client elsewhere"),
        }
    }
}

/// The kind of a message in a line of the log.
struct Word(Kind);

impl fmt::Display for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Text => "text",
            Kind::Binary => "binary",
        })
    }
}

/// The beginning of a message on one line: whatever could end the line or move the cursor is escaped.
struct Excerpt<'m>(&'m Message<'m>);

impl fmt::Display for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let payload = self.0.payload();
        let start = &payload[..payload.len().min(EXCERPT_BYTES)];
        match self.0.kind() {
            Kind::Text => {
                // The end may be in the middle of a character.
                let text = start.utf8_chunks().next().map_or("", |chunk| chunk.valid());
                for char in text.chars() {
                    if char == '"' || char == '\'' {
                        write!(f, "{char}")
                    } else {
                        write!(f, "{}", char.escape_debug())
                    }?;
                }
            }
            Kind::Binary => start.escape_ascii().fmt(f)?,
        }
        if payload.len() > start.len() { f.write_str(" …") } else { Ok(()) }
    }
}

/// A number in decimal digits.
struct Decimal {
    /// Right-aligned.
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    fn new(mut number: usize) -> Self {
        let (mut digits, mut start) = ([b'0'; 20], 20);
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return Self { digits, start };
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests;
