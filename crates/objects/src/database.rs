//! Backup objects over a database of rows: created, saved, listed and destroyed as Cinder does it.
//!
//! The port is [`store::BackupStore`]. No use case of Emberkeep needs this half.

mod access;
pub(crate) mod lifecycle;
pub(crate) mod list;
pub(crate) mod memory;
pub(crate) mod query;
pub(crate) mod row;
pub(crate) mod store;
