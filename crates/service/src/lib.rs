//! Use cases, one module each, over the ports of the catalogue, the engine and the volumes.
//! Knows no HTTP and no wire; start at `backups.rs`.

mod attachments;
mod backup_admin;
mod backups;
mod blocking;
mod cbr_backups;
mod cbr_error;
mod checkpoints;
mod clock;
mod error;
mod identity;
mod import;
mod members;
mod messages;
mod policies;
mod policy;
mod quotas;
mod records;
mod recovery;
mod refusal;
mod request;
mod retention;
mod scheduler;
mod service;
mod snapshots;
mod switches;
mod tags;
mod tasks;
mod types;
mod vault_calls;
mod vaults;
mod view;
mod volume_actions;
mod volumes;
mod work;
mod worker;

pub use attachments::{AttachmentUpdate, Handover, NewAttachment};
pub use cbr_error::CbrError;
pub use checkpoints::skip_text;
pub use clock::{Clock, SystemClock};
pub use emberkeep_catalog::query;
pub use emberkeep_plan::retention::Fate;
pub use error::{Fault, ServiceError, VaultUse};
pub use identity::{
    AppCredentialName, Authenticator, Bootstrapped, DomainName, Identity, IdentitySettings, Issued,
    Named, NewAppCredential, NewProject, NewUser, Proof, Scope, TokenCredential, TokenInfo,
    new_secret,
};
pub use import::VolumeImport;
pub use policies::{NewPolicy, PolicyEdit, PolicyView};
pub use policy::{Policy, PolicyError, Who};
pub use quotas::{DefaultQuotas, QuotaLine};
pub use records::{BackupRecord, Imported};
pub use refusal::Refusal;
pub use request::{
    CbrRestore, DeleteVolume, Edit, NewBackup, NewCheckpoint, NewResource, NewSnapshot, NewVault,
    NewVolume, RestoreTo, VaultEdit,
};
pub use retention::Preview;
pub use service::{Reach, Service, Settings};
pub use switches::{Binary, ServiceState};
pub use types::{NewType, TypeEdit};
pub use vault_calls::{ProtectableView, StorageUsage};
pub use vaults::VOLUME_RESOURCE;
pub use view::{BackupView, CheckpointView, Restore, VaultView};
pub use worker::Workers;
