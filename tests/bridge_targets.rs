//! Where the bridge may go: spellings of hosts, kinds of addresses, entries (T14, T15), and names that change
//! (rebinding). `bridge_properties` has what holds for all of them.

use std::net::{IpAddr, Ipv6Addr, ToSocketAddrs};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;

use jackfield::net::address::is_own;
use jackfield::net::resolve::Resolver;
use jackfield::net::targets::{BadTarget, Host, Reach, Targets, Verdict};

fn targets(entries: &[&str]) -> Targets {
    Targets::parse(&entries.iter().map(ToString::to_string).collect::<Vec<_>>()).expect("good entries")
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect(text)
}

/// As [`Targets::allows`], on a machine that has no address of its own but loopback.
fn allows(targets: &Targets, host: &str, address: IpAddr, port: u16) -> bool {
    targets.judge(host, address, port, |_| false) == Verdict::Allowed
}

/// What becomes of a host that a client names.
enum Read {
    /// Neither address nor name: no lookup, no connection.
    No,
    /// An address in its usual spelling, this one.
    As(&'static str),
    /// A name, which `getaddrinfo` takes to have this address.
    Found(&'static str),
    /// As before, and without asking a name server: another spelling of an address (`inet_aton`).
    Numeric(&'static str),
}

use Read::{As, Found, No, Numeric};

/// What is said where every public address is allowed: `""` allows, anything else is what the refusal names.
const SPELLINGS: &[(&str, Read, &str)] = &[
    // Loopback, and the many ways to write it.
    ("127.0.0.1", As("127.0.0.1"), "loopback"),
    ("127.0.0.2", As("127.0.0.2"), "loopback"),
    ("127.255.255.255", As("127.255.255.255"), "loopback"),
    ("127.1", Numeric("127.0.0.1"), "loopback"),
    ("127.0.1", Numeric("127.0.0.1"), "loopback"),
    ("0177.0.0.1", Numeric("127.0.0.1"), "loopback"),
    ("0177.1", Numeric("127.0.0.1"), "loopback"),
    ("017700000001", Numeric("127.0.0.1"), "loopback"),
    ("0x7f.0.0.1", Numeric("127.0.0.1"), "loopback"),
    ("0x7f.1", Numeric("127.0.0.1"), "loopback"),
    ("0X7F.0x0.0X0.0x1", Numeric("127.0.0.1"), "loopback"),
    ("0x7f000001", Numeric("127.0.0.1"), "loopback"),
    ("2130706433", Numeric("127.0.0.1"), "loopback"),
    ("127.0.0.01", Numeric("127.0.0.1"), "loopback"),
    ("00000177.0.0.01", Numeric("127.0.0.1"), "loopback"),
    ("127.0.0.1.", Found("127.0.0.1"), "loopback"),
    ("localhost", Found("127.0.0.1"), "loopback"),
    ("localhost", Found("::1"), "loopback"),
    ("LOCALHOST.", Found("127.0.0.1"), "loopback"),
    ("x.localhost", Found("127.0.0.1"), "loopback"),
    ("loopback.example", Found("127.0.0.1"), "loopback"),
    ("loopback.example", Found("::ffff:127.0.0.1"), "loopback"),
    ("::1", As("::1"), "loopback"),
    ("[::1]", As("::1"), "loopback"),
    ("0:0:0:0:0:0:0:1", As("::1"), "loopback"),
    ("[0000::0001]", As("::1"), "loopback"),
    ("::ffff:127.0.0.1", As("127.0.0.1"), "loopback"),
    ("[::FFFF:7f00:1]", As("127.0.0.1"), "loopback"),
    ("0:0:0:0:0:ffff:127.0.0.1", As("127.0.0.1"), "loopback"),
    // Unspecified, which connects to this machine.
    ("0.0.0.0", As("0.0.0.0"), "unspecified"),
    ("0", Numeric("0.0.0.0"), "unspecified"),
    ("0x0", Numeric("0.0.0.0"), "unspecified"),
    ("0.1.2.3", As("0.1.2.3"), "unspecified"),
    ("::", As("::"), "unspecified"),
    ("[::]", As("::"), "unspecified"),
    ("::ffff:0.0.0.0", As("0.0.0.0"), "unspecified"),
    // Networks inside.
    ("10.0.0.1", As("10.0.0.1"), "private"),
    ("10.1", Numeric("10.0.0.1"), "private"),
    ("012.1", Numeric("10.0.0.1"), "private"),
    ("167772161", Numeric("10.0.0.1"), "private"),
    ("172.16.0.1", As("172.16.0.1"), "private"),
    ("172.31.255.255", As("172.31.255.255"), "private"),
    ("192.168.1.1", As("192.168.1.1"), "private"),
    ("0xc0a80101", Numeric("192.168.1.1"), "private"),
    ("3232235777", Numeric("192.168.1.1"), "private"),
    ("::ffff:192.168.1.1", As("192.168.1.1"), "private"),
    ("nas.example", Found("192.168.1.1"), "private"),
    ("nas.example", Found("fd12:3456:789a::1"), "private"),
    ("fc00::1", As("fc00::1"), "private"),
    ("[fdff:ffff::1]", As("fdff:ffff::1"), "private"),
    ("fec0::1", As("fec0::1"), "private"),
    ("100.64.0.1", As("100.64.0.1"), "provider"),
    ("100.127.255.255", As("100.127.255.255"), "provider"),
    // Link-local, and what clouds tell their machines.
    ("169.254.0.1", As("169.254.0.1"), "link-local"),
    ("fe80::1", As("fe80::1"), "link-local"),
    ("febf::1", As("febf::1"), "link-local"),
    ("169.254.169.254", As("169.254.169.254"), "metadata"),
    ("2852039166", Numeric("169.254.169.254"), "metadata"),
    ("0xa9fea9fe", Numeric("169.254.169.254"), "metadata"),
    ("0251.0376.0251.0376", Numeric("169.254.169.254"), "metadata"),
    ("169.254.43518", Numeric("169.254.169.254"), "metadata"),
    ("[::ffff:a9fe:a9fe]", As("169.254.169.254"), "metadata"),
    ("metadata.google.internal", Found("169.254.169.254"), "metadata"),
    ("100.100.100.200", As("100.100.100.200"), "metadata"),
    ("168.63.129.16", As("168.63.129.16"), "metadata"),
    ("fd00:ec2::254", As("fd00:ec2::254"), "metadata"),
    ("192.0.0.192", As("192.0.0.192"), "protocols"),
    // IPv4 addresses within IPv6, whichever they are.
    ("::127.0.0.1", As("::7f00:1"), "within IPv6"),
    ("::8.8.8.8", As("::808:808"), "within IPv6"),
    ("2002:7f00:1::", As("2002:7f00:1::"), "6to4"),
    ("2002:c0a8:101::1", As("2002:c0a8:101::1"), "6to4"),
    ("2002:808:808::1", As("2002:808:808::1"), "6to4"),
    ("64:ff9b::7f00:1", As("64:ff9b::7f00:1"), "NAT64"),
    ("64:ff9b::127.0.0.1", As("64:ff9b::7f00:1"), "NAT64"),
    ("64:ff9b::8.8.8.8", As("64:ff9b::808:808"), "NAT64"),
    ("64:ff9b:1::a00:1", As("64:ff9b:1::a00:1"), "NAT64"),
    ("64:ff9b:1:ffff::1", As("64:ff9b:1:ffff::1"), "NAT64"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", As("2001:0:4136:e378:8000:63bf:3fff:fdd2"), "Teredo"),
    ("2600:1:2:3:0:5efe:127.0.0.1", As("2600:1:2:3:0:5efe:7f00:1"), "ISATAP"),
    ("2600:1:2:3:200:5efe:c0a8:101", As("2600:1:2:3:200:5efe:c0a8:101"), "ISATAP"),
    ("::ffff:0:127.0.0.1", As("::ffff:0:7f00:1"), "reserved"),
    ("translated.example", Found("64:ff9b::7f00:1"), "NAT64"),
    // To many at once, for books and measurements, and for nobody.
    ("224.0.0.1", As("224.0.0.1"), "multicast"),
    ("239.255.255.250", As("239.255.255.250"), "multicast"),
    ("ff02::1", As("ff02::1"), "multicast"),
    ("255.255.255.255", As("255.255.255.255"), "broadcast"),
    ("4294967295", Numeric("255.255.255.255"), "broadcast"),
    ("0xffffffff", Numeric("255.255.255.255"), "broadcast"),
    ("192.0.2.1", As("192.0.2.1"), "documentation"),
    ("198.51.100.1", As("198.51.100.1"), "documentation"),
    ("203.0.113.1", As("203.0.113.1"), "documentation"),
    ("2001:db8::1", As("2001:db8::1"), "documentation"),
    ("3fff:fff::1", As("3fff:fff::1"), "documentation"),
    ("198.18.0.1", As("198.18.0.1"), "benchmarks"),
    ("198.19.255.255", As("198.19.255.255"), "benchmarks"),
    ("2001:2::1", As("2001:2::1"), "benchmarks"),
    ("192.88.99.1", As("192.88.99.1"), "6to4"),
    ("240.0.0.1", As("240.0.0.1"), "reserved"),
    ("2001:10::1", As("2001:10::1"), "protocols"),
    ("100::1", As("100::1"), "discarded"),
    ("4000::1", As("4000::1"), "reserved"),
    ("5f00::1", As("5f00::1"), "reserved"),
    ("1::", As("1::"), "reserved"),
    // Public, and next to what is not.
    ("93.184.216.34", As("93.184.216.34"), ""),
    ("1572395042", Numeric("93.184.216.34"), ""),
    ("example.com", Found("93.184.216.34"), ""),
    ("EXAMPLE.com.", Found("93.184.216.34"), ""),
    ("xn--bcher-kva.example", Found("93.184.216.34"), ""),
    ("a_b.example", Found("93.184.216.34"), ""),
    ("127.0.0.1.example.com", Found("93.184.216.34"), ""),
    ("[::ffff:93.184.216.34]", As("93.184.216.34"), ""),
    ("2606:2800:220:1::1", As("2606:2800:220:1::1"), ""),
    ("[2606:2800:220:1::1]", As("2606:2800:220:1::1"), ""),
    ("1.0.0.0", As("1.0.0.0"), ""),
    ("9.255.255.255", As("9.255.255.255"), ""),
    ("11.0.0.0", As("11.0.0.0"), ""),
    ("100.63.255.255", As("100.63.255.255"), ""),
    ("100.128.0.0", As("100.128.0.0"), ""),
    ("126.255.255.255", As("126.255.255.255"), ""),
    ("128.0.0.0", As("128.0.0.0"), ""),
    ("169.253.255.255", As("169.253.255.255"), ""),
    ("172.15.255.255", As("172.15.255.255"), ""),
    ("172.32.0.0", As("172.32.0.0"), ""),
    ("192.0.1.0", As("192.0.1.0"), ""),
    ("198.17.255.255", As("198.17.255.255"), ""),
    ("198.20.0.0", As("198.20.0.0"), ""),
    ("223.255.255.255", As("223.255.255.255"), ""),
    ("2000::1", As("2000::1"), ""),
    ("2001:200::1", As("2001:200::1"), ""),
    ("2001:db9::1", As("2001:db9::1"), ""),
    ("2003::1", As("2003::1"), ""),
    ("3ffe:ffff::1", As("3ffe:ffff::1"), ""),
    // Neither address nor name.
    ("", No, ""),
    (".", No, ""),
    ("..", No, ""),
    ("example.com..", No, ""),
    (".example.com", No, ""),
    ("fe80::1%lo", No, ""),
    ("fe80::1%1", No, ""),
    ("[fe80::1%25lo]", No, ""),
    ("::1%lo", No, ""),
    ("[::1", No, ""),
    ("::1]", No, ""),
    ("[[::1]]", No, ""),
    ("[127.0.0.1]", No, ""),
    ("[example.com]", No, ""),
    ("::1:80:x", No, ""),
    ("127.0.0.1:80", No, ""),
    ("[::1]:80", No, ""),
    ("example.com:80", No, ""),
    ("１２７.０.０.１", No, ""),
    ("①②⑦.0.0.1", No, ""),
    ("١٢٧.٠.٠.١", No, ""),
    ("127。0。0。1", No, ""),
    ("bücher.example", No, ""),
    ("ⅼocalhost", No, ""),
    ("localhost\0.example", No, ""),
    ("127.0.0.1 ", No, ""),
    (" 127.0.0.1", No, ""),
    ("127.0.0.1\n", No, ""),
    ("127.0.0.1/8", No, ""),
    ("127.0.0.1%00", No, ""),
    ("%31%32%37.0.0.1", No, ""),
    ("user@127.0.0.1", No, ""),
    ("http://127.0.0.1", No, ""),
    ("a,b", No, ""),
    ("*", No, ""),
    ("*.example.com", No, ""),
    ("-0x7f.1\u{200b}", No, ""),
];

#[test]
fn t14_every_spelling_is_judged_by_where_it_leads() {
    let (public, closed) = (targets(&["*:*"]), Targets::default());
    for (host, read, special) in SPELLINGS {
        let address = match (read, Host::read(host)) {
            (No, None) => {
                let anything = targets(&["*:*", "0.0.0.0/0:*", "[::]/0:*"]);
                assert!(!anything.may_match(host, 80), "{host:?}");
                assert!(!allows(&anything, host, ip("93.184.216.34"), 80), "{host:?}");
                continue;
            }
            (As(address), Some(Host::Address(read))) => {
                assert_eq!(read, ip(address), "{host:?}");
                ip(address)
            }
            (Found(address) | Numeric(address), Some(Host::Name(name))) => {
                assert_eq!(name, *host);
                ip(address)
            }
            (_, read) => panic!("{host:?} is read as {read:?}"),
        };
        let verdict = public.judge(host, address, 80, |_| false);
        match verdict {
            Verdict::Allowed => assert_eq!(*special, "", "{host:?}"),
            Verdict::Special(why) => {
                assert!(!special.is_empty() && why.to_string().contains(special), "{host:?} is {why}");
            }
            Verdict::Unlisted => panic!("{host:?}"),
        }
        // No lookup is due for an address that is refused anyway; a name has to be looked up to know.
        let is_name = matches!(read, Found(_) | Numeric(_));
        assert_eq!(public.may_match(host, 80), is_name || special.is_empty(), "{host:?}");
        // Listed as an address it is open, whatever it is; its neighbours are not.
        let canonical = address.to_canonical();
        let listed = if address.is_ipv4() || canonical.is_ipv4() {
            format!("{canonical}:80")
        } else {
            format!("[{address}]:80")
        };
        let listed = targets(&[&listed]);
        assert!(listed.may_match(host, 80) && allows(&listed, host, address, 80), "{host:?}");
        assert!(!listed.may_match(host, 81) && !allows(&listed, host, address, 81), "{host:?}");
        assert!(!allows(&listed, "other.example", ip("203.0.113.77"), 80), "{host:?}");
        assert!(!closed.may_match(host, 80) && !allows(&closed, host, address, 80), "{host:?}");
    }
    assert!(SPELLINGS.len() >= 160, "rows are missing");
}

/// What the table says of other spellings of addresses is what this system makes of them.
#[test]
fn t14_the_system_reads_numbers_as_the_table_says() {
    let public = targets(&["*:*"]);
    for (host, read, special) in SPELLINGS {
        let Numeric(address) = read else { continue };
        let found: Vec<IpAddr> =
            (*host, 80).to_socket_addrs().map(|found| found.map(|found| found.ip()).collect()).unwrap_or_default();
        if cfg!(all(target_os = "linux", target_env = "gnu")) {
            assert_eq!(found, [ip(address)], "{host:?}");
        }
        for address in found {
            assert_eq!(public.allows(host, address, 80), special.is_empty(), "{host:?} at {address}");
        }
    }
}

#[test]
fn t14_addresses_of_this_machine_need_to_be_listed() {
    let (host, address) = ("us.example", ip("93.184.216.34"));
    let named = targets(&["us.example:80", "*:80"]);
    assert_eq!(named.judge(host, address, 80, |_| false), Verdict::Allowed);
    let Verdict::Special(why) = named.judge(host, address, 80, |asked| asked == address) else { panic!("allowed") };
    assert_eq!(why.to_string(), "an address of this machine or of its network");
    let told = named.judge("93.184.216.34", address, 80, |_| true).to_string();
    assert!(told.contains("of this machine") && told.contains("--bridge-allow"), "{told}");
    assert!(named.judge(host, address, 81, |_| true).to_string().contains("--bridge-allow"));
    let listed = targets(&["93.184.216.0/24:80"]);
    assert_eq!(listed.judge(host, address, 80, |_| true), Verdict::Allowed);
    // Asking costs system calls, so it comes last.
    let nobody = |_| -> bool { panic!("asked") };
    assert_eq!(listed.judge(host, address, 80, nobody), Verdict::Allowed);
    assert_eq!(named.judge(host, address, 81, nobody), Verdict::Unlisted);
    assert!(matches!(named.judge(host, ip("10.0.0.1"), 80, nobody), Verdict::Special(_)));
}

/// Every address that the kernel lists as local.
fn own_addresses() -> Vec<IpAddr> {
    let mut own = vec![ip("127.0.0.1")];
    let v4 = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    let lines: Vec<&str> = v4.lines().map(str::trim).collect();
    for pair in lines.windows(2).filter(|pair| pair[1] == "/32 host LOCAL") {
        own.extend(pair[0].strip_prefix("|-- ").and_then(|address| address.parse::<IpAddr>().ok()));
    }
    let v6 = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    for line in v6.lines() {
        let bits = line.get(..32).and_then(|digits| u128::from_str_radix(digits, 16).ok());
        let address = bits.map(Ipv6Addr::from_bits);
        // Without its zone a link-local address leads nowhere.
        own.extend(address.filter(|address| !address.is_unicast_link_local()).map(IpAddr::from));
    }
    own
}

#[test]
fn t14_the_system_knows_its_own_addresses() {
    for address in own_addresses() {
        assert!(is_own(address), "{address}");
        assert!(!targets(&["*:*"]).allows("us.example", address, 80), "{address}");
    }
    assert!(is_own(ip("::ffff:127.0.0.1")));
    for address in ["192.0.2.1", "93.184.216.34", "2001:db8::1", "2606:2800:220:1::1", "255.255.255.255"] {
        assert!(!is_own(ip(address)), "{address}");
    }
}

#[test]
fn t15_each_field_alone_refuses() {
    let public = ip("93.184.216.34");
    let one = targets(&["a.example:80"]);
    for host in ["a.example", "A.Example", "a.example."] {
        assert!(allows(&one, host, public, 80) && one.may_match(host, 80), "{host}");
    }
    for (host, address, port) in [
        ("a.example", public, 81),
        ("b.example", public, 80),
        ("b.a.example", public, 80),
        ("xa.example", public, 80),
        ("a.example.b", public, 80),
        ("93.184.216.34", public, 80),
        ("a.example", ip("10.0.0.1"), 80),
        ("a.example", public, 0),
    ] {
        assert!(!allows(&one, host, address, port), "{host} {address} {port}");
        assert!(address != public || !one.may_match(host, port), "{host} {port}");
    }
    let below = targets(&["*.a.example:80-90"]);
    assert!(allows(&below, "b.a.example", public, 80) && allows(&below, "C.B.A.EXAMPLE.", public, 90));
    for (host, port) in
        [("a.example", 80), (".a.example", 80), ("b.a.example", 79), ("b.a.example", 91), ("xa.example", 80)]
    {
        assert!(!allows(&below, host, public, port) && !below.may_match(host, port), "{host} {port}");
    }
    let inside = targets(&["10.0.0.0/8:80"]);
    for host in ["10.1.2.3", "any.example", "::ffff:10.1.2.3"] {
        assert!(allows(&inside, host, ip("10.1.2.3"), 80) && inside.may_match(host, 80), "{host}");
        assert!(!allows(&inside, host, ip("10.1.2.3"), 81) && !inside.may_match(host, 81), "{host}");
    }
    assert!(!allows(&inside, "11.0.0.0", ip("11.0.0.0"), 80) && !inside.may_match("11.0.0.0", 80));
    assert!(!allows(&inside, "any.example", ip("11.0.0.0"), 80));
    // An address is the one that was named.
    assert!(!allows(&inside, "93.184.216.34", ip("10.1.2.3"), 80));
}

#[test]
fn t15_fields_of_different_entries_do_not_add_up() {
    let two = targets(&["a.example:80", "b.example:443", "10.0.0.0/8:22"]);
    let (public, inside) = (ip("93.184.216.34"), ip("10.0.0.1"));
    for (host, address, port, is_allowed) in [
        ("a.example", public, 80, true),
        ("a.example", public, 443, false),
        ("b.example", public, 443, true),
        ("b.example", public, 80, false),
        ("a.example", inside, 80, false),
        ("a.example", inside, 22, true),
        ("a.example", public, 22, false),
        ("10.0.0.1", inside, 22, true),
        ("10.0.0.1", inside, 80, false),
    ] {
        assert_eq!(allows(&two, host, address, port), is_allowed, "{host} {address} {port}");
    }
    // A family is no part of the other one.
    assert!(!allows(&targets(&["0.0.0.0/0:*"]), "::1", ip("::1"), 80));
    let six = targets(&["[::]/0:*"]);
    assert!(allows(&six, "::1", ip("::1"), 80) && !allows(&six, "127.0.0.1", ip("127.0.0.1"), 80));
    assert!(!allows(&six, "::ffff:127.0.0.1", ip("::ffff:127.0.0.1"), 80), "that is an IPv4 address on the wire");
}

#[test]
fn ports_are_lists_of_ranges() {
    let host = "a.example";
    for (ports, inside, outside) in [
        ("*", &[1, 80, 65535][..], &[0][..]),
        ("80", &[80], &[0, 79, 81]),
        ("8000-8100", &[8000, 8050, 8100], &[7999, 8101]),
        ("80,443,8000-8001", &[80, 443, 8000, 8001], &[81, 444, 7999, 8002]),
        ("65535-65535,1-1", &[1, 65535], &[0, 2, 65534]),
    ] {
        let targets = targets(&[&format!("{host}:{ports}")]);
        assert!(inside.iter().all(|port| targets.may_match(host, *port)), "{ports}");
        assert!(!outside.iter().any(|port| targets.may_match(host, *port)), "{ports}");
    }
}

fn refusal(entry: &str) -> String {
    let entries = ["a.example:80".to_owned(), entry.to_owned()];
    let bad: BadTarget = Targets::parse(&entries).expect_err(entry);
    assert_eq!(bad.entry, entry);
    let message = bad.to_string();
    message.strip_prefix(&format!("--bridge-allow {entry:?}: ")).expect("it names the entry").to_owned()
}

#[test]
fn entries_that_are_wrong_say_how() {
    for (wrong, entries) in [
        (
            "expected HOST:PORTS",
            &["", "a.example", "*", "10.0.0.0/8", "[::1]", "[::1]80", "[fd00::]/8", "80", "[::1]x:80"][..],
        ),
        ("there is one colon", &["::1:80", "fd00::/8:80", "a:80:80", "http://a:80", "[::1:80", "a::80"]),
        (
            "HOST must be",
            &[
                ":80",
                ".:80",
                "a..b:80",
                "a b:80",
                "*a:80",
                "a.*:80",
                "**:80",
                "*.:80",
                "*.*:80",
                "*.1.2.3.4:80",
                "[a]:80",
                "[]:80",
                "[fe80::1%lo]:80",
                "[127.0.0.1]:80",
                "u@a:80",
                "a%2e:80",
                "[fd00::/8]:80",
            ],
        ),
        ("a name goes in its ASCII form", &["bücher.example:80", "*.bücher.example:80", "１.2.3.4:80"]),
        (
            "an address is four decimal numbers",
            &["127.1:80", "0x7f.1:80", "2130706433:80", "0177.0.0.1:80", "1.2.3.4.:80", "256.1.1.1:80"],
        ),
        ("a name opens public addresses only", &["localhost:80", "LOCALHOST.:80", "x.localhost:80", "*.localhost:80"]),
        ("what stands before the /", &["a/8:80", "/8:80", "127.1/8:80", "10/8:80"]),
        (
            "what stands behind the / must be a number from 0 to 32",
            &[
                "10.0.0.0/33:80",
                "10.0.0.0/:80",
                "10.0.0.0/+8:80",
                "10.0.0.0/08:80",
                "10.0.0.0/8/8:80",
                "10.0.0.0/255.0.0.0:80",
            ],
        ),
        (
            "what stands behind the / must be a number from 0 to 128",
            &["[fd00::]/129:80", "[fd00::]/-1:80", "[fd00::]/:80"],
        ),
        ("this range begins elsewhere: say 10.0.0.0/8", &["10.0.0.1/8:80", "10.255.255.255/8:80"]),
        ("this range begins elsewhere: say [fd00::]/8", &["[fd00::1]/8:80"]),
        (
            "an IPv4 address within IPv6 is judged as IPv4: say 10.0.0.0",
            &["[::ffff:10.0.0.0]:80", "[::ffff:10.0.0.0]/104:80"],
        ),
        (
            "PORTS must be",
            &[
                "a:",
                "a:0",
                "a:65536",
                "a:http",
                "a:+80",
                "a:080",
                "a:-1",
                "a:80-",
                "a:90-80",
                "a:0-80",
                "a:80,",
                "a:,80",
                "a:80,*",
                "a:80 ",
                "a: 80",
                "a:80-90-100",
                "a:８０",
                "[::1]:",
                "*:",
            ],
        ),
    ] {
        for entry in entries {
            let message = refusal(entry);
            assert!(message.starts_with(wrong), "{entry:?}: {message}");
        }
    }
}

#[test]
fn entries_that_reach_far_say_so() {
    assert!(Targets::default().is_empty() && !targets(&["a:1"]).is_empty());
    assert_eq!(Targets::default().reach(), Reach::Listed);
    assert_eq!(targets(&["a:1", "93.184.216.34:1", "93.184.216.0/24:1"]).reach(), Reach::Listed);
    assert_eq!(targets(&["a:1", "*:443"]).reach(), Reach::Internet);
    for inside in
        ["10.1.2.3:1", "127.0.0.0/8:1", "0.0.0.0/0:1", "128.0.0.0/1:1", "[::]/0:1", "[2000::]/3:1", "[4000::]/3:1"]
    {
        assert_eq!(targets(&["*:443", inside]).reach(), Reach::Inside, "{inside}");
    }
}

/// DNS rebinding: a name that is public when it is checked and loopback a moment later. What was checked is what would
/// be connected to, so the second answer never counts, and would be refused if it did.
#[test]
fn t14_a_name_that_changes_its_answer_gains_nothing() {
    let asked = AtomicUsize::new(0);
    let (wake, woken) = channel();
    let answers = [vec!["93.184.216.34", "127.0.0.1", "::1", "2606:2800:220:1::1"], vec!["127.0.0.1"]];
    let flip = move |_: &str, _| {
        let answer = &answers[asked.fetch_add(1, Ordering::Relaxed) % 2];
        Ok(answer.iter().map(|address| ip(address)).collect())
    };
    let mut resolver = Resolver::with_lookup(flip, move || wake.send(()).expect("somebody waits"));
    let targets = targets(&["*:80"]);
    let mut dialled = |ticket| -> Vec<IpAddr> {
        resolver.lookup(None, ticket, "rebind.example", 80).expect("room");
        woken.recv().expect("an answer");
        let (answered, addresses) = resolver.next_answer().expect("it woke us");
        assert_eq!(answered, ticket);
        addresses
            .expect("addresses")
            .into_iter()
            .filter(|address| allows(&targets, "rebind.example", *address, 80))
            .collect()
    };
    assert_eq!(dialled(1), [ip("93.184.216.34"), ip("2606:2800:220:1::1")], "loopback is not among them");
    assert!(dialled(2).is_empty());
}
