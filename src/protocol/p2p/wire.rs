//! What goes to a Socket.IO client, framed for the revision that it speaks. Layer 2.
//!
//! Everything here concerns the namespace `/`, the only one there is. Texts are the same in both revisions but for a few
//! packets; attachments are messages of their own, which Engine.IO 3 marks with a type byte (engine.io-parser 2
//! `encodePacket`). A packet and its attachments are written in one go, as a client takes anything between them for a
//! fault.

use super::engine_io::push_wrapped;
use crate::frame::message::Kind;
use crate::hub::devices::{Device, Revision};
use crate::json::escape::push_string;
use crate::protocol::Effects;

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
    packet(fx, to, pace, [b"42", b"45"], id, parts, attachments);
}

/// An ack: `parts` are what stands between the brackets.
pub(super) fn ack(fx: &mut impl Effects, to: &Device, pace: Pace, id: u64, parts: &[&[u8]], attachments: &[&[u8]]) {
    packet(fx, to, pace, [b"43", b"46"], Some(id), parts, attachments);
}

/// The namespace is connected; `name` is the socket's, which clients of Engine.IO 3 take from the handshake.
pub(super) fn connect(fx: &mut impl Effects, to: &Device, name: &str) {
    match to.revision {
        Revision::Three => fx.send(to.session, Kind::Text, &[b"40"]),
        Revision::Four => fx.send(to.session, Kind::Text, &[b"40{\"sid\":\"", name.as_bytes(), b"\"}"]),
    }
}

/// The server ends the namespace; the client does not come back by itself.
pub(super) fn disconnect(fx: &mut impl Effects, to: &Device) {
    fx.send(to.session, Kind::Text, &[b"41"]);
}

/// A namespace is not to be had. `namespace` is `/NAME`, or `/`.
pub(super) fn refuse(fx: &mut impl Effects, to: &Device, namespace: &str, message: &str) {
    let mut text = b"44".to_vec();
    if namespace != "/" {
        text.extend_from_slice(namespace.as_bytes());
        text.push(b',');
    }
    match to.revision {
        Revision::Three => push_string(&mut text, message),
        Revision::Four => {
            text.extend_from_slice(b"{\"message\":");
            push_string(&mut text, message);
            text.push(b'}');
        }
    }
    fx.send(to.session, Kind::Text, &[&text]);
}

fn packet(
    fx: &mut impl Effects,
    to: &Device,
    pace: Pace,
    types: [&[u8; 2]; 2],
    id: Option<u64>,
    parts: &[&[u8]],
    attachments: &[&[u8]],
) {
    debug_assert!(parts.len() <= MOST_PARTS);
    let (mut count, mut number) = (Digits::default(), Digits::default());
    let mut all: [&[u8]; MOST_PARTS + 6] = [&[]; MOST_PARTS + 6];
    all[0] = types[usize::from(!attachments.is_empty())];
    if !attachments.is_empty() {
        (all[1], all[2]) = (count.write(attachments.len() as u64), b"-");
    }
    if let Some(id) = id {
        all[3] = number.write(id);
    }
    all[4] = b"[";
    let mut used = 5;
    for (place, part) in all[5..5 + MOST_PARTS].iter_mut().zip(parts) {
        *place = part;
        used += 1;
    }
    let mut send = |kind, parts: &[&[u8]]| match pace {
        Pace::Kept => fx.relay_parts(to.session, kind, parts),
        Pace::Free => fx.send(to.session, kind, parts),
    };
    all[used] = b"]";
    send(Kind::Text, &all[..=used]);
    for attachment in attachments {
        if to.base64_only {
            let mut item = Vec::with_capacity(attachment.len() * 4 / 3 + 8);
            let typed = match to.revision {
                Revision::Three => &[MESSAGE, attachment].concat()[..],
                Revision::Four => attachment,
            };
            push_wrapped(&mut item, typed, to.revision);
            send(Kind::Text, &[&item]);
            continue;
        }
        match to.revision {
            Revision::Three => send(Kind::Binary, &[MESSAGE, attachment]),
            Revision::Four => send(Kind::Binary, &[attachment]),
        }
    }
}

/// A decimal number, on the stack.
#[derive(Default)]
struct Digits([u8; 20]);

impl Digits {
    fn write(&mut self, mut number: u64) -> &[u8] {
        let mut start = self.0.len();
        loop {
            start -= 1;
            self.0[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                return &self.0[start..];
            }
        }
    }
}
