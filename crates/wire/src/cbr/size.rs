//! Sizes as CBR counts them: capacities in GB (which are GiB), what is stored in MB (MiB).

use std::fmt;

use emberkeep_model::{ByteCount, Gib};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::lenient;

/// Whole MiB; CBR's word for them is MB.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Mib(#[serde(deserialize_with = "lenient::number")] pub u64);

impl Mib {
    /// Returns the size in bytes.
    pub fn bytes(self) -> ByteCount {
        ByteCount(self.0.saturating_mul(1 << 20))
    }
}

impl From<ByteCount> for Mib {
    /// Rounds up, so that what holds something never shows nothing.
    fn from(bytes: ByteCount) -> Self {
        Self(bytes.0.div_ceil(1 << 20))
    }
}

impl fmt::Display for Mib {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB", self.0)
    }
}

/// Reads GiB, also from text; null is 0.
pub(super) fn gib<'de, D: Deserializer<'de>>(source: D) -> Result<Gib, D::Error> {
    lenient::number(source).map(Gib)
}

/// GiB that are written as text, or null.
pub(super) mod gib_text {
    use super::{Deserializer, Gib, Serializer, lenient};

    pub(in crate::cbr) fn serialize<S: Serializer>(
        size: &Option<Gib>,
        sink: S,
    ) -> Result<S::Ok, S::Error> {
        lenient::maybe_as_text(&size.map(|size| size.0), sink)
    }

    pub(in crate::cbr) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<Gib>, D::Error> {
        Ok(lenient::maybe_number(source)?.map(Gib))
    }
}

/// MiB that are written as text, or null.
pub(super) mod mib_text {
    use super::{Deserializer, Mib, Serializer, lenient};

    pub(in crate::cbr) fn serialize<S: Serializer>(
        size: &Option<Mib>,
        sink: S,
    ) -> Result<S::Ok, S::Error> {
        lenient::maybe_as_text(&size.map(|size| size.0), sink)
    }

    pub(in crate::cbr) fn deserialize<'de, D: Deserializer<'de>>(
        source: D,
    ) -> Result<Option<Mib>, D::Error> {
        Ok(lenient::maybe_number(source)?.map(Mib))
    }
}
