//! tungstenite's own server as an echo server: where it agrees with the table, the table is right about RFC 6455.
//!
//! It answers violations by dropping the connection; the Close frame that a server of manners sends first is added here
//! from the kind of its error, and names the limit as ours does.

use std::io::{ErrorKind, Read};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::thread;

use tungstenite::error::Error;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::protocol::{CloseFrame, WebSocketConfig};
use tungstenite::{WebSocket, accept_with_config};

/// Starts it on a free port; it lives as long as the test program.
pub(crate) fn start(max_message: usize) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || serve(stream, max_message));
        }
    });
    address
}

fn serve(stream: TcpStream, max_message: usize) {
    stream.set_nodelay(true).expect("a live socket");
    let config = WebSocketConfig::default().max_message_size(Some(max_message)).max_frame_size(Some(max_message));
    let Ok(mut socket) = accept_with_config(stream, Some(config)) else { return };
    let refusal = loop {
        match socket.read() {
            Ok(message) if message.is_text() || message.is_binary() => {
                if socket.send(message).is_err() {
                    return;
                }
            }
            Ok(_) => {}
            Err(Error::Utf8(_)) => break Some((CloseCode::Invalid, "")),
            Err(Error::Capacity(_)) => break Some((CloseCode::Size, "--max-message")),
            Err(Error::Protocol(_)) => break Some((CloseCode::Protocol, "")),
            Err(_) => break None,
        }
    };
    if let Some((code, reason)) = refusal {
        let _ = socket.close(Some(CloseFrame { code, reason: reason.into() }));
    }
    linger(&mut socket);
}

/// Ends our direction and reads the other until it ends, so that no reset overtakes what we said.
fn linger(socket: &mut WebSocket<TcpStream>) {
    let stream = socket.get_mut();
    let _ = stream.shutdown(Shutdown::Write);
    let mut sink = [0; 4096];
    loop {
        match stream.read(&mut sink) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return,
        }
    }
}
