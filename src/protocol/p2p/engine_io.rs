//! Placeholder for the codec.
use std::time::Duration;
pub use crate::hub::devices::Revision;
use crate::frame::message::Kind;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType { Open, Close, Ping, Pong, Message, Upgrade, Noop }
#[derive(Debug)]
pub struct Malformed;
pub fn packet(kind: Kind, payload: &[u8], revision: Revision) -> Result<(PacketType, &[u8]), Malformed> {
    use PacketType::*;
    if kind == Kind::Binary && revision == Revision::Four { return Ok((Message, payload)); }
    let (first, rest) = payload.split_first().ok_or(Malformed)?;
    let n = if kind == Kind::Text { first.wrapping_sub(b'0') } else { *first };
    Ok(([Open, Close, Ping, Pong, Message, Upgrade, Noop].into_iter().nth(n as usize).ok_or(Malformed)?, rest))
}
pub fn open_packet(out: &mut Vec<u8>, sid: &str, upgrades: bool, i: Duration, t: Duration, max: usize) {
    let up = if upgrades { "\"websocket\"" } else { "" };
    out.extend_from_slice(format!("0{{\"sid\":\"{sid}\",\"upgrades\":[{up}],\"pingInterval\":{},\"pingTimeout\":{},\"maxPayload\":{max}}}", i.as_millis(), t.as_millis()).as_bytes());
}
