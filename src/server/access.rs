//! Tokens at the door: where clients show them, what each session was granted, and when that ends. Layer 3.
//!
//! What a token is worth is [`crate::access`]'s affair. Here it is found in a request (`Authorization: Bearer`, a
//! subprotocol `jackfield.token.…`, the query if that is allowed) or in the first message, before the session is opened:
//! until then no protocol hears of the client. A session under a grant has a [`Lease`]; without tokens there are none,
//! and nothing is paid for them.
//!
//! What ends a grant ends its session, with what is still queued for it.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use log::{info, warn};
use tungstenite::protocol::frame::coding::CloseCode;

use super::conn::{ConnId, Ending};
use super::exchange::Exchange;
use crate::access::{Gate, Grant, KeyName, KeyRing, MAX_TOKEN_BYTES, NOT_ACCEPTED, Permit, Refusal, Revoked, Rights};
use crate::config::{Config, Limits};
use crate::frame::message::{Kind, Message};
use crate::http::request::Request;
use crate::hub::SessionId;
use crate::json::fields;
use crate::net::reactor::Turn;
use crate::net::timer::{Alarm, Fired};
use crate::protocol::{Protocol, Session};

/// The wheel's owners from this one on are leases; sessions that want to be called are below, dials above.
pub(super) const FIRST_LEASE: u32 = 3 << 29;

/// What a token's subprotocol begins with. It stands beside the one that is really meant and is never answered.
const SUBPROTOCOL: &str = "jackfield.token.";

/// How often a grant is held against the clock, at least: that may be set while it lasts.
const LOOK: Duration = Duration::from_secs(60);

/// Bytes of a first message: a token, and JSON around it.
const FIRST_MESSAGE_BYTES: usize = MAX_TOKEN_BYTES;

/// What a client is told who says more than that before it shows a token.
pub(super) const TOO_LONG_BEFORE_A_TOKEN: &str =
    "before its token a client may say 4096 bytes at once, whatever other limits are (--token-key)";

const _: () = assert!(FIRST_MESSAGE_BYTES == 4096, "as the sentence says");

/// Bytes of a key's file.
const MAX_KEY_FILE_BYTES: u64 = 8 * 1024;

/// Bytes of a list of the revoked: a hundred thousand of them.
const MAX_LIST_BYTES: u64 = 4 * 1024 * 1024;

/// What is known about tokens, and about whom.
#[derive(Default)]
pub(super) struct Access {
    /// `None` where tokens are off.
    gate: Option<Gate>,
    /// By session; empty where tokens are off.
    leases: Vec<Option<Box<Lease>>>,
    /// Invariant: `held` of `leases` are there.
    held: usize,
}

/// What a session may do, and until when.
struct Lease {
    /// `None` until a token was shown.
    grant: Option<Arc<Grant>>,
    awaits: Awaits,
    alarm: Alarm,
}

/// What a session's client may still have to show.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Awaits {
    /// Nothing.
    Nothing,
    /// A token, as its first message; the session is not open yet.
    Token,
    /// Nothing, but a token as its first message is a mistake that nobody else should read.
    NoToken,
    /// A token, in the protocol's own words.
    Packet,
}

/// How a session begins.
#[derive(Clone, Debug)]
pub(super) enum Entrance {
    /// Tokens are off, or it is a session of our own.
    Free,
    /// Under this grant.
    Granted(Arc<Grant>),
    /// After a token, as the first message.
    Locked,
    /// Not at all: a browser shows a page no reason but that of a WebSocket's close.
    Refused(&'static str),
}

/// Why a request is not let in: its response is 401.
pub(super) struct Unauthorized(pub(super) &'static str);

/// A first message.
pub(super) enum First {
    /// It holds a token.
    Token(String),
    /// It should have, and does not.
    NoToken,
    /// It holds one, and should not.
    Misplaced,
    /// It is the protocol's.
    Other,
}

impl Access {
    /// Reads keys and lists.
    ///
    /// # Errors
    /// What is wrong with which file or word, and which option named it.
    pub(super) fn new(config: &Config) -> Result<Self, String> {
        Ok(Self { gate: gate(config)?, ..Self::default() })
    }

    /// What a session may do.
    #[inline]
    pub(super) fn permit(&self, session: SessionId) -> Permit<'_> {
        match self.lease(session) {
            None => Permit::default(),
            Some(lease) => Permit { gate: self.gate.as_ref(), grant: lease.grant.as_deref() },
        }
    }

    #[inline]
    fn lease(&self, session: SessionId) -> Option<&Lease> {
        self.leases.get(session.0 as usize)?.as_deref()
    }

    fn lease_mut(&mut self, session: SessionId) -> Option<&mut Lease> {
        self.leases.get_mut(session.0 as usize)?.as_deref_mut()
    }

    /// What the session's client may have to show.
    #[inline]
    pub(super) fn awaits(&self, session: SessionId) -> Awaits {
        self.lease(session).map_or(Awaits::Nothing, |lease| lease.awaits)
    }

    /// Whether the session has not been opened, as nobody knows yet who it is.
    pub(super) fn is_locked(&self, session: SessionId) -> bool {
        self.awaits(session) == Awaits::Token
    }

    /// Bytes of a message: few, as long as nothing is granted.
    #[inline]
    pub(super) fn max_message(&self, session: SessionId, limits: &Limits) -> usize {
        match self.lease(session) {
            Some(Lease { grant: None, .. }) => FIRST_MESSAGE_BYTES.min(limits.max_message),
            _ => limits.max_message,
        }
    }

    /// Whether `--max-message` is what bounds the session's messages to `limit` bytes.
    pub(super) fn is_bound_by_option(&self, session: SessionId, limit: usize) -> bool {
        !(limit == FIRST_MESSAGE_BYTES && matches!(self.lease(session), Some(Lease { grant: None, .. })))
    }

    /// The first message was the protocol's.
    pub(super) fn expect_no_token(&mut self, session: SessionId) {
        if let Some(lease) = self.lease_mut(session) {
            lease.awaits = Awaits::Nothing;
        }
    }

    fn add(&mut self, session: SessionId, lease: Lease) {
        let place = session.0 as usize;
        if self.leases.len() <= place {
            self.leases.resize_with(place + 1, || None);
        }
        if self.leases[place].replace(Box::new(lease)).is_none() {
            self.held += 1;
        }
    }

    /// The session has ended.
    pub(super) fn forget(&mut self, session: SessionId) {
        if self.leases.get_mut(session.0 as usize).and_then(Option::take).is_some() {
            self.held -= 1;
        }
        if self.held == 0 {
            self.leases = Vec::new();
        }
    }

    /// Whether the request shows a token that makes its sender an administrator.
    pub(super) fn is_admin(&self, request: &Request<'_>, now: SystemTime) -> bool {
        let Some(gate) = &self.gate else { return false };
        if request.wants_upgrade() {
            return false;
        }
        let Ok(Some(token)) = bearer(request) else { return false };
        gate.admit(token, now).is_ok_and(|grant| grant.rights.admin)
    }

    /// How a session begins that this request asks for.
    ///
    /// # Errors
    /// When the request shows a token in a header field and that is not accepted: nobody who sets fields needs a
    /// WebSocket to be told. The reason is logged.
    pub(super) fn entrance(
        &self,
        request: &Request<'_>,
        config: &Config,
        now: SystemTime,
    ) -> Result<Entrance, Unauthorized> {
        let Some(gate) = &self.gate else { return Ok(Entrance::Free) };
        let shown = gate_shown(request, config)?;
        let refused = |refusal: Refusal| {
            info!("the token in a request for {} is not accepted: {refusal}", request.path);
            public(&refusal)
        };
        match shown {
            Some(Shown::Field(token)) => {
                gate.admit(token, now).map(Entrance::Granted).map_err(|refusal| Unauthorized(refused(refusal)))
            }
            Some(Shown::Page(token)) => Ok(gate
                .admit(&token, now)
                .map_or_else(|refusal| Entrance::Refused(refused(refusal)), Entrance::Granted)),
            Some(Shown::Later) => Ok(Entrance::Locked),
            Some(Shown::Misplaced) => {
                Ok(Entrance::Refused("tokens are not taken from the URL (--token-in-query); offer a subprotocol"))
            }
            None => Ok(gate.anonymous.clone().map_or(Entrance::Locked, Entrance::Granted)),
        }
    }
}

/// A token in a request.
enum Shown<'r> {
    /// In a header field that only programs can set.
    Field(&'r str),
    /// Where pages can put it.
    Page(std::borrow::Cow<'r, str>),
    /// Announced: it is the first message.
    Later,
    /// In the URL, where it may not stand.
    Misplaced,
}

fn gate_shown<'r>(request: &Request<'r>, config: &Config) -> Result<Option<Shown<'r>>, Unauthorized> {
    let bearer = bearer(request)?.map(Shown::Field);
    let offered = request
        .headers("Sec-WebSocket-Protocol")
        .filter_map(|line| std::str::from_utf8(line).ok())
        .flat_map(|line| line.split(','))
        .filter_map(|name| name.trim().strip_prefix(SUBPROTOCOL))
        .map(|token| Shown::Page(token.into()));
    let asked = request.query_value("token").map(|token| match &*token {
        "" | "1" | "true" => Shown::Later,
        _ if config.token_in_query => Shown::Page(token),
        _ => Shown::Misplaced,
    });
    let mut all = bearer.into_iter().chain(offered).chain(asked);
    let first = all.next();
    // Which of them would count is nothing to guess about.
    if all.next().is_some() { Err(Unauthorized("show one token, in one place")) } else { Ok(first) }
}

/// Whether a subprotocol is only there to show a token.
pub(super) fn is_token_subprotocol(name: &str) -> bool {
    name.starts_with(SUBPROTOCOL)
}

/// RFC 6750 §2.1. Other schemes may be a proxy's.
fn bearer<'r>(request: &Request<'r>) -> Result<Option<&'r str>, Unauthorized> {
    let mut tokens = request.headers("Authorization").filter_map(|value| {
        let (scheme, token) = std::str::from_utf8(value).ok()?.split_once(' ')?;
        scheme.eq_ignore_ascii_case("Bearer").then_some(token.trim())
    });
    let token = tokens.next();
    if tokens.next().is_some() { Err(Unauthorized("show one token, in one place")) } else { Ok(token) }
}

/// What the client is told. That a token has expired helps whoever owns it, and was found out only after its signature
/// was right.
fn public(refusal: &Refusal) -> &'static str {
    if *refusal == Refusal::Expired { EXPIRED } else { NOT_ACCEPTED }
}

const EXPIRED: &str = "the token has expired";

/// Looks at a first message. `{"token":"…"}` is one; more members than that make it something else.
pub(super) fn first(awaits: Awaits, message: &Message<'_>) -> First {
    let token = || {
        if message.kind() != Kind::Text || message.payload().len() > FIRST_MESSAGE_BYTES {
            return None;
        }
        let [token] = fields::find(message.payload(), ["token"]).ok()?;
        fields::string(token?).map(|token| token.into_owned())
    };
    match (awaits, token()) {
        (Awaits::Token, Some(token)) => First::Token(token),
        (Awaits::Token, None) => First::NoToken,
        // Anything may have a member of that name; what has two dots in it and is in base64 otherwise is a JWT.
        (Awaits::NoToken, Some(token)) if is_jwt(&token) => First::Misplaced,
        _ => First::Other,
    }
}

fn is_jwt(text: &str) -> bool {
    text.bytes().filter(|byte| *byte == b'.').count() == 2
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl Exchange {
    /// Begins a session as it may begin. Returns whether it is open now.
    pub(super) fn enter(&mut self, turn: &mut Turn, session: SessionId, entrance: Entrance) -> bool {
        let is_device = matches!(self.sessions[session.0 as usize], Session::Device(_));
        let (grant, awaits) = match entrance {
            Entrance::Free => return true,
            Entrance::Granted(grant) => {
                let is_anonymous = grant.holder.is_none();
                let awaits = match (is_anonymous, is_device) {
                    (true, true) => Awaits::Packet,
                    (true, false) => Awaits::NoToken,
                    (false, _) => Awaits::Nothing,
                };
                (Some(grant), awaits)
            }
            Entrance::Locked if is_device => (None, Awaits::Packet),
            Entrance::Locked | Entrance::Refused(_) => (None, Awaits::Token),
        };
        self.access.add(session, Lease { grant, awaits, alarm: Alarm::default() });
        self.watch(turn, session);
        awaits != Awaits::Token
    }

    /// Sets the lease's alarm for what comes next.
    fn watch(&mut self, turn: &mut Turn, session: SessionId) {
        let timeout = self.config.limits.token_timeout;
        let Some(lease) = self.access.lease_mut(session) else { return };
        let after = match &lease.grant {
            None => timeout,
            Some(grant) => match grant.remaining(turn.wall) {
                // A moment later than the end, so that it is over then.
                Some(remaining) => remaining.min(LOOK) + Duration::from_millis(1),
                None => return,
            },
        };
        turn.wheel.set(&mut lease.alarm, FIRST_LEASE + session.0, after.into());
    }

    /// A lease's alarm: it is over, or looked at again later.
    pub(super) fn on_lease_deadline(&mut self, turn: &mut Turn, fired: Fired) {
        let session = SessionId(fired.owner - FIRST_LEASE);
        let Some(lease) = self.access.lease_mut(session) else { return };
        if !turn.wheel.has_passed(&mut lease.alarm, fired) {
            return;
        }
        match lease.grant.as_ref().map(|grant| grant.remaining(turn.wall)) {
            None => self.cut(turn, session, "no token in time (--token-timeout)"),
            Some(Some(Duration::ZERO)) => {
                self.metrics.grants_ended += 1;
                self.cut(turn, session, EXPIRED);
            }
            Some(_) => self.watch(turn, session),
        }
        self.settle(turn);
    }

    /// A client's first message. Returns whether its session is open now.
    pub(super) fn on_first(&mut self, turn: &mut Turn, id: ConnId, session: SessionId, first: First) -> bool {
        let peer = self.conns[id as usize].client();
        let reason = match first {
            First::Other => return true,
            First::NoToken => "the first message must be a token, {\"token\":\"…\"} (--token-key)",
            First::Misplaced => "a token as the first message is announced in the URL: ?token=1",
            First::Token(token) => {
                let Some(gate) = &self.access.gate else { return true };
                match gate.admit(&token, turn.wall) {
                    Ok(grant) => {
                        self.on_grant(turn, session, grant);
                        self.act(turn, session, Some(id), |session, cx, fx| session.on_open(cx, fx));
                        return true;
                    }
                    Err(refusal) => {
                        info!("{peer}: the token in its first message is not accepted: {refusal}");
                        public(&refusal)
                    }
                }
            }
        };
        self.metrics.tokens_refused += 1;
        self.close(turn, id, CloseCode::Policy, reason.to_owned());
        false
    }

    /// A session was granted something.
    pub(super) fn on_grant(&mut self, turn: &mut Turn, session: SessionId, grant: Arc<Grant>) {
        let Some(lease) = self.access.lease_mut(session) else { return };
        lease.grant = Some(grant);
        lease.awaits = Awaits::Nothing;
        self.watch(turn, session);
    }

    /// Ends a session now. What is queued for it is not delivered any more; where something is, a part of it may be on its
    /// way already, so that no Close frame could follow, and the connection just ends.
    fn cut(&mut self, turn: &mut Turn, session: SessionId, reason: &str) {
        match self.outlets.get(session) {
            Some(id) if self.conns[id as usize].socket.queued() > 0 => {
                self.end(turn, id, &Ending::ByUs(CloseCode::Policy, reason.to_owned()));
            }
            Some(id) => self.close(turn, id, CloseCode::Policy, reason.to_owned()),
            None => {
                self.polling.empty(session);
                self.close_mailbox(turn, session, CloseCode::Policy, reason);
            }
        }
    }

    /// Reads keys and lists again, and ends every session that would not be let in now. If anything is wrong with any file,
    /// everything stays as it was: a list that cannot be read must not give anybody back what was taken from them.
    ///
    /// Returns what is in force now, or why what was in force stays; `None` where tokens are off.
    pub(super) fn reload_access(&mut self, turn: &mut Turn) -> Option<Result<String, String>> {
        self.access.gate.as_ref()?;
        match gate(&self.config) {
            Ok(gate) => self.access.gate = gate,
            Err(wrong) => return Some(Err(format!("{wrong}; tokens are judged as before"))),
        }
        let gate = self.access.gate.as_ref()?;
        let cut: Vec<(SessionId, Refusal)> = (0u32..)
            .zip(&self.access.leases)
            .filter_map(|(session, lease)| {
                let refusal = gate.check(lease.as_ref()?.grant.as_deref()?).err()?;
                Some((SessionId(session), refusal))
            })
            .collect();
        let (keys, revoked) = (gate.keys.len(), gate.revoked.len());
        let report = format!("tokens: {keys} keys, {revoked} revoked; {} sessions end for that", cut.len());
        for (session, refusal) in cut {
            self.metrics.grants_ended += 1;
            info!("session {}: its token is worth nothing any more: {refusal}", session.0);
            self.cut(turn, session, "the token is not accepted any more");
        }
        self.settle(turn);
        Some(Ok(report))
    }
}

/// What the configuration says about tokens; `None` if it says nothing.
fn gate(config: &Config) -> Result<Option<Gate>, String> {
    if config.token_key.is_empty() {
        // Taken by itself it would read as if tokens were asked for.
        let is_meant = !config.anonymous.is_empty() || !config.token_revoked.is_empty();
        return if is_meant {
            Err("--anonymous and --token-revoked mean nothing without --token-key".to_owned())
        } else {
            Ok(None)
        };
    }
    if config.lan_is_on() && config.lan.secret.is_none() {
        // Whoever is on the network could join as a server what nobody may join as a client without a token.
        return Err("--token-key: servers on the network could link without showing anything; give them a secret \
                    (--lan-secret-file), or keep them out (--lan off)"
            .to_owned());
    }
    let mut keys = KeyRing::default();
    for key in &config.token_key {
        let fault = |wrong: &dyn std::fmt::Display| format!("--token-key {}: {wrong}", key.path.display());
        let file = read(&key.path, MAX_KEY_FILE_BYTES).map_err(|error| fault(&error))?;
        if file.is_open_to_others && !file.bytes.starts_with(b"-----") {
            warn!("{}", fault(&"others on this machine can read this secret (chmod 600)"));
        }
        let name = KeyName { id: (&*key.id).into(), issuer: key.issuer.as_deref().map(Into::into) };
        keys.add(name, &file.bytes).map_err(|wrong| fault(&wrong))?;
    }
    let mut revoked = Revoked::default();
    for path in &config.token_revoked {
        let fault = |wrong: &dyn std::fmt::Display| format!("--token-revoked {}: {wrong}", path.display());
        let file = read(path, MAX_LIST_BYTES).map_err(|error| fault(&error))?;
        revoked.extend(Revoked::parse(&file.bytes).map_err(|wrong| fault(&wrong))?);
    }
    let rights = Rights::read(config.anonymous.iter().map(String::as_str));
    let rights = rights.map_err(|wrong| format!("--anonymous {wrong}"))?;
    if rights.admin {
        return Err("--anonymous admin: nobody is an administrator without a token".to_owned());
    }
    let anonymous = (!config.anonymous.is_empty()).then(|| Arc::new(Grant::anonymous(rights)));
    Ok(Some(Gate { keys, revoked, anonymous }))
}

/// What a file held.
struct Content {
    bytes: Vec<u8>,
    is_open_to_others: bool,
}

fn read(path: &Path, most: u64) -> Result<Content, String> {
    // Anything else might be waited for, with everybody connected.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| error.to_string())?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > most {
        return Err(format!("it is larger than {most} bytes"));
    }
    Ok(Content { bytes, is_open_to_others: metadata.permissions().mode() & 0o077 != 0 })
}
