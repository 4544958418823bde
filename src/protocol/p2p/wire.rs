//! What goes to a Socket.IO client, framed for the revision that it speaks. Layer 2.
//!
//! Everything here concerns the namespace `/`, the only one there is. Texts are the same in both revisions but for a few
//! packets; attachments are messages of their own, which Engine.IO 3 marks with a type byte (engine.io-parser 2
//! `encodePacket`). A packet and its attachments are written in one go, as a client takes anything between them for a
//! fault.

use super::engine_io::push_wrapped;
use super::socket_io::write::{self, Prefix};
use crate::frame::message::Kind;
use crate::hub::SessionId;
use crate::hub::channels::{ChannelId, Channels};
use crate::hub::devices::{Device, Revision};
use crate::protocol::{Audience, Effects};

/// The type byte in front of binary messages in Engine.IO 3.
const MESSAGE: &[u8] = &[4];

/// Parts that one event may be put together from.
const MOST_PARTS: usize = 10;

/// Whether whoever caused a packet waits for its receiver.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Pace {
    /// It does: nothing is lost.
    Kept,
    /// It does not: what is said to many, or by us.
    Free,
}

/// An event: `parts` are what stands between the brackets, the quoted name first; `id` asks for an ack.
pub(super) fn event(
    fx: &mut impl Effects,
    to: &Device,
    pace: Pace,
    id: Option<u64>,
    parts: &[&[u8]],
    attachments: &[&[u8]],
) {
    packet(fx, to, pace, &write::event(count(attachments), "/", id), parts, attachments);
}

/// An ack: `parts` are what stands between the brackets.
pub(super) fn ack(fx: &mut impl Effects, to: &Device, pace: Pace, id: u64, parts: &[&[u8]], attachments: &[&[u8]]) {
    packet(fx, to, pace, &write::ack(count(attachments), "/", id), parts, attachments);
}

/// The namespace is connected; `name` is the socket's, which clients of Engine.IO 3 take from the handshake.
pub(super) fn connect(fx: &mut impl Effects, to: &Device, name: &str) {
    match to.revision {
        Revision::Three => fx.send(to.session, Kind::Text, &[&write::connect("/")]),
        Revision::Four => {
            let mut text = Vec::with_capacity(64);
            write::push_connect_with_sid(&mut text, "/", name);
            fx.send(to.session, Kind::Text, &[&text]);
        }
    }
}

/// The server ends the namespace; the client does not come back by itself.
pub(super) fn disconnect(fx: &mut impl Effects, to: &Device) {
    fx.send(to.session, Kind::Text, &[&write::disconnect("/")]);
}

/// A namespace is not to be had. `namespace` is `/NAME`, or `/`.
pub(super) fn refuse(fx: &mut impl Effects, to: &Device, namespace: &str, message: &str) {
    let mut text = Vec::with_capacity(64);
    match to.revision {
        Revision::Three => write::push_error(&mut text, namespace, message),
        Revision::Four => write::push_connect_error(&mut text, namespace, message),
    }
    fx.send(to.session, Kind::Text, &[&text]);
}

/// How many attachments, as packets say it.
fn count(attachments: &[&[u8]]) -> u32 {
    u32::try_from(attachments.len()).expect("--max-attachments has 32 bits")
}

/// Those in a room who get attachments in one manner: as binary messages, or as text that stands for them.
#[derive(Clone, Copy, Debug)]
pub(super) struct Room<'a> {
    /// Where the channel is.
    pub(super) channels: &'a Channels,
    /// Its members. The watchers speak Engine.IO 3, the others 4.
    pub(super) channel: ChannelId,
    /// Whether they take no binary messages.
    pub(super) base64_only: bool,
    /// Who is left out.
    pub(super) except: SessionId,
}

/// An event for everybody in a room, without an ack.
pub(super) fn event_to_room(fx: &mut impl Effects, to: &Room<'_>, parts: &[&[u8]], attachments: &[&[u8]]) {
    let send_all = |fx: &mut _, audience: Audience<'_>, kind, parts: &[&[u8]]| {
        if audience.iter().next().is_some() {
            Effects::send_all(fx, audience, kind, parts);
        }
    };
    let except = Some(to.except);
    with_text(&write::event(count(attachments), "/", None), parts, |text| {
        send_all(fx, to.channels.members(to.channel, except), Kind::Text, text);
    });
    for attachment in attachments {
        for (revision, audience) in [
            (Revision::Three, to.channels.watchers(to.channel, except)),
            (Revision::Four, to.channels.plain(to.channel, except)),
        ] {
            with_attachment(revision, to.base64_only, attachment, |kind, parts| send_all(fx, audience, kind, parts));
        }
    }
}

fn packet(fx: &mut impl Effects, to: &Device, pace: Pace, head: &Prefix, parts: &[&[u8]], attachments: &[&[u8]]) {
    let mut send = |kind, parts: &[&[u8]]| match pace {
        Pace::Kept => fx.relay_parts(to.session, kind, parts),
        Pace::Free => fx.send(to.session, kind, parts),
    };
    with_text(head, parts, |text| send(Kind::Text, text));
    for attachment in attachments {
        with_attachment(to.revision, to.base64_only, attachment, &mut send);
    }
}

/// The text of a packet, in parts.
#[inline]
fn with_text(head: &Prefix, parts: &[&[u8]], send: impl FnOnce(&[&[u8]])) {
    debug_assert!(parts.len() <= MOST_PARTS);
    let mut all: [&[u8]; MOST_PARTS + 2] = [&[]; MOST_PARTS + 2];
    all[0] = head;
    for (place, part) in all[1..=MOST_PARTS].iter_mut().zip(parts) {
        *place = part;
    }
    let end = parts.len().min(MOST_PARTS) + 1;
    all[end] = write::END;
    send(&all[..=end]);
}

/// An attachment as a message, in parts.
fn with_attachment(revision: Revision, base64_only: bool, attachment: &[u8], mut send: impl FnMut(Kind, &[&[u8]])) {
    let typed = [MESSAGE, attachment];
    let typed = match revision {
        Revision::Three => &typed[..],
        Revision::Four => &typed[1..],
    };
    if base64_only {
        let mut text = Vec::with_capacity(attachment.len() * 4 / 3 + 8);
        push_wrapped(&mut text, &typed.concat(), revision);
        send(Kind::Text, &[&text]);
    } else {
        send(Kind::Binary, typed);
    }
}
