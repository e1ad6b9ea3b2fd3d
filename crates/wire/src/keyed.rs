//! The keys that answers lie under: `{"vault": {…}}`, `{"vaults": [{…}]}`. Each is said once, for
//! who writes it and for who reads it.

use serde::ser::{Serialize, Serializer};

/// An answer that lies under a key.
pub trait Keyed {
    /// The key.
    const KEY: &'static str;
}

/// Something whose lists lie under a key.
pub trait Many {
    /// The key of a list.
    const LIST_KEY: &'static str;
}

impl<T: Many> Keyed for Vec<T> {
    const KEY: &'static str = T::LIST_KEY;
}

impl<T: Many> Keyed for [T] {
    const KEY: &'static str = T::LIST_KEY;
}

/// The key that says how many there are, beside one page of them.
pub const COUNT: &str = "count";

/// The body in which something lies under its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Under<'a, T: ?Sized>(pub &'a T);

impl<T: Keyed + Serialize + ?Sized> Serialize for Under<'_, T> {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        sink.collect_map([(T::KEY, self.0)])
    }
}

#[cfg(feature = "schema")]
impl<T: Keyed + schemars::JsonSchema + ?Sized> schemars::JsonSchema for Under<'_, T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Under_{}", T::KEY).into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let inner = generator.subschema_for::<T>();
        schemars::json_schema!({
            "type": "object",
            "properties": {T::KEY: inner},
            "required": [T::KEY],
        })
    }
}

/// Gives types their keys.
macro_rules! keys {
    (one { $($one:ty: $key:literal,)* } many { $($many:ty: $list:literal,)* }) => {
        $(impl $crate::keyed::Keyed for $one {
            const KEY: &'static str = $key;
        })*
        $(impl $crate::keyed::Many for $many {
            const LIST_KEY: &'static str = $list;
        })*
    };
}
pub(crate) use keys;

#[cfg(test)]
mod tests {
    use super::*;

    struct Thing;
    keys! {
        one { Thing: "thing", }
        many { Thing: "things", }
    }
    impl Serialize for Thing {
        fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
            sink.serialize_u8(1)
        }
    }

    #[test]
    fn one_and_many_lie_under_their_keys() {
        let one = serde_json::to_string(&Under(&Thing));
        let two = serde_json::to_string(&Under(&vec![Thing, Thing]));
        let none = serde_json::to_string(&Under::<[Thing]>(&[]));
        assert_eq!(one.ok().as_deref(), Some(r#"{"thing":1}"#));
        assert_eq!(two.ok().as_deref(), Some(r#"{"things":[1,1]}"#));
        assert_eq!(none.ok().as_deref(), Some(r#"{"things":[]}"#));
    }
}
