//! The administrative routes: which there are, who may use them, and what they answer. Layer 3.
//!
//! With `--admin` they are on those listeners only, and whoever reaches one of them is an administrator. Without, they
//! are on every listener for programs of this machine, for our own pages in its browsers, and for whoever shows a token
//! that says so. Where this machine is a trusted proxy, its programs are not: they cannot be told from whoever comes
//! through it. Nobody else is told that there is anything at these paths.

use super::Origin;
use crate::http::guard::{is_local_host, is_own_page};
use crate::http::request::{Method, Request};
use crate::http::response::{Framing, Response, method_not_allowed, refuse};
use crate::json::write::Writer;
use crate::net::interfaces::{console_urls, own_addresses};
use crate::net::reactor::Turn;
use crate::protocol::p2p::push_list;
use crate::server::conn::ConnId;
use crate::server::exchange::Exchange;
use crate::server::live::MAX_FILTER;

/// The field that a request to change something must have. No form can send it, and no foreign page without asking
/// first (CORS), which is never granted here.
const INTENT: &str = "X-Jackfield";

const JSON: &str = "application/json; charset=utf-8";
const TEXT: &str = "text/plain; charset=utf-8";

/// What an administrator asks for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Call {
    /// What the console may show to whoever sends this, who may be a page of this machine at an address that no other
    /// reaches.
    Role { is_admin: bool, is_here: bool },
    /// Whether the process is there.
    Alive,
    /// Whether it takes new clients.
    Ready,
    /// Gauges and counters for Prometheus.
    Metrics,
    /// The state of everything; of clients that of those in which this text is found.
    Live { filter: Option<Box<str>> },
    /// All devices.
    Devices,
    /// That this connection is closed: its slot, and its serial, without which a later connection in the same slot could
    /// be meant.
    Close { slot: ConnId, serial: u32 },
}

/// Why a call is not one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fault {
    /// These methods would do.
    Method(&'static str),
    /// This status, and this reason.
    Refused(u16, &'static str),
}

/// The path at which our own pages ask what they may show.
pub(super) const ROLE: &str = "/console/role";

/// What a request to an administrative path asks for; `None` for any other path.
pub(super) fn read(request: &Request<'_>) -> Option<Result<Call, Fault>> {
    let call = match request.path {
        "/livez" => Call::Alive,
        "/readyz" => Call::Ready,
        "/metrics" => Call::Metrics,
        "/api/live" => match filter(request) {
            Ok(filter) => Call::Live { filter },
            Err(fault) => return Some(Err(fault)),
        },
        "/api/devices" => Call::Devices,
        "/api/close" => return Some(close(request)),
        _ => return None,
    };
    let is_read = matches!(request.method, Method::Get | Method::Head);
    Some(if is_read { Ok(call) } else { Err(Fault::Method("GET, HEAD")) })
}

/// What clients are looked for by.
fn filter(request: &Request<'_>) -> Result<Option<Box<str>>, Fault> {
    let text = request.query_value("q").unwrap_or_default();
    match text.trim() {
        "" => Ok(None),
        text if text.len() <= MAX_FILTER => Ok(Some(text.into())),
        _ => Err(Fault::Refused(400, "Look for less: ?q=TEXT takes 255 bytes.")),
    }
}

fn close(request: &Request<'_>) -> Result<Call, Fault> {
    if request.method != Method::Other("POST") {
        return Err(Fault::Method("POST"));
    }
    if !request.has_header(INTENT) {
        return Err(Fault::Refused(
            403,
            "This changes something: send the field X-Jackfield: 1 to say that you mean it.",
        ));
    }
    let client = request.query_value("client");
    let client = client.as_deref().and_then(|client| client.split_once('.'));
    let client = client.and_then(|(slot, serial)| Some((slot.parse().ok()?, serial.parse().ok()?)));
    let (slot, serial) = client.ok_or(Fault::Refused(400, "Say which one: ?client=ID, an id of /api/live."))?;
    Ok(Call::Close { slot, serial })
}

/// Whether whoever sends this may see and do what only the operator may. Pages of other origins never may, not even
/// those of this machine, nor may they have a browser do it for them (Fetch Metadata).
pub(super) fn is_operator(request: &Request<'_>, from: Origin) -> bool {
    let is_own_page = request.origin().is_none_or(|origin| is_own_page(origin, request.host()));
    let is_meant = request.headers("Sec-Fetch-Site").all(|site| matches!(site, b"same-origin" | b"none"));
    let is_admitted = || match from.is_admin {
        Some(is_admin) => is_admin,
        None => is_here(request, from) || from.access.is_admin(request, from.wall),
    };
    is_own_page && is_meant && is_admitted()
}

/// Whether this was sent by this machine, under a name that means it, and by nobody else's order.
pub(super) fn is_here(request: &Request<'_>, from: Origin) -> bool {
    from.is_loopback_peer && is_local_host(request.host()) && !request.is_forwarded()
}

/// Answers a call that is not one.
pub(super) fn refuse_call(fault: Fault, framing: Framing, out: &mut Vec<u8>) {
    match fault {
        Fault::Method(allow) => method_not_allowed(out, allow, framing),
        Fault::Refused(status, reason) => refuse(out, status, reason, framing),
    }
}

impl Exchange {
    /// What the console shows only if it is of use: everybody is told, so nothing of it is a secret. Only who is here is told
    /// where other machines find the console, and only needs it: others have come that way.
    fn role(&self, is_admin: bool, is_here: bool) -> Vec<u8> {
        let mut out = Vec::new();
        Writer::new(&mut out).object(|json| {
            json.name("is_admin").boolean(is_admin);
            let asks_for_tokens = !self.config.token_key.is_empty();
            json.name("asks_for_tokens").boolean(asks_for_tokens);
            json.name("needs_token").boolean(asks_for_tokens && self.config.anonymous.is_empty());
            json.name("has_targets").boolean(self.config.has_targets());
            json.name("has_target_names").boolean(!self.config.bridge_names.is_empty());
            json.name("is_on_network").boolean(self.is_on_network());
            json.name("max_message").number(self.config.limits.max_message as u64);
            json.name("without").array(|json| {
                for switch in &self.config.without {
                    json.string(switch.name());
                }
            });
            if let Some(url) = is_here.then(|| self.network_url()).flatten() {
                json.name("network").string(&url);
            }
        });
        out.push(b'\n');
        out
    }

    /// The console as other machines open it, if one of the listeners that are not for administrators can be reached.
    fn network_url(&self) -> Option<String> {
        let own = own_addresses();
        let listeners = self.listeners[..self.first_admin].iter();
        console_urls(listeners.map(|(listener, listen)| (listener.address(), listen)), &own).next()
    }

    /// Whether other machines can reach a listener that is not only for administrators.
    fn is_on_network(&self) -> bool {
        let listeners = &self.listeners[..self.first_admin];
        listeners.iter().any(|(listener, _)| !listener.address().ip().to_canonical().is_loopback())
    }

    /// All devices, as JSON.
    fn device_list(&self) -> Vec<u8> {
        let mut list = Vec::new();
        push_list(&mut list, &self.hub.devices);
        list.push(b'\n');
        list
    }

    /// Does what the administrator on connection `asker` asks for, and appends the response.
    pub(super) fn answer_call(
        &mut self,
        turn: &mut Turn,
        asker: ConnId,
        call: Call,
        framing: Framing,
        out: &mut Vec<u8>,
    ) {
        let (status, content_type, body) = match call {
            Call::Role { is_admin, is_here } => (200, JSON, self.role(is_admin, is_here)),
            Call::Alive => (200, TEXT, b"alive\n".to_vec()),
            Call::Ready if self.is_draining() => (503, TEXT, b"draining\n".to_vec()),
            Call::Ready => (200, TEXT, b"ready\n".to_vec()),
            Call::Metrics => (200, "text/plain; version=0.0.4; charset=utf-8", self.metrics_page().into_bytes()),
            Call::Live { filter } => (200, JSON, self.live_page(turn, filter.as_deref())),
            Call::Devices => (200, JSON, self.device_list()),
            Call::Close { slot, serial } => match self.dismiss(turn, asker, slot, serial) {
                true => (200, JSON, b"{\"closed\":true}\n".to_vec()),
                false => (404, JSON, b"{\"closed\":false}\n".to_vec()),
            },
        };
        Response::begin(out, status, framing)
            .header("Cache-Control", "no-store")
            .header("Cross-Origin-Resource-Policy", "same-origin")
            .body(content_type, &body);
    }
}
