//! Targets and streams: two devices of which each is told when the other leaves. Layer 2.
//!
//! What 1.5.0 called MULTI_API_ADD_TARGET, later versions call ADD_TARGET, and so on. A device is spoken to in the words
//! that it uses itself, or, as long as it has used none, in those of whoever speaks to it.

use super::super::wire::{self, Pace};
use super::calls::{self, UNHEARD, fail};
use super::{Event, answer, names, quoted};

use crate::hub::devices::calls::Purpose;
use crate::hub::devices::{Device, DeviceId, NoRoom};
use crate::json::fields;
use crate::protocol::{Context, Effects};

/// `ADD_TARGET(targetId)[error?]`, `MULTI_API_ADD_TARGET(targetId)[error?]`.
pub(super) fn on_add_target(
    me: DeviceId,
    cx: &mut Context<'_>,
    event: &Event<'_>,
    is_multi: bool,
    fx: &mut impl Effects,
) {
    // The first to have the event said `{sourceClientId, targetClientId}`.
    let target = event.first().map(|target| match fields::find(target, ["targetClientId"]) {
        Ok([target]) => target.unwrap_or_default(),
        Err(_) => target,
    });
    let Some((target, is_multi)) = linked(me, cx, event, Purpose::Target, target, is_multi, fx) else { return };
    let devices = &cx.hub.devices;
    if devices.get(target).is_some_and(Device::is_seed) {
        // It knows nothing of targets, but is as good a one as any.
        return devices.get(me).into_iter().for_each(|device| answer(fx, device, event.id, &[]));
    }
    let name = quoted(devices.get(me).and_then(Device::id).unwrap_or_default());
    let event_name: &[u8] = if is_multi { b"\"MULTI_API_ADD_TARGET\"," } else { b"\"ADD_TARGET\"," };
    ask(me, target, Purpose::Target, event, &[event_name, &name], cx, fx);
}

/// `CREATE_STREAM({sourceStreamId, targetStreamId, targetClientId, channel?, argArray?})[error?]`, and the same of 1.5.0.
pub(super) fn on_create_stream(
    me: DeviceId,
    cx: &mut Context<'_>,
    event: &Event<'_>,
    is_multi: bool,
    fx: &mut impl Effects,
) {
    let Some(device) = cx.hub.devices.get(me) else { return };
    let stream = event.first().unwrap_or_default();
    let found = fields::find(stream, ["targetDeviceId", "targetClientId", "channel"]);
    let Ok([target_device, target_client, channel]) = found else {
        return fail(fx, device, Purpose::Stream, event.id, "Stream: what is to be created is not an object");
    };
    let channel = channel.filter(|channel| !matches!(*channel, b"null" | b"\"\"" | b"false" | b"0"));
    if channel.is_some_and(|channel| names::kept_name(Some(channel), cx.config.limits.max_name).is_err()) {
        let text = "Stream: the channel is not a string of a few bytes (--max-name)";
        return fail(fx, device, Purpose::Stream, event.id, text);
    }
    let target = target_device.filter(|device| *device != b"null").or(target_client);
    let Some((target, is_multi)) = linked(me, cx, event, Purpose::Stream, target, is_multi, fx) else { return };
    let devices = &cx.hub.devices;
    if devices.get(target).is_some_and(Device::is_seed) {
        let text = "Stream: the target is of a generation that knows no streams";
        return devices.get(me).into_iter().for_each(|device| fail(fx, device, Purpose::Stream, event.id, text));
    }
    let name = quoted(devices.get(me).and_then(Device::id).unwrap_or_default());
    let event_name: &[u8] = if is_multi { b"MULTI_API_CREATE_STREAM" } else { b"CREATE_STREAM" };
    // What stands between the quotes of a string, or a number as it is.
    let channel_name = channel.map(|channel| channel.strip_prefix(b"\"").unwrap_or(channel));
    let channel_name = channel_name.map(|channel| channel.strip_suffix(b"\"").unwrap_or(channel));
    let separator: &[u8] = if channel.is_some() { b"-CHANNEL-" } else { b"" };
    let members = stream[1..stream.len() - 1].trim_ascii();
    // Of members with one name the last counts, so nobody can pretend to be somebody else.
    let parts: [&[u8]; 10] = [
        b"\"",
        event_name,
        separator,
        channel_name.unwrap_or_default(),
        b"\",{",
        members,
        b",\"sourceClientId\":",
        &name,
        b"}",
        b"",
    ];
    ask(me, target, Purpose::Stream, event, &parts[..9], cx, fx);
}

/// Whom `me` wants to have as its target, now that each is told when the other leaves, and whether that one is spoken to in
/// the words of 1.5.0. `None` if there is none, which `me` is told.
fn linked(
    me: DeviceId,
    cx: &mut Context<'_>,
    event: &Event<'_>,
    purpose: Purpose,
    target: Option<&[u8]>,
    is_multi: bool,
    fx: &mut impl Effects,
) -> Option<(DeviceId, bool)> {
    let devices = &mut cx.hub.devices;
    devices.get_mut(me)?.manners.is_multi = Some(is_multi);
    let said_by = if purpose == Purpose::Stream { "Stream" } else { "Message" };
    let name = target.and_then(names::name);
    let target = name.as_ref().and_then(|name| devices.by_name(name));
    let fault = match (name, target) {
        (None, _) => "targetClientId is not set".to_owned(),
        (Some(name), None) => format!("Client {} is not connected to server", names::shown(&name)),
        (_, Some(target)) if target == me => "a client cannot be its own target".to_owned(),
        (_, Some(target)) => {
            let targets_multi = devices.get(target)?.manners.is_multi.unwrap_or(is_multi);
            match devices.link(me, target, [is_multi, targets_multi], cx.config.limits.max_rooms) {
                Ok(()) => return Some((target, targets_multi)),
                Err(NoRoom::Full) => "too many targets (--max-rooms)".to_owned(),
                Err(NoRoom::NoMemory) => "memory is short (--max-memory)".to_owned(),
            }
        }
    };
    fail(fx, devices.get(me)?, purpose, event.id, &format!("{said_by}: {fault}"));
    None
}

/// Asks `target` on behalf of `me`. Clients answer without looking whether anybody waits for that.
fn ask(
    me: DeviceId,
    target: DeviceId,
    purpose: Purpose,
    event: &Event<'_>,
    parts: &[&[u8]],
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) {
    let mut number = UNHEARD;
    if event.id.is_some() {
        let Some(call) = calls::open(me, target, purpose, event.id, cx, fx) else { return };
        number = call;
    }
    if let Some(target) = cx.hub.devices.connected(target) {
        wire::event(fx, target, Pace::Kept, Some(number), parts, event.attachments);
    }
}
