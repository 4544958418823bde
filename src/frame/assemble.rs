//! From received bytes to whole messages: fragments, frames that arrive in pieces, text checked on the way. Layer 0.
//!
//! A final frame that arrived whole is handed on where it lies ([`Message::in_place`]). Everything else is collected
//! in a buffer of its own, unmasked and checked as it arrives, so that bad text is refused at its first bad byte and
//! no byte is looked at twice. Memory follows the bytes that arrived, never the length that a header claims; only the
//! few buffers of the [`Pool`] are larger than what is in them. A message that has none of those is collected in pieces and
//! put together once, in place of growing by copying.

use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

use super::mask::MaskingKey;
use super::message::{HEADROOM, Kind, Message, header_len};
use super::pool::{BUFFER_BYTES, Pool};
use super::split::{Head, Sender, Violation};
use super::utf8::{Utf8, is_utf8};
use crate::memory::pile::Pile;

/// Frames up to this payload are moved up behind the frame before them, so that a burst leaves as one slice: below it,
/// moving the bytes costs less than one more entry in a vectored write.
const COMPACT_BYTES: usize = 512;

/// A frame of which this much has arrived, with nothing before it, takes the receive buffer along instead of leaving it.
const ADOPT_BYTES: usize = 16 * 1024;

/// Bounds on one message.
#[derive(Clone, Copy, Debug)]
pub struct MessageLimits {
    /// Payload bytes over all fragments.
    pub bytes: usize,
    /// Fragments, empty ones included.
    pub fragments: u32,
}

/// How far the receive buffer has been used up.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Start of what has not been looked at; invariant: `tail ≤ start ≤ end`.
    pub start: usize,
    /// End of what was received.
    pub end: usize,
    /// End of the last message handed out from this buffer, behind which the next small one may be moved; 0 if none.
    tail: usize,
}

impl Window {
    /// `buffer[..end]` was received and nothing of it used.
    #[must_use]
    pub fn new(end: usize) -> Self {
        Self { start: 0, end, tail: 0 }
    }
}

/// What a client said.
#[derive(Debug)]
pub enum Item<'m> {
    /// A whole message.
    Message(Message<'m>),
    /// A whole control frame, its payload unmasked.
    Control(Control, &'m [u8]),
}

/// One client's unfinished message, if any.
#[derive(Debug, Default)]
pub struct Assembler {
    open: Option<Box<Open>>,
}

/// A message of which not everything has arrived.
#[derive(Debug)]
struct Open {
    /// Which of all messages that were ever put together this is.
    number: u64,
    kind: Kind,
    /// `start` spare bytes, then the unmasked payload so far, of all fragments.
    bytes: Pile,
    /// Invariant: `HEADROOM ≤ start ≤ bytes.len()`.
    start: usize,
    fragments: u32,
    /// The text so far; unused for binary messages.
    text: Utf8,
    /// The data frame that is arriving; `None` between fragments.
    frame: Option<Arriving>,
}

/// A data frame whose header is complete and whose payload is not.
#[derive(Debug)]
struct Arriving {
    /// Payload bytes that have not arrived; invariant: `> 0`.
    missing: usize,
    key: MaskingKey,
    is_final: bool,
}

impl Assembler {
    /// Takes the next item, sent by a client, off the front of `buffer[window.start..window.end]`.
    ///
    /// `None` means that more bytes are needed; what is left in the window then is at most an incomplete header or
    /// control frame, and must come back in front of the next bytes.
    ///
    /// # Errors
    /// The [`Violation`] that ends the connection; the assembler must not be used afterwards.
    #[inline]
    pub fn next<'m>(
        &mut self,
        buffer: &'m mut Vec<u8>,
        window: &mut Window,
        limits: MessageLimits,
        pool: &mut Pool,
    ) -> Result<Option<Item<'m>>, Violation> {
        self.next_from(Sender::Client, buffer, window, limits, pool)
    }

    /// As [`next`](Self::next), of what `sender` sent. A server's header is as long as the one we put in its place, so a
    /// message from a server is relayed where it lies as well.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    #[inline]
    pub fn next_from<'m>(
        &mut self,
        sender: Sender,
        buffer: &'m mut Vec<u8>,
        window: &mut Window,
        limits: MessageLimits,
        pool: &mut Pool,
    ) -> Result<Option<Item<'m>>, Violation> {
        loop {
            if let Some(open) = self.open.as_deref_mut()
                && let Some(frame) = &open.frame
            {
                let take = frame.missing.min(window.end - window.start);
                if take == 0 {
                    return Ok(None);
                }
                let room = open.bytes.room(take);
                let taken = room.len();
                room.copy_from_slice(&buffer[window.start..window.start + taken]);
                window.start += taken;
                if let Some(message) = self.received(taken, pool)? {
                    return Ok(Some(Item::Message(message)));
                }
                if self.is_inside_frame() {
                    continue;
                }
            }
            let received = &buffer[window.start..window.end];
            let Some(head) = Head::parse_from(sender, received)? else { return Ok(None) };
            let arrived = received.len() - head.header_len;
            match head.opcode {
                OpCode::Control(control) => {
                    let len = usize::try_from(head.payload_len).expect("control frames are short");
                    if arrived < len {
                        return Ok(None);
                    }
                    let payload = window.start + head.header_len;
                    window.start = payload + len;
                    let payload = &mut buffer[payload..payload + len];
                    { head.key }.apply(payload);
                    return Ok(Some(Item::Control(control, payload)));
                }
                OpCode::Data(data) => {
                    let len = self.admit(&head, data, limits)?;
                    if self.open.is_none() && head.is_final && arrived >= len {
                        return Ok(Some(Item::Message(in_place(buffer, window, &head, data, len)?)));
                    }
                    window.start += head.header_len;
                    if let Some(spare) = self.spare_for(&head, window, len, buffer.len(), pool) {
                        let adopted = std::mem::replace(buffer, spare);
                        return self.adopt(&head, data, len, adopted, window, pool).map(|()| None);
                    }
                    self.begin(&head, data, len, arrived, pool);
                    if len == 0
                        && let Some(message) = self.finish_frame(head.is_final, pool)?
                    {
                        return Ok(Some(Item::Message(message)));
                    }
                }
            }
        }
    }

    /// Room to receive the payload of the arriving frame into, without a detour through the receive buffer; `None`
    /// unless `worth` bytes of it are missing at least. What was received is reported with
    /// [`received`](Assembler::received).
    pub fn room(&mut self, worth: usize) -> Option<&mut [u8]> {
        let open = self.open.as_deref_mut()?;
        let missing = open.frame.as_ref()?.missing;
        // As much again as has arrived, or what there is anyway: memory follows the bytes that came.
        let room = open.bytes.len().max(open.bytes.spare());
        (missing >= worth).then(|| open.bytes.room(missing.min(room)))
    }

    /// The next `bytes` of the arriving frame's payload are in [`room`](Assembler::room), still masked.
    ///
    /// # Errors
    /// [`Violation::InvalidText`].
    pub fn received<'m>(&mut self, bytes: usize, pool: &mut Pool) -> Result<Option<Message<'m>>, Violation> {
        let Some(open) = self.open.as_deref_mut() else { return Ok(None) };
        let Some(frame) = &mut open.frame else { return Ok(None) };
        debug_assert!(bytes <= frame.missing);
        frame.missing -= bytes;
        let fresh = open.bytes.fill(bytes);
        frame.key.apply(fresh);
        if open.kind == Kind::Text {
            open.text.push(fresh).map_err(|_| Violation::InvalidText)?;
        }
        if frame.missing > 0 {
            return Ok(None);
        }
        let is_final = frame.is_final;
        self.finish_frame(is_final, pool)
    }

    /// Gives up what has arrived of a message, and its buffer back.
    pub fn abandon(&mut self, pool: &mut Pool) {
        if let Some(open) = self.open.take() {
            open.bytes.into_pieces().into_iter().for_each(|piece| pool.give(piece));
        }
    }

    /// The memory that it takes, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.open.as_deref().map_or(0, |open| open.bytes.weight())
    }

    /// The number of the message that has not arrived in full; no other message has it.
    #[must_use]
    pub fn unfinished(&self) -> Option<u64> {
        self.open.as_deref().map(|open| open.number)
    }

    /// Whether a data frame's payload is arriving.
    fn is_inside_frame(&self) -> bool {
        self.open.as_deref().is_some_and(|open| open.frame.is_some())
    }

    /// Whether the frame may come now (RFC 6455 §5.4), and its length if the limits allow it.
    #[inline]
    fn admit(&self, head: &Head, data: Data, limits: MessageLimits) -> Result<usize, Violation> {
        let (collected, fragments) = match (self.open.as_deref(), data) {
            (None, Data::Continue) => return Err(Violation::StrayContinuation),
            (Some(_), Data::Text | Data::Binary) => return Err(Violation::UnfinishedMessage),
            (None, _) => (0, 0),
            (Some(open), _) => (open.bytes.len() - open.start, open.fragments),
        };
        if fragments >= limits.fragments {
            return Err(Violation::TooManyFragments { limit: limits.fragments });
        }
        match usize::try_from(head.payload_len) {
            Ok(len) if len <= limits.bytes.saturating_sub(collected) => Ok(len),
            _ => Err(Violation::TooLong { limit: limits.bytes }),
        }
    }

    /// What the loop can receive into if this frame, whose payload starts at the window, takes the receive buffer along.
    #[cold]
    fn spare_for(
        &self,
        head: &Head,
        window: &Window,
        len: usize,
        buffer_len: usize,
        pool: &mut Pool,
    ) -> Option<Vec<u8>> {
        // Whatever was handed out of this buffer before may still have to be written.
        let is_first = self.open.is_none() && window.start == head.header_len && window.start >= HEADROOM;
        let arrived = window.end - window.start;
        let is_worth_it = (ADOPT_BYTES..len).contains(&arrived) && window.start + len <= buffer_len;
        if is_first && is_worth_it { pool.take() } else { None }
    }

    /// Collects a message in the receive buffer that its first frame has begun to arrive in.
    fn adopt(
        &mut self,
        head: &Head,
        data: Data,
        len: usize,
        buffer: Vec<u8>,
        window: &mut Window,
        pool: &mut Pool,
    ) -> Result<(), Violation> {
        let (start, arrived) = (window.start, window.end - window.start);
        let mut open = Box::new(Open::new(pool.number(), data, Pile::lent(buffer, start, pool.charge()), start));
        open.fragments = 1;
        open.frame = Some(Arriving { missing: len, key: head.key, is_final: head.is_final });
        self.open = Some(open);
        *window = Window::new(0);
        self.received(arrived, pool).map(|message| debug_assert!(message.is_none(), "the frame was not whole"))
    }

    /// Starts collecting a frame of which `arrived` bytes are at hand.
    fn begin(&mut self, head: &Head, data: Data, len: usize, arrived: usize, pool: &mut Pool) {
        let open = self.open.get_or_insert_with(|| {
            let arrived = arrived.min(len);
            let bytes = match if arrived >= ADOPT_BYTES { pool.take() } else { None } {
                Some(buffer) => Pile::lent(buffer, HEADROOM, pool.charge()),
                None => {
                    let mut bytes = Pile::new(pool.charge());
                    bytes.room(HEADROOM + arrived);
                    bytes.fill(HEADROOM);
                    bytes
                }
            };
            Box::new(Open::new(pool.number(), data, bytes, HEADROOM))
        });
        open.fragments += 1;
        if len > 0 {
            open.frame = Some(Arriving { missing: len, key: head.key, is_final: head.is_final });
        }
    }

    /// The payload of the present frame is complete.
    fn finish_frame<'m>(&mut self, is_final: bool, pool: &mut Pool) -> Result<Option<Message<'m>>, Violation> {
        let Some(open) = self.open.as_deref_mut() else { return Ok(None) };
        open.frame = None;
        if !is_final {
            return Ok(None);
        }
        let Some(open) = self.open.take() else { return Ok(None) };
        if open.kind == Kind::Text {
            open.text.finish().map_err(|_| Violation::InvalidText)?;
        }
        let end = open.bytes.len();
        let (buffer, pieces) = open.bytes.into_one(|len| {
            let spare = if len <= BUFFER_BYTES { pool.take() } else { None };
            spare.unwrap_or_else(|| vec![0; len])
        });
        pieces.into_iter().for_each(|piece| pool.give(piece));
        Ok(Some(Message::owned(open.kind, buffer, open.start..end)))
    }
}

impl Open {
    /// A message of which nothing has arrived; `bytes` holds the `start` spare ones in front of it.
    fn new(number: u64, data: Data, bytes: Pile, start: usize) -> Self {
        let kind = if data == Data::Text { Kind::Text } else { Kind::Binary };
        Self { number, kind, bytes, start, fragments: 0, text: Utf8::default(), frame: None }
    }
}

/// Hands out a final frame that arrived whole, unmasked in the receive buffer itself.
#[inline]
fn in_place<'m>(
    buffer: &'m mut [u8],
    window: &mut Window,
    head: &Head,
    data: Data,
    len: usize,
) -> Result<Message<'m>, Violation> {
    let payload = window.start + head.header_len;
    let mut key = head.key;
    key.apply(&mut buffer[payload..payload + len]);
    let kind = match data {
        Data::Text if !is_utf8(&buffer[payload..payload + len]) => return Err(Violation::InvalidText),
        Data::Text => Kind::Text,
        _ => Kind::Binary,
    };
    window.start = payload + len;
    let head_len = header_len(len);
    let at = if window.tail > 0 && len <= COMPACT_BYTES {
        buffer.copy_within(payload..payload + len, window.tail + head_len);
        window.tail + head_len
    } else {
        payload
    };
    window.tail = at + len;
    Ok(Message::in_place(kind, &mut buffer[at - head_len..at + len], head_len))
}
