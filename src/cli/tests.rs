//! The layers together, as a user meets them.

use std::fs;

use proptest::prelude::*;

use super::*;
use crate::config::{Limits, Root};

/// A file that is gone when the test is.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("jackfield-{}-{name}.toml", std::process::id()));
        fs::write(&path, text).unwrap();
        Self(path)
    }

    fn path(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn run(args: &[&str], variables: &[(&str, &str)]) -> Result<Order, UsageError> {
    let args = ["jackfield"].iter().chain(args).map(OsString::from);
    parse(args, variables.iter().map(|(name, value)| (name.into(), value.into())))
}

fn config(args: &[&str], variables: &[(&str, &str)]) -> Config {
    match run(args, variables) {
        Ok(Order::Serve(config)) => *config,
        other => panic!("{other:?}"),
    }
}

fn printed(args: &[&str], variables: &[(&str, &str)]) -> String {
    match run(args, variables) {
        Ok(Order::Print(text)) => text,
        other => panic!("{other:?}"),
    }
}

fn refused(args: &[&str], variables: &[(&str, &str)]) -> String {
    run(args, variables).unwrap_err().to_string()
}

#[test]
fn nothing_said_means_the_defaults() {
    assert_eq!(format!("{:?}", config(&[], &[])), format!("{:?}", Config::default()));
}

#[test]
fn every_field_of_the_configuration_is_an_option() {
    let debug = format!("{:?}", Config { limits: Limits::default(), ..Config::default() });
    let fields = debug.split([' ', '{', '[']).filter_map(|word| word.strip_suffix(':'));
    let mut count = 0;
    for field in fields.filter(|field| !matches!(*field, "address" | "root" | "proxy" | "tls" | "limits" | "lan")) {
        // Of what may be given several times, an option gives one.
        let option = match field {
            "bridge_names" => "bridge_name",
            "mode" => "lan",
            "interfaces" => "lan_interface",
            "peers" => "lan_peer",
            "secret" => "lan_secret_file",
            "off_link" => "lan_off_link",
            field => field,
        };
        let is_field = |key: String| key == option;
        assert!(SETTINGS.iter().any(|setting| is_field(setting.key())), "{field}");
        count += 1;
    }
    // `classic` becomes part of `listen`.
    assert_eq!(count, SETTINGS.len() - 1);
}

#[test]
fn flags_override_variables_override_the_file_override_defaults() {
    let file = Scratch::new(
        "precedence",
        "max_head = \"1KiB\"\nmax_headers = 10\nmax_name = 11\npresence = true\nallow_host = [\"file.example\"]\n\
         allow_origin = [\"https://file.example\"]\nlisten = [\"127.0.0.1:1\", \"127.0.0.1:2\"]\n",
    );
    let variables = [
        ("JACKFIELD_CONFIG", file.path()),
        ("JACKFIELD_MAX_HEADERS", "20"),
        ("JACKFIELD_MAX_NAME", "21"),
        ("JACKFIELD_ALLOW_HOST", "one.example, two.example,"),
        ("JACKFIELD_LISTEN", ""),
        ("PATH", "/bin"),
    ];
    let flags =
        ["--max-name", "31", "--presence=false", "--allow-origin", "null", "--allow-origin", "https://b.example"];
    let config = config(&flags, &variables);
    let limits = &config.limits;
    assert_eq!((limits.max_head, limits.max_headers, limits.max_name), (1024, 20, 31));
    assert_eq!(limits.max_message, Limits::default().max_message);
    assert!(!config.presence);
    assert_eq!(config.allow_host, ["one.example", "two.example"]);
    assert_eq!(config.allow_origin, ["null", "https://b.example"]);
    assert_eq!(config.listen.len(), 2, "a variable that is empty says nothing");
}

#[test]
fn a_flag_names_another_file_than_the_variable() {
    let file = Scratch::new("flag", "max_name = 7\n");
    let config = config(&["--config", file.path()], &[("JACKFIELD_CONFIG", "/no/such/file")]);
    assert_eq!(config.limits.max_name, 7);
}

#[test]
fn switches_and_counts() {
    assert!(config(&["--presence"], &[]).presence);
    assert!(config(&[], &[("JACKFIELD_PRESENCE", "1")]).presence);
    // As the original was started: `server.py -ev`.
    for (args, expected) in [
        (&["-e"][..], (true, 0)),
        (&["-ev"], (true, 1)),
        (&["-ve"], (true, 1)),
        (&["-vev"], (true, 2)),
        (&["--echo", "-v"], (true, 1)),
        (&["-e=false"], (false, 0)),
    ] {
        let config = config(args, &[]);
        assert_eq!((config.echo, config.verbose), expected, "{args:?}");
    }
    assert!(!config(&["--presence=false"], &[("JACKFIELD_PRESENCE", "true")]).presence);
    for (args, verbose) in [(&[][..], 0), (&["-v"], 1), (&["-vv"], 2), (&["-v", "--verbose"], 2), (&["-vvvvv"], 2)] {
        assert_eq!(config(args, &[]).verbose, verbose, "{args:?}");
    }
    assert_eq!(config(&["-v"], &[("JACKFIELD_VERBOSE", "2")]).verbose, 1);
}

#[test]
fn listeners() {
    let listen = |args: &[&str]| -> Vec<(String, Root)> {
        config(args, &[]).listen.iter().map(|listen| (listen.address.to_string(), listen.root)).collect()
    };
    assert_eq!(
        listen(&["--listen", "webshare@localhost:0", "--listen", "[::1]:1"]),
        [("127.0.0.1:0".to_owned(), Root::Webshare), ("[::1]:1".to_owned(), Root::Auto)]
    );
    assert_eq!(
        listen(&["--classic"]),
        [("9009", Root::Named), ("9000", Root::Webshare), ("8001", Root::Pocket), ("3613", Root::Ws2s)]
            .map(|(port, root)| (format!("127.0.0.1:{port}"), root))
    );
}

#[test]
fn wrong_values_name_option_value_and_what_is_allowed() {
    for (flag, value, wrong) in [
        ("max-connections", "10000001", "must be from 0 to 10000000"),
        ("max-per-address", "0", "must be from 1 to 10000000"),
        ("handshake-timeout", "0s", "must be from 100ms to 1h"),
        ("handshake-timeout", "5", "a time needs its unit: say 5s or 5ms"),
        ("max-head", "64", "must be from 512B to 64KiB"),
        ("max-headers", "257", "must be from 8 to 256"),
        ("max-message", "0", "must be from 1B to 1GiB"),
        ("max-message", "16M", "M can mean two things: say 16MiB (powers of 1,024) or 16MB (of 1,000)"),
        ("max-message", "16XiB", "expected a size such as 65536, 64KiB or 1MB"),
        ("max-fragments", "0", "must be from 1 to 10000000"),
        ("queue-high", "1", "must be from 4KiB to 1GiB"),
        ("max-queue", "2GiB", "must be from 4KiB to 1GiB"),
        ("control-rate", "0", "must be from 1 to 10000000"),
        ("control-burst", "many", "expected a whole number"),
        ("ping-interval", "1ms", "must be 0, or from 100ms to 24h"),
        ("ping-interval", "soon", "expected a time such as 500ms, 30s, 5m or 1h"),
        ("pong-timeout", "0", "must be from 100ms to 1h"),
        ("close-timeout", "2h", "must be from 100ms to 1h"),
        ("drain-timeout", "99ms", "must be 0, or from 100ms to 1h"),
        ("max-name", "256", "must be from 1 to 255"),
        ("guess-burst", "0", "must be from 1 to 10000000"),
        ("guess-interval", "0", "must be from 1ms to 1h"),
        ("key-digits", "3", "must be from 4 to 32"),
        ("key-digits", "33", "must be from 4 to 32"),
        ("listen", "host", "expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009"),
        (
            "allow-origin",
            "https://example.com/",
            "expected SCHEME://HOST or SCHEME://HOST:PORT without a path, null, or * for all",
        ),
        (
            "bridge-allow",
            "localhost:http",
            "a name opens public addresses only; for this machine say 127.0.0.1:PORTS and [::1]:PORTS",
        ),
        (
            "bridge-allow",
            "127.0.0.1:http",
            "PORTS must be *, 80, 8000-8100, or several with commas between, from 1 to 65535",
        ),
        ("bridge-name", "127.0.0.1:80", "expected NAME=HOST:PORT, such as redis=127.0.0.1:6379"),
        ("max-bridges", "all", "expected a whole number"),
        ("max-bridges-per-address", "0", "must be from 1 to 10000000"),
        ("dial-timeout", "0", "must be from 100ms to 1h"),
        ("bridge-idle", "25h", "must be 0, or from 100ms to 24h"),
        ("allow-host", "https://example.com", "expected HOST or HOST:PORT without a scheme, *.DOMAIN, or * for all"),
    ] {
        assert_eq!(refused(&[&format!("--{flag}"), value], &[]), format!("error: --{flag} {value}: {wrong}"));
        let variable = format!("JACKFIELD_{}", flag.to_uppercase().replace('-', "_"));
        assert_eq!(refused(&[], &[(&variable, value)]), format!("error: {variable}={value}: {wrong}"));
    }
    assert_eq!(
        refused(&["--max-head", ""], &[]),
        "error: --max-head \"\": expected a size such as 65536, 64KiB or 1MB"
    );
    assert_eq!(refused(&["--presence=maybe"], &[]), "error: --presence maybe: expected true or false");
    assert_eq!(refused(&[], &[("JACKFIELD_CLASSIC", "yes")]), "error: JACKFIELD_CLASSIC=yes: expected true or false");
    assert_eq!(refused(&[], &[("JACKFIELD_VERBOSE", "3")]), "error: JACKFIELD_VERBOSE=3: must be from 0 to 2");
    assert_eq!(
        refused(&["--listen", "127.0.0.1:1", "--listen", "x"], &[]),
        "error: --listen: \"x\": expected [ROOT@]HOST:PORT, such as 127.0.0.1:9009"
    );
    assert_eq!(
        refused(&["--listen=127.0.0.1:1", "--listen=localhost:1"], &[]),
        "error: --listen (--listen): 127.0.0.1:1 is listed twice"
    );
}

#[test]
fn targets_of_the_bridge() {
    let allowed = |args: &[&str], variables: &[(&str, &str)]| config(args, variables).bridge_allow;
    let (one, two) = ("a.example:80,443,8000-8100", "[fd00::]/8:22");
    assert_eq!(allowed(&["--bridge-allow", one, "--bridge-allow", two], &[]), [one, two]);
    let variable = "a.example:80,443, 8000-8100 ,[fd00::]/8:22,*:1";
    assert_eq!(allowed(&[], &[("JACKFIELD_BRIDGE_ALLOW", variable)]), [one, two, "*:1"], "ports belong to their host");
    let file = Scratch::new("bridge", "bridge_allow = [\"a.example:80,443,8000-8100\", \"[fd00::]/8:22\"]\n");
    assert_eq!(allowed(&["--config", file.path()], &[]), [one, two]);
    assert!(allowed(&[], &[]).is_empty());
    let form =
        "expected HOST:PORTS, such as example.com:443, *.example.com:*, 10.0.0.0/8:80,8000-8100 or [fd00::]/8:22";
    assert_eq!(
        refused(&["--bridge-allow", one, "--bridge-allow", "443"], &[]),
        format!("error: --bridge-allow: \"443\": {form}")
    );
    assert_eq!(
        refused(&[], &[("JACKFIELD_BRIDGE_ALLOW", "443,a:1")]),
        format!("error: JACKFIELD_BRIDGE_ALLOW: \"443\": {form}")
    );
    let names = config(&["--bridge-name", "db=[::1]:5432", "--bridge-name=x.y=nas.home:80"], &[]).bridge_names;
    assert_eq!(names, [("db".into(), "::1".into(), 5432), ("x.y".into(), "nas.home".into(), 80)]);
    assert_eq!(
        refused(&["--bridge-name=a=b:1", "--bridge-name=a=c:1"], &[]),
        "error: --bridge-name: the name a is given twice"
    );
}

#[test]
fn limits_that_depend_on_each_other() {
    assert_eq!(
        refused(&["--max-queue", "64KiB"], &[]),
        "error: --max-queue (64KiB, --max-queue) must be at least --queue-high (256KiB, the default)"
    );
    assert_eq!(
        refused(&[], &[("JACKFIELD_QUEUE_HIGH", "2MiB")]),
        "error: --max-queue (1MiB, the default) must be at least --queue-high (2MiB, JACKFIELD_QUEUE_HIGH)"
    );
    assert_eq!(config(&["--max-queue", "256KiB"], &[]).limits.max_queue, 256 << 10);
}

#[test]
fn what_is_said_of_tokens_needs_a_key() {
    for (arguments, option) in [
        (&["--anonymous", "all"][..], "--anonymous (--anonymous)"),
        (&["--token-revoked", "f"], "--token-revoked (--token-revoked)"),
        (&["--token-in-query"], "--token-in-query (--token-in-query)"),
    ] {
        assert_eq!(refused(arguments, &[]), format!("error: {option} means nothing without --token-key"));
        let config = config(&[arguments, &["--token-key", "dir/site.pub.pem"]].concat(), &[]);
        assert_eq!((&*config.token_key[0].id, config.token_key[0].issuer.as_deref()), ("site", None));
    }
    let keys = config(&[], &[("JACKFIELD_TOKEN_KEY", "a=x, b@https://login.example=/y/z.pem")]).token_key;
    assert_eq!((keys.len(), keys[1].issuer.as_deref()), (2, Some("https://login.example")));
}

#[test]
fn unknown_variables_are_errors_with_a_suggestion() {
    assert_eq!(
        refused(&[], &[("JACKFIELD_MAX_MESSGE", "1"), ("JACKFIELD_LISTENS", "1")]),
        "error: unknown variable JACKFIELD_LISTENS; did you mean \"JACKFIELD_LISTEN\"?\n\
         error: unknown variable JACKFIELD_MAX_MESSGE; did you mean \"JACKFIELD_MAX_MESSAGE\"?"
    );
    assert_eq!(refused(&[], &[("JACKFIELD_XYZZY", "1")]), "error: unknown variable JACKFIELD_XYZZY");
    for name in
        ["JACKFIELD_BIN", "JACKFIELD_PORT", "JACKFIELD_PORT_9009_TCP_ADDR", "JACKFIELD_SERVICE_HOST", "JACKFIELDS"]
    {
        config(&[], &[(name, "tcp://192.0.2.1:9009")]);
    }
}

#[test]
fn a_wrong_value_is_an_error_in_every_layer_and_all_are_told() {
    let file = Scratch::new("layers", "max_name = 0\n");
    let faults =
        refused(&["--max-name", "1", "--key-digits", "1", "--config", file.path()], &[("JACKFIELD_MAX_NAME", "x")]);
    assert_eq!(
        faults,
        format!(
            "error: {}:1: max_name = 0: must be from 1 to 255\n\
             error: JACKFIELD_MAX_NAME=x: expected a whole number\n\
             error: --key-digits 1: must be from 4 to 32",
            file.path()
        )
    );
}

#[cfg(unix)]
#[test]
fn what_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;

    let odd = OsString::from_vec(b"\xff\x1b[m".to_vec());
    let variables = [("JACKFIELD_MAX_NAME".into(), odd.clone())];
    let error = parse(["jackfield".into()], variables).unwrap_err().to_string();
    assert_eq!(error, "error: JACKFIELD_MAX_NAME=\u{fffd}\\u{1b}[m: is not UTF-8 text");
    assert!(parse(["jackfield".into(), "--max-name".into(), odd], []).is_err());
    assert_eq!(refused(&["--max-name", "\x1b[m"], &[]), "error: --max-name \\u{1b}[m: expected a whole number");
}

#[test]
fn usage_errors_come_from_clap() {
    let wrong = refused(&["--max-mesage", "1"], &[]);
    assert!(wrong.starts_with("error: unexpected argument '--max-mesage' found"), "{wrong}");
    assert!(wrong.contains("'--max-message'"), "{wrong}");
    for args in [&["serve"][..], &["--listen"], &["generate"], &["generate", "nothing"], &["--classic", "check"]] {
        assert!(refused(args, &[]).starts_with("error: "), "{args:?}");
    }
}

#[test]
fn help_and_version() {
    assert_eq!(printed(&["--version"], &[]), format!("jackfield {}\n", env!("CARGO_PKG_VERSION")));
    let help = printed(&["--help"], &[]);
    for setting in SETTINGS {
        assert!(help.contains(&format!("--{}", setting.name)), "{}", setting.name);
    }
    for heading in ["\nLimits:\n", "\nWho may connect:\n", "\nProtocols:\n", "--config <FILE>", "[default: 1MiB]"] {
        assert!(help.contains(heading), "{heading:?}");
    }
    let widest = help.lines().map(|line| line.chars().count()).max();
    assert!(widest <= Some(100), "{widest:?}");
    assert_eq!(printed(&["-h"], &[]), help);
}

#[test]
fn the_generated_file_has_every_key_and_means_the_defaults() {
    let text = printed(&["generate", "config"], &[]);
    for setting in SETTINGS {
        assert_eq!(text.matches(&format!("\n{} = ", setting.key())).count(), 1, "{}", setting.name);
    }
    let file = Scratch::new("generated", &text);
    let config = config(&["--config", file.path()], &[]);
    assert_eq!(format!("{config:?}"), format!("{:?}", Config::default()));
}

#[test]
fn the_generated_file_leaves_classic_its_roots() {
    let file = Scratch::new("classic", &printed(&["generate", "config"], &[]));
    let with_file = config(&["--classic", "--config", file.path()], &[]);
    assert_eq!(with_file.listen, config(&["--classic"], &[]).listen);
}

#[test]
fn check_prints_what_is_in_force_and_who_said_so() {
    let file = Scratch::new("check", "max_name = 7\n");
    let text = printed(
        &["check", "--config", file.path(), "--listen", "*:0", "--max-message=2MiB"],
        &[("JACKFIELD_PONG_TIMEOUT", "90s")],
    );
    assert!(text.starts_with("# The configuration is valid. In force is:\nlisten = [\"auto@0.0.0.0:0\"]"), "{text}");
    let lines: Vec<Vec<&str>> = text.lines().map(|line| line.split("# ").map(str::trim).collect()).collect();
    let place = format!("{}:1", file.path());
    for (line, source) in [
        ("listen = [\"auto@0.0.0.0:0\"]", "--listen"),
        ("max_message = \"2MiB\"", "--max-message"),
        ("pong_timeout = \"90s\"", "JACKFIELD_PONG_TIMEOUT"),
        ("max_name = 7", &place),
    ] {
        assert!(lines.contains(&vec![line, source]), "{line}: {text}");
    }
    assert!(lines.contains(&vec!["presence = false"]), "{text}");
    assert_eq!(text.matches("# warning: ").count(), 2, "{text}");
    let wrong = refused(&["check", "--max-name", "0"], &[]);
    assert_eq!(wrong, "error: --max-name 0: must be from 1 to 255");
}

#[test]
fn readme_table_has_every_option() {
    let table = options_table();
    for setting in SETTINGS.iter().filter(|setting| setting.name != "verbose") {
        assert!(table.contains(&format!("| `--{}", setting.name)), "{}", setting.name);
    }
    assert!(table.contains("| `-v`, `-vv` | `0` |"), "{table}");
    assert!(table.contains("| `--max-message SIZE` | `1MiB` |"), "{table}");
    assert!(table.contains("| `--config FILE` |"), "{table}");
    assert!(table.contains("| `--echo`, `-e` | `false` |"), "{table}");
    assert!(table.lines().all(|line| line.starts_with("| ") || line.starts_with("|---")), "{table}");
    let columns = |line: &str| line.matches('|').count();
    assert!(table.lines().all(|line| columns(line) == 4), "{table}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is in force, `check` prints a file that brings it about again.
    #[test]
    fn what_check_prints_reads_back(seeds in proptest::collection::vec(any::<u64>(), SETTINGS.len())) {
        let mut layers = Layers::default();
        for (setting, seed) in SETTINGS.iter().zip(seeds) {
            let text = match &setting.kind {
                // Both marks keep their order by never meeting.
                Kind::Number { .. } if setting.name == "queue-high" => "4KiB".to_owned(),
                Kind::Number { unit, range: (least, most), .. } => unit.write(least + seed % (most - least + 1)),
                Kind::Counted { most, .. } => (seed % (u64::from(*most) + 1)).to_string(),
                Kind::Switch { .. } => (seed % 2 == 0).to_string(),
                // The secret must be in a file; none is a value as well.
                Kind::Text { .. } if setting.name == "lan" => ["on", "off", "auto"][(seed % 3) as usize].to_owned(),
                Kind::Text { .. } if setting.name == "lan-secret-file" => String::new(),
                Kind::Text { .. } => "a.pem".to_owned(),
                Kind::List { .. } => match setting.name {
                    "listen" => "tls+named@127.0.0.1:0",
                    "admin" => "[::1]:9100",
                    "allow-origin" => "https://example.com:8443",
                    "bridge-allow" => "[fd00::]/8:80,8000-8100",
                    "bridge-name" => "db=[::1]:5432",
                    "trusted-proxy" => "fd00::/8",
                    "without" => "p2p",
                    "token-key" => "site@https://login.example=/etc/site.pem",
                    "anonymous" => "subscribe=/local/*",
                    "lan-peer" => "[fd00::1]:9009",
                    "lan-interface" => "eth0",
                    _ => "*.example.com",
                }
                .to_owned(),
            };
            layers.set(setting, Source::Flag, Some(&text), &[&text]);
        }
        let lookup = |_: &str, _| -> std::io::Result<Vec<std::net::SocketAddr>> { unreachable!("addresses only") };
        let first = layers.finish(lookup).unwrap();
        let text = generate::effective(&first, &[]);
        let mut layers = Layers::default();
        file::apply(std::path::Path::new("again.toml"), &text, &mut layers);
        let second = layers.finish(lookup).unwrap();
        prop_assert_eq!(format!("{:?}", first.settings), format!("{:?}", second.settings));
    }

    #[test]
    fn no_argument_and_no_variable_panics(args in proptest::collection::vec("\\PC{0,20}", 0..4), value in "\\PC{0,40}") {
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let _ = run(&args, &[]);
        // Names are left out: looking them up would leave this machine.
        for setting in SETTINGS.iter().filter(|setting| !matches!(setting.name, "listen" | "admin")) {
            let _ = run(&[], &[(&setting.variable(), &value)]);
            let _ = run(&[&format!("--{}={value}", setting.name)], &[]);
        }
    }

    #[test]
    fn no_file_panics(text in "\\PC*", key in 0..SETTINGS.len(), value in "[\\[\\]\\{\\}\"0-9a-z.,= \n-]{0,20}") {
        for text in [&text, &format!("{} = {value}", SETTINGS[key].key())] {
            let mut layers = Layers::default();
            file::apply(std::path::Path::new("any.toml"), text, &mut layers);
        }
    }
}
