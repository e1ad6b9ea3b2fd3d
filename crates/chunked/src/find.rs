//! Finds the backups in a directory, without the records that would say where they are.

use std::fs;
use std::path::Path;

use emberkeep_model::BackupId;

use crate::directory::DirectoryRepository;
use crate::error::ForeignError;
use crate::port::{ForeignObjects, Location};

/// How deep containers may lie: a backup of an object store lies three below its bucket.
const DEPTH: usize = 12;

/// A backup that seems to be there; its description is yet to be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where it lies.
    pub location: Location,
    /// The backup, by its name.
    pub backup_id: BackupId,
}

/// Lists the finished backups in a repository, by the names of their `_metadata` objects.
/// Symbolic links are not followed.
pub fn find(repository: &DirectoryRepository) -> Result<Vec<Found>, ForeignError> {
    let mut found = Vec::new();
    walk(repository.path(), "", DEPTH, &mut found)?;
    found.sort_by(|a, b| {
        let key = |found: &Found| {
            (
                found.location.container().to_owned(),
                found.location.prefix().to_owned(),
            )
        };
        key(a).cmp(&key(b))
    });
    Ok(found)
}

/// The same for one container of an object store, by listing it.
pub fn find_in(objects: &dyn ForeignObjects, container: &str) -> Result<Vec<Found>, ForeignError> {
    let mut found = Vec::new();
    objects.list(container, "", &mut |name, _| {
        let backup = name.strip_suffix("_metadata").and_then(locate);
        found.extend(backup.and_then(|inside| {
            Some(Found {
                location: Location::new(container, inside.whole_name()).ok()?,
                backup_id: inside.backup_id,
            })
        }));
    })?;
    found.sort_by(|a, b| a.location.prefix().cmp(b.location.prefix()));
    Ok(found)
}

impl Found {
    /// Returns what all names of its objects begin with, seen from the top.
    fn whole_name(&self) -> String {
        match self.location.container() {
            "" => self.location.prefix().to_owned(),
            container => format!("{container}/{}", self.location.prefix()),
        }
    }
}

fn walk(
    dir: &Path,
    relative: &str,
    depth: usize,
    found: &mut Vec<Found>,
) -> Result<(), ForeignError> {
    let failed = |cause| ForeignError::io(dir.display().to_string(), cause);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let (name, kind) = (entry.file_name(), entry.file_type().map_err(failed)?);
        let Some(name) = name.to_str() else { continue };
        let path = if relative.is_empty() {
            name.to_owned()
        } else {
            format!("{relative}/{name}")
        };
        if kind.is_dir() && depth > 0 {
            walk(&entry.path(), &path, depth - 1, found)?;
        } else if kind.is_file()
            && let Some(backup) = path.strip_suffix("_metadata").and_then(locate)
        {
            found.push(backup);
        }
    }
    Ok(())
}

/// Tells container and prefix apart by the form of the names (`cinder-backup.md §4.1`).
fn locate(path: &str) -> Option<Found> {
    let (dir, file) = path.rsplit_once('/').unwrap_or(("", path));
    let (head, id) = file.rsplit_once("_backup_")?;
    let backup_id = id.parse().ok()?;
    let container = if head.starts_with("az_") {
        // volume_<id>/<time>/az_<zone>_backup_<id>
        let (rest, time) = dir.rsplit_once('/').unwrap_or(("", dir));
        let (container, volume) = rest.rsplit_once('/').unwrap_or(("", rest));
        let is_time = time.len() == 14 && time.bytes().all(|byte| byte.is_ascii_digit());
        if is_time && volume.starts_with("volume_") {
            container
        } else {
            dir
        }
    } else {
        dir
    };
    let prefix = path.strip_prefix(container)?.trim_start_matches('/');
    Some(Found {
        location: Location::new(container, prefix).ok()?,
        backup_id,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_container_and_prefix_apart() {
        const ID: &str = "17eba276-78d4-4af1-b262-6299fcb88719";
        for (path, want) in [
            (
                format!("17/eb/{ID}/volume_x_20240401020203_backup_{ID}"),
                Some((
                    format!("17/eb/{ID}"),
                    format!("volume_x_20240401020203_backup_{ID}"),
                )),
            ),
            (
                format!("volume_x_20240401020203_backup_{ID}"),
                Some((
                    String::new(),
                    format!("volume_x_20240401020203_backup_{ID}"),
                )),
            ),
            (
                format!("bucket/volume_x/20240403020203/az_nova_backup_{ID}"),
                Some((
                    "bucket".to_owned(),
                    format!("volume_x/20240403020203/az_nova_backup_{ID}"),
                )),
            ),
            (
                format!("volume_x/20240403020203/az_a_backup_b_backup_{ID}"),
                Some((
                    String::new(),
                    format!("volume_x/20240403020203/az_a_backup_b_backup_{ID}"),
                )),
            ),
            (
                format!("deep/er/az_nova_backup_{ID}"),
                Some(("deep/er".to_owned(), format!("az_nova_backup_{ID}"))),
            ),
            ("a/volume_x_backup_17eb".to_owned(), None),
            ("a/other".to_owned(), None),
        ] {
            let got = locate(&path).map(|found| {
                let location = found.location;
                (
                    location.container().to_owned(),
                    location.prefix().to_owned(),
                )
            });
            assert_eq!(got, want, "{path}");
        }
    }
}
