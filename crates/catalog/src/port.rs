//! The port: what the service asks of a place that keeps rows.
//!
//! Writing is one call, [`Catalog::apply`]: a list of changes that happen together
//! or not at all. A row that is saved names the revision it was read at; if
//! somebody else was faster, nothing happens and the caller reads again.

use std::sync::Arc;

use async_trait::async_trait;
use emberkeep_model::{
    AppCredential, Assignment, Attachment, AttachmentId, Backup, BackupId, Checkpoint,
    CheckpointId, FileSystem, FileSystemId, Member, MemberId, Message, MessageId, Policy,
    PolicyBinding, PolicyId, Progress, Project, ProjectId, QuotaClass, QuotaSet, QuotaUsage,
    ResourceId, ResourceUsage, Server, ServerId, ServerVolume, ServiceSwitch, Snapshot, SnapshotId,
    Task, TaskId, Timestamp, TokenRecord, User, UserId, Vault, VaultId, VaultResource, VaultUsage,
    Volume, VolumeId, VolumeType, VolumeTypeId,
};

use crate::query::{
    AttachmentQuery, BackupQuery, InventoryQuery, MessageQuery, Page, PolicyQuery, SnapshotQuery,
    TaskQuery, VaultQuery, VolumeQuery,
};

/// What can go wrong, worded for what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum CatalogError {
    /// A saved or removed row has changed (or gone) since it was read, or one that it belongs to has gone
    /// (a resource's vault; or that vault still has resources): read again and decide anew.
    #[error("{what} was changed by somebody else meanwhile")]
    Stale {
        /// The row.
        what: String,
    },
    /// An inserted row exists already, or breaks a rule that makes it unique.
    #[error("{what} exists already")]
    Exists {
        /// The row.
        what: String,
    },
    /// Another process uses this catalogue.
    #[error("{what} is in use by another process")]
    InUse {
        /// The catalogue.
        what: String,
    },
    /// The catalogue was written by a newer version of Emberkeep.
    #[error("the catalogue has schema {found}, this version knows up to {known}")]
    TooNew {
        /// Its schema.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A row holds something that cannot be.
    #[error("{what} holds a value that cannot be read: {reason}")]
    Corrupt {
        /// The row.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The disk is full. Where the commit itself failed its outcome is unknown: whole or absent, never a part.
    #[error("no space is left for {what} (ENOSPC); free space on its file system")]
    NoSpace {
        /// The catalogue.
        what: String,
        /// The database's answer.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The catalogue cannot be used just now; it can once the cause has gone.
    #[error("{what} is unavailable: {advice}")]
    Unavailable {
        /// The catalogue.
        what: String,
        /// What the operator can do.
        advice: &'static str,
        /// The database's answer.
        #[source]
        cause: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The database failed.
    #[error("the catalogue failed")]
    Failed(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A whole row.
#[derive(Debug, Clone, PartialEq)]
#[expect(missing_docs, reason = "each variant is the row it is named for")]
#[expect(
    clippy::large_enum_variant,
    reason = "rows are on their way to the database, a handful at a time"
)]
pub enum Row {
    Volume(Volume),
    Snapshot(Snapshot),
    VolumeType(VolumeType),
    Backup(Backup),
    Vault(Vault),
    VaultResource(VaultResource),
    Server(Server),
    ServerVolume(ServerVolume),
    FileSystem(FileSystem),
    Checkpoint(Checkpoint),
    Task(Task),
    Project(Project),
    User(User),
    Token(TokenRecord),
    Assignment(Assignment),
    Policy(Policy),
    PolicyBinding(PolicyBinding),
    Member(Member),
    AppCredential(AppCredential),
    Attachment(Attachment),
    Message(Message),
    QuotaSet(QuotaSet),
    QuotaClass(QuotaClass),
    ServiceSwitch(ServiceSwitch),
}

/// Names a row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each variant names the row it is named for")]
pub enum Key {
    Volume(VolumeId),
    Snapshot(SnapshotId),
    VolumeType(VolumeTypeId),
    Backup(BackupId),
    Vault(VaultId),
    VaultResource(ResourceId),
    Server(ServerId),
    ServerVolume(VolumeId),
    FileSystem(FileSystemId),
    Checkpoint(CheckpointId),
    Task(TaskId),
    Project(ProjectId),
    User(UserId),
    Token(String),
    Assignment(Assignment),
    Policy(PolicyId),
    PolicyBinding(PolicyId, VaultId),
    Member(MemberId),
    AppCredential(String),
    Attachment(AttachmentId),
    Message(MessageId),
    QuotaSet(ProjectId),
    QuotaClass(String),
    ServiceSwitch(String),
}

/// One change of one row.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// A new row; its `revision` is stored as given (0 for new ones).
    Insert(Row),
    /// Replaces a row if it still has the `revision` given, which then grows by one.
    /// Rows without a revision (tokens, assignments) are replaced or made.
    Save(Row),
    /// Removes a row if it still has that revision.
    Remove(Key, u64),
}

/// A place that keeps rows. Every method is safe to call from many tasks at once.
#[async_trait]
pub trait Catalog: Send + Sync {
    /// Makes all changes, in order, together, durably; or none of them.
    async fn apply(&self, changes: Vec<Change>) -> Result<(), CatalogError>;

    /// Looks one volume up.
    async fn volume(&self, id: VolumeId) -> Result<Option<Volume>, CatalogError>;
    /// Lists volumes.
    async fn volumes(&self, query: &VolumeQuery) -> Result<Page<Volume>, CatalogError>;
    /// Looks one snapshot up.
    async fn snapshot(&self, id: SnapshotId) -> Result<Option<Snapshot>, CatalogError>;
    /// Lists snapshots.
    async fn snapshots(&self, query: &SnapshotQuery) -> Result<Page<Snapshot>, CatalogError>;
    /// Looks one volume type up.
    async fn volume_type(&self, id: VolumeTypeId) -> Result<Option<VolumeType>, CatalogError>;
    /// Lists volume types, oldest first.
    async fn volume_types(&self) -> Result<Vec<VolumeType>, CatalogError>;

    /// Looks one backup up, a deleted one too.
    async fn backup(&self, id: BackupId) -> Result<Option<Backup>, CatalogError>;
    /// Lists backups.
    async fn backups(&self, query: &BackupQuery) -> Result<Page<Backup>, CatalogError>;
    /// Looks one backup up as [`Catalog::backup`] does, for whoever only looks at it.
    async fn backup_seen(&self, id: BackupId) -> Result<Option<Arc<Backup>>, CatalogError>;
    /// Lists backups as [`Catalog::backups`] does, for whoever only looks at them.
    async fn backups_seen(&self, query: &BackupQuery) -> Result<Page<Arc<Backup>>, CatalogError>;

    /// Counts what a project has; backups in vaults are left out.
    async fn quota_usage(&self, project: &ProjectId) -> Result<QuotaUsage, CatalogError>;
    /// Looks up what was set for a project.
    async fn quota_set(&self, project: &ProjectId) -> Result<Option<QuotaSet>, CatalogError>;
    /// Looks up what was set for a class of projects.
    async fn quota_class(&self, name: &str) -> Result<Option<QuotaClass>, CatalogError>;
    /// Looks one attachment up.
    async fn attachment(&self, id: AttachmentId) -> Result<Option<Attachment>, CatalogError>;
    /// Lists attachments, newest first.
    async fn attachments(&self, query: &AttachmentQuery) -> Result<Page<Attachment>, CatalogError>;
    /// Looks one message up.
    async fn message(&self, id: MessageId) -> Result<Option<Message>, CatalogError>;
    /// Lists messages, newest first.
    async fn messages(&self, query: &MessageQuery) -> Result<Page<Message>, CatalogError>;
    /// Removes messages that ended before `now`; returns how many.
    async fn purge_messages(&self, now: Timestamp) -> Result<u64, CatalogError>;
    /// Lists the switches that were ever touched, by name.
    async fn service_switches(&self) -> Result<Vec<ServiceSwitch>, CatalogError>;

    /// Looks one vault up.
    async fn vault(&self, id: VaultId) -> Result<Option<Vault>, CatalogError>;
    /// Lists vaults.
    async fn vaults(&self, query: &VaultQuery) -> Result<Page<Vault>, CatalogError>;
    /// Lists the resources of a vault, in the order they were added.
    async fn vault_resources(&self, vault: VaultId) -> Result<Vec<VaultResource>, CatalogError>;
    /// Finds what a resource is in its vault, if it is in one.
    async fn vault_resource(&self, id: ResourceId) -> Result<Option<VaultResource>, CatalogError>;
    /// Counts what each of the vaults holds, in the order given.
    async fn vault_usage(&self, vaults: &[VaultId]) -> Result<Vec<VaultUsage>, CatalogError>;
    /// Counts what a vault holds of each resource that has backups in it.
    async fn resource_usage(&self, vault: VaultId) -> Result<Vec<ResourceUsage>, CatalogError>;

    /// Looks one server up.
    async fn server(&self, id: ServerId) -> Result<Option<Server>, CatalogError>;
    /// Lists servers, newest first.
    async fn servers(&self, query: &InventoryQuery<ServerId>)
    -> Result<Page<Server>, CatalogError>;
    /// Lists the volumes of a server, in the order they were added.
    async fn server_volumes(&self, server: ServerId) -> Result<Vec<ServerVolume>, CatalogError>;
    /// Finds the server that a volume belongs to, if it does to one.
    async fn server_of(&self, volume: VolumeId) -> Result<Option<ServerVolume>, CatalogError>;
    /// Looks one file system up.
    async fn file_system(&self, id: FileSystemId) -> Result<Option<FileSystem>, CatalogError>;
    /// Lists file systems, newest first.
    async fn file_systems(
        &self,
        query: &InventoryQuery<FileSystemId>,
    ) -> Result<Page<FileSystem>, CatalogError>;

    /// Looks one policy up.
    async fn policy(&self, id: PolicyId) -> Result<Option<Policy>, CatalogError>;
    /// Lists policies.
    async fn policies(&self, query: &PolicyQuery) -> Result<Page<Policy>, CatalogError>;
    /// Lists where a policy is at work, by vault.
    async fn policy_vaults(&self, policy: PolicyId) -> Result<Vec<PolicyBinding>, CatalogError>;
    /// Lists the policies at work on a vault.
    async fn vault_policies(&self, vault: VaultId) -> Result<Vec<PolicyBinding>, CatalogError>;
    /// Looks one share up.
    async fn member(&self, id: MemberId) -> Result<Option<Member>, CatalogError>;
    /// Lists the shares of a backup, newest first.
    async fn members(&self, backup: BackupId) -> Result<Vec<Member>, CatalogError>;
    /// Lists the shares of all backups in a vault.
    async fn shares_in(&self, vault: VaultId) -> Result<Vec<Member>, CatalogError>;

    /// Looks one checkpoint up.
    async fn checkpoint(&self, id: CheckpointId) -> Result<Option<Checkpoint>, CatalogError>;

    /// Looks one task up.
    async fn task(&self, id: TaskId) -> Result<Option<Task>, CatalogError>;
    /// Lists tasks.
    async fn tasks(&self, query: &TaskQuery) -> Result<Page<Task>, CatalogError>;
    /// Gives the oldest claimable task to `worker`: one that waits and whose time has come, or one whose
    /// lease has run out. Its generation and revision grow, `started_at` is set the first time.
    ///
    /// A lease is live before its `until`, and has run out at it. Projects with fewer running tasks come first.
    /// A task waits while another with a live lease is about the same volume or the same backup, or
    /// while it and the other both sweep one project.
    async fn claim_task(
        &self,
        worker: &str,
        now: Timestamp,
        lease_until: Timestamp,
    ) -> Result<Option<Task>, CatalogError>;
    /// Renews a lease and notes progress; does not touch the revision. Returns whether the task is
    /// still ours (same generation, still running) and, if so, whether somebody asked to cancel it.
    async fn renew_task(
        &self,
        id: TaskId,
        generation: u64,
        now: Timestamp,
        lease_until: Timestamp,
        progress: Progress,
    ) -> Result<Renewal, CatalogError>;
    /// Ends the leases of every worker whose name starts with `prefix`, so that their tasks can be
    /// claimed at once; returns how many there were. Their revisions grow.
    async fn release_leases(&self, prefix: &str, now: Timestamp) -> Result<u64, CatalogError>;
    /// Marks a task that has not ended to be cancelled; returns whether there was one. Its revision grows,
    /// so that no save based on an older copy can lose the mark.
    async fn ask_cancel(&self, id: TaskId, now: Timestamp) -> Result<bool, CatalogError>;

    /// Looks one project up.
    async fn project(&self, id: &ProjectId) -> Result<Option<Project>, CatalogError>;
    /// Lists projects by name.
    async fn projects(&self) -> Result<Vec<Project>, CatalogError>;
    /// Looks one user up.
    async fn user(&self, id: &UserId) -> Result<Option<User>, CatalogError>;
    /// Lists users by name.
    async fn users(&self) -> Result<Vec<User>, CatalogError>;
    /// Lists the roles of a user in every project.
    async fn assignments(&self, user: &UserId) -> Result<Vec<Assignment>, CatalogError>;
    /// Looks one application credential up.
    async fn app_credential(&self, id: &str) -> Result<Option<AppCredential>, CatalogError>;
    /// Lists a user's application credentials by name.
    async fn app_credentials(&self, user: &UserId) -> Result<Vec<AppCredential>, CatalogError>;
    /// Looks one token up by the hash of its text.
    async fn token(&self, hash: &str) -> Result<Option<TokenRecord>, CatalogError>;
    /// Takes all tokens of a user back; returns how many.
    async fn revoke_tokens(&self, user: &UserId) -> Result<u64, CatalogError>;
    /// Removes tokens that ended before `now`; returns how many.
    async fn purge_tokens(&self, now: Timestamp) -> Result<u64, CatalogError>;
}

/// What became of a lease that was to be renewed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Renewal {
    /// Still ours.
    Held {
        /// Somebody wants the task to stop.
        cancel_asked: bool,
    },
    /// Somebody else has it, or it has ended: stop writing at once.
    Lost,
}
