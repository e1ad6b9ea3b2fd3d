//! Bringing a served backup's bytes in while it is being used, until it needs the backup no more.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::Thread;
use std::time::Duration;

use emberkeep_model::{BackupId, ByteCount};
use emberkeep_volumes::overlay::Filling as Go;
use emberkeep_volumes::{ChangeSet, Extent, Overlay, SourceSnapshot, VolumeError};
use uuid::Uuid;

use crate::error::chain;

/// How long it waits after a failure, such as a store that cannot be reached.
const RETRY: Duration = Duration::from_secs(30);

/// How far an instant restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filled {
    /// Bytes that do not come from the backup any more.
    pub bytes: ByteCount,
    /// The volume is whole: the backup may go.
    pub complete: bool,
}

/// An overlay that is being filled.
pub(super) struct Filling {
    pub(super) overlay: Arc<Overlay>,
    /// The backup that it needs until it is whole.
    pub(super) content: BackupId,
    stop: Arc<AtomicBool>,
    thread: Option<Thread>,
}

impl Filling {
    /// Begins to fill. Overlays that hold the same `turn` are filled one after the other.
    pub(super) fn begin(
        id: Uuid,
        overlay: Arc<Overlay>,
        content: BackupId,
        turn: Arc<Mutex<()>>,
    ) -> std::io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut filling = Self {
            overlay: Arc::clone(&overlay),
            content,
            stop: Arc::clone(&stop),
            thread: None,
        };
        if !overlay.is_complete() {
            let thread = std::thread::Builder::new()
                .name("export-fill".into())
                .spawn(move || fill(id, &overlay, &stop, &turn))?;
            filling.thread = Some(thread.thread().clone());
        }
        Ok(filling)
    }

    pub(super) fn told(&self) -> Filled {
        Filled {
            bytes: ByteCount(self.overlay.present()),
            complete: self.overlay.is_complete(),
        }
    }
}

impl Drop for Filling {
    fn drop(&mut self) {
        self.stop.store(true, SeqCst);
        if let Some(thread) = &self.thread {
            thread.unpark();
        }
    }
}

fn fill(id: Uuid, overlay: &Overlay, stop: &AtomicBool, turn: &Mutex<()>) {
    while !stop.load(SeqCst) {
        // A panic of one attempt is a failure like others: an export is never left half filled.
        let filled = catch_unwind(AssertUnwindSafe(|| {
            let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
            overlay.fill(|_| if stop.load(SeqCst) { Go::Stop } else { Go::On })
        }));
        let Ok(filled) = filled else {
            tracing::error!(export_id = %id, "filling an instant restore panicked; it goes on later");
            std::thread::park_timeout(RETRY);
            continue;
        };
        match filled {
            Ok(true) => {
                tracing::info!(export_id = %id, "an instant restore is complete");
                return;
            }
            Ok(false) => {}
            Err(error) => {
                tracing::error!(export_id = %id, error = chain(&error), "an instant restore goes on later");
                std::thread::park_timeout(RETRY);
            }
        }
    }
}

/// Stands for a backup that is not needed any more, or cannot be opened now.
pub(super) struct Absent {
    pub(super) size: ByteCount,
}

impl Absent {
    fn refused(&self) -> VolumeError {
        VolumeError::Missing {
            what: "the backup of an instant restore".into(),
        }
    }
}

impl SourceSnapshot for Absent {
    fn size(&self) -> ByteCount {
        self.size
    }

    fn extents(
        &self,
        _range: Range<u64>,
        _since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        Err(self.refused())
    }

    fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), VolumeError> {
        Err(self.refused())
    }
}
