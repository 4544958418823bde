//! Where attachments go: `{"_placeholder":true,"num":N}` anywhere in the data stands for attachment N.

use crate::json::unescape::push_unescaped;
use crate::json::walk::{NotJson, Step, walk};

/// Whether every placeholder in `data` refers to one of `attachments` attachments.
///
/// A receiver's parser ends its whole connection over one that does not ("illegal attachments"), so nobody may be sent
/// such data. A placeholder is an object whose member `_placeholder` is `true`; its `num` must be a number of at least 0
/// and below `attachments`. Of members with the same name the last one counts, as for the receiver. Objects that the
/// receiver would not look at, because a member of the same name follows, are held to the rule all the same.
///
/// One pass, no recursion. `false` for what is not JSON.
#[must_use]
pub fn placeholders_fit(data: &[u8], attachments: u32) -> bool {
    all_fit(data, attachments).unwrap_or(false)
}

fn all_fit(data: &[u8], attachments: u32) -> Result<bool, NotJson> {
    // One bit for each open level, the innermost lowest, as the walk is at most 127 deep.
    let mut placeholders = 0u128;
    let mut fitting = 0u128;
    let mut member = Member::Other;
    let mut walk = walk(data);
    while let Some(step) = walk.step()? {
        if let Step::Name(name) = step {
            member = Member::called(name);
            continue;
        }
        if step == Step::End {
            if placeholders & 1 == 1 && fitting & 1 == 0 {
                return Ok(false);
            }
            placeholders >>= 1;
            fitting >>= 1;
            continue;
        }
        // A value: that of the member named last, unless it stands in an array or alone.
        let (bits, is_set) = match (std::mem::replace(&mut member, Member::Other), step) {
            (Member::Placeholder, step) => (&mut placeholders, step == Step::Scalar(b"true")),
            (Member::Num, Step::Scalar(scalar)) => (&mut fitting, is_below(scalar, attachments)),
            (Member::Num, _) => (&mut fitting, false),
            (Member::Other, _) => (&mut 0, false),
        };
        *bits = *bits & !1 | u128::from(is_set);
        if matches!(step, Step::Object | Step::Array) {
            placeholders <<= 1;
            fitting <<= 1;
        }
    }
    Ok(true)
}

/// The members that matter.
#[derive(Clone, Copy)]
enum Member {
    Placeholder,
    Num,
    Other,
}

impl Member {
    /// By what stands between a name's quotes.
    fn called(inner: &[u8]) -> Self {
        match inner {
            b"_placeholder" => Self::Placeholder,
            b"num" => Self::Num,
            _ if inner.len() <= LONGEST_ESCAPED && inner.contains(&b'\\') => Self::escaped(inner),
            _ => Self::Other,
        }
    }

    #[cold]
    fn escaped(inner: &[u8]) -> Self {
        let mut name = Vec::with_capacity(LONGEST_ESCAPED);
        match push_unescaped(&mut name, inner) {
            Ok(()) if !name.contains(&b'\\') => Self::called(&name),
            _ => Self::Other,
        }
    }
}

/// Whether a value is a number in `0..limit`, for JavaScript: `0.5` and `-0` are.
fn is_below(scalar: &[u8], limit: u32) -> bool {
    let is_number = matches!(scalar, [b'-' | b'0'..=b'9', ..]);
    let number = str::from_utf8(scalar).ok().filter(|_| is_number).and_then(|number| number.parse::<f64>().ok());
    number.is_some_and(|number| number >= 0.0 && number < f64::from(limit))
}

/// `_placeholder` with each of its characters escaped as `\uXXXX`.
const LONGEST_ESCAPED: usize = 6 * "_placeholder".len();
