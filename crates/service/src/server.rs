//! Servers: the groups of volumes that are backed up and restored together.

pub(crate) mod commands;
pub(crate) mod restore;
pub(crate) mod work;
