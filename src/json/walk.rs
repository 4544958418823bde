//! A JSON text taken apart step by step, for the few questions that concern all of it. No tree, no recursion, no
//! allocation; the text is checked on the way.

use super::scan::{Invalid, MAX_DEPTH, Scanner};

/// What comes next in a text.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Step<'t> {
    /// An object begins. Its members follow, each a [`Name`](Self::Name) and a value, then an [`End`](Self::End).
    Object,
    /// An array begins. Its elements follow, then an [`End`](Self::End).
    Array,
    /// The innermost object or array ends.
    End,
    /// The name of a member: what stands between its quotes, escapes and all.
    Name(&'t [u8]),
    /// A string in its quotes, a number, `true`, `false` or `null`.
    Scalar(&'t [u8]),
}

/// The text is not one JSON value, or arrays and objects are more than 127 deep.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotJson;

impl From<Invalid> for NotJson {
    fn from(_: Invalid) -> Self {
        Self
    }
}

/// A walk over one text. After an error it means nothing.
#[derive(Debug)]
pub struct Walk<'t> {
    ahead: Scanner<'t>,
    /// Open arrays and objects; invariant: `≤ MAX_DEPTH`.
    depth: u32,
    /// One bit for each of them, the innermost lowest: 1 is an object.
    objects: u128,
    place: Place,
}

/// Where in the grammar a walk is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    /// A value must follow.
    Value,
    /// An array or object has begun.
    Opened,
    /// A value has ended.
    Ended,
}

/// Starts at the beginning of `text`.
#[must_use]
pub fn walk(text: &[u8]) -> Walk<'_> {
    Walk { ahead: Scanner::new(text), depth: 0, objects: 0, place: Place::Value }
}

impl<'t> Walk<'t> {
    /// Takes the next step: `None` behind the last one.
    ///
    /// # Errors
    /// [`NotJson`] where the text turns out not to be JSON.
    pub fn step(&mut self) -> Result<Option<Step<'t>>, NotJson> {
        let is_object = self.objects & 1 == 1;
        // Whether a member or element follows, and not the end of what it would be in.
        let goes_on = match self.place {
            Place::Value => return self.value().map(Some),
            Place::Ended if self.depth == 0 => return Ok(self.ahead.end().map(|()| None)?),
            Place::Ended => self.ahead.accept(b','),
            Place::Opened => !matches!(self.ahead.peek(), b'}' | b']'),
        };
        if goes_on && is_object {
            self.place = Place::Value;
            return Ok(Some(Step::Name(self.ahead.name()?)));
        }
        if goes_on {
            return self.value().map(Some);
        }
        if !self.ahead.accept(if is_object { b'}' } else { b']' }) {
            return Err(NotJson);
        }
        self.depth -= 1;
        self.objects >>= 1;
        self.place = Place::Ended;
        Ok(Some(Step::End))
    }

    fn value(&mut self) -> Result<Step<'t>, NotJson> {
        let first = self.ahead.peek();
        let is_object = first == b'{';
        if !is_object && first != b'[' {
            self.place = Place::Ended;
            return Ok(Step::Scalar(self.ahead.value(0)?));
        }
        self.ahead.accept(first);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(NotJson);
        }
        self.objects = self.objects << 1 | u128::from(is_object);
        self.place = Place::Opened;
        Ok(if is_object { Step::Object } else { Step::Array })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    fn steps(text: &[u8]) -> Result<Vec<Step<'_>>, NotJson> {
        let mut walk = walk(text);
        std::iter::from_fn(|| walk.step().transpose()).collect()
    }

    /// Puts a text together again from its steps.
    fn rebuilt(steps: &[Step<'_>]) -> String {
        let mut out = String::new();
        let mut open = Vec::new();
        for step in steps {
            if !matches!(step, Step::End) && matches!(out.chars().last(), Some('0'..='9' | '"' | '}' | ']' | 'e' | 'l'))
            {
                out.push(',');
            }
            match step {
                Step::Object => (out.push('{'), open.push('}')).1,
                Step::Array => (out.push('['), open.push(']')).1,
                Step::End => out.push(open.pop().unwrap()),
                Step::Name(name) => out.push_str(&format!("\"{}\":", str::from_utf8(name).unwrap())),
                Step::Scalar(scalar) => out.push_str(str::from_utf8(scalar).unwrap()),
            }
        }
        assert!(open.is_empty());
        out
    }

    #[test]
    fn every_kind_of_step_is_taken() {
        use Step::{Array, End, Name, Object, Scalar};
        let text = br#" {"a" : [1 ,{ }, []], "\n":"b\"" } "#;
        let expected = [
            Object,
            Name(b"a"),
            Array,
            Scalar(b"1"),
            Object,
            End,
            Array,
            End,
            End,
            Name(br"\n"),
            Scalar(br#""b\"""#),
            End,
        ];
        assert_eq!(steps(text).unwrap(), expected);
        assert_eq!(steps(b"null").unwrap(), [Scalar(b"null")]);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for text in [
            "",
            " ",
            "{",
            "[",
            "]",
            "}",
            "[}",
            "{]",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{1:2}",
            "[1 2]",
            "1 2",
            "[],",
            "{\"a\":}",
            "[,1]",
            "tru",
            "\"a",
            "[1}",
            "{\"a\":1]",
            "{,}",
        ] {
            assert_eq!(steps(text.as_bytes()), Err(NotJson), "{text}");
        }
    }

    #[test]
    fn depth_has_the_limit_of_the_scanner() {
        let deep = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
        assert_eq!(steps(deep(127).as_bytes()).unwrap().len(), 255);
        assert_eq!(steps(deep(128).as_bytes()), Err(NotJson));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,8}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-z\"\\\\]{0,3}", inner, 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn steps_say_all_that_the_text_says(value in json(), pretty: bool) {
            let text = if pretty { format!("{value:#}") } else { value.to_string() };
            prop_assert_eq!(rebuilt(&steps(text.as_bytes()).unwrap()), value.to_string());
        }

        #[test]
        fn agrees_with_serde_json_on_what_is_json(text in r#"([\[\]{},:1 ]|"a"|true){0,12}"#) {
            let is_json = serde_json::from_str::<Value>(&text).is_ok();
            prop_assert_eq!(steps(text.as_bytes()).is_ok(), is_json);
        }
    }
}
