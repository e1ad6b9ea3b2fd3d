//! Replication of backups to other regions.

pub(crate) mod commands;
pub(crate) mod regions;
pub(crate) mod sync_work;
pub(crate) mod work;
