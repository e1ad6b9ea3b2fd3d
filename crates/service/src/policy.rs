//! Policies: their schedules and their retention.

pub(crate) mod commands;
pub(crate) mod retention;
pub(crate) mod scheduler;
