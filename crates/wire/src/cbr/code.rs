//! What a refusal is called: the one table of statuses and codes.

use emberkeep_model::SkipReason;

/// A situation that CBR has a code for (`cbr-v3.md §3`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is the situation it is named for")]
pub enum Code {
    NothingToBackUp,
    TargetTooSmall,
    TargetBackingUp,
    BackupNotRestorable,
    TargetRestoring,
    TargetStatus,
    VaultTooManyResources,
    VaultSize,
    ResourceType,
    ResourceInOtherVault,
    ResourceTwice,
    VaultCapacity,
    VaultUpdateLocked,
    VaultDeleteLocked,
    VaultStatus,
    VaultStatusForbidsBackup,
    VaultFull,
    VaultKind,
    VaultBusy,
    ResourceRemoving,
    ResourceNotInVault,
    BackupNotDeletable,
    VaultStatusForbidsRestore,
    ResourceBusy,
    BackupInUse,
    BackupLocked,
    TooManyTags,
    DiskStatus,
    BadParameter,
    NoSuchPolicy,
    NoSuchVault,
    NoSuchBackup,
    NoSuchCheckpoint,
    NoSuchResource,
    NoSuchTask,
    NoSuchDisk,
    NoSuchSnapshot,
    NoRoute,
    Unauthenticated,
    Forbidden,
    Changed,
    TooLarge,
    Unavailable,
    Internal,
}

impl Code {
    /// Returns the status and the code of an answer.
    pub fn answer(self) -> (u16, &'static str) {
        match self {
            Self::NothingToBackUp => (400, "BackupService.0001"),
            Self::TargetTooSmall => (400, "BackupService.2001"),
            Self::TargetBackingUp => (400, "BackupService.2002"),
            Self::BackupNotRestorable => (400, "BackupService.2005"),
            Self::TargetRestoring => (400, "BackupService.2010"),
            Self::TargetStatus => (400, "BackupService.2011"),
            Self::VaultTooManyResources => (400, "BackupService.6100"),
            Self::VaultSize => (400, "BackupService.6101"),
            Self::ResourceType => (400, "BackupService.6102"),
            Self::ResourceInOtherVault => (400, "BackupService.6103"),
            Self::ResourceTwice => (400, "BackupService.6104"),
            Self::VaultCapacity => (400, "BackupService.6107"),
            Self::VaultUpdateLocked => (400, "BackupService.6110"),
            Self::VaultDeleteLocked => (400, "BackupService.6111"),
            Self::VaultStatus => (400, "BackupService.6112"),
            Self::VaultStatusForbidsBackup => (400, "BackupService.6113"),
            Self::VaultFull => (400, "BackupService.6114"),
            Self::VaultKind => (400, "BackupService.6124"),
            Self::VaultBusy => (400, "BackupService.6125"),
            Self::ResourceRemoving => (400, "BackupService.6134"),
            Self::ResourceNotInVault => (400, "BackupService.6135"),
            Self::BackupNotDeletable => (400, "BackupService.6201"),
            Self::VaultStatusForbidsRestore => (400, "BackupService.6202"),
            Self::ResourceBusy => (400, "BackupService.6203"),
            Self::BackupInUse => (400, "BackupService.6216"),
            Self::BackupLocked => (400, "BackupService.6220"),
            Self::TooManyTags => (400, "BackupService.6600"),
            Self::DiskStatus => (400, "BackupService.7003"),
            Self::BadParameter => (400, "BackupService.9900"),
            Self::NoSuchPolicy => (404, "BackupService.6000"),
            Self::NoSuchVault => (404, "BackupService.6105"),
            Self::NoSuchBackup => (404, "BackupService.6200"),
            Self::NoSuchCheckpoint => (404, "BackupService.6217"),
            Self::NoSuchResource => (404, "BackupService.6302"),
            Self::NoSuchTask => (404, "BackupService.6500"),
            Self::NoSuchDisk => (404, "BackupService.7000"),
            Self::NoSuchSnapshot => (404, "BackupService.7202"),
            Self::NoRoute => (404, "APIGW.0101"),
            Self::Unauthenticated => (401, "APIGW.0301"),
            Self::Forbidden => (403, "APIGW.0302"),
            // The documents have no code for these; the status tells them apart.
            Self::Changed => (409, "BackupService.9910"),
            Self::TooLarge => (413, "BackupService.9900"),
            Self::Unavailable => (503, "BackupService.9910"),
            Self::Internal => (500, "BackupService.9910"),
        }
    }
}

/// Returns why a resource was left out of a run: the code and a sentence (`cbr-v3.md §2.3`).
pub(super) fn skipped(reason: SkipReason) -> (&'static str, &'static str) {
    match reason {
        SkipReason::BackupRunning => (
            Code::VaultBusy.answer().1,
            "A backup of this disk is running.",
        ),
        SkipReason::Restoring => (
            Code::TargetRestoring.answer().1,
            "This disk is being restored.",
        ),
        SkipReason::Removing => (
            Code::ResourceRemoving.answer().1,
            "This disk is being removed from the vault.",
        ),
        SkipReason::VolumeStatus => (
            Code::DiskStatus.answer().1,
            "The disk is neither available nor in use.",
        ),
        SkipReason::VolumeGone => (
            Code::NoSuchDisk.answer().1,
            "The disk does not exist any more.",
        ),
    }
}
