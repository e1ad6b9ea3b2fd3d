//! Damage: which backups cannot be fully restored, shown wherever they are.
//!
//! Code that finds damage calls [`Service::record_damage`]. A backup that is hurt is `damaged` until
//! all of its data can be read again: the damage worker looks after each backup, since a later one
//! stores anew what it meets of a damaged pack, after each scrub, and every few minutes.

pub(crate) mod found;
mod inspect;
pub(crate) mod queue;
mod record;
pub(crate) mod watch;
