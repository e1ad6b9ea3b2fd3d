//! Volumes and their snapshots, attachments, types and file systems.

pub(crate) mod actions;
pub(crate) mod attachments;
pub(crate) mod commands;
pub(crate) mod file_system_work;
pub(crate) mod file_systems;
pub(crate) mod import;
pub(crate) mod left_behind;
pub(crate) mod snapshots;
pub(crate) mod types;
pub(crate) mod work;
