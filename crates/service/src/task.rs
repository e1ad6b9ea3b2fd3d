//! Tasks: the queue, the workers that run it, and the supervisor above them.

pub(crate) mod kind;
pub(crate) mod kinds;
pub(crate) mod outcome;
pub(crate) mod queries;
mod rows;
pub(crate) mod supervisor;
pub(crate) mod worker;
