//! Microversions of the Block Storage API (`cinder-backup.md §2.1`).

use std::fmt;

/// A microversion `3.N`: which edition of the API is spoken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Microversion(u16);

impl Microversion {
    /// The newest that this client knows the shapes of.
    pub const NEWEST: Self = Self(71);
    /// The oldest there is, spoken where a service has no microversions.
    pub const OLDEST: Self = Self(0);

    /// Returns `3.minor`.
    pub const fn v3(minor: u16) -> Self {
        Self(minor)
    }

    /// Reads `3.N`; none if the text is something else.
    pub fn parse(text: &str) -> Option<Self> {
        let minor = text.trim().strip_prefix("3.")?;
        minor.parse().ok().map(Self)
    }
}

impl fmt::Display for Microversion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "3.{}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_and_ordered() {
        for (text, want) in [
            ("3.43", Some(Microversion::v3(43))),
            ("3.0", Some(Microversion::OLDEST)),
            ("2.0", None),
            ("3", None),
            ("", None),
            ("3.x", None),
        ] {
            assert_eq!(Microversion::parse(text), want, "{text}");
        }
        assert!(Microversion::v3(9) < Microversion::v3(43));
        assert_eq!(Microversion::NEWEST.to_string(), "3.71");
    }
}
