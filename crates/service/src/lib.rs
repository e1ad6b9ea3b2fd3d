//! Use cases, one module each, over the ports of the catalog, the engine and the volumes.
//! Knows no HTTP and no wire; start at `backup/commands.rs`.

mod access;
mod backup;
mod blocking;
mod catalog_copies;
mod cbr_error;
mod clock;
mod error;
mod exports;
mod fault;
mod foreign;
mod identity;
mod messages;
#[cfg(feature = "versioned-objects")]
mod objects;
mod pairs;
mod policy;
mod quotas;
mod race;
mod recovery;
mod refusal;
mod replica;
mod repository;
mod server;
mod service;
mod settings;
mod switches;
mod task;
mod vault;
mod volume;

pub use access::{Policy, PolicyError, Who};
pub use backup::data::{OpenBackup, ReadBackupError};
pub use backup::records::Imported;
pub use backup::view::{BackupView, CheckpointView, Restore, VaultView};
pub use catalog_copies::{
    Belongings, CatalogCheck, CatalogCopies, CatalogCopyError, CopyWriter, Settled, TakenUp,
    Unknown, VolumeFile, give_administrator, newer_copy, take_up, take_up_volumes, unknown_backups,
};
pub use cbr_error::CbrError;
pub use clock::{Clock, SystemClock};
pub use emberkeep_catalog::query;
pub use emberkeep_engine::Run;
pub use emberkeep_model::command::*;
pub use emberkeep_plan::retention::Fate;
pub use error::{ServiceError, VaultUse};
pub use exports::filling::Filled;
pub use exports::served::{ExportKind, ServedBackup};
pub use exports::server::ExportServer;
pub use fault::Fault;
pub use foreign::repository::{ChunkedDriver, ForeignRepository};
pub use identity::{
    AccessRule, AppCredentialName, Authenticator, Bootstrapped, DomainName, Identity,
    IdentitySettings, Issued, Named, NewAppCredential, NewProject, NewUser, ProjectChange, Proof,
    Scope, TokenCredential, TokenInfo, UserChange, new_secret,
};
#[cfg(feature = "versioned-objects")]
pub use objects::CatalogBackups;
pub use pairs::MAX_PAIRS;
pub use policy::commands::PolicyView;
pub use policy::retention::Preview;
pub use quotas::QuotaLine;
pub use quotas::defaults::DefaultQuotas;
pub use refusal::Refusal;
pub use replica::commands::Replicating;
pub use replica::regions::{Region, Regions};
pub use repository::damage::found::FoundDamage;
pub use repository::erasure::Erasure;
pub use repository::space::{LowSpace, Space};
pub use server::commands::ServerView;
pub use service::{Reach, Service};
pub use settings::Settings;
pub use switches::{Binary, ServiceState};
pub use task::supervisor::{Desk, GaveUp, Supervisor, Worker, WorkerTable};
pub use task::worker::Workers;
pub use vault::calls::StorageUsage;
pub use vault::protectables::{ProtectableQuery, ProtectableView};
pub use vault::resources::{
    FILE_SYSTEM_RESOURCE, Resource, SERVER_RESOURCE, VOLUME_RESOURCE, resource_word,
};
pub use volume::attachments::Handover;
pub use volume::import::VolumeImport;
