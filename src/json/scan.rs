//! The checking scanner under [`fields`](super::fields): steps over one JSON value and says whether it is one (RFC
//! 8259). It keeps no values, never calls itself and never allocates.
//!
//! `serde_json`'s `RawValue` does the same job, but allocates for nested values, counts no depth and takes a third
//! more time on the messages we relay. `serde_json` is the oracle instead: tests and fuzzing hold this scanner to its
//! verdicts.

/// Arrays and objects inside each other, the outermost included: what `serde_json` and most readers accept.
pub(super) const MAX_DEPTH: u32 = 127;

/// The text is not JSON, or nests deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Invalid;

/// A position in a text. Each step leaves it behind what was recognised; after an error it means nothing.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    /// Valid UTF-8; bytes beyond ASCII are only ever stepped over, inside strings.
    text: &'t [u8],
    /// Invariant: `at ≤ text.len()`.
    at: usize,
}

impl<'t> Scanner<'t> {
    /// At the start of `text`.
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, at: 0 }
    }

    /// Where we are.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Skips white space and shows the byte behind it.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                byte => return byte.copied(),
            }
        }
    }

    /// Skips white space and steps over `byte`, if that is what follows.
    #[inline(always)]
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    /// Skips white space, which must be all that is left.
    pub(super) fn end(&mut self) -> Result<(), Invalid> {
        self.peek().map_or(Ok(()), |_| Err(Invalid))
    }

    /// A member's name and its colon. Returns the name with its quotes.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<&'t [u8], Invalid> {
        if !self.accept(b'"') {
            return Err(Invalid);
        }
        let start = self.at - 1;
        self.string()?;
        let name = &self.text[start..self.at];
        if self.accept(b':') { Ok(name) } else { Err(Invalid) }
    }

    /// One value of any kind, with at most `levels` arrays and objects inside each other. Returns its span.
    #[inline(always)]
    pub(super) fn value(&mut self, levels: u32) -> Result<&'t [u8], Invalid> {
        debug_assert!(levels <= MAX_DEPTH);
        let first = self.peek();
        let start = self.at;
        match first {
            Some(b'"') => {
                self.at += 1;
                self.string()?;
            }
            Some(b'{' | b'[') => self.nested(levels)?,
            first => self.scalar(first)?,
        }
        Ok(&self.text[start..self.at])
    }

    /// An array or object with everything in it.
    fn nested(&mut self, levels: u32) -> Result<(), Invalid> {
        let mut depth = 0;
        // One bit for each open level, the innermost lowest: 1 is an object, 0 an array. 128 bits ≥ MAX_DEPTH.
        let mut objects = 0u128;
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    self.string()?;
                }
                Some(open @ (b'{' | b'[')) => {
                    self.at += 1;
                    depth += 1;
                    if depth > levels {
                        return Err(Invalid);
                    }
                    let is_object = open == b'{';
                    objects = objects << 1 | u128::from(is_object);
                    // '}' and ']' are two behind '{' and '[' in ASCII.
                    if self.peek() != Some(open + 2) {
                        if is_object {
                            self.name()?;
                        }
                        continue;
                    }
                    self.at += 1;
                    depth -= 1;
                    objects >>= 1;
                }
                first => self.scalar(first)?,
            }
            // A value has ended: close levels until one goes on.
            loop {
                if depth == 0 {
                    return Ok(());
                }
                let is_object = objects & 1 == 1;
                match self.peek() {
                    Some(b',') => {
                        self.at += 1;
                        if is_object {
                            self.name()?;
                        }
                        break;
                    }
                    Some(b'}') if is_object => {}
                    Some(b']') if !is_object => {}
                    _ => return Err(Invalid),
                }
                self.at += 1;
                depth -= 1;
                objects >>= 1;
            }
        }
    }

    /// The rest of a string, from behind its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Invalid> {
        loop {
            self.at += plain(&self.text[self.at..]);
            // `plain` stops early at the end of the text, so up to seven plain bytes may stand here.
            loop {
                match self.text.get(self.at) {
                    Some(b'"') => {
                        self.at += 1;
                        return Ok(());
                    }
                    Some(b'\\') => {
                        self.escape()?;
                        break;
                    }
                    None | Some(..b' ') => return Err(Invalid),
                    Some(_) => self.at += 1,
                }
            }
        }
    }

    /// An escape sequence. Halves of surrogate pairs are not matched up: RFC 8259 §8.2 lets them stand alone.
    fn escape(&mut self) -> Result<(), Invalid> {
        match self.text[self.at + 1..] {
            [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => self.at += 2,
            [b'u', a, b, c, d, ..] if [a, b, c, d].iter().all(u8::is_ascii_hexdigit) => self.at += 6,
            _ => return Err(Invalid),
        }
        Ok(())
    }

    /// A number, `true`, `false` or `null`, whose first byte is known.
    #[inline(always)]
    fn scalar(&mut self, first: Option<u8>) -> Result<(), Invalid> {
        match first {
            Some(b'-' | b'0'..=b'9') => self.number(),
            Some(b't') => self.word(b"true"),
            Some(b'f') => self.word(b"false"),
            Some(b'n') => self.word(b"null"),
            _ => Err(Invalid),
        }
    }

    fn word(&mut self, word: &[u8]) -> Result<(), Invalid> {
        if !self.text[self.at..].starts_with(word) {
            return Err(Invalid);
        }
        self.at += word.len();
        Ok(())
    }

    /// RFC 8259 §6. Its value may lie beyond what a double can hold.
    fn number(&mut self) -> Result<(), Invalid> {
        self.at += usize::from(self.text[self.at] == b'-');
        match self.text.get(self.at) {
            // Digits behind a leading zero are not part of the number, and nothing else may begin there.
            Some(b'0') => self.at += 1,
            _ => self.digits()?,
        }
        if let Some(b'.') = self.text.get(self.at) {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.text.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.text.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    fn digits(&mut self) -> Result<(), Invalid> {
        let digits = self.text[self.at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        self.at += digits;
        if digits == 0 { Err(Invalid) } else { Ok(()) }
    }
}

/// Counts bytes at the front that a string may hold as they are. May stop up to seven bytes before `text` ends.
#[inline(always)]
fn plain(text: &[u8]) -> usize {
    // Most strings in an envelope are names shorter than a word.
    match text.first_chunk() {
        None => 0,
        Some(word) => match first_stop(*word) {
            Some(stop) => stop,
            None => WORD_BYTES + plain_run(&text[WORD_BYTES..]),
        },
    }
}

/// The same for a long string: blocks at the speed of vector instructions, then the word that holds its end.
#[inline(never)]
fn plain_run(text: &[u8]) -> usize {
    let blocks = text.as_chunks::<BLOCK_BYTES>().0;
    // Every byte of a block is looked at, without a branch, which is what lets the compiler vectorise it.
    let is_plain = |block: &&[u8; BLOCK_BYTES]| !block.iter().fold(false, |stops, &byte| stops | is_stop(byte));
    let mut count = BLOCK_BYTES * blocks.iter().take_while(is_plain).count();
    for word in text[count..].as_chunks().0 {
        if let Some(stop) = first_stop(*word) {
            return count + stop;
        }
        count += WORD_BYTES;
    }
    count
}

/// A byte at which a run of plain string bytes ends (RFC 8259 §7).
#[inline(always)]
fn is_stop(byte: u8) -> bool {
    byte == b'"' || byte == b'\\' || byte < b' '
}

/// The first of eight bytes that [`is_stop`], found in all of them at once.
///
/// A subtraction sets the top bit of each byte that was too small for it. What it borrows may set the bit of a byte
/// above a real stop as well, never below one, so the lowest bit is exact.
#[inline(always)]
fn first_stop(bytes: [u8; WORD_BYTES]) -> Option<usize> {
    const fn each(byte: u8) -> u64 {
        u64::from_le_bytes([byte; WORD_BYTES])
    }
    let word = u64::from_le_bytes(bytes);
    let quote = word ^ each(b'"');
    let backslash = word ^ each(b'\\');
    let stops = quote.wrapping_sub(each(1)) & !quote
        | backslash.wrapping_sub(each(1)) & !backslash
        | word.wrapping_sub(each(b' ')) & !word;
    let stops = stops & each(0x80);
    (stops != 0).then(|| (stops.trailing_zeros() / u8::BITS) as usize)
}

/// What one machine word holds.
const WORD_BYTES: usize = size_of::<u64>();

/// Two vector registers' worth on the smallest targets, so that short strings still fill a block.
const BLOCK_BYTES: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stops_are_found_wherever_they_stand() {
        for stop in 0..=u8::MAX {
            for filler in [b'a', b'!', b'#', b'[', b']', 0x7F, 0x80, 0xA2, 0xDC, 0xFF] {
                for at in 0..80 {
                    let mut text = [filler; 88];
                    text[at] = stop;
                    let expected = if is_stop(stop) { at } else { text.len() };
                    assert_eq!(plain(&text), expected, "byte {stop:#x} at {at} among {filler:#x}");
                }
            }
        }
    }

    #[test]
    fn the_first_of_neighbouring_stops_is_found() {
        for pair in [*b"\"#", *b"\"\"", *b"\\]", *b"\x1f ", *b"\x00\x00", *b"\\\"", *b"\"!"] {
            for at in 0..60 {
                let mut text = [b'#'; 64];
                text[at..at + 2].copy_from_slice(&pair);
                assert_eq!(plain(&text), at, "{pair:?}");
            }
        }
    }
}
