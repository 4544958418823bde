//! Who is not heard because somebody else is behind, and until when.

use std::collections::hash_map::Entry;

use super::super::conn::{Behind, ConnId, Subject};
use super::Exchange;
use crate::hub::SessionId;
use crate::net::reactor::Turn;

/// How far a chain of connections that wait for one another is followed.
const LINKS: usize = 16;

impl Exchange {
    /// Stops reading from `reader` until `behind` has caught up; not if it waits for somebody else already.
    pub(in crate::server) fn pause(&mut self, reader: ConnId, behind: Behind) -> bool {
        let conn = &mut self.conns[reader as usize];
        let is_new = conn.waits_for.is_none();
        if is_new {
            conn.waits_for = Some(behind);
            self.waiting.entry(behind).or_default().push(reader);
        }
        is_new
    }

    /// A connection that ends waits for nobody.
    pub(in crate::server) fn wait_no_more(&mut self, id: ConnId) {
        let Some(behind) = self.conns[id as usize].waits_for.take() else { return };
        if let Entry::Occupied(mut readers) = self.waiting.entry(behind) {
            readers.get_mut().retain(|reader| *reader != id);
            if readers.get().is_empty() {
                readers.remove();
            }
        }
    }

    /// Reads again from everybody who waited for `caught_up`.
    pub(in crate::server) fn resume(&mut self, turn: &mut Turn, caught_up: Behind) {
        for reader in self.waiting.remove(&caught_up).unwrap_or_default() {
            let conn = &mut self.conns[reader as usize];
            if conn.waits_for.take_if(|behind| *behind == caught_up).is_some() {
                self.go_on(turn, reader);
            }
        }
    }

    /// Reads again from a connection that waits no more.
    pub(in crate::server) fn go_on(&mut self, turn: &mut Turn, reader: ConnId) {
        let session = self.conns[reader as usize].session().or_else(|| self.polling.speaker(reader));
        if let Some(session) = session {
            self.sessions[session.0 as usize].excuse(turn.now);
        }
        self.revisit(turn, reader);
    }

    /// Whether a session is not heard because others are behind. One that waits for itself, be it over others, is to blame:
    /// they would wait for ever.
    pub(super) fn is_kept_waiting(&self, session: SessionId) -> bool {
        let Some(start) = self.outlets.get(session).or_else(|| self.polling.posting(session)) else { return false };
        let mut at = start;
        for _ in 0..LINKS {
            let Some(behind) = self.conns[at as usize].waits_for else { return at != start };
            match behind.subject() {
                Subject::Socket(id) => at = id,
                Subject::Mailbox(session) => match self.polling.posting(session) {
                    Some(id) => at = id,
                    None => return true,
                },
                Subject::Spread => return true,
            }
            if at == start {
                return false;
            }
        }
        true
    }
}
