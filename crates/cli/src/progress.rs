//! Progress bars: on a terminal only, and never on standard output.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for bytes dealt with. Draws nothing unless standard error is a terminal.
#[derive(Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// Starts a bar; a total of 0 means that it is not known yet.
    pub(crate) fn new(label: &str, total: u64) -> Self {
        let bar = ProgressBar::new(total);
        let template = "{msg} [{bar:30}] {percent:>3} %  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        bar.set_message(label.to_owned());
        bar.enable_steady_tick(Duration::from_millis(200));
        Self(bar)
    }

    /// Shows how far it has come.
    pub(crate) fn set(&self, done: u64, total: u64) {
        self.0.set_length(total);
        self.0.set_position(done.min(total));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
