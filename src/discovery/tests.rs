use super::*;

const BOUNDS: Bounds = Bounds { links: 100, links_per_peer: 10, proxies: 16 };

fn id(byte: u8) -> InstanceId {
    InstanceId::new([byte; 16])
}

fn key(byte: u8) -> ChannelKey {
    ChannelKey::new([byte; 32])
}

fn address(last: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, last], 9009))
}

fn sighting(channel: u8, by: u8) -> Sighting {
    Sighting { key: key(channel), id: Some(id(by)) }
}

fn wishes(discovery: &mut Discovery, now: Instant) -> Vec<Wish> {
    std::iter::from_fn(|| discovery.next_wish(now)).collect()
}

fn dials(discovery: &mut Discovery, now: Instant) -> Vec<Whom> {
    let dial = |wish| if let Wish::Dial(dial) = wish { Some(dial.whom) } else { None };
    wishes(discovery, now).into_iter().filter_map(dial).collect()
}

fn announced(name: &str) -> Whom {
    Whom::Announced(name.into())
}

#[test]
fn the_lower_name_dials_and_the_higher_waits_its_grace() {
    let now = Instant::now();
    for (own, other, first) in [(1, 2, Duration::ZERO), (2, 1, GRACE)] {
        for is_found_first in [true, false] {
            let mut discovery = Discovery::new(id(own), 0, BOUNDS);
            if is_found_first {
                discovery.on_found("b", sighting(9, other), vec![address(2)], now);
            }
            discovery.on_up(key(9), "/broadcast/a".into(), now);
            if !is_found_first {
                discovery.on_found("b", sighting(9, other), vec![address(2)], now);
            }
            assert_eq!(discovery.next_due(), Some(now + first));
            let before = wishes(&mut discovery, now);
            assert_eq!(before[0], Wish::Announce("/broadcast/a".into()));
            assert_eq!(before.len() == 2, first.is_zero());
            assert_eq!(dials(&mut discovery, now + GRACE).len(), usize::from(!first.is_zero()));
        }
    }
}

#[test]
fn what_nobody_is_on_here_is_not_dialled() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 1, BOUNDS);
    discovery.on_found("b", sighting(9, 2), vec![address(2)], now);
    assert_eq!(wishes(&mut discovery, now), []);
    discovery.on_up(key(9), "/broadcast/a".into(), now);
    assert_eq!(dials(&mut discovery, now), [Whom::Listed(0), announced("b")]);
    discovery.on_down(key(9));
    let after = wishes(&mut discovery, now);
    assert_eq!(after[0], Wish::Withdraw("/broadcast/a".into()));
    assert_eq!(after[1..], [Whom::Listed(0), announced("b")].map(|whom| Wish::Abandon(key(9), whom)));
    assert_eq!(discovery.next_due(), None);
}

#[test]
fn attempts_come_less_and_less_often_and_a_link_that_lasted_starts_them_anew() {
    let mut now = Instant::now();
    let mut discovery = Discovery::new(id(1), 1, BOUNDS);
    discovery.on_up(key(9), "/broadcast/a".into(), now);
    let whom = Whom::Listed(0);
    let mut waits = Vec::new();
    for _ in 0..12 {
        assert_eq!(dials(&mut discovery, now), std::slice::from_ref(&whom));
        discovery.on_failed(key(9), &whom, Failure::Unreachable, now);
        let due = discovery.next_due().expect("tried again");
        waits.push(due - now);
        assert_eq!(dials(&mut discovery, due - Duration::from_millis(1)), []);
        now = due;
    }
    assert!(waits[0] < Duration::from_secs(1) && waits[11] > Duration::from_secs(40), "{waits:?}");
    assert!(waits.iter().all(|wait| *wait <= MAX_RETRY.mul_f64(1.25)));
    assert_eq!(dials(&mut discovery, now), std::slice::from_ref(&whom));
    discovery.on_dialled(SessionId(1), (key(9), whom.clone()), Some(id(2)), address(2).ip(), now);
    discovery.on_linked(SessionId(1));
    assert_eq!((discovery.next_due(), discovery.links()), (None, 1));
    now += LASTING;
    discovery.on_closed(SessionId(1), now);
    assert!(discovery.next_due().expect("tried again") - now < Duration::from_secs(1));
    assert_eq!(discovery.links(), 0);
}

#[test]
fn two_that_dial_each_other_agree_on_one_link() {
    let now = Instant::now();
    let (mut low, mut high) = (Discovery::new(id(1), 1, BOUNDS), Discovery::new(id(2), 1, BOUNDS));
    for server in [&mut low, &mut high] {
        server.on_up(key(9), "/broadcast/a".into(), now);
        assert_eq!(dials(server, now).len(), 1);
    }
    assert_eq!(low.admit(key(9), Some(id(2)), address(2).ip()), Err(Refusal::Linked), "its own is on its way");
    assert_eq!(high.admit(key(9), Some(id(1)), address(1).ip()), Ok(()));
    high.on_accepted(SessionId(1), key(9), Some(id(1)), address(1).ip(), now);
    high.on_linked(SessionId(1));
    high.on_failed(key(9), &Whom::Listed(0), Failure::Linked(id(1)), now);
    assert_eq!(dials(&mut high, now + MAX_RETRY), [], "it is linked");
    assert_eq!(high.admit(key(9), Some(id(1)), address(1).ip()), Err(Refusal::Linked));
    assert_eq!(high.admit(key(8), Some(id(1)), address(1).ip()), Ok(()), "another channel");
    assert_eq!(low.admit(key(9), Some(id(1)), address(1).ip()), Err(Refusal::Ourselves));
    high.on_closed(SessionId(1), now + MAX_RETRY);
    assert_eq!(dials(&mut high, now + MAX_RETRY + GRACE), [Whom::Listed(0)], "the other does not come back");
}

#[test]
fn an_unproved_claim_keeps_nobody_out() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 0, BOUNDS);
    discovery.on_accepted(SessionId(1), key(9), Some(id(2)), address(66).ip(), now);
    assert_eq!(discovery.admit(key(9), Some(id(2)), address(2).ip()), Ok(()));
}

#[test]
fn t27_announcements_do_nothing_to_a_link_that_is_there() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 0, BOUNDS);
    discovery.on_up(key(9), "/broadcast/a".into(), now);
    discovery.on_found("b", sighting(9, 2), vec![address(2)], now);
    assert_eq!(dials(&mut discovery, now), [announced("b")]);
    discovery.on_dialled(SessionId(1), (key(9), announced("b")), Some(id(2)), address(2).ip(), now);
    discovery.on_linked(SessionId(1));
    discovery.on_found("b", sighting(9, 2), vec![address(66)], now);
    discovery.on_found("b", sighting(8, 2), vec![address(66)], now);
    discovery.on_found("b", sighting(9, 66), vec![address(66)], now);
    discovery.on_found("another", sighting(9, 2), vec![address(66)], now);
    discovery.on_lost("b");
    assert_eq!(wishes(&mut discovery, now + GRACE), []);
    assert_eq!(discovery.links(), 1);
    // Only both together end it: nobody is there any more, as the other itself says, and it announces nothing.
    discovery.on_deserted(SessionId(1), true);
    assert_eq!(wishes(&mut discovery, now), [Wish::Close(SessionId(1))]);
}

#[test]
fn t29_a_flood_of_announcements_is_bounded_and_displaces_nobody_who_matters() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 0, BOUNDS);
    discovery.on_up(key(9), "/broadcast/a".into(), now);
    discovery.on_found("b", sighting(9, 2), vec![address(2)], now);
    for number in 0..10_000u32 {
        let by = InstanceId::new(u128::from(number + 1000).to_be_bytes());
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&number.to_be_bytes());
        let sighting = Sighting { key: ChannelKey::new(bytes), id: Some(by) };
        discovery.on_found(&format!("forged {number}"), sighting, vec![address(66); 100], now);
    }
    assert_eq!(discovery.proxies(), BOUNDS.proxies);
    assert_eq!(dials(&mut discovery, now), [announced("b")]);
    // Those that are for a channel of ours are dialled, within the bound on attempts.
    for number in 0..10_000u32 {
        let by = InstanceId::new(u128::from(u32::MAX - number).to_be_bytes().map(|byte| byte ^ 0xFF));
        discovery.on_found(&format!("aimed {number}"), Sighting { key: key(9), id: Some(by) }, vec![address(66)], now);
    }
    assert_eq!(discovery.proxies(), BOUNDS.proxies);
    assert!(dials(&mut discovery, now + GRACE).len() < BOUNDS.proxies);
    discovery.on_found("long".repeat(100).as_str(), sighting(9, 3), vec![address(3)], now);
    assert_eq!(discovery.proxies(), BOUNDS.proxies);
}

#[test]
fn t27_a_forged_announcement_takes_the_place_of_nobody() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 0, BOUNDS);
    discovery.on_up(key(9), "/broadcast/a".into(), now);
    discovery.on_up(key(8), "/broadcast/b".into(), now);
    discovery.on_found("b", sighting(9, 2), vec![address(2)], now);
    // Under a name that is known: of another server, for another channel, of an original.
    for forged in [sighting(9, 3), sighting(8, 2), Sighting { key: key(9), id: None }] {
        discovery.on_found("b", forged, vec![address(66)], now);
    }
    assert!(discovery.is_announced(address(2).ip()) && !discovery.is_announced(address(66).ip()));
    assert_eq!(dials(&mut discovery, now + GRACE), [announced("b")]);
}

#[test]
fn links_are_bounded_in_all_and_for_each_address() {
    let now = Instant::now();
    let mut discovery = Discovery::new(id(1), 0, BOUNDS);
    for number in 0..10 {
        assert_eq!(discovery.admit(key(number), Some(id(2)), address(2).ip()), Ok(()));
        discovery.on_accepted(SessionId(u32::from(number)), key(number), Some(id(2)), address(2).ip(), now);
    }
    let refusal = discovery.admit(key(99), Some(id(2)), address(2).ip());
    assert_eq!(refusal, Err(Refusal::TooMany("--max-links-per-peer")));
    for number in 10..100 {
        let from = address(number).ip();
        discovery.on_accepted(SessionId(u32::from(number)), key(number), Some(id(number)), from, now);
    }
    let refusal = discovery.admit(key(99), Some(id(200)), address(200).ip());
    assert_eq!(refusal, Err(Refusal::TooMany("--max-links")));
    discovery.on_closed(SessionId(0), now);
    assert_eq!(discovery.admit(key(99), Some(id(2)), address(2).ip()), Ok(()));
    assert!((1..100).all(|number| {
        discovery.on_closed(SessionId(number), now);
        true
    }));
    assert!(discovery.by_address.is_empty() && discovery.links.is_empty());
}
