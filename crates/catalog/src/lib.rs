//! The metadata port and its adapters. Knows rows and revisions, not what they mean;
//! start at `port.rs`.

mod changes;
#[cfg(any(test, feature = "testing"))]
pub mod conformance;
mod file;
pub mod port;
pub mod query;
mod sql;
mod sqlite;

pub use changes::{CatalogChanges, ChangeCounts};
pub use file::{CatalogFile, CatalogFileError, CheckDepth, ExportedRows, Imported, StateName};
pub use port::{Catalog, CatalogError, Change, Key, Renewal, Row};
pub use query::{
    AttachmentField, AttachmentQuery, BackupField, BackupQuery, Comparison, Direction,
    InventoryQuery, MessageField, MessageQuery, Page, Paging, PolicyQuery, Shared, SnapshotField,
    SnapshotQuery, Sort, TaskQuery, TextFilter, TimeFilter, VaultQuery, VolumeField, VolumeQuery,
};
pub use sqlite::SqliteCatalog;
