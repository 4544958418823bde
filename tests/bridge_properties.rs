//! What holds for the bridge's policy whatever the entries, hosts and addresses are (T14, T15).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use jackfield::net::address::Net;
use jackfield::net::targets::{Host, Targets, Verdict};
use proptest::prelude::*;

/// Whether `*:*` lets a name lead to `address`, on a machine that has no address of its own but loopback.
fn is_open(address: IpAddr, port: u16) -> bool {
    let targets = Targets::parse(&["*:*".to_owned()]).expect("a good entry");
    targets.judge("any.example", address, port, |_| false) == Verdict::Allowed
}

/// What no reading of the registries calls public.
fn is_plainly_special(address: Ipv4Addr) -> bool {
    let [a, b, ..] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_broadcast()
        || address.is_documentation()
        || address.is_multicast()
        || address.is_unspecified()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
}

fn address() -> impl Strategy<Value = IpAddr> {
    // Prefixes of what is special, so that random bits get there.
    let heads = prop::sample::select(vec![
        "::",
        "::1",
        "::ffff:0:0",
        "64:ff9b::",
        "64:ff9b:1::",
        "100::",
        "2001::",
        "2001:db8::",
        "2002::",
        "3fff::",
        "fc00::",
        "fe80::",
        "fec0::",
        "ff00::",
        "2600::",
        "2600::5efe:0:0",
    ]);
    prop_oneof![
        any::<u32>().prop_map(|bits| Ipv4Addr::from_bits(bits).into()),
        (prop::sample::select(vec![0, 10, 100, 127, 169, 172, 192, 198, 203, 224, 255]), any::<u32>())
            .prop_map(|(a, bits): (u32, u32)| Ipv4Addr::from_bits(a << 24 | bits >> 8).into()),
        any::<u128>().prop_map(|bits| Ipv6Addr::from_bits(bits).into()),
        (heads, any::<u128>(), 32..128_u32).prop_map(|(head, bits, shift)| Ipv6Addr::from_bits(
            head.parse::<Ipv6Addr>().expect("good").to_bits() | bits >> shift
        )
        .into()),
    ]
}

/// Texts that are often hosts.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{1,2}(\\.[a-cA-C]{1,2}){0,3}\\.?",
        "[0-9]{1,3}(\\.[0-9]{1,3}){0,4}\\.?",
        "(0x)?[0-9a-f]{1,8}(\\.[0-9]{1,3}){0,3}",
        "\\[?[0-9a-f:]{1,20}(%[a-z]{1,3})?\\]?",
        address().prop_map(|address| address.to_string()),
        "\\PC{0,20}",
    ]
}

/// Texts that are often entries.
fn entry() -> impl Strategy<Value = String> {
    let pattern = prop_oneof![
        3 => "(\\*\\.)?[a-c]{1,2}(\\.[a-c]{1,2}){0,2}",
        1 => Just("*".to_owned()),
        3 => (address(), 0..=128_u8).prop_map(|(address, prefix)| match range(address, prefix) {
            (first @ IpAddr::V4(_), prefix) => format!("{first}/{prefix}"),
            (first @ IpAddr::V6(_), prefix) => format!("[{first}]/{prefix}"),
        }),
        1 => "\\PC{0,8}",
    ];
    let ports =
        prop_oneof![3 => Just("*".to_owned()), 3 => "[1-9]{1,2}(-[1-9][0-9]{2})?(,[1-9][0-9]){0,2}", 1 => "\\PC{0,4}"];
    (pattern, ports).prop_map(|(pattern, ports)| format!("{pattern}:{ports}"))
}

/// The first address of the range that `address` is in, and a prefix that its family has.
fn range(address: IpAddr, prefix: u8) -> (IpAddr, u8) {
    match address {
        IpAddr::V4(v4) => {
            let prefix = prefix % 33;
            let mask = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            (Ipv4Addr::from_bits(v4.to_bits() & mask).into(), prefix)
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            (Ipv6Addr::from_bits(v6.to_bits() & mask).into(), prefix)
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn t14_names_never_open_what_is_plainly_special(address in address(), port in 1..=u16::MAX) {
        let is_allowed = is_open(address, port);
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                prop_assert!(!is_allowed || !is_plainly_special(v4), "{}", v4);
                let mapped = v4.to_ipv6_mapped();
                prop_assert_eq!(is_open(mapped.into(), port), is_allowed);
                // Within IPv6 as such, NAT64 and 6to4.
                let bits = u128::from(v4.to_bits());
                for embedded in [bits, 0x64ff9b << 96 | bits, 0x2002 << 112 | bits << 80] {
                    let embedded = Ipv6Addr::from_bits(embedded);
                    prop_assert!(!is_open(embedded.into(), port), "{}", embedded);
                }
            }
            IpAddr::V6(v6) => prop_assert!(!is_allowed || v6.segments()[0] >> 13 == 1, "{}", v6),
        }
    }

    #[test]
    fn ranges_hold_what_shares_their_prefix(
        one in address(), other in address(), prefix in 0..=128_u8, flip in 0..128_u32,
    ) {
        let bits = |address: IpAddr| match address {
            IpAddr::V4(v4) => (true, u128::from(v4.to_bits()) << 96),
            IpAddr::V6(v6) => (false, v6.to_bits()),
        };
        let (one, other) = (one.to_canonical(), other.to_canonical());
        let near = match one {
            IpAddr::V4(v4) => Ipv4Addr::from_bits(v4.to_bits() ^ 1 << (flip % 32)).into(),
            IpAddr::V6(v6) => IpAddr::from(Ipv6Addr::from_bits(v6.to_bits() ^ 1 << flip)).to_canonical(),
        };
        let (first, prefix) = range(one, prefix);
        let Ok(net) = format!("{first}/{prefix}").parse::<Net>() else {
            prop_assert!(first != first.to_canonical(), "{}/{} is refused", first, prefix);
            return Ok(());
        };
        for address in [one, other, near] {
            let differing = bits(address).1 ^ bits(one).1;
            let shares = bits(address).0 == bits(one).0 && differing.leading_zeros() >= u32::from(prefix);
            prop_assert_eq!(net.contains(address), shares, "{} in {}", address, net);
        }
        let again = net.to_string().replace(['[', ']'], "");
        prop_assert_eq!(again.parse::<Net>(), Ok(net));
    }

    /// The first question may say yes to what the second refuses, never the other way round; and neither panics.
    #[test]
    fn what_is_allowed_was_worth_a_lookup(
        entries in prop::collection::vec(entry(), 0..4),
        host in host(),
        address in address(),
        port in 0..200_u16,
        own: bool,
    ) {
        let alone = |entry: &String| Targets::parse(std::slice::from_ref(entry));
        let entries: Vec<String> = entries.into_iter().filter(|entry| alone(entry).is_ok()).collect();
        let targets = Targets::parse(&entries).expect("each is good");
        let address = match Host::read(&host) {
            Some(Host::Address(literal)) => literal,
            _ => address,
        };
        let verdict = targets.judge(&host, address, port, |_| own);
        if verdict == Verdict::Allowed {
            prop_assert!(port != 0 && targets.may_match(&host, port));
        }
        let is_unlisted = |own| targets.judge(&host, address, port, |_| own) == Verdict::Unlisted;
        prop_assert_eq!(is_unlisted(own), is_unlisted(!own));
        // What all entries say is what any of them says.
        let allows = |entry| alone(entry).expect("good").judge(&host, address, port, |_| own) == Verdict::Allowed;
        prop_assert_eq!(verdict == Verdict::Allowed, entries.iter().any(allows), "{:?}", entries);
        // Neither case nor the last dot changes what a name is.
        if let Some(Host::Name(name)) = Host::read(&host) {
            let other = format!("{}.", name.trim_end_matches('.').to_ascii_uppercase());
            if Host::read(&other).is_some() {
                prop_assert_eq!(targets.judge(&other, address, port, |_| own), verdict);
                prop_assert_eq!(targets.may_match(&other, port), targets.may_match(&host, port));
            }
        }
    }

    #[test]
    fn no_entry_panics(text in "\\PC*", short in "[\\[\\]a1:.,/*-]{0,16}") {
        for entry in [text, short] {
            if let Err(bad) = Targets::parse(std::slice::from_ref(&entry)) {
                prop_assert!(bad.to_string().len() > entry.len());
            }
        }
    }
}
