//! The keys of a repository: the master key file, the repository secret and project keys.
//!
//! Wraps, unwraps and derives; touches no file but the master key's. The hierarchy is
//! master key → repository secret → project keys → one key for each purpose. What wraps a
//! project's keys comes from the repository secret *and* from the project's secret in the master
//! key's ring, so that destroying that one secret erases the project in every copy of the store.
//! Start at `master.rs` and `ring.rs`.

mod file;
mod master;
mod paper;
mod project;
mod ring;
mod secret;
mod source;

pub use file::{KeyFile, KeyFileError, KeyKeeper};
pub use master::{MasterKey, MasterKeyId};
pub use paper::PaperError;
pub use project::{ProjectKey, ProjectKeys, Seals};
pub use secret::{Bond, OpenedKey, RepositorySecret};
pub use source::KeySource;

/// Draws random bytes from the system. Not through the cipher library: what that prepares before
/// its first random byte takes longer than many a short command.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system hands out random bytes");
    bytes
}
