//! What can change while the server runs: read at start, and again at HUP. Layer 3.
//!
//! Each part that can be reloaded is a method that returns a [`Reloaded`], and a line of [`Exchange::reload`]. A part fails
//! closed: whatever is wrong with what it reads, down to a lack of descriptors to read it with, what was in force stays in
//! force, whole, and the log says why.

use std::path::PathBuf;
use std::time::SystemTime;

use log::{error, info, warn};

use super::StartError;
use super::exchange::Exchange;
use crate::config::{Config, LIFE};
use crate::net::reactor::Turn;
use crate::net::tls::{Identity, Tls};

/// What became of one part.
enum Reloaded {
    /// It is not configured.
    Absent,
    /// What was read is in force.
    Fresh(String),
    /// What was in force stays, for this reason.
    Kept(String),
}

impl Exchange {
    /// Reads everything again that can change, and says what became of it.
    pub(super) fn reload(&mut self, turn: &mut Turn) {
        let parts = [self.reload_certificate(turn.wall), self.reload_tokens(turn)];
        let mut is_anything = false;
        for part in parts {
            match part {
                Reloaded::Absent => continue,
                Reloaded::Fresh(what) => info!(target: LIFE, "reloaded: {what}"),
                Reloaded::Kept(why) => error!(target: LIFE, "not reloaded: {why}"),
            }
            is_anything = true;
        }
        if !is_anything {
            info!(target: LIFE, "nothing to reload: there is no certificate (--tls-cert) and no key of tokens (--token-key)");
        }
    }

    /// Sessions whose tokens are worth nothing any more end.
    fn reload_tokens(&mut self, turn: &mut Turn) -> Reloaded {
        match self.reload_access(turn) {
            None => Reloaded::Absent,
            Some(Ok(what)) => Reloaded::Fresh(what),
            Some(Err(why)) => Reloaded::Kept(why),
        }
    }

    /// Connections keep what they have agreed on; handshakes from now on show the new certificate.
    fn reload_certificate(&mut self, now: SystemTime) -> Reloaded {
        let Some(tls) = &mut self.tls else { return Reloaded::Absent };
        match load(&self.config, now).and_then(|identity| tls.replace(identity).map_err(StartError::BadIdentity)) {
            Ok(()) => Reloaded::Fresh("new connections get the certificate of --tls-cert".to_owned()),
            Err(error) => Reloaded::Kept(format!("{error}; the certificate that was in force stays")),
        }
    }
}

/// What makes TLS sessions, if the configuration names a certificate.
pub(super) fn start_tls(config: &Config) -> Result<Option<Tls>, StartError> {
    let wanted = config.listen.iter().find(|listen| listen.tls);
    match (wanted, &config.tls_cert, &config.tls_key) {
        (None, ..) => Ok(None),
        (Some(_), Some(_), Some(_)) => {
            let identity = load(config, SystemTime::now())?;
            Tls::new(identity).map(Some).map_err(StartError::BadIdentity)
        }
        (Some(listen), ..) => Err(StartError::NoCertificate(listen.address)),
    }
}

fn load(config: &Config, now: SystemTime) -> Result<Identity, StartError> {
    let path = |file: &Option<PathBuf>| file.clone().unwrap_or_default();
    let (cert, key) = (path(&config.tls_cert), path(&config.tls_key));
    let identity = Identity::load(&cert, &key, now).map_err(StartError::BadIdentity)?;
    for warning in identity.warnings() {
        warn!("{warning}");
    }
    Ok(identity)
}
