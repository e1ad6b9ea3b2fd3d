//! `emberkeep repo`: the engine on a repository directory, without any service.

mod backup;
mod find;
mod keeping;
mod key;
mod place;
mod positions;
mod reports;
mod restore;
mod serve;
mod source;
mod watch;

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use emberkeep_engine::{ChunkerSpec, InitOptions, ProjectRepository, Repository, RepositoryError};
use emberkeep_model::BackupId;
use emberkeep_store::StoreError;
use serde_json::json;

use crate::error::CliError;
use crate::output::{Output, OutputArgs};
pub(crate) use key::key_error;
pub(crate) use reports::ratio;

/// The project under which the offline commands keep their backups.
const LOCAL_PROJECT: &str = "local";

const EXAMPLES: &str = "\
Examples:
  emberkeep repo init /backups
  emberkeep repo backup /backups disk.img --name monday
  emberkeep repo backup /backups disk.img --name tuesday     only what changed is stored
  emberkeep repo list /backups
  emberkeep repo restore /backups monday out.img
  emberkeep repo backup /backups nbd://host/disk --name wednesday    what another program serves
  emberkeep repo serve /backups monday --socket monday.sock           use it without restoring it
  emberkeep repo delete /backups monday && emberkeep repo sweep /backups
  emberkeep repo check /backups --read-data
  emberkeep repo check /backups --read-data --budget 10GiB    those parts that were not read for longest
  emberkeep repo list s3://bucket/backups --key-file master.key     AWS_* variables say who and where

The repository of a service can be read the same way:
  emberkeep repo check DATA_DIR/repository --key-file DATA_DIR/master.key

Exit codes: 0 done, 1 failed (or damage found), 2 usage, 3 not found, 4 refused.";

/// Options of `repo`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct RepoArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a repository in an empty directory or bucket prefix
    Init {
        /// Directory (created if missing) or s3://BUCKET/PREFIX
        repo: PathBuf,
        #[command(flatten)]
        key: key::KeyArgs,
        /// Average chunk size; larger chunks need less memory and deduplicate less
        #[arg(long, value_name = "SIZE", default_value = "64K", value_parser = chunk_size)]
        chunk_size: ChunkerSpec,
    },
    /// Back up a disk image (raw or qcow2), a block device, an NBD export or a running QEMU's disk
    Backup(backup::BackupArgs),
    /// List backups, newest first
    List {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Write a backup to a file, a block device or an NBD export
    Restore(restore::RestoreArgs),
    /// Serve a backup as a volume over NBD, read-only or with an overlay for writes
    Serve(serve::ServeArgs),
    /// Delete backups; others are unaffected. `sweep` frees the space
    Delete {
        #[command(flatten)]
        place: PlaceArgs,
        /// Names, ids or id prefixes
        #[arg(required = true)]
        backups: Vec<String>,
        /// Delete unreadable or lost backups too; accepts full ids only
        #[arg(long)]
        force: bool,
    },
    /// Delete stored data that no backup references; safe beside running backups
    Sweep(reports::SweepArgs),
    /// Check for damage and name the affected backups
    Check {
        #[command(flatten)]
        place: PlaceArgs,
        #[command(flatten)]
        depth: reports::DepthArgs,
    },
    /// Accept a store that was rolled back or has lost backups; missing backups count as deleted
    AcceptRollback {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Print everything the store knows about each backup, to rebuild a lost catalog
    Recover {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Replace the master key and every project's data key; no data is rewritten
    ///
    /// The old key file opens copies of the store that were made before, and nothing that is stored
    /// afterwards. Backups made before stay readable with the new key file. Stop what uses the
    /// repository first, and give it the new key file: what still has the old one is refused. A key
    /// file that opens other repositories too must be kept for those: this one replaces it.
    RotateKey {
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Destroy a project's key and all it stored, beyond what copies of the store can bring back
    ///
    /// The key file is changed as well: with what is left of it the project cannot be read, neither
    /// here nor in any older copy of the store, while all other projects can, here and there. A copy
    /// of the key file that was made before still opens older copies of the store: destroy it, and
    /// keep a copy of the new one. Where that is not enough (keys made by earlier versions, a key that
    /// no file holds), this says so; `rotate-key` helps.
    EraseProject(keeping::EraseArgs),
    /// Count what there is, and what deduplication and compression save
    Stats {
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Which repository, which key, whose backups.
#[derive(Debug, Args)]
struct PlaceArgs {
    /// Repository: directory or s3://BUCKET/PREFIX
    repo: PathBuf,
    #[command(flatten)]
    key: key::KeyArgs,
    /// Project, in the repository of a service [default: all projects; `local` for writing]
    #[arg(long, value_name = "ID")]
    project: Option<String>,
    /// Cache index and maps of a bucket in this directory
    #[arg(long, value_name = "DIR", env = "EMBERKEEP_CACHE")]
    cache: Option<PathBuf>,
}

fn chunk_size(text: &str) -> Result<ChunkerSpec, String> {
    let digits = text.trim_end_matches(['K', 'k']);
    let number: u32 = digits
        .parse()
        .map_err(|_| "give a size like 64K".to_owned())?;
    let bytes = if digits.len() == text.len() {
        Some(number)
    } else {
        number.checked_mul(1 << 10)
    };
    bytes
        .and_then(ChunkerSpec::aligned)
        .ok_or_else(|| "must be a power of two from 16K to 1024K".to_owned())
}

/// Runs `repo`.
pub(crate) fn run(args: RepoArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    match args.verb {
        Verb::Init {
            repo,
            key,
            chunk_size,
        } => init(&repo, &key, chunk_size, &output),
        Verb::Backup(args) => backup::run(args, &output),
        Verb::List { place } => reports::list(&place.projects()?, &output),
        Verb::Restore(args) => restore::run(args, &output),
        Verb::Serve(args) => serve::run(args, &output),
        Verb::Delete {
            place,
            backups,
            force: false,
        } => delete(&place, &backups, &output),
        Verb::Delete {
            place,
            backups,
            force: true,
        } => delete_unread(&place, &backups, &output),
        Verb::Sweep(args) => reports::sweep(args, &output),
        Verb::Check { mut place, depth } => {
            // What is looked for lies in the store, and nowhere else.
            place.cache = None;
            reports::check(&place, &depth, &output)
        }
        Verb::AcceptRollback { place } => reports::accept_rollback(&place, &output),
        Verb::EraseProject(args) => keeping::erase(args, &output),
        Verb::Recover { place } => keeping::recover(&place, &output),
        Verb::RotateKey { place } => keeping::rotate(&place, &output),
        Verb::Stats { place } => reports::stats(&place, &output),
    }
}

impl PlaceArgs {
    fn open(&self) -> Result<Repository, CliError> {
        let repo = &self.repo;
        if !place::is_bucket(repo) && !repo.join("format").is_file() {
            return Err(
                CliError::not_found(format!("{} is not a repository", repo.display())).hint(
                    format!("`emberkeep repo init {}` makes one", repo.display()),
                ),
            );
        }
        let source = self.key.source(repo)?;
        let key = source.load().map_err(|error| key_error(&error))?;
        let opened = Repository::open(place::open_cached(repo, self.cache.as_deref())?, &key)
            .map_err(|error| repository_error(&error))?;
        Ok(match source.keeper() {
            Some(keeper) => opened.with_keeper(keeper),
            None => opened,
        })
    }

    /// Opens the projects to read from: the named one, or all.
    fn projects(&self) -> Result<Vec<ProjectRepository>, CliError> {
        let mut all = self
            .open()?
            .projects()
            .map_err(|error| repository_error(&error))?;
        if let Some(name) = &self.project {
            all.retain(|project| project.project() == name);
            if all.is_empty() {
                return Err(CliError::not_found(format!(
                    "the repository holds no project '{name}'"
                )));
            }
        }
        Ok(all)
    }

    /// Opens the project to write to: the named one, or the offline commands' own.
    fn own_project(&self) -> Result<ProjectRepository, CliError> {
        let name = self.project.as_deref().unwrap_or(LOCAL_PROJECT);
        self.open()?
            .project(name)
            .map_err(|error| repository_error(&error))
    }
}

fn init(
    repo: &Path,
    key: &key::KeyArgs,
    chunker: ChunkerSpec,
    output: &Output,
) -> Result<(), CliError> {
    if !place::is_bucket(repo) {
        refuse_occupied(repo)?;
    }
    let store = place::create(repo)?;
    if place::is_bucket(repo) && Repository::exists(&*store).map_err(|error| store_error(&error))? {
        return Err(CliError::refused(format!(
            "{} holds a repository already",
            repo.display()
        )));
    }
    let (master, source) = key.load_or_create(repo)?;
    let made = Repository::init(store, &master, InitOptions { chunker })
        .map_err(|error| repository_error(&error))?;
    let words = format!(
        "repository {} made in {}\nits key is {}: keep a copy elsewhere, without it the backups cannot be read",
        made.id(),
        repo.display(),
        source,
    );
    let json = json!({"id": made.id(), "path": repo, "key_file": source.file(),
                      "key_id": master.id().to_string()});
    output.done(&words, &made.id().to_string(), &json)
}

/// Refuses a directory that holds anything but what a broken-off `init` leaves.
fn refuse_occupied(repo: &Path) -> Result<(), CliError> {
    let Ok(entries) = fs::read_dir(repo) else {
        return Ok(());
    };
    if repo.join("format").exists() {
        return Err(CliError::refused(format!(
            "{} holds a repository already",
            repo.display()
        )));
    }
    for entry in entries.flatten() {
        let name = entry.file_name();
        let ours = ["tmp", "keys", key::FILE_NAME]
            .iter()
            .any(|known| name == *known);
        if !ours {
            return Err(CliError::refused(format!(
                "{} is not empty: it holds '{}'",
                repo.display(),
                name.to_string_lossy()
            ))
            .hint("a repository needs a directory of its own"));
        }
    }
    Ok(())
}

fn delete(place: &PlaceArgs, names: &[String], output: &Output) -> Result<(), CliError> {
    let project = place.own_project()?;
    let manifests = find::manifests(std::slice::from_ref(&project))?;
    let mut chosen = Vec::with_capacity(names.len());
    for name in names {
        chosen.push(find::one(name, &manifests)?.manifest.backup_id);
    }
    for id in &chosen {
        project
            .delete(*id)
            .map_err(|error| repository_error(&error))?;
    }
    deleted(place, &chosen, output)
}

/// Deletes backups by their whole ids, whether their manifests can be read or not.
fn delete_unread(place: &PlaceArgs, names: &[String], output: &Output) -> Result<(), CliError> {
    let whole = |name: &String| {
        name.parse::<BackupId>()
            .map_err(|_| CliError::usage(format!("'{name}' is no whole id, which --force wants")))
    };
    let ids: Vec<BackupId> = names.iter().map(whole).collect::<Result<_, _>>()?;
    let projects = place.projects()?;
    for id in &ids {
        let mut was_there = false;
        for project in &projects {
            was_there |= project
                .delete(*id)
                .map_err(|error| repository_error(&error))?;
        }
        if !was_there {
            return Err(CliError::not_found(format!("no backup has the id {id}")));
        }
    }
    deleted(place, &ids, output)
}

fn deleted(place: &PlaceArgs, ids: &[BackupId], output: &Output) -> Result<(), CliError> {
    let ids: Vec<_> = ids.iter().map(ToString::to_string).collect();
    let words = format!(
        "deleted {}\n`emberkeep repo sweep {}` frees the room",
        ids.join(", "),
        place.repo.display()
    );
    output.done(&words, &ids.join("\n"), &json!({"deleted": ids}))
}

/// Words what a repository refuses.
fn repository_error(error: &RepositoryError) -> CliError {
    let words = crate::error::chain(error);
    match error {
        RepositoryError::NotARepository { .. } | RepositoryError::NoSuchBackup(_) => {
            CliError::not_found(words)
        }
        RepositoryError::Exists { .. } => CliError::refused(words),
        RepositoryError::OtherKey { .. }
        | RepositoryError::KeyErased { .. }
        | RepositoryError::ErasureUnfinished { .. }
        | RepositoryError::TooManyKeys(_)
        | RepositoryError::KeyNotChangeable { .. }
        | RepositoryError::RotationElsewhere { .. }
        | RepositoryError::Busy { .. } => CliError::refused(words),
        RepositoryError::MasterKeyReplaced { .. } => {
            CliError::refused(words).hint("the new key file is where `rotate-key` was run")
        }
        RepositoryError::KeyFile(error) => key_error(error),
        RepositoryError::WrongMasterKey { .. } | RepositoryError::NoMasterKey { .. } => {
            CliError::refused(words).hint("--key-file names another key file")
        }
        RepositoryError::Damaged(_) | RepositoryError::Descriptor { .. } => CliError::failed(words)
            .hint("`emberkeep repo check` looks for damage and names the backups it hurts"),
        RepositoryError::Store(error) => store_error(error),
    }
}

fn store_error(error: &StoreError) -> CliError {
    CliError::failed_by("the repository", error)
}
