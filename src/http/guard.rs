//! Who may talk to us, judged by Host and Origin. Layer 0.
//!
//! Any page in a visitor's browser can reach servers on the visitor's machine and network. *Host* tells whether the
//! page was led here by a name that its owner controls (DNS rebinding); *Origin* tells whose page it is. Host comes
//! first: an origin counts as our own when it equals Host, which proves nothing about a Host that was not checked.
//! A client without Origin is no browser and passes; whether it must show a token is decided elsewhere.

use std::fmt;

use super::authority::{Authority, Host, is_below, is_name};
use super::request::Request;

/// Origins without a host: pages without an address, and files in old web views. They pass only where listed.
const OPAQUE_ORIGINS: [&str; 2] = ["null", "file://"];

/// The operator's rules about Host and Origin.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// Invariant: each is `*`, one of [`OPAQUE_ORIGINS`], or an [`Origin`].
    origins: Vec<String>,
    /// Invariant: each is `*`, an [`Authority`], or a name behind `*.`.
    hosts: Vec<String>,
    own_names: Vec<String>,
}

/// Whether `entry` can stand in a list of origins: `scheme://host[:port]`, `null`, `file://`, or `*` for all.
#[must_use]
pub fn is_origin(entry: &str) -> bool {
    entry == "*" || OPAQUE_ORIGINS.contains(&entry) || Origin::parse(entry).is_some()
}

/// Whether `entry` can stand in a list of hosts: `host[:port]`, `*.domain`, or `*` for all.
#[must_use]
pub fn is_host(entry: &str) -> bool {
    entry == "*" || entry.strip_prefix("*.").map_or_else(|| Authority::parse(entry).is_some(), is_name)
}

impl Guard {
    /// `allow_origin` lists origins (`https://example.com:8443`, `null`, or `*` for every page), `allow_host` hosts
    /// (`example.com`, `*.example.com` for all names below, `example.com:8080` for one port only, or `*` for every
    /// name), `own_names` the names of this machine, which need no listing, nor with `.local` behind them.
    ///
    /// # Errors
    /// An entry that could never match, and would otherwise be a rule that silently does not work.
    pub fn new(allow_origin: &[String], allow_host: &[String], own_names: &[String]) -> Result<Self, BadEntry> {
        if let Some(entry) = allow_origin.iter().find(|entry| !is_origin(entry)) {
            return Err(BadEntry::Origin(entry.clone()));
        }
        if let Some(entry) = allow_host.iter().find(|entry| !is_host(entry)) {
            return Err(BadEntry::Host(entry.clone()));
        }
        Ok(Self { origins: allow_origin.to_vec(), hosts: allow_host.to_vec(), own_names: own_names.to_vec() })
    }

    /// Both checks, in the order in which they must be made. An HTTP/1.0 request without Host comes from no browser
    /// and passes the first.
    ///
    /// # Errors
    /// As [`check_host`](Self::check_host) and [`check_origin`](Self::check_origin).
    pub fn check(&self, request: &Request<'_>, loopback_listener: bool) -> Result<(), Refusal> {
        if !request.host().is_empty() {
            self.check_host(request.host())?;
        }
        self.check_origin(request.origin(), request.host(), loopback_listener)
    }

    /// Whether `host` (`host[:port]`, as in the Host field) is one that we answer to: an address, which cannot be
    /// rebound, `localhost` and names below it, this machine's names, and what is listed. Case, port and one trailing
    /// dot make no difference.
    ///
    /// # Errors
    /// [`Refusal::MalformedHost`], [`Refusal::ForeignHost`].
    pub fn check_host(&self, host: &str) -> Result<(), Refusal> {
        let authority = Authority::parse(host).ok_or(Refusal::MalformedHost)?;
        let Host::Name(name) = authority.host else { return Ok(()) };
        let name = name.strip_suffix('.').unwrap_or(name);
        let is_own = |own: &String| {
            let own = own.strip_suffix('.').unwrap_or(own);
            let is_local = || is_below(name, "local") && name[..name.len() - ".local".len()].eq_ignore_ascii_case(own);
            name.eq_ignore_ascii_case(own) || is_local()
        };
        let is_listed = |entry: &String| is_listed_host(entry, name, authority.port);
        if Host::Name(name).is_loopback() || self.own_names.iter().any(is_own) || self.hosts.iter().any(is_listed) {
            Ok(())
        } else {
            Err(Refusal::ForeignHost)
        }
    }

    /// Whether a page from `origin` (the value of the Origin field) may use us. None passes; so does our own, the
    /// scheme's default port considered; so do, on a listener that only this machine can reach, the pages of this
    /// machine, whatever their port; and so do listed ones. `host` must have passed [`check_host`](Self::check_host).
    ///
    /// # Errors
    /// [`Refusal::NullOrigin`], [`Refusal::MalformedOrigin`], [`Refusal::ForeignOrigin`].
    pub fn check_origin(&self, origin: Option<&str>, host: &str, loopback_listener: bool) -> Result<(), Refusal> {
        let Some(origin) = origin else { return Ok(()) };
        if self.origins.iter().any(|entry| entry == "*" || entry == origin) {
            return Ok(());
        }
        if OPAQUE_ORIGINS.contains(&origin) {
            return Err(Refusal::NullOrigin);
        }
        let origin = Origin::parse(origin).ok_or(Refusal::MalformedOrigin)?;
        let is_listed = |entry: &String| Origin::parse(entry).is_some_and(|entry| entry.is_same(&origin));
        let passes = origin.is_page_of(host)
            || (loopback_listener && origin.is_web() && origin.host.is_loopback())
            || self.origins.iter().any(is_listed);
        if passes { Ok(()) } else { Err(Refusal::ForeignOrigin) }
    }
}

/// Whether a request that names no origin was sent for a page of another site all the same, as scripts and images are
/// (Fetch Metadata): it may not do anything. Browsers say so on secure connections and to this machine.
#[must_use]
pub fn is_cross_site(request: &Request<'_>) -> bool {
    request.origin().is_none()
        && request.headers("Sec-Fetch-Site").any(|site| !matches!(site, b"same-origin" | b"none"))
}

/// The origin of the page that a script tag is on, by the Referer field, for requests that name none themselves.
#[must_use]
pub fn referring_origin<'b>(request: &Request<'b>) -> Option<&'b str> {
    let referer = request.header("Referer")?;
    let host = referer.find("://")? + "://".len();
    let end = referer[host..].find(['/', '?', '#']).map_or(referer.len(), |len| host + len);
    Some(&referer[..end])
}

/// Whether `origin` is a page that came from `host`, which the request is for.
#[must_use]
pub fn is_own_page(origin: &str, host: &str) -> bool {
    Origin::parse(origin).is_some_and(|origin| origin.is_page_of(host))
}

/// Whether `host` (`host[:port]`) can only mean this machine itself: what administrative routes demand.
#[must_use]
pub fn is_local_host(host: &str) -> bool {
    Authority::parse(host).is_some_and(|authority| match authority.host {
        Host::Name(name) => Host::Name(name.strip_suffix('.').unwrap_or(name)).is_loopback(),
        address => address.is_loopback(),
    })
}

fn is_listed_host(entry: &str, name: &str, port: Option<u16>) -> bool {
    if let Some(domain) = entry.strip_prefix("*.") {
        return is_below(name, domain.strip_suffix('.').unwrap_or(domain));
    }
    entry == "*"
        || Authority::parse(entry).is_some_and(|entry| {
            let Host::Name(listed) = entry.host else { return false };
            listed.strip_suffix('.').unwrap_or(listed).eq_ignore_ascii_case(name)
                && entry.port.is_none_or(|listed| port == Some(listed))
        })
}

/// A page's origin as browsers serialise it: `scheme://host[:port]` and nothing else (RFC 6454 §6.2).
#[derive(Clone, Copy, Debug)]
struct Origin<'a> {
    scheme: &'a str,
    host: Host<'a>,
    /// Written out or the scheme's default; `None` for schemes without one.
    port: Option<u16>,
}

impl<'a> Origin<'a> {
    fn parse(text: &'a str) -> Option<Self> {
        let (scheme, authority) = text.split_once("://")?;
        let starts_well = scheme.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts_well || !scheme.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) {
            return None;
        }
        let Authority { host, port } = Authority::parse(authority)?;
        let default_port = match scheme {
            _ if scheme.eq_ignore_ascii_case("http") => Some(80),
            _ if scheme.eq_ignore_ascii_case("https") => Some(443),
            _ => None,
        };
        Some(Self { scheme, host, port: port.or(default_port) })
    }

    fn is_same(&self, other: &Origin<'_>) -> bool {
        self.scheme.eq_ignore_ascii_case(other.scheme) && self.port == other.port && self.host.is_same(&other.host)
    }

    /// Whether a browser shows the scheme's pages from the network, and not an application or an extension its own.
    fn is_web(&self) -> bool {
        self.scheme.eq_ignore_ascii_case("http") || self.scheme.eq_ignore_ascii_case("https")
    }

    /// Whether a page of this origin sends `host` in requests to where it came from. Whether that was over TLS is not
    /// known here: a proxy may have ended it.
    fn is_page_of(&self, host: &str) -> bool {
        let default_port = if self.scheme.eq_ignore_ascii_case("https") { 443 } else { 80 };
        self.is_web()
            && Authority::parse(host).is_some_and(|host| {
                host.host.is_same(&self.host) && self.port == Some(host.port.unwrap_or(default_port))
            })
    }
}

/// Why a request is turned away before anybody asks what it wants.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// Not `host[:port]`.
    MalformedHost,
    /// A name that we do not answer to.
    ForeignHost,
    /// Not `scheme://host[:port]`.
    MalformedOrigin,
    /// A page of somebody else.
    ForeignOrigin,
    /// A page without an origin of its own, that is not listed.
    NullOrigin,
}

impl Refusal {
    /// The HTTP status to answer with.
    #[must_use]
    pub fn status(self) -> u16 {
        match self {
            Self::MalformedHost => 400,
            Self::ForeignHost | Self::MalformedOrigin | Self::ForeignOrigin | Self::NullOrigin => 403,
        }
    }

    /// One sentence for the client and the log.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::MalformedHost => "The Host header is not HOST or HOST:PORT.",
            Self::ForeignHost => "This server does not answer to that Host; --allow-host NAME would make it.",
            Self::MalformedOrigin => "The Origin header is not SCHEME://HOST or SCHEME://HOST:PORT.",
            Self::ForeignOrigin => {
                "Pages of that Origin may not use this server; --allow-origin ORIGIN would let them."
            }
            Self::NullOrigin => "Pages without an address may not use this server; --allow-origin null would let them.",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl std::error::Error for Refusal {}

/// An entry of the operator's lists that could never match.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum BadEntry {
    /// Of `allow_origin`.
    Origin(String),
    /// Of `allow_host`.
    Host(String),
}

impl fmt::Display for BadEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Origin(entry) => write!(
                f,
                "--allow-origin {entry:?}: an origin is SCHEME://HOST or SCHEME://HOST:PORT without a path, \
                 \"null\", \"file://\", or \"*\" for all"
            ),
            Self::Host(entry) => write!(
                f,
                "--allow-host {entry:?}: a host is HOST or HOST:PORT without a scheme, \"*.DOMAIN\", or \"*\" for all"
            ),
        }
    }
}

impl std::error::Error for BadEntry {}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn strings(entries: &[&str]) -> Vec<String> {
        entries.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn entries_that_could_never_match_are_refused() {
        let origins = |entry: &str| Guard::new(&strings(&[entry]), &[], &[]);
        for entry in ["*", "null", "file://", "https://a.example", "http://[::1]:80", "chrome-extension://abcdef"] {
            assert!(origins(entry).is_ok(), "{entry}");
        }
        for entry in ["", "a.example", "https://a/", "https://*.a", "https://u@a", "://a", "1a://b", "https://", "Null"]
        {
            assert_eq!(origins(entry).unwrap_err(), BadEntry::Origin(entry.to_owned()));
        }
        let hosts = |entry: &str| Guard::new(&[], &strings(&[entry]), &[]);
        for entry in ["*", "a.example", "A.example.:80", "*.a.example", "10.0.0.1", "[::1]:80"] {
            assert!(hosts(entry).is_ok(), "{entry}");
        }
        for entry in ["", "*.", "*a.example", "a.*.example", "*.*", "*.a:80", "http://a", "a/", "::1"] {
            assert_eq!(hosts(entry).unwrap_err(), BadEntry::Host(entry.to_owned()));
        }
    }

    #[test]
    fn messages_name_the_option_that_helps() {
        assert!(Refusal::ForeignHost.message().contains("--allow-host"));
        assert!(Refusal::ForeignOrigin.message().contains("--allow-origin"));
        assert!(Refusal::NullOrigin.message().contains("--allow-origin null"));
        assert!(BadEntry::Origin("x".into()).to_string().contains("--allow-origin \"x\""));
        assert!(BadEntry::Host("x".into()).to_string().contains("--allow-host \"x\""));
    }

    #[test]
    fn local_hosts_are_loopback_by_any_name() {
        for host in ["localhost", "LocalHost.:80", "a.localhost", "127.0.0.1:9009", "127.9.9.9", "[::1]:9009"] {
            assert!(is_local_host(host), "{host}");
        }
        for host in
            ["", "10.0.0.1", "0.0.0.0", "[::]", "localhost.example", "xlocalhost", "127.0.0.1.example", "a@localhost"]
        {
            assert!(!is_local_host(host), "{host}");
        }
    }

    #[test]
    fn a_request_is_judged_by_both() {
        let guard = Guard::new(&[], &[], &[]).expect("no entries");
        let check = |head: &str| {
            let head = format!("{head}\r\n");
            guard.check(&parse(head.as_bytes(), 1024, 64).expect("good").expect("complete"), true)
        };
        assert_eq!(check("GET / HTTP/1.1\r\nHost: localhost\r\n"), Ok(()));
        assert_eq!(check("GET / HTTP/1.0\r\n"), Ok(()));
        assert_eq!(check("GET / HTTP/1.0\r\nOrigin: http://a.example\r\n"), Err(Refusal::ForeignOrigin));
        let rebound = "GET / HTTP/1.1\r\nHost: a.example\r\nOrigin: http://a.example\r\n";
        assert_eq!(check(rebound), Err(Refusal::ForeignHost));
    }
}
