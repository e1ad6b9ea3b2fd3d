//! Sealed copies of the catalog in the repository, and how a catalog comes back.
//!
//! The manifest is the backup: what only the catalog knows (users, vaults, policies, shares …) is
//! lost with it unless there is a copy. Start at `write.rs`; `unknown.rs` notices that a catalog is
//! not the one that the repository was last used with, `take_up.rs` makes rows from manifests.

mod admin;
mod context;
mod copies;
mod remember;
mod schedule;
mod settle;
mod take_up;
mod unknown;
mod volumes;
mod workers;
mod write;

pub use admin::give_administrator;
pub use context::Belongings;
pub use copies::{CatalogCopies, CatalogCopyError};
pub use settle::Settled;
pub use take_up::{TakenUp, take_up};
pub use unknown::{Unknown, newer_copy, unknown_backups};
pub use volumes::{VolumeFile, take_up_volumes};
pub use workers::{CatalogCheck, CopyWriter};
