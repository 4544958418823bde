//! Masking: XOR with a four-byte key (RFC 6455 §5.3). Layer 0.
//!
//! [`MaskingKey`] unmasks what clients send. [`mask_frames`] turns frames of ours into those of a client, for the
//! connections that we open ourselves.

use super::split::{Head, Sender};

/// A masking key, advanced by as many payload bytes as were unmasked with it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct MaskingKey([u8; 4]);

impl MaskingKey {
    /// The key as it stands in a frame's header.
    #[must_use]
    pub fn new(key: [u8; 4]) -> Self {
        Self(key)
    }

    /// Unmasks the next bytes of the payload where they lie and moves on behind them.
    pub fn apply(&mut self, bytes: &mut [u8]) {
        let word = u64::from(u32::from_ne_bytes(self.0));
        let word = word << 32 | word;
        let mut words = bytes.chunks_exact_mut(8);
        for chunk in &mut words {
            let plain = u64::from_ne_bytes(chunk.try_into().expect("chunks_exact yields eight bytes")) ^ word;
            chunk.copy_from_slice(&plain.to_ne_bytes());
        }
        for (byte, key) in words.into_remainder().iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= key;
        }
        self.0.rotate_left(bytes.len() % 4);
    }
}

/// Appends `frames`, whole and unmasked, to `out` as a client sends them: each with the next of `keys`, which must be
/// unpredictable (RFC 6455 §5.3).
pub fn mask_frames(out: &mut Vec<u8>, mut frames: &[u8], mut keys: impl FnMut() -> [u8; 4]) {
    while let Ok(Some(head)) = Head::parse_from(Sender::Server, frames) {
        let end = usize::try_from(head.payload_len).map_or(frames.len(), |len| head.header_len + len);
        debug_assert!(end <= frames.len(), "frames are whole");
        let end = end.min(frames.len());
        let key = keys();
        let header = out.len();
        out.extend_from_slice(&frames[..head.header_len]);
        out[header + 1] |= 0x80;
        out.extend_from_slice(&key);
        let payload = out.len();
        out.extend_from_slice(&frames[head.header_len..end]);
        MaskingKey::new(key).apply(&mut out[payload..]);
        frames = &frames[end..];
    }
}

#[cfg(test)]
mod tests {
    use super::{MaskingKey, mask_frames};
    use crate::frame::split::Head;
    use crate::frame::write::push_header;
    use tungstenite::protocol::frame::coding::{Data, OpCode};

    #[test]
    fn masked_frames_are_a_clients_and_say_the_same() {
        let payloads = [0, 1, 125, 126, 300, 65_536].map(|len| (0..len).map(|at| at as u8).collect::<Vec<_>>());
        let mut frames = Vec::new();
        for payload in &payloads {
            push_header(&mut frames, OpCode::Data(Data::Binary), payload.len());
            frames.extend_from_slice(payload);
        }
        let (mut masked, mut number) = (Vec::new(), 0u8);
        mask_frames(&mut masked, &frames, || {
            number += 1;
            [number, 0xA5, 0, 7]
        });
        let mut rest = &mut masked[..];
        for payload in &payloads {
            let head = Head::parse(rest).expect("a client's").expect("whole");
            let (frame, behind) = rest.split_at_mut(head.header_len + payload.len());
            { head.key }.apply(&mut frame[head.header_len..]);
            assert_eq!(&frame[head.header_len..], payload);
            rest = behind;
        }
        assert!(rest.is_empty() && usize::from(number) == payloads.len());
    }

    #[test]
    fn any_cut_gives_what_one_byte_at_a_time_gives() {
        let key = [0x37, 0xfa, 0x21, 0x3d];
        let masked: Vec<u8> = (0..67u8).collect();
        let plain: Vec<u8> = masked.iter().enumerate().map(|(i, byte)| byte ^ key[i % 4]).collect();
        for cut in 0..=masked.len() {
            let mut bytes = masked.clone();
            let mut running = MaskingKey::new(key);
            running.apply(&mut bytes[..cut]);
            running.apply(&mut bytes[cut..]);
            assert_eq!(bytes, plain, "cut at {cut}");
        }
    }
}
