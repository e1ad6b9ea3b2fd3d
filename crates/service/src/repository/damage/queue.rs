//! Damage that readers meet, on its way to the worker that looks into it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use emberkeep_engine::{Damage, RepositoryError, RestoreError};
use emberkeep_model::BackupId;
use emberkeep_volumes::{ChangeSet, Extent, SourceSnapshot, VolumeError};
use tokio::sync::Notify;

use super::found::MANIFEST_MISSING;
use crate::error::chain;

/// What was met while reading is noted for so many places at most; the scrub finds the rest.
const MOST_MET: usize = 256;

/// Damage that was met while a backup's bytes were read, to be looked into by the worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Met {
    pub(super) backup: BackupId,
    pub(super) what: String,
    /// The damaged object, where it is known.
    pub(super) object: Option<String>,
}

impl Met {
    /// Reads it off a failed restore; none if the failure is of another kind.
    pub(super) fn of(backup: BackupId, error: &RestoreError) -> Option<Self> {
        let damaged = |damage: &Damage| Self {
            backup,
            what: chain(damage),
            object: Some(damage.object.clone()),
        };
        match error {
            RestoreError::BackupDamaged { damage, .. }
            | RestoreError::Repository(RepositoryError::Damaged(damage)) => Some(damaged(damage)),
            RestoreError::NoSuchBackup(_)
            | RestoreError::Repository(RepositoryError::NoSuchBackup(_)) => Some(Self {
                backup,
                what: MANIFEST_MISSING.to_owned(),
                object: None,
            }),
            RestoreError::Repository(_)
            | RestoreError::VolumeTooSmall { .. }
            | RestoreError::Target(_)
            | RestoreError::Store(_)
            | RestoreError::Cancelled
            | RestoreError::Decompressor(_) => None,
        }
    }
}

/// What the damage worker has to look into.
#[derive(Debug, Default)]
pub(crate) struct DamageQueue {
    met: Mutex<VecDeque<Met>>,
    wake: Notify,
}

impl DamageQueue {
    fn put(&self, met: Met) {
        let mut waiting = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < MOST_MET && !waiting.contains(&met) {
            waiting.push_back(met);
            drop(waiting);
            self.wake.notify_one();
        }
    }

    /// Takes in what a failed read of a backup says of its data, if anything.
    pub(crate) fn met(&self, backup: BackupId, error: &RestoreError) {
        if let Some(met) = Met::of(backup, error) {
            self.put(met);
        }
    }

    pub(super) fn take(&self) -> Option<Met> {
        let mut waiting = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.pop_front()
    }

    /// Asks for another look at all damaged backups.
    pub(crate) fn look_again(&self) {
        self.wake.notify_one();
    }

    /// Waits until there is something to do.
    pub(crate) async fn woken(&self) {
        self.wake.notified().await;
    }
}

/// A source that reports damage which its readers meet.
pub(crate) struct Watched {
    inner: Box<dyn SourceSnapshot>,
    backup: BackupId,
    queue: Arc<DamageQueue>,
}

impl Watched {
    /// Wraps a backup's reader so that damage which it meets is queued.
    pub(crate) fn new(
        backup: BackupId,
        inner: Box<dyn SourceSnapshot>,
        queue: Arc<DamageQueue>,
    ) -> Self {
        Self {
            inner,
            backup,
            queue,
        }
    }

    fn look<T>(&self, outcome: Result<T, VolumeError>) -> Result<T, VolumeError> {
        if let Err(error) = &outcome {
            let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
            while let Some(error) = cause {
                let inner = error
                    .downcast_ref::<std::io::Error>()
                    .and_then(std::io::Error::get_ref)
                    .and_then(|inner| inner.downcast_ref::<RestoreError>());
                let restore = inner.or_else(|| error.downcast_ref::<RestoreError>());
                if let Some(error) = restore {
                    self.queue.met(self.backup, error);
                    break;
                }
                cause = error.source();
            }
        }
        outcome
    }
}

impl SourceSnapshot for Watched {
    fn size(&self) -> emberkeep_model::ByteCount {
        self.inner.size()
    }

    fn extents(
        &self,
        range: std::ops::Range<u64>,
        since: Option<&str>,
    ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
        self.look(self.inner.extents(range, since))
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<(), VolumeError> {
        self.look(self.inner.read_at(offset, buf))
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::ByteCount;
    use uuid::Uuid;

    use super::*;

    /// A source whose reads fail as the one of a backup does.
    struct Failing(fn() -> RestoreError);

    impl SourceSnapshot for Failing {
        fn size(&self) -> ByteCount {
            ByteCount(4096)
        }

        fn extents(
            &self,
            _range: std::ops::Range<u64>,
            _since: Option<&str>,
        ) -> Result<(ChangeSet, Vec<Extent>), VolumeError> {
            Err(VolumeError::io("reading", std::io::Error::other(self.0())))
        }

        fn read_at(&self, _offset: u64, _buf: &mut [u8]) -> Result<(), VolumeError> {
            Err(VolumeError::io("reading", std::io::Error::other(self.0())))
        }
    }

    #[test]
    fn readers_of_a_backup_report_damage_and_nothing_else() {
        let id = BackupId(Uuid::from_u128(1));
        let damaged = || RestoreError::BackupDamaged {
            backup: BackupId(Uuid::from_u128(1)),
            damage: Box::new(Damage {
                object: "p/x/packs/ab/ab".to_owned(),
                offset: Some(7),
                cause: emberkeep_engine::DamageCause::Missing,
            }),
        };
        for (name, error, want) in [
            (
                "damage",
                damaged as fn() -> RestoreError,
                Some(Some("p/x/packs/ab/ab")),
            ),
            (
                "a lost manifest",
                || RestoreError::NoSuchBackup(BackupId(Uuid::from_u128(1))),
                Some(None),
            ),
            ("a cancelled read", || RestoreError::Cancelled, None),
        ] {
            let queue = Arc::new(DamageQueue::default());
            let watched = Watched {
                inner: Box::new(Failing(error)),
                backup: id,
                queue: Arc::clone(&queue),
            };
            assert!(watched.read_at(0, &mut [0; 8]).is_err(), "{name}");
            assert!(watched.extents(0..8, None).is_err(), "{name}");
            let met = queue.take();
            let object = met.map(|met| met.object);
            let want = want.map(|object| object.map(str::to_owned));
            assert_eq!(object, want, "{name}");
            assert_eq!(queue.take(), None, "{name}: noted once");
        }
    }

    #[test]
    fn what_waits_to_be_looked_into_is_bounded() {
        let queue = DamageQueue::default();
        for n in 0..1000u128 {
            queue.put(Met {
                backup: BackupId(Uuid::from_u128(n)),
                what: String::new(),
                object: None,
            });
        }
        let waiting = std::iter::from_fn(|| queue.take()).count();
        assert_eq!(waiting, MOST_MET);
    }
}
