//! Where the catalog's files lie, and where those go that make room for others.

use std::fs;
use std::path::{Path, PathBuf};

use emberkeep_catalog::CatalogFileError;

use crate::StartError;

/// The suffixes of the files that SQLite keeps beside a database.
pub(crate) const COMPANIONS: [&str; 2] = ["-wal", "-shm"];

/// Moves a log aside that was left without its catalog: another catalog would take it for its own.
pub(crate) fn keep_lone_log(place: &Path) -> Result<(), StartError> {
    if place.exists() {
        return Ok(());
    }
    let aside = aside_of(place);
    for suffix in COMPANIONS {
        let from = with_suffix(place, suffix);
        if from.exists() {
            fs::rename(&from, with_suffix(&aside, suffix)).map_err(|cause| {
                StartError::CatalogFile(CatalogFileError::Io {
                    path: from.clone(),
                    cause,
                })
            })?;
        }
    }
    Ok(())
}

/// Names a place for the catalog there is that is not taken.
pub(crate) fn aside_of(place: &Path) -> PathBuf {
    let mut count = 1;
    loop {
        let aside = with_suffix(place, &format!(".aside-{count}"));
        let taken = [""]
            .into_iter()
            .chain(COMPANIONS)
            .any(|suffix| with_suffix(&aside, suffix).exists());
        if !taken {
            return aside;
        }
        count += 1;
    }
}

pub(crate) fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_without_its_catalog_goes_aside_and_nothing_is_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let place = dir.path().join("catalogue.db");
        let log = dir.path().join("catalogue.db-wal");
        fs::write(&place, "catalog").unwrap();
        fs::write(&log, "its log").unwrap();
        keep_lone_log(&place).unwrap();
        assert!(log.exists());
        for count in 1..=2 {
            let _gone = fs::remove_file(&place);
            fs::write(&log, format!("log {count}")).unwrap();
            keep_lone_log(&place).unwrap();
            let aside = dir.path().join(format!("catalogue.db.aside-{count}-wal"));
            assert_eq!(fs::read_to_string(aside).unwrap(), format!("log {count}"));
        }
        assert!(!log.exists());
    }
}
