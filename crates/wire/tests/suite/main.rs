//! One binary for all integration tests of this crate: views against recorded answers.

mod cbr_shapes;
mod cinder_inventory;
mod cinder_recorded;
mod cinder_shown;
mod cinder_states;
