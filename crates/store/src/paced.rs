//! A wrapper that makes a store as slow as is wanted: to leave room on a line, or to see
//! how a far-away store would feel.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use crate::{Listed, ObjectStore, StoreError};

/// How slow a store is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pace {
    /// Bytes a second that may be written; none for no limit.
    pub up: Option<u64>,
    /// Bytes a second that may be read; none for no limit.
    pub down: Option<u64>,
    /// Time that every call takes at least.
    pub latency: Duration,
}

/// A store that keeps to a [`Pace`], whatever the number of threads that use it.
#[derive(Debug)]
pub struct PacedStore<S> {
    inner: S,
    pace: Pace,
    up: Mutex<Line>,
    down: Mutex<Line>,
}

/// When one direction is free again.
#[derive(Debug, Default)]
struct Line {
    free_at: Option<Instant>,
}

impl Line {
    /// Books so many bytes and returns when they are through.
    fn book(&mut self, now: Instant, bytes: u64, rate: u64) -> Instant {
        let start = self.free_at.map_or(now, |free| free.max(now));
        let nanos = u128::from(bytes) * 1_000_000_000 / u128::from(rate.max(1));
        let end = start + Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX));
        self.free_at = Some(end);
        end
    }
}

impl<S: ObjectStore> PacedStore<S> {
    /// Wraps `inner`.
    pub fn new(inner: S, pace: Pace) -> Self {
        Self {
            inner,
            pace,
            up: Mutex::default(),
            down: Mutex::default(),
        }
    }

    fn call<T>(&self, up: u64, act: impl FnOnce(&S) -> (u64, T)) -> T {
        let begun = Instant::now();
        if up > 0 {
            wait(&self.up, up, self.pace.up);
        }
        let (down, outcome) = act(&self.inner);
        if down > 0 {
            wait(&self.down, down, self.pace.down);
        }
        std::thread::sleep(self.pace.latency.saturating_sub(begun.elapsed()));
        outcome
    }
}

fn wait(line: &Mutex<Line>, bytes: u64, rate: Option<u64>) {
    if let Some(rate) = rate {
        let now = Instant::now();
        let until = line
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .book(now, bytes, rate);
        std::thread::sleep(until.saturating_duration_since(now));
    }
}

fn total(parts: &[&[u8]]) -> u64 {
    parts.iter().map(|part| part.len() as u64).sum()
}

fn read(outcome: Result<Vec<u8>, StoreError>) -> (u64, Result<Vec<u8>, StoreError>) {
    (outcome.as_ref().map_or(0, |b| b.len() as u64), outcome)
}

impl<S: ObjectStore> ObjectStore for PacedStore<S> {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call(total(parts), |inner| (0, inner.put_if_absent(name, parts)))
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.call(total(parts), |inner| (0, inner.put(name, parts)))
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.call(0, |inner| read(inner.get(name)))
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        self.call(0, |inner| read(inner.get_range(name, range)))
    }

    fn get_range_into(
        &self,
        name: &str,
        range: Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        self.call(0, |inner| {
            let got = inner.get_range_into(name, range, into);
            (into.len() as u64, got)
        })
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.call(0, |inner| (0, inner.head(name)))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.call(0, |inner| (0, inner.list(prefix, after, limit)))
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        self.call(0, |inner| (0, inner.delete_many(names)))
    }

    fn gap(&self) -> u64 {
        self.inner.gap()
    }

    fn scratch(&self) -> Option<std::path::PathBuf> {
        self.inner.scratch()
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryStore;

    #[test]
    fn conforms_at_any_pace() {
        crate::conformance::run(|| {
            let pace = Pace {
                up: Some(1 << 40),
                down: Some(1 << 40),
                latency: Duration::from_micros(1),
            };
            Box::new(PacedStore::new(MemoryStore::new(), pace))
        });
    }

    #[test]
    fn a_line_is_booked_without_gaps_and_without_credit() {
        let now = Instant::now();
        let mut line = Line::default();
        assert_eq!(line.book(now, 500, 1000), now + Duration::from_millis(500));
        assert_eq!(line.book(now, 250, 1000), now + Duration::from_millis(750));
        // What was not used while nobody asked is gone.
        let later = now + Duration::from_secs(9);
        assert_eq!(
            line.book(later, 100, 1000),
            later + Duration::from_millis(100)
        );
    }

    #[test]
    fn limits_are_kept_in_each_direction() {
        let pace = Pace {
            up: Some(1_000_000),
            down: Some(2_000_000),
            latency: Duration::ZERO,
        };
        let store = PacedStore::new(MemoryStore::new(), pace);
        let bytes = vec![7; 40_000];
        let begun = Instant::now();
        store.put("a", &[&bytes]).expect("put");
        assert!(begun.elapsed() >= Duration::from_millis(40));
        let begun = Instant::now();
        assert_eq!(store.get("a").expect("get"), bytes);
        assert!(begun.elapsed() >= Duration::from_millis(20));
    }
}
