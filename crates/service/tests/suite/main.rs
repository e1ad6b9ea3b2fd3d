//! One binary for all integration tests of this crate: use cases over a real catalog and repository.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on says where")]

mod background;
mod backups;
mod catalog_copies;
mod catalogue;
mod common;
mod comparison;
mod damage;
mod file_systems;
mod left_behind;
mod objects;
mod policies;
mod quotas;
mod replicas;
mod server_shares;
mod servers;
mod time_limit;
mod vault_rules;
mod vaults;
