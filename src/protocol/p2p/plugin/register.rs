//! Partners: P2P_REGISTER, its answers, and P2P_UNREGISTER. Layer 2.
//!
//! Clients keep their partner themselves, and only the one who is asked knows whether it is free: it is always asked, and
//! what it says holds. What we know must agree with that in the end. A *yes* means that it had no partner, and now has
//! the asker; so whoever we thought was its partner is told that it is not, and where the asker cannot have it any
//! more, it is told to forget the asker. An asker that finds itself taken by somebody else meanwhile stays with that one.
//!
//! The oldest generations answer with an event that names nobody: it is to the oldest question. So questions stay in line
//! until they are answered, even if nobody waits for that any more.

use super::super::wire::{self, Pace};
use super::calls::{self, UNHEARD, fail};
use super::{Ack, Event, answer, error, names, quoted};
use crate::hub::devices::calls::Purpose;
use crate::hub::devices::relations::Question;
use crate::hub::devices::{Device, DeviceId};
use crate::json::{array, fields};
use crate::protocol::{Context, Effects};

/// `P2P_REGISTER(targetId)[bool]`.
pub(super) fn on_register(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(target) = asked(me, cx, event, Purpose::Register, fx) else { return };
    let Some(device) = cx.hub.devices.get(me) else { return };
    if target == me {
        let text = "Error: Target client ID can not be the same as source client ID";
        return fail(fx, device, Purpose::Register, event.id, text);
    }
    if cx.hub.devices.get(target).is_none_or(|target| target.questions() >= cx.config.limits.max_calls) {
        let text = "Error: too many registrations wait for the target's answer (--max-calls)";
        return fail(fx, device, Purpose::Register, event.id, text);
    }
    let Some(number) = calls::open(me, target, Purpose::Register, event.id, cx, fx) else { return };
    let devices = &mut cx.hub.devices;
    let question = Question {
        number,
        source: me,
        source_pairings: devices.pairings(me),
        target_pairings: devices.pairings(target),
    };
    let name = quoted(devices.get(me).and_then(Device::id).unwrap_or_default());
    let Some(target) = devices.get_mut(target) else { return };
    target.ask(question);
    wire::event(fx, target, Pace::Kept, Some(number), &[b"\"P2P_REGISTER\",", &name], &[]);
}

/// `P2P_REGISTER_SUCCESS()` and `P2P_REGISTER_FAILED()`.
pub(super) fn on_answer(me: DeviceId, cx: &mut Context<'_>, is_yes: bool, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    if device.manners.acks_registrations {
        return;
    }
    if let Some(question) = device.answered(None) {
        settle(me, &question, is_yes, cx, fx);
    }
}

/// An ack, if it is to P2P_REGISTER.
pub(super) fn on_ack(me: DeviceId, cx: &mut Context<'_>, ack: &Ack<'_>, fx: &mut impl Effects) -> bool {
    let Some(device) = cx.hub.devices.get_mut(me) else { return false };
    let Some(question) = device.answered(Some(ack.id)) else { return false };
    device.manners.acks_registrations = true;
    let is_yes = array::elements(ack.arguments).next().is_some_and(|yes| !fields::is_falsy(yes));
    settle(me, &question, is_yes, cx, fx);
    true
}

/// `me` has answered.
fn settle(me: DeviceId, question: &Question, is_yes: bool, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let source = question.source;
    let Some(call) = devices.answer(me, question.number) else {
        if is_yes {
            forget(me, question, cx, fx);
        }
        return;
    };
    if devices.partner(me) == Some(source) {
        // They have long been each other's: a no says just that.
        devices.pair_again(source, me);
        return accept(source, call.ack, cx, fx);
    }
    let has_id = |id| devices.get(id).is_some_and(|device| device.id().is_some());
    // The asker may have been taken meanwhile. And whatever the one asked was told since, it was told after the question:
    // if it answered at once, as clients do, it has forgotten the asker again, or found one of its own.
    let source_is_free = devices.partner(source).is_none() || devices.pairings(source) == question.source_pairings;
    let target_is_free = devices.pairings(me) == question.target_pairings;
    if !(is_yes && source_is_free && target_is_free && has_id(source) && has_id(me)) {
        if is_yes {
            forget(me, question, cx, fx);
        }
        return refuse(source, call.ack, me, cx, fx);
    }
    for id in [source, me] {
        if let Some(left) = cx.hub.devices.unpair(id) {
            tell_alone(left, cx, fx);
        }
    }
    cx.hub.devices.pair(source, me);
    accept(source, call.ack, cx, fx);
}

fn accept(source: DeviceId, ack: Option<u64>, cx: &Context<'_>, fx: &mut impl Effects) {
    if let Some(source) = cx.hub.devices.connected(source) {
        answer(fx, source, ack, &[b"true"]);
    }
}

fn refuse(source: DeviceId, ack: Option<u64>, target: DeviceId, cx: &Context<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    let Some(source) = devices.connected(source) else { return };
    let target = devices.get(target).and_then(|target| target.claim.id.as_deref()).unwrap_or_default();
    let text = format!("Error: Target client {target} refuses the connection");
    fail(fx, source, Purpose::Register, ack, &text);
}

/// `me` said yes to somebody who cannot have it: unless it has got another partner since that it asked for, it must forget
/// that one.
fn forget(me: DeviceId, question: &Question, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    if devices.has_asked(me) && devices.pairings(me) != question.target_pairings {
        return;
    }
    if let Some(left) = devices.unpair(me) {
        tell_alone(left, cx, fx);
    }
    tell_alone(me, cx, fx);
}

/// Tells a device that it has no partner any more.
pub(super) fn tell_alone(id: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    cx.hub.devices.note_pairing(id);
    if let Some(device) = cx.hub.devices.connected(id) {
        wire::event(fx, device, Pace::Free, None, &[b"\"P2P_DISCONNECT\""], &[]);
    }
}

/// `P2P_UNREGISTER()[]`.
pub(super) fn on_unregister(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    if let Some(device) = devices.get_mut(me) {
        device.manners.unregisters = true;
    }
    if let Some(partner) = devices.unpair(me) {
        let mut knows = false;
        // Both are told, as their streams end by it. Clients call the ack without looking whether it is there.
        for id in [me, partner] {
            let Some(device) = devices.connected(id) else { continue };
            knows = device.manners.unregisters || device.manners.acks_registrations;
            if knows || !device.is_seed() {
                wire::event(fx, device, Pace::Free, Some(UNHEARD), &[b"\"P2P_UNREGISTER\""], &[]);
            }
        }
        if !knows {
            tell_alone(partner, cx, fx);
        }
    }
    if let Some(device) = cx.hub.devices.get(me) {
        answer(fx, device, event.id, &[]);
    }
}

/// `P2P_REGISTER_STREAM(targetId)[bool]`.
pub(super) fn on_register_stream(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(target) = asked(me, cx, event, Purpose::RegisterStream, fx) else { return };
    if cx.hub.devices.get(target).is_some_and(Device::is_seed) {
        if let Some(device) = cx.hub.devices.get(me) {
            fail(fx, device, Purpose::RegisterStream, event.id, "Error: Target client knows no streams");
        }
        return;
    }
    let Some(number) = calls::open(me, target, Purpose::RegisterStream, event.id, cx, fx) else { return };
    if let Some(target) = cx.hub.devices.connected(target) {
        wire::event(fx, target, Pace::Kept, Some(number), &[b"\"P2P_REGISTER_STREAM\""], &[]);
    }
}

/// Whom a registration is for. `None` if that is nobody, which `me` is told.
fn asked(
    me: DeviceId,
    cx: &Context<'_>,
    event: &Event<'_>,
    purpose: Purpose,
    fx: &mut impl Effects,
) -> Option<DeviceId> {
    let devices = &cx.hub.devices;
    let device = devices.get(me)?;
    let Some(name) = event.first().and_then(names::name) else {
        fail(fx, device, purpose, event.id, "Error: targetClientId is not set");
        return None;
    };
    let target = devices.by_name(&name);
    if target.is_none() {
        error(fx, device, &format!("Error: Could not find target client '{}' socket", names::shown(&name)));
        fail(fx, device, purpose, event.id, "Error: Target client is not registered to the server");
    }
    target
}
