//! Who is here: lists for clients, and what a control center shows. Layer 2.
//!
//! `SUBSCRIBE_DEVICES()` is answered with all devices; from then on `DEVICES_CHANGED({version, changed, gone})` tells what
//! is new or different, and the keys of those who are gone, at most once for anything that anybody does. A device is
//! `{key, id, generation, engine, transport, state, partner, since, address}`: `key` is a number that no other device
//! ever has, `id` what it claims (or null), `generation` "seed" or "later", `engine` 3 or 4, `transport` "polling",
//! "upgrading" or "websocket", `state` "available", "paired" (then `partner` is an id, else null), "held" (its id is
//! taken, perhaps) or "nameless", `since` milliseconds since 1970, and `address` only there for the operator.

use std::io::Write;
use std::time::SystemTime;

use super::{Event, answer, names};
use crate::frame::message::Kind;
use crate::hub::devices::list::State;
use crate::hub::devices::{Device, DeviceId, Devices, Generation, Revision, Standing, Transport};
use crate::json::escape::push_string;
use crate::protocol::{Context, Effects};

/// Where the operator is told of changes, and where everybody else is.
const CHANNELS: [&str; 2] = ["p2p devices, operator", "p2p devices"];

/// `LIST_CLIENTS()[ids]`.
pub(super) fn on_list(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let devices = &cx.hub.devices;
    cx.buffer.clear();
    cx.buffer.push(b'[');
    for id in devices.listed().filter_map(|(_, device)| device.id()) {
        separate(cx.buffer);
        push_string(cx.buffer, id);
    }
    cx.buffer.push(b']');
    if let Some(device) = devices.get(me) {
        answer(fx, device, event.id, &[cx.buffer]);
    }
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
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    let is_operator = device.claim.is_operator;
    if device.subscription.is_none() {
        let channel = CHANNELS[usize::from(!is_operator)];
        device.subscription = Some(cx.hub.channels.join(channel, device.session, false));
        cx.hub.devices.subscribe();
    }
    cx.buffer.clear();
    push_devices(cx.buffer, &cx.hub.devices, is_operator);
    if let Some(device) = cx.hub.devices.get(me) {
        answer(fx, device, event.id, &[cx.buffer]);
    }
}

/// `UNSUBSCRIBE_DEVICES()[]`.
pub(super) fn on_unsubscribe(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    answer(fx, device, event.id, &[]);
    if let Some(channel) = device.subscription.take() {
        cx.hub.channels.leave(channel, device.session);
        cx.hub.devices.unsubscribe();
    }
}

/// Tells those who want to know what has changed since they were told last.
#[inline]
pub(in crate::protocol::p2p) fn tell(cx: &mut Context<'_>, fx: &mut impl Effects) {
    if cx.hub.devices.has_untold() {
        tell_changes(cx, fx);
    }
}

#[cold]
fn tell_changes(cx: &mut Context<'_>, fx: &mut impl Effects) {
    let untold = cx.hub.devices.take_untold();
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
    push_devices(out, devices, true);
    out.push(b'}');
}

fn push_devices(out: &mut Vec<u8>, devices: &Devices, with_address: bool) {
    out.push(b'[');
    for (id, device) in devices.listed() {
        separate(out);
        push_device(out, devices, id, device, with_address);
    }
    out.push(b']');
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
