//! Small pieces of JSON Schema, for the bodies that are read by hand.

use std::sync::Arc;

use serde_json::{Map, Value, json};

/// Returns the schema of a type, named within a document.
pub type Shape = Arc<dyn Fn(&mut schemars::SchemaGenerator) -> schemars::Schema + Send + Sync>;

pub(crate) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

pub(crate) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(crate) fn text(most: u32) -> Value {
    json!({"type": "string", "maxLength": most})
}

/// A text that is not empty.
pub(crate) fn filled(most: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most})
}

pub(crate) fn whole(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

pub(crate) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

pub(crate) fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// Pairs of texts.
pub(crate) fn pairs() -> Value {
    json!({"type": "object", "additionalProperties": text(255)})
}

/// The same, or null.
pub(crate) fn or_null(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    schema
}

/// An object; a name with `!` at its end must be there.
pub(crate) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for (name, schema) in members {
        let bare = name.strip_suffix('!').unwrap_or(name);
        if bare.len() < name.len() {
            required.push(bare.to_owned());
        }
        properties.insert(bare.to_owned(), schema);
    }
    json!({"type": "object", "properties": properties, "required": required})
}

/// An object of one member that must be there.
pub(crate) fn under(key: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {key: inner}, "required": [key]})
}

/// One of several.
pub(crate) fn any_of(kinds: Vec<Value>) -> Value {
    json!({"anyOf": kinds})
}
