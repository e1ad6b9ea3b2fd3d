//! How far the ledgers of repositories had come when this machine last looked: what tells that a
//! store was rolled back, which nothing inside the store can.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;

use emberkeep_engine::LedgerPosition;
use uuid::Uuid;

use crate::output::say;

/// Where positions are kept, in place of the user's state directory.
const STATE_DIR: &str = "EMBERKEEP_STATE_DIR";

/// The positions of one repository; nothing is kept where there is no place for it.
pub(super) struct Positions(Option<PathBuf>);

impl Positions {
    pub(super) fn of(repository: Uuid) -> Self {
        let var = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
        let state = var(STATE_DIR).map(PathBuf::from).or_else(|| {
            let xdg = var("XDG_STATE_HOME").map(PathBuf::from);
            let home = || Some(PathBuf::from(var("HOME")?).join(".local/state"));
            Some(xdg.or_else(home)?.join("emberkeep"))
        });
        Self(state.map(|state| state.join("positions").join(repository.to_string())))
    }

    /// Projects may be called anything; a file's name is theirs in hex.
    fn file(&self, project: &str) -> Option<PathBuf> {
        let name: String = project.bytes().map(|byte| format!("{byte:02x}")).collect();
        Some(self.0.as_ref()?.join(name))
    }

    /// Returns what was kept of a project.
    pub(super) fn load(&self, project: &str) -> Option<LedgerPosition> {
        let text = fs::read_to_string(self.file(project)?).ok()?;
        text.trim_end().parse().ok()
    }

    /// Keeps a position. Where that fails a rollback may go unnoticed by this machine, and all
    /// else works.
    pub(super) fn keep(&self, project: &str, position: &LedgerPosition) {
        let Some(file) = self.file(project) else {
            return;
        };
        if self.load(project).as_ref() == Some(position) {
            return;
        }
        let write = || -> io::Result<()> {
            let dir = file.parent().unwrap_or(&file);
            fs::create_dir_all(dir)?;
            let new = file.with_extension(format!("{}.new", std::process::id()));
            let mut written = fs::File::create(&new)?;
            writeln!(written, "{position}")?;
            written.sync_all()?;
            fs::rename(new, &file)
        };
        if let Err(error) = write() {
            say(&format!(
                "emberkeep: {} could not be written, so that a rollback of the store may not be noticed here: {error}",
                file.display()
            ));
        }
    }
}
