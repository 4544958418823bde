//! Unmasking: XOR with a four-byte key (RFC 6455 §5.3). Layer 0.

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

#[cfg(test)]
mod tests {
    use super::MaskingKey;

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
