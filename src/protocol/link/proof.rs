//! Both ends of a link prove that they know the secret, before anything of the channel is said. Layer 2.
//!
//! Three binary messages:
//!
//! 1. whoever accepted: 32 random bytes;
//! 2. whoever dialled: 32 random bytes, and the dialler's proof;
//! 3. whoever accepted: the acceptor's proof, and the link is open.
//!
//! A proof is HMAC-SHA-256, keyed with the secret, over who proves, both random values, the names of both servers and the
//! channel's key. A proof that was overheard is worth nothing elsewhere: the other end's random bytes are in it, and its
//! role, so it cannot be sent back either. Whatever fails, the other end is told the same.

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::hub::shared::{ChannelKey, InstanceId};

/// Random bytes that are never used twice.
pub type Nonce = [u8; 32];

/// Keeps proofs apart from everything else that is hashed with the same secret.
const DOMAIN: &[u8] = b"jackfield link\0";

const PROOF_BYTES: usize = 32;

/// Who is who on a link.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    pub(super) dialler: InstanceId,
    pub(super) acceptor: InstanceId,
    pub(super) key: ChannelKey,
}

/// One end's side of it.
#[derive(Debug)]
pub(super) struct Proving {
    ends: Ends,
    stage: Stage,
}

/// What is awaited.
#[derive(Debug)]
enum Stage {
    /// Dialled: the acceptor's nonce is awaited; this is our own.
    Challenge(Nonce),
    /// Dialled: the acceptor's proof is awaited; the acceptor's nonce and our own.
    Acceptor(Nonce, Nonce),
    /// Accepted: the dialler's nonce and proof are awaited; this is our own.
    Dialler(Nonce),
}

/// What a message led to.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// This goes to the other end, and more is awaited.
    Say(Vec<u8>),
    /// The other end knows the secret. If there is something to say to it, that comes first.
    Proved(Option<Vec<u8>>),
    /// It does not, or is no server of ours.
    Failed,
}

impl Proving {
    /// The side that dialled; `nonce` is its own.
    pub(super) fn dialler(ends: Ends, nonce: Nonce) -> Self {
        Self { ends, stage: Stage::Challenge(nonce) }
    }

    /// The side that accepted; it says `nonce` first.
    pub(super) fn acceptor(ends: Ends, nonce: Nonce) -> Self {
        Self { ends, stage: Stage::Dialler(nonce) }
    }

    /// The other end said something.
    pub(super) fn on_message(&mut self, secret: &[u8], said: &[u8]) -> Outcome {
        match self.stage {
            Stage::Challenge(own) => {
                let Ok(challenge) = Nonce::try_from(said) else { return Outcome::Failed };
                let proof = self.ends.mac(secret, b'D', &challenge, &own).finalize().into_bytes();
                self.stage = Stage::Acceptor(challenge, own);
                Outcome::Say([&own[..], &proof].concat())
            }
            Stage::Dialler(own) => {
                let Some((nonce, proof)) = said.split_first_chunk::<32>() else { return Outcome::Failed };
                // A nonce that repeats ours would be our own words thrown back.
                if nonce == &own || proof.len() != PROOF_BYTES {
                    return Outcome::Failed;
                }
                // Compares in constant time.
                if self.ends.mac(secret, b'D', &own, nonce).verify_slice(proof).is_err() {
                    return Outcome::Failed;
                }
                Outcome::Proved(Some(self.ends.mac(secret, b'A', &own, nonce).finalize().into_bytes().to_vec()))
            }
            Stage::Acceptor(challenge, own) => match self.ends.mac(secret, b'A', &challenge, &own).verify_slice(said) {
                Ok(()) => Outcome::Proved(None),
                Err(_) => Outcome::Failed,
            },
        }
    }
}

impl Ends {
    /// Over all that a proof is about, each part of a fixed length.
    fn mac(&self, secret: &[u8], role: u8, acceptor: &Nonce, dialler: &Nonce) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("HMAC takes keys of any length");
        let names = [self.acceptor.bytes(), self.dialler.bytes()];
        for part in [DOMAIN, &[role], acceptor, dialler, names[0], names[1], self.key.bytes()] {
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"a secret of some length";

    fn ends() -> Ends {
        Ends { dialler: InstanceId::new([1; 16]), acceptor: InstanceId::new([2; 16]), key: ChannelKey::new([3; 32]) }
    }

    /// Lets both ends talk; `false` as soon as one gives up.
    fn meet(dialler: (Ends, &[u8]), acceptor: (Ends, &[u8])) -> (bool, bool) {
        let (own, theirs) = ([7; 32], [8; 32]);
        let mut dialling = Proving::dialler(dialler.0, own);
        let mut accepting = Proving::acceptor(acceptor.0, theirs);
        let Outcome::Say(answer) = dialling.on_message(dialler.1, &theirs) else { return (false, false) };
        match accepting.on_message(acceptor.1, &answer) {
            Outcome::Proved(Some(proof)) => (true, dialling.on_message(dialler.1, &proof) == Outcome::Proved(None)),
            _ => (false, false),
        }
    }

    #[test]
    fn those_who_know_the_secret_open_and_nobody_else() {
        assert_eq!(meet((ends(), SECRET), (ends(), SECRET)), (true, true));
        assert_eq!(meet((ends(), b"another"), (ends(), SECRET)), (false, false));
        let changed = [
            Ends { dialler: InstanceId::new([9; 16]), ..ends() },
            Ends { acceptor: InstanceId::new([9; 16]), ..ends() },
            Ends { key: ChannelKey::new([9; 32]), ..ends() },
            Ends { dialler: ends().acceptor, acceptor: ends().dialler, ..ends() },
        ];
        for other in changed {
            assert_eq!(meet((other, SECRET), (ends(), SECRET)), (false, false), "{other:?}");
        }
    }

    #[test]
    fn what_was_overheard_is_worth_nothing() {
        let mut dialling = Proving::dialler(ends(), [7; 32]);
        let Outcome::Say(overheard) = dialling.on_message(SECRET, &[8; 32]) else { panic!("a challenge is answered") };
        let mut elsewhere = Proving::acceptor(ends(), [9; 32]);
        assert_eq!(elsewhere.on_message(SECRET, &overheard), Outcome::Failed, "replayed to another challenge");
        let mut reflected = Proving::dialler(ends(), [7; 32]);
        let _ = reflected.on_message(SECRET, &[8; 32]);
        assert_eq!(reflected.on_message(SECRET, &overheard[32..]), Outcome::Failed, "the dialler's own proof");
        let mut accepting = Proving::acceptor(ends(), [7; 32]);
        assert_eq!(accepting.on_message(SECRET, &overheard), Outcome::Failed, "with the acceptor's own nonce");
    }

    #[test]
    fn no_bytes_are_a_proof_by_chance_of_their_length() {
        for len in [0, 1, 31, 32, 33, 63, 64, 65, 1000] {
            let said = vec![8; len];
            assert_eq!(Proving::acceptor(ends(), [9; 32]).on_message(SECRET, &said), Outcome::Failed, "{len}");
            let mut dialling = Proving::dialler(ends(), [7; 32]);
            let _ = dialling.on_message(SECRET, &[8; 32]);
            assert_eq!(dialling.on_message(SECRET, &said), Outcome::Failed, "{len}");
        }
    }
}
