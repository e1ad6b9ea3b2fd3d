//! Fields that some bodies have and some have not.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A field of a body: left out, null, or there. What is left out is not written either, so that
/// a view holds the fields of its microversion and its reader's rights, and no other; and that a
/// change says what is to stay, to go, and to be.
///
/// Stands with `#[serde(default, skip_serializing_if = "Field::is_absent")]`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Field<T> {
    /// Not in the answer.
    #[default]
    Absent,
    /// In the answer, and null.
    Null,
    /// In the answer.
    Is(T),
}

impl<T> Field<T> {
    /// Returns a field that is null where it is shown at all.
    pub fn null_if(shown: bool) -> Self {
        if shown { Self::Null } else { Self::Absent }
    }

    /// Tells whether it is left out.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Absent)
    }

    /// Returns what it says, if it says something.
    pub fn get(&self) -> Option<&T> {
        match self {
            Self::Is(value) => Some(value),
            Self::Absent | Self::Null => None,
        }
    }
}

impl<T> From<Option<T>> for Field<T> {
    /// What is none is left out.
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Absent, Self::Is)
    }
}

impl<T: Serialize> Serialize for Field<T> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        self.get().serialize(sink)
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> schemars::JsonSchema for Field<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        Option::<T>::schema_name()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        Option::<T>::json_schema(generator)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Field<T> {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        Ok(match Option::deserialize(source)? {
            Some(value) => Self::Is(value),
            None => Self::Null,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct View {
        #[serde(default, skip_serializing_if = "Field::is_absent")]
        group: Field<String>,
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        for (text, want) in [
            ("{}", Field::Absent),
            (r#"{"group":null}"#, Field::Null),
            (r#"{"group":"g"}"#, Field::Is("g".to_owned())),
        ] {
            let view: View = serde_json::from_str(text).expect("a view");
            assert_eq!(view.group, want, "{text}");
            assert_eq!(serde_json::to_string(&view).expect("text"), text);
        }
    }
}
