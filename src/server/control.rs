//! Orders from outside the loop: signals, and handles on other threads. Layer 3.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use mio::{Interest, Registry, Token, Waker};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook_mio::v1_0::Signals;

/// The token that wakes the loop for a handle's order.
pub(super) const WAKER: Token = Token(usize::MAX - 1);

/// The token of signals.
const SIGNALS: Token = Token(usize::MAX - 2);

/// What the loop is told to do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// Drain and end; a second time, end at once.
    Stop,
    /// Read again what may change while the server runs.
    Reload,
}

/// Tells a running server what to do, from any thread.
#[derive(Clone, Debug)]
pub struct Handle {
    orders: Sender<Order>,
    waker: Arc<Waker>,
}

impl Handle {
    /// As `TERM` does: says goodbye to every client and ends when they have gone or the drain timeout has passed. The
    /// second time it ends at once. A server that has ended already takes no notice.
    pub fn stop(&self) {
        self.order(Order::Stop);
    }

    /// As `HUP` does: reads again what may have changed on disk: certificates, tokens' keys, who is revoked. What cannot be
    /// read stays as it was.
    pub fn reload(&self) {
        self.order(Order::Reload);
    }

    fn order(&self, order: Order) {
        if self.orders.send(order).is_ok() {
            // Failing means that the loop's poll is gone, and the loop with it.
            let _ = self.waker.wake();
        }
    }
}

impl Handle {
    /// Has the loop look at what helper threads have for it.
    pub(super) fn wake(&self) {
        let _ = self.waker.wake();
    }
}

/// The loop's end of it.
pub(super) struct Controls {
    orders: Receiver<Order>,
    handle: Handle,
    signals: Option<Signals>,
}

impl Controls {
    pub(super) fn new(registry: &Registry) -> io::Result<Self> {
        let (sender, orders) = channel();
        let handle = Handle { orders: sender, waker: Arc::new(Waker::new(registry, WAKER)?) };
        Ok(Self { orders, handle, signals: None })
    }

    pub(super) fn handle(&self) -> Handle {
        self.handle.clone()
    }

    /// Turns `TERM`, `INT` and `HUP` into orders, for the whole process.
    pub(super) fn watch_signals(&mut self, registry: &Registry) -> io::Result<()> {
        let mut signals = Signals::new([SIGTERM, SIGINT, SIGHUP])?;
        registry.register(&mut signals, SIGNALS, Interest::READABLE)?;
        self.signals = Some(signals);
        Ok(())
    }

    /// Whether readiness of this token means that orders are there.
    pub(super) fn owns(token: Token) -> bool {
        token == WAKER || token == SIGNALS
    }

    /// The next order, if there is one.
    pub(super) fn next_order(&mut self) -> Option<Order> {
        let signal = self.signals.as_mut().and_then(|signals| signals.pending().next());
        let order = signal.map(|signal| if signal == SIGHUP { Order::Reload } else { Order::Stop });
        order.or_else(|| self.orders.try_recv().ok())
    }
}
