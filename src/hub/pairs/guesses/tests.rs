use std::net::{Ipv4Addr, Ipv6Addr};

use super::*;

fn limits() -> Limits {
    Limits { guess_burst: 3, guess_interval: Duration::from_secs(1), ..Limits::default() }
}

fn v4(last: u32) -> Option<IpAddr> {
    Some(Ipv4Addr::from_bits(0xC633_6400 + last).into())
}

fn spend(guesses: &mut Guesses, address: Option<IpAddr>, now: Instant) -> u32 {
    let limits = limits();
    (0..1000)
        .take_while(|_| {
            let may = guesses.wait(address, now, &limits).is_none();
            may.then(|| guesses.charge(address, now, &limits)).is_some()
        })
        .count() as u32
}

#[test]
fn a_burst_is_spent_and_earned_back() {
    let (mut guesses, limits, start) = (Guesses::default(), limits(), Instant::now());
    assert_eq!(spend(&mut guesses, v4(1), start), 3);
    assert_eq!(guesses.wait(v4(1), start, &limits), Some(Duration::from_secs(1)));
    let later = start + Duration::from_millis(400);
    assert_eq!(guesses.wait(v4(1), later, &limits), Some(Duration::from_millis(600)));
    assert_eq!(spend(&mut guesses, v4(1), start + Duration::from_secs(1)), 1);
    assert_eq!(spend(&mut guesses, v4(1), start + Duration::from_secs(3)), 2);
    assert_eq!(spend(&mut guesses, v4(1), start + Duration::from_secs(1000)), 3);
}

#[test]
fn waiting_costs_nothing() {
    let (mut guesses, limits, start) = (Guesses::default(), limits(), Instant::now());
    spend(&mut guesses, v4(1), start);
    for _ in 0..100 {
        assert!(guesses.wait(v4(1), start, &limits).is_some());
    }
    assert_eq!(guesses.wait(v4(1), start + limits.guess_interval, &limits), None);
}

#[test]
fn addresses_do_not_pay_for_each_other() {
    let (mut guesses, start) = (Guesses::default(), Instant::now());
    assert_eq!(spend(&mut guesses, v4(1), start), 3);
    assert_eq!(spend(&mut guesses, v4(2), start), 3);
}

#[test]
fn an_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
    let (mut guesses, start) = (Guesses::default(), Instant::now());
    let v6 = |text: &str| Some(IpAddr::V6(text.parse::<Ipv6Addr>().unwrap()));
    assert_eq!(spend(&mut guesses, v6("2001:db8:0:1::1"), start), 3);
    assert_eq!(spend(&mut guesses, v6("2001:db8:0:1:ffff::9"), start), 0);
    assert_eq!(spend(&mut guesses, v6("2001:db8:0:2::1"), start), 3);
    assert_eq!(spend(&mut guesses, v6("::ffff:198.51.100.1"), start), 3);
    assert_eq!(spend(&mut guesses, v4(1), start), 0);
}

#[test]
fn loopback_and_sessions_without_a_socket_are_exempt() {
    let (mut guesses, start) = (Guesses::default(), Instant::now());
    for address in ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"] {
        assert_eq!(spend(&mut guesses, Some(address.parse().unwrap()), start), 1000, "{address}");
    }
    assert_eq!(spend(&mut guesses, None, start), 1000);
    assert!(guesses.is_empty());
}

#[test]
fn extreme_limits_neither_panic_nor_lock_out() {
    let start = Instant::now();
    for guess_interval in [Duration::ZERO, Duration::from_nanos(1), Duration::MAX] {
        for guess_burst in [0, 1, u32::MAX] {
            let limits = Limits { guess_burst, guess_interval, ..Limits::default() };
            let mut guesses = Guesses::default();
            for _ in 0..3 {
                guesses.charge(v4(1), start, &limits);
                let _ = guesses.wait(v4(1), start, &limits);
            }
            assert_eq!(guesses.wait(v4(2), start, &limits), None);
            let is_limited = guess_interval > Duration::ZERO && guess_burst < 4;
            assert_eq!(guesses.wait(v4(1), start, &limits).is_some(), is_limited, "{guess_burst} {guess_interval:?}");
        }
    }
}

#[test]
fn restored_addresses_are_forgotten() {
    let (mut guesses, limits, start) = (Guesses::default(), limits(), Instant::now());
    for second in 0..2000 {
        guesses.charge(v4(second), start + Duration::from_secs(second.into()), &limits);
        assert!(guesses.len() <= FIRST_SWEEP, "{}", guesses.len());
    }
}

#[test]
fn a_flood_of_addresses_is_bounded_and_resets_nobody() {
    let (mut guesses, limits, start) = (Guesses::default(), limits(), Instant::now());
    let scanner = v4(1);
    assert_eq!(spend(&mut guesses, scanner, start), 3);
    for host in 0..2 * MAX_ADDRESSES as u32 {
        guesses.charge(Some(Ipv4Addr::from_bits(0x0A00_0000 + host).into()), start, &limits);
    }
    assert_eq!(guesses.len(), MAX_ADDRESSES);
    assert!(guesses.wait(scanner, start, &limits).is_some(), "the scanner's debt is remembered");
    let flooder = Some(Ipv4Addr::new(10, 255, 0, 1).into());
    assert!(guesses.wait(flooder, start, &limits).is_some(), "the flooders' network has spent its share");
    assert_eq!(guesses.wait(v4(2), start, &limits), None, "other networks have not");
    assert_eq!(spend(&mut guesses, v4(2), start), 3, "and share a budget of their own");
    assert_eq!(spend(&mut guesses, v4(3), start), 0);

    let later = start + Duration::from_secs(10_000);
    guesses.charge(v4(4), later, &limits);
    assert_eq!(guesses.len(), 1);
    assert!(guesses.shared.is_empty());
}

#[test]
fn ipv6_floods_share_the_budget_of_their_network() {
    let (mut guesses, limits, start) = (Guesses::default(), limits(), Instant::now());
    let host = |network: u64, site: u64| -> Option<IpAddr> {
        Some(Ipv6Addr::from_bits(u128::from(network << 32 | site) << 64 | 1).into())
    };
    for site in 0..2 * MAX_ADDRESSES as u64 {
        guesses.charge(host(0x2001_0db8, site), start, &limits);
    }
    assert!(guesses.wait(host(0x2001_0db8, 0xFFFF_FFFF), start, &limits).is_some());
    assert_eq!(guesses.wait(host(0x2001_0db9, 0), start, &limits), None);
    assert_eq!(guesses.wait(v4(1), start, &limits), None);
}
