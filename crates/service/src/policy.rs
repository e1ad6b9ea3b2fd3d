//! Policies: their schedules and their retention.

pub(crate) mod commands;
pub(crate) mod retention;
pub(crate) mod retention_queue;
pub(crate) mod retention_worker;
pub(crate) mod scheduler;
