//! What may be an object's name.

use crate::StoreError;

/// The first segment that no object may have: the local store keeps unfinished files there.
pub(crate) const RESERVED: &str = "tmp";

/// Longest name, and longest segment, that every kind of store takes.
const LONGEST_NAME: usize = 900;
const LONGEST_SEGMENT: usize = 200;

/// Refuses what is not an object name.
pub(crate) fn check_name(name: &str) -> Result<(), StoreError> {
    let fine = name.len() <= LONGEST_NAME
        && name.split('/').all(is_segment)
        && name.split('/').next() != Some(RESERVED);
    if fine { Ok(()) } else { Err(bad(name)) }
}

/// Refuses what cannot begin an object name; the last segment may be cut anywhere.
pub(crate) fn check_prefix(prefix: &str) -> Result<(), StoreError> {
    let (whole, partial) = prefix
        .rsplit_once('/')
        .map_or((None, prefix), |(w, p)| (Some(w), p));
    let fine =
        partial.bytes().all(is_allowed) && whole.is_none_or(|w| w.split('/').all(is_segment));
    if fine { Ok(()) } else { Err(bad(prefix)) }
}

/// Tells whether `segment` may stand between two slashes.
pub(crate) fn is_segment(segment: &str) -> bool {
    !segment.is_empty()
        && segment.len() <= LONGEST_SEGMENT
        && segment != "."
        && segment != ".."
        && segment.bytes().all(is_allowed)
}

fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
}

fn bad(name: &str) -> StoreError {
    StoreError::BadName {
        name: name.to_owned(),
    }
}
