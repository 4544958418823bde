//! Socket.IO clients with tokens: in the handshake's fields, or in the packet that connects the namespace.

use std::net::SocketAddr;

use super::common::client::Client;
use super::common::frame::text;
use super::common::http::Response;
use super::{Files, NOT_ACCEPTED, handshake, server, token, token_of};

const PATH: &str = "/socket.io/?EIO=4&transport=websocket";

/// An Engine.IO session over a WebSocket that has not connected its namespace.
fn session(address: SocketAddr, query: &str, fields: &str) -> Client {
    let (mut client, response) = handshake(address, &format!("{PATH}{query}"), fields);
    assert_eq!(response.status, 101, "{response:?}");
    assert!(client.any_text().starts_with("0{"));
    client
}

/// Connects the namespace, showing a token with that.
fn join(client: &mut Client, token: &str) {
    client.send(&text(format!(r#"40{{"token":"{token}"}}"#)));
}

#[track_caller]
fn expect_joined(client: &mut Client) {
    let joined = client.any_text();
    assert!(joined.starts_with(r#"40{"sid":""#), "{joined}");
}

#[track_caller]
fn expect_refused(client: &mut Client, reason: &str) {
    client.expect_text(format!(r#"44{{"message":"{reason}"}}"#));
    assert_eq!(client.expect_close(1008), reason);
}

const NOT_PERMITTED: &str = "not permitted: this needs a token that permits this id (device)";

#[test]
fn a_device_shows_its_token_when_it_connects() {
    let files = Files::new("device");
    let server = server(&files, |_| {});
    let address = server.address();
    let lamp = token(&["device=lamp"]);
    let mut client = session(address, "&clientId=lamp", "");
    join(&mut client, &lamp);
    expect_joined(&mut client);
    for fields in [
        format!("Authorization: Bearer {lamp}\r\n"),
        format!("Sec-WebSocket-Protocol: jackfield.token.{lamp}, jackfield\r\n"),
    ] {
        let mut client = session(address, "&clientId=lamp-2", &fields);
        client.send(&text("40"));
        expect_refused(&mut client, NOT_PERMITTED);
        let mut client = session(address, "", &fields);
        client.send(&text("40"));
        expect_joined(&mut client);
    }
    for (query, said, reason) in [
        ("&clientId=other", format!(r#"40{{"token":"{lamp}"}}"#), NOT_PERMITTED),
        ("&clientId=lamp", r#"40{"token":"x.y.z"}"#.to_owned(), NOT_ACCEPTED),
        ("&clientId=lamp", "40".to_owned(), NOT_PERMITTED),
        ("&clientId=lamp", r#"40{"token":7}"#.to_owned(), NOT_PERMITTED),
        ("", format!(r#"40{{"token":"{}"}}"#, token(&["pair", "publish=*"])), NOT_PERMITTED),
    ] {
        let mut client = session(address, query, "");
        client.send(&text(said));
        expect_refused(&mut client, reason);
    }
    // Of these, one token is worth nothing; the others only permit too little.
    assert_eq!(server.metrics().value("jackfield_tokens_refused_total"), 1.0);
    // Nothing else is heard before, and only little.
    let mut client = session(address, "&clientId=lamp", "");
    client.send(&text(r#"42["P2P_EMIT",{}]"#));
    client.expect_close(1008);
    let mut client = session(address, "", "");
    client.send(&text(format!("40{}", "x".repeat(4096))));
    client.expect_close(1009);
    // Engine.IO 3 connects at once, so it needs its token at once.
    let target = "/socket.io/?EIO=3&transport=websocket&deviceId=lamp";
    let (mut client, _) = handshake(address, target, "");
    assert!(client.any_text().starts_with("0{"));
    client.expect_text(format!(r#"44"{NOT_PERMITTED}""#));
    assert_eq!(client.expect_close(1008), NOT_PERMITTED);
}

/// What `SUBSCRIBE_DEVICES` answers to a device that comes through a proxy, so that this machine alone is no reason.
fn devices_seen(address: SocketAddr, fields: &str, token: &str) -> String {
    let mut client = session(address, "", &format!("X-Forwarded-For: 192.0.2.1\r\n{fields}"));
    if token.is_empty() {
        client.send(&text("40"))
    } else {
        join(&mut client, token)
    }
    expect_joined(&mut client);
    client.send(&text(r#"420["SUBSCRIBE_DEVICES"]"#));
    client.any_text()
}

#[test]
fn an_administrators_device_sees_where_others_are() {
    let files = Files::new("operator");
    let free = |is_apart: bool| {
        server(&files, |config| {
            if is_apart {
                config.admin = vec![(std::net::Ipv4Addr::LOCALHOST, 0).into()];
            }
        })
    };
    let (plain, admin) = (token(&["device=*"]), token(&["device=*", "admin"]));
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let open = free(false);
    let address = open.address();
    for (fields, token, is_operator) in [
        (bearer(&admin), "", true),
        (String::new(), &*admin, true),
        (format!("Sec-WebSocket-Protocol: jackfield.token.{admin}, jackfield\r\n"), "", true),
        (bearer(&plain), "", false),
        (String::new(), &*plain, false),
    ] {
        let seen = devices_seen(address, &fields, token);
        assert_eq!(seen.contains("\"address\":\"127.0.0.1"), is_operator, "{fields}: {seen}");
    }
    // Where administrators have a listener of their own, nobody is one elsewhere.
    let apart = free(true);
    let seen = devices_seen(apart.address(), "", &admin);
    assert!(!seen.contains("127.0.0.1"), "{seen}");
}

#[test]
fn t33_another_identity_gets_no_id_that_is_in_use() {
    let files = Files::new("identity");
    for device_overwrite in [false, true] {
        let server = server(&files, |config| {
            config.device_overwrite = device_overwrite;
            config.anonymous = vec!["device=lamp".to_owned()];
        });
        let alice = token_of("alice", 3600, &["device=lamp"]);
        let mallory = token_of("mallory", 3600, &["device=*"]);
        let mut holder = session(server.address(), "&clientId=lamp", "");
        join(&mut holder, &alice);
        expect_joined(&mut holder);
        for token in [&mallory, ""] {
            let mut other = session(server.address(), "&clientId=lamp", "");
            if token.is_empty() {
                other.send(&text("40"));
            } else {
                join(&mut other, token);
            }
            expect_joined(&mut other);
            let told = other.any_text();
            assert!(told.contains("Duplicated clientId"), "{told}");
            other.expect_text("41");
        }
        // It was not even asked whether it is there, and still has its id.
        holder.round_trip();
        let mut caller = session(server.address(), "&clientId=caller", "");
        join(&mut caller, &mallory);
        expect_joined(&mut caller);
        caller.send(&text(r#"420["GET_CLIENT_CONNECTED_STATUS","lamp"]"#));
        let status = caller.any_text();
        assert!(status.contains("true"), "{status}");
        // The same identity may have it back, by the usual rules.
        let mut again = session(server.address(), "&clientId=lamp", "");
        join(&mut again, &alice);
        if device_overwrite {
            expect_joined(&mut again);
        } else {
            holder.expect_ping();
        }
    }
}

fn ask(address: SocketAddr, method: &str, target: &str, fields: &str, body: &str) -> Response {
    let mut client = Client::connect(address);
    let length = body.len();
    client.write(
        format!("{method} {target} HTTP/1.1\r\nHost: {address}\r\n{fields}Content-Length: {length}\r\n\r\n{body}")
            .as_bytes(),
    );
    client.response()
}

/// An Engine.IO session that polls: its name.
fn polling(address: SocketAddr, fields: &str) -> String {
    let opened = ask(address, "GET", "/socket.io/?EIO=4&transport=polling&clientId=lamp", fields, "");
    assert_eq!(opened.status, 200, "{opened:?}");
    let body = opened.text();
    let (_, rest) = body.split_once(r#""sid":""#).expect("a sid");
    rest.split_once('"').expect("a sid").0.to_owned()
}

#[test]
fn a_device_that_polls_shows_its_token_too() {
    let files = Files::new("polling");
    let server = server(&files, |_| {});
    let address = server.address();
    let lamp = token(&["device=lamp"]);
    let target = |sid: &str| format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    let sid = polling(address, "");
    let told = |sid: &str| ask(address, "GET", &target(sid), "", "").text();
    assert_eq!(ask(address, "POST", &target(&sid), "", &format!(r#"40{{"token":"{lamp}"}}"#)).text(), "ok");
    assert!(told(&sid).starts_with(r#"40{"sid""#));
    let sid = polling(address, &format!("Authorization: Bearer {lamp}\r\n"));
    assert_eq!(ask(address, "POST", &target(&sid), "", "40").text(), "ok");
    let answer = told(&sid);
    assert!(answer.starts_with(r#"40{"sid""#) || answer == "6", "{answer}");
    let sid = polling(address, "");
    ask(address, "POST", &target(&sid), "", r#"40{"token":"x.y.z"}"#);
    assert!(told(&sid).starts_with(&format!(r#"44{{"message":"{NOT_ACCEPTED}"}}"#)));
    let sid = polling(address, "");
    let long = ask(address, "POST", &target(&sid), "", &"4".repeat(4097));
    assert!(long.status == 413 && long.text().contains("--token-key"), "{long:?}");
    let bad = "Authorization: Bearer x.y.z\r\n";
    let refused = ask(address, "GET", "/socket.io/?EIO=4&transport=polling", bad, "");
    assert_eq!((refused.status, refused.header("www-authenticate")), (401, Some("Bearer")));
}

#[test]
fn t21_a_device_that_polls_is_cut_with_its_mailbox() {
    let files = Files::new("mailbox");
    let list = files.write("revoked", b"# nobody\n");
    let server = server(&files, |config| config.token_revoked = vec![list]);
    let address = server.address();
    let sid = polling(address, &format!("Authorization: Bearer {}\r\n", token(&["device=*"])));
    let target = format!("/socket.io/?EIO=4&transport=polling&sid={sid}");
    ask(address, "POST", &target, "", "40");
    assert!(ask(address, "GET", &target, "", "").text().starts_with("40"));
    let bob = token_of("bob", 3600, &["device=*"]);
    let mut caller = session(address, "&clientId=caller", &format!("Authorization: Bearer {bob}\r\n"));
    caller.send(&text("40"));
    expect_joined(&mut caller);
    caller.send(&text(r#"42["P2P_EMIT",{"targetClientId":"lamp","event":"secret","args":["for lamp"]}]"#));
    caller.round_trip();
    files.write("revoked", b"alice\n");
    server.reload();
    server.metrics().wait_for("the end", |values| values["jackfield_polling_sessions"] == 0.0);
    let last = ask(address, "GET", &target, "", "");
    assert!(!last.text().contains("for lamp"), "{last:?}");
    caller.round_trip();
}

/// A device that polls goes over to a WebSocket in the place of a client that was there before: what that one's token was
/// worth is no concern of it.
#[test]
fn t41_nobody_has_a_place_with_anothers_token() {
    let files = Files::new("place");
    let list = files.write("revoked", b"# nobody\n");
    let server = server(&files, |config| config.token_revoked = vec![list]);
    let address = server.address();
    let bearer = |token: &str| format!("Authorization: Bearer {token}\r\n");
    let sid = polling(address, &bearer(&token(&["device=*"])));
    let bob = bearer(&token_of("bob", 3600, &["all"]));
    let (mut gone, _) = handshake(address, "/local/a", &bob);
    gone.round_trip();
    let (mut stays, _) = handshake(address, "/local/a", &bob);
    stays.round_trip();
    gone.close();
    server.metrics().wait_for("a free place", |values| values["jackfield_sessions"] == 2.0);
    let (mut probe, response) = handshake(address, &format!("{PATH}&sid={sid}"), "");
    assert_eq!(response.status, 101, "{response:?}");
    files.write("revoked", b"bob\n");
    server.reload();
    stays.expect_close(1008);
    probe.send(&text("2probe"));
    probe.expect_text("3probe");
}
