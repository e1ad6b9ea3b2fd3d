//! The client of Emberkeep, and of any cloud that speaks Cinder's or CBR's API.
//!
//! It stands on the wire types alone: no engine, no catalogue, no service. Start
//! at [`CloudConfig::discover`], which reads what `openstack` reads, then open a
//! [`Connection`] and take one of its three faces: [`Connection::block_storage`],
//! [`Connection::cbr`], [`Connection::native`].

mod auth;
mod block_storage;
mod cbr;
mod cloud;
mod connection;
mod error;
mod ids;
mod native;
mod os_args;
mod secret;

pub use block_storage::{
    Backup, BlockStorage, NewBackup, NewSnapshot, NewVolume, RestoreStarted, Snapshot, Volume,
};
pub use cbr::{
    AddResource, Billing, Cbr, Checkpoint, CheckpointVault, NewCheckpoint, NewVault, Vault,
    VaultBackup, VaultChange, VaultResource,
};
pub use cloud::{CloudConfig, ConfigError, Credentials, Named};
pub use connection::Connection;
pub use emberkeep_wire::native as native_types;
pub use error::{Refusal, SdkError};
pub use ids::{BackupId, CheckpointId, SnapshotId, TaskId, VaultId, VolumeId};
pub use native::{Native, NewImport, TaskFilter, VolumeExport, VolumeImport};
pub use os_args::OsArgs;
pub use secret::Secret;
