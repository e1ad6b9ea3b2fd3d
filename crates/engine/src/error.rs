//! Why an operation did not succeed, worded for the person who asked for it.

use emberkeep_format::{FormatError, ObjectId};
use emberkeep_keys::KeyFileError;
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_store::StoreError;
use emberkeep_volumes::VolumeError;

use crate::damage::{Damage, ReadError};

/// Backups that a message names; the rest is counted.
const NAMED: usize = 20;

/// Names backups in a message.
fn named(backups: &[BackupId]) -> String {
    let shown: Vec<_> = backups
        .iter()
        .take(NAMED)
        .map(ToString::to_string)
        .collect();
    let noun = if backups.len() == 1 {
        "backup"
    } else {
        "backups"
    };
    let rest = match backups.len().saturating_sub(NAMED) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{noun} {}{rest}", shown.join(", "))
}

/// Why a repository could not be made, opened or read.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// There is no repository here.
    #[error("{place} is not a repository")]
    NotARepository {
        /// Where it was looked for.
        place: String,
    },
    /// There is a repository here already.
    #[error("{place} holds a repository already")]
    Exists {
        /// Where it lies.
        place: String,
    },
    /// The descriptor is damaged or of a later version.
    #[error("the repository in {place} cannot be understood")]
    Descriptor {
        /// Where it lies.
        place: String,
        /// What is wrong with it.
        #[source]
        cause: FormatError,
    },
    /// The master key is not the repository's.
    #[error(
        "this repository was made with master key {}; the key file holds {given}",
        made_with.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    )]
    WrongMasterKey {
        /// Keys that would open it.
        made_with: Vec<ObjectId>,
        /// The key that was tried.
        given: ObjectId,
    },
    /// The repository holds no wrapped secret at all: no key can open it.
    #[error("the repository in {place} has lost its wrapped key")]
    NoMasterKey {
        /// Where it lies.
        place: String,
    },
    /// The project is kept here under another key than where its backups come from.
    #[error("{place} keeps project {project} under another key")]
    OtherKey {
        /// Where it lies.
        place: String,
        /// The project.
        project: String,
    },
    /// The master key was changed after the repository was opened.
    #[error("the master key of {place} was changed meanwhile; open it again with the new key")]
    MasterKeyReplaced {
        /// Where it lies.
        place: String,
    },
    /// The master key cannot be changed by this process.
    #[error("the master key of {place} is not kept in a file that can be changed")]
    KeyNotChangeable {
        /// Where it lies.
        place: String,
    },
    /// Another key file's rotation is under way, or was broken off.
    #[error(
        "the master key of {place} is being changed to {key} with another key file; finish it with that file"
    )]
    RotationElsewhere {
        /// Where it lies.
        place: String,
        /// The new key's id.
        key: String,
    },
    /// Runs are under way that would go on under the keys they have.
    #[error(
        "project {project} is being worked on; change keys when no backup, restore, check or sweep runs"
    )]
    Busy {
        /// The project.
        project: String,
    },
    /// The project's key was erased under this master key and does not come back.
    #[error("project {project} was erased from {place}; its key cannot be stored there again")]
    KeyErased {
        /// Where it lies.
        place: String,
        /// The project.
        project: String,
    },
    /// Erasing the project was broken off after its key had become useless.
    #[error(
        "a project in {place} was being erased and nothing of it can be read; erase it again to remove what is left"
    )]
    ErasureUnfinished {
        /// Where it lies.
        place: String,
    },
    /// The project's data key was renewed as often as it can be.
    #[error("the data key of project {0} was renewed 254 times and cannot be renewed again")]
    TooManyKeys(String),
    /// The master key's file failed.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// Something in the repository is damaged.
    #[error("the repository is damaged: {0}")]
    Damaged(#[source] Box<Damage>),
    /// There is no such backup.
    #[error("backup {0} does not exist")]
    NoSuchBackup(BackupId),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<ReadError> for RepositoryError {
    fn from(cause: ReadError) -> Self {
        match cause {
            ReadError::Store(cause) => Self::Store(cause),
            ReadError::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

/// Why a backup was not made. What was stored so far is garbage that the next sweep finds.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// A backup of this id is there already.
    #[error("backup {0} exists already")]
    Exists(BackupId),
    /// The backup it should be made after does not exist.
    #[error("the parent backup {0} does not exist")]
    NoSuchParent(BackupId),
    /// The volume could not be read.
    #[error("the volume could not be read")]
    Source(#[from] VolumeError),
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled.
    #[error("the backup was cancelled")]
    Cancelled,
    /// A sweep took this run for dead, so what it relies on may be gone.
    #[error("the run was silent for too long and was taken for dead; try again")]
    SessionLost,
    /// Another process made the project's key at the same moment, and the server kept that one:
    /// nobody could read what was stored with ours.
    #[error(
        "another process made the project's key at the same moment; open the repository again and try again"
    )]
    KeyReplaced,
    /// A pack that chunks of this backup lie in is gone.
    #[error("pack {0}, which holds data of this backup, has vanished; try again")]
    PackVanished(String),
    /// The compressor could not be prepared.
    #[error("the compressor could not be prepared")]
    Compressor(#[source] std::io::Error),
}

impl From<ReadError> for BackupError {
    fn from(cause: ReadError) -> Self {
        Self::Repository(cause.into())
    }
}

/// Why a volume was not restored. The target may hold part of the data.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// There is no such backup.
    #[error("backup {0} does not exist")]
    NoSuchBackup(BackupId),
    /// The backup's data is damaged; nothing wrong was written in its place.
    #[error("backup {backup} is damaged: {damage}")]
    BackupDamaged {
        /// The backup.
        backup: BackupId,
        /// Where the damage lies.
        #[source]
        damage: Box<Damage>,
    },
    /// The target is smaller than the volume was.
    #[error("the volume holds {have} but the backup needs {need}")]
    VolumeTooSmall {
        /// Bytes there are.
        have: ByteCount,
        /// Bytes there have to be.
        need: ByteCount,
    },
    /// The target could not be written.
    #[error("the target volume could not be written")]
    Target(#[from] VolumeError),
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled.
    #[error("the restore was cancelled")]
    Cancelled,
    /// The decompressor could not be prepared.
    #[error("the decompressor could not be prepared")]
    Decompressor(#[source] std::io::Error),
}

/// Why a sweep stopped. Whatever it did so far is safe, and the next one goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Another sweep is running.
    #[error("another sweep of this project is running (session {0})")]
    Busy(ObjectId),
    /// A backup's data cannot be found, so nothing can be called dead with certainty.
    #[error("nothing is swept while the repository is damaged: {0}; run check")]
    Damaged(#[source] Box<Damage>),
    /// Manifests of backups that must exist are missing: what only they name looks dead and is not.
    #[error(
        "nothing is swept while the manifests of {} are missing from the store: put them back from a copy of the store, or delete these backups (`emberkeep repo delete --force` where there is no service)",
        named(.0)
    )]
    ManifestsMissing(Vec<BackupId>),
    /// The list of backups that must be there is lost, so that a missing one would not be noticed.
    #[error(
        "nothing is swept while the list of backups is damaged: {0}; put it back from a copy of the store, or accept what is there with `emberkeep repo accept-rollback`"
    )]
    LedgerDamaged(#[source] Box<Damage>),
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled.
    #[error("the sweep was cancelled")]
    Cancelled,
    /// Another sweep took this one for dead, or its lease.
    #[error(
        "another sweep took the place of this one; nothing is lost, and the next one goes on from there"
    )]
    Superseded,
    /// The decompressor could not be prepared.
    #[error("the decompressor could not be prepared")]
    Decompressor(#[source] std::io::Error),
}

impl From<ReadError> for SweepError {
    fn from(cause: ReadError) -> Self {
        match cause {
            ReadError::Store(cause) => Self::Store(cause),
            ReadError::Damaged(damage) => Self::Damaged(damage),
        }
    }
}

/// Why a check did not come to its end. Damage is not an error but a finding.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The repository could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled.
    #[error("the check was cancelled")]
    Cancelled,
    /// The decompressor could not be prepared.
    #[error("the decompressor could not be prepared")]
    Decompressor(#[source] std::io::Error),
}

/// Why a backup was not copied. What was sent so far is found there by the next attempt.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// There is a backup of that id in the other repository already.
    #[error("backup {0} exists already in the other repository")]
    Exists(BackupId),
    /// There is no such backup to copy.
    #[error("backup {0} does not exist")]
    NoSuchBackup(BackupId),
    /// The project has another key there, or volumes are cut in another way.
    #[error("the other repository keeps this project under another key, or cuts volumes otherwise")]
    Unlike,
    /// One of the two repositories could not be read.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// One of the two stores failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The run was cancelled.
    #[error("the copy was cancelled")]
    Cancelled,
    /// A sweep took this run for dead, so what it relies on may be gone.
    #[error("the run was silent for too long and was taken for dead; try again")]
    SessionLost,
    /// Another process made the project's key at the same moment, and the server kept that one:
    /// nobody could read what was stored with ours.
    #[error(
        "another process made the project's key at the same moment; open the repository again and try again"
    )]
    KeyReplaced,
    /// A pack that chunks of the copy lie in is gone.
    #[error("pack {0}, which holds data of this copy, has vanished; try again")]
    PackVanished(String),
    /// The decompressor could not be prepared.
    #[error("the decompressor could not be prepared")]
    Compressor(#[source] std::io::Error),
}

impl From<ReadError> for CopyError {
    fn from(cause: ReadError) -> Self {
        Self::Repository(cause.into())
    }
}

impl From<BackupError> for CopyError {
    /// What a copy shares with a backup: looking around, and writing the manifest.
    fn from(cause: BackupError) -> Self {
        match cause {
            BackupError::Exists(backup) => Self::Exists(backup),
            BackupError::NoSuchParent(backup) => Self::NoSuchBackup(backup),
            BackupError::Source(cause) => unreachable!("a copy reads no volume: {cause}"),
            BackupError::Repository(cause) => Self::Repository(cause),
            BackupError::Store(cause) => Self::Store(cause),
            BackupError::Cancelled => Self::Cancelled,
            BackupError::SessionLost => Self::SessionLost,
            BackupError::KeyReplaced => Self::KeyReplaced,
            BackupError::PackVanished(pack) => Self::PackVanished(pack),
            BackupError::Compressor(cause) => Self::Compressor(cause),
        }
    }
}
