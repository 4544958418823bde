//! The options of the local network, and what to say of them at start. Layer 3, beside `main`.
//!
//! The secret is read from a file and never from the command line or the environment, which other users of the machine
//! may see; nothing prints it.

use std::fs::File;
use std::io::Read;
use std::net::SocketAddr;

use crate::cli::options::{Group, Kind, Setting, about, never};
use crate::cli::settings::plain;
use crate::config::{Config, LanMode, Secret};
use crate::http::authority::Authority;

/// Bytes of a secret: what is shorter can be found by trying, as announcements can be checked without asking anybody.
const MIN_SECRET_BYTES: usize = 16;
/// Beyond this it is no secret but some other file.
const MAX_SECRET_BYTES: usize = 1024;

const MODES: [(&str, LanMode); 3] = [("auto", LanMode::Auto), ("on", LanMode::On), ("off", LanMode::Off)];

pub(super) const MODE: Setting = Setting {
    name: "lan",
    short: None,
    group: Group::Lan,
    doc: "Whether /broadcast and /network channels are announced on the local network and linked with those of other \
          machines: on, off, or auto, which is on as soon as a listener can be reached from there.",
    kind: Kind::Text {
        placeholder: "WHEN",
        get: |settings| {
            let is_set = |(_, mode): &&(&str, LanMode)| *mode == settings.config.lan.mode;
            MODES.iter().find(is_set).map(|(name, _)| (*name).to_owned()).unwrap_or_default()
        },
        set: |settings, text| {
            let mode = MODES.iter().find(|(name, _)| *name == text).ok_or("expected on, off or auto")?;
            settings.config.lan.mode = mode.1;
            Ok(())
        },
    },
};

pub(super) const INTERFACE: Setting = Setting {
    name: "lan-interface",
    short: None,
    group: Group::Lan,
    doc: "Network interfaces to announce and look on, by name or address: eth0, 192.168.1.2. Without it all but \
          loopback, those that come later included; with none nothing is announced or looked for, and only --lan-peer \
          links.",
    kind: Kind::List {
        placeholder: "INTERFACE",
        continues: never,
        get: |settings| settings.config.lan.interfaces.clone(),
        set: |settings, texts| {
            let is_good = |text: &&&str| (1..=64).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_graphic());
            if let Some(bad) = texts.iter().find(|text| !is_good(text)) {
                return Err(about(bad, texts, "expected an interface's name or address".to_owned()));
            }
            settings.config.lan.interfaces = texts.iter().map(ToString::to_string).collect();
            Ok(())
        },
    },
};

pub(super) const PEER: Setting = Setting {
    name: "lan-peer",
    short: None,
    group: Group::Lan,
    doc: "A server to link every channel with while it has members here, for networks without multicast: 10.0.0.7:9009. \
          Links that come from there are accepted, wherever it is.",
    kind: Kind::List {
        placeholder: "HOST:PORT",
        continues: never,
        get: |settings| settings.config.lan.peers.iter().map(written).collect(),
        set: |settings, texts| {
            let mut peers = Vec::new();
            for text in texts {
                let peer = peer(text).map_err(|wrong| about(text, texts, wrong))?;
                if !peers.contains(&peer) {
                    peers.push(peer);
                }
            }
            settings.config.lan.peers = peers;
            Ok(())
        },
    },
};

pub(super) const SECRET: Setting = Setting {
    name: "lan-secret-file",
    short: None,
    group: Group::Lan,
    doc: "A file with the secret that all servers of a group share, 16 bytes at least. With it announcements carry only a \
          keyed hash of a channel's name, and a link passes nothing until both ends have proved that they know the \
          secret. Content is not encrypted.",
    kind: Kind::Text {
        placeholder: "FILE",
        get: |settings| settings.lan_secret_file.clone(),
        set: |settings, text| {
            settings.config.lan.secret = if text.is_empty() { None } else { Some(secret(text)?) };
            settings.lan_secret_file = text.to_owned();
            Ok(())
        },
    },
};

pub(super) const OFF_LINK: Setting = Setting {
    name: "lan-off-link",
    short: None,
    group: Group::Lan,
    doc: "Announced addresses are dialled even if this machine is not on their network. Without it an announcement can \
          point to neighbours only.",
    kind: Kind::Switch {
        get: |settings| settings.config.lan.off_link,
        set: |settings, on| settings.config.lan.off_link = on,
    },
};

/// Reads `HOST:PORT`.
fn peer(text: &str) -> Result<(String, u16), String> {
    let wrong = || "expected HOST:PORT, such as 10.0.0.7:9009, with an IPv6 address in brackets".to_owned();
    let authority = Authority::parse(text).ok_or_else(wrong)?;
    let port = authority.port.filter(|port| *port > 0).ok_or_else(wrong)?;
    let host = match text.parse::<SocketAddr>() {
        Ok(address) => address.ip().to_string(),
        Err(_) => text.rsplit_once(':').map(|(host, _)| host.to_owned()).ok_or_else(wrong)?,
    };
    Ok((host, port))
}

/// What [`peer`] reads.
fn written((host, port): &(String, u16)) -> String {
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

/// Reads a secret; white space at its ends is not part of it, as editors add a line's end.
fn secret(path: &str) -> Result<Secret, String> {
    let fail = |why: &dyn std::fmt::Display| format!("cannot read {}: {why}", plain(path));
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| fail(&error))?;
    file.take(MAX_SECRET_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(|error| fail(&error))?;
    let secret = bytes.trim_ascii();
    if bytes.len() > MAX_SECRET_BYTES {
        return Err(fail(&format!("it has more than {MAX_SECRET_BYTES} bytes, so it is no secret")));
    }
    if secret.len() < MIN_SECRET_BYTES {
        return Err(fail(&format!("the secret has less than {MIN_SECRET_BYTES} bytes and could be guessed")));
    }
    Ok(Secret::new(secret))
}

/// What follows the word `lan` in the start-up block; `None` while it is off.
pub(super) fn line(config: &Config) -> Option<String> {
    if !config.lan_is_on() {
        return None;
    }
    let how = if config.lan.secret.is_some() { "with a secret" } else { "open to every server on the network" };
    let peers = match config.lan.peers.len() {
        0 => String::new(),
        1 => ", 1 peer by hand".to_owned(),
        count => format!(", {count} peers by hand"),
    };
    let found = if cfg!(feature = "discovery") { "announced" } else { "not announced in this build" };
    Some(format!("/broadcast and /network are {found} and linked, {how}{peers}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers() {
        for (text, host) in [("10.0.0.7:1", "10.0.0.7"), ("[fe80::1]:1", "fe80::1"), ("pi.local:1", "pi.local")] {
            assert_eq!(peer(text), Ok((host.to_owned(), 1)));
            assert_eq!(written(&peer(text).unwrap()), text);
        }
        for text in ["", "10.0.0.7", "a:0", "a:", ":1", "http://a:1", "fe80::1:1x", "a b:1", "a:70000"] {
            assert!(peer(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_secret_is_read_from_its_file_and_shown_nowhere() {
        let path = std::env::temp_dir().join(format!("jackfield-secret-{}", std::process::id()));
        let path = path.to_str().unwrap();
        std::fs::write(path, "  correct horse battery\n").unwrap();
        let read = secret(path).unwrap();
        assert_eq!(read.bytes(), b"correct horse battery");
        assert!(!format!("{read:?}").contains("horse"));
        std::fs::write(path, "short").unwrap();
        assert!(secret(path).unwrap_err().contains("could be guessed"));
        std::fs::remove_file(path).unwrap();
        assert!(secret(path).unwrap_err().contains("No such file"));
    }
}
