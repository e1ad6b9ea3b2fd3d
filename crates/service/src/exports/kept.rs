//! What outlives the process of an export that becomes a volume: a record beside its overlay.
//!
//! An overlay is a file of this machine, and so is what says whose it is. The record comes last
//! and goes first: an overlay without one is a leftover.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use emberkeep_model::{BackupId, ProjectId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::served::ServedBackup;

const VERSION: u32 = 1;
const ENDING: &str = ".json";

/// All that is needed to serve it again under the same name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    version: u32,
    pub(super) id: Uuid,
    pub(super) project_id: ProjectId,
    pub(super) backup_id: BackupId,
    /// The backup whose bytes it shows.
    pub(super) content: BackupId,
    /// The name of the export, which is a secret.
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) created_at: Timestamp,
}

impl Record {
    pub(super) fn new(told: &ServedBackup, content: BackupId, name: &str) -> Self {
        Self {
            version: VERSION,
            id: told.id,
            project_id: told.project_id.clone(),
            backup_id: told.backup_id,
            content,
            name: name.to_owned(),
            size: told.size.0,
            created_at: told.created_at,
        }
    }

    /// Writes the record; durable on return.
    pub(super) fn store(&self, dir: &Path) -> io::Result<()> {
        let place = record_of(dir, self.id);
        let unfinished = place.with_extension("unfinished");
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        file.write_all(&serde_json::to_vec(self)?)?;
        file.sync_all()?;
        fs::rename(&unfinished, &place)?;
        File::open(dir)?.sync_all()
    }
}

fn record_of(dir: &Path, id: Uuid) -> PathBuf {
    dir.join(format!("{id}{ENDING}"))
}

/// Names the overlay of an export.
pub(super) fn overlay_of(dir: &Path, id: Uuid) -> PathBuf {
    dir.join(format!("{id}.img"))
}

/// Removes a record, durably, and then what it was about.
pub(super) fn remove(dir: &Path, id: Uuid) -> io::Result<()> {
    fs::remove_file(record_of(dir, id))?;
    File::open(dir)?.sync_all()?;
    remove_overlay(&overlay_of(dir, id));
    Ok(())
}

/// Reads all records and removes what belongs to none. A record that cannot be read keeps its
/// files, which may hold what somebody wrote, and is not served.
pub(super) fn load(dir: &Path) -> io::Result<Vec<Record>> {
    let mut records = Vec::new();
    let mut owners = BTreeSet::new();
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        if let Some(owner) = name.strip_suffix(ENDING) {
            owners.insert(owner.to_owned());
            match serde_json::from_slice::<Record>(&fs::read(&path)?) {
                Ok(record) if record.version == VERSION => records.push(record),
                Ok(_) => {
                    tracing::error!(path = %path.display(), "an export was kept by a newer version")
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "the record of an export cannot be read");
                }
            }
        } else {
            files.push((name, path));
        }
    }
    for (name, path) in files {
        let owner = name.split('.').next().unwrap_or_default();
        if name.ends_with(".unfinished") || !owners.contains(owner) {
            fs::remove_file(path)?;
        }
    }
    records.sort_by_key(|record| (record.created_at, record.id));
    Ok(records)
}

/// Removes an overlay and its map.
pub(super) fn remove_overlay(path: &Path) {
    let mut map = path.as_os_str().to_owned();
    map.push(".map");
    for path in [path, Path::new(&map)] {
        if let Err(cause) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %cause, "an overlay could not be removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(n: u128) -> Record {
        Record {
            version: VERSION,
            id: Uuid::from_u128(n),
            project_id: ProjectId::from(Uuid::from_u128(5)),
            backup_id: BackupId(Uuid::from_u128(7)),
            content: BackupId(Uuid::from_u128(8)),
            name: "secret".into(),
            size: 9,
            created_at: Timestamp(3),
        }
    }

    #[test]
    fn records_come_back_and_leftovers_go() {
        let dir = tempfile::tempdir().expect("a directory");
        let dir = dir.path();
        for n in [1, 2] {
            record(n).store(dir).expect("stored");
        }
        let touch = |name: String| fs::write(dir.join(name), "x").expect("written");
        let id = |n| Uuid::from_u128(n).to_string();
        touch(format!("{}.img", id(1)));
        touch(format!("{}.img.map", id(1)));
        touch(format!("{}.img", id(3)));
        touch(format!("{}.img.map", id(3)));
        touch(format!("{}.unfinished", id(1)));
        touch(format!("{}.json", id(4)));
        touch(format!("{}.img", id(4)));
        assert_eq!(load(dir).expect("loaded"), [record(1), record(2)]);
        let there = |name: String| dir.join(name).exists();
        assert!(there(format!("{}.img", id(1))) && there(format!("{}.img.map", id(1))));
        assert!(!there(format!("{}.img", id(3))) && !there(format!("{}.img.map", id(3))));
        assert!(!there(format!("{}.unfinished", id(1))));
        assert!(
            there(format!("{}.img", id(4))),
            "what cannot be read is kept"
        );
        remove(dir, Uuid::from_u128(1)).expect("removed");
        assert_eq!(load(dir).expect("loaded"), [record(2)]);
        assert!(!there(format!("{}.img", id(1))));
    }
}
