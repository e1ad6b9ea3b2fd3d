//! How long each part of a run took, as one closing table.

use std::time::{Duration, Instant};

use crate::process::say;

/// Parts with their times, in the order in which they ended.
#[derive(Debug, Default)]
pub(crate) struct Times(Vec<(String, Duration)>);

impl Times {
    /// Notes a part.
    pub(crate) fn note(&mut self, part: impl Into<String>, took: Duration) {
        self.0.push((part.into(), took));
    }

    /// Takes over what another has noted.
    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    /// Does something and notes how long it took.
    pub(crate) fn of<T>(&mut self, part: &str, work: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let done = work();
        self.note(part, begun.elapsed());
        done
    }

    /// Prints the table; `all` is the time of the whole, in which parts overlap.
    pub(crate) fn print(&self, all: Duration) {
        say("seconds by part (some run side by side):");
        for line in self.lines(all) {
            say(&line);
        }
    }

    fn lines(&self, all: Duration) -> Vec<String> {
        let row = |part: &str, took: Duration| format!("  {part:<28}{:>8.1}", took.as_secs_f64());
        let mut lines: Vec<String> = self.0.iter().map(|(part, took)| row(part, *took)).collect();
        lines.push(row("in all", all));
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let mut times = Times::default();
        times.note("build", Duration::from_millis(61_250));
        assert_eq!(times.of("unit tests", || 7), 7);
        let lines = times.lines(Duration::from_secs(62));
        assert_eq!(lines[0], "  build                           61.2");
        assert!(lines[1].starts_with("  unit tests "), "{lines:?}");
        assert_eq!(lines[2], "  in all                          62.0");
    }
}
