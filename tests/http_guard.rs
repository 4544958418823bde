//! Host and Origin against tables (T10, T25): ours, local, listed, foreign, malformed, and everything that only looks
//! like one of the first three. No sockets.

use jackfield::http::{Guard, Refusal};

fn strings(entries: &[&str]) -> Vec<String> {
    entries.iter().map(ToString::to_string).collect()
}

fn guard(allow_origin: &[&str], allow_host: &[&str]) -> Guard {
    Guard::new(&strings(allow_origin), &strings(allow_host), &strings(&["Pi", "box.example."])).expect("good entries")
}

#[test]
fn t25_hosts_are_addresses_own_names_or_listed() {
    use Refusal::*;
    let guard = guard(&[], &["Listed.example", "port.example:8080", "*.wild.example", "dot.example.", "10.1.2.3"]);
    let rows: &[(&str, Result<(), Refusal>)] = &[
        ("127.0.0.1", Ok(())),
        ("127.0.0.1:9009", Ok(())),
        ("192.168.1.20:9009", Ok(())),
        ("203.0.113.9", Ok(())),
        ("[::1]", Ok(())),
        ("[fd00::1]:9009", Ok(())),
        ("localhost", Ok(())),
        ("LOCALHOST:9009", Ok(())),
        ("localhost.", Ok(())),
        ("localhost.:9009", Ok(())),
        ("app.localhost:9009", Ok(())),
        ("a.b.LocalHost.", Ok(())),
        ("pi", Ok(())),
        ("PI:9009", Ok(())),
        ("pi.local", Ok(())),
        ("Pi.Local.:80", Ok(())),
        ("box.example", Ok(())),
        ("box.example.:1", Ok(())),
        ("listed.example", Ok(())),
        ("LISTED.EXAMPLE.:443", Ok(())),
        ("port.example:8080", Ok(())),
        ("a.wild.example", Ok(())),
        ("a.b.WILD.example.:80", Ok(())),
        ("dot.example", Ok(())),
        ("evil.example", Err(ForeignHost)),
        ("evil.example:9009", Err(ForeignHost)),
        ("localhost.evil.example", Err(ForeignHost)),
        ("127.0.0.1.evil.example", Err(ForeignHost)),
        ("evillocalhost", Err(ForeignHost)),
        ("local", Err(ForeignHost)),
        ("evil.local", Err(ForeignHost)),
        ("evilpi.local", Err(ForeignHost)),
        ("pi.evil.local", Err(ForeignHost)),
        ("a.pi", Err(ForeignHost)),
        ("pi.local.evil", Err(ForeignHost)),
        ("evil-listed.example", Err(ForeignHost)),
        ("listed.example.evil", Err(ForeignHost)),
        ("a.listed.example", Err(ForeignHost)),
        ("port.example", Err(ForeignHost)),
        ("port.example:80", Err(ForeignHost)),
        ("wild.example", Err(ForeignHost)),
        ("evilwild.example", Err(ForeignHost)),
        ("a.wild.example.evil", Err(ForeignHost)),
        ("127.1", Err(ForeignHost)),
        ("2130706433", Err(ForeignHost)),
        ("0x7f000001", Err(ForeignHost)),
        ("", Err(MalformedHost)),
        (" localhost", Err(MalformedHost)),
        ("localhost ", Err(MalformedHost)),
        ("local host", Err(MalformedHost)),
        ("localhost,evil.example", Err(MalformedHost)),
        ("evil.example@localhost", Err(MalformedHost)),
        ("localhost:80@evil.example", Err(MalformedHost)),
        ("localhost:", Err(MalformedHost)),
        ("localhost:0", Err(MalformedHost)),
        ("localhost:65536", Err(MalformedHost)),
        ("localhost:80:80", Err(MalformedHost)),
        ("localhost:8o", Err(MalformedHost)),
        ("localhost..", Err(MalformedHost)),
        (".localhost", Err(MalformedHost)),
        ("::1", Err(MalformedHost)),
        ("[::1", Err(MalformedHost)),
        ("[::1]evil.example", Err(MalformedHost)),
        ("[localhost]", Err(MalformedHost)),
        ("localhost/", Err(MalformedHost)),
        ("localhost\\.evil.example", Err(MalformedHost)),
        ("localhost%2e", Err(MalformedHost)),
        ("lo\u{441}alhost", Err(MalformedHost)),
        ("localhost\r\nX: y", Err(MalformedHost)),
        ("*", Err(MalformedHost)),
    ];
    assert!(rows.len() >= 60);
    for (host, expected) in rows {
        assert_eq!(guard.check_host(host), *expected, "{host:?}");
        let status = match expected {
            Ok(()) => continue,
            Err(refusal) => refusal.status(),
        };
        assert_eq!(status, if *expected == Err(ForeignHost) { 403 } else { 400 }, "{host:?}");
    }
    let all = Guard::new(&[], &strings(&["*"]), &[]).expect("a good entry");
    assert_eq!((all.check_host("evil.example"), all.check_host("a@b")), (Ok(()), Err(MalformedHost)));
}

#[test]
fn t10_origins_are_our_own_local_or_listed() {
    use Refusal::*;
    let foreign = Err(ForeignOrigin);
    let malformed = Err(MalformedOrigin);
    let plain = guard(&[], &[]);
    let listing = guard(&["https://App.example", "http://10.0.0.5:3000", "capacitor://localhost"], &[]);
    let null = guard(&["null", "file://"], &[]);
    let every = guard(&["*"], &[]);
    const LOCAL: &str = "localhost:9009";
    const LAN: &str = "pi.local:9009";

    // Guard, Origin, Host, then what a loopback listener and what any other answers.
    type Verdict = Result<(), Refusal>;
    let rows: &[(&Guard, &str, &str, Verdict, Verdict)] = &[
        // Our own: equal to Host.
        (&plain, "http://localhost:9009", LOCAL, Ok(()), Ok(())),
        (&plain, "http://pi.local:9009", LAN, Ok(()), Ok(())),
        (&plain, "https://pi.local:9009", LAN, Ok(()), Ok(())),
        (&plain, "HTTP://PI.Local:9009", LAN, Ok(()), Ok(())),
        (&plain, "http://pi.local", "pi.local", Ok(()), Ok(())),
        (&plain, "http://pi.local", "pi.local:80", Ok(()), Ok(())),
        (&plain, "http://pi.local:80", "pi.local", Ok(()), Ok(())),
        (&plain, "https://pi.local", "pi.local", Ok(()), Ok(())),
        (&plain, "https://pi.local", "pi.local:443", Ok(()), Ok(())),
        (&plain, "https://pi.local:443", "PI.local", Ok(()), Ok(())),
        (&plain, "http://pi.local.", "pi.local.", Ok(()), Ok(())),
        (&plain, "http://[fd00::1]:9009", "[FD00:0::1]:9009", Ok(()), Ok(())),
        (&plain, "http://192.168.1.2:9009", "192.168.1.2:9009", Ok(()), Ok(())),
        // Not our own, but nearly.
        (&plain, "http://pi.local", LAN, foreign, foreign),
        (&plain, "http://pi.local:9010", LAN, foreign, foreign),
        (&plain, "http://pi.local:80", "pi.local:443", foreign, foreign),
        (&plain, "https://pi.local", "pi.local:80", foreign, foreign),
        (&plain, "http://pi.local", "pi.local:443", foreign, foreign),
        (&plain, "https://pi.local:80", "pi.local", foreign, foreign),
        (&plain, "http://pi.local.:9009", LAN, foreign, foreign),
        (&plain, "http://pi:9009", LAN, foreign, foreign),
        (&plain, "http://evil-pi.local:9009", LAN, foreign, foreign),
        (&plain, "http://a.pi.local:9009", LAN, foreign, foreign),
        (&plain, "http://pi.local.evil.example:9009", LAN, foreign, foreign),
        (&plain, "ws://pi.local:9009", LAN, foreign, foreign),
        (&plain, "ftp://pi.local:9009", LAN, foreign, foreign),
        (&plain, "http://192.168.1.3:9009", "192.168.1.2:9009", foreign, foreign),
        (&plain, "http://[::ffff:192.168.1.2]:9009", "192.168.1.2:9009", foreign, foreign),
        (&plain, "http://pi.local:9009", "", foreign, foreign),
        (&plain, "http://evil.example", LOCAL, foreign, foreign),
        (&plain, "https://evil.example:9009", LOCAL, foreign, foreign),
        // Pages of this machine: only where nobody else can reach us.
        (&plain, "http://localhost:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://localhost", LOCAL, Ok(()), foreign),
        (&plain, "https://localhost:8443", LOCAL, Ok(()), foreign),
        (&plain, "http://LOCALHOST:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://app.localhost:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://127.0.0.1:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://127.8.9.1:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://[::1]:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://[0:0::1]:3000", LOCAL, Ok(()), foreign),
        (&plain, "http://localhost.:3000", LOCAL, foreign, foreign),
        (&plain, "http://localhost.evil.example", LOCAL, foreign, foreign),
        (&plain, "http://evillocalhost", LOCAL, foreign, foreign),
        (&plain, "http://127.0.0.1.evil.example", LOCAL, foreign, foreign),
        (&plain, "http://127.1", LOCAL, foreign, foreign),
        (&plain, "http://2130706433", LOCAL, foreign, foreign),
        (&plain, "http://128.0.0.1", LOCAL, foreign, foreign),
        (&plain, "http://0.0.0.0:9009", LOCAL, foreign, foreign),
        (&plain, "http://[::]:9009", LOCAL, foreign, foreign),
        (&plain, "http://[::ffff:127.0.0.1]", LOCAL, foreign, foreign),
        (&plain, "http://pi.local:3000", LOCAL, foreign, foreign),
        (&plain, "capacitor://localhost", LOCAL, foreign, foreign),
        (&plain, "chrome-extension://abcdefghijklmnop", LOCAL, foreign, foreign),
        // What is no origin.
        (&plain, "", LOCAL, malformed, malformed),
        (&plain, "localhost:9009", LOCAL, malformed, malformed),
        (&plain, "http:localhost:9009", LOCAL, malformed, malformed),
        (&plain, "//localhost:9009", LOCAL, malformed, malformed),
        (&plain, "http://", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009/", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009?", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009#", LOCAL, malformed, malformed),
        (&plain, "http://user@localhost:9009", LOCAL, malformed, malformed),
        (&plain, "http://evil.example@localhost:9009", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009@evil.example", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009 http://evil.example", LOCAL, malformed, malformed),
        (&plain, "http://localhost:9009, http://evil.example", LOCAL, malformed, malformed),
        (&plain, "http://localhost:99999", LOCAL, malformed, malformed),
        (&plain, "http://localhost\\.evil.example", LOCAL, malformed, malformed),
        (&plain, "http://localhost\0.evil.example", LOCAL, malformed, malformed),
        (&plain, "http://lo\u{441}alhost:9009", LOCAL, malformed, malformed),
        (&plain, " http://localhost:9009", LOCAL, malformed, malformed),
        (&plain, "Null", LOCAL, malformed, malformed),
        (&plain, "*", LOCAL, malformed, malformed),
        (&plain, "file:///home", LOCAL, malformed, malformed),
        // Pages without an origin of their own.
        (&plain, "null", LOCAL, Err(NullOrigin), Err(NullOrigin)),
        (&plain, "file://", LOCAL, Err(NullOrigin), Err(NullOrigin)),
        (&listing, "null", LOCAL, Err(NullOrigin), Err(NullOrigin)),
        (&null, "null", LAN, Ok(()), Ok(())),
        (&null, "file://", LAN, Ok(()), Ok(())),
        (&null, "http://null", LAN, foreign, foreign),
        // What the operator listed.
        (&listing, "https://app.example", LAN, Ok(()), Ok(())),
        (&listing, "https://APP.example:443", LAN, Ok(()), Ok(())),
        (&listing, "http://app.example", LAN, foreign, foreign),
        (&listing, "http://app.example:443", LAN, foreign, foreign),
        (&listing, "https://app.example:8443", LAN, foreign, foreign),
        (&listing, "https://app.example.", LAN, foreign, foreign),
        (&listing, "https://evil-app.example", LAN, foreign, foreign),
        (&listing, "https://a.app.example", LAN, foreign, foreign),
        (&listing, "https://app.example.evil", LAN, foreign, foreign),
        (&listing, "https://app.example@evil", LAN, malformed, malformed),
        (&listing, "http://10.0.0.5:3000", LAN, Ok(()), Ok(())),
        (&listing, "http://10.0.0.5", LAN, foreign, foreign),
        (&listing, "capacitor://localhost", LAN, Ok(()), Ok(())),
        (&listing, "capacitor://localhost:1", LAN, foreign, foreign),
        (&every, "https://evil.example", LAN, Ok(()), Ok(())),
        (&every, "null", LAN, Ok(()), Ok(())),
    ];
    assert!(rows.len() >= 60);
    for (guard, origin, host, loopback, elsewhere) in rows {
        assert_eq!(guard.check_origin(Some(origin), host, true), *loopback, "{origin:?} at {host}, loopback");
        assert_eq!(guard.check_origin(Some(origin), host, false), *elsewhere, "{origin:?} at {host}, elsewhere");
    }
    for guard in [&plain, &listing, &null, &every] {
        assert_eq!(guard.check_origin(None, LAN, false), Ok(()), "no Origin, no browser");
    }
    for refusal in [NullOrigin, MalformedOrigin, ForeignOrigin] {
        assert_eq!(refusal.status(), 403, "{refusal}");
    }
}
