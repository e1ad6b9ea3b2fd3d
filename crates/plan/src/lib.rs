//! Pure decisions: what to start from, what to call it, what to sweep. Never reads a clock,
//! a disk or a socket; start at `parent.rs`, the smallest decision that shows the shape.

mod checkpoint;
mod parent;
mod sweep;

pub use checkpoint::{backup_names, checkpoint_status};
pub use parent::{Candidate, choose_parent};
pub use sweep::{Orphans, PackFacts, SweepPlan, sweep_plan};
