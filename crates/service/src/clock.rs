//! The clock as an argument, so that tests choose the time.

use std::time::{SystemTime, UNIX_EPOCH};

use emberkeep_model::Timestamp;

/// Tells the time.
pub trait Clock: Send + Sync {
    /// Returns this instant.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let micros = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |elapsed| elapsed.as_micros());
        Timestamp(i64::try_from(micros).unwrap_or(i64::MAX))
    }
}
