//! What kind of address an address is: public, or special and why. Layer 1, pure but for [`is_own`].
//!
//! Public means that an address leads to the Internet and nowhere else, so that reaching it through this machine gives
//! nobody more than they have. Everything that the registries of special-purpose addresses name (IANA, RFC 6890) is
//! special, and so is every IPv6 address that carries an IPv4 address, whichever that is: a translator on the way
//! decides where those lead. Not known here are translators with a prefix of their own network (RFC 6052 §2.2), whose
//! addresses look like any other.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::str::FromStr;

use rustix::io::Errno;

/// A range of addresses that share a prefix, as CIDR writes it (RFC 4632 §3.1).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Net {
    /// Invariant: bits behind `prefix` are 0; never an IPv4-mapped address.
    first: IpAddr,
    /// Invariant: ≤ 32 or ≤ 128, as the family has it.
    prefix: u8,
}

impl Net {
    /// Exactly one address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        let first = address.to_canonical();
        Self { first, prefix: bits(first) }
    }

    const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    /// From the first three and the last of eight groups; nothing special needs the others.
    const fn v6(a: u16, b: u16, c: u16, h: u16, prefix: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::new(a, b, c, 0, 0, 0, 0, h)), prefix }
    }

    /// Whether `address` lies in it. An IPv4-mapped address counts as the IPv4 address that it is on the wire.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        bits(address) == bits(self.first) && masked(address, self.prefix) == self.first
    }

    /// Whether both have an address in common.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.first) || other.contains(self.first)
    }
}

impl FromStr for Net {
    type Err = BadNet;

    /// Reads `ADDRESS` or `ADDRESS/PREFIX`, without brackets.
    fn from_str(text: &str) -> Result<Self, BadNet> {
        let (address, prefix) = text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let first: IpAddr = address.parse().map_err(|_| BadNet::Address)?;
        if first != first.to_canonical() {
            return Err(BadNet::Mapped(first.to_canonical()));
        }
        let Some(digits) = prefix else { return Ok(Self::of(first)) };
        // `parse` alone would take "+8" and "008".
        let is_number = digits.bytes().all(|b| b.is_ascii_digit()) && (digits.len() == 1 || !digits.starts_with('0'));
        let prefix = digits.parse().ok().filter(|&prefix| is_number && prefix <= bits(first));
        let prefix = prefix.ok_or(BadNet::Prefix(bits(first)))?;
        match masked(first, prefix) {
            start if start == first => Ok(Self { first, prefix }),
            start => Err(BadNet::Inside(Self { first: start, prefix })),
        }
    }
}

impl fmt::Display for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first {
            IpAddr::V4(first) => write!(f, "{first}")?,
            IpAddr::V6(first) => write!(f, "[{first}]")?,
        }
        if self.prefix == bits(self.first) { Ok(()) } else { write!(f, "/{}", self.prefix) }
    }
}

/// Why a text is no [`Net`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BadNet {
    /// What stands before the `/` is no address in its usual spelling.
    Address,
    /// The prefix is no number up to this one.
    Prefix(u8),
    /// The address is not the first of its range, which is this one.
    Inside(Net),
    /// An IPv4-mapped address, which is judged as this one.
    Mapped(IpAddr),
}

impl fmt::Display for BadNet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address => f.write_str("expected an address or a range, such as 10.0.0.5 or 10.0.0.0/8"),
            Self::Prefix(most) => write!(f, "the prefix must be from 0 to {most}"),
            Self::Inside(net) => write!(f, "the range begins elsewhere: {net}"),
            Self::Mapped(address) => write!(f, "an IPv4 address in IPv6 is judged as IPv4: {address}"),
        }
    }
}

impl std::error::Error for BadNet {}

/// The bits of an address of its family.
const fn bits(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// `address` with the bits behind `prefix` cleared.
fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// Where an address leads that is not public, in words that stand behind "is".
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Special(pub &'static str);

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// An address for which [`is_own`] says yes.
pub const OWN: Special = Special("an address of this machine or of its network");

/// Why `address` is not public; `None` when it is. An IPv4-mapped address is judged as what it is on the wire.
#[must_use]
pub fn special(address: IpAddr) -> Option<Special> {
    let address = address.to_canonical();
    let listed = SPECIAL.iter().find(|(net, _)| net.contains(address)).map(|(_, what)| Special(what));
    match address {
        IpAddr::V4(_) => listed,
        IpAddr::V6(address) if is_isatap(address) => Some(Special("an IPv4 address within IPv6 (ISATAP)")),
        IpAddr::V6(_) if GLOBAL_UNICAST.contains(address) => listed,
        IpAddr::V6(_) => listed.or(Some(Special("reserved"))),
    }
}

/// Whether every address of `net` is public, as far as ranges tell.
#[must_use]
pub fn is_public(net: &Net) -> bool {
    special(net.first).is_none() && !SPECIAL.iter().any(|(special, _)| special.overlaps(net))
}

/// Whether `address` is one of this machine's, or an IPv6 address of the /64 that this machine would reach it from:
/// neighbours are often sheltered from the Internet by the same router, whatever their addresses look like.
///
/// Nothing is sent: the system is asked which address it would send from, and to itself it sends from the address
/// itself. When it cannot be asked, as without a free descriptor, the answer is yes, which refuses; where nothing leads
/// to the address there is nothing to refuse. Not known are other networks behind the same router.
#[must_use]
pub fn is_own(address: IpAddr) -> bool {
    is_reached_from(address, is_near)
}

/// Whether who listens at `bound` hears what is sent to `address`, on the same port: it is the same address, or `bound` is
/// every address and `address` one of this machine's. Asks the system, as [`is_own`].
#[must_use]
pub fn leads_to(address: IpAddr, bound: IpAddr) -> bool {
    let bound = bound.to_canonical();
    let address = match address.to_canonical() {
        // What is sent there goes to this machine.
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Ipv6Addr::LOCALHOST.into(),
        address => address,
    };
    let is_here = || address.is_loopback() || is_reached_from(address, |local, address| local == address);
    // Every IPv6 address is mostly every IPv4 address, too.
    address == bound || (bound.is_unspecified() && (address.is_ipv4() || bound.is_ipv6()) && is_here())
}

/// Whether `judge` says so of the address that the system would send from to `address`, and of that.
fn is_reached_from(address: IpAddr, judge: impl FnOnce(IpAddr, IpAddr) -> bool) -> bool {
    let address = address.to_canonical();
    let any: IpAddr = if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = match UdpSocket::bind((any, 0)) {
        Ok(socket) => socket,
        Err(error) => return error.raw_os_error() != Some(Errno::AFNOSUPPORT.raw_os_error()),
    };
    if socket.connect((address, DISCARD_PORT)).is_err() {
        return false;
    }
    socket.local_addr().map_or(true, |local| judge(local.ip().to_canonical(), address))
}

/// Where a socket is connected to that sends nothing.
const DISCARD_PORT: u16 = 9;

/// Whether what is sent from `local` to `address` stays on this machine or, as far as IPv6 tells, on its link.
fn is_near(local: IpAddr, address: IpAddr) -> bool {
    match (local, address) {
        (IpAddr::V6(_), IpAddr::V6(_)) => masked(local, 64) == masked(address, 64),
        _ => local == address,
    }
}

/// An interface identifier of ISATAP: `0000:5EFE`, with the bits for "universal" and "group" either way, and an IPv4
/// address behind it (RFC 5214 §6.1).
fn is_isatap(address: Ipv6Addr) -> bool {
    let [_, _, _, _, flags, marker, _, _] = address.segments();
    flags & !0x0300 == 0 && marker == 0x5efe
}

/// All of IPv6 that is assigned to be reached from anywhere (RFC 4291 §2.4, IANA's registry).
const GLOBAL_UNICAST: Net = Net::v6(0x2000, 0, 0, 0, 3);

const THIS_NETWORK: &str = "unspecified, which means this machine";
const LOOPBACK: &str = "loopback";
const PRIVATE: &str = "private";
const METADATA: &str = "a cloud's metadata service";
const LINK_LOCAL: &str = "link-local";
const MULTICAST: &str = "multicast";
const DOCUMENTATION: &str = "for documentation";
const BENCHMARKING: &str = "for benchmarks";
const RESERVED: &str = "reserved";
const DISCARD: &str = "discarded on the way";

/// Every range that is not public; the first that holds an address names it.
const SPECIAL: &[(Net, &str)] = &[
    (Net::v4(0, 0, 0, 0, 8), THIS_NETWORK),                            // RFC 791 §3.2
    (Net::v4(10, 0, 0, 0, 8), PRIVATE),                                // RFC 1918
    (Net::v4(100, 100, 100, 200, 32), METADATA),                       // Alibaba's
    (Net::v4(100, 64, 0, 0, 10), "behind a provider's NAT"),           // RFC 6598
    (Net::v4(127, 0, 0, 0, 8), LOOPBACK),                              // RFC 1122 §3.2.1.3
    (Net::v4(168, 63, 129, 16, 32), METADATA),                         // Azure's, which looks public
    (Net::v4(169, 254, 169, 254, 32), METADATA),                       // nearly everybody's
    (Net::v4(169, 254, 0, 0, 16), LINK_LOCAL),                         // RFC 3927
    (Net::v4(172, 16, 0, 0, 12), PRIVATE),                             // RFC 1918
    (Net::v4(192, 0, 0, 0, 24), "assigned to protocols"),              // RFC 6890 §2.1, Oracle's metadata service too
    (Net::v4(192, 0, 2, 0, 24), DOCUMENTATION),                        // RFC 5737
    (Net::v4(192, 88, 99, 0, 24), "a relay of 6to4"),                  // RFC 7526
    (Net::v4(192, 168, 0, 0, 16), PRIVATE),                            // RFC 1918
    (Net::v4(198, 18, 0, 0, 15), BENCHMARKING),                        // RFC 2544
    (Net::v4(198, 51, 100, 0, 24), DOCUMENTATION),                     // RFC 5737
    (Net::v4(203, 0, 113, 0, 24), DOCUMENTATION),                      // RFC 5737
    (Net::v4(224, 0, 0, 0, 4), MULTICAST),                             // RFC 5771
    (Net::v4(255, 255, 255, 255, 32), "broadcast"),                    // RFC 919
    (Net::v4(240, 0, 0, 0, 4), RESERVED),                              // RFC 1112 §4
    (Net::v6(0, 0, 0, 0, 128), THIS_NETWORK),                          // RFC 4291 §2.5.2
    (Net::v6(0, 0, 0, 1, 128), LOOPBACK),                              // RFC 4291 §2.5.3
    (Net::v6(0, 0, 0, 0, 96), "an IPv4 address within IPv6"),          // RFC 4291 §2.5.5.1
    (Net::v6(0x64, 0xff9b, 0, 0, 96), "an IPv4 address behind NAT64"), // RFC 6052
    (Net::v6(0x64, 0xff9b, 1, 0, 48), "an IPv4 address behind NAT64"), // RFC 8215
    (Net::v6(0x100, 0, 0, 0, 64), DISCARD),                            // RFC 6666
    (Net::v6(0x2001, 0, 0, 0, 32), "an IPv4 address within IPv6 (Teredo)"), // RFC 4380
    (Net::v6(0x2001, 2, 0, 0, 48), BENCHMARKING),                      // RFC 5180
    (Net::v6(0x2001, 0, 0, 0, 23), "assigned to protocols"),           // RFC 2928
    (Net::v6(0x2001, 0xdb8, 0, 0, 32), DOCUMENTATION),                 // RFC 3849
    (Net::v6(0x2002, 0, 0, 0, 16), "an IPv4 address within IPv6 (6to4)"), // RFC 3056
    (Net::v6(0x3fff, 0, 0, 0, 20), DOCUMENTATION),                     // RFC 9637
    (Net::v6(0xfd00, 0xec2, 0, 0x254, 128), METADATA),                 // Amazon's
    (Net::v6(0xfc00, 0, 0, 0, 7), PRIVATE),                            // RFC 4193
    (Net::v6(0xfe80, 0, 0, 0, 10), LINK_LOCAL),                        // RFC 4291 §2.5.6
    (Net::v6(0xfec0, 0, 0, 0, 10), PRIVATE),                           // RFC 3879
    (Net::v6(0xff00, 0, 0, 0, 8), MULTICAST),                          // RFC 4291 §2.7
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_the_machine_itself_and_its_ipv6_link() {
        let near = |local: &str, address: &str| is_near(local.parse().unwrap(), address.parse().unwrap());
        assert!(near("93.184.216.34", "93.184.216.34") && !near("93.184.216.34", "93.184.216.35"));
        assert!(near("2600:1:2:3::1", "2600:1:2:3::1") && near("2600:1:2:3::1", "2600:1:2:3:ffff::"));
        assert!(!near("2600:1:2:3::1", "2600:1:2:4::1"));
    }

    #[test]
    fn who_listens_everywhere_hears_what_this_machine_is_sent() {
        let leads = |address: &str, bound: &str| leads_to(address.parse().unwrap(), bound.parse().unwrap());
        for (address, bound) in [
            ("127.0.0.1", "127.0.0.1"),
            ("0.0.0.0", "127.0.0.1"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
            ("127.0.0.1", "::ffff:127.0.0.1"),
            ("::", "::1"),
            ("127.9.9.9", "0.0.0.0"),
            ("0.0.0.0", "0.0.0.0"),
            ("127.0.0.1", "::"),
            ("::1", "::"),
            ("192.0.2.7", "192.0.2.7"),
        ] {
            assert!(leads(address, bound), "{address} {bound}");
        }
        for (address, bound) in [
            ("127.0.0.2", "127.0.0.1"),
            ("::1", "0.0.0.0"),
            ("::1", "127.0.0.1"),
            ("192.0.2.7", "127.0.0.1"),
            ("203.0.113.7", "0.0.0.0"),
            ("2001:db8::7", "::"),
        ] {
            assert!(!leads(address, bound), "{address} {bound}");
        }
    }

    #[test]
    fn the_first_range_that_holds_an_address_is_the_narrowest() {
        for (index, (one, what)) in SPECIAL.iter().enumerate() {
            assert_eq!(masked(one.first, one.prefix), one.first, "{one} is {what}");
            for (other, _) in &SPECIAL[..index] {
                assert!(!other.contains(one.first) || other.prefix > one.prefix, "{one} is hidden by {other}");
            }
        }
    }
}
