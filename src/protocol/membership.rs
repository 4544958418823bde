//! What every client of a channel does, whatever its protocol calls it: asks for a name, joins, speaks to the others,
//! leaves, as far as it is permitted. Layer 2. No wire format: who is told what about it is the protocol's affair.

use tungstenite::protocol::frame::coding::CloseCode;

use super::{Audience, Context, Effects};
use crate::frame::message::Message;
use crate::hub::channels::ChannelId;

/// Where a client stands with its channel.
#[derive(Debug)]
pub(super) enum Membership {
    /// No member of the channel of this name in the hub: because it has not opened yet, or because it may speak there and
    /// not listen. Nobody hears of one that only speaks.
    Outside(Box<str>),
    /// Among the members.
    Member(ChannelId),
}

impl Membership {
    /// Joins the channel that was asked for, if the session may hear what is said there under the name `permitted`. One
    /// who may not, but may speak, stays outside; one who may do neither is closed. `None` for whoever is outside or was
    /// a member before.
    pub(super) fn join(
        &mut self,
        permitted: &str,
        cx: &mut Context<'_>,
        is_watcher: bool,
        fx: &mut impl Effects,
    ) -> Option<ChannelId> {
        let Self::Outside(name) = self else { return None };
        if cx.permit.may_subscribe(permitted) {
            let channel = cx.hub.channels.join(name, cx.id, is_watcher);
            *self = Self::Member(channel);
            return Some(channel);
        }
        if !cx.permit.may_publish(permitted) {
            fx.close(cx.id, CloseCode::Policy, NO_NAME);
        }
        None
    }

    /// The channel that what it says goes to. `None` if nobody is there.
    #[inline]
    pub(super) fn addressed(&self, cx: &Context<'_>) -> Option<ChannelId> {
        match self {
            Self::Member(channel) => Some(*channel),
            Self::Outside(name) => cx.hub.channels.find(name),
        }
    }

    /// The channel, once joined.
    #[inline]
    pub(super) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Outside(_) => None,
            Self::Member(channel) => Some(*channel),
        }
    }
}

/// To a client that may do nothing under a name.
pub(super) const NO_NAME: &str = "not permitted: this needs a token that permits this name (subscribe, publish)";

/// Closes a session that spoke where it may only listen. There is no other way to let it know: no protocol has a word
/// for it, and what is dropped without one looks as if it had been heard.
#[cold]
pub(super) fn refuse_speech(cx: &Context<'_>, fx: &mut impl Effects) {
    fx.close(cx.id, CloseCode::Policy, "not permitted: this needs a token that permits speaking here (publish)");
}

/// Passes `message` on to the audience. One who is alone in it makes a pair with the sender, where nothing is ever
/// dropped; of several, nobody is waited for.
#[inline]
pub(super) fn pass_on(fx: &mut impl Effects, audience: Audience<'_>, message: Message<'_>) {
    match audience.only() {
        Some(only) => fx.relay(only, message),
        None => fx.broadcast(audience, message),
    }
}
