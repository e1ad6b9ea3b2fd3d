//! Tasks: the queue, the workers that run it, and the supervisor above them.

pub(crate) mod queries;
pub(crate) mod supervisor;
pub(crate) mod work;
pub(crate) mod worker;
