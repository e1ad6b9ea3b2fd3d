//! The master key file of a repository.

use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_keys::{KeyFileError, KeySource, MasterKey};

use super::place::is_bucket;
use crate::error::CliError;

/// What the key file is called within a repository.
pub(super) const FILE_NAME: &str = "master.key";

/// Where the key lies.
#[derive(Debug, Args)]
pub(super) struct KeyArgs {
    /// The master key file [default: master.key in the repository, or beside it]
    #[arg(long, value_name = "FILE", env = "EMBERKEEP_KEY_FILE")]
    key_file: Option<PathBuf>,
    /// A shell command that prints the master key file, in its place
    #[arg(
        long,
        value_name = "COMMAND",
        env = "EMBERKEEP_KEY_COMMAND",
        conflicts_with = "key_file"
    )]
    key_command: Option<String>,
}

impl KeyArgs {
    /// Reads the key for a new repository, or makes one where there is none.
    pub(super) fn load_or_create(&self, repo: &Path) -> Result<(MasterKey, KeySource), CliError> {
        let source = match (&self.key_command, &self.key_file) {
            (None, None) if !is_bucket(repo) => KeySource::File(repo.join(FILE_NAME)),
            _ => self.source(repo)?,
        };
        let key = match source.file() {
            Some(path) if !path.exists() => MasterKey::create(path),
            _ => source.load(),
        };
        Ok((key.map_err(|error| key_error(&error))?, source))
    }

    /// Returns where the key comes from.
    pub(super) fn source(&self, repo: &Path) -> Result<KeySource, CliError> {
        if let Some(command) = &self.key_command {
            return Ok(KeySource::Command(command.clone()));
        }
        if let Some(path) = &self.key_file {
            return Ok(KeySource::File(path.clone()));
        }
        if is_bucket(repo) {
            return Err(needs_key_file());
        }
        let inside = repo.join(FILE_NAME);
        // A service keeps its key beside the repository, so that one copy does not hold both.
        let beside = std::path::absolute(repo)
            .ok()
            .and_then(|repo| repo.parent().map(|dir| dir.join(FILE_NAME)));
        Ok(KeySource::File(match beside {
            Some(beside) if !inside.exists() && beside.exists() => beside,
            _ => inside,
        }))
    }
}

/// A key in the bucket it protects would protect nothing.
fn needs_key_file() -> CliError {
    CliError::refused(
        "a repository in a bucket needs --key-file, or EMBERKEEP_KEY_FILE, to name a file here",
    )
}

pub(crate) fn key_error(error: &KeyFileError) -> CliError {
    let told = CliError::refused(crate::error::chain(error));
    match error {
        KeyFileError::Missing { .. } => told.hint(
            "put the key file back, or name it with --key-file; a new key would open nothing",
        ),
        KeyFileError::OpenToOthers { path, .. } => {
            told.hint(format!("`chmod 600 {}` keeps it private", path.display()))
        }
        KeyFileError::Exists { .. }
        | KeyFileError::Damaged { .. }
        | KeyFileError::Command { .. }
        | KeyFileError::Io { .. } => told,
    }
}
