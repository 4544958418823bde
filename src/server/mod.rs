//! Joins sockets to sessions: the only layer that knows both. Layer 3.
//!
//! [`Server::bind`] opens the listeners, [`Server::run`] is the loop. What happens to a connection is in `exchange`
//! (its life) and `relay` (its traffic, the fast path); `pages` answers requests that are not upgrades, and upgrades.
//! Builds that check themselves have `simulation`, too: the same server without sockets and without a clock.

mod access;
mod batch;
mod bridge;
mod client;
mod conn;
mod control;
mod exchange;
mod links;
mod live;
mod metrics;
mod pages;
mod polling;
mod relay;
mod reload;
#[cfg(debug_assertions)]
pub mod simulation;
mod spread;
mod usage;

use std::fmt;
use std::io;
use std::net::SocketAddr;

use log::warn;
use mio::{Interest, Token};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

pub use client::BadProxy;
pub use control::Handle;

use crate::config::{Config, Listen, Root};
use crate::http::guard::BadEntry;
use crate::net::listener::Listener;
use crate::net::reactor::Reactor;
use crate::net::targets::BadTarget;
use crate::net::tls::BadIdentity;
use control::Controls;
use exchange::{Exchange, FIRST_LISTENER};

/// Descriptors that are not for clients: epoll, signals, log, connections that are told why they are not served, and some
/// to spare.
const OWN_DESCRIPTORS: u64 = 62;

/// A listener's own, and its reserve.
const DESCRIPTORS_PER_LISTENER: u64 = 2;

/// A server that listens and does not run yet.
pub struct Server {
    reactor: Reactor,
    exchange: Exchange,
}

/// Why a server could not start.
#[derive(Debug)]
pub enum StartError {
    /// Nothing to listen on.
    NoListener,
    /// An address could not be listened on.
    Listen(SocketAddr, io::Error),
    /// An address for administrators could not be listened on.
    Admin(SocketAddr, io::Error),
    /// The system refused the loop what it needs.
    System(io::Error),
    /// So few file descriptors are allowed that none is left for a client: how many, and how many the server needs itself.
    NoDescriptors(u64, u64),
    /// An origin or host name that is none.
    BadEntry(BadEntry),
    /// A target of the bridge that is none.
    BadTarget(BadTarget),
    /// A proxy that is no address.
    BadProxy(BadProxy),
    /// A key, a list of revoked tokens or a capability is none.
    Access(String),
    /// A listener speaks TLS and no certificate is named.
    NoCertificate(SocketAddr),
    /// The certificate or its key cannot be used.
    BadIdentity(BadIdentity),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoListener => f.write_str("nothing to listen on (--listen)"),
            Self::Listen(address, error) => write!(f, "cannot listen on {address}: {error} (--listen)"),
            Self::Admin(address, error) => write!(f, "cannot listen on {address}: {error} (--admin)"),
            Self::System(error) => write!(f, "cannot start: {error}"),
            Self::NoDescriptors(allowed, own) => write!(
                f,
                "cannot start: of the {allowed} file descriptors that the system allows the server keeps {own} for itself, and \
                 each client needs one more (raise `ulimit -n`)"
            ),
            Self::BadEntry(error) => error.fmt(f),
            Self::BadTarget(error) => error.fmt(f),
            Self::BadProxy(error) => error.fmt(f),
            Self::Access(error) => f.write_str(error),
            Self::NoCertificate(address) => {
                write!(f, "{address} is to speak TLS and has no certificate (--tls-cert, --tls-key)")
            }
            Self::BadIdentity(error) => write!(f, "{error} (--tls-cert, --tls-key)"),
        }
    }
}

impl std::error::Error for StartError {}

impl Server {
    /// Opens every listener.
    ///
    /// # Errors
    /// [`StartError`], naming the address at fault.
    pub fn bind(config: Config) -> Result<Self, StartError> {
        if config.listen.is_empty() {
            return Err(StartError::NoListener);
        }
        let mut reactor = Reactor::new().map_err(StartError::System)?;
        let turn = reactor.turn();
        let controls = Controls::new(&turn.registry).map_err(StartError::System)?;
        let mut listeners = Vec::new();
        for (number, listen) in config.listen.iter().enumerate() {
            let fail = |error| StartError::Listen(listen.address, error);
            let mut listener = Listener::bind(listen.address, config.limits.max_queue).map_err(fail)?;
            let token = Token(FIRST_LISTENER + number);
            turn.registry.register(listener.tcp(), token, Interest::READABLE).map_err(fail)?;
            listeners.push((listener, *listen));
        }
        let first_admin = listeners.len();
        for (number, address) in (first_admin..).zip(&config.admin) {
            let fail = |error| StartError::Admin(*address, error);
            let mut listener = Listener::bind(*address, config.limits.max_queue).map_err(fail)?;
            let token = Token(FIRST_LISTENER + number);
            turn.registry.register(listener.tcp(), token, Interest::READABLE).map_err(fail)?;
            listeners.push((listener, Listen::new(*address, Root::Auto)));
        }
        let max_connections = max_connections(config.limits.max_connections, listeners.len())?;
        let now = turn.now;
        let exchange = Exchange::new(config, listeners, first_admin, controls, max_connections, now)?;
        Ok(Self { reactor, exchange })
    }

    /// Where it listens, in the order of the configuration, with the ports that the system chose.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        let listeners = &self.exchange.listeners[..self.exchange.first_admin];
        listeners.iter().map(|(listener, _)| listener.address()).collect()
    }

    /// Where administrators connect, in the order of the configuration, with the ports that the system chose.
    #[must_use]
    pub fn admin_addresses(&self) -> Vec<SocketAddr> {
        let listeners = &self.exchange.listeners[self.exchange.first_admin..];
        listeners.iter().map(|(listener, _)| listener.address()).collect()
    }

    /// Something to stop it with from another thread.
    #[must_use]
    pub fn handle(&self) -> Handle {
        self.exchange.controls.handle()
    }

    /// Lets `TERM` and `INT` drain it: the first says goodbye to every client, the second ends it at once. `HUP` has it
    /// read the certificate and its key again.
    ///
    /// # Errors
    /// As `sigaction(2)`.
    pub fn watch_signals(&mut self) -> io::Result<()> {
        self.exchange.controls.watch_signals(&self.reactor.turn().registry)
    }

    /// Serves until it is told to stop and everybody has gone.
    ///
    /// # Errors
    /// Only if the system refuses to wait for events.
    pub fn run(mut self) -> io::Result<()> {
        self.reactor.run(&mut self.exchange)
    }
}

impl Exchange {
    /// Whether there may be no more connections because there are no more descriptors.
    fn is_bound_by_descriptors(&self) -> bool {
        !(1..=self.max_connections).contains(&self.config.limits.max_connections)
    }

    /// What bounds connections, and sessions that come without one.
    fn connections_bound(&self) -> &'static str {
        match self.is_bound_by_descriptors() {
            true => "`ulimit -n`, above which no --max-connections goes",
            false => "--max-connections",
        }
    }

    /// What a client is told where there are as many as there may be. It is counted by the option, whose metrics have that
    /// number.
    fn too_many_connections(&self) -> &'static str {
        match self.is_bound_by_descriptors() {
            true => {
                "no file descriptor for more connections (raise `ulimit -n`; --max-connections is not what bounds them)"
            }
            false => "too many connections (--max-connections)",
        }
    }
}

/// Raises the limit on descriptors as far as the system lets us, and fits the limit on connections into it. One thread
/// and small tables make every descriptor worth having.
fn max_connections(wanted: usize, listeners: usize) -> Result<usize, StartError> {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current < maximum || (current.is_some() && maximum.is_none()) {
        // Refused, the old limit stays, which is read again below.
        let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
    }
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let own = OWN_DESCRIPTORS + DESCRIPTORS_PER_LISTENER * listeners as u64;
    let possible = usize::try_from(descriptors.saturating_sub(own)).unwrap_or(usize::MAX);
    if possible == 0 {
        return Err(StartError::NoDescriptors(descriptors, own));
    }
    if wanted > possible {
        warn!(
            "--max-connections {wanted} needs more file descriptors than the {descriptors} allowed; using {possible}"
        );
    }
    Ok(if wanted == 0 { possible } else { wanted.min(possible) })
}
