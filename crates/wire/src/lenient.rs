//! Reading what other services write: numbers as text, flags as words, null for nothing.
//!
//! For answers only. Requests are read strictly, where a refusal can be told to its sender.

use std::fmt::Display;
use std::str::FromStr;

use serde::de::{DeserializeOwned, Error};
use serde::{Deserialize, Deserializer, Serializer};
use serde_json::Value;

/// Reads text; a number or a flag becomes its text, null becomes empty.
pub fn text<'de, D: Deserializer<'de>>(source: D) -> Result<String, D::Error> {
    match Value::deserialize(source)? {
        Value::Null => Ok(String::new()),
        Value::String(text) => Ok(text),
        Value::Bool(flag) => Ok(flag.to_string()),
        Value::Number(number) => Ok(number.to_string()),
        other => Err(wrong("text", &other)),
    }
}

/// Reads text into one of the shapes that are made of it.
pub fn word<'de, D: Deserializer<'de>, T: From<String>>(source: D) -> Result<T, D::Error> {
    text(source).map(T::from)
}

/// Reads a number, also from text; null and empty text are 0.
pub fn number<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + FromStr + Default,
{
    maybe_number(source).map(Option::unwrap_or_default)
}

/// Reads a number, also from text; null and empty text are none.
pub fn maybe_number<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + FromStr,
{
    match Value::deserialize(source)? {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        Value::String(text) => text
            .trim()
            .parse()
            .map(Some)
            .map_err(|_| wrong("a number", &Value::String(text))),
        // Some write whole numbers with a fraction of zero.
        Value::Number(number) if number.is_f64() => {
            format!("{:.0}", number.as_f64().unwrap_or(0.0))
                .parse()
                .map(Some)
                .map_err(|_| wrong("a number", &Value::Number(number)))
        }
        other => serde_json::from_value(other.clone())
            .map(Some)
            .map_err(|_| wrong("a number", &other)),
    }
}

/// Reads a flag, also from a word or a number; null is false.
pub fn flag<'de, D: Deserializer<'de>>(source: D) -> Result<bool, D::Error> {
    maybe_flag(source).map(Option::unwrap_or_default)
}

/// Reads a flag, also from a word or a number; null and empty text are none.
pub fn maybe_flag<'de, D: Deserializer<'de>>(source: D) -> Result<Option<bool>, D::Error> {
    match Value::deserialize(source)? {
        Value::Null => Ok(None),
        Value::Bool(flag) => Ok(Some(flag)),
        Value::Number(number) => Ok(Some(number.as_f64() != Some(0.0))),
        Value::String(text) => match text.trim().to_lowercase().as_str() {
            "" => Ok(None),
            "true" | "yes" | "on" | "1" | "t" | "y" => Ok(Some(true)),
            "false" | "no" | "off" | "0" | "f" | "n" => Ok(Some(false)),
            _ => Err(wrong("a flag", &Value::String(text))),
        },
        other => Err(wrong("a flag", &other)),
    }
}

/// Reads a list or an object; null is an empty one.
pub fn or_default<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Option::deserialize(source).map(Option::unwrap_or_default)
}

/// Reads what may be missing; null and empty text are none.
pub fn maybe<'de, D, T>(source: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    match Value::deserialize(source)? {
        Value::Null => Ok(None),
        Value::String(text) if text.is_empty() => Ok(None),
        // An object as JSON in a text.
        Value::String(text) if text.starts_with('{') => serde_json::from_str(&text)
            .map(Some)
            .map_err(D::Error::custom),
        other => serde_json::from_value(other)
            .map(Some)
            .map_err(D::Error::custom),
    }
}

/// Reads an object that some write as JSON in a text.
pub fn object_or_text<'de, D, T>(source: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned + Default,
{
    let value = match Value::deserialize(source)? {
        Value::String(text) if text.trim().is_empty() => Value::Null,
        Value::String(text) => serde_json::from_str(&text).map_err(D::Error::custom)?,
        other => other,
    };
    match value {
        Value::Null => Ok(T::default()),
        other => serde_json::from_value(other).map_err(D::Error::custom),
    }
}

/// Reads a list, or the one entry of it that stands where a list should.
pub fn one_or_many<'de, D, T>(source: D) -> Result<Vec<T>, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let value = match Value::deserialize(source)? {
        Value::Null => return Ok(Vec::new()),
        Value::Array(items) => Value::Array(items),
        one => Value::Array(vec![one]),
    };
    serde_json::from_value(value).map_err(D::Error::custom)
}

/// Writes a number or a flag as text, for clients that break on anything else.
pub fn maybe_as_text<T: Display, S: Serializer>(
    value: &Option<T>,
    sink: S,
) -> Result<S::Ok, S::Error> {
    match value {
        Some(value) => sink.collect_str(value),
        None => sink.serialize_none(),
    }
}

/// Writes an object as JSON in a text.
pub fn object_as_text<T: serde::Serialize, S: Serializer>(
    value: &T,
    sink: S,
) -> Result<S::Ok, S::Error> {
    let text = serde_json::to_string(value).map_err(serde::ser::Error::custom)?;
    sink.serialize_str(&text)
}

fn wrong<E: Error>(wanted: &str, got: &Value) -> E {
    E::custom(format_args!("{got} where {wanted} should stand"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_come_in_many_forms() {
        for (what, value, want) in [
            ("a number", json!(40), Some(Some(40))),
            ("text", json!("40"), Some(Some(40))),
            ("text with blanks", json!(" 40 "), Some(Some(40))),
            ("a fraction of zero", json!(40.0), Some(Some(40))),
            ("null", json!(null), Some(None)),
            ("empty text", json!(""), Some(None)),
            ("a word", json!("many"), None),
            ("too small", json!(-1), None),
            ("a list", json!([]), None),
        ] {
            assert_eq!(maybe_number::<_, u32>(value).ok(), want, "{what}");
        }
    }

    #[test]
    fn flags_come_in_many_forms() {
        for (what, value, want) in [
            ("a flag", json!(true), Some(Some(true))),
            ("a word", json!("False"), Some(Some(false))),
            ("a number", json!(1), Some(Some(true))),
            ("null", json!(null), Some(None)),
            ("empty text", json!(""), Some(None)),
            ("another word", json!("perhaps"), None),
            ("an object", json!({}), None),
        ] {
            assert_eq!(maybe_flag(value).ok(), want, "{what}");
        }
    }

    #[test]
    fn lists_and_objects_come_in_many_forms() {
        assert_eq!(one_or_many::<_, u8>(json!([1, 2])).ok(), Some(vec![1, 2]));
        assert_eq!(one_or_many::<_, u8>(json!(1)).ok(), Some(vec![1]));
        assert_eq!(one_or_many::<_, u8>(json!(null)).ok(), Some(vec![]));
        for value in [json!("[7]"), json!([7])] {
            assert_eq!(object_or_text::<_, Vec<u8>>(value).ok(), Some(vec![7]));
        }
        for value in [json!(""), json!(null), json!("[]")] {
            assert_eq!(object_or_text::<_, Vec<u8>>(value).ok(), Some(vec![]));
        }
        assert!(object_or_text::<_, Vec<u8>>(json!("[")).is_err());
        assert_eq!(maybe::<_, String>(json!("")).ok(), Some(None));
    }
}
