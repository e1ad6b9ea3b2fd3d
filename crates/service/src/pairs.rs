//! How many pairs a thing may have, and how long they may be: metadata, properties of images, extra specs.
//!
//! A list returns the pairs of all its rows, so that without a bound one project could take the memory of
//! the service. Rows from before the bound keep what they have and may only lose pairs.

use std::collections::BTreeMap;

use crate::error::invalid;
use crate::{Refusal, ServiceError};

/// The most pairs of one thing; Cinder's own number.
pub const MAX_PAIRS: usize = 128;

/// The longest key and the longest value, in characters.
const MAX_LENGTH: usize = 255;

type Pairs = BTreeMap<String, String>;

/// Refuses pairs of a new thing that are too many or too long.
pub(crate) fn check_new(pairs: &Pairs) -> Result<(), ServiceError> {
    check_change(&Pairs::new(), pairs)
}

/// Refuses a change after which there are too many pairs, unless there are no more than before, or
/// that brings in one that is too long.
pub(crate) fn check_change(before: &Pairs, after: &Pairs) -> Result<(), ServiceError> {
    if after.len() > MAX_PAIRS.max(before.len()) {
        return Err(Refusal::TooManyPairs { allowed: MAX_PAIRS }.into());
    }
    let new = after
        .iter()
        .filter(|(key, value)| before.get(*key) != Some(*value));
    for (key, value) in new {
        let long = |text: &str| text.chars().count() > MAX_LENGTH;
        if key.is_empty() || long(key) {
            let words = format!("a key must have 1 to {MAX_LENGTH} characters");
            return Err(invalid("metadata", words));
        }
        if long(value) {
            let words = format!("a value must have at most {MAX_LENGTH} characters");
            return Err(invalid("metadata", words));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(amount: usize) -> Pairs {
        (0..amount)
            .map(|number| (format!("key-{number}"), "value".to_owned()))
            .collect()
    }

    #[test]
    fn pairs_are_bounded_and_old_ones_may_go() {
        let long = |length: usize| Pairs::from([("a".to_owned(), "ä".repeat(length))]);
        let key = |length: usize| Pairs::from([("ä".repeat(length), String::new())]);
        for (what, before, after, taken) in [
            ("the most", pairs(0), pairs(MAX_PAIRS), true),
            ("one more", pairs(0), pairs(MAX_PAIRS + 1), false),
            (
                "one more than the most",
                pairs(MAX_PAIRS),
                pairs(MAX_PAIRS + 1),
                false,
            ),
            ("an old row loses one", pairs(60_000), pairs(59_999), true),
            ("an old row gets one", pairs(60_000), pairs(60_001), false),
            ("the longest value", pairs(0), long(255), true),
            ("a longer value", pairs(0), long(256), false),
            ("an old long value stays", long(256), long(256), true),
            ("the longest key", pairs(0), key(255), true),
            ("a longer key", pairs(0), key(256), false),
            ("no key", pairs(0), key(0), false),
        ] {
            assert_eq!(check_change(&before, &after).is_ok(), taken, "{what}");
        }
    }

    #[test]
    fn too_many_is_over_quota_in_cinders_words() {
        let refused = check_new(&pairs(129)).expect_err("too many");
        assert_eq!(
            refused.to_string(),
            "MetadataLimitExceeded: Maximum number of metadata items exceeds 128"
        );
        assert_eq!(refused.fault(), crate::Fault::OverQuota);
    }
}
