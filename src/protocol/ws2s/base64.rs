//! Base64 into a buffer that is used again, by the fastest engine that this processor has. Layer 2.
//!
//! What is written has padding (RFC 4648 §4). What is read may lack it, and may set the spare bits of its last digit:
//! Python's reader, which the original uses, does not mind those either.

use std::sync::LazyLock;

use base64::engine::{DecodePaddingMode, GeneralPurposeConfig};
use base64::{DecodeSliceError, Engine, decoded_len_estimate, encoded_len};

const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);

/// Asks the processor once which instructions it has.
#[cfg(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon")))]
static ENGINE: LazyLock<base64::engine::Simd> = LazyLock::new(|| base64::engine::Simd::standard(CONFIG));

/// Other processors have none that the crate knows.
#[cfg(not(any(target_arch = "x86_64", all(target_arch = "aarch64", target_feature = "neon"))))]
static ENGINE: LazyLock<base64::engine::Scalar> =
    LazyLock::new(|| base64::engine::Scalar::new(&base64::alphabet::STANDARD, CONFIG));

/// The text is no base64.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotBase64;

/// Appends `bytes` as base64.
pub(super) fn push_encoded(out: &mut Vec<u8>, bytes: &[u8]) {
    let space = append(out, encoded_len(bytes.len(), true).expect("what fits into memory is not that long"));
    ENGINE.encode_slice(bytes, space).expect("the space is exactly what it takes");
}

/// Appends the bytes that `text` stands for.
pub(super) fn push_decoded(out: &mut Vec<u8>, text: &[u8]) -> Result<(), NotBase64> {
    let start = out.len();
    let space = append(out, decoded_len_estimate(text.len()));
    match ENGINE.decode_slice(text, space) {
        Ok(len) => out.truncate(start + len),
        Err(DecodeSliceError::DecodeError(_)) => return Err(NotBase64),
        Err(DecodeSliceError::OutputSliceTooSmall) => unreachable!("the estimate is never too low"),
    }
    Ok(())
}

/// Makes `out` longer and returns what it gained.
fn append(out: &mut Vec<u8>, len: usize) -> &mut [u8] {
    let start = out.len();
    out.resize(start + len, 0);
    &mut out[start..]
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    use super::*;

    fn decoded(text: &str) -> Result<Vec<u8>, NotBase64> {
        let mut out = b"before".to_vec();
        push_decoded(&mut out, text.as_bytes())?;
        Ok(out.strip_prefix(b"before").unwrap().to_vec())
    }

    #[test]
    fn the_examples_of_the_rfc() {
        for (bytes, text) in
            [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foob", "Zm9vYg=="), ("fooba", "Zm9vYmE=")]
        {
            let mut out = b"before".to_vec();
            push_encoded(&mut out, bytes.as_bytes());
            assert_eq!(out.strip_prefix(b"before").unwrap(), text.as_bytes());
            assert_eq!(decoded(text).unwrap(), bytes.as_bytes());
            assert_eq!(decoded(text.trim_end_matches('=')).unwrap(), bytes.as_bytes(), "padding may be missing");
        }
        assert_eq!(decoded("Zh==").unwrap(), b"f", "spare bits do not matter");
        assert_eq!(decoded("+/+/").unwrap(), [0xFB, 0xFF, 0xBF]);
    }

    #[test]
    fn what_is_no_base64_is_refused() {
        for text in ["Z", "Zm9vY", "=", "Zg===", "Zg==Zg==", "Z g=", "Zm9v\n", "-_-_", "Zm9é", "Zm9v\0", "Zm=v"] {
            assert_eq!(decoded(text), Err(NotBase64), "{text:?}");
        }
        for at in 0..200 {
            let mut text = "Zm9v".repeat(50);
            text.replace_range(at..=at, "!");
            assert_eq!(decoded(&text), Err(NotBase64), "at {at}");
        }
    }

    proptest! {
        #[test]
        fn agrees_with_the_portable_engine(bytes in prop::collection::vec(any::<u8>(), 0..500)) {
            let mut out = Vec::new();
            push_encoded(&mut out, &bytes);
            prop_assert_eq!(str::from_utf8(&out).unwrap(), STANDARD.encode(&bytes));
            prop_assert_eq!(decoded(str::from_utf8(&out).unwrap()), Ok(bytes));
        }
    }
}
