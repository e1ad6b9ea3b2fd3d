//! OpenStack's services behind our ports. Decides nothing: it asks, waits and translates.
//! Start at `keystone.rs`, who says what a token is good for.

mod keystone;

pub use keystone::{Keystone, KeystoneError, KeystoneSettings};
