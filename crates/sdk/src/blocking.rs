//! The same calls for programs without an async runtime: each returns when it is done.
//!
//! Lists come whole. Must not be called from within a runtime; there the calls themselves are
//! at hand.

use std::collections::BTreeMap;
use std::sync::Arc;

use emberkeep_model::{Gib, Tag};
use tokio::runtime::{Builder, Runtime};

use crate::block_storage::{
    self as storage, AbsoluteLimits, BackupRecord, QuotaSet, QuotaUsages, RestoreStarted,
    RestoreTo, Service, Snapshot, Volume, VolumeType,
};
use crate::cbr::{
    self, AddResource, Bound, Checkpoint, Instance, Member, MemberAnswer, NewCheckpoint, NewPolicy,
    NewVault, Policy, PolicyChange, ProjectTag, RestoreTarget, Sharing, TagQuery, TaggedVault,
    Task, Vault, VaultChange, word,
};
use crate::cloud::CloudConfig;
use crate::error::SdkError;
use crate::ids::{
    BackupId, CheckpointId, PolicyId, ProjectId, ResourceId, SnapshotId, TaskId, VaultId, VolumeId,
};
use crate::wait::Wait;

/// A connection to one cloud whose calls block.
#[derive(Debug, Clone)]
pub struct Connection {
    runtime: Arc<Runtime>,
    inner: crate::Connection,
}

impl Connection {
    /// Signs in.
    pub fn open(config: CloudConfig) -> Result<Self, SdkError> {
        let runtime = Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(SdkError::Runtime)?;
        let inner = runtime.block_on(crate::Connection::open(config))?;
        Ok(Self {
            runtime: Arc::new(runtime),
            inner,
        })
    }

    /// Returns the connection itself, for calls that are not here.
    pub fn inner(&self) -> &crate::Connection {
        &self.inner
    }

    /// Runs any call of the connection itself to its end.
    pub fn run<F: Future>(&self, call: impl FnOnce(crate::Connection) -> F) -> F::Output {
        self.runtime.block_on(call(self.inner.clone()))
    }

    /// Vaults, checkpoints and their backups, as CBR has them.
    pub fn cbr(&self) -> Cbr {
        Cbr {
            runtime: Arc::clone(&self.runtime),
            inner: self.inner.cbr(),
        }
    }

    /// Volumes, snapshots and backups, as Cinder has them.
    pub fn block_storage(&self) -> BlockStorage {
        BlockStorage {
            runtime: Arc::clone(&self.runtime),
            inner: self.inner.block_storage(),
        }
    }
}

/// Each line is one call, of the same name and meaning as the one that does not block.
macro_rules! faces {
    ($($(#[$doc:meta])* $face:ident of $inner:ty {
        lists { $($list:ident($($larg:ident: $lkind:ty),*) -> $item:ty;)* }
        calls { $($name:ident($($arg:ident: $kind:ty),*) -> $answer:ty;)* }
    })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone)]
        pub struct $face {
            runtime: Arc<Runtime>,
            inner: $inner,
        }

        impl $face {
            $(
                #[doc = concat!("Blocks on [`", stringify!($inner), "::", stringify!($list), "`] for all of the list.")]
                pub fn $list(&self, $($larg: $lkind),*) -> Result<Vec<$item>, SdkError> {
                    self.runtime.block_on(self.inner.$list($($larg),*).all())
                }
            )*
            $(
                #[doc = concat!("Blocks on [`", stringify!($inner), "::", stringify!($name), "`].")]
                pub fn $name(&self, $($arg: $kind),*) -> Result<$answer, SdkError> {
                    self.runtime.block_on(self.inner.$name($($arg),*))
                }
            )*
        }
    )*};
}

faces! {
    /// The CBR API of a connection whose calls block.
    Cbr of cbr::Cbr {
        lists {
            vaults(query: &cbr::VaultQuery) -> Vault;
            backups(query: &cbr::BackupQuery) -> cbr::Backup;
            policies(query: &cbr::PolicyQuery) -> Policy;
            tasks(query: &cbr::TaskQuery) -> Task;
            members(backup: &BackupId, query: &cbr::MemberQuery) -> Member;
            protectables(kind: &word::ObjectType, query: &cbr::ProtectableQuery) -> Instance;
        }
        calls {
            vault(id: &VaultId) -> Vault;
            find_vault(name_or_id: &str) -> Option<Vault>;
            create_vault(new: &NewVault) -> Vault;
            update_vault(id: &VaultId, change: &VaultChange) -> Vault;
            delete_vault(id: &VaultId) -> ();
            wait_for_vault(id: &VaultId, wait: Wait) -> Vault;
            associate_resources(id: &VaultId, resources: &[AddResource]) -> Vec<ResourceId>;
            dissociate_resources(id: &VaultId, resources: &[ResourceId]) -> Vec<ResourceId>;
            migrate_resources(id: &VaultId, to: &VaultId, resources: &[ResourceId]) -> Vec<ResourceId>;
            create_checkpoint(new: &NewCheckpoint) -> Checkpoint;
            checkpoint(id: &CheckpointId) -> Checkpoint;
            wait_for_checkpoint(id: &CheckpointId, wait: Wait) -> Checkpoint;
            backup(id: &BackupId) -> cbr::Backup;
            find_backup(name_or_id: &str) -> Option<cbr::Backup>;
            rename_backup(id: &BackupId, name: &str) -> cbr::Backup;
            wait_for_backup(id: &BackupId, wait: Wait) -> cbr::Backup;
            restore_backup(id: &BackupId, target: &RestoreTarget) -> Option<TaskId>;
            delete_backup(id: &BackupId) -> ();
            wait_for_backup_gone(id: &BackupId, wait: Wait) -> ();
            policy(id: &PolicyId) -> Policy;
            find_policy(name_or_id: &str) -> Option<Policy>;
            create_policy(new: &NewPolicy) -> Policy;
            update_policy(id: &PolicyId, change: &PolicyChange) -> Policy;
            delete_policy(id: &PolicyId) -> ();
            bind_policy(vault: &VaultId, policy: &PolicyId, destination: Option<&VaultId>) -> Bound;
            unbind_policy(vault: &VaultId, policy: &PolicyId) -> Bound;
            task(id: &TaskId) -> Task;
            wait_for_task(id: &TaskId, wait: Wait) -> Task;
            member(backup: &BackupId, which: &Sharing) -> Member;
            add_members(backup: &BackupId, projects: &[ProjectId]) -> Vec<Member>;
            update_member(backup: &BackupId, which: &Sharing, answer: &MemberAnswer) -> Member;
            delete_member(backup: &BackupId, which: &Sharing) -> ();
            tags(vault: &VaultId) -> Vec<Tag>;
            project_tags() -> Vec<ProjectTag>;
            set_tag(vault: &VaultId, tag: &Tag) -> ();
            set_tags(vault: &VaultId, tags: &[Tag]) -> ();
            delete_tag(vault: &VaultId, key: &str) -> ();
            delete_tags(vault: &VaultId, keys: &[&str]) -> ();
            tagged_vaults(query: &TagQuery) -> Vec<TaggedVault>;
            count_tagged_vaults(query: &TagQuery) -> u64;
            protectable(kind: &word::ObjectType, id: &ResourceId) -> Instance;
        }
    }
    /// The Block Storage API of a connection whose calls block.
    BlockStorage of storage::BlockStorage {
        lists {
            volumes(query: &storage::VolumeQuery) -> Volume;
            snapshots(query: &storage::SnapshotQuery) -> Snapshot;
            backups(query: &storage::BackupQuery) -> storage::Backup;
        }
        calls {
            volume(id: &VolumeId) -> Volume;
            find_volume(name_or_id: &str) -> Option<Volume>;
            create_volume(new: &storage::NewVolume) -> Volume;
            update_volume(id: &VolumeId, change: &storage::VolumeChange) -> Volume;
            extend_volume(id: &VolumeId, size: Gib) -> ();
            delete_volume(id: &VolumeId) -> ();
            wait_for_volume(id: &VolumeId, status: &str, wait: Wait) -> Volume;
            wait_for_volume_gone(id: &VolumeId, wait: Wait) -> ();
            volume_types() -> Vec<VolumeType>;
            snapshot(id: &SnapshotId) -> Snapshot;
            find_snapshot(name_or_id: &str) -> Option<Snapshot>;
            create_snapshot(new: &storage::NewSnapshot) -> Snapshot;
            delete_snapshot(id: &SnapshotId) -> ();
            wait_for_snapshot(id: &SnapshotId, wait: Wait) -> Snapshot;
            backup(id: &BackupId) -> storage::Backup;
            find_backup(name_or_id: &str) -> Option<storage::Backup>;
            create_backup(new: &storage::NewBackup) -> BackupId;
            update_backup(id: &BackupId, change: &storage::BackupChange) -> ();
            restore_backup(id: &BackupId, to: &RestoreTo) -> RestoreStarted;
            delete_backup(id: &BackupId) -> ();
            export_backup(id: &BackupId) -> BackupRecord;
            import_backup(record: &BackupRecord) -> BackupId;
            wait_for_backup(id: &BackupId, wait: Wait) -> storage::Backup;
            wait_for_backup_gone(id: &BackupId, wait: Wait) -> ();
            quotas(project: &ProjectId) -> QuotaSet;
            quota_usage(project: &ProjectId) -> QuotaUsages;
            set_quotas(project: &ProjectId, limits: &BTreeMap<String, i64>) -> QuotaSet;
            limits() -> AbsoluteLimits;
            services(binary: Option<&str>, host: Option<&str>) -> Vec<Service>;
        }
    }
}
