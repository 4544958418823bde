//! Framing against an independent implementation, on frames that are almost right.

#[path = "oracle/mod.rs"]
mod oracle;

use proptest::prelude::*;

/// A masked frame with any first byte, and a length in the given form if it fits.
fn frame(first: u8, payload: &[u8], form: u8) -> Vec<u8> {
    let key = [0x11, 0x92, 0xA3, 0x04];
    let mut bytes = vec![first];
    match (payload.len(), form) {
        (len @ 0..=125, 0) => bytes.push(0x80 | len as u8),
        (len @ 0..=65535, 0 | 1) => {
            bytes.push(0x80 | 126);
            bytes.extend((len as u16).to_be_bytes());
        }
        (len, _) => {
            bytes.push(0x80 | 127);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes.extend(payload.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]));
    bytes
}

fn first_byte() -> impl Strategy<Value = u8> {
    prop_oneof![
        30 => prop::sample::select(vec![0x81u8, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8A]),
        2 => Just(0x88u8),
        1 => any::<u8>(),
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<String>().prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..200),
        prop::collection::vec(Just(b'a'), 0..5000),
        "[a-zé€😀]{0,40}".prop_map(|text| text.into_bytes()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn we_agree_with_the_oracle(
        frames in prop::collection::vec((first_byte(), payload(), prop_oneof![20 => Just(0u8), 1 => 1u8..3]), 1..12),
        flips in prop::collection::vec((any::<usize>(), any::<u8>()), 0..2),
        cut in any::<usize>(),
        pieces in prop::collection::vec(0usize..300, 0..8),
    ) {
        let mut bytes: Vec<u8> = frames.iter().flat_map(|(first, payload, form)| frame(*first, payload, *form)).collect();
        if cut % 4 == 0 {
            bytes.truncate(cut % (bytes.len() + 1));
        }
        for (place, flip) in flips {
            if let Some(place) = place.checked_rem(bytes.len()) {
                bytes[place] ^= flip & 0x0F;
            }
        }
        oracle::compare(&bytes, &pieces);
    }
}

#[test]
fn a_burst_of_small_frames_closes_up_and_stays_what_it_was() {
    let texts: Vec<String> = (0..300).map(|i| "x".repeat(i * 2)).collect();
    let bytes: Vec<u8> = texts.iter().take(60).flat_map(|text| frame(0x81, text.as_bytes(), 0)).collect();
    let (said, end) = oracle::ours(&bytes, &[]);
    assert_eq!(end, oracle::End::Waiting);
    assert_eq!(
        said,
        texts.iter().take(60).map(|text| oracle::Said::Text(text.clone().into_bytes())).collect::<Vec<_>>()
    );
}

#[test]
fn long_messages_in_pieces_are_what_they_were() {
    let text: String = "jäckfield 😀 ".chars().cycle().take(120_000).collect();
    let (start, end) = text.as_bytes().split_at(70_001);
    let frames = [
        frame(0x81, text.as_bytes(), 0),
        frame(0x82, &vec![0xAB; 250_000], 0),
        [frame(0x01, start, 0), frame(0x89, b"in between", 0), frame(0x80, end, 0)].concat(),
        frame(0x81, b"short", 0),
    ];
    for pieces in [&[16_384][..], &[20_000, 3], &[100_000], &[14, 65_536], &[17_000, 1, 90_000], &[65_549]] {
        for first in 0..frames.len() {
            let bytes: Vec<u8> = frames.iter().cycle().skip(first).take(frames.len() + 1).flatten().copied().collect();
            oracle::compare(&bytes, pieces);
        }
    }
    // A long text is refused where it goes wrong, wherever its bytes are kept by then.
    let mut broken = text.into_bytes();
    broken[110_000] = 0xFF;
    oracle::compare(&frame(0x81, &broken, 0), &[16_384]);
    let whole = frame(0x81, &broken, 0);
    let cut = whole.len() - broken.len() + 110_001;
    assert!(matches!(oracle::ours(&whole[..cut], &[30_000]).1, oracle::End::Rejected(_)));
    assert!(matches!(oracle::ours(&whole[..cut - 1], &[30_000]).1, oracle::End::Waiting));
}
