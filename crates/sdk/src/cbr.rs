//! Vaults, checkpoints, backups and all else of the CBR API (`cbr-v3.md §2`).
//!
//! Answers are the shapes of [`emberkeep_wire::cbr`], the same that Emberkeep's service writes:
//! every attribute of `otcextensions.sdk.cbr.v3` is there, and those of Huawei's cloud.

mod backups;
mod checkpoints;
mod members;
mod policies;
mod protectables;
mod query;
mod tags;
mod tasks;
mod usage;
mod vaults;

use emberkeep_wire::keyed::{Keyed, Many};
use serde::de::DeserializeOwned;

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::pages::{Pages, Turning};

// One definition of each shape: what this client sends is what the service reads.
pub use emberkeep_model::Tag;
pub use emberkeep_wire::cbr::Member;
pub use emberkeep_wire::cbr::ask::{
    AddResource, BindRulesChange, Mapping, NewBilling, NewCheckpoint, NewPolicy, NewReplication,
    NewVault, PolicyChange, RestoreTarget, TagCondition, TagFilter as TagQuery, VaultChange,
    VaultsChange,
};
pub use emberkeep_wire::cbr::{
    AppConsistency, AssociatedVault, AttachedDisk, Backup, BackupDetail, BackupMetadata, Billing,
    BillingExtra, BindRules, Bound, Checkpoint, CheckpointExtra, CheckpointResource,
    CheckpointVault, CommonDetail, DeleteDetail, DiskDetail, ErrorInfo, ExpirationDetail,
    ExpiryMoved, ExtendInfo, Features, FileSystemDetail, IncludeVolume, Instance, Mib,
    OperationDefinition, OsImage, Parameters, Policy, ProjectTag, Protectable, RemoveDetail,
    Replicated, Replication, ReplicationDetail, ReplicationExtra, ReplicationRecord,
    ReplicationRegion, ResourceDetails, ResourceExtra, RestoreDetail, ServerDetail,
    SkippedResource, StorageUsage, SyncDetail, TaggedVault, TaggedVaultDetail, Task, TaskExtra,
    TaskResource, Trigger, TriggerProperties, Vault, VaultDeleteDetail, VaultResource,
    VaultsSummary, word,
};
pub use members::{MemberAnswer, Sharing};
pub use query::{
    BackupQuery, MemberQuery, PolicyQuery, ProtectableQuery, StorageUsageQuery, TaskQuery,
    VaultQuery,
};

/// The CBR API of a connection.
#[derive(Debug, Clone)]
pub struct Cbr {
    connection: Connection,
}

impl Cbr {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    async fn one<T: Keyed + DeserializeOwned>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.keyed(Face::Cbr, &call).await
    }

    async fn whole<T: DeserializeOwned>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.json(Face::Cbr, &call).await
    }

    async fn if_any<T: DeserializeOwned + Default>(&self, call: Call) -> Result<T, SdkError> {
        self.connection.json_if_any(Face::Cbr, &call).await
    }

    async fn done(&self, call: Call) -> Result<(), SdkError> {
        self.connection.done(Face::Cbr, &call).await
    }

    fn pages<T: Many + DeserializeOwned + Send + 'static>(
        &self,
        turning: Turning,
        call: Call,
    ) -> Pages<T> {
        Pages::new(&self.connection, Face::Cbr, turning, call)
    }
}

/// Takes the only one that bears the name: services may filter more loosely than by equality.
fn only_named<T>(
    noun: &'static str,
    name: &str,
    mut found: Vec<T>,
    name_of: impl Fn(&T) -> &str,
) -> Result<Option<T>, SdkError> {
    found.retain(|item| name_of(item) == name);
    match found.len() {
        0 | 1 => Ok(found.pop()),
        count => Err(SdkError::Ambiguous {
            noun,
            name: name.to_owned(),
            count,
        }),
    }
}

/// Turns an answer about one thing into nothing where there is no such thing. Some clouds
/// answer 400 or 403 to what has not the form of their ids.
fn there<T>(answer: Result<T, SdkError>) -> Result<Option<T>, SdkError> {
    match answer {
        Ok(found) => Ok(Some(found)),
        Err(SdkError::BadId { .. }) => Ok(None),
        Err(SdkError::Refused { refusal }) if matches!(refusal.status, 400 | 403 | 404) => Ok(None),
        Err(error) => Err(error),
    }
}
