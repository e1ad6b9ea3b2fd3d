//! Backups: taking, listing, restoring, deleting, and their portable records.

pub(crate) mod admin;
pub(crate) mod cbr;
pub(crate) mod commands;
pub(crate) mod data;
pub(crate) mod delete_work;
pub(crate) mod facts;
pub(crate) mod records;
pub(crate) mod restore_work;
pub(crate) mod restored;
pub(crate) mod restores;
pub(crate) mod view;
pub(crate) mod work;
