//! What goes wrong with the volumes of a [`MemoryProvider`](crate::MemoryProvider).

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_volumes::VolumeError;

/// A call that can fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeCall {
    /// Making, growing or deleting a volume or a snapshot.
    Manage,
    /// Freezing, and opening what is frozen.
    Freeze,
    /// Asking for extents.
    Extents,
    /// Reading from a source or a target.
    Read,
    /// Writing to a target, zeroes included.
    Write,
    /// Finishing a target.
    Finish,
}

/// What the caller is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VolumeFault {
    /// An I/O error.
    Io,
    /// No space is left.
    NoSpace,
    /// The volume is gone.
    Missing,
}

#[derive(Debug, Default)]
struct State {
    armed: Option<(VolumeCall, u64, VolumeFault)>,
    log: Vec<VolumeCall>,
    struck: bool,
}

/// The plan of what fails, shared between a test and the provider.
#[derive(Debug, Clone, Default)]
pub struct VolumeFaults {
    state: Arc<Mutex<State>>,
}

impl VolumeFaults {
    /// Lets the `nth` call of a kind, counted from 1 and from now on, fail, and all of that kind after it.
    pub fn arm(&self, call: VolumeCall, nth: u64, fault: VolumeFault) {
        *self.lock() = State {
            armed: Some((call, nth, fault)),
            ..State::default()
        };
    }

    /// Lets nothing fail any more, and counts anew.
    pub fn disarm(&self) {
        *self.lock() = State::default();
    }

    /// Returns how many calls of a kind there were since the plan was last changed.
    pub fn calls(&self, call: VolumeCall) -> u64 {
        self.lock().log.iter().filter(|made| **made == call).count() as u64
    }

    /// Tells whether a planned fault has struck.
    pub fn struck(&self) -> bool {
        self.lock().struck
    }

    /// Notes a call and fails it if that is planned.
    pub(crate) fn meet(&self, call: VolumeCall, what: &str) -> Result<(), VolumeError> {
        let mut state = self.lock();
        state.log.push(call);
        let count = state.log.iter().filter(|made| **made == call).count() as u64;
        let Some((_, _, fault)) = state
            .armed
            .filter(|(which, nth, _)| *which == call && count >= *nth)
        else {
            return Ok(());
        };
        state.struck = true;
        let what = what.to_owned();
        Err(match fault {
            VolumeFault::Io => VolumeError::Io {
                what,
                cause: io::Error::other("a planned fault"),
            },
            VolumeFault::NoSpace => VolumeError::NoSpace { what },
            VolumeFault::Missing => VolumeError::Missing { what },
        })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
