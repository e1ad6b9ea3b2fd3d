//! The programs that are measured, each as the commands that do its work.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process::{find, output};

/// What the comparison asks of a backup program. Each has a repository that holds all that it
/// was given since it was made.
pub(super) trait Tool {
    fn name(&self) -> &'static str;
    fn version(&self) -> Result<String>;
    fn repository(&self) -> &Path;
    /// Makes an empty repository.
    fn init(&self) -> Result<()>;
    /// Reads all of the image, whatever is known of it.
    fn backup(&self, image: &Path) -> Command;
    /// Finds the new backup's id, given what the command printed.
    fn id_in(&self, printed: &str) -> Result<String>;
    /// Returns the command, and where the restored image will lie.
    fn restore(&self, id: &str, image: &Path, out: &Path) -> (Command, PathBuf);
    /// Reads and verifies everything.
    fn verify(&self) -> Command;
    /// Deletes backups and frees their room, in one or two commands.
    fn delete(&self, ids: &[String]) -> Vec<Command>;

    /// Removes the repository and makes a new one.
    fn start_over(&self) -> Result<()> {
        for place in [
            self.repository().to_owned(),
            self.repository().with_extension("cache"),
        ] {
            if place.exists() {
                fs::remove_dir_all(place)?;
            }
        }
        self.init()
    }
}

/// This product.
pub(super) struct Emberkeep {
    pub(super) program: PathBuf,
    pub(super) repository: PathBuf,
}

impl Emberkeep {
    fn command(&self, what: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["repo", what]).arg(&self.repository);
        command
    }
}

impl Tool for Emberkeep {
    fn name(&self) -> &'static str {
        "emberkeep"
    }

    fn version(&self) -> Result<String> {
        let told = output(Command::new(&self.program).arg("--version"))?;
        Ok(told.trim().to_owned())
    }

    fn repository(&self) -> &Path {
        &self.repository
    }

    fn init(&self) -> Result<()> {
        output(&mut self.command("init")).map(|_| ())
    }

    fn backup(&self, image: &Path) -> Command {
        let mut command = self.command("backup");
        command.arg(image).args(["--name", "bench", "-o", "json"]);
        command
    }

    fn id_in(&self, printed: &str) -> Result<String> {
        let answer: Value = serde_json::from_str(printed)?;
        let id = answer["id"].as_str().context("no id in the answer")?;
        Ok(id.to_owned())
    }

    fn restore(&self, id: &str, _image: &Path, out: &Path) -> (Command, PathBuf) {
        let restored = out.join("disk.img");
        let mut command = self.command("restore");
        command.arg(id).arg(&restored);
        (command, restored)
    }

    fn verify(&self) -> Command {
        let mut command = self.command("check");
        command.arg("--read-data");
        command
    }

    fn delete(&self, ids: &[String]) -> Vec<Command> {
        let mut delete = self.command("delete");
        delete.args(ids);
        vec![delete, self.command("sweep")]
    }
}

/// restic, of any version.
pub(super) struct Restic {
    pub(super) program: PathBuf,
    pub(super) repository: PathBuf,
    sparse: bool,
}

impl Restic {
    pub(super) fn new(program: PathBuf, repository: PathBuf) -> Result<Self> {
        let help = output(Command::new(&program).args(["restore", "--help"]))?;
        Ok(Self {
            program,
            repository,
            sparse: help.contains("--sparse"),
        })
    }

    fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .env("RESTIC_PASSWORD", "bench")
            .env("RESTIC_REPOSITORY", &self.repository)
            .env("RESTIC_CACHE_DIR", self.repository.with_extension("cache"));
        command
    }
}

impl Tool for Restic {
    fn name(&self) -> &'static str {
        "restic"
    }

    fn version(&self) -> Result<String> {
        Ok(output(self.command().arg("version"))?.trim().to_owned())
    }

    fn repository(&self) -> &Path {
        &self.repository
    }

    fn init(&self) -> Result<()> {
        output(self.command().arg("init")).map(|_| ())
    }

    fn backup(&self, image: &Path) -> Command {
        let mut command = self.command();
        command.args(["backup", "--json", "--force"]).arg(image);
        command
    }

    fn id_in(&self, printed: &str) -> Result<String> {
        for line in printed.lines().rev() {
            if let Ok(message) = serde_json::from_str::<Value>(line)
                && let Some(id) = message["snapshot_id"].as_str()
            {
                return Ok(id.to_owned());
            }
        }
        bail!("restic named no snapshot")
    }

    fn restore(&self, id: &str, image: &Path, out: &Path) -> (Command, PathBuf) {
        let mut command = self.command();
        command.args(["restore", id, "--target"]).arg(out);
        if self.sparse {
            command.arg("--sparse");
        }
        (command, out.join(image.strip_prefix("/").unwrap_or(image)))
    }

    fn verify(&self) -> Command {
        let mut command = self.command();
        command.args(["check", "--read-data"]);
        command
    }

    fn delete(&self, ids: &[String]) -> Vec<Command> {
        let mut command = self.command();
        command.args(["forget", "--prune"]).args(ids);
        vec![command]
    }
}

/// borg with lz4, its default.
pub(super) struct Borg {
    pub(super) program: PathBuf,
    pub(super) repository: PathBuf,
}

impl Borg {
    fn command(&self, what: &[&str]) -> Command {
        let mut command = Command::new(&self.program);
        let own = self.repository.with_extension("cache");
        command
            .args(what)
            .env("BORG_PASSPHRASE", "bench")
            .env("BORG_BASE_DIR", own)
            .env("BORG_REPO", &self.repository);
        command
    }
}

impl Tool for Borg {
    fn name(&self) -> &'static str {
        "borg-lz4"
    }

    fn version(&self) -> Result<String> {
        let told = output(Command::new(&self.program).arg("--version"))?;
        Ok(told.trim().to_owned())
    }

    fn repository(&self) -> &Path {
        &self.repository
    }

    fn init(&self) -> Result<()> {
        output(&mut self.command(&["init", "--encryption", "repokey"])).map(|_| ())
    }

    fn backup(&self, image: &Path) -> Command {
        let mut command = self.command(&[
            "create",
            "--json",
            "--compression",
            "lz4",
            "--files-cache",
            "disabled",
            "::{now:%H%M%S%f}",
        ]);
        command.arg(image);
        command
    }

    fn id_in(&self, printed: &str) -> Result<String> {
        let answer: Value = serde_json::from_str(printed)?;
        let name = answer["archive"]["name"].as_str();
        Ok(name.context("borg named no archive")?.to_owned())
    }

    fn restore(&self, id: &str, image: &Path, out: &Path) -> (Command, PathBuf) {
        let mut command = self.command(&["extract", "--sparse", &format!("::{id}")]);
        command.current_dir(out);
        (command, out.join(image.strip_prefix("/").unwrap_or(image)))
    }

    fn verify(&self) -> Command {
        self.command(&["check", "--verify-data"])
    }

    fn delete(&self, ids: &[String]) -> Vec<Command> {
        let mut delete = self.command(&["delete"]);
        delete.arg(format!("::{}", ids.first().map_or("", String::as_str)));
        delete.args(ids.iter().skip(1));
        vec![delete, self.command(&["compact"])]
    }
}

/// Finds those that are installed.
pub(super) fn installed(
    folder: &Path,
    program: PathBuf,
    restic: Option<&str>,
) -> Result<Vec<Box<dyn Tool>>> {
    let mut tools: Vec<Box<dyn Tool>> = vec![Box::new(Emberkeep {
        program,
        repository: folder.join("emberkeep"),
    })];
    if let Some(program) = restic.map(PathBuf::from).or_else(|| find("restic")) {
        tools.push(Box::new(Restic::new(program, folder.join("restic"))?));
    }
    if let Some(program) = find("borg") {
        tools.push(Box::new(Borg {
            program,
            repository: folder.join("borg"),
        }));
    }
    Ok(tools)
}
