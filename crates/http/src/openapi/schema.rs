//! Small pieces of JSON Schema.

use serde_json::{Map, Value, json};

/// What a parameter of a query holds.
#[derive(Clone, Copy)]
pub(super) enum Kind {
    Text,
    Uuid,
    Flag,
    /// A whole number, from and up to.
    Whole(i64, i64),
    Words(&'static [&'static str]),
}

/// A parameter of a query.
#[derive(Clone, Copy)]
pub(super) struct Param {
    name: &'static str,
    kind: Kind,
    required: bool,
}

/// A parameter that may be left out.
pub(super) const fn may(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
    }
}

/// A parameter that must be there.
pub(super) const fn must(name: &'static str, kind: Kind) -> Param {
    Param {
        required: true,
        ..may(name, kind)
    }
}

impl Param {
    pub(super) fn to_json(self) -> Value {
        let schema = match self.kind {
            Kind::Text => json!({"type": "string"}),
            Kind::Uuid => uuid(),
            Kind::Flag => flag(),
            Kind::Whole(least, most) => whole(least, most),
            Kind::Words(words) => json!({"type": "string", "enum": words}),
        };
        json!({"name": self.name, "in": "query", "required": self.required, "schema": schema})
    }
}

pub(super) fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

pub(super) fn flag() -> Value {
    json!({"type": "boolean"})
}

pub(super) fn text(most: u32) -> Value {
    json!({"type": "string", "maxLength": most})
}

/// A text that is not empty.
pub(super) fn filled(most: u32) -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": most})
}

pub(super) fn whole(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

pub(super) fn word(words: &[&str]) -> Value {
    json!({"type": "string", "enum": words})
}

pub(super) fn list(of: Value) -> Value {
    json!({"type": "array", "items": of})
}

/// Pairs of texts.
pub(super) fn pairs() -> Value {
    json!({"type": "object", "additionalProperties": text(255)})
}

/// The same, or null.
pub(super) fn or_null(mut schema: Value) -> Value {
    let kind = schema["type"].take();
    schema["type"] = json!([kind, "null"]);
    schema
}

/// An object; a name with `!` at its end must be there.
pub(super) fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
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
pub(super) fn under(key: &str, inner: Value) -> Value {
    json!({"type": "object", "properties": {key: inner}, "required": [key]})
}

/// One of several.
pub(super) fn any_of(kinds: Vec<Value>) -> Value {
    json!({"anyOf": kinds})
}
