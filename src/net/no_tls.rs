//! What stands in for TLS in a build without the feature `tls`: the same names, no sessions, one reason. Layer 1.

use std::convert::Infallible;
use std::fmt;
use std::io::{self, IoSlice, Read, Write};
use std::path::Path;
use std::time::SystemTime;

use crate::memory::Account;

/// A certificate with its key: there is none.
#[derive(Debug)]
pub struct Identity(Infallible);

/// Makes sessions: none.
#[derive(Debug)]
pub struct Tls(Infallible);

/// The TLS of one connection: no connection has any.
#[derive(Debug)]
pub struct Session(Infallible);

/// Why there is no identity.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BadIdentity;

impl fmt::Display for BadIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("this build has no TLS (feature `tls`)")
    }
}

impl std::error::Error for BadIdentity {}

/// What sessions did in a turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct TurnReport {
    /// Handshakes completed.
    pub completed: u32,
    /// Sessions ended by an error of TLS.
    pub failed: u32,
}

impl Identity {
    /// There is no TLS.
    ///
    /// # Errors
    /// Always.
    pub fn load(_: &Path, _: &Path, _: SystemTime) -> Result<Self, BadIdentity> {
        Err(BadIdentity)
    }

    /// None.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        match self.0 {}
    }
}

impl Tls {
    /// Nobody has an identity to call this with.
    ///
    /// # Errors
    /// Never.
    pub fn new(identity: Identity) -> Result<Self, BadIdentity> {
        match identity.0 {}
    }

    /// As [`Tls::new`].
    ///
    /// # Errors
    /// Never.
    pub fn replace(&mut self, identity: Identity) -> Result<(), BadIdentity> {
        match identity.0 {}
    }

    /// As [`Tls::new`].
    ///
    /// # Errors
    /// Never.
    pub fn accept(&self, _: &Account) -> Result<Session, BadIdentity> {
        match self.0 {}
    }

    /// As [`Tls::new`].
    pub fn end_turn(&self) -> TurnReport {
        match self.0 {}
    }
}

impl Session {
    /// As [`Tls::new`].
    ///
    /// # Errors
    /// Never.
    pub fn recv(&mut self, _: &mut (impl Read + Write), _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }

    /// As [`Tls::new`].
    #[must_use]
    pub fn weight(&self) -> usize {
        match self.0 {}
    }

    /// As [`Tls::new`].
    #[must_use]
    pub fn has_more(&self) -> bool {
        match self.0 {}
    }

    /// As [`Tls::new`].
    ///
    /// # Errors
    /// Never.
    pub fn send(&mut self, _: &mut impl Write, _: &[IoSlice<'_>]) -> io::Result<usize> {
        match self.0 {}
    }

    /// As [`Tls::new`].
    ///
    /// # Errors
    /// Never.
    pub fn flush(&mut self, _: &mut impl Write) -> io::Result<()> {
        match self.0 {}
    }

    /// As [`Tls::new`].
    #[must_use]
    pub fn pending(&self) -> usize {
        match self.0 {}
    }

    /// As [`Tls::new`].
    pub fn finish(&mut self, _: &mut impl Write) {
        match self.0 {}
    }

    /// As [`Tls::new`].
    #[must_use]
    pub fn is_finishing(&self) -> bool {
        match self.0 {}
    }
}
