//! One binary for all integration tests of this crate: the adapter against a Keystone of canned answers.

mod keystone;
