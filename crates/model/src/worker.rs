//! Workers: what runs in the background of a service, and how it fares.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{Progress, Timestamp};

words! {
    /// Where a background worker stands.
    WorkerState as "state of a worker" {
        /// It waits for its next turn.
        Idle = "idle",
        /// It is doing something.
        Busy = "busy",
        /// It ended or panicked, and is started again shortly.
        Restarting = "restarting",
        /// It kept failing; the process ends.
        Failed = "failed",
        /// The service is being stopped.
        Stopped = "stopped",
    }
}

impl WorkerState {
    /// Tells whether it does its work.
    pub fn is_well(self) -> bool {
        match self {
            Self::Idle | Self::Busy | Self::Stopped => true,
            Self::Restarting | Self::Failed => false,
        }
    }
}

/// What is known of one background worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkerStatus {
    /// Its name, unique in the process.
    pub name: String,
    /// Where it stands.
    pub state: WorkerState,
    /// How far it is with what it is doing, where that is known.
    pub progress: Option<Progress>,
    /// Turns it has taken.
    pub runs: u64,
    /// When its last turn ended.
    pub last_run: Option<Timestamp>,
    /// What went wrong last, for people.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<Timestamp>,
    /// How often it had to be started again.
    pub restarts: u64,
}

impl WorkerStatus {
    /// Describes a worker that has not done anything yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            state: WorkerState::Idle,
            progress: None,
            runs: 0,
            last_run: None,
            last_error: None,
            last_error_at: None,
            restarts: 0,
        }
    }
}
