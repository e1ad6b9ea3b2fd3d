//! Commands: what callers ask for, one type each for the wires, the service and clients.
//!
//! A wire reads its bodies into these and refuses what is malformed in its own words; the service
//! checks what depends on stored state. A field that is `None` in an edit stays as it is, and
//! `Some(None)` clears it.

mod attachment;
mod backup;
mod checkpoint;
mod edit;
mod member;
mod policy;
mod replica;
mod server;
mod snapshot;
mod vault;
mod volume;

pub use attachment::{AttachmentUpdate, NewAttachment};
pub use backup::{BackupRecord, CbrRestore, NewBackup, RestoreTo};
pub use checkpoint::NewCheckpoint;
pub use edit::Edit;
pub use member::MemberAnswer;
pub use policy::{BindPolicy, NewPolicy, PolicyEdit};
pub use replica::{Destination, ReplicateBackup, ReplicateVault};
pub use server::{NewFileSystem, NewServer};
pub use snapshot::NewSnapshot;
pub use vault::{MigrateResources, MoveExpiry, NewResource, NewVault, SuspendResources, VaultEdit};
pub use volume::{DeleteVolume, NewType, NewVolume, ResetVolume, TypeEdit};
