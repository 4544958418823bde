//! What is used of what the limits allow, and how often each of them said no. Layer 3.
//!
//! Every refusal names the option behind it, in the words that the client or the log gets; it is counted by that name, so
//! that no limit can refuse without being seen.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::exchange::Exchange;

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

impl Exchange {
    /// Gauges in pairs: what is used, and what may be. Limits on one message, one head or one moment have no use that
    /// could be shown, and stand alone.
    pub(super) fn usage(&self) -> Vec<(&'static str, usize)> {
        let limits = &self.config.limits;
        let ms = |time: std::time::Duration| usize::try_from(time.as_millis()).unwrap_or(usize::MAX);
        let queue_most = self.conns.iter().map(|(_, conn)| conn.socket.weight()).max().unwrap_or(0);
        vec![
            ("jackfield_limit_connections", self.max_connections),
            ("jackfield_address_connections", self.census.total()),
            ("jackfield_address_connections_most", self.census.most()),
            ("jackfield_address_polling_sessions_most", self.polling.most_of_one()),
            ("jackfield_limit_per_address", limits.max_per_address),
            ("jackfield_limit_bridges", limits.max_bridges),
            ("jackfield_address_bridges_most", self.bridged.most()),
            ("jackfield_limit_bridges_per_address", limits.max_bridges_per_address),
            ("jackfield_memory_bytes", self.memory.used()),
            ("jackfield_limit_memory_bytes", limits.max_memory),
            ("jackfield_queue_most_bytes", queue_most),
            ("jackfield_limit_queue_high_bytes", limits.queue_high),
            ("jackfield_limit_queue_bytes", limits.max_queue),
            ("jackfield_stalled_connections", self.stalled()),
            ("jackfield_limit_write_stall_timeout_ms", ms(limits.write_stall_timeout)),
            ("jackfield_limit_message_bytes", limits.max_message),
            ("jackfield_limit_fragments", limits.max_fragments as usize),
            ("jackfield_limit_head_bytes", limits.max_head),
            ("jackfield_limit_headers", limits.max_headers),
            ("jackfield_limit_name_bytes", limits.max_name),
            ("jackfield_limit_control_rate", limits.control_rate as usize),
            ("jackfield_limit_control_burst", limits.control_burst as usize),
            ("jackfield_limit_guess_burst", limits.guess_burst as usize),
            ("jackfield_limit_guess_interval_ms", ms(limits.guess_interval)),
            ("jackfield_limit_handshake_timeout_ms", ms(limits.handshake_timeout)),
            ("jackfield_limit_first_message_timeout_ms", ms(limits.first_message_timeout)),
            ("jackfield_limit_ping_interval_ms", ms(limits.ping_interval)),
            ("jackfield_limit_pong_timeout_ms", ms(limits.pong_timeout)),
            ("jackfield_limit_close_timeout_ms", ms(limits.close_timeout)),
            ("jackfield_limit_drain_timeout_ms", ms(limits.drain_timeout)),
            ("jackfield_limit_dial_timeout_ms", ms(limits.dial_timeout)),
            ("jackfield_limit_bridge_idle_ms", ms(limits.bridge_idle)),
            ("jackfield_limit_attachments", limits.max_attachments as usize),
            ("jackfield_limit_calls", limits.max_calls),
            ("jackfield_limit_rooms", limits.max_rooms),
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
