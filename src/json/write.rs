//! A JSON text written from left to right, without a tree: values in the order of the calls, commas by themselves.

use super::escape::push_string;

/// Appends JSON to a vector. Who calls it closes what it opens and puts a [`name`](Self::name) before each value of an
/// object: nothing here checks that.
#[derive(Debug)]
pub struct Writer<'o> {
    out: &'o mut Vec<u8>,
}

impl<'o> Writer<'o> {
    /// Appends to `out`.
    pub fn new(out: &'o mut Vec<u8>) -> Self {
        Self { out }
    }

    /// Writes an object, whose members `write` writes.
    pub fn object(&mut self, write: impl FnOnce(&mut Self)) {
        self.between(b'{', b'}', write);
    }

    /// Writes an array, whose items `write` writes.
    pub fn array(&mut self, write: impl FnOnce(&mut Self)) {
        self.between(b'[', b']', write);
    }

    /// Writes the name of the member whose value comes next.
    pub fn name(&mut self, name: &str) -> &mut Self {
        self.separate();
        push_string(self.out, name);
        self.out.push(b':');
        self
    }

    /// Writes a string.
    pub fn string(&mut self, text: &str) {
        self.separate();
        push_string(self.out, text);
    }

    /// Writes a number. Beyond 2^53 a browser rounds it.
    pub fn number(&mut self, number: u64) {
        self.word(&number.to_string());
    }

    /// Writes `true` or `false`.
    pub fn boolean(&mut self, value: bool) {
        self.word(if value { "true" } else { "false" });
    }

    /// Writes a string, or `null` where there is none.
    pub fn string_or_null(&mut self, text: Option<&str>) {
        match text {
            Some(text) => self.string(text),
            None => self.word("null"),
        }
    }

    fn word(&mut self, word: &str) {
        self.separate();
        self.out.extend_from_slice(word.as_bytes());
    }

    fn between(&mut self, open: u8, close: u8, write: impl FnOnce(&mut Self)) {
        self.separate();
        self.out.push(open);
        write(self);
        self.out.push(close);
    }

    /// A value needs a comma before it unless it is the first of its kind: a complete value never ends in these.
    fn separate(&mut self) {
        if !matches!(self.out.last(), None | Some(b'{' | b'[' | b':')) {
            self.out.push(b',');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_separated_wherever_they_stand() {
        let mut out = Vec::new();
        let mut json = Writer::new(&mut out);
        json.object(|json| {
            json.name("a{").array(|json| {
                json.string("x[");
                json.string("y:");
                json.array(|_| {});
                json.object(|_| {});
                json.number(u64::MAX);
                json.boolean(true);
                json.string_or_null(None);
                json.string_or_null(Some("null"));
            });
            json.name("\"\n").object(|json| json.name("b").boolean(false));
            json.name("c").string("\u{202e}<script>");
        });
        let expected = "{\"a{\":[\"x[\",\"y:\",[],{},18446744073709551615,true,null,\"null\"],\"\\\"\\n\":{\"b\":false},\
                        \"c\":\"\u{202e}<script>\"}";
        assert_eq!(String::from_utf8(out).expect("UTF-8"), expected);
        assert!(serde_json::from_str::<serde_json::Value>(expected).is_ok());
    }
}
