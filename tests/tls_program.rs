//! TLS as its operator sees it: the program's options, what it refuses to start with, HUP, what it prints, what it takes.
#![cfg(feature = "tls")]

mod common;

use std::fs;
use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Output};

use common::client::Client;
use common::process::Process;
use common::tls::{Identity, Socket, connect, set_mode};
use rcgen::date_time_ymd;
use rustix::process::Signal;
use rustls::pki_types::CertificateDer;

fn start(options: &[String]) -> Process {
    Process::start(&options.iter().map(String::as_str).collect::<Vec<_>>())
}

fn run(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jackfield"));
    command.args(arguments).env_clear().output().expect("the program starts")
}

/// The certificate that a new client is shown, and trusts.
fn shown(server: &Process, identity: &Identity) -> CertificateDer<'static> {
    let stream = identity.connect(server.tls_address());
    stream.conn.peer_certificates().expect("shown")[0].clone().into_owned()
}

#[test]
fn hup_changes_the_certificate_for_those_who_come_and_for_nobody_else() {
    let identity = Identity::new("first");
    let server = start(&identity.options());
    let first = identity.der();
    let config = identity.client();
    let mut there = Socket::over(
        connect(config.clone(), server.tls_address(), "localhost").expect("a handshake"),
        "/local/x?echo=1",
    );
    assert_eq!(shown(&server, &identity), first);

    identity.replace("second", |_| {});
    assert!(connect(config.clone(), server.tls_address(), "localhost").is_ok(), "nothing changes before HUP");
    server.signal(Signal::HUP);
    server.expect_output("reloaded: new connections get the certificate of --tls-cert");
    assert_eq!(shown(&server, &identity), identity.der());
    assert_ne!(identity.der(), first);
    there.send("still here");
    assert_eq!(there.text(), "still here");
    // A ticket of the old certificate's sessions is worth nothing: its holder sees the new one, which it does not trust.
    assert!(connect(config, server.tls_address(), "localhost").is_err());
}

#[test]
fn t19_what_cannot_be_reloaded_leaves_what_was_in_force() {
    let identity = Identity::new("first");
    let server = start(&identity.options());
    let (config, first) = (identity.client(), identity.der());
    let key = fs::read(identity.key()).expect("readable");
    let still_first = |what: &str| {
        let stream = connect(config.clone(), server.tls_address(), "localhost")
            .unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(stream.conn.peer_certificates().map(|chain| &chain[0]), Some(&first), "{what}");
    };
    let hup = |expected: &str| {
        server.signal(Signal::HUP);
        server.expect_output(expected);
        still_first(expected);
    };

    identity.replace("second", |_| {});
    fs::write(identity.key(), &key).expect("writable");
    hup("is not the key of the certificate");
    fs::write(identity.key(), "").expect("writable");
    hup("holds no private key");
    fs::remove_file(identity.key()).expect("ours");
    hup("cannot be read: No such file");
    identity.replace("old", |params| params.not_after = date_time_ymd(2001, 1, 1));
    hup("expired on 2001-01-01 00:00:00 UTC");
    fs::write(identity.cert(), &fs::read(identity.cert()).expect("readable")[..100]).expect("writable");
    hup("is cut short");
}

#[test]
fn t19_without_a_descriptor_left_the_certificate_stays() {
    let identity = Identity::new("first");
    let server = start(&identity.options());
    let (address, first) = (server.tls_address(), identity.client());
    let descriptors = server.limit_descriptors(Some(3));
    identity.replace("second", |_| {});
    server.signal(Signal::HUP);
    server.expect_output("cannot be read: Too many open files");
    server.limit_descriptors(descriptors);
    connect(first, address, "localhost").expect("a handshake");
    server.signal(Signal::HUP);
    server.expect_output("reloaded: new connections");
    connect(identity.client(), address, "localhost").expect("a handshake");
}

#[test]
fn hup_without_a_certificate_says_so() {
    let server = Process::start(&[]);
    server.signal(Signal::HUP);
    server.expect_output("nothing to reload");
    server.client("/local/x").round_trip();
}

#[test]
fn faults_are_told_at_start_and_by_check_with_file_and_reason() {
    let good = Identity::new("good");
    let other = Identity::new("other");
    let old = Identity::with("old", |params| params.not_after = date_time_ymd(2020, 2, 29));
    let broken = Identity::new("broken");
    fs::write(broken.cert(), "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n").expect("writable");
    fs::write(broken.key(), "-----BEGIN PRIVATE KEY-----\nTUlTU0lTU0lQUEk=\n-----END PRIVATE KEY-----\n")
        .expect("writable");
    let none = good.cert().with_file_name("none.pem");
    let folder = std::env::temp_dir();
    for (cert, key, file, reason) in [
        (none.clone(), good.key(), &none, "cannot be read: No such file or directory"),
        (folder.clone(), good.key(), &folder, "cannot be read: it is no plain file"),
        (good.key(), good.key(), &good.key(), "holds no certificate (PEM, BEGIN CERTIFICATE)"),
        (broken.cert(), good.key(), &broken.cert(), "is malformed: it is not base64 between BEGIN and END"),
        (old.cert(), old.key(), &old.cert(), "expired on 2020-02-29 00:00:00 UTC"),
        (good.cert(), none.clone(), &none, "cannot be read: No such file or directory"),
        (good.cert(), good.cert(), &good.cert(), "holds no private key (PEM, without a passphrase)"),
        (good.cert(), other.key(), &other.key(), "is not the key of the certificate"),
        (good.cert(), broken.key(), &broken.key(), "cannot be used: "),
    ] {
        let path = |path: &std::path::PathBuf| path.to_str().expect("UTF-8").to_owned();
        let (cert, key) = (path(&cert), path(&key));
        let arguments = ["--listen", "tls+127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
        for (command, code) in [(&[][..], 1), (&["check"][..], 2)] {
            let output = run(&[command, &arguments].concat());
            let text = String::from_utf8(output.stderr).expect("UTF-8");
            assert_eq!(output.status.code(), Some(code), "{text}");
            assert!(text.starts_with("error: the ") && text.contains(&path(file)) && text.contains(reason), "{text}");
            assert!(text.contains("--tls-cert") && !text.contains("MISSISSIPPI") && !text.contains("TUlT"), "{text}");
            assert_eq!(text.lines().count(), 1, "{text}");
        }
    }
    let (cert, key) = (good.cert(), good.key());
    let (cert, key) = (cert.to_str().expect("UTF-8"), key.to_str().expect("UTF-8"));
    for (arguments, reason) in [
        (&["--listen", "tls+127.0.0.1:0"][..], "is to speak TLS and needs --tls-cert and --tls-key"),
        (&["--listen", "tls+127.0.0.1:0", "--tls-cert", cert], "--tls-cert (--tls-cert) needs --tls-key"),
        (&["--listen", "tls+127.0.0.1:0", "--tls-key", key], "--tls-key (--tls-key) needs --tls-cert"),
        (&["--tls-cert", cert, "--tls-key", key], "no listener speaks TLS: say --listen tls+HOST:PORT"),
    ] {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(2));
        let text = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(text.contains(reason), "{text}");
    }
}

#[test]
fn check_shows_what_is_in_force_and_what_to_look_out_for() {
    let identity = Identity::with("soon", |params| {
        params.not_after = (std::time::SystemTime::now() + std::time::Duration::from_secs(3 * 24 * 3600)).into();
    });
    set_mode(&identity.key(), 0o644);
    let arguments = identity.options();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = run(&[&["check"][..], &arguments].concat());
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("listen = [\"tls+auto@127.0.0.1:0\"]"), "{text}");
    let warnings: Vec<&str> = text.lines().filter(|line| line.starts_with("# warning: ")).collect();
    assert_eq!(warnings.len(), 2, "{text}");
    assert!(warnings[0].contains("expires on 20") && warnings[0].contains("send HUP"), "{text}");
    assert!(warnings[1].ends_with("can be read by everybody: chmod 600 it"), "{text}");
    // The same at start, in the log.
    let server = Process::start(&arguments);
    server.expect_output("can be read by everybody");
}

#[test]
fn generate_cert_makes_what_a_server_and_its_clients_can_use() {
    let folder = Identity::new("folder");
    let (cert, key) = (folder.cert(), folder.key());
    let paths = ["--cert", cert.to_str().expect("UTF-8"), "--key", key.to_str().expect("UTF-8")];
    let make = |more: &[&str]| run(&[&["generate", "cert"], &paths[..], more].concat());
    let before = fs::read(&key).expect("readable");
    let output = make(&[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("exists; --force replaces it"));
    assert_eq!(fs::read(&key).expect("readable"), before);

    set_mode(&key, 0o644);
    let output = make(&["--force"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert!(output.status.success() && text.contains("--listen 'tls+*:9443'"), "{text}");
    assert_eq!(fs::metadata(&key).expect("there").permissions().mode() & 0o777, 0o600);
    assert_ne!(fs::read(&key).expect("readable"), before);
    let server = start(&folder.options());
    for host in ["localhost", "127.0.0.1"] {
        connect(folder.client(), server.tls_address(), host).unwrap_or_else(|error| panic!("{host}: {error}"));
    }

    assert!(make(&["--force", "nas.example", "192.0.2.7", "127.0.0.1"]).status.success());
    server.signal(Signal::HUP);
    server.expect_output("reloaded: ");
    for (host, is_named) in [("nas.example", true), ("192.0.2.7", true), ("localhost", false)] {
        assert_eq!(connect(folder.client(), server.tls_address(), host).is_ok(), is_named, "{host}");
    }
    for bad in ["*", "a b", "host:80", "http://host"] {
        let output = make(&["--force", bad]);
        assert_eq!(output.status.code(), Some(2), "{bad}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("neither a host name nor an address"), "{bad}");
    }
}

#[test]
fn the_log_names_the_cause_of_a_handshake_that_failed() {
    let identity = Identity::new("test");
    let mut arguments = identity.options();
    arguments.push("-v".to_owned());
    let server = start(&arguments);
    let mut plain = TcpStream::connect(server.tls_address()).expect("accepted");
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").expect("taken");
    server.expect_output("TLS: the client does not speak it (https:// and wss:// are for this port)");
    let stranger = Identity::new("stranger");
    assert!(connect(stranger.client(), server.tls_address(), "localhost").is_err());
    server.expect_output("TLS: the client does not trust our certificate (UnknownCA)");
    let mut config = identity.client();
    config.alpn_protocols = vec![b"h2".to_vec()];
    assert!(connect(config, server.tls_address(), "localhost").is_err());
    server.expect_output("TLS: peer doesn't support any known protocol");
}

/// Design 10: an idle connection with TLS takes 10 KB at most, before traffic and after.
#[test]
fn an_idle_connection_is_small() {
    const COUNT: u64 = 400;
    let identity = Identity::new("test");
    let server = start(&identity.options());
    let mut observer = Client::connect(server.address());
    drop((0..100).map(|_| identity.socket(server.tls_address(), "/local/warm")).collect::<Vec<_>>());
    let wait = |observer: &mut Client, count: u64| loop {
        observer.write(format!("GET /metrics HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()).as_bytes());
        if observer.response().text().contains(&format!("\njackfield_connections {count}\n")) {
            break;
        }
    };
    wait(&mut observer, 1);
    let before = server.memory().resident;
    let mut sockets: Vec<_> =
        (0..COUNT).map(|i| identity.socket(server.tls_address(), &format!("/local/{i}?echo=1"))).collect();
    wait(&mut observer, COUNT + 1);
    let each = |resident: u64| resident.saturating_sub(before) * 1024 / COUNT;
    let idle = each(server.memory().resident);
    for socket in &mut sockets {
        socket.send(vec![7; 100_000]);
        socket.expect_binary(&[7; 100_000]);
    }
    let after = each(server.memory().resident);
    assert!(idle <= 10_000 && after <= 10_000, "{idle} bytes each, after traffic {after}");
}
