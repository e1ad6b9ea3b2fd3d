//! Reading a body field by field, so that a refusal can name the field.

use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;

use emberkeep_model::Tag;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::code::Code;

/// A request that is refused for what it says, whatever there is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refused {
    /// What it is called.
    pub code: Code,
    /// What is wrong, naming the field.
    pub message: String,
}

impl Refused {
    /// A field may not be like this.
    pub(super) fn field(field: impl Display, reason: impl Display) -> Self {
        Self {
            code: Code::BadParameter,
            message: format!("{field}: {reason}"),
        }
    }
}

/// Reads a UUID with dashes; the other spellings of one are no ids here.
pub fn uuid<Id: FromStr>(field: &str, text: &str) -> Result<Id, Refused> {
    let dashed = text.len() == 36;
    text.parse()
        .ok()
        .filter(|_| dashed)
        .ok_or_else(|| Refused::field(field, format_args!("'{}' is not a UUID", short(text))))
}

/// What is shown of a text that may be of any length.
pub(super) fn short(text: &str) -> String {
    text.chars().take(64).collect()
}

/// Reads the bytes of a body as a JSON object.
pub(super) fn body(bytes: &[u8]) -> Result<Map<String, Value>, Refused> {
    match serde_json::from_slice(bytes) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(_) => Err(Refused::field("body", "must be a JSON object")),
        Err(error) => Err(Refused::field("body", format_args!("is not JSON: {error}"))),
    }
}

/// What a text may hold.
#[derive(Debug, Clone, Copy)]
pub(super) enum Text {
    /// Names of vaults, checkpoints and backups.
    Name,
    /// Free text of at most so many characters, without `<` and `>`.
    Free(usize),
    /// Any characters, at least one, at most so many.
    Filled(usize),
    /// Any characters, at most so many.
    Any(usize),
    /// The key of a tag.
    TagKey,
    /// The value of a tag.
    TagValue,
}

impl Text {
    /// Returns what is wrong with `text`, if something is.
    fn objection(self, text: &str) -> Option<String> {
        let length = text.chars().count();
        let (least, most) = match self {
            Self::Name => (1, 64),
            Self::Free(most) | Self::Any(most) => (0, most),
            Self::Filled(most) => (1, most),
            Self::TagKey => (1, 36),
            Self::TagValue => (0, 43),
        };
        if !(least..=most).contains(&length) {
            return Some(format!("must be {least} to {most} characters long"));
        }
        let word = |c: char| {
            c.is_ascii_alphanumeric()
                || c == '-'
                || c == '_'
                || ('\u{4e00}'..='\u{9fff}').contains(&c)
        };
        match self {
            Self::Name | Self::TagKey if !text.chars().all(word) => {
                Some("may hold only letters, digits, '_' and '-'".to_owned())
            }
            Self::TagValue if !text.chars().all(|c| word(c) || c == '.') => {
                Some("may hold only letters, digits, '_', '-' and '.'".to_owned())
            }
            Self::Free(_) if text.contains(['<', '>']) => {
                Some("may not hold '<' or '>'".to_owned())
            }
            Self::Name
            | Self::TagKey
            | Self::TagValue
            | Self::Free(_)
            | Self::Filled(_)
            | Self::Any(_) => None,
        }
    }
}

/// The fields of one object of a body. `null` is as good as absent everywhere.
#[derive(Debug, Clone)]
pub(super) struct Fields<'a> {
    path: String,
    map: &'a Map<String, Value>,
}

impl<'a> Fields<'a> {
    /// The outermost object.
    pub(super) fn top(map: &'a Map<String, Value>) -> Self {
        Self {
            path: String::new(),
            map,
        }
    }

    /// The object that wraps the whole request.
    pub(super) fn wrapped(map: &'a Map<String, Value>, key: &str) -> Result<Self, Refused> {
        let top = Self::top(map);
        top.object(key)?.ok_or_else(|| top.missing(key))
    }

    /// One item of a list.
    pub(super) fn item(value: &'a Value, path: String) -> Result<Self, Refused> {
        match value {
            Value::Object(map) => Ok(Self { path, map }),
            _ => Err(Refused::field(path, "must be an object")),
        }
    }

    /// Returns the field's full name.
    pub(super) fn at(&self, name: &str) -> String {
        if self.path.is_empty() {
            name.to_owned()
        } else {
            format!("{}.{name}", self.path)
        }
    }

    /// Refuses for `name` being absent.
    pub(super) fn missing(&self, name: &str) -> Refused {
        Refused::field(self.at(name), "is required")
    }

    /// Refuses `name` for a reason of the caller's.
    pub(super) fn refuse(&self, name: &str, reason: impl Display) -> Refused {
        Refused::field(self.at(name), reason)
    }

    /// Returns the value of `name`, if there is one.
    pub(super) fn value(&self, name: &str) -> Option<&'a Value> {
        self.map.get(name).filter(|value| !value.is_null())
    }

    /// Reads a text.
    pub(super) fn text(&self, name: &str, rule: Text) -> Result<Option<String>, Refused> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::String(text)) => match rule.objection(text) {
                None => Ok(Some(text.clone())),
                Some(objection) => Err(self.refuse(name, objection)),
            },
            Some(_) => Err(self.refuse(name, "must be a string")),
        }
    }

    /// Reads a text that must be there.
    pub(super) fn wanted(&self, name: &str, rule: Text) -> Result<String, Refused> {
        self.text(name, rule)?.ok_or_else(|| self.missing(name))
    }

    /// Reads what is of no use here: kept if it has its form, let pass if it has not.
    pub(super) fn unused<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        T::deserialize(self.value(name)?).ok()
    }

    /// Reads a boolean.
    pub(super) fn flag(&self, name: &str) -> Result<Option<bool>, Refused> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(self.refuse(name, "must be true or false")),
        }
    }

    /// Reads a whole number.
    pub(super) fn whole(
        &self,
        name: &str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Refused> {
        let Some(value) = self.value(name) else {
            return Ok(None);
        };
        let number = value
            .as_i64()
            .ok_or_else(|| self.refuse(name, "must be a whole number"))?;
        if range.contains(&number) {
            return Ok(Some(number));
        }
        let (from, to) = range.into_inner();
        Err(self.refuse(name, format_args!("must be {from} to {to}")))
    }

    /// Reads a UUID.
    pub(super) fn id<Id: FromStr>(&self, name: &str) -> Result<Option<Id>, Refused> {
        self.text(name, Text::Any(usize::MAX))?
            .map(|text| uuid(&self.at(name), &text))
            .transpose()
    }

    /// Reads one of `words`.
    pub(super) fn choice(
        &self,
        name: &str,
        words: &[&'static str],
    ) -> Result<Option<&'static str>, Refused> {
        let Some(text) = self.text(name, Text::Any(usize::MAX))? else {
            return Ok(None);
        };
        words
            .iter()
            .find(|word| **word == text)
            .copied()
            .map(Some)
            .ok_or_else(|| {
                let known = words.join(", ");
                self.refuse(name, format_args!("'{}' is none of: {known}", short(&text)))
            })
    }

    /// Reads an object.
    pub(super) fn object(&self, name: &str) -> Result<Option<Self>, Refused> {
        self.value(name)
            .map(|value| Self::item(value, self.at(name)))
            .transpose()
    }

    /// Reads a list.
    pub(super) fn list(&self, name: &str) -> Result<Option<&'a [Value]>, Refused> {
        match self.value(name) {
            None => Ok(None),
            Some(Value::Array(items)) => Ok(Some(items)),
            Some(_) => Err(self.refuse(name, "must be an array")),
        }
    }

    /// Reads a list of objects.
    pub(super) fn objects(&self, name: &str) -> Result<Option<Vec<Self>>, Refused> {
        let Some(items) = self.list(name)? else {
            return Ok(None);
        };
        let read = |(n, value)| Self::item(value, format!("{}[{n}]", self.at(name)));
        items
            .iter()
            .enumerate()
            .map(read)
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// Reads a list of texts, each kept once.
    pub(super) fn texts(&self, name: &str) -> Result<Option<Vec<String>>, Refused> {
        let Some(items) = self.list(name)? else {
            return Ok(None);
        };
        let mut seen = std::collections::HashSet::new();
        let mut texts = Vec::with_capacity(items.len());
        for (n, item) in items.iter().enumerate() {
            match item.as_str() {
                Some(text) if !text.is_empty() => {
                    if seen.insert(text) {
                        texts.push(text.to_owned());
                    }
                }
                _ => {
                    let at = format!("{}[{n}]", self.at(name));
                    return Err(Refused::field(at, "must be a string that is not empty"));
                }
            }
        }
        Ok(Some(texts))
    }

    /// Reads the tags in the list `name`: unique keys, at most `most`.
    pub(super) fn tags(&self, name: &str, most: usize) -> Result<Option<Vec<Tag>>, Refused> {
        let Some(items) = self.objects(name)? else {
            return Ok(None);
        };
        if items.len() > most {
            return Err(Refused {
                code: Code::TooManyTags,
                message: format!("{}: at most {most} tags are taken", self.at(name)),
            });
        }
        let mut tags: Vec<Tag> = Vec::with_capacity(items.len());
        for item in items {
            let tag = Tag {
                key: item
                    .trimmed("key", Text::TagKey)?
                    .ok_or_else(|| item.missing("key"))?,
                value: item.trimmed("value", Text::TagValue)?.unwrap_or_default(),
            };
            if tags.iter().any(|known| known.key == tag.key) {
                return Err(item.refuse("key", format_args!("'{}' is there twice", tag.key)));
            }
            tags.push(tag);
        }
        Ok(Some(tags))
    }

    /// Reads a text without the blanks around it.
    pub(super) fn trimmed(&self, name: &str, rule: Text) -> Result<Option<String>, Refused> {
        let Some(text) = self.text(name, Text::Any(usize::MAX))? else {
            return Ok(None);
        };
        let text = text.trim();
        match rule.objection(text) {
            None => Ok(Some(text.to_owned())),
            Some(objection) => Err(self.refuse(name, objection)),
        }
    }
}
