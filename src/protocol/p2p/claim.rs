//! What a client says about itself in the query of its first request. Layer 2.

use std::borrow::Cow;

use crate::http::Request;
use crate::hub::devices::{Claim, Generation};

/// The id is empty, too long, or has control characters.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BadId {
    /// Bytes an id may have.
    pub limit: usize,
}

/// Reads `clientId` or, where there is none, `deviceId` (socket.io-p2p-plugin `p2pServerPlugin`), and `gen`.
///
/// # Errors
/// [`BadId`].
pub fn claim(request: &Request<'_>, is_operator: bool, limit: usize) -> Result<Claim, BadId> {
    let (client, device) = (request.query_value("clientId"), request.query_value("deviceId"));
    let wish = request.query_value("gen");
    let generation = match (&client, wish.as_deref()) {
        (_, Some("g0")) | (None, None) if device.is_some() || client.is_some() => Generation::Seed,
        _ => Generation::Later,
    };
    let id: Option<Cow<'_, str>> = client.or(device);
    let id = match id {
        Some(id) if (1..=limit).contains(&id.len()) && !id.chars().any(char::is_control) => Some(id.into()),
        Some(_) => return Err(BadId { limit }),
        None => None,
    };
    Ok(Claim { id, generation, is_operator })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::parse;

    fn read(query: &str) -> Result<(Option<String>, Generation), BadId> {
        let head = format!("GET /socket.io/?{query} HTTP/1.1\r\nHost: localhost\r\n\r\n");
        let request = parse(head.as_bytes(), 1 << 16, 64).expect(query).expect(query);
        claim(&request, false, 16).map(|claim| (claim.id.map(Into::into), claim.generation))
    }

    #[test]
    fn the_member_that_names_the_id_tells_the_generation() {
        for (query, id, generation) in [
            ("deviceId=A", Some("A"), Generation::Seed),
            ("deviceId=A&gen=g0", Some("A"), Generation::Seed),
            ("deviceId=A&gen=g0b", Some("A"), Generation::Later),
            ("clientId=A", Some("A"), Generation::Later),
            ("clientId=A&deviceId=B", Some("A"), Generation::Later),
            ("clientId=A&gen=g0", Some("A"), Generation::Seed),
            ("deviceId=caf%C3%A9+1", Some("café 1"), Generation::Seed),
            ("", None, Generation::Later),
            ("gen=g0", None, Generation::Later),
        ] {
            assert_eq!(read(query), Ok((id.map(str::to_owned), generation)), "{query}");
        }
    }

    #[test]
    fn an_id_has_a_length_and_no_control_characters() {
        for query in [
            "deviceId=",
            "clientId",
            "deviceId=a%0Ab",
            "clientId=%00",
            "clientId=a%C2%85",
            "deviceId=12345678901234567",
        ] {
            assert_eq!(read(query), Err(BadId { limit: 16 }), "{query}");
        }
    }
}
