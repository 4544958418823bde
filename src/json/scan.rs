//! The checking scanner under [`fields`](super::fields): steps over one JSON value and says whether it is one (RFC
//! 8259). It keeps no values, never calls itself and never allocates.
//!
//! `serde_json`'s `RawValue` does the same job, but allocates for nested values, counts no depth and takes half as
//! long again on the messages we relay. `serde_json` is the oracle instead: tests and fuzzing hold this scanner to its
//! verdicts.

/// Arrays and objects inside each other, the outermost included: what `serde_json` and most readers accept.
pub(super) const MAX_DEPTH: u32 = 127;

/// The text is not JSON, or nests deeper than [`MAX_DEPTH`].
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Invalid;

/// A place in a text. Each step leaves it behind what was recognised; after an error it means nothing.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    /// What lies ahead. Valid UTF-8 if the text is; bytes beyond ASCII are only ever stepped over, inside strings.
    rest: &'t [u8],
}

impl<'t> Scanner<'t> {
    /// At the start of `text`.
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { rest: text }
    }

    /// Skips white space and steps over `byte`, if that is what follows.
    #[inline(always)]
    pub(super) fn accept(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == byte;
        if is_next {
            self.advance(1);
        }
        is_next
    }

    /// Skips white space, which must be all that is left.
    pub(super) fn end(&mut self) -> Result<(), Invalid> {
        self.peek();
        if self.rest.is_empty() { Ok(()) } else { Err(Invalid) }
    }

    /// A member's name and its colon. Returns what stands between the quotes.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<&'t [u8], Invalid> {
        if !self.accept(b'"') {
            return Err(Invalid);
        }
        let start = self.rest;
        self.string()?;
        let name = &start[..start.len() - self.rest.len() - 1];
        if self.accept(b':') { Ok(name) } else { Err(Invalid) }
    }

    /// One value of any kind, with at most `levels` arrays and objects inside each other. Returns its span.
    #[inline(always)]
    pub(super) fn value(&mut self, levels: u32) -> Result<&'t [u8], Invalid> {
        debug_assert!(levels <= MAX_DEPTH);
        let first = self.peek();
        let start = self.rest;
        match first {
            b'"' => {
                self.advance(1);
                self.string()?;
            }
            b'{' | b'[' => self.rest = nested(start, levels)?,
            first => self.scalar(first)?,
        }
        Ok(&start[..start.len() - self.rest.len()])
    }

    /// What lies ahead.
    #[inline(always)]
    pub(super) fn rest(&self) -> &'t [u8] {
        self.rest
    }

    /// Skips white space and shows the byte behind it: 0, with which nothing begins, if JSON cannot go on.
    #[inline(always)]
    pub(super) fn peek(&mut self) -> u8 {
        loop {
            match self.rest {
                [byte, ..] if *byte > b' ' => return *byte,
                [b' ' | b'\n' | b'\r' | b'\t', rest @ ..] => self.rest = rest,
                _ => return 0,
            }
        }
    }

    #[inline(always)]
    fn advance(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }

    /// The rest of a string, from behind its opening quote.
    #[inline(always)]
    fn string(&mut self) -> Result<(), Invalid> {
        loop {
            self.advance(plain(self.rest));
            // `plain` stops early at the end of the text, so up to seven plain bytes may stand here.
            loop {
                match self.rest {
                    [b'"', rest @ ..] => {
                        self.rest = rest;
                        return Ok(());
                    }
                    [b'\\', ..] => {
                        self.escape()?;
                        break;
                    }
                    [] | [..b' ', ..] => return Err(Invalid),
                    [_, rest @ ..] => self.rest = rest,
                }
            }
        }
    }

    /// An escape sequence. Halves of surrogate pairs are not matched up: RFC 8259 §8.2 lets them stand alone.
    fn escape(&mut self) -> Result<(), Invalid> {
        self.rest = match self.rest {
            [_, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', rest @ ..] => rest,
            [_, b'u', a, b, c, d, rest @ ..] if [a, b, c, d].iter().all(|byte| byte.is_ascii_hexdigit()) => rest,
            _ => return Err(Invalid),
        };
        Ok(())
    }

    /// A number, `true`, `false` or `null`, whose first byte is known.
    #[inline(always)]
    fn scalar(&mut self, first: u8) -> Result<(), Invalid> {
        match first {
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => Err(Invalid),
        }
    }

    #[inline(always)]
    fn word<const N: usize>(&mut self, word: &[u8; N]) -> Result<(), Invalid> {
        match self.rest.split_first_chunk() {
            Some((first, rest)) if first == word => self.rest = rest,
            _ => return Err(Invalid),
        }
        Ok(())
    }

    /// RFC 8259 §6. Its value may lie beyond what a double can hold.
    #[inline(always)]
    fn number(&mut self) -> Result<(), Invalid> {
        if let [b'-', rest @ ..] = self.rest {
            self.rest = rest;
        }
        // Digits behind a leading zero are not part of the number, and nothing else may begin there.
        if let [b'0', rest @ ..] = self.rest {
            self.rest = rest;
        } else {
            self.digits()?;
        }
        if let [b'.', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        if let [b'e' | b'E', b'+' | b'-', rest @ ..] | [b'e' | b'E', rest @ ..] = self.rest {
            self.rest = rest;
            self.digits()?;
        }
        Ok(())
    }

    /// One digit or more.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), Invalid> {
        let [b'0'..=b'9', rest @ ..] = self.rest else {
            return Err(Invalid);
        };
        self.rest = rest;
        while let [b'0'..=b'9', rest @ ..] = self.rest {
            self.rest = rest;
        }
        Ok(())
    }
}

/// An array or object at the start of `text`, with everything in it. Returns what lies behind it.
fn nested(text: &[u8], levels: u32) -> Result<&[u8], Invalid> {
    // Its own scanner, as one that is lent out cannot live in a register.
    let mut scanner = Scanner::new(text);
    let mut depth = 0;
    // One bit for each open level, the innermost lowest: 1 is an object, 0 an array. 128 bits ≥ MAX_DEPTH.
    let mut objects = 0u128;
    'value: loop {
        match scanner.peek() {
            b'"' => {
                scanner.advance(1);
                scanner.string()?;
            }
            open @ (b'{' | b'[') => {
                scanner.advance(1);
                depth += 1;
                if depth > levels {
                    return Err(Invalid);
                }
                let is_object = open == b'{';
                objects = objects << 1 | u128::from(is_object);
                // '}' and ']' are two behind '{' and '[' in ASCII.
                if scanner.peek() != open + 2 {
                    if is_object {
                        scanner.name()?;
                    }
                    continue 'value;
                }
                scanner.advance(1);
                depth -= 1;
                objects >>= 1;
            }
            first => scanner.scalar(first)?,
        }
        // A value has ended: close levels until one goes on.
        while depth > 0 {
            let is_object = objects & 1 == 1;
            match scanner.peek() {
                b',' => {
                    scanner.advance(1);
                    if is_object {
                        scanner.name()?;
                    }
                    continue 'value;
                }
                b'}' if is_object => {}
                b']' if !is_object => {}
                _ => return Err(Invalid),
            }
            scanner.advance(1);
            depth -= 1;
            objects >>= 1;
        }
        return Ok(scanner.rest);
    }
}

/// Counts bytes at the front that a string may hold as they are. May stop up to seven bytes before `text` ends.
#[inline(always)]
pub(super) fn plain(text: &[u8]) -> usize {
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

/// A byte at which a run of plain string bytes ends (RFC 8259 §7). Without `||`: a branch would end vectorisation.
#[inline(always)]
pub(super) fn is_stop(byte: u8) -> bool {
    (byte == b'"') | (byte == b'\\') | (byte < b' ')
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
