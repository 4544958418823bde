//! What is used of what the limits allow, and how often each of them said no. Layer 3.
//!
//! Every refusal names the option behind it, in the words that the client or the log gets; it is counted by that name, so
//! that no limit can refuse without being seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use super::exchange::Exchange;
use crate::memory::footprint;

/// How often each option refused something.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    by_option: BTreeMap<String, u64>,
}

/// Options that are told apart: a bound, not an expectation.
const MOST_OPTIONS: usize = 128;

impl Refusals {
    /// Counts a refusal by the option that its reason names last; one that names none is not a limit's.
    pub(super) fn count(&mut self, reason: &str) {
        let Some(at) = reason.rfind("--") else { return };
        let name = &reason[at + 2..];
        let end = name.find(|c: char| !c.is_ascii_lowercase() && c != '-').unwrap_or(name.len());
        let name = name[..end].trim_end_matches('-');
        if let Some(count) = self.by_option.get_mut(name) {
            *count += 1;
        } else if !name.is_empty() && self.by_option.len() < MOST_OPTIONS {
            self.by_option.insert(name.to_owned(), 1);
        }
    }

    /// How often this option refused something.
    pub(super) fn of(&self, option: &str) -> u64 {
        self.by_option.get(option).copied().unwrap_or(0)
    }

    /// Appends a line for each, as Prometheus reads it.
    pub(super) fn write(&self, page: &mut String) {
        if !self.by_option.is_empty() {
            page.push_str("# TYPE jackfield_refused_total counter\n");
        }
        for (option, count) in &self.by_option {
            writeln!(page, "jackfield_refused_total{{option=\"{option}\"}} {count}")
                .expect("writing to memory does not fail");
        }
    }
}

/// A limit: what may be used, and what is.
pub(super) struct Usage {
    /// The option without its dashes.
    pub(super) option: &'static str,
    /// In the option's unit: things, bytes, or milliseconds.
    pub(super) limit: usize,
    /// The same for now: of all together, or of whoever uses most. `None` where a limit is on one message, one head or one
    /// moment, of which no use could be shown.
    pub(super) used: Option<usize>,
}

impl Exchange {
    /// Every limit, with what is used of it.
    pub(super) fn usage(&self) -> Vec<Usage> {
        let limits = &self.config.limits;
        let ms = |time: Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
        let used = |option, used, limit| Usage { option, limit, used: Some(used) };
        let bare = |option, limit| Usage { option, limit, used: None };
        let longest_queue = self.conns.iter().map(|(_, conn)| conn.socket.weight()).max().unwrap_or(0);
        let bridges = self.bridges.count() + self.dials.len();
        let most_bridges = if limits.max_bridges > 0 { limits.max_bridges } else { self.max_connections };
        let links = self.links.discovery.links() + self.links.attempts();
        let of_one_address = self.census.most().max(self.polling.most_of_one());
        vec![
            used("max-connections", self.conns.len(), self.max_connections),
            used("max-per-address", of_one_address, limits.max_per_address),
            used("max-memory", footprint(self.memory.used(), self.holders()), limits.max_memory),
            used("max-queue", longest_queue, limits.max_queue),
            used("max-bridges", bridges, most_bridges),
            used("max-bridges-per-address", self.bridged.most(), limits.max_bridges_per_address),
            used("max-links", links, limits.max_links),
            used("max-proxies", self.links.discovery.proxies(), limits.max_proxies),
            bare("max-links-per-peer", limits.max_links_per_peer),
            bare("announcement-rate", limits.announcement_rate as usize),
            bare("queue-high", limits.queue_high),
            bare("max-message", limits.max_message),
            bare("max-fragments", limits.max_fragments as usize),
            bare("max-head", limits.max_head),
            bare("max-headers", limits.max_headers),
            bare("max-name", limits.max_name),
            bare("control-rate", limits.control_rate as usize),
            bare("control-burst", limits.control_burst as usize),
            bare("guess-burst", limits.guess_burst as usize),
            bare("guess-interval", ms(limits.guess_interval)),
            bare("handshake-timeout", ms(limits.handshake_timeout)),
            bare("first-message-timeout", ms(limits.first_message_timeout)),
            bare("token-timeout", ms(limits.token_timeout)),
            bare("write-stall-timeout", ms(limits.write_stall_timeout)),
            bare("ping-interval", ms(limits.ping_interval)),
            bare("pong-timeout", ms(limits.pong_timeout)),
            bare("link-ping-interval", ms(limits.link_ping_interval)),
            bare("close-timeout", ms(limits.close_timeout)),
            bare("drain-timeout", ms(limits.drain_timeout)),
            bare("dial-timeout", ms(limits.dial_timeout)),
            bare("bridge-idle", ms(limits.bridge_idle)),
            bare("device-ping-interval", ms(limits.device_ping_interval)),
            bare("device-ping-timeout", ms(limits.device_ping_timeout)),
            bare("call-timeout", ms(limits.call_timeout)),
            bare("max-attachments", limits.max_attachments as usize),
            bare("max-calls", limits.max_calls),
            bare("max-rooms", limits.max_rooms),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_counted_by_the_option_that_they_name() {
        let mut refusals = Refusals::default();
        for reason in [
            "too long (--max-message)",
            "message longer than 5 bytes (--max-message)",
            "webshare is switched off here (--without webshare)",
            "no option",
            "--",
            "a -- b",
            "Pages of that Origin may not use this server; --allow-origin ORIGIN would let them.",
        ] {
            refusals.count(reason);
        }
        let mut page = String::new();
        refusals.write(&mut page);
        assert_eq!(
            page,
            "# TYPE jackfield_refused_total counter\n\
             jackfield_refused_total{option=\"allow-origin\"} 1\n\
             jackfield_refused_total{option=\"max-message\"} 2\n\
             jackfield_refused_total{option=\"without\"} 1\n"
        );
    }
}
