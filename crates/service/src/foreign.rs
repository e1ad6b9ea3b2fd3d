//! Repositories that Cinder's own drivers wrote, and adopting what is in them.

pub(crate) mod adopt;
pub(crate) mod adopt_work;
mod chains;
pub(crate) mod repository;
pub(crate) mod work;
