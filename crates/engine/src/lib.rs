//! The data plane: backs volumes up into a repository and brings them back.
//!
//! Everything blocks and runs on its own threads; nothing here is async, knows of tasks, users
//! or wires, or keeps state outside the store. Start at `repository.rs`, then `backup.rs` and
//! `restore.rs`; `sweep.rs` says why no operation needs an exclusive lock.

mod backup;
mod catalog_copy;
mod check;
mod copy;
mod damage;
mod error;
mod index;
mod keys;
mod ledger;
mod load;
mod packs;
mod random;
mod reader;
mod repair;
mod repository;
mod restore;
mod run;
mod session;
mod space;
mod sweep;
mod tree;

pub use backup::{BackupReport, BackupRequest, Hints};
pub use catalog_copy::{CatalogCopy, CatalogCopyName, CatalogSection, NoCopyName, OpenedCopy};
pub use check::{CheckOptions, CheckReport, LostRange, Problem, VerifyOptions};
pub use copy::{CopyReport, CopyRequest};
pub use damage::{Damage, DamageCause, ReadError};
pub use error::{BackupError, CheckError, CopyError, RepositoryError, RestoreError, SweepError};
pub use keys::{Erased, Rotated};
pub use ledger::{LedgerPosition, NoPosition};
pub use random::BackupReader;
pub use repair::RepairReport;
pub use repository::{
    InitOptions, Manifests, ProjectRepository, Repository, RepositoryStats, worth_keeping,
};
pub use restore::RestoreReport;
pub use run::{Progress, Run};
pub use sweep::{SweepOptions, SweepReport};

pub use emberkeep_format::{
    BackupFacts, BackupStatistics, ChangeRecord, CheckpointFacts, ChunkerSpec, ContextFacts,
    Manifest, ObjectId, PolicyFacts, SourceRecord, UnixMicros, VaultFacts, WholeFacts,
};
