//! One binary for all integration tests of this crate: the APIs as clients see them.

mod cbr;
mod cbr_policies;
mod cbr_refusals;
mod cbr_servers;
mod cbr_situations;
mod cinder;
mod desk;
mod edge;
mod house;
mod identity;
mod native;
mod openapi;
mod rights;
mod rights_table;
mod secrets;
mod workers;
