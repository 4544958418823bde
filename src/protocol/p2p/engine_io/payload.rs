//! Payloads: the items that travel in one body of a poll. All or nothing: a body with one bad packet has none.
//!
//! Three framings. Revision 4 separates text items by U+001E. Revision 3 puts a length in front of each, `6:4hello`,
//! counted in UTF-16 code units because its authors were in JavaScript; with binary data it has a framing of bytes
//! instead: 0 for text or 1 for binary, the digits of the length as bytes 0 to 9, 255, the data. Where text is all there
//! is, binary items are base64 behind a `b`.
//!
//! Lengths are compared with what is there and never allocated for. Every byte is looked at a fixed number of times.

use std::borrow::Cow;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::{Malformed, PacketType, Revision, packet};
use crate::frame::message::Kind;

/// One packet of a payload: what would have been a WebSocket message.
pub type Item<'p> = (Kind, Cow<'p, [u8]>);

/// Takes a body apart into at most `max_packets` items, each of a known type. `content_type` is the request's.
///
/// # Errors
/// [`Malformed`] for a body that is not wholly valid, or empty.
pub fn decode_payload<'p>(
    revision: Revision,
    content_type: Option<&str>,
    body: &'p [u8],
    max_packets: usize,
) -> Result<Vec<Item<'p>>, Malformed> {
    if body.is_empty() {
        return Err(Malformed::Empty);
    }
    let mut items = Items { list: Vec::new(), revision, max: max_packets };
    match (revision, is_binary(content_type)) {
        (Revision::Three, false) => counted(utf8(body)?, &mut items)?,
        (Revision::Three, true) => framed(body, &mut items)?,
        (Revision::Four, false) => {
            for text in utf8(body)?.split(SEPARATOR) {
                items.push_text(text.as_bytes())?;
            }
        }
        (Revision::Four, true) => return Err(Malformed::ContentType),
    }
    Ok(items.list)
}

/// Appends the payload of `items`, which must be packets of `revision`, and returns its content type.
///
/// A client that is not `base64_only` gets revision 3's binary framing when there is anything binary. Nothing at all is
/// the payload `0:` in revision 3 and an empty body in revision 4.
pub fn encode_payload<'a>(
    revision: Revision,
    base64_only: bool,
    items: impl Iterator<Item = (Kind, &'a [u8])> + Clone,
    out: &mut Vec<u8>,
) -> &'static str {
    if revision == Revision::Four {
        for (index, (kind, item)) in items.enumerate() {
            if index > 0 {
                out.push(SEPARATOR as u8);
            }
            push_text_item(out, kind, item, revision);
        }
        return TEXT;
    }
    if !base64_only && items.clone().any(|(kind, _)| kind == Kind::Binary) {
        for (kind, item) in items {
            out.push(u8::from(kind == Kind::Binary));
            let digits = Digits::of(item.len());
            out.extend(digits.as_bytes().iter().map(|digit| digit - b'0'));
            out.push(LENGTH_END);
            out.extend_from_slice(item);
        }
        return BINARY;
    }
    let start = out.len();
    for (kind, item) in items {
        let units = match kind {
            Kind::Text => utf16_len(item),
            // The type's byte becomes a digit; the rest is base64, padded.
            Kind::Binary => 2 + 4 * item.len().saturating_sub(1).div_ceil(3),
        };
        out.extend_from_slice(Digits::of(units).as_bytes());
        out.push(b':');
        push_text_item(out, kind, item, revision);
    }
    if out.len() == start {
        out.extend_from_slice(b"0:");
    }
    TEXT
}

/// The items found so far.
struct Items<'p> {
    list: Vec<Item<'p>>,
    revision: Revision,
    max: usize,
}

impl<'p> Items<'p> {
    fn push_text(&mut self, item: &'p [u8]) -> Result<(), Malformed> {
        match item {
            [b'b', text @ ..] => {
                let data = from_base64(text, self.revision)?;
                self.push(Kind::Binary, Cow::Owned(data))
            }
            _ => self.push_checked(Kind::Text, item),
        }
    }

    fn push_checked(&mut self, kind: Kind, item: &'p [u8]) -> Result<(), Malformed> {
        packet(kind, item, self.revision)?;
        self.push(kind, Cow::Borrowed(item))
    }

    fn push(&mut self, kind: Kind, item: Cow<'p, [u8]>) -> Result<(), Malformed> {
        if self.list.len() >= self.max {
            return Err(Malformed::TooMany);
        }
        self.list.push((kind, item));
        Ok(())
    }
}

/// Revision 3's text payload: `LENGTH:ITEM` again and again.
fn counted<'p>(body: &'p str, items: &mut Items<'p>) -> Result<(), Malformed> {
    let mut rest = body;
    while !rest.is_empty() {
        let (length, behind) = rest.split_once(':').ok_or(Malformed::Length)?;
        let units = number(length.bytes().map(|digit| digit.wrapping_sub(b'0')), behind.len())?;
        let (item, behind) = behind.split_at(utf16_prefix(behind, units).ok_or(Malformed::Length)?);
        // The original's own payload of no packets is `0:`.
        if units > 0 {
            items.push_text(item.as_bytes())?;
        }
        rest = behind;
    }
    Ok(())
}

/// Revision 3's binary payload: kind, length, 255, item, again and again. Text's length is in bytes here.
fn framed<'p>(body: &'p [u8], items: &mut Items<'p>) -> Result<(), Malformed> {
    let mut rest = body;
    while let [kind, behind @ ..] = rest {
        let end = behind.iter().position(|&byte| byte > 9).ok_or(Malformed::Length)?;
        let (length, behind) = behind.split_at(end);
        let behind = behind.strip_prefix(&[LENGTH_END]).ok_or(Malformed::Length)?;
        let length = number(length.iter().copied(), behind.len())?;
        let (item, behind) = behind.split_at(length);
        match kind {
            0 => items.push_text(utf8(item)?.as_bytes())?,
            1 => items.push_checked(Kind::Binary, item)?,
            _ => return Err(Malformed::Type),
        }
        rest = behind;
    }
    Ok(())
}

/// A decimal number of at most `max`, as JavaScript writes it: no leading zeros.
fn number(mut digits: impl Iterator<Item = u8> + Clone, max: usize) -> Result<usize, Malformed> {
    let is_padded = digits.clone().next() == Some(0) && digits.clone().nth(1).is_some();
    if is_padded || digits.clone().next().is_none() {
        return Err(Malformed::Length);
    }
    digits
        .try_fold(0usize, |value, digit| {
            let value = value.checked_mul(10)?.checked_add(digit.into())?;
            (digit <= 9 && value <= max).then_some(value)
        })
        .ok_or(Malformed::Length)
}

/// Bytes of the first `units` UTF-16 code units of `text`; `None` if it has fewer or a character would be cut.
fn utf16_prefix(text: &str, units: usize) -> Option<usize> {
    // A unit is at least a byte, so that text of ASCII only, the usual case, is as long as its units.
    if text.as_bytes().get(..units)?.is_ascii() {
        return Some(units);
    }
    let mut missing = units;
    for (at, character) in text.char_indices() {
        if missing == 0 {
            return Some(at);
        }
        missing = missing.checked_sub(character.len_utf16())?;
    }
    (missing == 0).then_some(text.len())
}

/// The UTF-16 code units of what is UTF-8: one for each character's first byte, two if the character has four.
fn utf16_len(text: &[u8]) -> usize {
    // Counters of a byte, which add up at the speed of vector instructions; at most two for each byte of a block.
    let blocks = text.chunks(usize::from(u8::MAX / 2));
    blocks
        .map(|block| {
            usize::from(block.iter().map(|&byte| u8::from(byte & 0xC0 != 0x80) + u8::from(byte >= 0xF0)).sum::<u8>())
        })
        .sum()
}

fn utf8(bytes: &[u8]) -> Result<&str, Malformed> {
    simdutf8::basic::from_utf8(bytes).map_err(|_| Malformed::Utf8)
}

/// Whether a content type is that of revision 3's binary payloads.
fn is_binary(content_type: Option<&str>) -> bool {
    let essence = content_type.and_then(|value| value.split(';').next());
    essence.is_some_and(|essence| essence.trim().eq_ignore_ascii_case(BINARY))
}

/// The binary item of which `text` is the base64, with the digit of its type in front in revision 3.
pub(super) fn from_base64(text: &[u8], revision: Revision) -> Result<Vec<u8>, Malformed> {
    let mut item = Vec::new();
    let text = match (revision, text) {
        (Revision::Four, _) => text,
        (Revision::Three, [digit, text @ ..]) => {
            let kind = PacketType::of(digit.wrapping_sub(b'0')).ok_or(Malformed::Type)?;
            item.push(kind as u8);
            text
        }
        (Revision::Three, []) => return Err(Malformed::Type),
    };
    BASE64.decode_vec(text, &mut item).map_err(|_| Malformed::Base64)?;
    Ok(item)
}

/// The reverse of [`from_base64`], with the `b` in front.
pub(super) fn push_base64(out: &mut Vec<u8>, item: &[u8], revision: Revision) {
    out.push(b'b');
    let data = match (revision, item) {
        (Revision::Three, [kind, data @ ..]) => {
            out.push(b'0'.wrapping_add(*kind));
            data
        }
        _ => item,
    };
    let start = out.len();
    out.resize(start + 4 * data.len().div_ceil(3), 0);
    BASE64.encode_slice(data, &mut out[start..]).expect("four characters for every three bytes begun");
}

fn push_text_item(out: &mut Vec<u8>, kind: Kind, item: &[u8], revision: Revision) {
    match kind {
        Kind::Text => out.extend_from_slice(item),
        Kind::Binary => push_base64(out, item, revision),
    }
}

/// A decimal number on the stack.
struct Digits {
    bytes: [u8; MAX_DIGITS],
    start: usize,
}

impl Digits {
    fn of(mut value: usize) -> Self {
        let mut digits = Self { bytes: [b'0'; MAX_DIGITS], start: MAX_DIGITS };
        loop {
            digits.start -= 1;
            digits.bytes[digits.start] = b'0' + (value % 10) as u8;
            value /= 10;
            if value == 0 {
                return digits;
            }
        }
    }

    fn as_bytes(&self) -> &[u8] {
        &self.bytes[self.start..]
    }
}

/// Digits of the largest 64-bit number.
const MAX_DIGITS: usize = 20;

/// Between the items of a payload of revision 4.
const SEPARATOR: char = '\u{1e}';

/// Behind a length of the binary framing.
const LENGTH_END: u8 = 255;

const TEXT: &str = "text/plain; charset=UTF-8";
const BINARY: &str = "application/octet-stream";

/// As node reads it: padding may be missing, and what hangs over the last byte is not looked at.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

#[cfg(test)]
mod tests;
