//! Walks the directories of a local store in byte order of the objects' names.

use std::fs;
use std::path::{Path, PathBuf};

use super::{failure, is_absence};
use crate::name::{RESERVED, is_segment};
use crate::{Listed, StoreError};

struct Walk<'a> {
    prefix: &'a str,
    after: &'a str,
    limit: usize,
    found: Vec<Listed>,
}

/// Lists objects as the port says.
pub(super) fn list(
    root: &Path,
    prefix: &str,
    after: Option<&str>,
    limit: usize,
) -> Result<Vec<Listed>, StoreError> {
    // No name is empty, so all of them sort after "".
    let mut walk = Walk {
        prefix,
        after: after.unwrap_or(""),
        limit,
        found: Vec::new(),
    };
    let (dir, base) = match prefix.rsplit_once('/') {
        Some((dir, _)) => (root.join(dir), format!("{dir}/")),
        None => (root.to_owned(), String::new()),
    };
    walk.directory(&dir, &base)?;
    Ok(walk.found)
}

impl Walk<'_> {
    /// Takes in a directory whose objects' names start with `base`.
    fn directory(&mut self, dir: &Path, base: &str) -> Result<(), StoreError> {
        for (name, path) in self.children(dir, base)? {
            if self.found.len() >= self.limit {
                break;
            }
            if name.ends_with('/') {
                self.directory(&path, &name)?;
            } else {
                self.object(&path, name)?;
            }
        }
        Ok(())
    }

    /// Returns what may count in a directory, in order.
    ///
    /// A directory's name ends with a slash and sorts by it, since that is what
    /// the names below it go on with: `a-b` comes before `a/b`, but `a0` after.
    fn children(&self, dir: &Path, base: &str) -> Result<Vec<(String, PathBuf)>, StoreError> {
        let failed = |cause| failure(base, cause);
        let entries = match fs::read_dir(dir) {
            Err(cause) if is_absence(&cause) => return Ok(Vec::new()),
            entries => entries.map_err(failed)?,
        };
        let mut children = Vec::new();
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let own = entry.file_name();
            let Some(own) = own.to_str().filter(|own| is_segment(own)) else {
                continue;
            };
            if base.is_empty() && own == RESERVED {
                continue;
            }
            let is_dir = entry.file_type().map_err(failed)?.is_dir();
            let name = format!("{base}{own}{}", if is_dir { "/" } else { "" });
            if self.may_hold(&name, is_dir) {
                children.push((name, entry.path()));
            }
        }
        children.sort();
        Ok(children)
    }

    fn may_hold(&self, name: &str, is_dir: bool) -> bool {
        if is_dir {
            (name.starts_with(self.prefix) || self.prefix.starts_with(name))
                && (name > self.after || self.after.starts_with(name))
        } else {
            name.starts_with(self.prefix) && name > self.after
        }
    }

    fn object(&mut self, path: &Path, name: String) -> Result<(), StoreError> {
        match fs::metadata(path) {
            Ok(meta) if meta.is_file() => self.found.push(Listed {
                name,
                size: meta.len(),
            }),
            Ok(_) => {}
            // Deleted since the directory was read.
            Err(cause) if is_absence(&cause) => {}
            Err(cause) => return Err(failure(&name, cause)),
        }
        Ok(())
    }
}
