//! Use cases, one module each, over the ports of the catalogue, the engine and the volumes.
//! Knows no HTTP and no wire; start at `backups.rs`.

mod adopt;
mod attachments;
mod backup_admin;
mod backup_data;
mod backups;
mod binder;
mod blocking;
mod cbr_backups;
mod cbr_error;
mod checkpoints;
mod clock;
mod comparison;
mod damage;
mod erasure;
mod error;
mod exports;
mod file_systems;
mod foreign;
mod identity;
mod import;
mod left_behind;
mod members;
mod messages;
mod objects;
mod pairs;
mod policies;
mod policy;
mod protectables;
mod quotas;
mod records;
mod recovery;
mod refusal;
mod regions;
mod replication;
mod resources;
mod restores;
mod retention;
mod scheduler;
mod server_restore;
mod servers;
mod service;
mod snapshots;
mod space;
mod supervisor;
mod switches;
mod tags;
mod tasks;
mod types;
mod vault_calls;
mod vault_freeze;
mod vault_room;
mod vaults;
mod verification;
mod view;
mod volume_actions;
mod volumes;
mod work;
mod worker;

pub use attachments::Handover;
pub use backup_data::{OpenBackup, ReadBackupError};
pub use cbr_error::CbrError;
pub use clock::{Clock, SystemClock};
pub use damage::FoundDamage;
pub use emberkeep_catalog::query;
pub use emberkeep_engine::Run;
pub use emberkeep_model::command::*;
pub use emberkeep_plan::retention::Fate;
pub use erasure::Erasure;
pub use error::{Fault, ServiceError, VaultUse};
pub use exports::{ExportKind, ExportServer, Filled, ServedBackup};
pub use foreign::{ChunkedDriver, ForeignRepository};
pub use identity::{
    AccessRule, AppCredentialName, Authenticator, Bootstrapped, DomainName, Identity,
    IdentitySettings, Issued, Named, NewAppCredential, NewProject, NewUser, ProjectChange, Proof,
    Scope, TokenCredential, TokenInfo, UserChange, new_secret,
};
pub use import::VolumeImport;
pub use objects::CatalogBackups;
pub use pairs::MAX_PAIRS;
pub use policies::PolicyView;
pub use policy::{Policy, PolicyError, Who};
pub use protectables::{ProtectableQuery, ProtectableView};
pub use quotas::{DefaultQuotas, QuotaLine};
pub use records::Imported;
pub use refusal::Refusal;
pub use regions::{Region, Regions};
pub use replication::Replicating;
pub use resources::{
    FILE_SYSTEM_RESOURCE, Resource, SERVER_RESOURCE, VOLUME_RESOURCE, resource_word,
};
pub use retention::Preview;
pub use servers::ServerView;
pub use service::{Reach, Service, Settings};
pub use space::{LowSpace, Space};
pub use supervisor::{Desk, GaveUp, Supervisor, Worker, WorkerTable};
pub use switches::{Binary, ServiceState};
pub use vault_calls::StorageUsage;
pub use view::{BackupView, CheckpointView, Restore, VaultView};
pub use worker::Workers;
