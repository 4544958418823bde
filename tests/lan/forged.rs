//! Announcements of servers that are not there, written byte by byte (RFC 1035 §4, RFC 6762).

use std::net::{Ipv4Addr, UdpSocket};
use std::thread;
use std::time::Duration;

use socket2::SockRef;

const GROUP: &str = "224.0.0.251:5353";

const A: u16 = 1;
const PTR: u16 = 12;
const TXT: u16 = 16;
const SRV: u16 = 33;

/// Announces `count` servers, each in a packet of its own: half of them for a channel that is in use, at addresses that
/// answer nobody, and withdraws what was not announced.
pub(crate) fn flood(count: u32) {
    let socket = UdpSocket::bind("0.0.0.0:5353").expect("nobody else is on this host");
    // There is no route that says where multicast goes.
    SockRef::from(&socket).set_multicast_if_v4(&Ipv4Addr::new(10, 77, 0, 3)).expect("its own address");
    for number in 0..count {
        let packet = announcement(number);
        socket.send_to(&packet, GROUP).expect("the network takes it");
        if number % 20 == 0 {
            // 10,000 in a few seconds: faster, and the receivers' kernels drop most of them.
            thread::sleep(Duration::from_millis(8));
        }
    }
}

fn announcement(number: u32) -> Vec<u8> {
    let channel = if number.is_multiple_of(2) { "demo".to_owned() } else { format!("other{number}") };
    let instance = format!("{number:08x}.{channel}._bws");
    let service = ["_ws", "_tcp", "local"];
    let full = [&[&*instance][..], &service].concat();
    let host = format!("forged{number}");
    let host = [&*host, "local"];
    let mut packet = vec![0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    record(&mut packet, &service, PTR, 1, &name(&full));
    let mut srv = vec![0, 0, 0, 0, 0x23, 0x31];
    srv.extend(name(&host));
    record(&mut packet, &full, SRV, 0x8001, &srv);
    let entry = format!("path=/broadcast/{channel}");
    let mut txt = vec![u8::try_from(entry.len()).expect("short")];
    txt.extend(entry.as_bytes());
    record(&mut packet, &full, TXT, 0x8001, &txt);
    let [.., high, low] = number.to_be_bytes();
    // Half of them on the link, where nobody is; half of them somewhere else.
    let address = if number % 4 < 2 { [10, 77, 0, low | 0x80] } else { [198, 51, high, low] };
    record(&mut packet, &host, A, 0x8001, &address);
    packet
}

fn record(packet: &mut Vec<u8>, owner: &[&str], kind: u16, class: u16, data: &[u8]) {
    packet.extend(name(owner));
    packet.extend(kind.to_be_bytes());
    packet.extend(class.to_be_bytes());
    packet.extend(4500u32.to_be_bytes());
    packet.extend(u16::try_from(data.len()).expect("short").to_be_bytes());
    packet.extend(data);
}

fn name(labels: &[&str]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for label in labels {
        bytes.push(u8::try_from(label.len()).expect("short"));
        bytes.extend(label.as_bytes());
    }
    bytes.push(0);
    bytes
}
