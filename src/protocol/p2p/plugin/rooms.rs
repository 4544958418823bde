//! Rooms: one device to many. Layer 2.
//!
//! A room is a channel of the hub, or two: members that take no binary messages are in one of their own, as attachments
//! are written for them in other words. Whoever speaks Engine.IO 3 is a watcher there, for the same reason.

use super::super::wire::{self, Room};
use super::{Event, answer, answer_error, emit, names};
use crate::hub::devices::{DeviceId, NoRoom, Revision};
use crate::protocol::{Context, Effects};

/// `JOIN_ROOM(room)[null]`.
pub(super) fn on_join(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let limits = &cx.config.limits;
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    let name = match names::kept_name(event.first(), limits.max_name) {
        Ok(name) => name,
        Err(fault) => return answer_error(fx, device, event.id, &format!("Error: JOIN_ROOM: {fault}")),
    };
    if !device.is_in(&name) {
        let fault = match device.may_join(limits.max_rooms) {
            Ok(()) => None,
            Err(NoRoom::Full) => Some("Error: JOIN_ROOM: too many rooms (--max-rooms)"),
            Err(NoRoom::NoMemory) => Some("Error: JOIN_ROOM: memory is short (--max-memory)"),
        };
        if let Some(fault) = fault {
            return answer_error(fx, device, event.id, fault);
        }
        let channel = channel_name(cx.buffer, &name, device.base64_only);
        let channel = cx.hub.channels.join(channel, device.session, device.revision == Revision::Three);
        device.join(&name, channel);
    }
    answer(fx, device, event.id, &[b"null"]);
}

/// `LEAVE_ROOM(room)[null]`.
pub(super) fn on_leave(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    let Some(name) = event.first().and_then(names::name) else {
        return answer_error(fx, device, event.id, "Error: LEAVE_ROOM: the name is not a string");
    };
    if let Some(channel) = device.leave(&name) {
        cx.hub.channels.leave(channel, device.session);
    }
    answer(fx, device, event.id, &[b"null"]);
}

/// `EMIT_ROOM(room, event, ...args)[null]`. Whoever speaks need not be in the room.
pub(super) fn on_emit(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get(me) else { return };
    let mut arguments = event.arguments();
    let (room, name_span) = (arguments.next().and_then(names::name), arguments.next());
    let name = name_span.and_then(names::name);
    let (Some(room), Some(name), Some(name_span)) = (room, name, name_span) else {
        return answer_error(fx, device, event.id, "Error: EMIT_ROOM: room and event must be strings");
    };
    if names::is_reserved(name.as_bytes()) {
        return answer_error(fx, device, event.id, &emit::reserved(&name));
    }
    let rest = arguments.rest();
    let name_span = emit::quoted_name(name_span);
    let parts = [&name_span, &b","[..], rest];
    let parts = if rest.is_empty() { &parts[..1] } else { &parts };
    for base64_only in [false, true] {
        let channel = channel_name(cx.buffer, &room, base64_only);
        let Some(channel) = cx.hub.channels.find(channel) else { continue };
        let room = Room { channels: &cx.hub.channels, channel, base64_only, except: device.session };
        wire::event_to_room(fx, &room, parts, event.attachments);
    }
    answer(fx, device, event.id, &[b"null"]);
}

/// What the hub calls a room, or the part of it that takes no binary messages.
fn channel_name<'b>(buffer: &'b mut Vec<u8>, room: &str, base64_only: bool) -> &'b str {
    buffer.clear();
    buffer.extend_from_slice(if base64_only { b"p2p text room " } else { b"p2p room " });
    buffer.extend_from_slice(room.as_bytes());
    str::from_utf8(buffer).expect("put together from texts")
}
