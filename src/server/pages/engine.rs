//! Who may use Engine.IO and what for: the part of a request that can be judged before any session hears of it. Layer 3.

use super::api::is_operator;
use super::{Answer, Origin, Pages, refusal_of};
use crate::config::Config;
use crate::http::guard::{is_cross_site, referring_origin};
use crate::http::request::{Method, Request};
use crate::http::response::Framing;
use crate::hub::Hub;
use crate::hub::devices::Transport;
use crate::hub::ids::Key;
use crate::protocol::Session;
use crate::protocol::p2p::claim::claim;
use crate::protocol::p2p::engine_io::{Call, Error};
use crate::protocol::p2p::probe::Probe;
use crate::protocol::p2p::{Arrival, Claim, Device};
use crate::server::polling::{Action, AnswerTo, Ask, refuse_with};

impl Pages {
    /// The session behind an upgrade to Engine.IO: a new one, or one that polls and would rather not.
    pub(super) fn engine(
        &self,
        request: &Request<'_>,
        from: Origin,
        config: &Config,
        hub: &mut Hub,
    ) -> Result<Session, (Error, String)> {
        let plain = |error: Error| (error, format!("{} (Engine.IO error {})", error.message(), error.code()));
        let call = Call::parse(request).map_err(plain)?;
        let Some(sid) = call.sid else {
            let claim = self.claim(request, from, config).map_err(|reason| (Error::BadRequest, reason))?;
            let sid = hub.devices.name().map_err(|error| (Error::BadRequest, error.to_string()))?;
            let arrival = Arrival { sid, transport: Transport::WebSocket, base64_only: call.base64_only, claim };
            return Ok(Session::Device(Box::new(Device::new(call.revision, arrival))));
        };
        let device = Key::parse(&sid).and_then(|sid| hub.devices.by_sid(sid)).ok_or(plain(Error::UnknownSid))?;
        match hub.devices.get(device) {
            Some(known) if known.transport == Transport::Polling && known.revision == call.revision => {
                Ok(Session::Probe(Probe::new(device)))
            }
            _ => Err(plain(Error::BadRequest)),
        }
    }

    fn claim(&self, request: &Request<'_>, from: Origin, config: &Config) -> Result<Claim, String> {
        claim(request, is_operator(request, from), config.limits.max_name)
            .map_err(|bad| format!("an id takes 1 to {} bytes and no control characters (--max-name)", bad.limit))
    }

    /// A request to Engine.IO, or the refusal of one.
    pub(super) fn ask(&self, request: &Request<'_>, from: Origin, config: &Config, out: &mut Vec<u8>) -> Answer {
        let framing = Framing { keep_alive: request.keep_alive(), ..Framing::of(request) };
        let mut answer_to = AnswerTo { framing, origin: request.origin().map(Into::into), jsonp: None };
        let refused = match self.engine_action(request, from, config, &mut answer_to) {
            Ok(action) => {
                let max = config.limits.max_message;
                return match usize::try_from(request.content_length()) {
                    Ok(body) if body <= max => {
                        let expects = request.header("Expect");
                        let expects_continue =
                            expects.is_some_and(|expects| expects.eq_ignore_ascii_case("100-continue"));
                        Answer::Ask(Ask { action, body, expects_continue, answer_to })
                    }
                    _ => {
                        answer_to.framing.keep_alive = false;
                        let reason = format!("The body is longer than {max} bytes (--max-message).");
                        refusal_of(413, &reason, answer_to.framing, out)
                    }
                };
            }
            Err(refused) => refused,
        };
        let (error, reason) = refused;
        if error == Error::Forbidden {
            answer_to.origin = None;
        }
        // The body is nothing that is read.
        answer_to.framing.keep_alive &= request.content_length() == 0;
        refuse_with(out, &answer_to, error, reason);
        Answer::Refusal(answer_to.framing, error.status(), reason.unwrap_or(error.message()).to_owned())
    }

    fn engine_action(
        &self,
        request: &Request<'_>,
        from: Origin,
        config: &Config,
        answer_to: &mut AnswerTo,
    ) -> Result<Action, (Error, Option<&'static str>)> {
        let checked = self.guard.check_origin(request.origin(), request.host(), from.is_loopback_listener);
        checked.map_err(|refusal| (Error::Forbidden, Some(refusal.message())))?;
        if is_cross_site(request) {
            return Err((
                Error::Forbidden,
                Some("Pages of other sites may not do this unseen; use fetch or a WebSocket."),
            ));
        }
        if request.method == Method::Options {
            let headers = request.header("Access-Control-Request-Headers").map(Into::into);
            return Ok(Action::Preflight { headers });
        }
        let call = Call::parse(request).map_err(|error| (error, None))?;
        if call.jsonp.is_some() {
            // A script tag names no origin, and whoever has it gets what we say: it must be known whose it is.
            let is_known = request.has_header("Sec-Fetch-Site")
                || request.origin().is_some()
                || referring_origin(request).is_some_and(|origin| {
                    self.guard.check_origin(Some(origin), request.host(), from.is_loopback_listener).is_ok()
                });
            if !is_known {
                let reason = "JSONP is for pages whose Referer may connect (--allow-origin).";
                return Err((Error::Forbidden, Some(reason)));
            }
        }
        answer_to.jsonp = call.jsonp;
        Ok(match call.sid {
            None => {
                let claim = self.claim(request, from, config);
                let claim = claim.map_err(|_| {
                    (Error::BadRequest, Some("An id is empty, too long (--max-name) or has control characters."))
                })?;
                Action::Open { revision: call.revision, base64_only: call.base64_only, claim }
            }
            Some(sid) if request.method == Method::Get => Action::Poll { sid: sid.into() },
            Some(sid) => {
                let content_type = request.header("Content-Type").map(Into::into);
                Action::Post { sid: sid.into(), content_type }
            }
        })
    }
}

/// Whether a path is Engine.IO's, as socket.io clients have it by default.
pub(super) fn is_engine(path: &str) -> bool {
    matches!(path, "/socket.io/" | "/socket.io")
}
