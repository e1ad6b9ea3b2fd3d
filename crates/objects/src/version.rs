//! Versions of objects, compared as Cinder compares them.

use crate::error::{CoerceError, PrimitiveError};
use crate::python::{parse_int, text_repr};
/// A version as packages number theirs: `1.7`, `1.7.1`, `1.8rc1`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Version {
    release: Vec<u64>,
    /// Kind and number of a release before the release.
    before: Option<(u8, u64)>,
}

impl Version {
    pub(crate) fn parse(text: &str) -> Result<Self, PrimitiveError> {
        let refused = || PrimitiveError::Version {
            version: text_repr(text),
        };
        let trimmed = text.trim();
        let letters = trimmed
            .find(|c: char| c.is_ascii_alphabetic())
            .unwrap_or(trimmed.len());
        let (release, before) = trimmed.split_at(letters);
        let number = |digits: &str| {
            let plain = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
            plain.then(|| digits.parse().ok()).flatten()
        };
        let release: Option<Vec<u64>> = release.split('.').map(number).collect();
        let mut version = Self {
            release: release.ok_or_else(refused)?,
            before: None,
        };
        if !before.is_empty() {
            let digits = before
                .find(|c: char| c.is_ascii_digit())
                .ok_or_else(refused)?;
            let (word, digits) = before.split_at(digits);
            let kind = match word {
                "a" | "alpha" => 0,
                "b" | "beta" => 1,
                "rc" => 2,
                _ => return Err(refused()),
            };
            version.before = Some((kind, number(digits).ok_or_else(refused)?));
        }
        Ok(version)
    }

    /// Tells whether somebody who knows `newest` understands this one: same line, not newer.
    pub(crate) fn is_known_to(&self, newest: &Self) -> bool {
        let part = |version: &Self, n: usize| version.release.get(n).copied().unwrap_or(0);
        if part(self, 0) != part(newest, 0) {
            return false;
        }
        let parts = self.release.len().max(newest.release.len());
        let release = |version: &Self| (0..parts).map(|n| part(version, n)).collect::<Vec<_>>();
        // A full release comes after everything before it.
        let before = |version: &Self| version.before.unwrap_or((u8::MAX, 0));
        (release(self), before(self)) <= (release(newest), before(newest))
    }
}

/// Reads a version as numbers between dots, the way targets are compared: `1.7.0` is above `1.7`.
pub(crate) fn numbers(version: &str) -> Result<Vec<i128>, CoerceError> {
    let cut = version
        .find(|c: char| c.is_ascii_alphabetic())
        .filter(|at| {
            let word = version[*at..].trim_end_matches(|c: char| c.is_ascii_digit());
            let digit_before = version[..*at].ends_with(|c: char| c.is_ascii_digit());
            digit_before
                && matches!(word, "a" | "alpha" | "b" | "beta" | "rc")
                && version.len() > at + word.len()
        })
        .unwrap_or(version.len());
    version[..cut]
        .split('.')
        .map(|part| {
            parse_int(part).ok_or_else(|| CoerceError::NotAnInteger {
                literal: text_repr(part),
            })
        })
        .collect()
}

pub(crate) fn is_above(version: &str, other: &str) -> Result<bool, CoerceError> {
    Ok(numbers(version)? > numbers(other)?)
}
