//! Calls between devices, from the question to the answer, or to the end of the caller's patience. Layer 2.

use super::super::wire::{self, Pace};
use super::{Ack, answer, answer_error, error};
use crate::hub::devices::calls::{Call, Purpose};
use crate::hub::devices::{Device, DeviceId, NoRoom};
use crate::protocol::{Context, Effects};

/// The number of an ack that nobody waits for, where a client calls it without looking whether it is there.
pub(super) const UNHEARD: u64 = 0;

/// Notes that `me` asks `callee` something, and returns the number to ask it with. `None` if it may not, which it is
/// told.
pub(super) fn open(
    me: DeviceId,
    callee: DeviceId,
    purpose: Purpose,
    ack: Option<u64>,
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) -> Option<u64> {
    let limits = &cx.config.limits;
    let call = Call { caller: me, callee, purpose, ack, until: cx.now + limits.call_timeout };
    let text = match cx.hub.devices.call(call, limits.max_calls) {
        Ok(number) => return Some(number),
        Err(NoRoom::Full) => "Error: too many calls wait for an answer (--max-calls)",
        Err(NoRoom::NoMemory) => "Error: memory is short: too many calls wait for an answer (--max-memory)",
    };
    if let Some(device) = cx.hub.devices.connected(me) {
        fail(fx, device, purpose, ack, text);
    }
    None
}

/// An answer that may be to a call, and goes to whoever asked.
pub(super) fn on_ack(me: DeviceId, cx: &mut Context<'_>, ack: &Ack<'_>, fx: &mut impl Effects) {
    let Some(call) = cx.hub.devices.answer(me, ack.id) else { return };
    if let (Some(caller), Some(id)) = (cx.hub.devices.connected(call.caller), call.ack) {
        wire::ack(fx, caller, Pace::Kept, id, &[ack.arguments], ack.attachments);
    }
}

/// Calls of `me` may have expired.
pub(super) fn on_timeout(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    while let Some(call) = cx.hub.devices.expired(me, cx.now) {
        give_up(&call, "did not answer in time (--call-timeout)", cx, fx);
    }
}

/// Neither what `me` asked nor what it was asked goes on.
pub(super) fn end_all(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    while cx.hub.devices.withdraw(me).is_some() {}
    while let Some(call) = cx.hub.devices.unanswered(me) {
        give_up(&call, "left before it answered", cx, fx);
    }
}

/// Tells a caller that nobody answers, and why not.
fn give_up(call: &Call, why: &str, cx: &Context<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    let Some(caller) = devices.connected(call.caller) else { return };
    let callee = devices.get(call.callee).and_then(|callee| callee.claim.id.as_deref()).unwrap_or_default();
    fail(fx, caller, call.purpose, call.ack, &format!("Error: Client {callee} {why}"));
}

/// Tells a caller that its call came to nothing, in its purpose's manner.
pub(super) fn fail(fx: &mut impl Effects, caller: &Device, purpose: Purpose, ack: Option<u64>, text: &str) {
    match purpose {
        // The answer is the two clients' affair: what we put in it could be taken for one.
        Purpose::Emit => error(fx, caller, text),
        Purpose::Register | Purpose::RegisterStream => {
            error(fx, caller, text);
            answer(fx, caller, ack, &[b"false"]);
        }
        Purpose::Target | Purpose::Stream => answer_error(fx, caller, ack, text),
    }
}
