//! A WebSocket that a client opens beside its polling session, to find out whether it works (Engine.IO "upgrade").
//! Layer 2.
//!
//! The client says `2probe` and hears `3probe`; it finishes the poll that is under way, for which that is answered at
//! once, and says `5`: from then on this is the session's connection. What was to be sent meanwhile waits in the session's
//! mailbox and goes out first, so nothing is lost and nothing overtakes.

use std::time::Duration;

use tungstenite::protocol::frame::coding::CloseCode;

use super::Transport;
use crate::frame::message::{Kind, Message};
use crate::hub::devices::DeviceId;
use crate::protocol::{Context, Effects, Protocol};

/// How long a trial may last (engine.io's `upgradeTimeout`).
const TRIAL: Duration = Duration::from_secs(10);

/// The trial.
#[derive(Debug)]
pub struct Probe {
    /// Whose it is.
    device: DeviceId,
    has_answered: bool,
}

impl Probe {
    /// A trial for this device.
    #[must_use]
    pub fn new(device: DeviceId) -> Self {
        Self { device, has_answered: false }
    }
}

impl Protocol for Probe {
    fn on_open(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        fx.wake_at(cx.id, cx.now + TRIAL);
    }

    fn on_message(&mut self, cx: &mut Context<'_>, message: Message<'_>, fx: &mut impl Effects) {
        let Some(device) = cx.hub.devices.get(self.device) else {
            fx.close(cx.id, CloseCode::Policy, "the session has ended");
            return;
        };
        match (message.kind(), message.payload(), device.transport) {
            (Kind::Text, b"2probe", Transport::Polling) if !self.has_answered => {
                self.has_answered = true;
                fx.send(cx.id, Kind::Text, &[b"3probe"]);
                // The poll under way must end, or the client would wait for it.
                fx.send(device.session, Kind::Text, &[b"6"]);
                cx.hub.devices.set_transport(self.device, Transport::Upgrading);
            }
            (Kind::Text, b"5", Transport::Upgrading) if self.has_answered => {
                fx.hand_over(cx.id, device.session);
                cx.hub.devices.set_transport(self.device, Transport::WebSocket);
            }
            _ => fx.close(cx.id, CloseCode::Policy, "not what a client says when it upgrades"),
        }
    }

    fn on_timeout(&mut self, cx: &mut Context<'_>, fx: &mut impl Effects) {
        fx.close(cx.id, CloseCode::Policy, "the upgrade took too long");
    }

    fn on_close(&mut self, cx: &mut Context<'_>, _: &mut impl Effects) {
        let transport = cx.hub.devices.get(self.device).map(|device| device.transport);
        if self.has_answered && transport == Some(Transport::Upgrading) {
            cx.hub.devices.set_transport(self.device, Transport::Polling);
        }
    }
}
