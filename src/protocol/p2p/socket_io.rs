//! Placeholder for the codec.
use std::borrow::Cow;
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PacketType { Connect, Disconnect, Event, Ack, Error, BinaryEvent, BinaryAck }
#[derive(Debug)]
pub struct Malformed;
pub struct Packet<'t> { pub kind: PacketType, pub attachments: u32, pub namespace: &'t str, pub id: Option<u64>, pub data: Option<&'t [u8]> }
pub struct EventData<'t> { pub name: Cow<'t, str>, pub name_span: &'t [u8], pub arguments: &'t [u8] }
pub fn parse(text: &[u8], max: u32) -> Result<Packet<'_>, Malformed> {
    use PacketType::*;
    let text = std::str::from_utf8(text).map_err(|_| Malformed)?;
    let kind = text.bytes().next().and_then(|b| [Connect, Disconnect, Event, Ack, Error, BinaryEvent, BinaryAck].into_iter().nth(b.wrapping_sub(b'0') as usize)).ok_or(Malformed)?;
    let mut rest = &text[1..];
    let mut attachments = 0;
    if matches!(kind, BinaryEvent | BinaryAck) { let (n, r) = rest.split_once('-').ok_or(Malformed)?; attachments = n.parse().map_err(|_| Malformed)?; rest = r; if attachments > max { return Err(Malformed) } }
    let mut namespace = "/";
    if rest.starts_with('/') { let (n, r) = rest.split_once(',').unwrap_or((rest, "")); namespace = n; rest = r; }
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let id = if digits > 0 { Some(rest[..digits].parse().map_err(|_| Malformed)?) } else { None };
    let data = &rest[digits..];
    Ok(Packet { kind, attachments, namespace, id, data: (!data.is_empty()).then_some(data.as_bytes()) })
}
pub fn elements(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let list = list.strip_prefix(b"[").and_then(|l| l.strip_suffix(b"]")).unwrap_or(list);
    let mut rest = list.trim_ascii();
    std::iter::from_fn(move || {
        if rest.is_empty() { return None }
        let mut stream = serde_json::Deserializer::from_slice(rest).into_iter::<&serde_json::value::RawValue>();
        stream.next()?.ok()?;
        let n = stream.byte_offset();
        let item = rest[..n].trim_ascii();
        rest = rest[n..].trim_ascii();
        rest = rest.strip_prefix(b",").unwrap_or(rest).trim_ascii();
        Some(item)
    })
}
pub fn event(data: &[u8]) -> Result<EventData<'_>, Malformed> {
    let name_span = elements(data).next().ok_or(Malformed)?;
    let name: String = serde_json::from_slice(name_span).map_err(|_| Malformed)?;
    let at = name_span.as_ptr().addr() - data.as_ptr().addr() + name_span.len();
    let rest = data[at..data.len() - 1].trim_ascii();
    Ok(EventData { name: Cow::Owned(name), name_span, arguments: rest.strip_prefix(b",").unwrap_or(rest).trim_ascii() })
}
pub fn placeholders_fit(_: &[u8], _: u32) -> bool { true }
