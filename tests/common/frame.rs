//! Frames as a client writes them, right or wrong, and as a server has to write them (RFC 6455 §5.2).

/// Opcode of a continuation frame.
pub(crate) const CONTINUATION: u8 = 0x0;
/// Opcode of a text frame.
pub(crate) const TEXT: u8 = 0x1;
/// Opcode of a binary frame.
pub(crate) const BINARY: u8 = 0x2;
/// Opcode of a Close frame.
pub(crate) const CLOSE: u8 = 0x8;
/// Opcode of a Ping frame.
pub(crate) const PING: u8 = 0x9;
/// Opcode of a Pong frame.
pub(crate) const PONG: u8 = 0xA;

/// The masking key of RFC 6455's own examples (§5.7).
const KEY: [u8; 4] = [0x37, 0xFA, 0x21, 0x3D];

/// How many bytes a header spends on the payload's length.
#[derive(Clone, Copy, Debug)]
enum Width {
    Minimal,
    Bits16,
    Bits64,
}

/// A client's frame. Correct unless a method says otherwise.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    opcode: u8,
    is_final: bool,
    reserved: u8,
    key: Option<[u8; 4]>,
    width: Width,
    claimed: Option<u64>,
    payload: Vec<u8>,
}

/// A frame of any opcode, reserved ones included.
pub(crate) fn frame(opcode: u8, payload: impl AsRef<[u8]>) -> Frame {
    Frame {
        opcode,
        is_final: true,
        reserved: 0,
        key: Some(KEY),
        width: Width::Minimal,
        claimed: None,
        payload: payload.as_ref().to_vec(),
    }
}

/// A text frame; the payload need not be UTF-8.
pub(crate) fn text(payload: impl AsRef<[u8]>) -> Frame {
    frame(TEXT, payload)
}

/// A binary frame.
pub(crate) fn binary(payload: impl AsRef<[u8]>) -> Frame {
    frame(BINARY, payload)
}

/// A continuation frame.
pub(crate) fn continuation(payload: impl AsRef<[u8]>) -> Frame {
    frame(CONTINUATION, payload)
}

/// A Ping.
pub(crate) fn ping(payload: impl AsRef<[u8]>) -> Frame {
    frame(PING, payload)
}

/// A Pong.
pub(crate) fn pong(payload: impl AsRef<[u8]>) -> Frame {
    frame(PONG, payload)
}

/// A Close frame with a status and a reason.
pub(crate) fn close(code: u16, reason: impl AsRef<[u8]>) -> Frame {
    let mut payload = code.to_be_bytes().to_vec();
    payload.extend_from_slice(reason.as_ref());
    frame(CLOSE, payload)
}

impl Frame {
    /// Not the last frame of its message.
    pub(crate) fn unfinished(mut self) -> Self {
        self.is_final = false;
        self
    }

    /// With reserved bits: 4, 2 and 1 are RSV1, RSV2 and RSV3.
    pub(crate) fn reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// Without a masking key, as only a server may.
    pub(crate) fn unmasked(mut self) -> Self {
        self.key = None;
        self
    }

    /// With this masking key.
    pub(crate) fn key(mut self, key: [u8; 4]) -> Self {
        self.key = Some(key);
        self
    }

    /// With a 16-bit length, even where that is not the minimal form.
    pub(crate) fn length16(mut self) -> Self {
        self.width = Width::Bits16;
        self
    }

    /// With a 64-bit length, even where that is not the minimal form.
    pub(crate) fn length64(mut self) -> Self {
        self.width = Width::Bits64;
        self
    }

    /// With a header that promises `len` bytes of payload, whatever follows it.
    pub(crate) fn claiming(mut self, len: u64) -> Self {
        self.claimed = Some(len);
        self
    }

    /// The frame on the wire.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let len = self.claimed.unwrap_or(self.payload.len() as u64);
        let masked = if self.key.is_some() { 0x80 } else { 0 };
        let mut out = vec![u8::from(self.is_final) << 7 | self.reserved << 4 | self.opcode];
        match (self.width, len) {
            (Width::Minimal, 0..=125) => out.push(masked | u8::try_from(len).expect("at most 125")),
            (Width::Minimal, 126..=0xFFFF) | (Width::Bits16, _) => {
                out.push(masked | 126);
                out.extend_from_slice(&u16::try_from(len).expect("a 16-bit length").to_be_bytes());
            }
            (Width::Minimal | Width::Bits64, _) => {
                out.push(masked | 127);
                out.extend_from_slice(&len.to_be_bytes());
            }
        }
        if let Some(key) = self.key {
            out.extend_from_slice(&key);
            let word = u32::from_ne_bytes(key);
            let (words, rest) = self.payload.as_chunks();
            words.iter().for_each(|bytes| out.extend_from_slice(&(u32::from_ne_bytes(*bytes) ^ word).to_ne_bytes()));
            out.extend(rest.iter().zip(key).map(|(byte, key)| byte ^ key));
        } else {
            out.extend_from_slice(&self.payload);
        }
        out
    }
}

/// A frame that a server sent.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Received {
    /// Text, binary, close, ping or pong.
    pub(crate) opcode: u8,
    /// Its payload.
    pub(crate) payload: Vec<u8>,
}

impl Received {
    /// Takes one frame off the front of `bytes`; `None` while it is incomplete.
    ///
    /// # Errors
    /// What a server must not send: masked frames, reserved bits and opcodes, lengths in a longer form than needed, long
    /// or fragmented control frames, text or close reasons that are not UTF-8; fragments as well, as ours never sends any.
    pub(crate) fn take(bytes: &mut Vec<u8>) -> Result<Option<Self>, String> {
        let &[first, second, ..] = &bytes[..] else { return Ok(None) };
        let opcode = first & 0x0F;
        if first & 0x70 != 0 {
            return Err(format!("reserved bits in the server's frame: {first:#04x}"));
        }
        if first & 0x80 == 0 || opcode == CONTINUATION {
            return Err(format!("a fragment from the server: {first:#04x}"));
        }
        if second & 0x80 != 0 {
            return Err("a masked frame from the server".into());
        }
        let (header, len) = match second {
            126 => {
                let Some(&[high, low]) = bytes.get(2..4) else { return Ok(None) };
                (4, u64::from(u16::from_be_bytes([high, low])))
            }
            127 => {
                let Some(len) = bytes.get(2..10) else { return Ok(None) };
                (10, u64::from_be_bytes(len.try_into().expect("eight bytes")))
            }
            len => (2, u64::from(len)),
        };
        let minimal = match len {
            0..=125 => 2,
            126..=0xFFFF => 4,
            _ => 10,
        };
        if header != minimal {
            return Err(format!("the server spent {header} bytes on the header of a frame of {len} bytes"));
        }
        if !matches!(opcode, TEXT | BINARY | CLOSE | PING | PONG) {
            return Err(format!("reserved opcode {opcode} from the server"));
        }
        if opcode >= CLOSE && len > 125 {
            return Err(format!("a control frame of {len} bytes from the server"));
        }
        let Ok(len) = usize::try_from(len) else { return Err(format!("a frame of {len} bytes from the server")) };
        if bytes.len() - header < len {
            return Ok(None);
        }
        let payload = bytes[header..header + len].to_vec();
        bytes.drain(..header + len);
        match opcode {
            TEXT if std::str::from_utf8(&payload).is_err() => Err("text from the server is not UTF-8".into()),
            CLOSE if payload.len() == 1 => Err("a close payload of one byte from the server".into()),
            CLOSE if payload.len() > 2 && std::str::from_utf8(&payload[2..]).is_err() => {
                Err("a close reason from the server is not UTF-8".into())
            }
            _ => Ok(Some(Self { opcode, payload })),
        }
    }

    /// The status of a Close frame; `None` when it has none.
    pub(crate) fn close_code(&self) -> Option<u16> {
        let &[high, low, ..] = &self.payload[..] else { return None };
        Some(u16::from_be_bytes([high, low]))
    }

    /// The reason of a Close frame.
    pub(crate) fn close_reason(&self) -> String {
        String::from_utf8_lossy(self.payload.get(2..).unwrap_or_default()).into_owned()
    }

    /// For messages of failed tests: kind and length, and the payload where it is short.
    pub(crate) fn summary(&self) -> String {
        let shown = String::from_utf8_lossy(&self.payload[..self.payload.len().min(60)]).into_owned();
        match self.opcode {
            TEXT => format!("text of {} bytes {shown:?}", self.payload.len()),
            BINARY => {
                format!("binary of {} bytes {:02x?}", self.payload.len(), &self.payload[..self.payload.len().min(20)])
            }
            CLOSE => format!("close {:?} {:?}", self.close_code(), self.close_reason()),
            PING => format!("ping of {} bytes", self.payload.len()),
            _ => format!("pong of {} bytes {shown:?}", self.payload.len()),
        }
    }
}
