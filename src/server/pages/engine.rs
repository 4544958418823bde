//! Who may use Engine.IO and what for: the part of a request that can be judged before any session hears of it. Layer 3.

use super::api::is_operator;
use super::{Answer, Origin, Pages};
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
use crate::server::access::Entrance;
use crate::server::polling::{Action, AnswerTo, Ask, decline, refuse_with};

impl Pages {
    /// The session behind an upgrade to Engine.IO: a new one, or one that polls and would rather not.
    pub(super) fn engine(
        &self,
        request: &Request<'_>,
        from: Origin,
        config: &Config,
        hub: &mut Hub,
    ) -> Result<Session, Refused> {
        self.check_engine_origin(request, from)?;
        let call = Call::parse(request).map_err(plain)?;
        let Some(sid) = call.sid else {
            let claim = self.claim(request, from, config)?;
            let reason = "The system's random number generator failed.";
            let sid = hub.devices.name().map_err(|_| (Error::BadRequest, Some(reason)))?;
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

    fn check_engine_origin(&self, request: &Request<'_>, from: Origin) -> Result<(), Refused> {
        let checked = self.guard.check_origin(request.origin(), request.host(), from.is_loopback_listener);
        checked.map_err(|refusal| (Error::Forbidden, Some(refusal.message())))
    }

    fn claim(&self, request: &Request<'_>, from: Origin, config: &Config) -> Result<Claim, Refused> {
        let reason = "An id is empty, too long (--max-name) or has control characters.";
        claim(request, is_operator(request, from), config.limits.max_name)
            .map_err(|_| (Error::BadRequest, Some(reason)))
    }

    /// A request to Engine.IO, or the refusal of one.
    pub(super) fn ask(&self, request: &Request<'_>, from: Origin, config: &Config, out: &mut Vec<u8>) -> Answer {
        let framing = Framing { keep_alive: request.keep_alive(), ..Framing::of(request) };
        let mut answer_to = AnswerTo { framing, origin: request.origin().map(Into::into), jsonp: None };
        let refused = match self.engine_action(request, from, config, &mut answer_to) {
            Ok(action) => {
                let max = config.limits.max_message;
                return match usize::try_from(request.content_length()) {
                    // The body of anything but a POST is nothing that is read.
                    Ok(body) if !matches!(action, Action::Post { .. }) => {
                        answer_to.framing.keep_alive &= body == 0;
                        Answer::Ask(Ask { action, body: 0, expects_continue: false, answer_to })
                    }
                    Ok(body) if body <= max => {
                        let expects = request.header("Expect").filter(|_| request.version_minor > 0);
                        let expects_continue =
                            expects.is_some_and(|expects| expects.eq_ignore_ascii_case("100-continue"));
                        Answer::Ask(Ask { action, body, expects_continue, answer_to })
                    }
                    _ => {
                        answer_to.framing.keep_alive = false;
                        let reason = format!("The body is longer than {max} bytes (--max-message).");
                        decline(out, &answer_to, 413, &reason);
                        Answer::Refusal(answer_to.framing, 413, reason)
                    }
                };
            }
            Err(refused) => refused,
        };
        let (error, _) = refused;
        if error == Error::Forbidden {
            answer_to.origin = None;
        }
        // The body is nothing that is read.
        answer_to.framing.keep_alive &= request.content_length() == 0;
        refusal(refused, &answer_to, out)
    }

    fn engine_action(
        &self,
        request: &Request<'_>,
        from: Origin,
        config: &Config,
        answer_to: &mut AnswerTo,
    ) -> Result<Action, Refused> {
        self.check_engine_origin(request, from)?;
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
        let call = Call::parse(request).map_err(plain)?;
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
                let claim = self.claim(request, from, config)?;
                Action::Open { revision: call.revision, base64_only: call.base64_only, claim, entrance: Entrance::Free }
            }
            Some(sid) if request.method == Method::Get => Action::Poll { revision: call.revision, sid: sid.into() },
            Some(sid) => {
                let content_type = request.header("Content-Type").map(Into::into);
                Action::Post { revision: call.revision, sid: sid.into(), content_type }
            }
        })
    }
}

/// Why a request is refused, and in which words if not in those of the error.
type Refused = (Error, Option<&'static str>);

fn plain(error: Error) -> Refused {
    (error, None)
}

/// Refuses a request, as clients of Engine.IO can read it.
pub(super) fn refusal((error, reason): Refused, answer_to: &AnswerTo, out: &mut Vec<u8>) -> Answer {
    refuse_with(out, answer_to, error, reason);
    Answer::Refusal(answer_to.framing, error.status(), reason.unwrap_or(error.message()).to_owned())
}

/// Whether a path is Engine.IO's, as socket.io clients have it by default.
pub(super) fn is_engine(path: &str) -> bool {
    matches!(path, "/socket.io/" | "/socket.io")
}
