//! Network channels: everybody on a name, each with an id, to all or to one. Layer 2.
//!
//! Wire format (namedwebsockets, last generation): a client opens `/network/NAME`, or `/NAME` where the listener's root
//! is `network`. It sends text, one JSON object each:
//!
//! - `{"action":"broadcast","data":TEXT}` reaches all others as `{"action":"broadcast","source":ID,"data":TEXT}`;
//! - `{"action":"message","target":ID,"data":TEXT}` reaches that one as
//!   `{"action":"message","source":ID,"target":ID,"data":TEXT}`, the sender itself included;
//! - `{"action":"status"}` is answered with `{"action":"status","source":YOU,"target":YOU}`.
//!
//! It is told of every peer, those already there and those that come later, with
//! `{"action":"connect","source":YOU,"target":PEER}`, and of those that leave with `disconnect`. Ids are decimal strings.
//! Empty texts are left out. What is not understood, or has no such target, is ignored, as in the original; so is
//! `data` that is no string. A binary frame ends the connection.
//!
//! Unlike the original, `data` reaches peers in the spelling in which it was sent, and `source` is always the receiver's
//! own id in `connect`. On a link with another server (see [`link`](super::link)) the same actions travel: `connect` and
//! `disconnect` with a `target` only, for the sender's own members, `broadcast` and `message` as they are delivered.

use tungstenite::protocol::frame::coding::CloseCode;

use super::membership::{Membership, NO_NAME, refuse_speech};
use super::{Audience, Context, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::hub::channels::ChannelId;
use crate::hub::peers::{Lost, PeerId, Via};
use crate::hub::{Hub, SessionId};
use crate::json::fields;

/// Why a link is closed that tells of a member.
const MEMORY_IS_SHORT: &str = "memory is short (--max-memory)";

/// Messages about peers of a lost link that go out at once, but for one peer at least: writing them must not keep others
/// waiting.
const LOST_SHARE: usize = 2048;

/// A member of a network channel.
#[derive(Debug)]
pub struct Network {
    membership: Membership,
    id: Option<PeerId>,
}

/// What somebody said, as far as it is understood.
struct Said<'t> {
    action: Action,
    source: Option<PeerId>,
    target: Option<PeerId>,
    /// In its quotes, as it was sent; `None` if it is empty or was left out.
    data: Option<&'t [u8]>,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum Action {
    Connect,
    Disconnect,
    Broadcast,
    Message,
    Status,
}

impl Network {
    /// A session that will join the channel of this path.
    #[must_use]
    pub fn new(path: &str) -> Self {
        Self { membership: Membership::Outside(path.into()), id: None }
    }

    /// The channel it is on.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        self.membership.channel()
    }
}

impl Network {
    fn hear(&self, cx: &mut Context<'_>, message: &Message<'_>, fx: &mut impl Effects) {
        let (Some(channel), Some(id)) = (self.membership.channel(), self.id) else { return };
        if message.kind() == Kind::Binary {
            return fx.close(cx.id, CloseCode::Unsupported, "network channels carry JSON, in text");
        }
        let Some(said) = read(message.payload()) else { return };
        match (said.action, said.target) {
            (Action::Broadcast | Action::Message, _) if !cx.permit.may_publish(cx.hub.channels.name(channel)) => {
                refuse_speech(cx, fx);
            }
            (Action::Broadcast, _) => broadcast(fx, cx.hub.channels.members(channel, Some(cx.id)), id, said.data),
            (Action::Message, Some(target)) => match cx.hub.peers.via(channel, target) {
                Some(Via::Member(via) | Via::Link(via)) => direct(fx, via, id, target, said.data),
                None => {}
            },
            (Action::Status, _) => tell(fx, cx.id, "status", id, id),
            (Action::Message | Action::Connect | Action::Disconnect, _) => {}
        }
    }
}

impl Protocol for Network {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Membership::Outside(path) = &self.membership else { return };
        let path = path.clone();
        // Whoever speaks here has an id, and is told of everybody's: there is no speaking from outside.
        if !cx.permit.may_subscribe(&path) {
            return fx.close(cx.id, CloseCode::Policy, NO_NAME);
        }
        let Some(channel) = self.membership.join(&path, cx, false, fx) else { return };
        let Ok(id) = cx.hub.peers.welcome(channel, cx.id) else {
            return fx.close(cx.id, CloseCode::Error, "the system's generator of random numbers fails");
        };
        self.id = Some(id);
        let others = || cx.hub.peers.members(channel).filter(|(peer, _)| *peer != id);
        for peer in others().map(|(peer, _)| peer).chain(cx.hub.peers.remote(channel)) {
            tell(fx, cx.id, "connect", id, peer);
        }
        for (peer, member) in others() {
            tell(fx, member, "connect", peer, id);
        }
        tell_links(fx, cx.hub.channels.links(channel), "connect", id);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        self.hear(cx, &message, fx);
        fx.recycle(message);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(channel) = self.membership.channel() else { return };
        if let Some(id) = self.id {
            cx.hub.peers.leave(channel, id);
            tell_members(cx, channel, "disconnect", id, fx);
            tell_links(fx, cx.hub.channels.links(channel), "disconnect", id);
        }
        cx.hub.channels.leave(channel, cx.id);
    }
}

/// Tells a link that has opened who is here.
pub(super) fn greet_link(cx: &Context<'_>, channel: ChannelId, fx: &mut impl Effects) {
    for (id, _) in cx.hub.peers.members(channel) {
        let id = id.to_string();
        fx.send(cx.id, Kind::Text, &[br#"{"action":"connect","target":""#, id.as_bytes(), br#""}"#]);
    }
}

/// The server at the other end of this link says something: what it says of its own members, and in their names, is
/// passed on to those here. Returns by how many its members have changed. When there is no memory for another one, the link
/// is closed: a channel that knows a part of its members only would be none.
pub(super) fn on_link(
    cx: &mut Context<'_>,
    channel: ChannelId,
    text: &[u8],
    may_add: bool,
    fx: &mut impl Effects,
) -> i32 {
    let Some(said) = read(text) else { return 0 };
    let own = Via::Link(cx.id);
    match (said.action, said.source, said.target) {
        (Action::Connect, _, Some(_)) if cx.hub.memory.is_scarce() => {
            fx.close(cx.id, CloseCode::Again, MEMORY_IS_SHORT)
        }
        (Action::Connect, _, Some(id)) if may_add => {
            let Ok(is_new) = cx.hub.peers.add(channel, id, cx.id, &cx.hub.memory) else { return 0 };
            if is_new {
                tell_members(cx, channel, "connect", id, fx);
            }
            return 1;
        }
        (Action::Disconnect, _, Some(id)) if cx.hub.peers.remove(channel, id, cx.id) => {
            tell_members(cx, channel, "disconnect", id, fx);
            return -1;
        }
        (Action::Broadcast, Some(source), _) if cx.hub.peers.via(channel, source) == Some(own) => {
            broadcast(fx, cx.hub.channels.locals(channel, None), source, said.data);
        }
        (Action::Message, Some(source), Some(target)) if cx.hub.peers.via(channel, source) == Some(own) => {
            if let Some(Via::Member(member)) = cx.hub.peers.via(channel, target) {
                direct(fx, member, source, target, said.data);
            }
        }
        _ => {}
    }
    0
}

/// A link has ended: its peers are gone. Members are told of some now, and of the rest as [`tell_lost`] is called.
pub(super) fn lose_link(cx: &mut Context<'_>, channel: ChannelId, fx: &mut impl Effects) {
    cx.hub.peers.lose(channel, cx.id);
    tell_lost(cx.hub, fx);
}

/// Tells members of some peers that are lost ([`Peers::has_lost`](crate::hub::peers::Peers::has_lost)).
pub fn tell_lost(hub: &mut Hub, fx: &mut impl Effects) {
    let Some(Lost { peers, members }) = hub.peers.next_lost(LOST_SHARE) else { return };
    for (id, member) in members {
        for peer in &peers {
            tell(fx, member, "disconnect", id, *peer);
        }
    }
}

/// Understands a text, if it can be.
fn read(text: &[u8]) -> Option<Said<'_>> {
    // The original's reader does not mind case; clients of its earlier generations begin names with a capital.
    let names = ["action", "source", "target", "data", "Action", "Source", "Target", "Data"];
    let [action, source, target, data, action_2, source_2, target_2, data_2] = fields::find(text, names).ok()?;
    let action = match &*fields::string(action.or(action_2)?)? {
        "connect" => Action::Connect,
        "disconnect" => Action::Disconnect,
        "broadcast" => Action::Broadcast,
        "message" => Action::Message,
        "status" => Action::Status,
        _ => return None,
    };
    let id = |span: Option<&[u8]>| span.and_then(fields::string).and_then(|text| PeerId::parse(&text));
    let data = data.or(data_2);
    if data.is_some_and(|span| span.first() != Some(&b'"')) {
        return None;
    }
    let data = data.filter(|span| *span != br#""""#);
    Some(Said { action, source: id(source.or(source_2)), target: id(target.or(target_2)), data })
}

/// Tells one session about a peer.
fn tell(fx: &mut impl Effects, to: SessionId, action: &str, source: PeerId, target: PeerId) {
    let (source, target) = (source.to_string(), target.to_string());
    let parts: [&[u8]; 7] = [
        br#"{"action":""#,
        action.as_bytes(),
        br#"","source":""#,
        source.as_bytes(),
        br#"","target":""#,
        target.as_bytes(),
        br#""}"#,
    ];
    fx.send(to, Kind::Text, &parts);
}

/// Tells all members of this machine about a peer.
fn tell_members(cx: &Context<'_>, channel: ChannelId, action: &str, about: PeerId, fx: &mut impl Effects) {
    for (peer, member) in cx.hub.peers.members(channel) {
        tell(fx, member, action, peer, about);
    }
}

fn tell_links(fx: &mut impl Effects, links: Audience<'_>, action: &str, about: PeerId) {
    if !links.members.is_empty() {
        let about = about.to_string();
        let parts: [&[u8]; 5] = [br#"{"action":""#, action.as_bytes(), br#"","target":""#, about.as_bytes(), br#""}"#];
        fx.send_all(links, Kind::Text, &parts);
    }
}

fn broadcast(fx: &mut impl Effects, to: Audience<'_>, source: PeerId, data: Option<&[u8]>) {
    let source = source.to_string();
    let [comma, data] = member(data);
    let parts: [&[u8]; 6] = [br#"{"action":"broadcast","source":""#, source.as_bytes(), br#"""#, comma, data, b"}"];
    match to.only() {
        Some(only) => fx.relay_parts(only, Kind::Text, &parts),
        None => fx.send_all(to, Kind::Text, &parts),
    }
}

fn direct(fx: &mut impl Effects, via: SessionId, source: PeerId, target: PeerId, data: Option<&[u8]>) {
    let (source, target) = (source.to_string(), target.to_string());
    let [comma, data] = member(data);
    let parts: [&[u8]; 8] = [
        br#"{"action":"message","source":""#,
        source.as_bytes(),
        br#"","target":""#,
        target.as_bytes(),
        br#"""#,
        comma,
        data,
        b"}",
    ];
    fx.relay_parts(via, Kind::Text, &parts);
}

/// The member `data`, or nothing.
fn member(data: Option<&[u8]>) -> [&[u8]; 2] {
    data.map_or([b"", b""], |data| [br#","data":"#, data])
}

#[cfg(test)]
mod tests;
