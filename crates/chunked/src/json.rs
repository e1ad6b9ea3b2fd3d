//! JSON as Python writes it, and JSON from strangers kept within bounds.

use std::io::{self, Read};

/// The longest string or number taken: a volume's metadata is the longest there is.
const TOKEN_LIMIT: usize = 4 << 20;

/// Hands a text on as long as it keeps to `limit` bytes and to tokens that fit the memory,
/// so that whoever parses it as a stream needs no more than one token's room.
pub(crate) struct Guard<R> {
    inner: R,
    left: u64,
    token: usize,
    in_string: bool,
    escaped: bool,
}

impl<R: Read> Guard<R> {
    pub(crate) fn new(inner: R, limit: u64) -> Self {
        Self {
            inner,
            left: limit,
            token: 0,
            in_string: false,
            escaped: false,
        }
    }

    fn check(&mut self, bytes: &[u8]) -> io::Result<()> {
        for &byte in bytes {
            if self.in_string {
                self.token += 1;
                match byte {
                    _ if self.escaped => self.escaped = false,
                    b'\\' => self.escaped = true,
                    b'"' => (self.in_string, self.token) = (false, 0),
                    _ => {}
                }
            } else {
                match byte {
                    b'"' => (self.in_string, self.token) = (true, 0),
                    b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'[' | b']' | b'{' | b'}' => {
                        self.token = 0;
                    }
                    _ => self.token += 1,
                }
            }
            if self.token > TOKEN_LIMIT {
                return Err(io::Error::other(format!(
                    "a string or number is longer than {TOKEN_LIMIT} bytes"
                )));
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Guard<R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buf)?;
        self.left = self.left.checked_sub(read as u64).ok_or_else(|| {
            io::Error::other("the text is longer than is read of one description")
        })?;
        self.check(&buf[..read])?;
        Ok(read)
    }
}

/// Appends a string as Python's `json.dumps` writes it: ASCII, the rest in UTF-16 escapes.
pub(crate) fn push_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
        }
    }
    out.push('"');
}

/// Appends a string or `null`.
pub(crate) fn push_optional(out: &mut String, text: Option<&str>) {
    match text {
        Some(text) => push_string(out, text),
        None => out.push_str("null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_are_pythons() {
        for (text, want) in [
            ("plain ~", r#""plain ~""#),
            ("\"\\\n\r\t\u{8}\u{c}", r#""\"\\\n\r\t\b\f""#),
            ("\u{0}\u{1f}\u{7f}", r#""\u0000\u001f\u007f""#),
            ("é☃😀", r#""\u00e9\u2603\ud83d\ude00""#),
        ] {
            let mut out = String::new();
            push_string(&mut out, text);
            assert_eq!(out, want);
        }
    }

    #[test]
    fn bounds_hold() {
        let long = format!("[\"{}\"]", "x".repeat(TOKEN_LIMIT + 1));
        let number = "1".repeat(TOKEN_LIMIT + 1);
        let many = format!("[{}1]", "1,".repeat(TOKEN_LIMIT));
        let escapes = format!("[\"{}\\\"\", \"{}\"]", "x".repeat(TOKEN_LIMIT - 9), "y");
        for (what, text, limit, fits) in [
            ("a long string", &long, u64::MAX, false),
            ("a long number", &number, u64::MAX, false),
            ("many short ones", &many, u64::MAX, true),
            ("just fitting", &escapes, u64::MAX, true),
            ("too much in all", &many, 1000, false),
        ] {
            let read = Guard::new(text.as_bytes(), limit).read_to_end(&mut Vec::new());
            assert_eq!(read.is_ok(), fits, "{what}");
        }
    }
}
