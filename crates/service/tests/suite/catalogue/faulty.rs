//! A catalogue that comes to grief at any of its calls.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_catalog::{
    AttachmentQuery, BackupQuery, Catalog, CatalogError, Change, InventoryQuery, MessageQuery,
    Page, PolicyQuery, Renewal, SnapshotQuery, TaskQuery, VaultQuery, VolumeQuery,
};
use emberkeep_model::{
    AppCredential, Assignment, Attachment, AttachmentId, Backup, BackupId, Checkpoint,
    CheckpointId, FileSystem, FileSystemId, Member, MemberId, Message, MessageId, Policy,
    PolicyBinding, PolicyId, Progress, Project, ProjectId, QuotaClass, QuotaSet, QuotaUsage,
    ResourceId, ResourceUsage, Server, ServerId, ServerVolume, ServiceSwitch, Snapshot, SnapshotId,
    Task, TaskId, Timestamp, TokenRecord, User, UserId, Vault, VaultId, VaultResource, VaultUsage,
    Volume, VolumeId, VolumeType, VolumeTypeId,
};

/// What befalls the chosen call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mishap {
    /// It fails, and nothing has happened.
    Fails,
    /// It happens, and the caller is told that it failed.
    Tears,
    /// It takes its time and works.
    Stalls,
    /// It fails, and so do all that follow: the process is as good as dead.
    Dies,
    /// It happens, but nobody hears of it: that call fails, and so do all that follow.
    DiesAfter,
}

#[derive(Default)]
struct State {
    plan: Option<(Mishap, u64)>,
    calls: u64,
    struck: Option<&'static str>,
    told: BTreeMap<&'static str, u64>,
}

/// Which call comes to grief; shared between the test and the catalogue.
#[derive(Clone, Default)]
pub(crate) struct Fate(Arc<Mutex<State>>);

impl Fate {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts anew, with a mishap to come at a call, or none.
    pub(crate) fn arm(&self, plan: Option<(Mishap, u64)>) {
        *self.lock() = State {
            plan,
            ..State::default()
        };
    }

    /// Names the call that was struck.
    pub(crate) fn struck(&self) -> Option<&'static str> {
        self.lock().struck
    }

    /// Returns how many calls of each kind there were.
    pub(crate) fn told(&self) -> BTreeMap<&'static str, u64> {
        self.lock().told.clone()
    }

    pub(crate) fn is_dead(&self) -> bool {
        let state = self.lock();
        let deadly = matches!(state.plan, Some((Mishap::Dies | Mishap::DiesAfter, _)));
        state.struck.is_some() && deadly
    }

    fn next(&self, name: &'static str) -> Option<Mishap> {
        let mut state = self.lock();
        state.calls += 1;
        *state.told.entry(name).or_default() += 1;
        let (mishap, at) = state.plan?;
        if state.calls == at {
            state.struck = Some(name);
            return Some(mishap);
        }
        let dead = matches!(mishap, Mishap::Dies | Mishap::DiesAfter) && state.calls > at;
        dead.then_some(Mishap::Dies)
    }
}

fn failed() -> CatalogError {
    CatalogError::Failed(Box::new(std::io::Error::other("a planned fault")))
}

/// Passes every call on, but for the one.
pub(crate) struct Faulty {
    pub(crate) inner: Arc<dyn Catalog>,
    pub(crate) fate: Fate,
}

impl Faulty {
    async fn call<T>(
        &self,
        name: &'static str,
        act: impl Future<Output = Result<T, CatalogError>>,
    ) -> Result<T, CatalogError> {
        match self.fate.next(name) {
            None => act.await,
            Some(Mishap::Fails | Mishap::Dies) => Err(failed()),
            Some(Mishap::Tears | Mishap::DiesAfter) => act.await.and(Err(failed())),
            Some(Mishap::Stalls) => {
                tokio::time::sleep(Duration::from_millis(300)).await;
                act.await
            }
        }
    }
}

macro_rules! passed_on {
    ($(fn $name:ident($($arg:ident: $type:ty),*) -> $answer:ty;)*) => {
        #[async_trait]
        impl Catalog for Faulty {
            $(async fn $name(&self, $($arg: $type),*) -> Result<$answer, CatalogError> {
                self.call(stringify!($name), self.inner.$name($($arg),*)).await
            })*
        }
    };
}

passed_on! {
    fn apply(changes: Vec<Change>) -> ();
    fn volume(id: VolumeId) -> Option<Volume>;
    fn volumes(query: &VolumeQuery) -> Page<Volume>;
    fn snapshot(id: SnapshotId) -> Option<Snapshot>;
    fn snapshots(query: &SnapshotQuery) -> Page<Snapshot>;
    fn volume_type(id: VolumeTypeId) -> Option<VolumeType>;
    fn volume_types() -> Vec<VolumeType>;
    fn backup(id: BackupId) -> Option<Backup>;
    fn backups(query: &BackupQuery) -> Page<Backup>;
    fn backup_seen(id: BackupId) -> Option<Arc<Backup>>;
    fn backups_seen(query: &BackupQuery) -> Page<Arc<Backup>>;
    fn quota_usage(project: &ProjectId) -> QuotaUsage;
    fn quota_set(project: &ProjectId) -> Option<QuotaSet>;
    fn quota_class(name: &str) -> Option<QuotaClass>;
    fn attachment(id: AttachmentId) -> Option<Attachment>;
    fn attachments(query: &AttachmentQuery) -> Page<Attachment>;
    fn message(id: MessageId) -> Option<Message>;
    fn messages(query: &MessageQuery) -> Page<Message>;
    fn purge_messages(now: Timestamp) -> u64;
    fn service_switches() -> Vec<ServiceSwitch>;
    fn vault(id: VaultId) -> Option<Vault>;
    fn vaults(query: &VaultQuery) -> Page<Vault>;
    fn vault_resources(vault: VaultId) -> Vec<VaultResource>;
    fn vault_resource(id: ResourceId) -> Option<VaultResource>;
    fn vault_usage(vaults: &[VaultId]) -> Vec<VaultUsage>;
    fn resource_usage(vault: VaultId) -> Vec<ResourceUsage>;
    fn server(id: ServerId) -> Option<Server>;
    fn servers(query: &InventoryQuery<ServerId>) -> Page<Server>;
    fn server_volumes(server: ServerId) -> Vec<ServerVolume>;
    fn server_of(volume: VolumeId) -> Option<ServerVolume>;
    fn file_system(id: FileSystemId) -> Option<FileSystem>;
    fn file_systems(query: &InventoryQuery<FileSystemId>) -> Page<FileSystem>;
    fn policy(id: PolicyId) -> Option<Policy>;
    fn policies(query: &PolicyQuery) -> Page<Policy>;
    fn policy_vaults(policy: PolicyId) -> Vec<PolicyBinding>;
    fn vault_policies(vault: VaultId) -> Vec<PolicyBinding>;
    fn member(id: MemberId) -> Option<Member>;
    fn members(backup: BackupId) -> Vec<Member>;
    fn shares_in(vault: VaultId) -> Vec<Member>;
    fn checkpoint(id: CheckpointId) -> Option<Checkpoint>;
    fn task(id: TaskId) -> Option<Task>;
    fn tasks(query: &TaskQuery) -> Page<Task>;
    fn claim_task(worker: &str, now: Timestamp, lease_until: Timestamp) -> Option<Task>;
    fn renew_task(id: TaskId, generation: u64, now: Timestamp, lease_until: Timestamp, progress: Progress) -> Renewal;
    fn release_leases(prefix: &str, now: Timestamp) -> u64;
    fn ask_cancel(id: TaskId, now: Timestamp) -> bool;
    fn project(id: &ProjectId) -> Option<Project>;
    fn projects() -> Vec<Project>;
    fn user(id: &UserId) -> Option<User>;
    fn users() -> Vec<User>;
    fn assignments(user: &UserId) -> Vec<Assignment>;
    fn app_credential(id: &str) -> Option<AppCredential>;
    fn app_credentials(user: &UserId) -> Vec<AppCredential>;
    fn token(hash: &str) -> Option<TokenRecord>;
    fn revoke_tokens(user: &UserId) -> u64;
    fn purge_tokens(now: Timestamp) -> u64;
}
