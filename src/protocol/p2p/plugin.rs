//! The events of socket.io-p2p-plugin, in all its generations side by side. Layer 2.
//!
//! What a client *says* tells its generation, but for the seed's, which says so in its query ([`Generation`]); what it
//! *gets* depends on what it is. Facts: `p2pServerPlugin.js` and its successors, seed (1.0.0) to 2.0.0. `[x]` is an ack
//! with `x`; A is who speaks, B whom it names.
//!
//! | A says | B gets | A gets |
//! |---|---|---|
//! | `P2P_REGISTER(B)` | `P2P_REGISTER(A)[bool]`, or answers with `P2P_REGISTER_SUCCESS()`, `P2P_REGISTER_FAILED()` | `[bool]` |
//! | `P2P_UNREGISTER()` | `P2P_UNREGISTER()[]` and, unless it is known to know that, `P2P_DISCONNECT()` | `P2P_UNREGISTER()[]`, `[]` |
//! | `P2P_EMIT({targetDeviceId or targetClientId: B, event, args})`, or `_ACKNOWLEDGE` | `event(...args)[…]`; the seed `event(args)` | `[…]`; `["Server acknowledged"]` for a seed B |
//! | `P2P_EMIT(B, event, args, null)` | the same | the same |
//! | `P2P_REGISTER_STREAM(B)` | `P2P_REGISTER_STREAM()[bool]` | `[bool]` |
//! | `ADD_TARGET(B)`, `MULTI_API_ADD_TARGET(B)` | `ADD_TARGET(A)[]`, or the other, as it says itself | `[error?]` |
//! | `CREATE_STREAM({targetClientId: B, channel?, …})`, `MULTI_API_CREATE_STREAM` | `CREATE_STREAM({…, sourceClientId: A})[]`, or `CREATE_STREAM-CHANNEL-channel` | `[error?]` |
//! | `JOIN_ROOM(room)`, `LEAVE_ROOM(room)` | | `[null]` or `[error]` |
//! | `EMIT_ROOM(room, event, ...args)` | the others in it `event(...args)` | `[null]` or `[error]` |
//! | `LIST_CLIENTS()`, `GET_CLIENT_CONNECTED_STATUS(B)` | | `[[id, …]]`, `[true or null]` |
//! | `CHECK_API_NAME(name)` | | `[bool]` |
//! | `CREATE_API(name)`, `DESTROY_API(name?)` | | `[null]` or `[error]` |
//! | `USE_API(name, ...args)` | who created it `name(...args)[…]` | `[…]` |
//! | `SUBSCRIBE_DEVICES()`, `UNSUBSCRIBE_DEVICES()` | | `[[device, …]]`, `[]`, see [`directory`] |
//!
//! Who has a partner is told `P2P_DISCONNECT()` when that leaves, who has a target `TARGET_DISCONNECT(id)` (or the
//! `MULTI_API_` one), each once. What goes wrong is said in `SERVER_ERROR(text)`, or in the ack where the generation has
//! a place for it there. An answer that does not come in time is such a wrong (`--call-timeout`), and so is a B that
//! leaves before it answers. Whoever has no id can only emit in the oldest form, ask for lists and subscribe. Topics, which
//! 1.5.0 had beside rooms, do not exist.

mod arrival;
mod calls;
mod directory;
mod emit;
mod names;
mod register;
mod rooms;
mod services;
mod targets;

use std::borrow::Cow;
use std::time::Instant;

pub use self::directory::push_list;
use super::Fault;
use super::wire::{self, Pace};
use crate::hub::devices::{Device, DeviceId};
use crate::json::array::{self, Elements};
use crate::json::escape::push_string;
use crate::protocol::{Context, Effects};

#[cfg(doc)]
use crate::hub::devices::Generation;

/// An event that a client emitted in the namespace `/`, complete with its attachments.
#[derive(Debug)]
pub(super) struct Event<'m> {
    /// Its name.
    pub(super) name: Cow<'m, str>,
    /// Its arguments as they were written, with the commas between them and nothing around them.
    pub(super) arguments: &'m [u8],
    /// The ack that the client waits for.
    pub(super) id: Option<u64>,
    /// What the placeholders in the arguments stand for. Every placeholder names one of them.
    pub(super) attachments: &'m [&'m [u8]],
}

impl<'m> Event<'m> {
    /// Its arguments, one by one.
    fn arguments(&self) -> Elements<'m> {
        array::elements(self.arguments)
    }

    /// Its first argument.
    fn first(&self) -> Option<&'m [u8]> {
        self.arguments().next()
    }
}

/// A client's answer to an event that asked for one.
#[derive(Debug)]
pub(super) struct Ack<'m> {
    /// The number that it was asked with.
    pub(super) id: u64,
    /// As in [`Event`].
    pub(super) arguments: &'m [u8],
    /// As in [`Event`].
    pub(super) attachments: &'m [&'m [u8]],
}

/// A client asks for the namespace `/`. It may have to wait for its id.
pub(super) fn on_connect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    arrival::on_connect(me, cx, fx);
    directory::tell(cx, fx);
}

/// A client emits something. Ignored unless it is in the namespace: it was told that it no longer is, or not yet.
pub(super) fn on_event(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.connected(me) else { return };
    let is_nameless = device.id().is_none();
    match &*event.name {
        "P2P_EMIT" | "P2P_EMIT_ACKNOWLEDGE" if !is_nameless || event.arguments.first() == Some(&b'{') => {
            emit::on_emit(me, cx, event, fx);
        }
        "LIST_CLIENTS" => directory::on_list(me, cx, event, fx),
        "SUBSCRIBE_DEVICES" => directory::on_subscribe(me, cx, event, fx),
        "UNSUBSCRIBE_DEVICES" => directory::on_unsubscribe(me, cx, event, fx),
        _ if is_nameless => error(fx, device, "Error: this client gave no clientId or deviceId, or has lost it"),
        "P2P_REGISTER" => register::on_register(me, cx, event, fx),
        "P2P_REGISTER_SUCCESS" => register::on_answer(me, cx, true, fx),
        "P2P_REGISTER_FAILED" => register::on_answer(me, cx, false, fx),
        "P2P_UNREGISTER" => register::on_unregister(me, cx, event, fx),
        "P2P_REGISTER_STREAM" => register::on_register_stream(me, cx, event, fx),
        "ADD_TARGET" => targets::on_add_target(me, cx, event, false, fx),
        "MULTI_API_ADD_TARGET" => targets::on_add_target(me, cx, event, true, fx),
        "CREATE_STREAM" => targets::on_create_stream(me, cx, event, false, fx),
        "MULTI_API_CREATE_STREAM" => targets::on_create_stream(me, cx, event, true, fx),
        "JOIN_ROOM" => rooms::on_join(me, cx, event, fx),
        "LEAVE_ROOM" => rooms::on_leave(me, cx, event, fx),
        "EMIT_ROOM" => rooms::on_emit(me, cx, event, fx),
        "GET_CLIENT_CONNECTED_STATUS" => directory::on_status(me, cx, event, fx),
        "CHECK_API_NAME" => services::on_check(me, cx, event, fx),
        "CREATE_API" => services::on_create(me, cx, event, fx),
        "DESTROY_API" => services::on_destroy(me, cx, event, fx),
        "USE_API" => services::on_use(me, cx, event, fx),
        unknown => error(fx, device, &format!("Error: this server knows no event '{}'", names::shown(unknown))),
    }
    directory::tell(cx, fx);
}

/// A client answers an event.
pub(super) fn on_ack(me: DeviceId, cx: &mut Context<'_>, ack: &Ack<'_>, fx: &mut impl Effects) {
    if cx.hub.devices.connected(me).is_none() {
        return;
    }
    if !register::on_ack(me, cx, ack, fx) {
        calls::on_ack(me, cx, ack, fx);
    }
    directory::tell(cx, fx);
}

/// A client gave a sign of life, which matters if it is being probed.
#[inline]
pub(super) fn on_alive(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    if cx.hub.devices.get(me).is_some_and(|device| device.is_probed) {
        arrival::on_alive(me, cx, fx);
        directory::tell(cx, fx);
    }
}

/// When [`on_timeout`] is to be called, if at all. What others do never moves it forward.
#[inline]
pub(super) fn deadline(me: DeviceId, cx: &Context<'_>) -> Option<Instant> {
    let devices = &cx.hub.devices;
    let deadlines = [arrival::deadline(me, cx), devices.expiry(me), devices.tells_at(me)];
    deadlines.into_iter().flatten().min()
}

/// [`deadline`] has passed, perhaps. `heard` is when the client was heard last, or excused for being silent.
///
/// # Errors
/// Why its connection is to end.
pub(super) fn on_timeout(
    me: DeviceId,
    heard: Option<Instant>,
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) -> Result<(), Fault> {
    let verdict = arrival::on_timeout(me, heard, cx, fx);
    calls::on_timeout(me, cx, fx);
    directory::tell(cx, fx);
    verdict
}

/// A client has left the namespace, or has gone altogether. Called once for each [`on_connect`].
pub(super) fn on_disconnect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    arrival::on_disconnect(me, cx, fx);
    directory::tell(cx, fx);
}

/// Tells a client what is wrong with what it did.
fn error(fx: &mut impl Effects, to: &Device, text: &str) {
    wire::event(fx, to, Pace::Kept, None, &[b"\"SERVER_ERROR\",", &quoted(text)], &[]);
}

/// Tells a client what somebody else brought about, who need not wait for it.
fn notice(fx: &mut impl Effects, to: &Device, text: &str) {
    wire::event(fx, to, Pace::Free, None, &[b"\"SERVER_ERROR\",", &quoted(text)], &[]);
}

/// Answers an event of `to`, if it waits for that: `parts` are what stands between the brackets.
fn answer(fx: &mut impl Effects, to: &Device, id: Option<u64>, parts: &[&[u8]]) {
    if let Some(id) = id {
        wire::ack(fx, to, Pace::Kept, id, parts, &[]);
    }
}

/// Answers an event of `to` with what is wrong; one who wants no answer is told anyway.
fn answer_error(fx: &mut impl Effects, to: &Device, id: Option<u64>, text: &str) {
    if id.is_none() {
        return error(fx, to, text);
    }
    answer(fx, to, id, &[&quoted(text)]);
}

/// A text as JSON.
fn quoted(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len() + 2);
    push_string(&mut out, text);
    out
}

#[cfg(test)]
mod tests;
