//! UTF-8 that arrives in pieces, refused at the first byte that no text could continue with (RFC 6455 §8.1). Layer 0.

/// The state between two pieces of one text.
#[derive(Clone, Copy, Debug, Default)]
pub struct Utf8 {
    /// The bytes of a character whose end has not arrived; invariant: a proper prefix of a valid sequence.
    tail: [u8; 3],
    len: u8,
}

/// The text is not UTF-8, whatever may follow.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidUtf8;

impl Utf8 {
    /// Checks the next piece.
    ///
    /// # Errors
    /// [`InvalidUtf8`] as soon as the text so far cannot be the beginning of any valid text.
    pub fn push(&mut self, mut piece: &[u8]) -> Result<(), InvalidUtf8> {
        while self.len > 0 {
            let [next, rest @ ..] = piece else { return Ok(()) };
            let mut sequence = [0; 4];
            let len = usize::from(self.len);
            sequence[..len].copy_from_slice(&self.tail[..len]);
            sequence[len] = *next;
            piece = rest;
            match std::str::from_utf8(&sequence[..=len]) {
                Ok(_) => self.len = 0,
                Err(error) if error.error_len().is_none() => {
                    self.tail = [sequence[0], sequence[1], sequence[2]];
                    self.len += 1;
                }
                Err(_) => return Err(InvalidUtf8),
            }
        }
        let Err(error) = simdutf8::compat::from_utf8(piece) else { return Ok(()) };
        if error.error_len().is_some() {
            return Err(InvalidUtf8);
        }
        let tail = &piece[error.valid_up_to()..];
        self.tail[..tail.len()].copy_from_slice(tail);
        self.len = u8::try_from(tail.len()).expect("an unfinished character has at most three bytes");
        Ok(())
    }

    /// The bytes of the character that the last piece cut; empty if it ended with a whole one, at most three.
    #[must_use]
    pub fn unfinished(&self) -> &[u8] {
        &self.tail[..usize::from(self.len)]
    }

    /// The text ends here.
    ///
    /// # Errors
    /// [`InvalidUtf8`] if it ends inside a character.
    pub fn finish(self) -> Result<(), InvalidUtf8> {
        if self.len == 0 { Ok(()) } else { Err(InvalidUtf8) }
    }
}

/// Whether a whole text is UTF-8.
#[must_use]
pub fn is_utf8(text: &[u8]) -> bool {
    simdutf8::basic::from_utf8(text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::{InvalidUtf8, Utf8, is_utf8};
    use proptest::prelude::*;

    /// How many bytes are taken before the refusal.
    fn taken(bytes: &[u8]) -> Option<usize> {
        let mut text = Utf8::default();
        bytes.iter().position(|byte| text.push(&[*byte]).is_err())
    }

    #[test]
    fn the_first_impossible_byte_is_refused() {
        for (bytes, at) in [
            (&b"\x80"[..], 0),
            (b"a\xc0", 1),
            (b"\xc3(", 1),
            (b"\xe0\x80", 1),
            (b"\xed\xa0", 1),
            (b"\xf0\x80", 1),
            (b"\xf4\x90", 1),
            (b"\xf5", 0),
            (b"\xe2\x82(", 2),
            (b"\xf0\x9f\x98(", 3),
        ] {
            assert_eq!(taken(bytes), Some(at), "{bytes:x?}");
        }
    }

    #[test]
    fn text_may_not_end_inside_a_character() {
        let mut text = Utf8::default();
        text.push("€".as_bytes()).and_then(|()| text.push(b"\xe2\x82")).expect("a prefix is fine");
        assert_eq!(text.finish(), Err(InvalidUtf8));
    }

    proptest! {
        #[test]
        fn pieces_agree_with_the_whole(bytes in prop_oneof![any::<Vec<u8>>(), any::<String>().prop_map(String::into_bytes)], cuts in any::<Vec<usize>>()) {
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut text = Utf8::default();
            let pieces = cuts.windows(2).try_for_each(|cut| {
                text.push(&bytes[cut[0]..cut[1]])?;
                // What is unfinished is all that keeps the text so far from being one.
                let (whole, rest) = bytes[..cut[1]].split_at(cut[1] - text.unfinished().len());
                assert!(is_utf8(whole) && rest == text.unfinished());
                Ok(())
            });
            let pieces = pieces.and_then(|()| text.finish());
            prop_assert_eq!(pieces.is_ok(), std::str::from_utf8(&bytes).is_ok());
        }
    }
}
