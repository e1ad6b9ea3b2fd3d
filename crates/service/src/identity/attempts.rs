//! Slows down guessing of passwords.
//!
//! Failures are counted by what was typed and by where it came from, so that an attacker shuts out
//! only themselves. Of guesses from many addresses at once there is a count of the name, too; it never
//! shuts out an address from which somebody got in under that name before.

use std::collections::HashMap;
use std::fmt::Debug;
use std::net::{IpAddr, Ipv6Addr};

use emberkeep_model::Timestamp;

use super::secret::hash_of;

/// After so many failures in a row from one address …
const MOST_FAILURES: u32 = 10;
/// … or so many from all …
const MOST_FROM_ALL: u32 = 200;
/// … within so many seconds …
const WINDOW_SECS: i64 = 60;
/// … nobody gets in under that name, from there or from new addresses, for so long.
const BLOCK_SECS: i64 = 30;
/// So many names are watched. Names are free text, so somebody could send ever new ones.
const MOST_NAMES: usize = 4096;

/// Who wants to get in, and from where. Hashes: what is typed may be long, or be a password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Subject {
    name: String,
    at: String,
}

impl Subject {
    /// Makes one of what was typed, the domain included. Addresses of one IPv6 network are one: each
    /// customer has billions.
    pub(super) fn new(address: Option<IpAddr>, typed: &impl Debug) -> Self {
        let name = hash_of(&format!("{typed:?}"));
        let address = address.map(|address| match address.to_canonical() {
            IpAddr::V6(long) => {
                let [a, b, c, d, ..] = long.segments();
                IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
            }
            short @ IpAddr::V4(_) => short,
        });
        Self {
            at: format!("{address:?} {name}"),
            name,
        }
    }
}

/// Failed attempts, since the last one that succeeded.
#[derive(Default)]
pub(super) struct Attempts {
    by_address: Counts<MOST_FAILURES>,
    by_name: Counts<MOST_FROM_ALL>,
    /// When somebody last got in under a name from an address.
    known: HashMap<String, Timestamp>,
}

/// Failures by a key, of which `MOST` are too many.
#[derive(Default)]
struct Counts<const MOST: u32> {
    by_key: HashMap<String, Failures<MOST>>,
}

struct Failures<const MOST: u32> {
    count: u32,
    first: Timestamp,
    last: Timestamp,
}

impl<const MOST: u32> Failures<MOST> {
    fn begun(now: Timestamp) -> Self {
        Self {
            count: 0,
            first: now,
            last: now,
        }
    }

    /// Returns when this no longer matters.
    fn ends(&self) -> Timestamp {
        if self.count >= MOST {
            self.last.plus_secs(BLOCK_SECS)
        } else {
            self.first.plus_secs(WINDOW_SECS)
        }
    }
}

impl<const MOST: u32> Counts<MOST> {
    fn are_too_many(&self, key: &str, now: Timestamp) -> bool {
        self.by_key
            .get(key)
            .is_some_and(|failures| failures.count >= MOST && now < failures.ends())
    }

    fn add(&mut self, key: &str, now: Timestamp) {
        if self.by_key.len() >= MOST_NAMES && !self.by_key.contains_key(key) {
            self.make_room(now);
        }
        let failures = self
            .by_key
            .entry(key.to_owned())
            .or_insert_with(|| Failures::begun(now));
        if failures.ends() <= now {
            *failures = Failures::begun(now);
        }
        failures.count += 1;
        failures.last = now;
    }

    /// Drops what no longer matters; if all does, the key that failed longest ago.
    fn make_room(&mut self, now: Timestamp) {
        self.by_key.retain(|_, failures| now < failures.ends());
        if self.by_key.len() >= MOST_NAMES {
            let oldest = self
                .by_key
                .iter()
                .min_by_key(|(_, failures)| (failures.count >= MOST, failures.last));
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.by_key.remove(&key);
            }
        }
    }
}

impl Attempts {
    /// Tells whether `subject` has to wait.
    pub(super) fn is_blocked(&self, subject: &Subject, now: Timestamp) -> bool {
        self.by_address.are_too_many(&subject.at, now)
            || (self.by_name.are_too_many(&subject.name, now)
                && !self.known.contains_key(&subject.at))
    }

    /// Notes that somebody failed to get in as `subject`.
    pub(super) fn failed(&mut self, subject: &Subject, now: Timestamp) {
        self.by_address.add(&subject.at, now);
        self.by_name.add(&subject.name, now);
    }

    /// Notes that somebody got in as `subject`.
    pub(super) fn succeeded(&mut self, subject: &Subject, now: Timestamp) {
        self.by_address.by_key.remove(&subject.at);
        if self.known.len() >= MOST_NAMES && !self.known.contains_key(&subject.at) {
            let oldest = self.known.iter().min_by_key(|(_, at)| **at);
            if let Some(key) = oldest.map(|(key, _)| key.clone()) {
                self.known.remove(&key);
            }
        }
        self.known.insert(subject.at.clone(), now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(secs: i64) -> Timestamp {
        Timestamp(0).plus_secs(secs)
    }

    fn from(address: &str, name: &str) -> Subject {
        Subject::new(Some(address.parse().expect("an address")), &name)
    }

    fn who(name: &str) -> Subject {
        Subject::new(None, &name)
    }

    #[test]
    fn ten_failures_within_a_minute_block_for_half_a_minute() {
        let mut attempts = Attempts::default();
        let alice = who("alice");
        for second in 0..9 {
            attempts.failed(&alice, at(second));
        }
        assert!(!attempts.is_blocked(&alice, at(9)), "nine are allowed");
        attempts.failed(&alice, at(9));
        assert!(attempts.is_blocked(&alice, at(9)));
        assert!(attempts.is_blocked(&alice, at(38)));
        assert!(!attempts.is_blocked(&alice, at(39)), "the wait is over");
        assert!(!attempts.is_blocked(&who("bob"), at(9)), "others are free");
        attempts.failed(&alice, at(39));
        assert!(!attempts.is_blocked(&alice, at(39)), "counting began anew");
    }

    #[test]
    fn slow_failures_and_a_success_in_between_do_not_block() {
        let mut attempts = Attempts::default();
        let (slow, alice) = (who("slow"), who("alice"));
        for round in 0..20 {
            attempts.failed(&slow, at(round * 10));
            assert!(!attempts.is_blocked(&slow, at(round * 10)), "round {round}");
        }
        for _ in 0..9 {
            attempts.failed(&alice, at(0));
        }
        attempts.succeeded(&alice, at(0));
        attempts.failed(&alice, at(0));
        assert!(!attempts.is_blocked(&alice, at(0)));
    }

    #[test]
    fn ever_new_names_neither_fill_memory_nor_free_a_blocked_one() {
        let mut attempts = Attempts::default();
        for _ in 0..MOST_FAILURES {
            attempts.failed(&who("admin"), at(0));
        }
        for n in 0..(2 * MOST_NAMES) {
            attempts.failed(&who(&format!("name {n}")), at(1));
            attempts.succeeded(&who(&format!("other {n}")), at(1));
        }
        assert_eq!(attempts.by_address.by_key.len(), MOST_NAMES);
        assert_eq!(attempts.by_name.by_key.len(), MOST_NAMES);
        assert_eq!(attempts.known.len(), MOST_NAMES);
        assert!(attempts.is_blocked(&who("admin"), at(1)));
    }

    #[test]
    fn nobody_keeps_the_administrator_out() {
        let mut attempts = Attempts::default();
        let own = from("192.0.2.1", "admin");
        attempts.succeeded(&own, at(0));
        // One stranger, and then a thousand.
        let stranger = from("198.51.100.1", "admin");
        for _ in 0..1000 {
            // One that is blocked is refused before it is counted.
            if !attempts.is_blocked(&stranger, at(1)) {
                attempts.failed(&stranger, at(1));
            }
        }
        assert!(attempts.is_blocked(&stranger, at(1)));
        assert!(!attempts.is_blocked(&from("203.1.0.1", "admin"), at(1)));
        let same_network = ("2001:db8::1", "2001:db8::2");
        for n in 0..1000 {
            let (high, low) = (n / 250, n % 250);
            attempts.failed(&from(&format!("203.0.{high}.{low}"), "admin"), at(1));
        }
        assert!(
            attempts.is_blocked(&from("203.1.0.1", "admin"), at(1)),
            "many guess"
        );
        assert!(
            !attempts.is_blocked(&own, at(1)),
            "who got in before still does"
        );
        assert!(!attempts.is_blocked(&from("203.1.0.1", "bob"), at(1)));
        for _ in 0..MOST_FAILURES {
            attempts.failed(&from(same_network.0, "carol"), at(1));
        }
        assert!(attempts.is_blocked(&from(same_network.1, "carol"), at(1)));
    }
}
