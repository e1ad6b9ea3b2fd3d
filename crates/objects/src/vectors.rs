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
mod rpc;

use std::path::{Path, PathBuf};

use crate::conformance::Subject;
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

impl FileResult {
    fn new(file: &str) -> Self {
        Self {
            file: file.to_owned(),
            passed: 0,
            failed: 0,
            skipped: 0,
            failures: Vec::new(),
        }
    }

    fn count(&mut self, section: &str, n: usize, entry: &Json, outcome: Outcome) {
        match outcome {
            Ok(()) => self.passed += 1,
            Err(wrong) => {
                self.failed += 1;
                let name = name_of(entry);
                self.failures
                    .push(format!("{section}[{n}] {name}: {wrong}"));
            }
        }
    }
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

/// Runs all files of a folder that hold objects, records, messages or behaviour.
pub fn run_vectors(dir: &Path) -> Result<Vec<FileResult>, VectorsError> {
    let texts = texts(dir)?;
    let results = texts.iter().map(|(name, text)| run_text(name, text));
    Ok(results.flatten().collect())
}

/// Runs what a folder tells of backups in a database; `make` returns a new, empty one each time.
pub async fn run_database<S: Subject>(
    dir: &Path,
    make: impl AsyncFn() -> S,
) -> Result<Vec<FileResult>, VectorsError> {
    let mut results = Vec::new();
    for (name, text) in texts(dir)? {
        let Ok(json) = Json::parse(&text) else {
            continue;
        };
        let mut result = FileResult::new(&name);
        for section in ["persisted", "methods"] {
            let entries = json.get(section).and_then(Json::as_list);
            for (n, entry) in entries.unwrap_or_default().iter().enumerate() {
                let store = make().await;
                let outcome = match section {
                    "persisted" => persisted::life(entry, &store).await,
                    _ => methods::method(entry, &store).await,
                };
                result.count(section, n, entry, outcome);
            }
        }
        if result.passed + result.failed > 0 {
            results.push(result);
        }
    }
    Ok(results)
}

/// Reads all files of a folder that might hold vectors.
fn texts(dir: &Path) -> Result<Vec<(String, String)>, VectorsError> {
    let mut files = Vec::new();
    collect(dir, &mut files)?;
    files.sort();
    let mut texts = Vec::new();
    for path in files {
        let text = std::fs::read_to_string(&path).map_err(|source| VectorsError::Read {
            path: path.clone(),
            source,
        })?;
        let name = path.strip_prefix(dir).unwrap_or(&path);
        texts.push((name.display().to_string(), text));
    }
    Ok(texts)
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
                failed: 1,
                failures: vec![error.to_string()],
                ..FileResult::new(file)
            });
        }
    };
    let format = json.get("format")?.as_text()?;
    let checks: &[(&str, Check)] = match format.split('/').next()? {
        "objects" => &objects::CHECKS,
        "records" => &records::CHECKS,
        "rpc" => &rpc::CHECKS,
        "behaviour" => &behaviour::CHECKS,
        _ => return None,
    };
    let mut result = FileResult::new(file);
    for (section, entries) in json.as_dict()?.iter() {
        let Some(entries) = entries.as_list() else {
            continue;
        };
        let Some((_, check)) = checks.iter().find(|(known, _)| *known == section) else {
            result.skipped += entries.len();
            continue;
        };
        for (n, entry) in entries.iter().enumerate() {
            result.count(section, n, entry, check(entry, &json));
        }
    }
    Some(result)
}
