//! Runs reader and writer over repositories that Cinder wrote: `chunked/<set>/repo`, with
//! `expected.json` beside it saying what is in them and what Cinder's own restore gave.

mod disk;
mod expected;
mod rebuild;

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use emberkeep_model::BackupId;
use emberkeep_volumes::{SourceSnapshot, TargetState};

use crate::chain::Chain;
use crate::directory::DirectoryRepository;
use crate::find::find;
use crate::port::Location;
use crate::restore::restore;
use crate::source::ChainSource;
use crate::verify::{verify, verify_image};
use crate::volume_meta::VolumeMeta;
use disk::Disk;
use expected::{Backup, Restored, Set};

/// What came of one file of vectors.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileReport {
    /// The file, below the folder.
    pub file: String,
    /// Checks that held.
    pub passed: usize,
    /// Checks that did not, and why.
    pub failed: Vec<String>,
    /// What is worth knowing of checks that held.
    pub notes: Vec<String>,
}

/// What is wrong where a check does not hold.
type Wrong = Box<dyn std::error::Error + Send + Sync>;

/// Runs all sets below `dir/chunked`; returns a report for each, none if there are none.
pub fn run(dir: &Path) -> Vec<FileReport> {
    let Ok(entries) = fs::read_dir(dir.join("chunked")) else {
        return Vec::new();
    };
    let mut names: Vec<_> = entries
        .flatten()
        .filter(|entry| entry.path().join("expected.json").is_file())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect();
    names.sort_unstable();
    names.iter().map(|name| run_set(dir, name)).collect()
}

fn run_set(dir: &Path, name: &str) -> FileReport {
    let mut report = FileReport {
        file: format!("chunked/{name}/expected.json"),
        ..FileReport::default()
    };
    let folder = dir.join("chunked").join(name);
    match Runner::open(&folder) {
        Ok(runner) => {
            for backup in &runner.set.backups {
                runner.run(backup, &mut report);
            }
        }
        Err(wrong) => report
            .failed
            .push(format!("the set cannot be read: {wrong}")),
    }
    report
}

/// One set.
struct Runner {
    set: Set,
    repository: DirectoryRepository,
    locations: HashMap<BackupId, Location>,
}

impl Runner {
    fn open(folder: &Path) -> Result<Self, Wrong> {
        let set: Set = serde_json::from_slice(&fs::read(folder.join("expected.json"))?)?;
        let repository = DirectoryRepository::open(folder.join("repo"))?;
        let locations = set
            .backups
            .iter()
            .map(|backup| Ok((backup.backup_id, backup.location()?)))
            .collect::<Result<_, Wrong>>()?;
        Ok(Self {
            set,
            repository,
            locations,
        })
    }

    fn run(&self, backup: &Backup, report: &mut FileReport) {
        let mut check = |what: &str, outcome: Result<Option<String>, Wrong>| match outcome {
            Ok(note) => {
                report.passed += 1;
                let label = &backup.label;
                report
                    .notes
                    .extend(note.map(|note| format!("{label}: {what}: {note}")));
            }
            Err(wrong) => {
                let told = format!("{}: {what}: {wrong}", backup.label);
                report.failed.push(told);
            }
        };
        check("found in the directory", self.is_found(backup));
        check(
            "restored over junk",
            self.restores(backup, &backup.restore_over_junk, 0xA5),
        );
        check(
            "restored over zeroes",
            self.restores(backup, &backup.restore_over_zeros_new, 0),
        );
        check("read at random", self.reads(backup));
        check("verified", self.verifies(backup));
        check("the volume's metadata", self.remembers(backup));
        check("rebuilt file for file", rebuild::rebuild(self, backup));
    }

    fn chain(&self, backup: &Backup) -> Result<Chain, Wrong> {
        let location = &self.locations[&backup.backup_id];
        let parents = |id| Ok(self.locations.get(&id).cloned());
        Ok(Chain::load(&self.repository, location, parents)?)
    }

    fn is_found(&self, backup: &Backup) -> Result<Option<String>, Wrong> {
        let location = &self.locations[&backup.backup_id];
        let found = find(&self.repository)?;
        let own = |found: &&crate::Found| found.backup_id == backup.backup_id;
        let got = found.iter().find(own).map(|found| &found.location);
        same("the location", got, Some(location))
    }

    fn restores(
        &self,
        backup: &Backup,
        want: &Restored,
        before: u8,
    ) -> Result<Option<String>, Wrong> {
        let state = if before == 0 {
            TargetState::Zeroed
        } else {
            TargetState::HoldsData
        };
        let target = Disk::new(vec![before; usize::try_from(want.length)?], state);
        restore(&self.chain(backup)?, &self.repository, &target, &())?;
        let got = target.into_bytes();
        same("the SHA-256", sha256(&got), want.sha256.clone())
    }

    fn reads(&self, backup: &Backup) -> Result<Option<String>, Wrong> {
        let source = ChainSource::new(self.chain(backup)?, &self.repository, None)?;
        same("the size", source.size().0, backup.restore_over_junk.length)?;
        let mut image = vec![0; usize::try_from(source.size().0)?];
        // Backwards, in steps that fit nothing.
        let mut end = image.len();
        while end > 0 {
            let start = end.saturating_sub(77_777);
            source.read_at(start as u64, &mut image[start..end])?;
            end = start;
        }
        same("the SHA-256", sha256(&image), backup.source_sha256.clone())
    }

    fn verifies(&self, backup: &Backup) -> Result<Option<String>, Wrong> {
        let report = verify(&self.repository, &self.locations[&backup.backup_id], &())?;
        if let Some(problem) = report.problems.first() {
            return Err(problem.to_string().into());
        }
        same(
            "the number of objects",
            report.sound,
            u64::from(backup.object_count),
        )?;
        same("objects not listed", report.unlisted, Vec::new())?;
        verify_image(&self.chain(backup)?, &self.repository, &())?;
        Ok(None)
    }

    fn remembers(&self, backup: &Backup) -> Result<Option<String>, Wrong> {
        let chain = self.chain(backup)?;
        let Some(text) = &chain.newest().volume_meta else {
            return Ok(Some("none is remembered".to_owned()));
        };
        let meta = VolumeMeta::parse(text)?;
        same("written again", &meta.to_text(), text)?;
        let Some(after) = &backup.restore_over_junk.volume_after else {
            return Ok(None);
        };
        if meta.version == 2 {
            let texts = |fields: Option<&crate::Fields>| -> HashMap<String, serde_json::Value> {
                fields
                    .map(|fields| fields.0.iter().cloned().collect())
                    .unwrap_or_default()
            };
            same(
                "metadata",
                texts(meta.metadata.as_ref()),
                after.metadata.clone(),
            )?;
            same(
                "image metadata",
                texts(meta.image.as_ref()),
                after.glance_metadata.clone(),
            )?;
        }
        Ok(None)
    }
}

/// Says what differs.
fn same<T: PartialEq + std::fmt::Debug>(
    what: &str,
    got: T,
    want: T,
) -> Result<Option<String>, Wrong> {
    if got == want {
        Ok(None)
    } else {
        Err(format!("{what} is {got:?}, not {want:?}").into())
    }
}

fn sha256(bytes: &[u8]) -> String {
    hex::encode(digest(&SHA256, bytes))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// `EMBERKEEP_VECTORS`, or what lies in the source tree.
    fn folder() -> PathBuf {
        let own = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/cinder");
        std::env::var_os("EMBERKEEP_VECTORS").map_or_else(own, PathBuf::from)
    }

    #[test]
    fn every_repository_reads_and_is_rebuilt() {
        let reports = run(&folder());
        assert!(!reports.is_empty(), "no vectors in {}", folder().display());
        for report in &reports {
            println!("{}: {} passed", report.file, report.passed);
            report.notes.iter().for_each(|note| println!("  {note}"));
            assert!(
                report.failed.is_empty(),
                "{}: {:#?}",
                report.file,
                report.failed
            );
            assert!(report.passed > 0, "{}: nothing was checked", report.file);
        }
    }

    #[test]
    fn a_wrong_expectation_is_found() {
        let copy = tempfile::tempdir().expect("a directory");
        let set = copy.path().join("chunked/wrong");
        fs::create_dir_all(set.join("repo")).expect("directories");
        let expected = serde_json::json!({
            "compression": "none", "chunk_size": 32768, "sha_block_size": 8192,
            "image_size": 100,
            "backups": [{
                "label": "full", "backup_id": "17eba276-78d4-4af1-b262-6299fcb88719",
                "container": "c", "service_metadata": "p", "object_count": 1,
                "image_steps": [], "source_sha256": "", "created_at_str": "",
                "primitive": {"versioned_object.data": {"volume_id": "17eba276-78d4-4af1-b262-6299fcb88719"}},
                "objects": [],
                "restore_over_junk": {"sha256": "", "length": 100},
                "restore_over_zeros_new": {"sha256": "", "length": 100},
            }],
        });
        fs::write(set.join("expected.json"), expected.to_string()).expect("a file");
        fs::create_dir_all(copy.path().join("chunked/broken/repo")).expect("directories");
        fs::write(copy.path().join("chunked/broken/expected.json"), "{").expect("a file");
        let reports = run(copy.path());
        let counts: Vec<_> = reports
            .iter()
            .map(|report| (report.file.as_str(), report.passed, report.failed.len()))
            .collect();
        assert_eq!(
            counts,
            [
                ("chunked/broken/expected.json", 0, 1),
                ("chunked/wrong/expected.json", 0, 7)
            ]
        );
    }
}
