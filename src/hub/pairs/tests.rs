use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn seeded(seed: u64) -> Pairs {
    Pairs::new(KeySource::seeded(seed))
}

fn joined<const N: usize>(pairs: &mut Pairs) -> [MemberId; N] {
    std::array::from_fn(|session| pairs.join(SessionId(session as u32), 8).unwrap())
}

#[test]
fn members_are_found_by_their_keys() {
    let mut pairs = seeded(1);
    let [a, b] = joined(&mut pairs);
    assert_eq!(pairs.find(pairs.key(a)), Some(a));
    assert_eq!(pairs.find(pairs.key(b)), Some(b));
    assert_eq!((pairs.session(a), pairs.session(b)), (SessionId(0), SessionId(1)));
    let key = pairs.key(a);
    assert_eq!(pairs.leave(a), None);
    assert_eq!(pairs.find(key), None);
    assert_eq!(pairs.len(), 1);
}

#[test]
fn a_pair_is_mutual_and_ends_on_both_sides() {
    let mut pairs = seeded(1);
    let [a, b] = joined(&mut pairs);
    assert_eq!(pairs.pair(a, b), Ok(()));
    assert_eq!((pairs.partner(a), pairs.partner(b), pairs.pairs()), (Some(b), Some(a), 1));
    assert_eq!(pairs.unpair(b), Some(a));
    assert_eq!((pairs.partner(a), pairs.partner(b), pairs.pairs()), (None, None, 0));
    assert_eq!(pairs.unpair(a), None);
}

#[test]
fn leaving_frees_the_partner() {
    let mut pairs = seeded(1);
    let [a, b] = joined(&mut pairs);
    pairs.pair(a, b).unwrap();
    assert_eq!(pairs.leave(a), Some(SessionId(1)));
    assert_eq!(pairs.partner(b), None);
    // The slot's next owner inherits nothing.
    let c = pairs.join(SessionId(9), 8).unwrap();
    assert_eq!(pairs.partner(c), None);
    assert!(pairs.is_consistent());
}

#[test]
fn nobody_pairs_twice_or_with_oneself() {
    let mut pairs = seeded(1);
    let [a, b, c] = joined(&mut pairs);
    assert_eq!(pairs.pair(a, a), Err(PairError::Oneself));
    pairs.pair(a, b).unwrap();
    for (one, other) in [(a, c), (c, a), (b, c), (c, b), (a, b), (b, a)] {
        assert_eq!(pairs.pair(one, other), Err(PairError::AlreadyPaired));
    }
    assert_eq!((pairs.partner(a), pairs.partner(b), pairs.partner(c)), (Some(b), Some(a), None));
}

#[test]
fn t11_live_keys_are_never_handed_out_again() {
    let mut pairs = seeded(1);
    // With 16^4 keys, 20,000 members collide thousands of times.
    let members: Vec<_> = (0..20_000).map(|session| pairs.join(SessionId(session), 4).unwrap()).collect();
    let keys: BTreeSet<_> = members.iter().map(|&member| pairs.key(member).to_string()).collect();
    assert_eq!(keys.len(), members.len());
    assert!(keys.iter().all(|key| key.len() == 4));
    assert!(pairs.is_consistent());
}

#[test]
fn scarce_keys_grow_longer() {
    let mut pairs = seeded(1);
    for session in 0..100 {
        pairs.join(SessionId(session), 1).unwrap();
    }
    assert!(pairs.is_consistent());
    let lengths: BTreeSet<_> = pairs.keys.keys().map(|key| key.to_string().len()).collect();
    assert_eq!(lengths.into_iter().collect::<Vec<_>>(), [1, 2]);
}

#[test]
fn t11_eight_digits_do_not_collide_with_live_keys() {
    let mut pairs = Pairs::default();
    // About a dozen of 300,000 keys of 32 bits are drawn twice.
    for session in 0..300_000 {
        pairs.join(SessionId(session), 8).unwrap();
    }
    assert_eq!(pairs.keys.len(), 300_000);
}

#[test]
fn memory_is_given_back() {
    let mut pairs = seeded(1);
    let members: Vec<_> = (0..10_000).map(|session| pairs.join(SessionId(session), 8).unwrap()).collect();
    for member in members {
        pairs.leave(member);
    }
    assert!(pairs.is_empty());
    assert!(pairs.keys.capacity() <= SPARE_KEYS * 2 && pairs.members.capacity() <= SPARE_KEYS);
}

proptest! {
    #[test]
    fn random_operations_keep_the_invariants(operations in prop::collection::vec((0u8..5, 0usize..8, 0usize..8), 1..200)) {
        let mut pairs = seeded(3);
        let mut members = BTreeMap::new();
        let mut model = BTreeMap::new();
        for (operation, one, other) in operations {
            let ids = (members.get(&one).copied(), members.get(&other).copied());
            match (operation, ids) {
                (0, (None, _)) => {
                    members.insert(one, pairs.join(SessionId(one as u32), 2).unwrap());
                }
                (1, (Some(id), _)) => {
                    let freed = model.remove(&one);
                    prop_assert_eq!(pairs.leave(id), freed.map(|partner: usize| SessionId(partner as u32)));
                    freed.map(|partner| model.remove(&partner));
                    members.remove(&one);
                }
                (2 | 3, (Some(a), Some(b))) => {
                    let may = one != other && !model.contains_key(&one) && !model.contains_key(&other);
                    prop_assert_eq!(pairs.pair(a, b).is_ok(), may);
                    if may {
                        model.extend([(one, other), (other, one)]);
                    }
                }
                (4, (Some(id), _)) => {
                    let freed = model.remove(&one);
                    prop_assert_eq!(pairs.unpair(id), freed.map(|partner| members[&partner]));
                    freed.map(|partner| model.remove(&partner));
                }
                _ => {}
            }
            prop_assert!(pairs.is_consistent());
            prop_assert_eq!(pairs.len(), members.len());
            prop_assert_eq!(pairs.pairs() * 2, model.len());
            for (name, &id) in &members {
                prop_assert_eq!(pairs.partner(id), model.get(name).map(|partner| members[partner]));
            }
        }
    }
}
