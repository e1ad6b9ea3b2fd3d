//! What can be assigned to a field or sent in a message: JSON, times and objects.

use crate::data::{AnyObject, Value};
use crate::datetime::DateTime;
use crate::json::{Dict, Json};
use crate::python::{float_repr, text_repr};

impl Value {
    /// Returns the name of the type in Python.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "NoneType",
            Self::Bool(_) => "bool",
            Self::Int(_) | Self::Huge(_) => "int",
            Self::Float(_) => "float",
            Self::Text(_) => "str",
            Self::List(_) => "list",
            Self::Dict(_) => "dict",
            Self::Time(_) => "datetime.datetime",
            Self::Object(object) => object.name(),
        }
    }

    /// Tells whether Python takes it for true.
    pub fn is_truthy(&self) -> bool {
        match self {
            Self::Null => false,
            Self::Bool(value) => *value,
            Self::Int(value) => *value != 0,
            Self::Float(value) => *value != 0.0,
            Self::Text(text) => !text.is_empty(),
            Self::List(list) => !list.is_empty(),
            Self::Dict(dict) => !dict.is_empty(),
            Self::Huge(_) | Self::Time(_) | Self::Object(_) => true,
        }
    }

    /// Writes it as Python's `str()` does.
    pub(crate) fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Time(time) => time.python_text(),
            other => other.repr(),
        }
    }

    /// Writes it as Python's `repr()` does; times and objects as their text.
    pub(crate) fn repr(&self) -> String {
        match self {
            Self::Null => "None".to_owned(),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::Int(value) => value.to_string(),
            Self::Huge(digits) => digits.to_string(),
            Self::Float(value) => float_repr(*value),
            Self::Text(text) => text_repr(text),
            Self::List(list) => {
                let items: Vec<String> = list.iter().map(Self::repr).collect();
                format!("[{}]", items.join(", "))
            }
            Self::Dict(dict) => {
                let items: Vec<String> = dict
                    .iter()
                    .map(|(key, value)| format!("{}: {}", key.repr(), value.repr()))
                    .collect();
                format!("{{{}}}", items.join(", "))
            }
            Self::Time(time) => time.python_text(),
            Self::Object(object) => object.name().to_owned(),
        }
    }
}

impl From<Json> for Value {
    fn from(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(value) => Self::Bool(value),
            Json::Int(value) => Self::Int(value),
            Json::Huge(digits) => Self::Huge(digits),
            Json::Float(value) => Self::Float(value),
            Json::Text(text) => Self::Text(text),
            Json::List(list) => Self::List(list.into_iter().map(Self::from).collect()),
            Json::Dict(dict) => dict.into(),
        }
    }
}

impl From<Dict> for Value {
    fn from(dict: Dict) -> Self {
        Self::Dict(
            dict.into_iter()
                .map(|(key, value)| (Self::Text(key), value.into()))
                .collect(),
        )
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value.into())
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Float(value)
    }
}

impl From<DateTime> for Value {
    fn from(time: DateTime) -> Self {
        Self::Time(time)
    }
}

impl From<AnyObject> for Value {
    fn from(object: AnyObject) -> Self {
        Self::Object(Box::new(object))
    }
}

impl<T> From<Option<T>> for Value
where
    T: Into<Value>,
{
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}
