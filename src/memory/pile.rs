//! Bytes that become more, kept in pieces of a few sizes. In no layer.
//!
//! A buffer that doubles leaves holes behind that nothing else fits into, up to as much again as it holds, and they stay
//! with the process. Pieces of one length fit into the holes of each other, so that what is on the account is what the
//! process takes; and making room never moves more than one piece.

use super::Charge;

/// The longest piece that is made, in bytes: worth a read of its own, and below what allocators ask the system for one by
/// one.
pub const PIECE_BYTES: usize = 32 * 1024;

/// The capacity that is asked for where `bytes` are needed: an eighth more at most, or 64 bytes, so that holes fit again.
#[must_use]
pub fn roomy(bytes: usize) -> usize {
    let step = (bytes.next_power_of_two() / 16).max(64);
    bytes.div_ceil(step) * step
}

/// Bytes in order, in as many pieces as it takes.
#[derive(Debug)]
pub struct Pile {
    /// Pieces without any room left, oldest first.
    full: Vec<Vec<u8>>,
    /// The last piece; what lies behind what is filled is room. Room that was made stays, and is cleared once.
    last: Vec<u8>,
    /// Invariant: `filled ≤ last.len()`.
    filled: usize,
    /// Bytes in `full`.
    before: usize,
    /// For the pieces that were made here.
    charge: Charge,
}

impl Pile {
    /// An empty one.
    #[must_use]
    pub fn new(charge: Charge) -> Self {
        Self { full: Vec::new(), last: Vec::new(), filled: 0, before: 0, charge }
    }

    /// One whose first piece is `buffer`, of which `filled` bytes count already. It is not charged.
    #[must_use]
    pub fn lent(buffer: Vec<u8>, filled: usize, charge: Charge) -> Self {
        debug_assert!(filled <= buffer.len());
        Self { last: buffer, filled, ..Self::new(charge) }
    }

    /// How many bytes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.before + self.filled
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The memory that is charged for it, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        self.charge.bytes()
    }

    /// The room that is there anyway, in bytes.
    #[must_use]
    pub fn spare(&self) -> usize {
        self.last.len() - self.filled
    }

    /// Room for what comes next: some, and no more than `most > 0` bytes of it.
    pub fn room(&mut self, most: usize) -> &mut [u8] {
        if self.spare() == 0 {
            self.grow(most);
        }
        let end = self.last.len().min(self.filled + most);
        &mut self.last[self.filled..end]
    }

    /// The next `bytes` of the room are filled. Returns them.
    pub fn fill(&mut self, bytes: usize) -> &mut [u8] {
        let start = self.filled;
        self.filled += bytes;
        &mut self.last[start..self.filled]
    }

    /// Appends a copy of `bytes`.
    pub fn extend(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let room = self.room(bytes.len());
            let (fits, beyond) = bytes.split_at(room.len());
            room.copy_from_slice(fits);
            self.fill(fits.len());
            bytes = beyond;
        }
    }

    /// All of it in one buffer, the only piece or else the one that `buffer` returns for so many bytes, and the pieces that
    /// were copied from. What lies behind the bytes means nothing.
    pub fn into_one(mut self, buffer: impl FnOnce(usize) -> Vec<u8>) -> (Vec<u8>, Vec<Vec<u8>>) {
        if self.full.is_empty() {
            return (self.last, self.full);
        }
        let len = self.len();
        let mut one = buffer(len);
        debug_assert!(one.len() >= len);
        self.last.truncate(self.filled);
        self.full.push(self.last);
        let mut at = 0;
        for piece in &self.full {
            one[at..at + piece.len()].copy_from_slice(piece);
            at += piece.len();
        }
        (one, self.full)
    }

    /// The pieces themselves.
    pub fn into_pieces(mut self) -> Vec<Vec<u8>> {
        self.full.push(self.last);
        self.full
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        if self.last.len() >= PIECE_BYTES {
            self.before += self.filled;
            self.filled = 0;
            self.full.push(std::mem::take(&mut self.last));
        }
        let before = self.last.capacity();
        let len = roomy(self.filled + bytes).min(PIECE_BYTES);
        self.last.reserve_exact(len - self.last.len());
        self.last.resize(len, 0);
        if self.charge.bytes() == 0 {
            self.charge.set(size_of::<Self>());
        }
        self.charge.set(self.charge.bytes() + self.last.capacity() - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::memory::Account;

    fn bytes(len: usize) -> Vec<u8> {
        (0..len).map(|index| (index % 251) as u8).collect()
    }

    #[test]
    fn what_went_in_by_any_pieces_comes_out() {
        for (len, step) in [(0, 1), (1, 1), (100, 7), (PIECE_BYTES, 1000), (PIECE_BYTES + 1, 999), (200_000, 50_001)] {
            let account = Account::default();
            let mut pile = Pile::new(account.charge());
            bytes(len).chunks(step).for_each(|chunk| pile.extend(chunk));
            assert_eq!(pile.len(), len);
            assert!(account.used() <= len + len / 8 + 64 + size_of::<Pile>(), "{len}: {}", account.used());
            let (one, _) = pile.into_one(|len| vec![9; len + 5]);
            assert_eq!(one[..len], bytes(len));
            assert_eq!(account.used(), 0);
        }
    }

    #[test]
    fn what_is_lent_is_used_first_and_not_charged() {
        let account = Account::default();
        let mut pile = Pile::lent(vec![1; 1000], 500, account.charge());
        assert_eq!(pile.spare(), 500);
        pile.extend(&[2; 500]);
        assert_eq!((pile.len(), account.used()), (1000, 0));
        pile.extend(&[3; 10]);
        assert!(account.used() > 0);
        let (one, _) = pile.into_one(|len| vec![0; len]);
        assert_eq!(one[..1010], [&[1; 500][..], &[2; 500], &[3; 10]].concat());
    }

    #[test]
    fn holes_fit_again() {
        for bytes in [1, 64, 65, 1000, 4097, 7900, 32_768, 100_000] {
            let room = roomy(bytes);
            assert!((bytes..=bytes + bytes / 8 + 64).contains(&room), "{bytes}: {room}");
            assert_eq!(roomy(room), room);
        }
        assert_eq!(roomy(PIECE_BYTES), PIECE_BYTES);
    }
}
