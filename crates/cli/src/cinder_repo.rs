//! `emberkeep cinder-repo`: looks into a directory, bucket or container of backups that Cinder
//! wrote, without any service and without its database.

mod place;

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use clap::{Args, Subcommand};
use emberkeep_chunked::{
    BackupMetadata, Chain, ChunkedError, ForeignError, ForeignObjects, Found, Location, VolumeMeta,
    Watch, restore, verify, verify_image,
};
use emberkeep_model::{BackupId, ByteCount};
use emberkeep_volumes::{FileTarget, RestoreTarget};
use serde::Serialize;
use serde_json::{Value, json};

use crate::error::{CliError, chain};
use crate::output::{Column, Format, Output, OutputArgs, column, print};
use crate::progress::Bar;

/// The shortest beginning of an id that is taken for one.
const LEAST_PREFIX: usize = 4;

/// How often the bar is redrawn.
const REDRAW: Duration = Duration::from_millis(200);

/// Options of `cinder-repo`.
#[derive(Debug, Args)]
pub(crate) struct CinderRepoArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the backups in a directory of Cinder's posix, nfs or glusterfs driver, or in a bucket
    /// or container of its object stores
    List {
        /// The directory (`backup_posix_path`, or a mounted share), s3://BUCKET or swift://CONTAINER
        path: PathBuf,
    },
    /// Read every object and compare it with its recorded checksum
    Verify {
        /// The directory, s3://BUCKET or swift://CONTAINER
        path: PathBuf,
        /// Names, ids or id prefixes [default: all backups]
        backups: Vec<String>,
        /// Also verify each backup's whole image against its block hashes
        #[arg(long)]
        image: bool,
    },
    /// Restore a backup with its parents to a file or a block device
    Restore(RestoreArgs),
}

#[derive(Debug, Args)]
struct RestoreArgs {
    /// The directory, s3://BUCKET or swift://CONTAINER
    path: PathBuf,
    /// Name, id or id prefix of the backup
    backup: String,
    /// The file to write; a new one has holes where the volume had zeroes
    output_file: PathBuf,
    /// Write over an existing file or block device; ranges not in the backup are kept
    #[arg(long, visible_alias = "in-place")]
    force: bool,
}

/// Runs `cinder-repo`.
pub(crate) fn run(args: CinderRepoArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    match args.verb {
        Verb::List { path } => list(&Repository::open(&path)?, &output),
        Verb::Verify {
            path,
            backups,
            image,
        } => {
            let repository = Repository::open(&path)?;
            let chosen = if backups.is_empty() {
                (0..repository.backups.len()).collect()
            } else {
                let chosen = backups.iter().map(|wanted| repository.choose(wanted));
                chosen.collect::<Result<_, _>>()?
            };
            verify_all(&repository, &chosen, image, &output)
        }
        Verb::Restore(args) => restore_one(&args, &output),
    }
}

/// A place and what was found in it.
struct Repository {
    objects: Box<dyn ForeignObjects>,
    backups: Vec<Backup>,
    locations: HashMap<BackupId, Location>,
}

struct Backup {
    found: Found,
    /// Without the list of its objects, which may be long.
    described: Result<BackupMetadata, ChunkedError>,
    objects: usize,
    data_bytes: u64,
}

impl Backup {
    fn read(objects: &dyn ForeignObjects, found: Found) -> Self {
        let mut described = BackupMetadata::read(objects, &found.location);
        let listed = described
            .as_mut()
            .map(|backup| std::mem::take(&mut backup.objects))
            .unwrap_or_default();
        Self {
            found,
            described,
            objects: listed.len(),
            data_bytes: listed.iter().map(|entry| entry.length).sum(),
        }
    }

    fn name(&self) -> &str {
        let described = self.described.as_ref().ok();
        described
            .and_then(|backup| backup.name.as_deref())
            .unwrap_or_default()
    }
}

impl Repository {
    fn open(path: &Path) -> Result<Self, CliError> {
        let place::Place { objects, found } = place::open(path)?;
        if found.is_empty() {
            let told = format!("{} holds no backups of Cinder's", path.display());
            return Err(CliError::not_found(told)
                .hint("a finished backup has an object whose name ends in `_metadata`"));
        }
        let mut locations = HashMap::new();
        for found in &found {
            if let Some(other) = locations.insert(found.backup_id, found.location.clone()) {
                return Err(CliError::refused(format!(
                    "backup {} is there twice: {} and {}",
                    found.backup_id,
                    other.metadata_name(),
                    found.location.metadata_name()
                )));
            }
        }
        let mut backups: Vec<_> = found
            .into_iter()
            .map(|found| Backup::read(objects.as_ref(), found))
            .collect();
        // The newest first, as in every list; what cannot be read last.
        backups.sort_by_cached_key(|backup| {
            let described = backup.described.as_ref().ok();
            let made = described.and_then(|backup| backup.created_at.clone());
            (std::cmp::Reverse(made), backup.found.backup_id)
        });
        Ok(Self {
            objects,
            backups,
            locations,
        })
    }

    /// Finds the backup that `wanted` means: a whole id wins over a name, a name over the
    /// beginning of an id.
    fn choose(&self, wanted: &str) -> Result<usize, CliError> {
        let having = |fits: &dyn Fn(&Backup) -> bool| -> Vec<usize> {
            let backups = self.backups.iter().enumerate();
            backups
                .filter(|(_, backup)| fits(backup))
                .map(|(at, _)| at)
                .collect()
        };
        let id = |backup: &Backup| backup.found.backup_id.to_string();
        let mut means = having(&|backup| id(backup) == wanted);
        if means.is_empty() {
            means = having(&|backup| backup.name() == wanted && !wanted.is_empty());
        }
        if means.is_empty() && wanted.len() >= LEAST_PREFIX {
            means = having(&|backup| id(backup).starts_with(wanted));
        }
        match means.as_slice() {
            [only] => Ok(*only),
            [] => Err(
                CliError::not_found(format!("no backup has the name or id '{wanted}'"))
                    .hint("`emberkeep cinder-repo list` shows what there is"),
            ),
            several => {
                let lines: Vec<_> = several
                    .iter()
                    .map(|at| &self.backups[*at])
                    .map(|backup| format!("  {}  {}", backup.found.backup_id, backup.name()))
                    .collect();
                Err(
                    CliError::refused(format!("'{wanted}' means {} backups", several.len())).hint(
                        format!("give the id of the one you mean:\n{}", lines.join("\n")),
                    ),
                )
            }
        }
    }

    fn chain(&self, location: &Location) -> Result<Chain, ChunkedError> {
        Chain::load(self.objects.as_ref(), location, |parent| {
            Ok(self.locations.get(&parent).cloned())
        })
    }
}

/// One backup in a list.
#[derive(Debug, Serialize)]
struct Row {
    id: BackupId,
    name: Option<String>,
    description: Option<String>,
    volume_id: Option<String>,
    volume_name: Option<String>,
    volume_size_gib: Option<u32>,
    parent_id: Option<BackupId>,
    created_at: Option<String>,
    objects: usize,
    data_bytes: u64,
    container: String,
    prefix: String,
    /// Why its description cannot be used.
    problem: Option<String>,
}

const LIST: &[Column<Row>] = &[
    column("id", "ID", |row| {
        row.id.to_string().chars().take(8).collect()
    }),
    column("name", "Name", |row| {
        let problem = row.problem.as_ref().map(|_| "(unreadable)".to_owned());
        row.name.clone().or(problem).unwrap_or_default()
    }),
    column("volume_name", "Volume", |row| {
        let id = || {
            row.volume_id
                .as_ref()
                .map(|id| id.chars().take(8).collect())
        };
        row.volume_name.clone().or_else(id).unwrap_or_default()
    }),
    column("created_at", "Created", |row| {
        row.created_at
            .iter()
            .flat_map(|time| time.chars().take(16))
            .collect()
    }),
    column("parent_id", "Parent", |row| {
        let id = row.parent_id.map(|id| id.to_string()).unwrap_or_default();
        id.chars().take(8).collect()
    }),
    column("objects", "Objects", |row| row.objects.to_string()),
    column("data_bytes", "Data", |row| {
        ByteCount(row.data_bytes).to_string()
    }),
];

fn list(repository: &Repository, output: &Output) -> Result<(), CliError> {
    let rows: Vec<_> = repository.backups.iter().map(row).collect();
    for row in &rows {
        if let Some(problem) = &row.problem {
            crate::output::say(&format!("emberkeep: backup {}: {problem}", row.id));
        }
    }
    output.list(LIST, &rows)
}

fn row(backup: &Backup) -> Row {
    let location = &backup.found.location;
    let described = backup.described.as_ref();
    let problem = described.err().map(|error| chain(error));
    let described = described.ok();
    let volume = described
        .and_then(|backup| backup.volume_meta.as_ref())
        .and_then(|text| VolumeMeta::parse(text).ok());
    Row {
        id: backup.found.backup_id,
        name: described.and_then(|backup| backup.name.clone()),
        description: described.and_then(|backup| backup.description.clone()),
        volume_id: described.map(|backup| backup.volume_id.to_string()),
        volume_name: volume
            .as_ref()
            .and_then(|volume| volume.text("display_name").map(str::to_owned)),
        volume_size_gib: volume
            .as_ref()
            .and_then(VolumeMeta::size)
            .map(|size| size.0),
        parent_id: described.and_then(|backup| backup.parent_id),
        created_at: described.and_then(|backup| backup.created_at.clone()),
        objects: backup.objects,
        data_bytes: backup.data_bytes,
        container: location.container().to_owned(),
        prefix: location.prefix().to_owned(),
        problem,
    }
}

fn verify_all(
    repository: &Repository,
    chosen: &Vec<usize>,
    image: bool,
    output: &Output,
) -> Result<(), CliError> {
    let (mut words, mut told, mut bad) = (String::new(), Vec::new(), 0);
    for at in chosen {
        let backup = &repository.backups[*at];
        let (objects, problems, notes) = verify_one(repository, backup, image)?;
        let id = backup.found.backup_id;
        words.push_str(&format!("{id} '{}': {objects} objects", backup.name()));
        words.push_str(if problems.is_empty() {
            ", sound\n"
        } else {
            "\n"
        });
        for line in problems
            .iter()
            .map(|line| ("damage", line))
            .chain(notes.iter().map(|line| ("note", line)))
        {
            words.push_str(&format!("  {}: {}\n", line.0, line.1));
        }
        bad += usize::from(!problems.is_empty());
        told.push(json!({"id": id, "objects": objects, "problems": problems, "notes": notes}));
    }
    if output.format() == Format::Table {
        print(&words)?;
    } else {
        output.done("", &bad.to_string(), &Value::from(told))?;
    }
    match bad {
        0 => Ok(()),
        1 => Err(CliError::failed("1 backup is damaged")),
        more => Err(CliError::failed(format!("{more} backups are damaged"))),
    }
}

/// Returns how many objects there are, what is wrong and what is odd.
fn verify_one(
    repository: &Repository,
    backup: &Backup,
    image: bool,
) -> Result<(usize, Vec<String>, Vec<String>), CliError> {
    if let Err(error) = &backup.described {
        return Ok((0, vec![chain(error)], Vec::new()));
    }
    let location = &backup.found.location;
    let report = metered("verifying", backup.data_bytes, |meter| {
        verify(repository.objects.as_ref(), location, meter)
    })
    .map_err(|error| chunked_error(&error))?;
    let mut problems: Vec<_> = report
        .problems
        .iter()
        .map(|problem| chain(problem))
        .collect();
    let mut notes = Vec::new();
    for name in &report.unlisted {
        notes.push(format!(
            "object {name} is not listed; Cinder refuses to restore the backup while it is there"
        ));
    }
    if report.without_md5 > 0 {
        notes.push(format!(
            "{} objects have no digest to compare with",
            report.without_md5
        ));
    }
    if !report.sha256_file {
        notes.push("its hashes are missing; no further increment can be made of it".to_owned());
    }
    match repository.chain(location) {
        Err(error) => problems.push(chain(&error)),
        Ok(image_of) if image && problems.is_empty() && report.sha256_file => {
            let end = image_of.end().0;
            let checked = metered("comparing", end, |meter| {
                verify_image(&image_of, repository.objects.as_ref(), meter)
            });
            problems.extend(checked.err().map(|error| chain(&error)));
        }
        Ok(_) => {}
    }
    Ok((backup.objects, problems, notes))
}

fn restore_one(args: &RestoreArgs, output: &Output) -> Result<(), CliError> {
    let repository = Repository::open(&args.path)?;
    let backup = &repository.backups[repository.choose(&args.backup)?];
    let chain = repository
        .chain(&backup.found.location)
        .map_err(|error| chunked_error(&error))?;
    let size = chain.end();
    let file = &args.output_file;
    let target = open_target(file, size, args.force)?;
    let begun = Instant::now();
    let report = metered("restoring", size.0, |meter| {
        restore(&chain, repository.objects.as_ref(), target.as_ref(), meter)
    })
    .map_err(|error| {
        let doing = format!("restoring '{}' to {}", backup.name(), file.display());
        chunked_error(&error).doing(doing)
    })?;
    let seconds = begun.elapsed().as_secs_f64();
    let id = backup.found.backup_id;
    let mut words = format!(
        "backup {id} '{}' restored to {}\n  {size} from {} backups: {} written, {} of zeroes, in {seconds:.1} s",
        backup.name(),
        file.display(),
        chain.layers().len(),
        ByteCount(report.written_bytes),
        ByteCount(report.zero_bytes),
    );
    if report.uncovered_bytes > 0 {
        words.push_str(&format!(
            "\n  {} are in no backup; the target has there what it had before",
            ByteCount(report.uncovered_bytes)
        ));
    }
    let json = json!({
        "id": id,
        "name": backup.name(),
        "file": file,
        "size_bytes": size,
        "backups": chain.layers().len(),
        "objects": report.objects,
        "superseded_objects": report.superseded,
        "written_bytes": report.written_bytes,
        "zero_bytes": report.zero_bytes,
        "uncovered_bytes": report.uncovered_bytes,
        "seconds": seconds,
    });
    output.done(&words, &file.display().to_string(), &json)
}

fn open_target(
    file: &Path,
    size: ByteCount,
    force: bool,
) -> Result<Box<dyn RestoreTarget>, CliError> {
    let failed = |error| CliError::failed(format!("{error}"));
    let Ok(meta) = fs::metadata(file) else {
        let target = FileTarget::create_new(file, size).map_err(failed)?;
        return Ok(Box::new(target));
    };
    if !force {
        return Err(
            CliError::refused(format!("{} exists", file.display())).hint("--force writes over it")
        );
    }
    if meta.is_file() && meta.len() < size.0 {
        OpenOptions::new()
            .write(true)
            .open(file)
            .and_then(|file| file.set_len(size.0))
            .map_err(|cause| {
                CliError::failed_by(format_args!("growing {}", file.display()), &cause)
            })?;
    }
    Ok(Box::new(FileTarget::open_existing(file).map_err(failed)?))
}

/// Counts what is done, for the bar.
pub(crate) struct Meter(AtomicU64);

impl Watch for Meter {
    fn advance(&self, bytes: u64) {
        self.0.fetch_add(bytes, Relaxed);
    }
}

/// Works on this thread while another draws the progress. Ctrl-C ends the process: what was
/// only read is none the worse, and a new file has not got its name yet.
pub(crate) fn metered<T>(label: &str, total: u64, work: impl FnOnce(&Meter) -> T) -> T {
    let meter = Meter(AtomicU64::new(0));
    let (over, ended) = channel::<()>();
    std::thread::scope(|scope| {
        let meter = &meter;
        scope.spawn(move || {
            let bar = Bar::new(label, total);
            while ended.recv_timeout(REDRAW) == Err(RecvTimeoutError::Timeout) {
                bar.set(meter.0.load(Relaxed), total);
            }
        });
        let done = work(meter);
        drop(over);
        done
    })
}

pub(crate) fn foreign_error(error: &ForeignError) -> CliError {
    let words = chain(error);
    match error {
        ForeignError::Missing { .. } => CliError::not_found(words),
        ForeignError::Exists { .. } | ForeignError::BadName { .. } => CliError::refused(words),
        ForeignError::Io { .. } => CliError::failed(words),
    }
}

pub(crate) fn chunked_error(error: &ChunkedError) -> CliError {
    let words = chain(error);
    match error {
        ChunkedError::Foreign(error) => foreign_error(error),
        ChunkedError::NoParent { .. } => CliError::refused(words)
            .hint("copy it to the others: an incremental backup is nothing without it"),
        ChunkedError::Object { .. } => CliError::failed(words)
            .hint("`emberkeep cinder-repo verify` names everything that is damaged"),
        _ => CliError::failed(words),
    }
}
