//! The gate: everything that decides about tokens at one moment, and what one session is permitted. Layer 0.

use std::sync::Arc;
use std::time::SystemTime;

use super::{BadPattern, Grant, KeyRing, Pattern, Refusal, Revoked, Rights, TargetPattern};

/// What tokens are judged by.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The keys they may be signed with.
    pub keys: KeyRing,
    /// Those that are worth nothing any more.
    pub revoked: Revoked,
    /// What is permitted without one; `None` is nothing.
    pub anonymous: Option<Arc<Grant>>,
}

impl Gate {
    /// What the bearer of `token` may do.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn admit(&self, token: &str, now: SystemTime) -> Result<Arc<Grant>, Refusal> {
        let grant = self.keys.verify(token, now)?;
        self.check(&grant)?;
        Ok(Arc::new(grant))
    }

    /// Whether what was once granted would be granted still; its time aside.
    ///
    /// # Errors
    /// [`Refusal`].
    pub fn check(&self, grant: &Grant) -> Result<(), Refusal> {
        if self.revoked.has(grant) {
            return Err(Refusal::Revoked);
        }
        if grant.is_backed_by(&self.keys) { Ok(()) } else { Err(Refusal::UnknownKey) }
    }
}

/// What a session may do while it reacts. The default, where there is no gate, is everything that protocols offer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Permit<'a> {
    /// `None` where tokens are off, and for sessions of our own.
    pub gate: Option<&'a Gate>,
    /// What the session was granted so far.
    pub grant: Option<&'a Grant>,
}

impl<'a> Permit<'a> {
    /// Whether the session may do what `question` asks about.
    #[inline]
    fn may(&self, question: impl FnOnce(&Grant) -> bool) -> bool {
        match (self.gate, self.grant) {
            (None, _) => true,
            (Some(_), Some(grant)) => question(grant),
            (Some(_), None) => false,
        }
    }

    /// With this grant instead.
    #[must_use]
    pub fn with(self, grant: &'a Grant) -> Self {
        Self { grant: Some(grant), ..self }
    }

    /// Whether somebody vouches for it, or nobody need.
    #[must_use]
    pub fn is_proven(&self) -> bool {
        self.may(|grant| grant.holder.is_some())
    }

    /// Whether a token makes its bearer an operator.
    #[must_use]
    pub fn is_admin(&self) -> bool {
        self.grant.is_some_and(|grant| grant.rights.admin)
    }

    /// WebShare.
    #[must_use]
    pub fn may_pair(&self) -> bool {
        self.may(|grant| grant.rights.pair)
    }

    /// [`Grant::may_publish`].
    #[must_use]
    pub fn may_publish(&self, name: &str) -> bool {
        self.may(|grant| grant.may_publish(name))
    }

    /// [`Grant::may_subscribe`].
    #[must_use]
    pub fn may_subscribe(&self, name: &str) -> bool {
        self.may(|grant| grant.may_subscribe(name))
    }

    /// Whether it may be a Socket.IO client, under this id or none.
    #[must_use]
    pub fn may_be_device(&self, id: Option<&str>) -> bool {
        self.may(|grant| match id {
            Some(id) => grant.may_claim(id),
            None => !grant.rights.device.is_empty(),
        })
    }

    /// [`Grant::may_dial`].
    #[must_use]
    pub fn may_dial<'n>(&self, host: &str, port: u16, names: impl Iterator<Item = &'n str> + Clone) -> bool {
        self.may(|grant| grant.may_dial(host, port, names))
    }

    /// [`Grant::identity`].
    #[must_use]
    pub fn identity(&self) -> Option<Box<str>> {
        self.grant.and_then(Grant::identity)
    }
}

impl Rights {
    /// Reads rights in the operator's words: `pair`, `admin`, `publish=PATTERN`, `subscribe=PATTERN`, `device=PATTERN`,
    /// `tcp=TARGET`, and `all` for all of these but `admin`.
    ///
    /// # Errors
    /// What is wrong with which word.
    pub fn read<'w>(words: impl IntoIterator<Item = &'w str>) -> Result<Self, String> {
        let mut rights = Self::default();
        for word in words {
            let fault = |wrong: BadPattern| format!("{word:?}: {wrong}");
            match word.split_once('=').unwrap_or((word, "")) {
                ("pair", "") => rights.pair = true,
                ("admin", "") => rights.admin = true,
                ("publish", pattern) => rights.publish.push(Pattern::parse(pattern).map_err(fault)?),
                ("subscribe", pattern) => rights.subscribe.push(Pattern::parse(pattern).map_err(fault)?),
                ("device", pattern) => rights.device.push(Pattern::parse(pattern).map_err(fault)?),
                ("tcp", target) => rights.tcp.push(TargetPattern::parse(target).map_err(fault)?),
                ("all", "") => {
                    let every = || Pattern::parse("*").map_err(fault);
                    rights.pair = true;
                    rights.publish.push(every()?);
                    rights.subscribe.push(every()?);
                    rights.device.push(every()?);
                    rights.tcp.push(TargetPattern::parse("*").map_err(fault)?);
                }
                _ => {
                    return Err(format!(
                        "{word:?} is no capability: pair, publish=PATTERN, subscribe=PATTERN, device=PATTERN, tcp=TARGET, \
                         all, admin"
                    ));
                }
            }
        }
        Ok(rights)
    }
}
