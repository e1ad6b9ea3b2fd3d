//! A password or token that does not show itself.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// Text that must not reach a log: `Debug` hides it, `Display` does not exist.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret in.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Returns the text, to be sent and not to be shown.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl<'de> Deserialize<'de> for Secret {
    /// Takes numbers too: people write passwords of digits without quotes. A refusal never
    /// shows what stood there.
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        emberkeep_wire::lenient::text(source)
            .map(Self)
            .map_err(|_| serde::de::Error::custom("a secret must be text"))
    }
}
