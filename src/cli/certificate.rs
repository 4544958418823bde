//! `generate cert`: a certificate for a local network, signed by itself, and its key. Layer 3, beside `main`.
//!
//! No authority vouches for a machine at home, so whoever connects has to be told once to trust this certificate. It names
//! everything that this machine is reached by, and lasts as long as the strictest clients accept.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Arg, ArgAction, ArgMatches, Command};
use rcgen::{CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose};

use crate::cli::settings::plain;
use crate::http::guard::is_host;

/// How long a certificate lasts: Apple's systems refuse those of more than 825 days.
const LASTS: Duration = Duration::from_secs(825 * 24 * 3600);

/// Its first moment is so long past, for clients whose clocks are behind.
const BACKDATED: Duration = Duration::from_secs(24 * 3600);

/// Columns of base64 in a PEM file (RFC 7468 §2).
const PEM_COLUMNS: usize = 64;

/// What is to be made, and where.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Wish {
    /// Host names and addresses; empty means this machine's own.
    names: Vec<String>,
    cert: PathBuf,
    key: PathBuf,
    /// Whether files that exist are replaced.
    force: bool,
}

/// `generate cert` and what may stand behind it.
pub(super) fn command() -> Command {
    let file = |name: &'static str, default: &'static str, help: &'static str| {
        Arg::new(name).long(name).value_name("FILE").default_value(default).help(help)
    };
    let names = Arg::new("names")
        .value_name("NAME")
        .num_args(0..)
        .help("What clients call this machine: host names and addresses [default: its own, localhost included]");
    Command::new("cert")
        .about("Makes a certificate for a local network, signed by itself (ECDSA P-256, 825 days), and its key")
        .arg(names)
        .arg(file("cert", "jackfield-cert.pem", "Where the certificate goes"))
        .arg(file("key", "jackfield-key.pem", "Where its key goes, for nobody else to read"))
        .arg(Arg::new("force").long("force").action(ArgAction::SetTrue).help("Replaces files that exist"))
}

impl Wish {
    /// # Errors
    /// A name that is none.
    pub(super) fn read(matches: &ArgMatches) -> Result<Self, String> {
        let names: Vec<String> = matches.get_many("names").into_iter().flatten().cloned().collect();
        let is_name = |name: &String| is_host(name) && name != "*" && !name.contains(':');
        if let Some(bad) = names.iter().find(|name| name.parse::<IpAddr>().is_err() && !is_name(name)) {
            return Err(format!("error: {:?} is neither a host name nor an address", plain(bad)));
        }
        let path = |name| PathBuf::from(matches.get_one::<String>(name).map_or("", String::as_str));
        Ok(Self { names, cert: path("cert"), key: path("key"), force: matches.get_flag("force") })
    }

    /// Makes the key and the certificate, writes both and says how to use them.
    ///
    /// # Errors
    /// A file that exists or cannot be written.
    pub fn make(&self) -> Result<String, String> {
        for path in [&self.cert, &self.key] {
            if !self.force && path.exists() {
                return Err(format!("{path:?} exists; --force replaces it"));
            }
        }
        let names = if self.names.is_empty() { own_names() } else { self.names.clone() };
        let (cert, key) = sign(&names).map_err(|error| format!("no certificate can be made: {error}"))?;
        write(&self.key, &pem("PRIVATE KEY", &key), 0o600, self.force)?;
        write(&self.cert, &pem("CERTIFICATE", &cert), 0o644, self.force)?;
        let (cert, key) = (self.cert.display(), self.key.display());
        let first = names.first().map_or("localhost", String::as_str);
        let host = if first.contains(':') { format!("[{first}]") } else { first.to_owned() };
        Ok(format!(
            "{cert} is a certificate for {}\n\
             {key} is its key, for the server alone\n\n\
             Serve with it:\n  \
             jackfield --listen 'tls+*:9443' --tls-cert {cert} --tls-key {key}\n\n\
             No authority vouches for it, so clients are told to trust it: a browser asks once, at\n\
             https://{host}:9443/; programs take the file as an authority (curl --cacert {cert},\n\
             NODE_EXTRA_CA_CERTS={cert}). In 825 days make another with --force and send the server HUP.\n",
            names.join(", ")
        ))
    }
}

/// A certificate for `names`, and its key in PKCS #8, both in DER.
fn sign(names: &[String]) -> Result<(Vec<u8>, Vec<u8>), rcgen::Error> {
    let key = KeyPair::generate()?;
    let mut params = CertificateParams::new(names)?;
    let now = SystemTime::now();
    (params.not_before, params.not_after) = ((now - BACKDATED).into(), (now - BACKDATED + LASTS).into());
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.distinguished_name.push(DnType::CommonName, names.first().map_or("jackfield", String::as_str));
    let cert = params.self_signed(&key)?;
    Ok((cert.der().to_vec(), key.serialized_der().to_vec()))
}

/// Everything that this machine is reached by from its own network: its name, bare and as mDNS has it, and its addresses.
fn own_names() -> Vec<String> {
    let host = rustix::system::uname().nodename().to_string_lossy().to_ascii_lowercase();
    let mut names = Vec::new();
    if is_host(&host) && !host.contains([':', '*']) {
        if !host.contains('.') {
            names.push(format!("{host}.local"));
        }
        names.insert(0, host);
    }
    names.push("localhost".to_owned());
    let interfaces = if_addrs::get_if_addrs().unwrap_or_default();
    let mut addresses = vec![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    addresses.extend(interfaces.iter().map(if_addrs::Interface::ip));
    // An address of one link only is never written without its zone, which no certificate holds.
    let has_zone = |address: &IpAddr| matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
    for address in addresses.iter().filter(|address| !has_zone(address)).map(ToString::to_string) {
        if !names.contains(&address) {
            names.push(address);
        }
    }
    names
}

fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut out = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(PEM_COLUMNS) {
        out.extend(line.iter().map(|byte| char::from(*byte)));
        out.push('\n');
    }
    out + &format!("-----END {label}-----\n")
}

fn write(path: &Path, text: &str, mode: u32, replaces: bool) -> Result<(), String> {
    let fail = |error| format!("cannot write {path:?}: {error}");
    if replaces && path.exists() {
        // Removed, not overwritten: who has the old file open must not read the new key.
        fs::remove_file(path).map_err(fail)?;
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, mode);
    #[cfg(not(unix))]
    let _ = mode;
    options.open(path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_names_are_names() {
        let names = own_names();
        assert!(["localhost", "127.0.0.1", "::1"].iter().all(|name| names.contains(&(*name).to_owned())), "{names:?}");
        assert!(names.iter().all(|name| name.parse::<IpAddr>().is_ok() || is_host(name)), "{names:?}");
        assert!(sign(&names).is_ok());
    }

    #[test]
    fn pem_has_lines_of_64_columns() {
        let text = pem("X", &[0; 96]);
        assert_eq!(text, format!("-----BEGIN X-----\n{}\n{}\n-----END X-----\n", "A".repeat(64), "A".repeat(64)));
    }
}
