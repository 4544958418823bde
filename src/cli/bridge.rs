//! The bridge's options: targets that are allowed, targets with a name, and what to say of them at start. Layer 3,
//! beside `main`.

use super::options::{Group, Kind, Setting, about, never};
use crate::config::Config;
use crate::net::targets::{Host, Reach, Targets, Wrong};

/// `--bridge-allow`.
pub(super) const ALLOW: Setting = Setting {
    name: "bridge-allow",
    short: None,
    group: Group::Bridge,
    doc: "Where clients may connect to through this server: example.com:443, *.example.com:80,8000-8100, *:443 for \
          every public host, 127.0.0.1:6379, 10.0.0.0/8:* or [fd00::]/8:22. Names open public addresses only; \
          addresses inside must be listed as such. Where this server itself listens is never among them. Without it \
          there is no bridge.",
    kind: Kind::List {
        placeholder: "HOST:PORTS",
        continues,
        get: |settings| settings.config.bridge_allow.clone(),
        set: |settings, texts| {
            for text in texts {
                check(text).map_err(|wrong| about(text, texts, wrong))?;
            }
            settings.config.bridge_allow = texts.iter().map(ToString::to_string).collect();
            Ok(())
        },
    },
};

/// `--bridge-name`.
pub(super) const NAME: Setting = Setting {
    name: "bridge-name",
    short: None,
    group: Group::Bridge,
    doc: "A target with a name of its own, for `/tcp/NAME`: redis=127.0.0.1:6379. It needs no entry in \
          --bridge-allow and may have any address, even this server's own.",
    kind: Kind::List {
        placeholder: "NAME=HOST:PORT",
        continues: never,
        get: |settings| settings.config.bridge_names.iter().map(written).collect(),
        set: |settings, texts| {
            let mut targets: Vec<(String, String, u16)> = Vec::new();
            for text in texts {
                let target = named(text).map_err(|wrong| about(text, texts, wrong))?;
                if targets.iter().any(|(name, ..)| *name == target.0) {
                    return Err(format!("the name {} is given twice", target.0));
                }
                targets.push(target);
            }
            settings.config.bridge_names = targets;
            Ok(())
        },
    },
};

/// Bytes of a target's name, as of a channel's.
const MAX_NAME_BYTES: usize = 255;
/// Targets that the start-up block lists.
const MAX_SHOWN: usize = 4;

/// Whether `text` can stand in `--bridge-allow`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(text: &str) -> Result<(), String> {
    targets(text).map(drop).map_err(|wrong| wrong.to_string())
}

/// Whether a piece of a variable is ports that continue the entry before it: `a.example:80,8000-8100`.
pub(super) fn continues(piece: &str) -> bool {
    piece.bytes().all(|b| b.is_ascii_digit() || b == b'-')
}

/// Reads `NAME=HOST:PORT`.
///
/// # Errors
/// What is wrong with it.
pub(super) fn named(text: &str) -> Result<(String, String, u16), String> {
    let (name, target) =
        text.split_once('=').ok_or_else(|| "expected NAME=HOST:PORT, such as redis=127.0.0.1:6379".to_owned())?;
    let is_name = (1..=MAX_NAME_BYTES).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b));
    if !is_name {
        return Err(format!("NAME takes 1 to {MAX_NAME_BYTES} of the characters A-Z a-z 0-9 . _ -"));
    }
    let is_digits = |digits: &str| digits.starts_with(|c: char| c != '0' && c.is_ascii_digit());
    let (host, port) = target
        .rsplit_once(':')
        .and_then(|(host, digits)| Some((host, digits.parse().ok().filter(|_| is_digits(digits))?)))
        .ok_or_else(|| format!("{target:?} must be HOST:PORT with a port from 1 to 65535"))?;
    let host = match Host::read(host) {
        Some(Host::Address(address)) if address.is_ipv4() || host.starts_with('[') => address.to_string(),
        Some(Host::Name(host)) => host.to_owned(),
        _ => return Err(format!("{host:?} is neither a host name nor an address; IPv6 goes into brackets")),
    };
    Ok((name.to_owned(), host, port))
}

/// What [`named`] reads.
pub(super) fn written((name, host, port): &(String, String, u16)) -> String {
    if host.contains(':') { format!("{name}=[{host}]:{port}") } else { format!("{name}={host}:{port}") }
}

/// Lines of the start-up block: what follows the word `bridge`. `here` is where this server is, `ws://HOST:PORT`.
pub(super) fn lines(config: &Config, here: &str) -> Vec<String> {
    let mut lines = Vec::new();
    if !config.bridge_allow.is_empty() {
        lines.push(format!("{here}/tcp/HOST:PORT to {}", shortened(&config.bridge_allow)));
    }
    if !config.bridge_names.is_empty() {
        let names: Vec<String> = config.bridge_names.iter().map(written).collect();
        lines.push(format!("{here}/tcp/NAME with {}", shortened(&names)));
    }
    if lines.is_empty() {
        lines.push("off: nothing is allowed (--bridge-allow)".to_owned());
    }
    lines
}

/// What an operator may not have meant by opening targets to `audience`.
pub(super) fn warnings(config: &Config, audience: &str) -> Vec<String> {
    let warning = |entry: &String| match targets(entry).ok()?.reach() {
        Reach::Listed => None,
        Reach::Internet => {
            Some(format!("--bridge-allow {entry} lets {audience} use this machine as a proxy to the whole Internet"))
        }
        Reach::Inside => Some(format!("--bridge-allow {entry} lets {audience} reach addresses that are not public")),
    };
    config.bridge_allow.iter().filter_map(warning).collect()
}

fn targets(entry: &str) -> Result<Targets, Wrong> {
    Targets::parse(&[entry.to_owned()]).map_err(|bad| bad.wrong)
}

fn shortened(items: &[String]) -> String {
    let shown = items[..items.len().min(MAX_SHOWN)].join(" ");
    match items.len().saturating_sub(MAX_SHOWN) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_with_a_name_read_as_they_are_written() {
        for (text, name, host, port) in [
            ("redis=127.0.0.1:6379", "redis", "127.0.0.1", 6379),
            ("A-b_c.1=nas.home:80", "A-b_c.1", "nas.home", 80),
            ("x=localhost.:65535", "x", "localhost.", 65535),
            ("x=[fd00::1]:1", "x", "fd00::1", 1),
        ] {
            let target = named(text).expect(text);
            assert_eq!(target, (name.to_owned(), host.to_owned(), port));
            assert_eq!(written(&target), text);
        }
        assert_eq!(named("x=[::ffff:10.0.0.1]:1").unwrap().1, "10.0.0.1", "as it is on the wire");
    }

    #[test]
    fn what_is_no_target_with_a_name_says_why() {
        for (text, wrong) in [
            ("", "expected NAME=HOST:PORT"),
            ("redis", "expected NAME=HOST:PORT"),
            ("=a:1", "NAME takes"),
            ("a/b=a:1", "NAME takes"),
            ("a:1=a:1", "NAME takes"),
            ("ä=a:1", "NAME takes"),
            ("x=a", "\"a\" must be HOST:PORT"),
            ("x=a:", "\"a:\" must be HOST:PORT"),
            ("x=a:0", "\"a:0\" must be HOST:PORT"),
            ("x=a:080", "\"a:080\" must be HOST:PORT"),
            ("x=a:+80", "\"a:+80\" must be HOST:PORT"),
            ("x=a:65536", "\"a:65536\" must be HOST:PORT"),
            ("x=:1", "\"\" is neither"),
            ("x=::1:1", "\"::1\" is neither"),
            ("x=a:1:1", "\"a:1\" is neither"),
            ("x=a b:1", "\"a b\" is neither"),
            ("x=[fe80::1%lo]:1", "\"[fe80::1%lo]\" is neither"),
            ("x=*:1", "\"*\" is neither"),
            ("x=b=c:1", "\"b=c\" is neither"),
        ] {
            let message = named(text).unwrap_err();
            assert!(message.starts_with(wrong), "{text:?}: {message}");
        }
        let long = "a".repeat(MAX_NAME_BYTES);
        assert!(named(&format!("{long}=a:1")).is_ok() && named(&format!("{long}a=a:1")).is_err());
    }

    #[test]
    fn what_is_open_is_told_in_short() {
        let mut config = Config::default();
        assert_eq!(lines(&config, "ws://h:1"), ["off: nothing is allowed (--bridge-allow)"]);
        config.bridge_names = vec![("db".to_owned(), "::1".to_owned(), 5432)];
        assert_eq!(lines(&config, "ws://h:1"), ["ws://h:1/tcp/NAME with db=[::1]:5432"]);
        config.bridge_allow = ["a:1", "b:1", "c:1", "d:1"].map(ToOwned::to_owned).to_vec();
        assert_eq!(lines(&config, "ws://h:1")[0], "ws://h:1/tcp/HOST:PORT to a:1 b:1 c:1 d:1");
        config.bridge_allow.push("e:1".to_owned());
        assert_eq!(lines(&config, "ws://h:1")[0], "ws://h:1/tcp/HOST:PORT to a:1 b:1 c:1 d:1 and 1 more");
    }

    #[test]
    fn warnings_are_for_what_reaches_far() {
        let told = |entry: &str| warnings(&Config { bridge_allow: vec![entry.to_owned()], ..Config::default() }, "X");
        for entry in ["example.com:*", "*.example.com:80", "93.184.216.34:443", "93.184.216.0/24:*", "[2600::]/16:1"] {
            assert!(told(entry).is_empty(), "{entry}");
        }
        for entry in ["*:*", "*:443"] {
            let expected = format!("--bridge-allow {entry} lets X use this machine as a proxy to the whole Internet");
            assert_eq!(told(entry), [expected]);
        }
        for entry in ["127.0.0.1:6379", "10.0.0.0/8:*", "0.0.0.0/0:80", "[::1]:80", "[::]/0:80", "[fd00:1::]/32:*"] {
            let expected = format!("--bridge-allow {entry} lets X reach addresses that are not public");
            assert_eq!(told(entry), [expected]);
        }
    }
}
