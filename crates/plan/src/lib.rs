//! Pure decisions: what to start from, what to call it, when to run, what to keep, what to
//! sweep. Never reads a clock, a disk or a socket; start at `parent.rs`, the smallest decision
//! that shows the shape.

mod bind;
mod checkpoint;
mod expiry;
mod full;
mod parent;
mod pattern;
mod replica;
mod restart;
pub mod retention;
mod room;
mod schedule;
mod sweep;
mod zone;

pub use bind::{BindingVault, Unprotected, auto_bind};
pub use checkpoint::{backup_names, checkpoint_status};
pub use expiry::{expiry, is_unexpired};
pub use full::full_is_due;
pub use parent::{Candidate, choose_parent};
pub use pattern::{ClockTime, MIN_GAP_MINUTES, PatternError, PatternFault, Patterns};
pub use replica::{gone_from, is_out_of_sight};
pub use restart::{HeldVolume, Interrupted, Outcome, after_restart};
pub use room::{NoRoom, VAULT_SIZES, expanded, make_room, sum_with};
pub use schedule::{Decision, NextRuns, Schedule, ScheduleError};
pub use sweep::{Orphans, PackFacts, SweepPlan, sweep_plan};
pub use zone::{Zone, ZoneError};
