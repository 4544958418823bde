//! Which networks this machine is on. Layer 1.
//!
//! Asked at start, for each announcement and each link that comes, and for a page of this machine, never for a message.

use std::net::{IpAddr, SocketAddr};

use crate::config::Listen;

/// The networks that this machine is on at one moment.
#[derive(Clone, Debug, Default)]
pub struct Networks(Vec<(IpAddr, u8)>);

impl Networks {
    /// Asks the system, for those of all interfaces but loopback. When it does not say, there are none.
    #[cfg(feature = "discovery")]
    #[must_use]
    pub fn now() -> Self {
        let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
        let own =
            interfaces.iter().filter(|interface| !interface.is_loopback()).map(|interface| match &interface.addr {
                if_addrs::IfAddr::V4(own) => (own.ip.into(), own.prefixlen),
                if_addrs::IfAddr::V6(own) => (own.ip.into(), own.prefixlen),
            });
        Self(own.collect())
    }

    /// Without `discovery` nothing asks the system: who is no listed peer is no neighbour.
    #[cfg(not(feature = "discovery"))]
    #[must_use]
    pub fn now() -> Self {
        Self::default()
    }

    /// Whether `address` is on one of them.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|(own, prefix)| shares_prefix(*own, address, *prefix))
    }
}

/// This machine's addresses that others on its networks can write down, IPv4 first: those of all interfaces but loopback,
/// without those of one link only, which need a zone and are no part of a URL. When the system does not say, there are
/// none.
#[must_use]
pub fn own_addresses() -> Vec<IpAddr> {
    let mut own = system_addresses();
    own.retain(is_written);
    own.sort_by_key(IpAddr::is_ipv6);
    own
}

#[cfg(any(feature = "discovery", feature = "tls"))]
fn system_addresses() -> Vec<IpAddr> {
    if_addrs::get_if_addrs().unwrap_or_default().iter().map(if_addrs::Interface::ip).collect()
}

/// Without both features nothing asks the system.
#[cfg(not(any(feature = "discovery", feature = "tls")))]
fn system_addresses() -> Vec<IpAddr> {
    Vec::new()
}

fn is_written(address: &IpAddr) -> bool {
    !address.is_loopback()
        && match address {
            IpAddr::V4(v4) => !v4.is_link_local(),
            IpAddr::V6(v6) => !v6.is_unicast_link_local(),
        }
}

/// Where other machines reach what is bound to `bound` on this one, which has the addresses `own`. What is bound to every
/// IPv6 address is to every IPv4 address, too, as systems do that unless told otherwise.
fn from_network(bound: SocketAddr, own: &[IpAddr]) -> impl Iterator<Item = SocketAddr> {
    let ip = bound.ip().to_canonical();
    let own = own.iter().filter(move |own| ip.is_unspecified() && (ip.is_ipv6() || own.is_ipv4()));
    let itself = Some(ip).filter(|ip| !ip.is_unspecified() && is_written(ip));
    own.copied().chain(itself).map(move |ip| SocketAddr::new(ip, bound.port()))
}

/// The console as other machines open it: its URLs on those of `listeners`, each with where it is bound, that expect no proxy.
pub fn console_urls<'l>(
    listeners: impl Iterator<Item = (SocketAddr, &'l Listen)>,
    own: &'l [IpAddr],
) -> impl Iterator<Item = String> {
    listeners.filter(|(_, listen)| !listen.proxy).flat_map(move |(bound, listen)| {
        let http = if listen.tls { "https" } else { "http" };
        from_network(bound, own).map(move |address| format!("{http}://{address}/console"))
    })
}

/// Whether `address` is on a network that this machine is on, or is this machine.
#[must_use]
pub fn is_neighbour(address: IpAddr) -> bool {
    address.to_canonical().is_loopback() || Networks::now().contains(address)
}

/// Whether the first `prefix` bits are the same.
fn shares_prefix(one: IpAddr, other: IpAddr, prefix: u8) -> bool {
    let differing = match (one, other) {
        (IpAddr::V4(one), IpAddr::V4(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        (IpAddr::V6(one), IpAddr::V6(other)) => (one.to_bits() ^ other.to_bits()).leading_zeros(),
        _ => return false,
    };
    differing >= u32::from(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_its_prefix() {
        let shares = |one: &str, other: &str, prefix| {
            shares_prefix(one.parse().expect("address"), other.parse().expect("address"), prefix)
        };
        assert!(shares("192.168.1.2", "192.168.1.77", 24) && !shares("192.168.1.2", "192.168.2.77", 24));
        assert!(shares("10.0.0.1", "10.255.0.1", 8) && !shares("10.0.0.1", "10.0.0.2", 32));
        assert!(shares("10.0.0.1", "10.0.0.1", 32) && shares("10.0.0.1", "192.0.2.1", 0));
        assert!(shares("fe80::1", "fe80::2", 64) && !shares("fe80::1", "fe80:0:0:1::2", 64));
        assert!(!shares("10.0.0.1", "::a00:1", 0));
    }

    #[test]
    fn what_is_bound_to_every_address_is_reached_at_each_of_its_kind() {
        let own = ["192.0.2.2", "10.0.0.1", "2001:db8::2"].map(|own| own.parse().expect("address"));
        for (bound, reached) in [
            ("0.0.0.0:9", &["192.0.2.2:9", "10.0.0.1:9"][..]),
            ("[::]:9", &["192.0.2.2:9", "10.0.0.1:9", "[2001:db8::2]:9"]),
            ("[::ffff:10.0.0.1]:9", &["10.0.0.1:9"]),
            ("10.0.0.1:9", &["10.0.0.1:9"]),
            ("127.0.0.1:9", &[]),
            ("[::1]:9", &[]),
            ("[::ffff:127.0.0.1]:9", &[]),
            ("[fe80::1]:9", &[]),
        ] {
            let from_network = from_network(bound.parse().expect("address"), &own);
            assert_eq!(from_network.map(|address| address.to_string()).collect::<Vec<_>>(), reached, "{bound}");
        }
        assert!(own_addresses().iter().all(is_written));
    }

    #[test]
    fn this_machine_is_a_neighbour() {
        for address in ["127.0.0.1", "::1", "::ffff:127.0.0.1"] {
            assert!(is_neighbour(address.parse().expect("address")), "{address}");
        }
    }
}
