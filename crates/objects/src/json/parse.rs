//! Reading.

use crate::python::MAX_INT_DIGITS;

use super::{Dict, Json, JsonError, MAX_DEPTH};

pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let mut parser = Parser { text, at: 0 };
    parser.skip_blanks();
    let value = parser.value(0)?;
    parser.skip_blanks();
    if parser.at < text.len() {
        return Err(parser.syntax());
    }
    Ok(value)
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn syntax(&self) -> JsonError {
        JsonError::Syntax { offset: self.at }
    }

    fn rest(&self) -> &str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, word: &str) -> bool {
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Json, JsonError> {
        match self.peek() {
            Some(b'{') => self.dict(depth + 1),
            Some(b'[') => self.list(depth + 1),
            Some(b'"') => Ok(Json::Text(self.string()?)),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Json, JsonError> {
        for (word, value) in [
            ("null", Json::Null),
            ("true", Json::Bool(true)),
            ("false", Json::Bool(false)),
            ("NaN", Json::Float(f64::NAN)),
            ("Infinity", Json::Float(f64::INFINITY)),
        ] {
            if self.take(word) {
                return Ok(value);
            }
        }
        Err(self.syntax())
    }

    fn list(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        let mut items = Vec::new();
        self.skip_blanks();
        if self.take("]") {
            return Ok(Json::List(items));
        }
        loop {
            self.skip_blanks();
            items.push(self.value(depth)?);
            self.skip_blanks();
            if self.take("]") {
                return Ok(Json::List(items));
            }
            if !self.take(",") {
                return Err(self.syntax());
            }
        }
    }

    fn dict(&mut self, depth: usize) -> Result<Json, JsonError> {
        if depth > MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        self.at += 1;
        let mut pairs = Vec::new();
        self.skip_blanks();
        if self.take("}") {
            return Ok(Json::Dict(Dict::new()));
        }
        loop {
            self.skip_blanks();
            if self.peek() != Some(b'"') {
                return Err(self.syntax());
            }
            let key = self.string()?;
            self.skip_blanks();
            if !self.take(":") {
                return Err(self.syntax());
            }
            self.skip_blanks();
            pairs.push((key, self.value(depth)?));
            self.skip_blanks();
            if self.take("}") {
                return Ok(Json::Dict(pairs.into_iter().collect()));
            }
            if !self.take(",") {
                return Err(self.syntax());
            }
        }
    }

    fn string(&mut self) -> Result<String, JsonError> {
        self.at += 1;
        let mut out = String::new();
        loop {
            let plain = self
                .rest()
                .find(|c: char| c == '"' || c == '\\' || c < ' ')
                .ok_or_else(|| self.syntax())?;
            out.push_str(&self.rest()[..plain]);
            self.at += plain;
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.escape()?),
                _ => return Err(self.syntax()),
            }
        }
    }

    fn escape(&mut self) -> Result<char, JsonError> {
        self.at += 1;
        let plain = match self.peek() {
            Some(b'u') => return self.unicode_escape(),
            Some(c @ (b'"' | b'\\' | b'/')) => char::from(c),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            _ => return Err(self.syntax()),
        };
        self.at += 1;
        Ok(plain)
    }

    fn unicode_escape(&mut self) -> Result<char, JsonError> {
        let first = self.code_unit()?;
        let after_first = self.at;
        let pair = if (0xd800..0xdc00).contains(&first) && self.take("\\") {
            self.code_unit().ok().map(|second| [first, second])
        } else {
            None
        };
        if let Some(Ok(c)) = pair.and_then(|pair| char::decode_utf16(pair).next()) {
            return Ok(c);
        }
        self.at = after_first;
        Ok(char::from_u32(first.into()).unwrap_or(char::REPLACEMENT_CHARACTER))
    }

    fn code_unit(&mut self) -> Result<u16, JsonError> {
        let digits = self.rest().get(1..5).filter(|digits| {
            self.peek() == Some(b'u') && digits.bytes().all(|b| b.is_ascii_hexdigit())
        });
        let unit = digits
            .and_then(|digits| u16::from_str_radix(digits, 16).ok())
            .ok_or_else(|| self.syntax())?;
        self.at += 5;
        Ok(unit)
    }

    fn digits(&mut self) -> usize {
        let from = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - from
    }

    fn number(&mut self) -> Result<Json, JsonError> {
        let from = self.at;
        if self.take("-") && self.take("Infinity") {
            return Ok(Json::Float(f64::NEG_INFINITY));
        }
        if !self.take("0") && self.digits() == 0 {
            return Err(self.syntax());
        }
        let whole_ends = self.at;
        // A point or an exponent without digits belongs to what follows, which is then refused there.
        if self.take(".") && self.digits() == 0 {
            self.at = whole_ends;
        }
        let fraction_ends = self.at;
        if self.take("e") || self.take("E") {
            let _ = self.take("-") || self.take("+");
            if self.digits() == 0 {
                self.at = fraction_ends;
            }
        }
        let number = &self.text[from..self.at];
        if self.at > whole_ends {
            return number
                .parse()
                .map(Json::Float)
                .map_err(|_| JsonError::Syntax { offset: from });
        }
        if let Ok(value) = number.parse() {
            return Ok(Json::Int(value));
        }
        if number.trim_start_matches('-').len() > MAX_INT_DIGITS {
            return Err(JsonError::TooLong);
        }
        Ok(Json::Huge(number.into()))
    }
}
