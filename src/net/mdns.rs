//! Announcing and browsing on the local network, without making the loop wait. Layer 1: a thin skin over the `mdns-sd`
//! crate, whose responder has a socket and a thread of its own and shares port 5353 with others of this machine.
//!
//! Its events are forwarded by one more thread into a bounded queue, which the loop is woken for. Whatever comes faster
//! than the rate allows is dropped there, before it costs the loop anything; once the flood is over, the responder is
//! asked for all it knows again, so that nobody who was lost in it stays lost.
//!
//! Without the feature `discovery` there is only the shape of it.

#[cfg(feature = "discovery")]
mod daemon;

#[cfg(feature = "discovery")]
pub use daemon::Mdns;

use std::net::SocketAddr;

/// What is heard of others.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum MdnsEvent {
    /// Somebody announces an instance. All of it is as a stranger says it.
    Found {
        /// What the instance is called, in full.
        name: String,
        /// Where it is: only addresses that may be dialled.
        addresses: Vec<SocketAddr>,
        /// Its TXT record.
        txt: Vec<(String, Vec<u8>)>,
    },
    /// Nobody does any more.
    Lost(String),
}

#[cfg(not(feature = "discovery"))]
pub use absent::Mdns;

#[cfg(not(feature = "discovery"))]
mod absent {
    use std::io;
    use std::net::SocketAddr;

    use super::MdnsEvent;
    use crate::config::Lan;

    /// Nobody to announce to.
    #[derive(Debug)]
    pub enum Mdns {}

    impl Mdns {
        /// There is none.
        ///
        /// # Errors
        /// Never.
        pub fn start(
            _: &Lan,
            _: u32,
            _: &str,
            _: &[SocketAddr],
            _: impl Fn() + Send + Sync + 'static,
        ) -> io::Result<Option<Self>> {
            Ok(None)
        }

        /// Nothing to announce on.
        pub fn announce(&mut self, _: &str, _: String, _: Vec<(&'static str, String)>) {
            match *self {}
        }

        /// Nothing to withdraw.
        pub fn withdraw(&mut self, _: &str) {
            match *self {}
        }

        /// Nothing to withdraw.
        pub fn withdraw_all(&mut self) {
            match *self {}
        }

        /// Nothing waits.
        #[must_use]
        pub fn is_late(&self) -> bool {
            match *self {}
        }

        /// Nothing waits.
        pub fn flush(&mut self) {
            match *self {}
        }

        /// Nothing comes.
        pub fn next_event(&mut self) -> Option<MdnsEvent> {
            match *self {}
        }

        /// Nothing was dropped.
        #[must_use]
        pub fn dropped(&self) -> u64 {
            match *self {}
        }
    }
}
