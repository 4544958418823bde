//! What every client of a channel does, whatever its protocol calls it: asks for a name, joins, speaks to the others,
//! leaves. Layer 2. No wire format: who is told what about it is the protocol's affair.

use super::{Audience, Context, Effects};
use crate::frame::message::Message;
use crate::hub::channels::ChannelId;

/// Where a client stands with its channel.
#[derive(Debug)]
pub(super) enum Membership {
    /// Before the opening handshake is complete: the channel's name in the hub.
    Asking(Box<str>),
    /// Among the members.
    Member(ChannelId),
}

impl Membership {
    /// Joins the channel that was asked for. `None` for one who is a member already.
    pub(super) fn join(&mut self, cx: &mut Context<'_>, is_watcher: bool) -> Option<ChannelId> {
        let Self::Asking(name) = self else { return None };
        let channel = cx.hub.channels.join(name, cx.id, is_watcher);
        *self = Self::Member(channel);
        Some(channel)
    }

    /// The channel, once joined.
    #[inline]
    pub(super) fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::Asking(_) => None,
            Self::Member(channel) => Some(*channel),
        }
    }
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
