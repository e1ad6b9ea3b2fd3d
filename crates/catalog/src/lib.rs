//! The metadata port and its adapters. Knows rows and revisions, not what they mean;
//! start at `port.rs`.

#[cfg(any(test, feature = "testing"))]
pub mod conformance;
pub mod port;
pub mod query;
mod sql;
mod sqlite;

pub use port::{Catalog, CatalogError, Change, Key, Renewal, Row};
pub use query::{
    AttachmentField, AttachmentQuery, BackupField, BackupQuery, Comparison, Direction,
    InventoryQuery, MessageField, MessageQuery, Page, Paging, PolicyQuery, Shared, SnapshotField,
    SnapshotQuery, Sort, TaskQuery, TextFilter, TimeFilter, VaultQuery, VolumeField, VolumeQuery,
};
pub use sqlite::SqliteCatalog;
