//! The responder with its thread, and the thread that forwards what it says. Layer 1.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use mdns_sd::{IfKind, Receiver, ResolvedService, ScopedIp, ServiceDaemon, ServiceEvent, ServiceInfo};

use super::MdnsEvent;
use crate::config::Lan;
use crate::net::interfaces::Networks;

/// The type of service, with its domain: named WebSockets (namedwebsockets, generation A).
const SERVICE: &str = "_ws._tcp.local.";

/// Events that wait for the loop; beyond them a flood is dropped.
const MAX_WAITING: usize = 1024;

/// Records that the responder may remember before it is started anew: it has no bound of its own.
const MAX_RECORDS: i64 = 20_000;

/// A subscription begins with all that the responder remembers, and ends at once if that is more than it holds. So one
/// that ended, while there are more records than this, begins with a responder that remembers nothing.
const MAX_RETOLD_RECORDS: i64 = 1000;

/// After this many events the forwarding thread asks how many records there are.
const CHECKED_EVERY: u32 = 512;

/// How long after a flood the responder is asked again for all it knows.
const CALM: Duration = Duration::from_secs(2);

/// Between two orders to a responder that had too many.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a withdrawal may take before the process ends.
const GOODBYE: Duration = Duration::from_millis(300);

/// A channel that is announced, or is to be.
struct Instance {
    name: String,
    txt: Vec<(&'static str, String)>,
}

/// Something that the responder, whose queue of orders was full, has not been told.
enum Order {
    Announce(String),
    Withdraw(String),
}

/// Announces channels, and hears of those of others.
pub struct Mdns {
    daemon: ServiceDaemon,
    place: Place,
    /// What is announced, by the channel's path.
    instances: BTreeMap<String, Instance>,
    late: VecDeque<Order>,
    shared: Arc<Shared>,
}

/// Where channels are announced, and as what.
struct Place {
    /// What names of this machine begin with, among those that announce.
    host: String,
    /// Empty: whatever addresses the interfaces have.
    addresses: Vec<IpAddr>,
    /// 0 if nobody else could come in: then nothing is announced.
    port: u16,
    interfaces: Vec<IfKind>,
    only_ipv4: bool,
}

struct Shared {
    events: Mutex<VecDeque<MdnsEvent>>,
    waker: Box<dyn Fn() + Send + Sync>,
    rate: u32,
    dropped: AtomicU64,
    off_link: bool,
    /// The responder remembered too much, and was ended.
    is_full: AtomicBool,
    /// Nobody listens any more.
    is_over: AtomicBool,
}

impl fmt::Debug for Mdns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mdns").field("instances", &self.instances.len()).finish_non_exhaustive()
    }
}

impl Mdns {
    /// Starts to browse. Channels are announced at the first of `listeners` that others can reach, by names that begin
    /// with `host`, as nobody else's must. `rate` bounds the events of a second; `waker` is called on a helper thread whenever
    /// one has come, and must not block.
    ///
    /// # Errors
    /// When the system refuses threads or sockets.
    pub fn start(
        lan: &Lan,
        rate: u32,
        host: &str,
        listeners: &[SocketAddr],
        waker: impl Fn() + Send + Sync + 'static,
    ) -> io::Result<Option<Self>> {
        let place = Place::new(lan, host, listeners);
        let shared = Arc::new(Shared {
            events: Mutex::default(),
            waker: Box::new(waker),
            rate,
            dropped: AtomicU64::new(0),
            off_link: lan.off_link,
            is_full: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
        });
        let daemon = start(&place, &shared)?;
        Ok(Some(Self { daemon, place, instances: BTreeMap::new(), late: VecDeque::new(), shared }))
    }

    /// Announces the channel `path` as `instance`, one label, with these entries.
    pub fn announce(&mut self, path: &str, instance: String, txt: Vec<(&'static str, String)>) {
        if self.place.port > 0 {
            self.instances.insert(path.to_owned(), Instance { name: instance, txt });
            self.late.push_back(Order::Announce(path.to_owned()));
            self.flush();
        }
    }

    /// Announces it no more.
    pub fn withdraw(&mut self, path: &str) {
        if let Some(Instance { name, .. }) = self.instances.remove(path) {
            self.late.push_back(Order::Withdraw(name));
            self.flush();
        }
    }

    /// Announces nothing any more.
    pub fn withdraw_all(&mut self) {
        let instances = std::mem::take(&mut self.instances);
        self.late = instances.into_values().map(|instance| Order::Withdraw(instance.name)).collect();
        self.flush();
    }

    /// Whether the responder has not been told everything.
    #[must_use]
    pub fn is_late(&self) -> bool {
        !self.late.is_empty()
    }

    /// Tells the responder what it could not be told before, as far as it takes orders.
    pub fn flush(&mut self) {
        while let Some(order) = self.late.front() {
            let told = match order {
                Order::Announce(path) => match self.instances.get(path).map(|instance| self.place.info(instance)) {
                    Some(Ok(info)) => self.daemon.register(info),
                    // Withdrawn meanwhile; or it is no name, and never will be.
                    None | Some(Err(_)) => Ok(()),
                },
                Order::Withdraw(name) => match full_name(name) {
                    Some(name) => self.daemon.unregister(&name).map(drop),
                    None => Ok(()),
                },
            };
            match told {
                Err(mdns_sd::Error::Again) => return,
                // One that has ended is replaced when that is noticed; there is nobody to tell now.
                _ => self.late.pop_front(),
            };
        }
    }

    /// The next thing that was heard of others; never blocks.
    pub fn next_event(&mut self) -> Option<MdnsEvent> {
        if self.shared.is_full.swap(false, Ordering::Relaxed) {
            self.restart();
        }
        self.shared.events().pop_front()
    }

    /// How many announcements came too fast.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }

    /// A responder that remembers nothing takes the place of this one.
    fn restart(&mut self) {
        log::warn!("announcements of others are more than can be remembered: forgetting them all");
        match start(&self.place, &self.shared) {
            Ok(daemon) => self.daemon = daemon,
            Err(error) => return log::warn!("channels are not announced any more: {error}"),
        }
        self.late = self.instances.keys().cloned().map(Order::Announce).collect();
        self.flush();
    }
}

impl Drop for Mdns {
    /// Says goodbye, for a moment at most.
    fn drop(&mut self) {
        self.shared.is_over.store(true, Ordering::Relaxed);
        self.withdraw_all();
        if let Ok(status) = self.daemon.shutdown() {
            let _ = status.recv_timeout(GOODBYE);
        }
    }
}

/// Starts a responder that browses, and the thread that forwards what it says.
fn start(place: &Place, shared: &Arc<Shared>) -> io::Result<ServiceDaemon> {
    let daemon = ServiceDaemon::new().map_err(io::Error::other)?;
    let apply = || -> mdns_sd::Result<Receiver<ServiceEvent>> {
        if place.interfaces.is_empty() {
            daemon.disable_interface(vec![IfKind::LoopbackV4, IfKind::LoopbackV6])?;
        } else {
            daemon.disable_interface(IfKind::All)?;
            daemon.enable_interface(place.interfaces.clone())?;
        }
        daemon.browse(SERVICE)
    };
    let events = apply().map_err(io::Error::other)?;
    let (shared, browser) = (Arc::clone(shared), daemon.clone());
    thread::Builder::new().name("announcements".to_owned()).spawn(move || forward(&shared, &browser, events))?;
    Ok(daemon)
}

/// What the forwarding thread does, until its responder has ended.
fn forward(shared: &Shared, daemon: &ServiceDaemon, mut events: Receiver<ServiceEvent>) {
    let mut budget = Budget { second: Instant::now(), left: shared.rate, networks: Networks::now() };
    let (mut seen, mut was_flooded) = (0u32, false);
    loop {
        let event = if was_flooded {
            match events.recv_timeout(CALM) {
                Err(mdns_sd::RecvTimeoutError::Timeout) => {
                    // It is over: whoever was lost in it is heard of again.
                    was_flooded = false;
                    let _ = daemon.stop_browse(SERVICE);
                    continue;
                }
                event => event.ok(),
            }
        } else {
            events.recv().ok()
        };
        if shared.is_over.load(Ordering::Relaxed) {
            return;
        }
        seen = seen.wrapping_add(1);
        let bound = match event {
            Some(_) => MAX_RECORDS,
            None => MAX_RETOLD_RECORDS,
        };
        if (event.is_none() || seen.is_multiple_of(CHECKED_EVERY)) && records(daemon) > bound {
            return give_up(shared, daemon);
        }
        let Some(event) = event else {
            // A subscription ends when it was asked to, when we were too slow for it, or with the responder.
            match daemon.browse(SERVICE) {
                Ok(again) => events = again,
                Err(mdns_sd::Error::Again) => thread::sleep(PAUSE),
                Err(_) => return,
            }
            continue;
        };
        let is_of_use = matches!(event, ServiceEvent::ServiceResolved(_) | ServiceEvent::ServiceRemoved(..));
        if is_of_use && !budget.take(shared.rate) {
            was_flooded = true;
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        let event = match event {
            ServiceEvent::ServiceResolved(service) => found(&service, &budget.networks, shared.off_link),
            ServiceEvent::ServiceRemoved(_, name) => Some(MdnsEvent::Lost(name)),
            _ => None,
        };
        let Some(event) = event else { continue };
        let mut waiting = shared.events();
        if waiting.len() >= MAX_WAITING {
            was_flooded = true;
            shared.dropped.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        waiting.push_back(event);
        drop(waiting);
        (shared.waker)();
    }
}

/// Ends a responder that remembers too much; the loop starts another. Not at once: a flood that goes on would have us do
/// nothing else.
fn give_up(shared: &Shared, daemon: &ServiceDaemon) {
    if let Ok(status) = daemon.shutdown() {
        let _ = status.recv_timeout(CALM);
    }
    thread::sleep(CALM);
    shared.is_full.store(true, Ordering::Relaxed);
    (shared.waker)();
}

/// How many records the responder remembers; 0 when it does not say.
fn records(daemon: &ServiceDaemon) -> i64 {
    let metrics = daemon.get_metrics().ok().and_then(|metrics| metrics.recv_timeout(CALM).ok()).unwrap_or_default();
    metrics.iter().filter(|(name, _)| name.starts_with("cached-")).map(|(_, count)| *count).sum()
}

/// What a service says of itself, with the addresses that may be dialled; `None` if there are none.
fn found(service: &ResolvedService, networks: &Networks, off_link: bool) -> Option<MdnsEvent> {
    let port = service.get_port();
    let may_dial = |address: &IpAddr| off_link || networks.contains(*address);
    let mut addresses: Vec<SocketAddr> = service
        .get_addresses()
        .iter()
        .take(MAX_ADDRESSES)
        .filter(|address| may_dial(&address.to_ip_addr()))
        .map(|address| match address {
            ScopedIp::V6(scoped) if scoped.addr().is_unicast_link_local() => {
                SocketAddrV6::new(*scoped.addr(), port, 0, scoped.scope_id().index).into()
            }
            address => SocketAddr::new(address.to_ip_addr(), port),
        })
        .collect();
    // IPv4 first, then what needs no scope.
    addresses.sort_by_key(|address| match address {
        SocketAddr::V4(_) => 0,
        SocketAddr::V6(address) => 1 + u8::from(address.scope_id() != 0),
    });
    if addresses.is_empty() || port == 0 {
        return None;
    }
    let txt = service.get_properties().iter();
    let txt = txt.take(MAX_ENTRIES).map(|entry| (entry.key().to_owned(), entry.val().unwrap_or_default().to_vec()));
    Some(MdnsEvent::Found { name: service.get_fullname().to_owned(), addresses, txt: txt.collect() })
}

/// Addresses and TXT entries of one announcement that are looked at.
const MAX_ADDRESSES: usize = 16;
const MAX_ENTRIES: usize = 16;

/// What an instance is called in full, as the responder spells it.
fn full_name(name: &str) -> Option<String> {
    let info = ServiceInfo::new(SERVICE, name, "x.local.", (), 1, &[] as &[(&str, &str)]);
    info.ok().map(|info| info.get_fullname().to_owned())
}

impl Place {
    fn new(lan: &Lan, host: &str, listeners: &[SocketAddr]) -> Self {
        let is_reachable = |address: &&SocketAddr| !address.ip().to_canonical().is_loopback();
        let listener = listeners.iter().find(is_reachable);
        let addresses = listener.map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).into_iter().collect();
        let interface = |text: &String| text.parse().map_or_else(|_| IfKind::Name(text.clone()), IfKind::Addr);
        Self {
            host: host.to_owned(),
            addresses,
            port: listener.map_or(0, SocketAddr::port),
            interfaces: lan.interfaces.iter().map(interface).collect(),
            only_ipv4: listener.is_some_and(SocketAddr::is_ipv4),
        }
    }

    fn info(&self, instance: &Instance) -> mdns_sd::Result<ServiceInfo> {
        // A withdrawal takes the records of the host along, so each instance has a host of its own.
        let host = format!("{}-{}.local.", self.host, instance.name.get(..8).unwrap_or_default());
        let (name, txt) = (&instance.name, &instance.txt[..]);
        let info = ServiceInfo::new(SERVICE, name, &host, &self.addresses[..], self.port, txt)?;
        let mut info = if self.addresses.is_empty() { info.enable_addr_auto() } else { info };
        if self.only_ipv4 && self.addresses.is_empty() {
            info.set_interfaces(vec![IfKind::IPv4]);
        }
        // The name holds random bits of this very run, so nobody has it: no need to ask around for a second.
        info.set_requires_probe(false);
        Ok(info)
    }
}

/// What is done in one second.
struct Budget {
    second: Instant,
    left: u32,
    /// As of its beginning.
    networks: Networks,
}

impl Budget {
    fn take(&mut self, rate: u32) -> bool {
        if self.second.elapsed() >= Duration::from_secs(1) {
            *self = Self { second: Instant::now(), left: rate, networks: Networks::now() };
        }
        let is_left = self.left > 0;
        self.left = self.left.saturating_sub(1);
        is_left
    }
}

impl Shared {
    /// A panic while the lock is held is a bug of ours, and leaves a queue that is still a queue.
    fn events(&self) -> MutexGuard<'_, VecDeque<MdnsEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
