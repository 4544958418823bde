use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

/// Members of the audiences below; others are in none.
const MEMBERS: [SessionId; 4] = [SessionId(0), SessionId(1), SessionId(2), SessionId(3)];

/// One message: to one session, or to the first so many members but one.
#[derive(Clone, Copy, Debug)]
enum To {
    One(u32),
    Many { members: usize, except: Option<u32> },
}

fn to() -> impl Strategy<Value = To> {
    prop_oneof![
        (0..6_u32).prop_map(To::One),
        (2..=MEMBERS.len(), prop::option::of(0..6_u32)).prop_map(|(members, except)| To::Many { members, except }),
    ]
}

/// Sends one message of one byte, its number, to each in turn. Returns what every session gets and in how many lanes.
fn sent(sequence: &[To]) -> (BTreeMap<SessionId, Vec<u8>>, usize) {
    let (mut batch, mut deeds) = (Batch::default(), VecDeque::new());
    let mut fx = Actions { batch: &mut batch, deeds: &mut deeds, scratch: Place::of(&[]) };
    for (number, to) in (0..).zip(sequence) {
        match *to {
            To::One(who) => fx.send(SessionId(who), Kind::Binary, &[&[number]]),
            To::Many { members, except } => {
                let (version, except) = (members as u64, except.map(SessionId));
                let audience = Audience { version, members: &MEMBERS[..members], except };
                fx.send_all(audience, Kind::Binary, &[&[number]]);
            }
        }
    }
    let mut received: BTreeMap<SessionId, Vec<u8>> = BTreeMap::new();
    for lane in batch.lanes() {
        let bytes: Vec<u8> = lane.pieces.iter().flat_map(|piece| batch.bytes(lane, piece, &[])).copied().collect();
        // A header of two bytes before each.
        let numbers = bytes.chunks(3).map(|frame| frame[2]);
        for receiver in lane.receivers() {
            received.entry(receiver).or_default().extend(numbers.clone());
        }
    }
    (received, batch.used)
}

#[test]
fn a_burst_with_receipts_is_two_lanes() {
    let others = To::Many { members: 4, except: Some(1) };
    assert_eq!(sent(&[To::One(1), others].repeat(20)).1, 2);
    // A third is served in between: it may be one of the audience.
    assert_eq!(sent(&[To::One(1), others, To::One(2), others]).1, 4);
    assert_eq!(sent(&[To::One(1), To::One(2)].repeat(20)).1, 2);
    // Another audience may have the same members.
    assert_eq!(sent(&[others, To::Many { members: 3, except: Some(1) }, others]).1, 3);
    assert_eq!(sent(&[To::One(1), To::Many { members: 4, except: None }].repeat(2)).1, 4);
}

#[test]
fn a_lane_is_looked_for_among_so_many_only() {
    let others = LANES as u32 - 1;
    let and_again = |others: u32| [&(0..=others).map(To::One).collect::<Vec<_>>()[..], &[To::One(0)]].concat();
    assert_eq!(sent(&and_again(others)).1, LANES);
    let (received, lanes) = sent(&and_again(others + 1));
    assert_eq!((lanes, &received[&SessionId(0)][..]), (LANES + 2, &[0, LANES as u8 + 1][..]));
}

proptest! {
    #[test]
    fn everybody_gets_its_own_in_order(sequence in prop::collection::vec(to(), 0..60)) {
        let mut expected: BTreeMap<SessionId, Vec<u8>> = BTreeMap::new();
        for (number, to) in (0..).zip(&sequence) {
            let receivers: Vec<SessionId> = match *to {
                To::One(who) => vec![SessionId(who)],
                To::Many { members, except } => {
                    MEMBERS[..members].iter().copied().filter(|member| Some(member.0) != except).collect()
                }
            };
            for receiver in receivers {
                expected.entry(receiver).or_default().push(number);
            }
        }
        prop_assert_eq!(sent(&sequence).0, expected);
    }
}
