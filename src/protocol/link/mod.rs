//! One end of a link: a server of another machine on one of our channels. Layer 2.
//!
//! A link is a WebSocket to `/broadcast/NAME` or `/network/NAME` of the other server, with a secret to `/broadcast/KEY`
//! (the key in hexadecimal), that names the subprotocol [`OPEN`] or, where a secret is shared, [`PROVED`], and the
//! dialling server's name in the field [`INSTANCE`]; the answer names the accepting one's. With a secret both ends prove
//! that they know it before anything else is said (see [`proof`]). A link that is open carries both directions, and
//! what comes from it goes to members of this machine only: every two machines have a link of their own, so nothing is
//! passed on twice and nothing goes round.
//!
//! *Broadcast channels*: a member's message as it is, text or binary. The text `____connect` says that a member came at
//! the other end and `____disconnect` that one left; both follow a link's opening and tell how many are there. A member's
//! text that spells one of them, behind any number of backslashes, travels with one more backslash in front.
//!
//! *Network channels*: the actions of [`network`], without those that one peer alone is told.
//!
//! *Original proxies* (namedwebsockets, generation A) send `X-BroadcastWebSocket-Proxy: true` and know no subprotocol:
//! such a link has one direction, from the one that was dialled to the one that dialled. Presence words on it are
//! presence, as they are for the original.

pub mod proof;

use tungstenite::protocol::frame::coding::CloseCode;

use super::membership::pass_on;
use super::named::{self, CONNECT, DISCONNECT};
use super::{Context, Effects, Protocol, network};
use crate::frame::message::{Kind, Message};
use crate::hub::channels::ChannelId;
use crate::hub::peers::REMOTE_BYTES;
use crate::hub::shared::{ChannelKey, InstanceId, News};
use proof::{Ends, Nonce, Outcome, Proving};

/// The subprotocol of links that anybody may open.
pub const OPEN: &str = "jackfield-link";
/// The subprotocol of links whose ends prove that they know the secret.
pub const PROVED: &str = "jackfield-link.hmac-sha256";
/// The field with a server's name.
pub const INSTANCE: &str = "Jackfield-Instance";
/// The field by which original proxies, and we, say that a link is wanted.
pub const ORIGINAL: &str = "X-BroadcastWebSocket-Proxy";

/// Members that one link may tell of: more than a channel of people has, and a bound on what a lie can cost.
const MAX_REMOTE: u32 = 4096;

/// Closes links that are not needed: the other end may have one already (4000 to 4999 are for private use, RFC 6455
/// §7.4.2).
pub const ALREADY_LINKED: CloseCode = CloseCode::Library(4409);

/// What travels on a link.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cargo {
    /// Messages as they are.
    Broadcast,
    /// Actions.
    Network,
}

impl Cargo {
    /// By the path of the channel.
    #[must_use]
    pub fn of(path: &str) -> Self {
        if path.starts_with("/network/") { Self::Network } else { Self::Broadcast }
    }

    /// What paths of such channels begin with.
    #[must_use]
    pub fn prefix(self) -> &'static str {
        match self {
            Self::Broadcast => "/broadcast/",
            Self::Network => "/network/",
        }
    }
}

/// Who is at the other end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Far {
    /// A server like this one, that we dialled.
    Dialled(InstanceId),
    /// A server like this one, that dialled us.
    Dialling(InstanceId),
    /// An original proxy that we dialled: it says what its members say.
    OriginalDialled,
    /// An original proxy that dialled us: it hears what our members say.
    OriginalDialling,
}

impl Far {
    /// Its name, if it has one.
    #[must_use]
    pub fn instance(self) -> Option<InstanceId> {
        match self {
            Self::Dialled(id) | Self::Dialling(id) => Some(id),
            Self::OriginalDialled | Self::OriginalDialling => None,
        }
    }
}

/// One end of a link.
#[derive(Debug)]
pub struct Link {
    key: ChannelKey,
    cargo: Cargo,
    far: Far,
    stage: Stage,
    /// Members that the other end has told of; invariant: `≤ MAX_REMOTE`.
    remote: u32,
}

#[derive(Debug)]
enum Stage {
    /// Before the opening handshake is complete; the nonce is for proofs.
    New(Nonce),
    Proving(Box<Proving>),
    /// On the channel.
    Member(ChannelId),
    /// Not among those that are written to: the channel is looked up for each message.
    Listening,
    /// Closing.
    Over,
}

impl Link {
    /// A link that is about to open. `nonce` is random and used for nothing else.
    #[must_use]
    pub fn new(key: ChannelKey, cargo: Cargo, far: Far, nonce: Nonce) -> Self {
        Self { key, cargo, far, stage: Stage::New(nonce), remote: 0 }
    }

    /// Which channel it is for.
    #[must_use]
    pub fn key(&self) -> ChannelKey {
        self.key
    }

    /// Who is at the other end.
    #[must_use]
    pub fn far(&self) -> Far {
        self.far
    }

    /// The memory of the peers that it has told of, in bytes.
    pub(super) fn weight(&self) -> usize {
        if self.cargo == Cargo::Network { self.remote as usize * REMOTE_BYTES } else { 0 }
    }

    /// The channel that it is on.
    pub(super) fn channel(&self) -> Option<ChannelId> {
        match self.stage {
            Stage::Member(channel) => Some(channel),
            _ => None,
        }
    }

    /// Says everything that a link needs to know of those who are here.
    fn join(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if self.far == Far::OriginalDialled {
            self.stage = Stage::Listening;
            return tell(cx, News::Linked(cx.id));
        }
        let Some(channel) = cx.hub.channels.join_link(self.key, self.far.instance(), cx.id) else {
            self.stage = Stage::Over;
            return fx.close(cx.id, ALREADY_LINKED, "there is a link between the two already");
        };
        self.stage = Stage::Member(channel);
        tell(cx, News::Linked(cx.id));
        match self.cargo {
            Cargo::Network => network::greet_link(cx, channel, fx),
            Cargo::Broadcast => {
                for _ in cx.hub.channels.locals(channel, None).iter() {
                    fx.send(cx.id, Kind::Text, &[CONNECT]);
                }
            }
        }
    }

    fn prove(&mut self, cx: &mut Context<'_>, message: &Message<'_>, fx: &mut impl Effects) {
        let Stage::Proving(proving) = &mut self.stage else { return };
        let secret = cx.hub.channels.sharing.as_ref().and_then(|sharing| sharing.secret()).unwrap_or_default();
        let outcome = match message.kind() {
            Kind::Binary => proving.on_message(secret, message.payload()),
            Kind::Text => Outcome::Failed,
        };
        match outcome {
            Outcome::Say(words) => fx.send(cx.id, Kind::Binary, &[&words]),
            Outcome::Proved(words) => {
                if let Some(words) = words {
                    fx.send(cx.id, Kind::Binary, &[&words]);
                }
                self.join(cx, fx);
            }
            Outcome::Failed => self.refuse(cx, fx),
        }
    }

    /// The other end has not proved anything; whatever was wrong, it is told the same.
    fn refuse(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        self.stage = Stage::Over;
        fx.close(cx.id, CloseCode::Policy, "not proved");
    }

    /// The other end says that members came or went. `false` if it says so too often.
    fn on_presence(&mut self, cx: &mut Context<'_>, channel: ChannelId, is_there: bool, fx: &mut impl Effects) {
        if is_there && self.remote < MAX_REMOTE {
            self.count(cx, channel, 1);
            fx.send_all(cx.hub.channels.watchers(channel, None), Kind::Text, &[CONNECT]);
        } else if !is_there && self.remote > 0 {
            self.count(cx, channel, -1);
            fx.send_all(cx.hub.channels.watchers(channel, None), Kind::Text, &[DISCONNECT]);
        }
    }

    /// Members came or went at the other end.
    fn count(&mut self, cx: &mut Context<'_>, channel: ChannelId, change: i32) {
        let before = self.remote;
        self.remote = self.remote.saturating_add_signed(change);
        cx.hub.channels.change_remote(channel, change);
        if (before == 0) != (self.remote == 0) {
            tell(cx, News::Deserted(cx.id, self.remote == 0));
        }
    }

    /// A message of a broadcast channel.
    fn on_cargo(&mut self, cx: &mut Context<'_>, channel: ChannelId, message: Message<'_>, fx: &mut impl Effects) {
        match named::word(&message) {
            None => pass_on(fx, cx.hub.channels.locals(channel, None), message),
            Some(0) => {
                let is_there = message.payload() == CONNECT;
                self.on_presence(cx, channel, is_there, fx);
            }
            // One backslash less, and it is what a member said: kept from those who would take it for presence.
            Some(backslashes) => {
                let audience = match backslashes {
                    1 => cx.hub.channels.plain(channel, None),
                    _ => cx.hub.channels.locals(channel, None),
                };
                fx.send_all(audience, Kind::Text, &[&message.payload()[1..]]);
            }
        }
    }

    /// An action of a network channel.
    fn on_action(&mut self, cx: &mut Context<'_>, channel: ChannelId, message: &Message<'_>, fx: &mut impl Effects) {
        if message.kind() != Kind::Text {
            return;
        }
        let may_add = self.remote < MAX_REMOTE;
        let change = network::on_link(cx, channel, message.payload(), may_add, fx);
        if change != 0 {
            self.count(cx, channel, change);
        }
    }
}

impl Protocol for Link {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Stage::New(nonce) = self.stage else { return };
        let Some(sharing) = cx.hub.channels.sharing.as_ref() else { return self.refuse(cx, fx) };
        let own = sharing.id();
        let is_proved = sharing.secret().is_some();
        match self.far {
            Far::Dialled(id) if is_proved => {
                let ends = Ends { dialler: own, acceptor: id, key: self.key };
                self.stage = Stage::Proving(Box::new(Proving::dialler(ends, nonce)));
            }
            Far::Dialling(id) if is_proved => {
                let ends = Ends { dialler: id, acceptor: own, key: self.key };
                self.stage = Stage::Proving(Box::new(Proving::acceptor(ends, nonce)));
                fx.send(cx.id, Kind::Binary, &[&nonce]);
            }
            _ => return self.join(cx, fx),
        }
        fx.wake_at(cx.id, cx.now + cx.config.limits.handshake_timeout);
    }

    #[inline]
    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        match self.stage {
            Stage::Member(_) if self.far == Far::OriginalDialling => {}
            Stage::Member(channel) => match self.cargo {
                Cargo::Broadcast => self.on_cargo(cx, channel, message, fx),
                Cargo::Network => self.on_action(cx, channel, &message, fx),
            },
            Stage::Listening => {
                let Some(channel) = cx.hub.channels.by_key(self.key) else { return };
                match named::word(&message) {
                    Some(0) => {
                        let audience = cx.hub.channels.watchers(channel, None);
                        fx.send_all(audience, Kind::Text, &[message.payload()]);
                    }
                    _ => pass_on(fx, cx.hub.channels.locals(channel, None), message),
                }
            }
            Stage::Proving(_) => self.prove(cx, &message, fx),
            Stage::New(_) | Stage::Over => {}
        }
    }

    fn on_timeout(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Stage::Proving(_) = self.stage {
            self.refuse(cx, fx);
        }
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Stage::Member(channel) = self.stage else { return };
        match self.cargo {
            Cargo::Network => network::lose_link(cx, channel, fx),
            Cargo::Broadcast => {
                for _ in 0..self.remote {
                    fx.send_all(cx.hub.channels.watchers(channel, None), Kind::Text, &[DISCONNECT]);
                }
            }
        }
        cx.hub.channels.leave_link(channel, self.far.instance(), cx.id, self.remote);
    }
}

fn tell(cx: &mut Context<'_>, news: News) {
    if let Some(sharing) = &mut cx.hub.channels.sharing {
        sharing.tell(news);
    }
}

#[cfg(test)]
mod tests;
