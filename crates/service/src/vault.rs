//! Vaults: what they protect, who shares them, and the checkpoints taken of them.

pub(crate) mod binder;
pub(crate) mod calls;
pub(crate) mod checkpoints;
pub(crate) mod commands;
pub(crate) mod freeze;
pub(crate) mod members;
pub(crate) mod protectables;
pub(crate) mod resources;
pub(crate) mod room;
pub(crate) mod tags;
pub(crate) mod work;
