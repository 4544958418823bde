//! The elements of a JSON array, as spans of the text they stand in.
//!
//! [`list`] takes the brackets off, [`elements`] walks over what stood between them. One element is scanned when it is
//! asked for, so the rest of a list can be passed on unseen. Nothing is allocated.

use std::iter::FusedIterator;

use super::scan::{MAX_DEPTH, Scanner};

/// What stands between the brackets of an array: its elements and their commas, without white space around them.
/// `None` for a value of another kind.
#[inline]
#[must_use]
pub fn list(array: &[u8]) -> Option<&[u8]> {
    Some(array.strip_prefix(b"[")?.strip_suffix(b"]")?.trim_ascii())
}

/// The elements of a list without brackets, in order. Each is the exact bytes that were sent, without the white space
/// around it.
///
/// The list should be part of a text that was checked: at what is not JSON the elements just end.
#[inline]
#[must_use]
pub fn elements(list: &[u8]) -> Elements<'_> {
    Elements { ahead: Scanner::new(list), is_first: true }
}

/// See [`elements`].
#[derive(Debug)]
pub struct Elements<'t> {
    ahead: Scanner<'t>,
    is_first: bool,
}

impl<'t> Elements<'t> {
    /// The elements that were not taken yet, as a list of their own.
    #[inline]
    #[must_use]
    pub fn rest(mut self) -> &'t [u8] {
        if !self.is_first && !self.ahead.accept(b',') {
            return &[];
        }
        self.ahead.rest().trim_ascii()
    }
}

impl<'t> Iterator for Elements<'t> {
    type Item = &'t [u8];

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if !self.is_first && !self.ahead.accept(b',') {
            return None;
        }
        self.is_first = false;
        let element = self.ahead.value(MAX_DEPTH - 1).ok();
        if element.is_none() {
            *self = elements(&[]);
        }
        element
    }
}

impl FusedIterator for Elements<'_> {}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &str) -> Vec<&str> {
        elements(list.as_bytes()).map(|element| str::from_utf8(element).unwrap()).collect()
    }

    #[test]
    fn only_arrays_have_a_list() {
        assert_eq!(list(b"[]"), Some(&b""[..]));
        assert_eq!(list(b"[ 1 , 2 ]"), Some(&b"1 , 2"[..]));
        for value in ["", "[", "]", "{}", "1", "\"[]\"", "null"] {
            assert_eq!(list(value.as_bytes()), None, "{value}");
        }
    }

    #[test]
    fn elements_are_the_bytes_that_were_sent() {
        assert_eq!(texts(""), [""; 0]);
        assert_eq!(texts("1"), ["1"]);
        assert_eq!(
            texts(" 1 ,\n[2, 3] ,{\"a\" : [4]},\"5,\\\"]\", null"),
            ["1", "[2, 3]", "{\"a\" : [4]}", "\"5,\\\"]\"", "null"]
        );
        assert_eq!(texts("1e999,-0.0,123456789012345678901234567890").len(), 3);
    }

    #[test]
    fn the_rest_is_what_was_not_taken() {
        let mut walk = elements(b" \"a\" , [1] ,2 ");
        assert_eq!(walk.next(), Some(&b"\"a\""[..]));
        assert_eq!(walk.rest(), b"[1] ,2");
        assert_eq!(elements(b" 1, 2 ").rest(), b"1, 2");
        let mut walk = elements(b"1");
        walk.next();
        assert_eq!(walk.rest(), b"");
        let mut walk = elements(b"1");
        assert_eq!(walk.by_ref().count(), 1);
        assert_eq!(walk.rest(), b"");
    }

    #[test]
    fn what_is_no_list_ends() {
        assert_eq!(texts(","), [""; 0]);
        assert_eq!(texts("1,"), ["1"]);
        assert_eq!(texts("1,,2"), ["1"]);
        assert_eq!(texts("1 2,3"), ["1"]);
        assert_eq!(texts("1,[2"), ["1"]);
        let mut walk = elements(b"1,x,2");
        assert_eq!(walk.by_ref().count(), 1);
        assert_eq!(walk.next(), None);
    }

    #[test]
    fn an_element_may_be_as_deep_as_its_array_allows() {
        let deep = |levels: usize| format!("{}{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(texts(&deep(126)).len(), 1);
        assert_eq!(texts(&deep(127)).len(), 0);
    }
}
