//! P2P_EMIT: from one device to another. Layer 2.
//!
//! This is the fast path of Socket.IO: the arguments are passed on as the bytes that were sent.

use std::borrow::Cow;

use super::super::wire::{self, Pace};
use super::{Event, answer, calls, error, names};
use crate::hub::devices::DeviceId;
use crate::hub::devices::calls::Purpose;
use crate::json::{array, fields};
use crate::protocol::{Context, Effects};

/// What one device says to another.
pub(super) struct Emitted<'m> {
    /// The event's name as it was written; not reserved.
    pub(super) name: &'m [u8],
    /// Its arguments, without brackets.
    pub(super) arguments: &'m [u8],
    /// The ack that the sender waits for.
    pub(super) id: Option<u64>,
    /// What the placeholders stand for.
    pub(super) attachments: &'m [&'m [u8]],
}

/// `P2P_EMIT({targetDeviceId or targetClientId, event, args})`, the same with `_ACKNOWLEDGE`, and
/// `P2P_EMIT(targetId, event, args, null)`.
pub(super) fn on_emit(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let is_positional = event.arguments.first() != Some(&b'{');
    let [target, name, list] = if is_positional { positional(event) } else { members(event) };
    let arguments = array::list(list.filter(|list| *list != b"null").unwrap_or(b"[]"));
    let fault = match (target.and_then(names::bytes), name.map(names::bytes), arguments) {
        (None, ..) => Cow::from("Error: targetClientId is not set"),
        (_, None, _) => "Error: event must be specified".into(),
        (_, Some(None), _) => "Error: event must be a string".into(),
        (_, Some(Some(name)), _) if names::is_reserved(&name) => reserved(&String::from_utf8_lossy(&name)).into(),
        (.., None) => "Error: args must be an array".into(),
        (Some(target), Some(Some(_)), Some(arguments)) => {
            let name = quoted_name(name.unwrap_or_default());
            let emitted = Emitted { name: &name, arguments, id: event.id, attachments: event.attachments };
            return match cx.hub.devices.target(me, &target) {
                Some(callee) => deliver(me, callee, &emitted, cx, fx),
                None => nobody(me, cx, &String::from_utf8_lossy(&target), is_positional, event.id, fx),
            };
        }
    };
    if let Some(device) = cx.hub.devices.get(me) {
        error(fx, device, &fault);
    }
}

/// A name as it was written, as a string: a number may stand for one.
#[inline]
pub(super) fn quoted_name(span: &[u8]) -> Cow<'_, [u8]> {
    if fields::is_string(span) { span.into() } else { [b"\"", span, b"\""].concat().into() }
}

/// The target, the event and its arguments of the form with positions.
#[inline]
fn positional<'m>(event: &Event<'m>) -> [Option<&'m [u8]>; 3] {
    let mut arguments = event.arguments();
    [arguments.next(), arguments.next(), arguments.next()]
}

/// The same of the form with members.
fn members<'m>(event: &Event<'m>) -> [Option<&'m [u8]>; 3] {
    const NAMES: [&str; 4] = ["targetDeviceId", "targetClientId", "event", "args"];
    // Nearly always the object is the only argument, and one pass is enough.
    let found = fields::find(event.arguments, NAMES)
        .or_else(|_| fields::find(event.first().unwrap_or_default(), NAMES))
        .unwrap_or_default();
    let [device, client, name, list] = found;
    [device.filter(|device| *device != b"null").or(client), name, list]
}

/// Passes an event on to a device, in the form of that one's generation.
pub(super) fn deliver(
    me: DeviceId,
    callee: DeviceId,
    emitted: &Emitted<'_>,
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) {
    let Some(receiver) = cx.hub.devices.connected(callee) else { return };
    if receiver.is_seed() {
        let parts = [emitted.name, b",[", emitted.arguments, b"]"];
        wire::event(fx, receiver, Pace::Kept, None, &parts, emitted.attachments);
        if let Some(device) = cx.hub.devices.get(me) {
            answer(fx, device, emitted.id, &[ACKNOWLEDGED]);
        }
        return;
    }
    let mut number = None;
    if emitted.id.is_some() {
        number = calls::open(me, callee, Purpose::Emit, emitted.id, cx, fx);
        if number.is_none() {
            return;
        }
    }
    let Some(receiver) = cx.hub.devices.connected(callee) else { return };
    let parts = [emitted.name, b",", emitted.arguments];
    let parts = if emitted.arguments.is_empty() { &parts[..1] } else { &parts };
    wire::event(fx, receiver, Pace::Kept, number, parts, emitted.attachments);
}

/// Whom `me` means is not here. The seed's clients get their ack all the same.
fn nobody(me: DeviceId, cx: &Context<'_>, target: &str, is_positional: bool, ack: Option<u64>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get(me) else { return };
    let target = names::shown(target);
    let text = if is_positional {
        format!("Error: Core: Client {target} is not connected to server")
    } else {
        format!("Error: Could not find target client '{target}' socket")
    };
    error(fx, device, &text);
    if device.is_seed() {
        answer(fx, device, ack, &[ACKNOWLEDGED]);
    }
}

/// What is wrong with an event of this name.
pub(super) fn reserved(name: &str) -> String {
    format!("Error: the event name '{}' is reserved", names::shown(name))
}

/// What the seed's server answers in place of a client.
const ACKNOWLEDGED: &[u8] = b"\"Server acknowledged\"";
