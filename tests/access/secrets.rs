//! T37: keys and tokens stay where they are: not in what is logged, printed, counted or seen of the process. And the
//! commands that make and check tokens.

use std::io::Write;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use super::common::client::Client;
use super::common::frame::text;
use super::common::http::request;
use super::common::process::Process;
use super::{Files, NOT_ACCEPTED, PLACES, Place, SECRET, expect_refusal, open, token_of};

/// Runs the program to its end: its exit code, and what it printed.
fn run(arguments: &[&str], input: &str) -> (Option<i32>, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_jackfield"))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // One that does not read it has ended already.
    let _ = child.stdin.take().expect("a pipe was asked for").write_all(input.as_bytes());
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

fn openssl(arguments: &[&str]) {
    let output = Command::new("openssl").args(arguments).output().expect("openssl is installed");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn t37_no_secret_is_seen_anywhere() {
    let files = Files::new("secrets");
    let key = files.write("site.key", SECRET);
    let list = files.write("revoked", b"# nobody\n");
    let (key, list) = (key.to_str().expect("UTF-8"), list.to_str().expect("UTF-8"));
    let (code, token, _) =
        run(&["token", "make", "--key", key, "--publish", "*", "--subscribe", "*", "--subject", "ann"], "");
    assert_eq!(code, Some(0));
    let token = token.trim();
    let lan = files.write("lan", b"another canary, which sings to servers\n");
    let lan = lan.to_str().expect("UTF-8");
    let links = ["--lan", "on", "--lan-interface", "none", "--lan-secret-file", lan];
    let tokens = ["--token-key", key, "--token-revoked", list, "--token-in-query", "--anonymous", "subscribe=/local/x"];
    let flags = [&tokens[..], &links[..]].concat();
    let server = Process::start(&[&flags[..], &["-vv"]].concat());
    let address = server.address();
    let [start, end] = [&token[..token.len() - 9], &token[token.len() - 8..]];
    let wrong = [start, if token.as_bytes()[start.len()] == b'A' { "B" } else { "A" }, end].concat();
    for place in PLACES {
        let (path, wrong_path) = match place {
            Place::FirstMessage => ("/local/demo?token=1", "/pocket?token=1"),
            _ => ("/local/demo", "/pocket"),
        };
        let mut client = open(address, path, place, token);
        client.send(&text("hello"));
        client.round_trip();
        if let Place::Bearer = place {
            continue;
        }
        expect_refusal(&mut open(address, wrong_path, place, &wrong), NOT_ACCEPTED);
    }
    // A token where none belongs is neither passed on nor logged.
    let mut hasty = server.client("/local/x");
    hasty.send(&text(format!(r#"{{"token":"{token}"}}"#)));
    hasty.expect_close(1008);
    let mut observer = Client::connect(address);
    observer.write(request("GET", address, "/metrics").as_bytes());
    let metrics = observer.response().text();
    assert!(metrics.contains("jackfield_tokens_refused_total 4"), "{metrics}");
    server.signal(Signal::HUP);
    server.expect_output("reloaded: tokens: 1 keys, 0 revoked; 0 sessions end for that");
    let of_process = |file: &str| std::fs::read(format!("/proc/{}/{file}", server.id())).expect("it runs");
    let mut seen = vec![
        ("metrics", metrics),
        ("cmdline", String::from_utf8_lossy(&of_process("cmdline")).into_owned()),
        ("environ", String::from_utf8_lossy(&of_process("environ")).into_owned()),
        ("config", run(&["generate", "config"], "").1),
        ("check", run(&[&["check"][..], &flags].concat(), "").1),
    ];
    assert!(seen[1].1.contains("site.key") && seen[4].1.contains("site.key"), "the paths are no secrets");
    server.signal(Signal::TERM);
    let log = server.wait().1;
    assert!(log.contains("is not accepted: its signature is wrong"), "{log}");
    seen.push(("log", log));
    let [header, claims, signature] = token.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for (place, seen) in seen {
        for secret in ["canary", header, claims, signature, &signature[..signature.len() - 1]] {
            assert!(!seen.contains(secret), "{secret} is in {place}: {seen}");
        }
    }
}

/// What is in force when the files cannot even be opened stays in force: keys, and who is revoked.
#[test]
fn t19_without_a_descriptor_left_tokens_are_judged_as_before() {
    let files = Files::new("descriptors");
    let key = files.write("site.key", SECRET);
    let list = files.write("revoked", b"bob\n");
    let (key, list) = (key.to_str().expect("UTF-8"), list.to_str().expect("UTF-8"));
    let server = Process::start(&["--token-key", &format!("key={key}"), "--token-revoked", list]);
    let (alice, bob) = (token_of("alice", 3600, &["all"]), token_of("bob", 3600, &["all"]));
    let mut of_alice = open(server.address(), "/local/demo", Place::Bearer, &alice);
    of_alice.round_trip();
    files.write("revoked", b"alice\n");
    files.write("site.key", b"another secret, as long as the first one was");
    let descriptors = server.limit_descriptors(Some(3));
    server.signal(Signal::HUP);
    server.expect_output("Too many open files");
    server.expect_output("tokens are judged as before");
    server.limit_descriptors(descriptors);
    of_alice.round_trip();
    expect_refusal(&mut open(server.address(), "/local/demo", Place::Subprotocol, &bob), NOT_ACCEPTED);
    server.client("/local/demo").expect_silence(std::time::Duration::from_millis(50));
    server.signal(Signal::HUP);
    expect_refusal(&mut of_alice, "the token is not accepted any more");
}

#[test]
fn tokens_are_made_and_checked() {
    let files = Files::new("make");
    let secret = files.write("site.key", SECRET);
    let [private, public] =
        ["site.pem", "site.pub.pem"].map(|name| files.0.join(name).to_str().expect("UTF-8").to_owned());
    openssl(&["genpkey", "-algorithm", "ed25519", "-out", &private]);
    openssl(&["pkey", "-in", &private, "-pubout", "-out", &public]);
    let secret = secret.to_str().expect("UTF-8");
    for (signs, verifies) in [(secret, secret), (&private, &public), (&private, &private)] {
        let words = ["--pair", "--publish", "/local/*", "--device", "lamp", "--tcp", "*:443", "--admin"];
        let more = ["--subject", "alice", "--id", "t1", "--expires", "90s"];
        let (code, token, error) = run(&[&["token", "make", "--key", signs][..], &words, &more].concat(), "");
        assert_eq!((code, &*error), (Some(0), ""));
        for arguments in
            [&["token", "check", "--key", verifies][..], &["token", "check", "--key", verifies, token.trim()]]
        {
            let (code, said, error) = run(arguments, &token);
            assert_eq!((code, &*error), (Some(0), ""));
            for line in [
                "issuer     none",
                "subject    alice",
                "id         t1",
                "pair       yes",
                "publish    /local/*",
                "subscribe  nothing",
                "device     lamp",
                "tcp        *:443",
                "admin      yes",
            ] {
                assert!(said.lines().any(|said| said == line), "{line} is missing in {said}");
            }
            assert!(said.contains("expires    in 8") || said.contains("expires    in 90"), "{said}");
        }
        let (code, said, error) = run(&["token", "check", "--key", verifies], &token.replace('.', ".A"));
        assert_eq!((code, &*said), (Some(1), ""));
        assert!(error.starts_with("refused: it"), "{error}");
    }
    let named = format!("k2@https://login.example={secret}");
    let (_, token, _) = run(&["token", "make", "--key", &named], "");
    assert_eq!(run(&["token", "check", "--key", &named], &token).0, Some(0));
    let (code, _, error) = run(&["token", "check", "--key", secret], &token);
    assert_eq!(
        (code, error.trim()),
        (Some(1), "refused: no key has its `kid`, or it has none and there are several keys (--token-key)")
    );
    for (arguments, wrong) in [
        (&["make", "--key", &*public][..], "it is a public key, which cannot sign"),
        (&["make", "--key", secret, "--publish", "a*"], "a * stands alone"),
        (&["make", "--key", secret, "--expires", "soon"], "--expires soon"),
        (&["make", "--key", secret, "--expires", "0"], "expired"),
        (&["make", "--key", "/nowhere/k"], "No such file"),
        (&["make"], "--key"),
        (&["check", "--key", "/nowhere/k", "x"], "No such file"),
        (&[], "token"),
    ] {
        let (code, said, error) = run(&[&["token"][..], arguments].concat(), "");
        assert_eq!((code, &*said), (Some(2), ""), "{arguments:?}: {error}");
        assert!(error.contains(wrong), "{arguments:?}: {error}");
    }
}
