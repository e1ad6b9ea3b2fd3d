//! Microversions: which edition of the API a request is written for.

use std::fmt;

use super::{Fault, FaultKind};

/// A microversion `3.N`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Microversion(u16);

/// A header that names no microversion of ours.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum VersionError {
    /// It is a version, but not one we have.
    #[error(
        "Version {0} is not supported by the API. Minimum is {min} and maximum is {max}.",
        min = Microversion::MIN,
        max = Microversion::MAX
    )]
    OutOfRange(String),
    /// It is no version.
    #[error("API Version String {0} is of invalid format. Must be of format MajorNum.MinorNum.")]
    Malformed(String),
    /// The header speaks of other services only.
    #[error(
        "The server could not comply with the request since it is either malformed or otherwise incorrect."
    )]
    OtherService,
}

impl VersionError {
    /// Returns the refusal that the caller gets.
    pub fn fault(&self) -> Fault {
        let kind = match self {
            Self::OutOfRange(_) => FaultKind::NotAcceptable,
            Self::Malformed(_) | Self::OtherService => FaultKind::BadRequest,
        };
        Fault::new(kind, self.to_string())
    }
}

impl Microversion {
    /// The first one, taken when a request names none.
    pub const MIN: Self = Self(0);
    /// The last one.
    pub const MAX: Self = Self(71);

    /// Returns `3.minor`.
    pub const fn v3(minor: u16) -> Self {
        Self(minor)
    }

    /// Reads an `OpenStack-API-Version` header; several services may stand in it, parted by commas.
    pub fn from_header(header: Option<&str>) -> Result<Self, VersionError> {
        let Some(header) = header else {
            return Ok(Self::MIN);
        };
        for part in header.split(',') {
            let mut words = part.split_whitespace();
            if words.next() == Some("volume") {
                // Cinder itself stumbles over a missing version; malformed is what it means.
                return Self::from_text(words.next().unwrap_or_default());
            }
        }
        Err(VersionError::OtherService)
    }

    fn from_text(text: &str) -> Result<Self, VersionError> {
        if text == "latest" {
            return Ok(Self::MAX);
        }
        let malformed = || VersionError::Malformed(text.to_owned());
        let out_of_range = || VersionError::OutOfRange(text.to_owned());
        let (major, minor) = text.split_once('.').ok_or_else(malformed)?;
        let number = |digits: &str, zero: bool| {
            let fits = !digits.is_empty()
                && digits.bytes().all(|b| b.is_ascii_digit())
                && (!digits.starts_with('0') || (zero && digits == "0"));
            fits.then(|| digits.parse::<u16>().ok())
        };
        let major = number(major, false).ok_or_else(malformed)?;
        let minor = number(minor, true).ok_or_else(malformed)?;
        match (major, minor) {
            (Some(3), Some(minor)) if minor <= Self::MAX.0 => Ok(Self(minor)),
            _ => Err(out_of_range()),
        }
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
    fn headers_name_microversions() {
        let wrong = |text: &str| VersionError::Malformed(text.to_owned());
        let far = |text: &str| VersionError::OutOfRange(text.to_owned());
        for (header, want) in [
            (None, Ok(0)),
            (Some("volume 3.0"), Ok(0)),
            (Some("volume 3.43"), Ok(43)),
            (Some("compute 2.1, volume 3.9"), Ok(9)),
            (Some("volume latest"), Ok(71)),
            (Some("volume 3.99"), Err(far("3.99"))),
            (Some("volume 3.99999999"), Err(far("3.99999999"))),
            (Some("volume 2.0"), Err(far("2.0"))),
            (Some("volume abc"), Err(wrong("abc"))),
            (Some("volume 3.071"), Err(wrong("3.071"))),
            (Some("volume 3"), Err(wrong("3"))),
            (Some("volume 3.-1"), Err(wrong("3.-1"))),
            (Some("volume"), Err(wrong(""))),
            (Some("compute 2.1"), Err(VersionError::OtherService)),
        ] {
            assert_eq!(
                Microversion::from_header(header),
                want.map(Microversion),
                "{header:?}"
            );
        }
        let fault = far("3.99").fault();
        assert_eq!(
            serde_json::to_string(&fault).expect("serialises"),
            r#"{"computeFault":{"code":406,"message":"Version 3.99 is not supported by the API. Minimum is 3.0 and maximum is 3.71."}}"#
        );
    }
}
