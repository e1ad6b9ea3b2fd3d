//! The repository as a whole: space, damage, verification, erasure and sweep.

pub(crate) mod comparison;
pub(crate) mod damage;
pub(crate) mod erasure;
pub(crate) mod space;
mod space_check;
pub(crate) mod sweep_work;
pub(crate) mod verification;
