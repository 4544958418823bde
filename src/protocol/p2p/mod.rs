//! Devices that find each other over Socket.IO: what socket.io clients from 2.x to 4.x speak, on the server's side.
//! Layer 2.
//!
//! Three layers of packets, each in its file: [`engine_io`] (handshake, heartbeat, what carries the rest), [`socket_io`]
//! (namespaces, events, acks) and `plugin` (what the events mean). A [`Device`] is one Engine.IO session. It is told
//! whole WebSocket messages, whether they came over a WebSocket or in the payload of a request, and sends such: whoever
//! owns the sockets turns them into payloads where the client polls.
//!
//! Only the namespace `/` exists. Unlike the originals we set no cookie (`io`), which no client reads, and do not serve
//! their client library.

pub mod claim;
pub mod engine_io;
mod pending;
mod plugin;
pub mod probe;
pub mod socket_io;
mod wire;

use std::borrow::Cow;
use std::time::{Duration, Instant};

use tungstenite::protocol::frame::coding::CloseCode;

use self::engine_io::PacketType as EnginePacket;
use self::pending::Pending;
pub use self::plugin::push_list;
use self::plugin::{Ack, Event};
use self::socket_io::{Packet, PacketType};
use super::{Context, Effects, Protocol};
use crate::access::NOT_ACCEPTED;
use crate::config::Limits;
use crate::frame::message::{Kind, Message};
use crate::hub::devices::{self, DeviceId, Standing};
pub use crate::hub::devices::{Claim, Revision, Transport};
use crate::hub::ids::Key;
use crate::json::fields;

/// One Engine.IO session.
#[derive(Debug)]
pub struct Device {
    revision: Revision,
    /// In the hub, from the first moment on.
    id: Option<DeviceId>,
    /// What the hub is told about it then.
    arrival: Option<Arrival>,
    /// An event or ack whose attachments are still to come.
    pending: Option<Box<Pending>>,
    /// Whether the namespace was asked for, be it that it is still waited for.
    has_joined: bool,
    /// When something last came.
    heard: Option<Instant>,
    /// When our ping went out that was not answered yet (Engine.IO 4).
    pinged: Option<Instant>,
    /// When the next ping is due (Engine.IO 4).
    next_ping: Option<Instant>,
    /// When it must have joined the namespace.
    joins_until: Option<Instant>,
    /// What we have asked to be called at.
    armed: Option<Instant>,
}

/// What is known of a device before it has a session.
#[derive(Debug)]
pub struct Arrival {
    /// The secret name of its session.
    pub sid: Key,
    /// What carries its packets.
    pub transport: Transport,
    /// Whether it takes no binary messages, but text that stands for them.
    pub base64_only: bool,
    /// What it says about itself.
    pub claim: Claim,
}

impl Device {
    /// A session that is about to be opened.
    #[must_use]
    pub fn new(revision: Revision, arrival: Arrival) -> Self {
        Self {
            revision,
            id: None,
            arrival: Some(arrival),
            pending: None,
            has_joined: false,
            heard: None,
            pinged: None,
            next_ping: None,
            joins_until: None,
            armed: None,
        }
    }

    /// What it speaks.
    #[must_use]
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// What it is in the hub, once its session has opened.
    pub(super) fn id(&self) -> Option<DeviceId> {
        self.id
    }

    /// The memory of an event whose attachments have not all come, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.pending.as_ref().map_or(0, |pending| pending.weight())
    }

    /// Since when an event waits for its attachments.
    #[must_use]
    pub fn waits_since(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.since())
    }

    /// Nobody listened to the client: the time in which it must be heard begins anew.
    pub fn excuse(&mut self, now: Instant) {
        self.heard = Some(now);
        self.pinged = self.pinged.map(|_| now);
    }

    fn on_packet(
        &mut self,
        id: DeviceId,
        text: &[u8],
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Fault> {
        if self.pending.is_some() {
            return Err(Fault("an attachment was to come next"));
        }
        let packet = socket_io::parse(text, cx.config.limits.max_attachments).map_err(|malformed| match malformed {
            socket_io::Malformed::TooManyAttachments => Fault("too many attachments (--max-attachments)"),
            _ => MALFORMED,
        })?;
        if packet.namespace != "/" {
            return other_namespace(id, &packet, cx, fx);
        }
        match packet.kind {
            PacketType::Connect => {
                self.note_dismissal(id, cx);
                if self.has_joined && self.revision == Revision::Four {
                    return Err(Fault("the namespace is connected already"));
                }
                self.enter(id, packet.data, cx, fx)?;
            }
            PacketType::Disconnect => self.leave(id, cx, fx),
            // A client has no reason to send one.
            PacketType::ConnectError => {}
            _ if !self.has_joined => return Err(Fault("the namespace / is not connected")),
            PacketType::Event | PacketType::Ack => self.on_complete(id, &packet, &[], cx, fx)?,
            PacketType::BinaryEvent | PacketType::BinaryAck => {
                if !packet.data.is_some_and(|data| socket_io::placeholders_fit(data, packet.attachments)) {
                    return Err(Fault("a placeholder names no attachment"));
                }
                self.pending = Some(Box::new(Pending::new(text, packet.attachments, cx.now, cx.hub.memory.charge())));
            }
        }
        Ok(())
    }

    fn on_attachment(
        &mut self,
        id: DeviceId,
        bytes: &[u8],
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Fault> {
        let pending = self.pending.as_mut().ok_or(Fault("no attachment was to come"))?;
        if !pending.fits(bytes, cx.config.limits.max_message) {
            return Err(Fault("the attachments of one event are longer than one message may be (--max-message)"));
        }
        if !pending.is_last() {
            pending.push(bytes);
            return Ok(());
        }
        let pending = self.pending.take().expect("it is here");
        let packet = socket_io::parse(pending.text(), u32::MAX).map_err(|_| MALFORMED)?;
        self.on_complete(id, &packet, &pending.attachments(bytes), cx, fx)
    }

    fn on_complete(
        &mut self,
        id: DeviceId,
        packet: &Packet<'_>,
        attachments: &[&[u8]],
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Fault> {
        let data = packet.data.ok_or(MALFORMED)?;
        match packet.kind {
            PacketType::Event | PacketType::BinaryEvent => {
                let data = socket_io::event(data).map_err(|_| MALFORMED)?;
                let event = Event { name: data.name, arguments: data.arguments, id: packet.id, attachments };
                plugin::on_event(id, cx, &event, fx);
            }
            PacketType::Ack | PacketType::BinaryAck => {
                let id_of_call = packet.id.ok_or(MALFORMED)?;
                let arguments = data[1..data.len() - 1].trim_ascii();
                plugin::on_ack(id, cx, &Ack { id: id_of_call, arguments, attachments }, fx);
            }
            PacketType::Connect | PacketType::Disconnect | PacketType::ConnectError => {}
        }
        Ok(())
    }

    /// The client wants to be in the namespace. Where tokens are on it may show one with that (`auth: { token }`), unless
    /// somebody vouches for it already.
    fn enter(
        &mut self,
        id: DeviceId,
        data: Option<&[u8]>,
        cx: &mut Context<'_>,
        fx: &mut impl Effects,
    ) -> Result<(), Fault> {
        let shown = match cx.permit.gate {
            Some(gate) if !cx.permit.is_proven() => data.and_then(token).map(|token| gate.admit(&token, cx.wall)),
            _ => None,
        };
        let permit = match &shown {
            Some(Ok(grant)) => cx.permit.with(grant),
            _ => cx.permit,
        };
        let Some(device) = cx.hub.devices.get_mut(id) else { return Ok(()) };
        let refusal = match &shown {
            Some(Err(refusal)) => {
                let address = cx.address.map(|address| address.to_string()).unwrap_or_default();
                log::info!("{address}: the token in a Socket.IO packet is not accepted: {refusal}");
                fx.refuse_token();
                Some(NOT_ACCEPTED)
            }
            _ if !permit.may_be_device(device.claim.id.as_deref()) => {
                Some("not permitted: this needs a token that permits this id (device)")
            }
            _ => None,
        };
        if let Some(reason) = refusal {
            wire::refuse(fx, device, "/", reason);
            return Err(Fault(reason));
        }
        device.identity = permit.identity();
        // Where operators have listeners of their own, no token makes one elsewhere.
        device.claim.is_operator |= permit.is_admin() && cx.config.admin.is_empty();
        if let Some(Ok(grant)) = shown {
            fx.grant(cx.id, grant);
        }
        self.join(id, cx, fx);
        Ok(())
    }

    /// The client is let into the namespace.
    fn join(&mut self, id: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if !self.has_joined {
            (self.has_joined, self.joins_until) = (true, None);
            plugin::on_connect(id, cx, fx);
        }
    }

    /// The client is no longer in the namespace; it may come again for a while.
    fn leave(&mut self, id: DeviceId, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if std::mem::take(&mut self.has_joined) {
            plugin::on_disconnect(id, cx, fx);
            self.joins_until = Some(cx.now + patience(&cx.config.limits));
        }
    }

    /// The plugin may have shown the client the door, which may come in again for a while.
    fn note_dismissal(&mut self, id: DeviceId, cx: &mut Context<'_>) {
        if self.has_joined && cx.hub.devices.get(id).is_some_and(|device| device.standing == Standing::Outside) {
            self.has_joined = false;
            self.joins_until = Some(cx.now + patience(&cx.config.limits));
        }
    }

    /// Whether the heartbeat is over.
    fn is_lost(&self, now: Instant, limits: &Limits) -> bool {
        match self.revision {
            Revision::Three => self.heard.is_some_and(|heard| heard + patience(limits) <= now),
            Revision::Four => self.pinged.is_some_and(|pinged| pinged + limits.device_ping_timeout <= now),
        }
    }

    /// Asks to be called when something is due next, unless it will be by then anyway.
    fn arm(&mut self, id: DeviceId, cx: &Context<'_>, fx: &mut impl Effects) {
        let limits = &cx.config.limits;
        let heartbeat = match self.revision {
            Revision::Three => self.heard.map(|heard| heard + patience(limits)),
            Revision::Four => self.pinged.map(|pinged| pinged + limits.device_ping_timeout).or(self.next_ping),
        };
        let deadlines = [heartbeat, self.joins_until, plugin::deadline(id, cx)];
        let Some(next) = deadlines.into_iter().flatten().min() else { return };
        if self.armed.is_none_or(|armed| next < armed) {
            self.armed = Some(next);
            fx.wake_at(cx.id, next);
        }
    }

    /// Handles one packet.
    fn hear(&mut self, cx: &mut Context<'_>, message: &Message<'_>, fx: &mut impl Effects) {
        let Some(id) = self.id else { return };
        self.heard = Some(cx.now);
        let unwrapped = match engine_io::unwrapped(message.kind(), message.payload(), self.revision) {
            Ok(unwrapped) => unwrapped,
            Err(_) => {
                fx.close(cx.id, CloseCode::Policy, "not base64");
                return;
            }
        };
        let (kind, item) = match &unwrapped {
            Some(item) => (Kind::Binary, &item[..]),
            None => (message.kind(), message.payload()),
        };
        let outcome = match engine_io::packet(kind, item, self.revision) {
            Err(_) => Err(Fault("not a packet of Engine.IO")),
            Ok((EnginePacket::Message, payload)) => match kind {
                Kind::Text => self.on_packet(id, payload, cx, fx),
                Kind::Binary => self.on_attachment(id, payload, cx, fx),
            },
            Ok((EnginePacket::Ping, payload)) if self.revision == Revision::Three => {
                fx.send(cx.id, Kind::Text, &[b"3", payload]);
                Ok(())
            }
            Ok((EnginePacket::Pong, _)) if self.revision == Revision::Four => {
                if self.pinged.take().is_some() {
                    self.next_ping = Some(cx.now + cx.config.limits.device_ping_interval);
                }
                Ok(())
            }
            Ok((EnginePacket::Close, _)) => {
                fx.close(cx.id, CloseCode::Normal, "");
                return;
            }
            // An upgrade is said by a probe; the others are for clients.
            Ok(_) => Ok(()),
        };
        if let Err(Fault(reason)) = outcome {
            fx.close(cx.id, CloseCode::Policy, reason);
            return;
        }
        plugin::on_alive(id, cx, fx);
        self.arm(id, cx, fx);
    }
}

impl Protocol for Device {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(Arrival { sid, transport, base64_only, claim }) = self.arrival.take() else { return };
        let mut device = devices::Device::new(cx.id, sid, self.revision, transport, cx.address, cx.wall, claim);
        device.base64_only = base64_only;
        let id = cx.hub.devices.add(device);
        self.id = Some(id);
        let limits = &cx.config.limits;
        let can_upgrade = transport == Transport::Polling;
        let (interval, timeout) = (limits.device_ping_interval, limits.device_ping_timeout);
        let mut open = Vec::with_capacity(160);
        engine_io::open_packet(&mut open, sid.text().as_str(), can_upgrade, interval, timeout, limits.max_message);
        fx.send(cx.id, Kind::Text, &[&open]);
        self.heard = Some(cx.now);
        self.joins_until = Some(cx.now + patience(limits));
        match self.revision {
            // socket.io 2 connects `/` without being asked.
            Revision::Three => {
                if let Err(Fault(reason)) = self.enter(id, None, cx, fx) {
                    return fx.close(cx.id, CloseCode::Policy, reason);
                }
            }
            Revision::Four => self.next_ping = Some(cx.now + interval),
        }
        self.arm(id, cx, fx);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        self.hear(cx, &message, fx);
        fx.recycle(message);
    }

    fn on_alive(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        if let Some(id) = self.id {
            self.heard = Some(cx.now);
            plugin::on_alive(id, cx, fx);
        }
    }

    fn on_timeout(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        let Some(id) = self.id else { return };
        self.armed = None;
        self.note_dismissal(id, cx);
        if self.is_lost(cx.now, &cx.config.limits) {
            let reason = "no heartbeat (--device-ping-interval, --device-ping-timeout)";
            fx.close(cx.id, CloseCode::Policy, reason);
            return;
        }
        if self.joins_until.is_some_and(|until| until <= cx.now) {
            fx.close(cx.id, CloseCode::Policy, "no namespace was connected in time");
            return;
        }
        if self.next_ping.take_if(|at| *at <= cx.now).is_some() {
            self.pinged = Some(cx.now);
            fx.send(cx.id, Kind::Text, &[b"2"]);
        }
        if let Err(Fault(reason)) = plugin::on_timeout(id, self.heard, cx, fx) {
            fx.close(cx.id, CloseCode::Policy, reason);
            return;
        }
        self.arm(id, cx, fx);
    }

    fn on_close(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        self.pending = None;
        let Some(id) = self.id.take() else { return };
        if std::mem::take(&mut self.has_joined) {
            plugin::on_disconnect(id, cx, fx);
        }
        cx.hub.devices.remove(id);
    }
}

/// What a client did wrong: its connection ends, and this is the reason.
#[derive(Debug)]
struct Fault(&'static str);

const MALFORMED: Fault = Fault("not a packet of Socket.IO");

/// The token in what a client says when it connects the namespace.
fn token(data: &[u8]) -> Option<Cow<'_, str>> {
    let [token] = fields::find(data, ["token"]).ok()?;
    fields::string(token?)
}

/// How long a client may be silent, or without a namespace.
fn patience(limits: &Limits) -> Duration {
    limits.device_ping_interval + limits.device_ping_timeout
}

/// A packet of a namespace that does not exist.
fn other_namespace(
    id: DeviceId,
    packet: &Packet<'_>,
    cx: &mut Context<'_>,
    fx: &mut impl Effects,
) -> Result<(), Fault> {
    let Some(device) = cx.hub.devices.get(id) else { return Ok(()) };
    match packet.kind {
        PacketType::Connect => wire::refuse(fx, device, packet.namespace, "Invalid namespace"),
        PacketType::Disconnect => {}
        _ => return Err(Fault("only the namespace / exists")),
    }
    Ok(())
}

#[cfg(test)]
mod tests;
