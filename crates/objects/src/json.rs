//! JSON as Python's `json` module reads and writes it.
//!
//! Not a general JSON library: it keeps the order of keys, takes `NaN`, lets the last of two equal
//! keys win and escapes as Python does, because records and primitives are compared as text.
//! Nesting and the length of numbers are bounded, so that no input exhausts the stack.
//! Half of a surrogate pair, which Python keeps and no UTF-8 text can hold, reads as U+FFFD.

mod parse;

use std::collections::HashMap;
use std::fmt::Write as _;

use crate::python::{MAX_INT_DIGITS, float_repr};

/// Lists and dicts may be nested this deep; Python gives up somewhat later.
pub const MAX_DEPTH: usize = 400;

/// A JSON value.
#[derive(Debug, Clone, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without point or exponent.
    Int(i128),
    /// A number without point or exponent that is longer: its digits, with a `-` if negative.
    Huge(Box<str>),
    /// Any other number, `NaN` and the infinities among them.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Json>),
    /// An object.
    Dict(Dict),
}

/// A JSON object: keys are unique and keep their order, which equality ignores.
#[derive(Debug, Clone, Default)]
pub struct Dict(Vec<(String, Json)>);

/// What is wrong with a text that should be JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text breaks the grammar.
    #[error("not JSON at byte {offset}")]
    Syntax {
        /// Where.
        offset: usize,
    },
    /// Lists and dicts are nested too deep.
    #[error("nested more than {MAX_DEPTH} levels deep")]
    TooDeep,
    /// An integer has too many digits.
    #[error("an integer of more than {MAX_INT_DIGITS} digits")]
    TooLong,
}

impl Json {
    /// Reads one value; blanks around it are fine, anything else is not.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        parse::parse(text)
    }

    /// Returns the text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// Returns the dict, if it is one.
    pub fn as_dict(&self) -> Option<&Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// Returns the dict, if it is one.
    pub fn as_dict_mut(&mut self) -> Option<&mut Dict> {
        match self {
            Self::Dict(dict) => Some(dict),
            _ => None,
        }
    }

    /// Returns the list, if it is one.
    pub fn as_list(&self) -> Option<&[Self]> {
        match self {
            Self::List(list) => Some(list),
            _ => None,
        }
    }

    /// Returns the value under a key, if this is a dict that has it.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.as_dict().and_then(|dict| dict.get(key))
    }

    fn write(&self, out: &mut String) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Int(value) => {
                let _ = write!(out, "{value}");
            }
            Self::Huge(digits) => out.push_str(digits),
            Self::Float(value) if value.is_nan() => out.push_str("NaN"),
            Self::Float(value) if value.is_infinite() => {
                out.push_str(if *value > 0.0 {
                    "Infinity"
                } else {
                    "-Infinity"
                });
            }
            Self::Float(value) => out.push_str(&float_repr(*value)),
            Self::Text(text) => write_text(text, out),
            Self::List(list) => {
                out.push('[');
                for (n, item) in list.iter().enumerate() {
                    if n > 0 {
                        out.push_str(", ");
                    }
                    item.write(out);
                }
                out.push(']');
            }
            Self::Dict(dict) => {
                out.push('{');
                for (n, (key, item)) in dict.0.iter().enumerate() {
                    if n > 0 {
                        out.push_str(", ");
                    }
                    write_text(key, out);
                    out.push_str(": ");
                    item.write(out);
                }
                out.push('}');
            }
        }
    }
}

/// Writes the value with Python's default separators and escapes: ASCII only.
impl std::fmt::Display for Json {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut out = String::new();
        self.write(&mut out);
        f.write_str(&out)
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<bool> for Json {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Json {
    fn from(value: i64) -> Self {
        Self::Int(value.into())
    }
}

impl Dict {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value under a key.
    pub fn get(&self, key: &str) -> Option<&Json> {
        self.0.iter().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Returns the value under a key.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Json> {
        self.0.iter_mut().find(|(k, _)| k == key).map(|(_, v)| v)
    }

    /// Sets a value; a key that is there keeps its place.
    pub fn insert(&mut self, key: impl Into<String>, value: impl Into<Json>) {
        let key = key.into();
        let value = value.into();
        match self.get_mut(&key) {
            Some(slot) => *slot = value,
            None => self.0.push((key, value)),
        }
    }

    /// Takes a key out.
    pub fn remove(&mut self, key: &str) -> Option<Json> {
        let at = self.0.iter().position(|(k, _)| k == key)?;
        Some(self.0.remove(at).1)
    }

    /// Runs over keys and values in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value))
    }

    /// Runs over values, to change them.
    pub fn values_mut(&mut self) -> impl Iterator<Item = (&str, &mut Json)> {
        self.0.iter_mut().map(|(key, value)| (key.as_str(), value))
    }

    /// Returns how many keys there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Dict {
    fn eq(&self, other: &Self) -> bool {
        if self.len() != other.len() {
            return false;
        }
        let theirs: HashMap<&str, &Json> = other.iter().collect();
        self.iter()
            .all(|(key, value)| theirs.get(key) == Some(&value))
    }
}

impl FromIterator<(String, Json)> for Dict {
    /// The last of two equal keys wins and takes the place of the first.
    fn from_iter<I: IntoIterator<Item = (String, Json)>>(pairs: I) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut entries: Vec<(String, Json)> = Vec::new();
        for (key, value) in pairs {
            match places.get(&key) {
                Some(place) => entries[*place].1 = value,
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, value));
                }
            }
        }
        Self(entries)
    }
}

impl IntoIterator for Dict {
    type Item = (String, Json);
    type IntoIter = std::vec::IntoIter<(String, Json)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

fn write_text(text: &str, out: &mut String) {
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
            c => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_python_reads() {
        for (text, want) in [
            (" {\"b\":1,\"a\":2,\"b\":3}\n", r#"{"b": 3, "a": 2}"#),
            (
                "[NaN, Infinity,-Infinity, 1e400]",
                "[NaN, Infinity, -Infinity, Infinity]",
            ),
            ("[-0, -0.0, 1E+5, -1.5E-3]", "[0, -0.0, 100000.0, -0.0015]"),
            (
                r#""\ud83d\udcbe\u00e9\/\b\u007f""#,
                r#""\ud83d\udcbe\u00e9/\b\u007f""#,
            ),
            (
                "1234567890123456789012345678901234567890123",
                "1234567890123456789012345678901234567890123",
            ),
            (r#""\ud83d""#, r#""\ufffd""#),
            (
                r#""\ud83d\n\udcbe\ud83d\ud83d\udcbe\ud83d\u0041""#,
                r#""\ufffd\n\ufffd\ufffd\ud83d\udcbe\ufffdA""#,
            ),
            ("{}", "{}"),
            ("[[], {}]", "[[], {}]"),
        ] {
            assert_eq!(
                Json::parse(text).map(|json| json.to_string()).as_deref(),
                Ok(want),
                "{text}"
            );
        }
    }

    #[test]
    fn what_python_refuses() {
        for text in [
            "",
            "  ",
            "01",
            "1.",
            ".5",
            "+1",
            "-",
            "- 1",
            "1e",
            "1e+",
            "0x1",
            "1_0",
            "nan",
            "True",
            "nul",
            "[1,]",
            "{\"a\":1,}",
            "{1:2}",
            "{'a':1}",
            "[1 2]",
            "1 2",
            "{\"a\" 1}",
            "{\"a\":}",
            "[",
            "{",
            "\"",
            "\"a\nb\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud83d\\u12\"",
            "\u{feff}1",
            "\u{a0}1",
            "-Inf",
        ] {
            assert!(
                matches!(Json::parse(text), Err(JsonError::Syntax { .. })),
                "{text:?}"
            );
        }
    }

    #[test]
    fn bounds() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(Json::parse(&nested(MAX_DEPTH + 1)), Err(JsonError::TooDeep));
        assert_eq!(
            Json::parse(&"[{\"a\":".repeat(1_000_000)),
            Err(JsonError::TooDeep)
        );
        assert!(Json::parse(&"9".repeat(MAX_INT_DIGITS)).is_ok());
        assert_eq!(
            Json::parse(&"9".repeat(MAX_INT_DIGITS + 1)),
            Err(JsonError::TooLong)
        );
    }

    #[test]
    fn equality_ignores_order() {
        assert_eq!(
            Json::parse(r#"{"a":1,"b":2}"#),
            Json::parse(r#"{"b":2,"a":1}"#)
        );
        assert_ne!(Json::parse(r#"{"a":1}"#), Json::parse(r#"{"b":1}"#));
    }
}
