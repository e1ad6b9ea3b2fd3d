//! What runs in the background of a service.

use std::borrow::Cow;

use emberkeep_model as model;
use serde::{Deserialize, Serialize};

use crate::time;

/// A background worker of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Worker {
    /// Its name.
    pub name: String,
    /// `idle`, `busy`, `restarting`, `failed` or `stopped`.
    pub state: Cow<'static, str>,
    /// How far it is with what it is doing, where that is known.
    pub progress: Option<WorkerProgress>,
    /// Turns it has taken since the service was started.
    pub runs: u64,
    /// When its last turn ended.
    pub last_run: Option<String>,
    /// What went wrong last.
    pub last_error: Option<String>,
    /// When that was.
    pub last_error_at: Option<String>,
    /// How often it had to be started again.
    pub restarts: u64,
}

/// How far a worker is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerProgress {
    /// Bytes done.
    pub bytes_done: u64,
    /// Bytes there are to do.
    pub bytes_total: u64,
}

impl Worker {
    /// Shows a worker.
    pub fn of(worker: &model::WorkerStatus) -> Self {
        Self {
            name: worker.name.clone(),
            state: worker.state.as_str().into(),
            progress: worker.progress.map(|progress| WorkerProgress {
                bytes_done: progress.bytes_done,
                bytes_total: progress.bytes_total,
            }),
            runs: worker.runs,
            last_run: worker.last_run.map(time::zulu),
            last_error: worker.last_error.clone(),
            last_error_at: worker.last_error_at.map(time::zulu),
            restarts: worker.restarts,
        }
    }
}

/// All workers, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct WorkerList {
    /// The workers.
    pub workers: Vec<Worker>,
}
