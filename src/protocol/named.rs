//! Named WebSockets: everybody on a name hears everybody else. Layer 2.
//!
//! Wire format (namedwebsockets, generations A and B): a client opens `/local/NAME` or `/broadcast/NAME`; each message,
//! text or binary, reaches every other client of the same path as it is. With `?echo=1` one's own come back too. A
//! client that asks with `?presence=1` gets the text frame `____connect` for each other client, those already there and
//! those that come later, and `____disconnect` for each that leaves.
//!
//! Unlike the original: binary stays binary, presence is for those who ask, and a user's text that looks like a
//! presence frame is withheld from them, so that presence cannot be spoofed; everybody else gets it as it is.
//!
//! Members of other machines that a [`link`](super::link) tells of count as others: those who asked hear of them.

use super::membership::{Membership, pass_on, refuse_speech};
use super::{Audience, Context, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::hub::channels::ChannelId;

/// "Somebody is here", to those who asked.
pub(super) const CONNECT: &[u8] = b"____connect";

/// "Somebody has left", to those who asked.
pub(super) const DISCONNECT: &[u8] = b"____disconnect";

/// A member of a named channel.
#[derive(Debug)]
pub struct Named {
    membership: Membership,
    wants_presence: bool,
    wants_echo: bool,
    /// It may not say anything.
    is_mute: bool,
}

/// What a client asked for in the query of its URL.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wishes {
    /// `?presence=1`
    pub presence: bool,
    /// `?echo=1`
    pub echo: bool,
}

impl Named {
    /// A session that will join the channel of this path.
    #[must_use]
    pub fn new(path: &str, wishes: Wishes) -> Self {
        let membership = Membership::Outside(path.into());
        Self { membership, wants_presence: wishes.presence, wants_echo: wishes.echo, is_mute: false }
    }
}

impl Named {
    /// The channel it is in.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        self.membership.channel()
    }
}

impl Protocol for Named {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Membership::Outside(path) = &self.membership else { return };
        let path = path.clone();
        self.is_mute = !cx.permit.may_publish(&path);
        let Some(channel) = self.membership.join(&path, cx, self.wants_presence, fx) else { return };
        fx.send_all(cx.hub.channels.watchers(channel, Some(cx.id)), Kind::Text, &[CONNECT]);
        tell_links(fx, cx.hub.channels.links(channel), CONNECT);
        if self.wants_presence {
            let here = cx.hub.channels.locals(channel, Some(cx.id)).iter().count();
            for _ in 0..here + cx.hub.channels.remote(channel) as usize {
                fx.send(cx.id, Kind::Text, &[CONNECT]);
            }
        }
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        if self.is_mute {
            return refuse_speech(cx, fx);
        }
        let Some(channel) = self.membership.addressed(cx) else { return };
        let is_member = self.membership.channel().is_some();
        let except = if self.wants_echo || !is_member { None } else { Some(cx.id) };
        let Some(backslashes) = word(&message) else {
            return pass_on(fx, cx.hub.channels.members(channel, except), message);
        };
        let links = cx.hub.channels.links(channel);
        if !links.members.is_empty() {
            fx.send_all(links, Kind::Text, &[b"\\", message.payload()]);
        }
        if backslashes == 0 {
            fx.broadcast(cx.hub.channels.plain(channel, except), message);
        } else {
            pass_on(fx, cx.hub.channels.locals(channel, except), message);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(channel) = self.membership.channel() else { return };
        fx.send_all(cx.hub.channels.watchers(channel, Some(cx.id)), Kind::Text, &[DISCONNECT]);
        tell_links(fx, cx.hub.channels.links(channel), DISCONNECT);
        cx.hub.channels.leave(channel, cx.id);
    }
}

fn tell_links(fx: &mut impl Effects, links: Audience<'_>, what: &[u8]) {
    if !links.members.is_empty() {
        fx.send_all(links, Kind::Text, &[what]);
    }
}

/// Whether a message could be taken for one of ours: how many backslashes stand before a presence word that is all the
/// rest of it. With none it is the word itself; with some, what a link makes of such a message.
#[inline]
pub(super) fn word(message: &Message<'_>) -> Option<usize> {
    let payload = message.payload();
    if message.kind() != Kind::Text || !(payload.ends_with(CONNECT) || payload.ends_with(DISCONNECT)) {
        return None;
    }
    let backslashes = payload.iter().take_while(|byte| **byte == b'\\').count();
    let word = &payload[backslashes..];
    (word == CONNECT || word == DISCONNECT).then_some(backslashes)
}
