//! Use cases, one module each, over the ports of the catalogue, the engine and the volumes.
//! Knows no HTTP and no wire; start at `backups.rs`.

mod backups;
mod blocking;
mod cbr_backups;
mod checkpoints;
mod clock;
mod error;
mod identity;
mod import;
mod recovery;
mod request;
mod service;
mod snapshots;
mod tasks;
mod vaults;
mod view;
mod volumes;
mod work;
mod worker;

pub use checkpoints::skip_text;
pub use clock::{Clock, SystemClock};
pub use emberkeep_catalog::query;
pub use error::{Fault, ServiceError, VaultUse};
pub use identity::{
    Authenticator, Bootstrapped, DomainName, Identity, IdentitySettings, Issued, Named, NewProject,
    NewUser, Proof, Scope, TokenInfo, new_secret,
};
pub use import::VolumeImport;
pub use request::{
    CbrRestore, DeleteVolume, Edit, NewBackup, NewCheckpoint, NewResource, NewSnapshot, NewVault,
    NewVolume, RestoreTo, VaultEdit,
};
pub use service::{Reach, Service, Settings};
pub use vaults::VOLUME_RESOURCE;
pub use view::{BackupView, CheckpointView, Restore, VaultView};
pub use worker::Workers;
