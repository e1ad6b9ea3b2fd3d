//! The keys of a repository: the master key file, the repository secret and project keys.
//!
//! Wraps, unwraps and derives; touches no file but the master key's. The hierarchy is
//! master key → repository secret → project data key → one key for each purpose, so that
//! changing the master key rewrites one small object, and deleting one wrapped key erases
//! a project. Start at `master.rs`.

mod file;
mod master;
mod project;
mod secret;

pub use file::{KeyFileError, LoadedKey};
pub use master::{MasterKey, MasterKeyId};
pub use project::{ProjectKey, ProjectKeys};
pub use secret::RepositorySecret;

/// Draws random bytes from the system. Not through the cipher library: what that prepares before
/// its first random byte takes longer than many a short command.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).expect("the system hands out random bytes");
    bytes
}
