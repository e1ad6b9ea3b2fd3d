//! One binary for all integration tests of this crate: the engine over stores that fail.

mod catalog_copies;
mod copy;
mod crash;
mod damage;
mod faults;
mod hints;
mod keys;
mod kill;
mod ledger;
mod model;
mod random;
mod records;
mod requests;
mod resume;
mod roundtrip;
mod schedules;
mod support;
mod sweep;
mod verify;
