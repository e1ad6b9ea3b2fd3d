//! What a field holds, and how an assigned value is made to fit (`cinder-backup.md §1.1`).

use std::collections::HashMap;

use crate::class::{ClassInfo, FieldInfo, Kind};
use crate::data::{AnyObject, Item, Metadata, Value};
use crate::datetime::DateTime;
use crate::error::CoerceError;
use crate::json::{Dict, Json};
use crate::python::{parse_int, text_repr};

impl Metadata {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the text under a name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(k, _)| *k == name).map(|(_, v)| v)
    }

    /// Sets a text; a name that is there keeps its place.
    pub fn insert(&mut self, name: impl Into<String>, text: impl Into<String>) {
        let name = name.into();
        match self.0.iter_mut().find(|(k, _)| *k == name) {
            Some((_, slot)) => *slot = text.into(),
            None => self.0.push((name, text.into())),
        }
    }

    /// Takes a name out.
    pub fn remove(&mut self, name: &str) -> Option<String> {
        let at = self.0.iter().position(|(k, _)| k == name)?;
        Some(self.0.remove(at).1)
    }

    /// Runs over names and texts in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(k, v)| (k.as_str(), v.as_str()))
    }

    /// Returns how many names there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl PartialEq for Metadata {
    fn eq(&self, other: &Self) -> bool {
        let theirs: HashMap<&str, &str> = other.iter().collect();
        self.len() == other.len() && self.iter().all(|(k, v)| theirs.get(k) == Some(&v))
    }
}

impl<K: Into<String>, V: Into<String>> FromIterator<(K, V)> for Metadata {
    /// The last of two equal names wins.
    fn from_iter<I: IntoIterator<Item = (K, V)>>(pairs: I) -> Self {
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut entries: Vec<(String, String)> = Vec::new();
        for (key, text) in pairs {
            let key = key.into();
            match places.get(&key) {
                Some(place) => entries[*place].1 = text.into(),
                None => {
                    places.insert(key.clone(), entries.len());
                    entries.push((key, text.into()));
                }
            }
        }
        Self(entries)
    }
}

impl Item {
    /// Returns it as what could be assigned.
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Text(text) => Value::Text(text.clone()),
            Self::Int(value) => Value::Int((*value).into()),
            Self::Bool(value) => Value::Bool(*value),
            Self::Time(time) => Value::Time(*time),
            Self::Dict(metadata) => Value::Dict(
                metadata
                    .iter()
                    .map(|(key, text)| (key.into(), text.into()))
                    .collect(),
            ),
            Self::Object(object) => Value::Object(object.clone()),
            Self::Objects(objects) => {
                Value::List(objects.iter().cloned().map(Value::from).collect())
            }
        }
    }
}

pub(crate) fn metadata_json(metadata: &Metadata) -> Json {
    let pairs = metadata.iter();
    Json::Dict(
        pairs
            .map(|(key, text)| (key.to_owned(), Json::from(text)))
            .collect::<Dict>(),
    )
}

/// Makes a value fit a field.
pub(crate) fn coerce(
    class: &ClassInfo,
    field: &FieldInfo,
    value: Value,
) -> Result<Item, CoerceError> {
    if value == Value::Null {
        return match field.default {
            _ if field.nullable => Ok(Item::Null),
            Some(default) => Ok(Item::Bool(default)),
            None => Err(CoerceError::Null {
                field: field.name.to_owned(),
            }),
        };
    }
    match field.kind {
        Kind::Text => text(value, field.name).map(Item::Text),
        Kind::Uuid => Ok(Item::Text(value.text())),
        Kind::Enum(allowed) => match &value {
            Value::Text(text) if allowed.contains(&text.as_str()) => Ok(Item::Text(text.clone())),
            other => Err(CoerceError::NotAllowed {
                value: other.text(),
            }),
        },
        Kind::Int => integer(value).map(Item::Int),
        Kind::Bool => Ok(Item::Bool(value.is_truthy())),
        Kind::Time => time(value, field.name).map(Item::Time),
        Kind::Dict => dict(value, field.name).map(Item::Dict),
        Kind::Object(wanted) => {
            object(class, wanted, value, field.name).map(|object| Item::Object(Box::new(object)))
        }
        Kind::Objects(wanted) => objects(class, wanted, value, field.name).map(Item::Objects),
    }
}

fn wrong_type(wanted: impl Into<String>, field: &str, found: impl Into<String>) -> CoerceError {
    CoerceError::Type {
        wanted: wanted.into(),
        field: field.to_owned(),
        found: found.into(),
    }
}

/// The short name of a type, as most messages have it.
fn short(value: &Value) -> &'static str {
    let name = value.type_name();
    name.rsplit('.').next().unwrap_or(name)
}

fn text(value: Value, field: &str) -> Result<String, CoerceError> {
    match value {
        Value::Text(text) => Ok(text),
        Value::Bool(_) | Value::Int(_) | Value::Huge(_) | Value::Float(_) | Value::Time(_) => {
            Ok(value.text())
        }
        Value::Null | Value::List(_) | Value::Dict(_) | Value::Object(_) => {
            Err(wrong_type("A string", field, short(&value)))
        }
    }
}

fn integer(value: Value) -> Result<i64, CoerceError> {
    let wide = match &value {
        Value::Int(value) => *value,
        Value::Bool(value) => (*value).into(),
        Value::Float(value) => whole(*value)?,
        Value::Text(text) => parse_int(text).ok_or_else(|| CoerceError::NotAnInteger {
            literal: text_repr(text),
        })?,
        Value::Huge(digits) => {
            return Err(CoerceError::TooLarge {
                value: digits.to_string(),
            });
        }
        other => {
            return Err(CoerceError::NotANumber {
                found: other.type_name(),
            });
        }
    };
    i64::try_from(wide).map_err(|_| CoerceError::TooLarge {
        value: wide.to_string(),
    })
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "cutting the fraction is what int() does; what is too large is refused by the caller"
)]
fn whole(value: f64) -> Result<i128, CoerceError> {
    if value.is_nan() {
        Err(CoerceError::Nan)
    } else if value.is_infinite() {
        Err(CoerceError::Infinite)
    } else {
        Ok(value.trunc() as i128)
    }
}

fn time(value: Value, field: &str) -> Result<DateTime, CoerceError> {
    match value {
        Value::Time(time) => Ok(time.in_field()),
        Value::Text(text) => Ok(DateTime::parse(&text)?),
        other => Err(wrong_type("A datetime.datetime", field, short(&other))),
    }
}

fn dict(value: Value, field: &str) -> Result<Metadata, CoerceError> {
    let Value::Dict(pairs) = value else {
        return Err(wrong_type("A dict", field, short(&value)));
    };
    let pairs = pairs.into_iter().map(|(key, value)| {
        let Value::Text(key) = key else {
            return Err(CoerceError::Key {
                key: key.repr(),
                found: key.type_name(),
            });
        };
        let place = format!("{field}[{key}]");
        if value == Value::Null {
            return Err(CoerceError::Null { field: place });
        }
        Ok((key, text(value, &place)?))
    });
    pairs.collect()
}

fn object(
    class: &ClassInfo,
    wanted: &str,
    value: Value,
    field: &str,
) -> Result<AnyObject, CoerceError> {
    let found = match value {
        Value::Object(object) if object.name() == wanted => return Ok(*object),
        Value::Object(object) => format!("{}.{}", object.module(), object.name()),
        other => short(&other).to_owned(),
    };
    let wanted = format!("An object of type {}.{wanted}", class.module);
    Err(wrong_type(wanted, field, found))
}

fn objects(
    class: &ClassInfo,
    wanted: &str,
    value: Value,
    field: &str,
) -> Result<Vec<AnyObject>, CoerceError> {
    let Value::List(items) = value else {
        return Err(wrong_type("A list", field, short(&value)));
    };
    let items = items.into_iter().enumerate().map(|(n, item)| {
        let place = format!("{field}[{n}]");
        if item == Value::Null {
            return Err(CoerceError::Null { field: place });
        }
        object(class, wanted, item, &place)
    });
    items.collect()
}
