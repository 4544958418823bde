//! Named WebSockets: everybody on a name hears everybody else. Layer 2.
//!
//! Wire format (namedwebsockets, generations A and B): a client opens `/local/NAME` or `/broadcast/NAME`; each message,
//! text or binary, reaches every other client of the same path as it is. With `?echo=1` one's own come back too. A
//! client that asks with `?presence=1` gets the text frame `____connect` for each other client, those already there and
//! those that come later, and `____disconnect` for each that leaves.
//!
//! Unlike the original: binary stays binary, presence is for those who ask, and a user's text that looks like a
//! presence frame is withheld from them, so that presence cannot be spoofed; everybody else gets it as it is.

use super::membership::{Membership, pass_on, refuse_speech};
use super::{Context, Effects, Protocol};
use crate::frame::message::{Kind, Message};
use crate::hub::channels::ChannelId;

/// "Somebody is here", to those who asked.
const CONNECT: &[u8] = b"____connect";

/// "Somebody has left", to those who asked.
const DISCONNECT: &[u8] = b"____disconnect";

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
        if self.wants_presence {
            for _ in cx.hub.channels.members(channel, Some(cx.id)).iter() {
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
        if is_presence(&message) {
            fx.broadcast(cx.hub.channels.plain(channel, except), message);
        } else {
            pass_on(fx, cx.hub.channels.members(channel, except), message);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(channel) = self.membership.channel() else { return };
        fx.send_all(cx.hub.channels.watchers(channel, Some(cx.id)), Kind::Text, &[DISCONNECT]);
        cx.hub.channels.leave(channel, cx.id);
    }
}

/// Whether a user's message could be taken for one of ours.
fn is_presence(message: &Message<'_>) -> bool {
    message.kind() == Kind::Text && (message.payload() == CONNECT || message.payload() == DISCONNECT)
}
