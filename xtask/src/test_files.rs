//! The rule that each package has one integration-test binary, `tests/suite/main.rs`, and that no file of it is forgotten.
//!
//! Each binary links the whole product anew, so that a second one costs more than all its tests; and a file
//! that no `mod` line names is silently not compiled.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

/// Checks every package of the workspace; returns what is wrong, a line each.
pub(crate) fn misplaced(root: &Path) -> Result<Vec<String>> {
    let mut packages = vec![root.to_owned(), root.join("xtask")];
    for entry in read_dir(&root.join("crates"))? {
        packages.push(entry);
    }
    let mut wrong = Vec::new();
    for package in packages {
        let tests = package.join("tests");
        if tests.is_dir() {
            wrong.extend(check(&tests)?);
        }
    }
    for line in &mut wrong {
        *line = line.replace(&format!("{}/", root.display()), "");
    }
    wrong.sort();
    Ok(wrong)
}

/// Checks one `tests` folder.
fn check(tests: &Path) -> Result<Vec<String>> {
    let mut wrong = Vec::new();
    for path in read_dir(tests)? {
        let binary = is_rust(&path) || (path.join("main.rs").is_file() && !path.ends_with("suite"));
        if binary {
            wrong.push(format!(
                "{}: a second integration-test binary; move it below {}/suite and name it in main.rs",
                path.display(),
                tests.display()
            ));
        }
    }
    let suite = tests.join("suite");
    let main = suite.join("main.rs");
    if main.is_file() {
        let mut reached = BTreeSet::new();
        follow(&main, &suite, &mut reached, &mut wrong)?;
        let mut all = Vec::new();
        rust_files(&suite, &mut all)?;
        wrong.extend(
            all.iter()
                .filter(|path| !reached.contains(*path))
                .map(|path| {
                    format!(
                        "{}: no `mod` line leads here, so it is not compiled",
                        path.display()
                    )
                }),
        );
    }
    Ok(wrong)
}

/// Adds `file` and all files its `mod` lines lead to; `folder` is where those files are.
fn follow(
    file: &Path,
    folder: &Path,
    reached: &mut BTreeSet<PathBuf>,
    wrong: &mut Vec<String>,
) -> Result<()> {
    if !reached.insert(file.to_owned()) {
        return Ok(());
    }
    let text = fs::read_to_string(file).with_context(|| file.display().to_string())?;
    for line in text.lines() {
        let Some(name) = declared(line) else {
            // An attribute could lead anywhere: none is needed in this layout.
            if line.trim_start().starts_with("#[path") {
                wrong.push(format!(
                    "{}: `#[path]` hides where a module is",
                    file.display()
                ));
            }
            continue;
        };
        let places = [
            folder.join(format!("{name}.rs")),
            folder.join(name).join("mod.rs"),
        ];
        // A missing file is the compiler's to report.
        if let Some(place) = places.iter().find(|place| place.is_file()) {
            follow(place, &folder.join(name), reached, wrong)?;
        }
    }
    Ok(())
}

/// Returns the name that a line like `pub(crate) mod name;` declares.
fn declared(line: &str) -> Option<&str> {
    let line = line.trim().strip_suffix(';')?;
    let (before, name) = line.rsplit_once("mod ")?;
    let visibility = before.trim();
    let is_word = !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_');
    (is_word && (visibility.is_empty() || visibility.starts_with("pub"))).then_some(name)
}

fn rust_files(folder: &Path, found: &mut Vec<PathBuf>) -> Result<()> {
    for path in read_dir(folder)? {
        if path.is_dir() {
            rust_files(&path, found)?;
        } else if is_rust(&path) {
            found.push(path);
        }
    }
    Ok(())
}

fn is_rust(path: &Path) -> bool {
    path.is_file() && path.extension().is_some_and(|kind| kind == "rs")
}

fn read_dir(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn module_lines() {
        for (line, want) in [
            ("mod sweep;", Some("sweep")),
            ("pub(crate) mod support;", Some("support")),
            ("    pub mod inner;", Some("inner")),
            ("mod tests {", None),
            ("// mod old;", None),
            ("use crate::mod_name;", None),
        ] {
            assert_eq!(declared(line), want, "{line}");
        }
    }

    #[test]
    fn second_binaries_and_forgotten_files_are_found() {
        let root =
            std::env::temp_dir().join(format!("emberkeep-test-files-{}", std::process::id()));
        let tests = root.join("crates/engine/tests");
        for (path, text) in [
            ("suite/main.rs", "mod kept;\nmod deep;\n"),
            ("suite/kept.rs", ""),
            ("suite/deep/mod.rs", "mod inner;\n"),
            ("suite/deep/inner.rs", ""),
            ("suite/deep/lost.rs", ""),
            ("suite/forgotten.rs", ""),
            ("direct.rs", ""),
            ("other/main.rs", ""),
            ("data/notes.rs.txt", ""),
        ] {
            let path = tests.join(path);
            fs::create_dir_all(path.parent().expect("a parent")).expect("folder");
            fs::write(path, text).expect("file");
        }
        let found = misplaced(&root);
        fs::remove_dir_all(&root).expect("removed");
        let found = found.expect("readable");
        let places: Vec<_> = found
            .iter()
            .map(|line| line.split(':').next().unwrap_or_default())
            .collect();
        assert_eq!(
            places,
            [
                "crates/engine/tests/direct.rs",
                "crates/engine/tests/other",
                "crates/engine/tests/suite/deep/lost.rs",
                "crates/engine/tests/suite/forgotten.rs",
            ],
            "{found:#?}"
        );
    }

    #[test]
    fn the_workspace_has_no_such_file() {
        let found = misplaced(&crate::process::root()).expect("sources");
        assert!(found.is_empty(), "{found:#?}");
    }
}
