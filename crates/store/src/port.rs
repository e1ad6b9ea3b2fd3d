//! The port: what the engine asks of a place that keeps objects.

use std::ops::Range;
use std::path::PathBuf;

/// What can go wrong, worded for what the caller can do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no such object.
    #[error("object {name} does not exist")]
    NotFound {
        /// The object's name.
        name: String,
    },
    /// A put-if-absent met an object of that name.
    #[error("object {name} exists already")]
    AlreadyExists {
        /// The object's name.
        name: String,
    },
    /// The store is full; what was asked has not happened.
    #[error("no space left in the store while writing {name}")]
    NoSpace {
        /// The object's name.
        name: String,
    },
    /// The store refused access.
    #[error("access to {name} was refused")]
    Denied {
        /// The object's name.
        name: String,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The name could leave the store or is not one we use.
    #[error("'{name}' is not a valid object name")]
    BadName {
        /// The name given.
        name: String,
    },
    /// A range reaches beyond the object.
    #[error("object {name} has {size} bytes, but bytes {start}..{end} were asked for")]
    OutOfRange {
        /// The object's name.
        name: String,
        /// Its size.
        size: u64,
        /// First byte asked for.
        start: u64,
        /// One past the last byte asked for.
        end: u64,
    },
    /// Anything else; trying again may help.
    #[error("the store failed at {name}")]
    Failed {
        /// The object's name.
        name: String,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
}

/// One listed object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Full name.
    pub name: String,
    /// Size in bytes.
    pub size: u64,
}

/// A place that keeps immutable objects by name. Blocking; safe to call from many threads.
///
/// Names are `/`-separated segments of `[A-Za-z0-9._-]`, none of them empty, `.` or `..`.
/// A put that returned is durable, a put that failed has left nothing under the name,
/// and a reader never sees half an object.
pub trait ObjectStore: Send + Sync {
    /// Stores the joined `parts` unless the name is taken ([`StoreError::AlreadyExists`]).
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError>;

    /// Stores the joined `parts`, replacing at once what the name held.
    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError>;

    /// Reads a whole object.
    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError>;

    /// Reads exactly `range` of an object.
    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError>;

    /// Reads exactly `range` of an object to `into`, whose content is dropped and whose room is
    /// used again where the store can.
    fn get_range_into(
        &self,
        name: &str,
        range: Range<u64>,
        into: &mut Vec<u8>,
    ) -> Result<(), StoreError> {
        *into = self.get_range(name, range)?;
        Ok(())
    }

    /// Returns an object's size, or none if it does not exist.
    fn head(&self, name: &str) -> Result<Option<u64>, StoreError>;

    /// Lists objects whose names start with `prefix` and sort after `after`, in
    /// byte order of the name, at most `limit` of them.
    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError>;

    /// Removes objects, durably; names that are not there are fine.
    fn delete_many(&self, names: &[String]) -> Result<(), StoreError>;

    /// Returns the most bytes that are better read along than left out between two ranges: asking
    /// once more takes about as long. A store that is elsewhere takes its time for each answer.
    fn gap(&self) -> u64 {
        256 << 10
    }

    /// Returns a directory on this machine that unfinished work may lie in: what is there is no
    /// object, and may be gone after a power cut. None where the store is elsewhere.
    fn scratch(&self) -> Option<PathBuf> {
        None
    }

    /// Names the store for people, e.g. its path.
    fn describe(&self) -> String;
}

/// Lists everything under `prefix`, page by page.
pub fn list_all(store: &dyn ObjectStore, prefix: &str) -> Result<Vec<Listed>, StoreError> {
    const PAGE: usize = 1000;
    let mut all = Vec::new();
    loop {
        let after = all.last().map(|l: &Listed| l.name.clone());
        let page = store.list(prefix, after.as_deref(), PAGE)?;
        let full = page.len() == PAGE;
        all.extend(page);
        if !full {
            return Ok(all);
        }
    }
}
