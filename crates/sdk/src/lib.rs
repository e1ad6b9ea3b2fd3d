//! The client of Emberkeep, and of any Keystone cloud that speaks Cinder's or CBR's API:
//! Open Telekom Cloud's and Huawei's among them.
//!
//! It stands on the wire types alone: no engine, no catalogue, no service. Start
//! at [`CloudConfig::discover`], which reads what `openstack` reads, then open a
//! [`Connection`] and take one of its three faces: [`Connection::cbr`] for vaults and restore
//! points, [`Connection::block_storage`] for volumes and their backups, [`Connection::native`]
//! for what only Emberkeep has.
//!
//! ```no_run
//! use emberkeep_sdk::cbr::NewCheckpoint;
//! use emberkeep_sdk::{CloudConfig, Connection, OsArgs, SdkError, Wait};
//!
//! # async fn example() -> Result<(), SdkError> {
//! let cloud = Connection::open(CloudConfig::discover(&OsArgs::from_env())?).await?;
//! let vaults = cloud.cbr();
//! if let Some(vault) = vaults.find_vault("disks").await? {
//!     let begun = vaults.create_checkpoint(&NewCheckpoint::of(&vault.id)).await?;
//!     vaults.wait_for_checkpoint(&begun.id, Wait::default()).await?;
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Lists are [`Pages`]: streams that ask for the next page when it is needed. What takes its
//! time is waited for with a [`Wait`]. Errors are one type, [`SdkError`]; a service's refusal
//! keeps status, code, words and request id. Passwords and tokens are [`Secret`]s, which show
//! themselves nowhere. Programs without an async runtime take the feature `blocking`.

#![forbid(unsafe_code)]

mod auth;
pub mod block_storage;
#[cfg(feature = "blocking")]
pub mod blocking;
pub mod cbr;
mod cloud;
mod connection;
mod error;
mod identity;
mod native;
mod os_args;
mod pages;
mod secret;
mod version;
mod wait;

pub use cloud::{
    ApplicationCredential, CloudConfig, ConfigError, Credentials, Method, Named, Retries, Scope,
    Timeouts,
};
pub use connection::Connection;
pub use emberkeep_model::{ByteCount, Gib, Timestamp};
pub use emberkeep_wire::ids::{
    BackupId, CheckpointId, FileSystemId, MemberId, PolicyId, ProjectId, ResourceId, ServerId,
    SnapshotId, TaskId, UserId, VaultId, VolumeId,
};
pub use emberkeep_wire::native as native_types;
pub use emberkeep_wire::time::Moment;
pub use error::{Refusal, SdkError};
pub use identity::{Assignment, Identity, Links, Project, Role, User};
pub use native::{FileSystem, NewFileSystem, NewServer, Server, ServerDisk, ServerVolumes};
pub use native::{Native, NewImport, TaskFilter, VolumeExport, VolumeImport};
pub use os_args::OsArgs;
pub use pages::Pages;
pub use secret::Secret;
pub use version::Microversion;
pub use wait::{Glance, Standing, Wait};

/// Identifiers, as a cloud hands them out.
mod ids {
    pub(crate) use emberkeep_wire::ids::{
        BackupId, CheckpointId, FileSystemId, MemberId, PolicyId, ProjectId, ResourceId, ServerId,
        SnapshotId, TaskId, VaultId, VolumeId,
    };
}
