//! Slows down guessing of passwords.

use std::collections::HashMap;

use emberkeep_model::Timestamp;

/// After so many failures in a row …
const MOST_FAILURES: u32 = 10;
/// … within so many seconds …
const WINDOW_SECS: i64 = 60;
/// … nobody gets in under that name for so long.
const BLOCK_SECS: i64 = 30;
/// So many names are watched. Names are free text, so somebody could send ever new ones.
const MOST_NAMES: usize = 4096;

/// Failed attempts by name, since the last one that succeeded.
#[derive(Default)]
pub(super) struct Attempts {
    by_name: HashMap<String, Failures>,
}

struct Failures {
    count: u32,
    first: Timestamp,
    last: Timestamp,
}

impl Failures {
    /// Returns when this no longer matters.
    fn ends(&self) -> Timestamp {
        if self.count >= MOST_FAILURES {
            self.last.plus_secs(BLOCK_SECS)
        } else {
            self.first.plus_secs(WINDOW_SECS)
        }
    }
}

impl Attempts {
    /// Tells whether `name` has to wait.
    pub(super) fn is_blocked(&self, name: &str, now: Timestamp) -> bool {
        self.by_name
            .get(name)
            .is_some_and(|failures| failures.count >= MOST_FAILURES && now < failures.ends())
    }

    /// Notes that somebody failed to get in as `name`.
    pub(super) fn failed(&mut self, name: &str, now: Timestamp) {
        if self.by_name.len() >= MOST_NAMES && !self.by_name.contains_key(name) {
            self.make_room(now);
        }
        let failures = self.by_name.entry(name.to_owned()).or_insert(Failures {
            count: 0,
            first: now,
            last: now,
        });
        if failures.ends() <= now {
            *failures = Failures {
                count: 0,
                first: now,
                last: now,
            };
        }
        failures.count += 1;
        failures.last = now;
    }

    /// Notes that somebody got in as `name`.
    pub(super) fn succeeded(&mut self, name: &str) {
        self.by_name.remove(name);
    }

    /// Drops what no longer matters; if all does, the name that failed longest ago.
    fn make_room(&mut self, now: Timestamp) {
        self.by_name.retain(|_, failures| now < failures.ends());
        if self.by_name.len() >= MOST_NAMES {
            let oldest = self
                .by_name
                .iter()
                .min_by_key(|(_, failures)| (failures.count >= MOST_FAILURES, failures.last));
            if let Some(name) = oldest.map(|(name, _)| name.clone()) {
                self.by_name.remove(&name);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp(0).plus_secs(secs)
    }

    #[test]
    fn ten_failures_within_a_minute_block_for_half_a_minute() {
        let mut attempts = Attempts::default();
        for second in 0..9 {
            attempts.failed("alice", at(second));
        }
        assert!(!attempts.is_blocked("alice", at(9)), "nine are allowed");
        attempts.failed("alice", at(9));
        assert!(attempts.is_blocked("alice", at(9)));
        assert!(attempts.is_blocked("alice", at(38)));
        assert!(!attempts.is_blocked("alice", at(39)), "the wait is over");
        assert!(!attempts.is_blocked("bob", at(9)), "others are not held up");
        attempts.failed("alice", at(39));
        assert!(!attempts.is_blocked("alice", at(39)), "counting began anew");
    }

    #[test]
    fn slow_failures_and_a_success_in_between_do_not_block() {
        let mut attempts = Attempts::default();
        for round in 0..20 {
            attempts.failed("slow", at(round * 10));
            assert!(
                !attempts.is_blocked("slow", at(round * 10)),
                "round {round}"
            );
        }
        for _ in 0..9 {
            attempts.failed("alice", at(0));
        }
        attempts.succeeded("alice");
        attempts.failed("alice", at(0));
        assert!(!attempts.is_blocked("alice", at(0)));
    }

    #[test]
    fn ever_new_names_neither_fill_memory_nor_free_a_blocked_one() {
        let mut attempts = Attempts::default();
        for _ in 0..MOST_FAILURES {
            attempts.failed("admin", at(0));
        }
        for n in 0..(2 * MOST_NAMES) {
            attempts.failed(&format!("name {n}"), at(1));
        }
        assert_eq!(attempts.by_name.len(), MOST_NAMES);
        assert!(attempts.is_blocked("admin", at(1)));
    }
}
