//! Coming and going: who gets which id, and who is told that somebody has left. Layer 2.
//!
//! A newcomer whose id is taken is *held*: it is not connected yet, and the holder is asked for a sign of life. If that
//! comes, the newcomer is refused as in the original; if not, it gets the id and the holder is dropped. A holder that is
//! not listened to, because others are behind with what it says, cannot give a sign: then the newcomer waits on. Several
//! may be held for one id, in line: the next one's wait begins anew when the id changes hands, so each is decided in the
//! end.

use std::time::{Duration, Instant};

use super::super::Fault;
use super::super::wire::{self, Pace};
use super::{calls, notice, quoted, register};
use crate::frame::message::Kind;
use crate::hub::devices::{Device, DeviceId, Revision, Standing, Transport};
use crate::protocol::{Context, Effects};

/// How long the holder of an id has for a sign of life.
const PROBE: Duration = Duration::from_secs(5);

/// How long a sign of life that was asked for counts: however many want an id, its holder is not asked more often than a
/// client may answer (`--control-rate`).
const PROOF: Duration = Duration::from_secs(1);

/// How many may wait for one id. One client that comes again and again is one or two.
const MOST_CLAIMANTS: usize = 8;

/// A client asks for the namespace.
pub(super) fn on_connect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let Some(device) = devices.get(me) else { return };
    let holder = device.claim.id.as_deref().and_then(|name| devices.by_name(name));
    let Some(holder) = holder else {
        return connect(me, cx, fx);
    };
    // Whoever somebody else vouches for is somebody else, and the holder is not even asked: an id that is in use is not
    // lost to them by any means.
    if devices.get(holder).is_some_and(|holder| holder.identity != device.identity) {
        return refuse(me, cx, fx);
    }
    if cx.config.device_overwrite {
        let claimants = lose(holder, cx, fx);
        if let Some(device) = cx.hub.devices.connected(holder) {
            notice(
                fx,
                device,
                "Error: another client came with this one's clientId and has it now (--device-overwrite)",
            );
        }
        return hand_on([me].into_iter().chain(claimants), cx, fx);
    }
    let Some(device) = devices.get(holder) else { return };
    let has_proved = device.proved.is_some_and(|proved| proved + PROOF > cx.now);
    if has_proved || device.claimants.len() >= MOST_CLAIMANTS {
        return refuse(me, cx, fx);
    }
    hold_for(holder, vec![me], cx, fx);
}

/// Puts claimants in line for the holder's id, and asks the holder for a sign of life.
fn hold_for(holder: DeviceId, claimants: Vec<DeviceId>, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let Some(device) = devices.get_mut(holder) else { return };
    if claimants.is_empty() {
        return;
    }
    device.claimants.extend(&claimants);
    match device.transport {
        _ if std::mem::replace(&mut device.is_probed, true) => {}
        Transport::WebSocket => fx.ping(device.session),
        // Its poll returns, and it sends the next one.
        Transport::Polling | Transport::Upgrading => fx.send(device.session, Kind::Text, &[b"6"]),
    }
    for claimant in claimants {
        if let Some(device) = devices.get_mut(claimant) {
            device.standing = Standing::Held(cx.now + PROBE);
            devices.touch(claimant);
        }
    }
}

/// Lets a client in, under its id if it has one, which nobody holds.
fn connect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let Some(name) = socket_name(me, cx, fx) else { return };
    let devices = &mut cx.hub.devices;
    devices.hold(me);
    let Some(device) = devices.get_mut(me) else { return };
    device.standing = Standing::Connected;
    wire::connect(fx, device, &name);
    devices.touch(me);
}

/// The name of a client's socket. `None` if the system gives no random numbers, in which case the client is told that it
/// cannot come in.
fn socket_name(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) -> Option<String> {
    let devices = &mut cx.hub.devices;
    let device = devices.get(me)?;
    // Clients of Engine.IO 3 take their session's.
    let name = match device.revision {
        Revision::Three => Ok(device.sid),
        Revision::Four => devices.name(),
    };
    let device = devices.get_mut(me)?;
    match name {
        Ok(name) => Some(name.to_string()),
        Err(_) => {
            device.standing = Standing::Outside;
            wire::refuse(fx, device, "/", "this machine has no random numbers");
            devices.touch(me);
            None
        }
    }
}

/// Turns a client away whose id is taken: it is let in, told why, and shown the door.
fn refuse(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let Some(name) = socket_name(me, cx, fx) else { return };
    let devices = &mut cx.hub.devices;
    let Some(device) = devices.get_mut(me) else { return };
    device.standing = Standing::Outside;
    wire::connect(fx, device, &name);
    let id = device.claim.id.as_deref().unwrap_or_default();
    let text = format!(
        "p2p Socket.io lib: Duplicated clientId {id} on connect, new socket id = {name}, \
         new socket with duplicated clientId will be disconnected"
    );
    notice(fx, device, &text);
    wire::disconnect(fx, device);
    devices.touch(me);
}

/// The holder of an id is there: whoever waits for that waits in vain.
pub(super) fn on_alive(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let Some(device) = cx.hub.devices.get_mut(me) else { return };
    (device.is_probed, device.is_accused, device.proved) = (false, false, Some(cx.now));
    for claimant in std::mem::take(&mut device.claimants) {
        refuse(claimant, cx, fx);
    }
}

/// Until when `me` waits for its id.
#[inline]
pub(super) fn deadline(me: DeviceId, cx: &Context<'_>) -> Option<Instant> {
    match cx.hub.devices.get(me)?.standing {
        Standing::Held(until) => Some(until),
        Standing::Outside | Standing::Connected => None,
    }
}

/// `me` may have waited long enough, or be the one who did not answer; `heard` is when it was heard last.
pub(super) fn on_timeout(
    me: DeviceId,
    heard: Option<Instant>,
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) -> Result<(), Fault> {
    if deadline(me, cx).is_some_and(|until| until <= cx.now) {
        ask_verdict(me, cx, fx);
        return Ok(());
    }
    let is_accused = cx.hub.devices.get_mut(me).is_some_and(|device| std::mem::take(&mut device.is_accused));
    if !is_accused || cx.hub.devices.get(me).is_none_or(|device| device.claimants.is_empty()) {
        return Ok(());
    }
    // What it said would have ended its trial. So it was excused: it may be talking, but nobody listens, as those it talks
    // to are behind. Its claimants ask again.
    if heard.is_some_and(|heard| heard + PROBE > cx.now) {
        return Ok(());
    }
    retire(me, cx, fx);
    Err(Fault("another client came with its id, and it gave no sign of life"))
}

/// `me` has waited for its id, in vain: the holder's session is called, as it alone can say whether it was listened to.
fn ask_verdict(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let holder = devices.get(me).and_then(|device| devices.by_name(device.claim.id.as_deref()?));
    let Some(holder) = holder.and_then(|holder| devices.get_mut(holder)) else { return connect(me, cx, fx) };
    holder.is_accused = true;
    fx.wake_at(holder.session, cx.now);
    if let Some(device) = devices.get_mut(me) {
        device.standing = Standing::Held(cx.now + PROBE);
    }
}

/// A client has left the namespace.
pub(super) fn on_disconnect(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let devices = &mut cx.hub.devices;
    let Some(device) = devices.get_mut(me) else { return };
    match device.standing {
        Standing::Outside => {}
        Standing::Connected => retire(me, cx, fx),
        Standing::Held(_) => {
            device.standing = Standing::Outside;
            let holder = devices.get(me).and_then(|device| devices.by_name(device.claim.id.as_deref()?));
            if let Some(holder) = holder.and_then(|holder| devices.get_mut(holder)) {
                holder.claimants.retain(|claimant| *claimant != me);
            }
            devices.touch(me);
        }
    }
}

/// Undoes everything that a client was part of, tells everybody who had to do with it, and gives its id to whoever waits
/// for that.
fn retire(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
    if let Some(device) = cx.hub.devices.get_mut(me) {
        device.standing = Standing::Outside;
    }
    let claimants = lose(me, cx, fx);
    calls::end_all(me, cx, fx);
    let devices = &mut cx.hub.devices;
    devices.destroy_all(me);
    if let Some(device) = devices.get_mut(me) {
        device.forget_questions();
        for room in device.leave_all() {
            cx.hub.channels.leave(room, device.session);
        }
        if let Some(channel) = device.subscription.take() {
            cx.hub.channels.leave(channel, device.session);
            devices.unsubscribe(me);
        }
    }
    hand_on(claimants, cx, fx);
}

/// Gives an id that nobody holds to the first who can take it; the others wait for that one.
fn hand_on(claimants: impl IntoIterator<Item = DeviceId>, cx: &mut Context<'_>, fx: &mut impl Effects) {
    let mut claimants = claimants.into_iter();
    while let Some(next) = claimants.next() {
        connect(next, cx, fx);
        if cx.hub.devices.connected(next).is_some() {
            return hold_for(next, claimants.collect(), cx, fx);
        }
    }
}

/// Takes a client's id from it, and with that everybody who knew it by that. Returns who waits for the id.
fn lose(me: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) -> Vec<DeviceId> {
    let devices = &mut cx.hub.devices;
    if let Some(partner) = devices.unpair(me) {
        register::tell_alone(partner, cx, fx);
        register::tell_alone(me, cx, fx);
    }
    let devices = &mut cx.hub.devices;
    let id = |device: Option<&Device>| quoted(device.and_then(Device::id).unwrap_or_default());
    let mine = id(devices.get(me));
    while let Some([to_peer, to_me]) = devices.unlink(me) {
        let peer = devices.connected(to_peer.peer);
        tell_gone(peer, &mine, to_me.is_multi, fx);
        tell_gone(devices.connected(me), &id(peer), to_peer.is_multi, fx);
    }
    devices.release(me);
    devices.touch(me);
    devices.get_mut(me).map(|device| std::mem::take(&mut device.claimants)).unwrap_or_default()
}

/// Tells a client that its target has gone.
fn tell_gone(to: Option<&Device>, id: &[u8], is_multi: bool, fx: &mut impl Effects) {
    let name: &[u8] = if is_multi { b"\"MULTI_API_TARGET_DISCONNECT\"," } else { b"\"TARGET_DISCONNECT\"," };
    if let Some(to) = to {
        wire::event(fx, to, Pace::Free, None, &[name, id], &[]);
    }
}
