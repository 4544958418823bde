//! Which protocol a WebSocket client gets, by the path it opens. Layer 2.

use std::borrow::Cow;
use std::fmt;

use super::Session;
use super::named::{Named, Wishes};
use super::pocket::Pocket;
use super::root::Undecided;
use super::webshare::Webshare;
use crate::config::{Config, Root};
use crate::http::request::Request;

/// Why an upgrade leads nowhere.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// No protocol lives at this path.
    NoSuchPath,
    /// A channel's or a room's name has a character or a length that is not allowed.
    BadName {
        /// Bytes a name may have.
        limit: usize,
    },
    /// This listener's `/` answers nobody.
    NoRoot,
}

impl Refusal {
    /// The status of the response (RFC 9110 §15).
    #[must_use]
    pub fn status(self) -> u16 {
        404
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoSuchPath => {
                f.write_str("nothing is here; WebSocket paths are /webshare, /pocket, /local/NAME, /broadcast/NAME")
            }
            Self::BadName { limit } => write!(
                f,
                "not a name for a channel or a room: it takes 1 to {limit} of the characters A-Z a-z 0-9 . _ + = * - (--max-name)"
            ),
            Self::NoRoot => f.write_str("this port serves named channels only: open /local/NAME or /broadcast/NAME"),
        }
    }
}

/// The session behind a request, before its opening handshake.
///
/// # Errors
/// [`Refusal`], to be answered as a response.
pub fn route(request: &Request<'_>, root: Root, config: &Config) -> Result<Session, Refusal> {
    let limit = config.limits.max_name;
    let binary = request.query_flag("binary");
    let wants_echo = || config.echo || request.query_flag("echo");
    match request.path {
        "/" => match root {
            Root::Auto => Ok(Session::Undecided(Undecided::new(binary, &room(request, limit)?, wants_echo()))),
            Root::Webshare => Ok(Session::Webshare(Webshare::new(binary))),
            Root::Pocket => Ok(Session::Pocket(Pocket::new(&room(request, limit)?, wants_echo()))),
            Root::Named => Err(Refusal::NoRoot),
        },
        "/webshare" => Ok(Session::Webshare(Webshare::new(binary))),
        "/pocket" => Ok(Session::Pocket(Pocket::new(&room(request, limit)?, wants_echo()))),
        path => {
            check_name(path, limit)?;
            let wishes = Wishes {
                presence: config.presence || request.query_flag("presence"),
                echo: request.query_flag("echo"),
            };
            Ok(Session::Named(Named::new(path, wishes)))
        }
    }
}

/// The pocket room that a request asks for: "" where it names none.
fn room<'b>(request: &Request<'b>, limit: usize) -> Result<Cow<'b, str>, Refusal> {
    let room = request.query_value("room").unwrap_or_default();
    if room.is_empty() || is_name(&room, limit) { Ok(room) } else { Err(Refusal::BadName { limit }) }
}

/// Whether the path is a channel's. The name is its last segment, the whole path the channel, and only `/local/` has
/// more than one segment below it (namedwebsockets, generation A).
fn check_name(path: &str, limit: usize) -> Result<(), Refusal> {
    let (names, depth) = match (path.strip_prefix("/local/"), path.strip_prefix("/broadcast/")) {
        (Some(names), _) => (names, usize::MAX),
        (_, Some(names)) => (names, 1),
        _ => return Err(Refusal::NoSuchPath),
    };
    if names.split('/').count() > depth {
        return Err(Refusal::NoSuchPath);
    }
    if names.split('/').all(|name| is_name(name, limit)) { Ok(()) } else { Err(Refusal::BadName { limit }) }
}

/// What namedwebsockets allows, for rooms too.
fn is_name(name: &str, limit: usize) -> bool {
    (1..=limit).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._+=*-".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::{Refusal, check_name};

    #[test]
    fn names_are_what_the_original_allows() {
        let long = "a".repeat(255);
        for name in ["a", "A-Z_0.9", "org.mediascape.bbc.tv", "+=*", &long, "a/b/c"] {
            assert_eq!(check_name(&format!("/local/{name}"), 255), Ok(()), "{name}");
        }
        let bad = Err(Refusal::BadName { limit: 255 });
        for name in ["", "a b", "%41", "é", "a/", "/a", "a//b", "a\0", ">", "#", &"a".repeat(256)] {
            assert_eq!(check_name(&format!("/local/{name}"), 255), bad, "{name}");
        }
        for path in ["/broadcast/a/b", "/locals/a", "/local", "/", "", "/nobody/a"] {
            assert_eq!(check_name(path, 255), Err(Refusal::NoSuchPath), "{path}");
        }
    }
}
