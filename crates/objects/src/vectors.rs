//! Runs recorded vectors: what the real Cinder did, done again here and compared.
//!
//! Only with the feature `vectors`, for tests and for `cargo xtask vectors`. A file is known by what its
//! `format` says; sections that are about other parts of the product are counted as skipped.

mod behaviour;
mod entry;
mod methods;
mod objects;
mod persisted;
mod records;

use std::path::{Path, PathBuf};

use crate::json::Json;

use entry::{Outcome, name_of};

/// What came of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileResult {
    /// The file, under the folder that was run.
    pub file: String,
    /// How many entries came out as recorded.
    pub passed: usize,
    /// How many did not.
    pub failed: usize,
    /// How many are about something else than objects and records.
    pub skipped: usize,
    /// What was wrong, an entry a line.
    pub failures: Vec<String>,
}

/// Why vectors could not be run at all.
#[derive(Debug, thiserror::Error)]
pub enum VectorsError {
    /// A file or folder cannot be read.
    #[error("cannot read {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
}

/// Runs one section's entry.
type Check = fn(&Json, &Json) -> Outcome;

/// Runs all files of a folder that hold objects, records or behaviour.
pub fn run_vectors(dir: &Path) -> Result<Vec<FileResult>, VectorsError> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    let mut results = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|source| VectorsError::Read {
            path: path.clone(),
            source,
        })?;
        let name = path.strip_prefix(dir).unwrap_or(&path);
        results.extend(run_text(&name.display().to_string(), &text));
    }
    Ok(results)
}

fn collect(dir: &Path, files: &mut Vec<PathBuf>) -> Result<(), VectorsError> {
    let failed = |source| VectorsError::Read {
        path: dir.to_owned(),
        source,
    };
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            collect(&path, files)?;
        } else if path
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(path);
        }
    }
    Ok(())
}

/// Runs one file; `None` if it is about something else. A file that is no JSON counts as one failure.
pub fn run_text(file: &str, text: &str) -> Option<FileResult> {
    let json = match Json::parse(text) {
        Ok(json) => json,
        Err(error) => {
            return Some(FileResult {
                file: file.to_owned(),
                passed: 0,
                failed: 1,
                skipped: 0,
                failures: vec![error.to_string()],
            });
        }
    };
    let format = json.get("format")?.as_text()?;
    let checks: &[(&str, Check)] = match format.split('/').next()? {
        "objects" => &objects::CHECKS,
        "records" => &records::CHECKS,
        "behaviour" => &behaviour::CHECKS,
        _ => return None,
    };
    let mut result = FileResult {
        file: file.to_owned(),
        passed: 0,
        failed: 0,
        skipped: 0,
        failures: Vec::new(),
    };
    for (section, entries) in json.as_dict()?.iter() {
        let Some(entries) = entries.as_list() else {
            continue;
        };
        let Some((_, check)) = checks.iter().find(|(known, _)| *known == section) else {
            result.skipped += entries.len();
            continue;
        };
        for (n, entry) in entries.iter().enumerate() {
            match check(entry, &json) {
                Ok(()) => result.passed += 1,
                Err(wrong) => {
                    result.failed += 1;
                    let name = name_of(entry);
                    result
                        .failures
                        .push(format!("{section}[{n}] {name}: {wrong}"));
                }
            }
        }
    }
    Some(result)
}
