//! Who is here: lists for clients, and what a control center shows. Layer 2.
//!
//! `SUBSCRIBE_DEVICES()` is answered with all devices; from then on `DEVICES_CHANGED({version, changed, gone})` tells what
//! is new or different, and the keys of those who are gone (or were never told of), at most ten times a second. A device is
//! `{key, id, generation, engine, transport, state, partner, since, address}`: `key` is a number that no other device
//! ever has, `id` what it claims (or null), `generation` "seed" or "later", `engine` 3 or 4, `transport` "polling",
//! "upgrading" or "websocket", `state` "available", "paired" (then `partner` is an id, else null), "held" (its id is
//! taken, perhaps) or "nameless", `since` milliseconds since 1970, and `address` only there for the operator.

use std::io::Write;
use std::time::{Duration, SystemTime};

use super::{Event, answer, error, names};
use crate::frame::message::Kind;
use crate::hub::devices::list::{Due, State};
use crate::hub::devices::{Device, DeviceId, Devices, Generation, Revision, Standing, Transport};
use crate::json::escape::push_string;
use crate::protocol::{Context, Effects};

/// What one client gets of lists in [`LISTS_TIME`], and the last one whole.
const LISTS_BYTES: usize = 256 * 1024;

const LISTS_TIME: Duration = Duration::from_secs(1);

/// Where the operator is told of changes, and where everybody else is.
const CHANNELS: [&str; 2] = ["p2p devices, operator", "p2p devices"];

/// `LIST_CLIENTS()[ids]`.
pub(super) fn on_list(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    cx.buffer.clear();
    cx.buffer.push(b'[');
    if may_list(me, cx) {
        for id in cx.hub.devices.listed().filter_map(|(_, device)| device.id()) {
            separate(cx.buffer);
            push_string(cx.buffer, id);
        }
    }
    answer_list(me, cx, event, fx);
}

/// Whether `me` may have a list: small ones as often as it likes, many long ones would be a way to fill our memory.
fn may_list(me: DeviceId, cx: &mut Context<'_>) -> bool {
    let Some(device) = cx.hub.devices.get_mut(me) else { return false };
    let (since, bytes) = device.listed.filter(|(since, _)| *since + LISTS_TIME > cx.now).unwrap_or((cx.now, 0));
    device.listed = Some((since, bytes));
    bytes < LISTS_BYTES
}

/// Closes the list in the buffer and answers with it, or says why there is none: then it has not been begun.
fn answer_list(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    cx.buffer.push(b']');
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    let Some((_, bytes)) = &mut device.listed else { return };
    if *bytes >= LISTS_BYTES {
        return error(fx, device, "Error: too many long lists in one second");
    }
    *bytes += cx.buffer.len();
    answer(fx, device, event.id, &[cx.buffer]);
}

/// `GET_CLIENT_CONNECTED_STATUS(id)[true or null]`.
pub(super) fn on_status(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    let is_here = event.first().and_then(names::name).is_some_and(|name| devices.by_name(&name).is_some());
    if let Some(device) = devices.get(me) {
        answer(fx, device, event.id, &[if is_here { b"true" } else { b"null" }]);
    }
}

/// `SUBSCRIBE_DEVICES()[devices]`.
pub(super) fn on_subscribe(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let may_list = may_list(me, cx);
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    let is_operator = device.claim.is_operator;
    if device.subscription.is_none() && may_list {
        let channel = CHANNELS[usize::from(!is_operator)];
        device.subscription = Some(cx.hub.channels.join(channel, device.session, false));
        cx.hub.devices.subscribe(me);
    }
    cx.buffer.clear();
    cx.buffer.push(b'[');
    if may_list {
        push_devices(cx.buffer, &cx.hub.devices, is_operator);
    }
    answer_list(me, cx, event, fx);
}

/// `UNSUBSCRIBE_DEVICES()[]`.
pub(super) fn on_unsubscribe(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    answer(fx, device, event.id, &[]);
    if let Some(channel) = device.subscription.take() {
        cx.hub.channels.leave(channel, device.session);
        cx.hub.devices.unsubscribe(me);
    }
}

/// Tells those who want to know what has changed since they were told last, at once or soon.
#[inline]
pub(in crate::protocol::p2p) fn tell(cx: &mut Context<'_>, fx: &mut impl Effects) {
    if cx.hub.devices.has_untold() {
        match cx.hub.devices.due(cx.now) {
            Due::Settled => {}
            Due::Now => tell_changes(cx, fx),
            // Being called, it asks for its own deadlines anew.
            Due::Later(subscriber, at) => fx.wake_at(subscriber, at),
        }
    }
}

#[cold]
fn tell_changes(cx: &mut Context<'_>, fx: &mut impl Effects) {
    let untold = cx.hub.devices.take_untold(cx.now);
    let devices = &cx.hub.devices;
    for (name, with_address) in CHANNELS.into_iter().zip([true, false]) {
        let Some(channel) = cx.hub.channels.find(name) else { continue };
        cx.buffer.clear();
        let _ = write!(cx.buffer, "42[\"DEVICES_CHANGED\",{{\"version\":{},\"changed\":[", devices.version());
        let here = |id: &DeviceId| devices.get(*id).filter(|device| device.standing != Standing::Outside);
        for id in &untold {
            if let Some(device) = here(id) {
                separate(cx.buffer);
                push_device(cx.buffer, devices, *id, device, with_address);
            }
        }
        cx.buffer.extend_from_slice(b"],\"gone\":[");
        for id in untold.iter().filter(|id| here(id).is_none()) {
            separate(cx.buffer);
            let _ = write!(cx.buffer, "{}", id.serial());
        }
        cx.buffer.extend_from_slice(b"]}]");
        fx.send_all(cx.hub.channels.members(channel, None), Kind::Text, &[cx.buffer]);
    }
}

/// Appends all devices as the JSON object `{version, devices}`, for whoever runs the server.
pub fn push_list(out: &mut Vec<u8>, devices: &Devices) {
    let _ = write!(out, "{{\"version\":{},\"devices\":", devices.version());
    out.push(b'[');
    push_devices(out, devices, true);
    out.extend_from_slice(b"]}");
}

fn push_devices(out: &mut Vec<u8>, devices: &Devices, with_address: bool) {
    for (id, device) in devices.listed() {
        separate(out);
        push_device(out, devices, id, device, with_address);
    }
}

fn push_device(out: &mut Vec<u8>, devices: &Devices, id: DeviceId, device: &Device, with_address: bool) {
    let _ = write!(out, "{{\"key\":{},\"id\":", id.serial());
    push_text(out, device.claim.id.as_deref());
    let generation = match device.claim.generation {
        Generation::Seed => "seed",
        Generation::Later => "later",
    };
    let engine = match device.revision {
        Revision::Three => 3,
        Revision::Four => 4,
    };
    let transport = match device.transport {
        Transport::Polling => "polling",
        Transport::Upgrading => "upgrading",
        Transport::WebSocket => "websocket",
    };
    let (state, partner) = match devices.state(device) {
        State::Available => ("available", None),
        State::Held => ("held", None),
        State::Paired(partner) => ("paired", Some(partner)),
        State::Nameless => ("nameless", None),
    };
    let _ = write!(
        out,
        ",\"generation\":\"{generation}\",\"engine\":{engine},\"transport\":\"{transport}\",\"state\":\"{state}\",\"partner\":"
    );
    push_text(out, partner);
    let since = device.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let _ = write!(out, ",\"since\":{}", since.as_millis());
    if let Some(address) = device.address.filter(|_| with_address) {
        let _ = write!(out, ",\"address\":\"{address}\"");
    }
    out.push(b'}');
}

fn push_text(out: &mut Vec<u8>, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.extend_from_slice(b"null"),
    }
}

/// A comma, unless a list has just begun.
fn separate(out: &mut Vec<u8>) {
    if out.last() != Some(&b'[') {
        out.push(b',');
    }
}
