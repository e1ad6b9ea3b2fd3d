//! Progress lines: on a terminal only, and never on standard output.

use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// All lines of this process: those of several things waited for at once stand one under the other.
static LINES: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

const BYTES: &str = "{msg} [{wide_bar}] {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
/// For what has no bytes, or has not said yet how many.
const SINCE: &str = "{msg} … {elapsed}";
const PERCENT: &str = "{msg} [{wide_bar}] {percent:>3} %  {elapsed}";

/// A line about something that goes on. Draws nothing unless standard error is a terminal.
#[derive(Debug)]
pub(crate) struct Bar {
    line: ProgressBar,
    template: Mutex<&'static str>,
}

impl Bar {
    /// Starts a line for bytes dealt with; a total of 0 means that it is not known yet.
    pub(crate) fn new(label: &str, total: u64) -> Self {
        let bar = Self::waiting(label);
        bar.set(0, total);
        bar
    }

    /// Starts a line that says no more than that it goes on, and for how long it has.
    pub(crate) fn waiting(label: &str) -> Self {
        // Shaped before it is shown, lest it is seen as something else for a moment.
        let line = ProgressBar::hidden();
        line.set_message(label.to_owned());
        let template = Mutex::new("");
        let bar = Self { line, template };
        bar.shape(SINCE);
        LINES.add(bar.line.clone());
        bar.line.enable_steady_tick(Duration::from_millis(200));
        bar
    }

    /// Shows how many bytes it has come.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.advance(BYTES, done, total);
    }

    /// Shows how far it has come where that is all that is known.
    pub(crate) fn percent(&self, percent: u8) {
        self.advance(PERCENT, percent.into(), 100);
    }

    fn advance(&self, template: &'static str, done: u64, total: u64) {
        // Before the first byte there is no rate, and no time left that means anything.
        if total == 0 || done == 0 {
            return;
        }
        self.shape(template);
        self.line.set_length(total);
        self.line.set_position(done.min(total));
    }

    fn shape(&self, template: &'static str) {
        let mut shape = self.template.lock().unwrap_or_else(PoisonError::into_inner);
        if std::mem::replace(&mut *shape, template) == template {
            return;
        }
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.line.set_style(style.progress_chars("=> "));
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.line.finish_and_clear();
        LINES.remove(&self.line);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shape_of_a_line_is_one() {
        for template in [BYTES, SINCE, PERCENT] {
            assert!(ProgressStyle::with_template(template).is_ok(), "{template}");
        }
    }
}
