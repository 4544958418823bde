//! Names of sessions: the slot in the server's table, and the generator behind public keys.

/// A session's slot in the server's session table. It is recycled only after the event batch in which the session
/// ended, so within a batch it never means somebody else.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SessionId(pub u32);
