//! What a refusal is called: the one table of statuses and codes.

use emberkeep_model::SkipReason;

macro_rules! codes {
    ($($name:ident = $status:literal $code:literal;)*) => {
        /// A situation that CBR has a code for (`cbr-v3.md §3`); `docs/cbr.md` says when each is met.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[expect(missing_docs, reason = "each is the situation it is named for")]
        pub enum Code {
            $($name,)*
        }

        impl Code {
            /// Every situation.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// Returns the status and the code of an answer.
            pub fn answer(self) -> (u16, &'static str) {
                match self {
                    $(Self::$name => ($status, $code),)*
                }
            }
        }
    };
}

codes! {
    NothingToBackUp = 400 "BackupService.0001";
    TargetTooSmall = 400 "BackupService.2001";
    TargetBackingUp = 400 "BackupService.2002";
    TargetOtherServer = 400 "BackupService.2003";
    BackupNotRestorable = 400 "BackupService.2005";
    TargetKind = 400 "BackupService.2009";
    TargetRestoring = 400 "BackupService.2010";
    TargetStatus = 400 "BackupService.2011";
    TargetSystemDisk = 400 "BackupService.2013";
    VaultTooManyResources = 400 "BackupService.6100";
    VaultSize = 400 "BackupService.6101";
    ResourceType = 400 "BackupService.6102";
    ResourceInOtherVault = 400 "BackupService.6103";
    ResourceTwice = 400 "BackupService.6104";
    VaultCapacity = 400 "BackupService.6107";
    VaultForCopies = 400 "BackupService.6108";
    VaultUpdateLocked = 400 "BackupService.6110";
    VaultDeleteLocked = 400 "BackupService.6111";
    VaultStatus = 400 "BackupService.6112";
    VaultStatusForbidsBackup = 400 "BackupService.6113";
    VaultFull = 400 "BackupService.6114";
    VaultKind = 400 "BackupService.6124";
    VaultBusy = 400 "BackupService.6125";
    ResourceRemoving = 400 "BackupService.6134";
    ResourceNotInVault = 400 "BackupService.6135";
    BackupNotDeletable = 400 "BackupService.6201";
    VaultStatusForbidsRestore = 400 "BackupService.6202";
    ResourceBusy = 400 "BackupService.6203";
    MetadataUnavailable = 400 "BackupService.6206";
    BackupInUse = 400 "BackupService.6216";
    BackupLocked = 400 "BackupService.6220";
    TooManyTags = 400 "BackupService.6600";
    DiskStatus = 400 "BackupService.7003";
    ServerStatus = 400 "BackupService.7101";
    NoDisks = 400 "BackupService.7108";
    BadParameter = 400 "BackupService.9900";
    TooManyPolicies = 400 "BackupService.6001";
    PolicyDestination = 400 "BackupService.6003";
    ReplicaOfReplica = 400 "BackupService.1002";
    NotReplicable = 400 "BackupService.1003";
    NoSuchRegion = 400 "BackupService.1005";
    ReplicatedAlready = 400 "BackupService.1009";
    DestinationProject = 400 "BackupService.1011";
    DestinationCheck = 400 "BackupService.6118";
    VaultNotReplicable = 400 "BackupService.6128";
    DestinationTakesNoReplicas = 400 "BackupService.6119";
    NoSuchDestination = 400 "BackupService.6120";
    PolicyUnsuited = 400 "BackupService.6127";
    DestinationFull = 400 "BackupService.6129";
    TooManyShares = 400 "BackupService.6701";
    ShareStatus = 400 "BackupService.6702";
    SharedAlready = 400 "BackupService.6703";
    ShareProject = 400 "BackupService.6704";
    MemberUpdate = 400 "BackupService.6706";
    NotShareable = 400 "BackupService.6707";
    MemberVaultKind = 400 "BackupService.6713";
    PolicyNotBound = 404 "BackupService.6002";
    NoSuchTag = 404 "BackupService.6601";
    NoSuchMember = 404 "BackupService.6705";
    NoSuchPolicy = 404 "BackupService.6000";
    NoSuchVault = 404 "BackupService.6105";
    NoSuchBackup = 404 "BackupService.6200";
    NoSuchCheckpoint = 404 "BackupService.6217";
    NoSuchResource = 404 "BackupService.6302";
    NoSuchTask = 404 "BackupService.6500";
    NoSuchDisk = 404 "BackupService.7000";
    NoSuchServer = 404 "BackupService.7100";
    NoSuchSnapshot = 404 "BackupService.7202";
    NoRoute = 404 "APIGW.0101";
    Unauthenticated = 401 "APIGW.0301";
    Forbidden = 403 "APIGW.0302";
    // The documents have no code for these; the status tells them apart.
    Changed = 409 "BackupService.9910";
    TooLarge = 413 "BackupService.9900";
    Unavailable = 503 "BackupService.9910";
    NoSpace = 507 "BackupService.9910";
    Internal = 500 "BackupService.9910";
}

/// Returns the code of the reason for which a resource was left out of a run (`cbr-v3.md §2.3`).
pub(super) fn skipped(reason: SkipReason) -> &'static str {
    let code = match reason {
        SkipReason::BackupRunning => Code::VaultBusy,
        SkipReason::Restoring => Code::TargetRestoring,
        SkipReason::Removing => Code::ResourceRemoving,
        SkipReason::VolumeStatus => Code::DiskStatus,
        SkipReason::VolumeGone => Code::NoSuchDisk,
        SkipReason::ServerStatus => Code::ServerStatus,
        SkipReason::ServerGone => Code::NoSuchServer,
        SkipReason::NoVolumes => Code::NoDisks,
        SkipReason::FileSystemGone => Code::NoSuchResource,
    };
    code.answer().1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_in_the_documents_is_the_one_in_the_code() {
        let documents = include_str!("../../../../docs/cbr.md");
        let said: Vec<Vec<&str>> = documents
            .lines()
            .filter(|line| line.starts_with("| `"))
            .map(|line| line.split('|').map(str::trim).collect())
            .collect();
        let told: Vec<_> = said
            .iter()
            .map(|row| (row[1].trim_matches('`').to_owned(), row[2], row[3]))
            .collect();
        let statuses: Vec<_> = Code::ALL.iter().map(|c| c.answer().0.to_string()).collect();
        let known: Vec<_> = Code::ALL
            .iter()
            .zip(&statuses)
            .map(|(code, status)| (format!("{code:?}"), status.as_str(), code.answer().1))
            .collect();
        assert_eq!(told, known);
        assert!(said.iter().all(|row| !row[4].is_empty()));
    }
}
