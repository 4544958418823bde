//! Whole messages in a row: what is relayed is a frame that says the same, in place, in one piece with its neighbours
//! where that was promised, and it never touches what has not been looked at yet.
#![no_main]

use arbitrary::Arbitrary;
use jackfield::frame::assemble::{Assembler, Item, MessageLimits, Window};
use jackfield::frame::message::{Framed, header_len};
use jackfield::frame::pool::Pool;
use libfuzzer_sys::fuzz_target;

#[derive(Arbitrary, Debug)]
struct Sent {
    is_text: bool,
    key: [u8; 4],
    /// Fragments of one message; lengths go past every border of the header's form.
    fragments: Vec<(u8, u16)>,
}

fuzz_target!(|messages: Vec<Sent>| {
    let (mut bytes, mut expected) = (Vec::new(), Vec::new());
    for sent in messages.iter().filter(|sent| !sent.fragments.is_empty()).take(8) {
        let mut message = Vec::new();
        let last = sent.fragments.len().min(8) - 1;
        for (number, (fill, len)) in sent.fragments.iter().take(8).enumerate() {
            // Mostly around the borders of the header's form, now and then long.
            let len = if fill & 0x80 == 0 { *len % 300 } else { *len };
            let payload = vec![fill & 0x7F; usize::from(len)];
            let opcode = if number > 0 {
                0
            } else if sent.is_text {
                1
            } else {
                2
            };
            bytes.push(if number == last { 0x80 | opcode } else { opcode });
            match payload.len() {
                len @ 0..=125 => bytes.push(0x80 | len as u8),
                len => {
                    bytes.push(0x80 | 126);
                    bytes.extend((len as u16).to_be_bytes());
                }
            }
            bytes.extend(sent.key);
            bytes.extend(payload.iter().zip(sent.key.iter().cycle()).map(|(byte, key)| byte ^ key));
            message.extend(payload);
        }
        expected.push((sent.is_text, message));
    }
    let limits = MessageLimits { bytes: usize::MAX, fragments: u32::MAX };
    let (mut assembler, mut pool, mut window) = (Assembler::default(), Pool::default(), Window::new(bytes.len()));
    let mut expected = expected.into_iter();
    let mut scratch = bytes.clone();
    loop {
        let item = assembler.next(&mut scratch, &mut window, limits, &mut pool).expect("these frames are right");
        let Some(Item::Message(message)) = item else { break };
        let (is_text, payload) = expected.next().expect("no more than was sent");
        let frame = match message.reframe() {
            Framed::InPlace(frame) => frame.to_vec(),
            Framed::Owned(buffer, range) => buffer[range].to_vec(),
        };
        assert_eq!(frame[0], if is_text { 0x81 } else { 0x82 });
        assert_eq!(&frame[header_len(payload.len())..], payload);
        assert_eq!(scratch[window.start..], bytes[window.start..], "what follows is as it was received");
    }
    assert!(expected.next().is_none(), "nothing is lost");
});
