//! Replication of backups to other regions.

pub(crate) mod commands;
mod places;
pub(crate) mod regions;
pub(crate) mod sync_work;
pub(crate) mod work;
