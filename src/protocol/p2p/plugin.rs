//! The events of socket.io-p2p-plugin. Layer 2.

use std::borrow::Cow;
use std::time::Instant;

use super::wire;
use crate::hub::devices::DeviceId;
use crate::protocol::{Context, Effects};

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

/// A client asks for the namespace `/`.
pub(super) fn on_connect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let name = cx.hub.devices.name().expect("stub");
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    device.is_connected = true;
    wire::connect(fx, device, name.text().as_str());
}

/// A connected client emits something.
pub(super) fn on_event(me: DeviceId, cx: &mut Context<'_>, event: &Event<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get(me) else { return };
    if let Some(id) = event.id {
        wire::ack(fx, device, wire::Pace::Kept, id, &[event.arguments], event.attachments);
    }
}

/// A connected client answers an event.
pub(super) fn on_ack(me: DeviceId, cx: &mut Context<'_>, ack: &Ack<'_>, fx: &mut impl Effects) {
    let _ = (me, cx, ack, fx);
}

/// A client that is being probed gave a sign of life.
pub(super) fn on_alive(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let _ = (me, cx, fx);
}

/// When [`on_timeout`] is to be called, if at all. What others do never moves it forward.
pub(super) fn deadline(me: DeviceId, cx: &Context<'_>) -> Option<Instant> {
    let _ = (me, cx);
    None
}

/// [`deadline`] has passed, perhaps.
pub(super) fn on_timeout(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let _ = (me, cx, fx);
}

/// A client has left the namespace, or has gone altogether. Called once for each [`on_connect`].
pub(super) fn on_disconnect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    if let Some(device) = cx.hub.devices.get_mut(me) {
        device.is_connected = false;
    }
    let _ = fx;
}
