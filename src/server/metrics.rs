//! Counters of what happened since the start. Layer 3. Gauges are read off the tables when somebody asks.

/// Counters, each only ever growing.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Metrics {
    /// Connections accepted.
    pub(super) accepted: u64,
    /// Connections turned away by a limit.
    pub(super) turned_away: u64,
    /// Requests answered other than by an upgrade.
    pub(super) requests: u64,
    /// Opening handshakes completed.
    pub(super) handshakes: u64,
    /// Receives that brought bytes.
    pub(super) reads: u64,
    /// Bytes received.
    pub(super) received_bytes: u64,
    /// Data messages received in full.
    pub(super) messages: u64,
    /// Writes to a receiver, as vectored as they are.
    pub(super) writes: u64,
    /// Bytes written to receivers, or queued for them.
    pub(super) sent_bytes: u64,
    /// Connections closed because they broke a rule of RFC 6455 or a limit.
    pub(super) violations: u64,
    /// Members of a channel closed because they read too slowly.
    pub(super) too_slow: u64,
    /// Connections and sessions closed to give memory back.
    pub(super) shed: u64,
    /// Tokens that were shown and not accepted.
    pub(super) tokens_refused: u64,
    /// Sessions ended because their token expired or was revoked.
    pub(super) grants_ended: u64,
    /// TLS handshakes completed.
    pub(super) tls_handshakes: u64,
    /// Connections ended by an error of TLS.
    pub(super) tls_failures: u64,
}

impl Metrics {
    /// A receive brought this many bytes.
    #[inline]
    pub(super) fn on_read(&mut self, bytes: usize) {
        self.reads += 1;
        self.received_bytes += bytes as u64;
    }

    /// One receiver got this many bytes.
    #[inline]
    pub(super) fn on_write(&mut self, bytes: usize) {
        self.writes += 1;
        self.sent_bytes += bytes as u64;
    }

    /// Names and values, in the form of the page that shows them.
    pub(super) fn rows(&self) -> [(&'static str, u64); 16] {
        [
            ("jackfield_connections_accepted_total", self.accepted),
            ("jackfield_connections_turned_away_total", self.turned_away),
            ("jackfield_http_requests_total", self.requests),
            ("jackfield_handshakes_total", self.handshakes),
            ("jackfield_reads_total", self.reads),
            ("jackfield_received_bytes_total", self.received_bytes),
            ("jackfield_messages_received_total", self.messages),
            ("jackfield_writes_total", self.writes),
            ("jackfield_sent_bytes_total", self.sent_bytes),
            ("jackfield_violations_total", self.violations),
            ("jackfield_too_slow_total", self.too_slow),
            ("jackfield_shed_total", self.shed),
            ("jackfield_tokens_refused_total", self.tokens_refused),
            ("jackfield_grants_ended_total", self.grants_ended),
            ("jackfield_tls_handshakes_total", self.tls_handshakes),
            ("jackfield_tls_failures_total", self.tls_failures),
        ]
    }
}
