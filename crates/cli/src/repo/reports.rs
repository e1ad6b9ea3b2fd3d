//! `emberkeep repo list|stats|sweep|check`: what a repository holds, and in what state.

use std::time::Duration;

use clap::Args;
use emberkeep_engine::{
    CheckError, CheckOptions, DamageCause, Problem, ProjectRepository, RepairReport,
    RepositoryStats, SweepError, SweepOptions, SweepReport, VerifyOptions,
};
use emberkeep_model::ByteCount;
use serde::Serialize;
use serde_json::json;

use super::positions::Positions;
use super::{PlaceArgs, find, repository_error, store_error, watch};
use crate::error::{CliError, chain};
use crate::output::{Column, Format, Output, column, print};

/// One backup in a list.
#[derive(Debug, Serialize)]
struct Row {
    id: String,
    name: String,
    description: Option<String>,
    project: String,
    created_at: Option<String>,
    #[serde(skip)]
    created: String,
    size_bytes: u64,
    data_bytes: u64,
    new_bytes: u64,
    stored_bytes: u64,
    parent_id: Option<String>,
    source: Option<String>,
}

const LIST: &[Column<Row>] = &[
    // The beginning is enough to name a backup by, and leaves room for the rest.
    column("id", "ID", |row| row.id.chars().take(8).collect()),
    column("name", "Name", |row| row.name.clone()),
    column("created_at", "Created", |row| row.created.clone()),
    column("size_bytes", "Size", |row| {
        ByteCount(row.size_bytes).to_string()
    }),
    column("stored_bytes", "Stored", |row| {
        ByteCount(row.stored_bytes).to_string()
    }),
];

/// Runs `repo list`.
pub(super) fn list(projects: &[ProjectRepository], output: &Output) -> Result<(), CliError> {
    let rows: Vec<_> = find::manifests(projects)?
        .into_iter()
        .map(|found| {
            let manifest = found.manifest;
            Row {
                id: manifest.backup_id.to_string(),
                name: manifest.name,
                description: manifest.description,
                project: manifest.project,
                created_at: find::zulu(manifest.created_at),
                created: find::time(manifest.created_at),
                size_bytes: manifest.size.0,
                data_bytes: manifest.statistics.data_bytes,
                new_bytes: manifest.statistics.new_bytes,
                stored_bytes: manifest.statistics.stored_bytes,
                parent_id: manifest.parent.map(|id| id.to_string()),
                source: manifest.source.path.or(manifest.source.volume_name),
            }
        })
        .collect();
    output.list(LIST, &rows)
}

/// What a repository holds in all.
#[derive(Debug, Default, Serialize)]
struct Stats {
    backups: u64,
    logical_bytes: u64,
    unique_bytes: u64,
    stored_bytes: u64,
    chunks: u64,
    packs: u64,
}

const STATS: &[Column<Stats>] = &[
    column("backups", "Backups", |stats| stats.backups.to_string()),
    column("logical_bytes", "Volumes", |stats| {
        ByteCount(stats.logical_bytes).to_string()
    }),
    column("unique_bytes", "Unique data", |stats| {
        ByteCount(stats.unique_bytes).to_string()
    }),
    column("stored_bytes", "Stored", |stats| {
        ByteCount(stats.stored_bytes).to_string()
    }),
    column("ratio", "Ratio", |stats| {
        ratio(stats.logical_bytes, stats.stored_bytes)
    }),
    column("chunks", "Chunks", |stats| stats.chunks.to_string()),
    column("packs", "Packs", |stats| stats.packs.to_string()),
];

/// Shows how many times smaller `stored` is, to one place.
pub(crate) fn ratio(logical: u64, stored: u64) -> String {
    if stored == 0 {
        return "-".to_owned();
    }
    let tenths = u128::from(logical) * 10 / u128::from(stored);
    format!("{}.{} : 1", tenths / 10, tenths % 10)
}

/// Runs `repo stats`.
pub(super) fn stats(place: &PlaceArgs, output: &Output) -> Result<(), CliError> {
    let mut sum = Stats::default();
    for project in place.projects()? {
        let RepositoryStats {
            backups,
            logical_bytes,
            unique_bytes,
            stored_bytes,
            chunks,
            packs,
        } = project.stats().map_err(|error| repository_error(&error))?;
        sum.backups += backups;
        sum.logical_bytes += logical_bytes;
        sum.unique_bytes += unique_bytes;
        sum.stored_bytes += stored_bytes;
        sum.chunks += chunks;
        sum.packs += packs;
    }
    output.record(STATS, &sum)
}

/// Options of `repo sweep`.
#[derive(Debug, Args)]
pub(super) struct SweepArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print what would be done and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Wait so long for running backups and restores; what they still need is left to the next sweep
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    wait: u64,
}

/// What a sweep did in all projects.
#[derive(Debug, Default, Serialize)]
struct Swept {
    dry_run: bool,
    packs: u64,
    stored_bytes: u64,
    dead_packs: u64,
    repacked_packs: u64,
    moved_bytes: u64,
    deleted_packs: u64,
    freed_bytes: u64,
    pardoned_packs: u64,
    pending_packs: u64,
    waiting_for: u64,
}

const SWEPT: &[Column<Swept>] = &[
    column("dry_run", "Dry run", |swept| {
        if swept.dry_run { "yes" } else { "no" }.to_owned()
    }),
    column("packs", "Packs before", |swept| swept.packs.to_string()),
    column("stored_bytes", "Bytes before", |swept| {
        ByteCount(swept.stored_bytes).to_string()
    }),
    column("dead_packs", "Dead packs", |swept| {
        swept.dead_packs.to_string()
    }),
    column("repacked_packs", "Repacked packs", |swept| {
        swept.repacked_packs.to_string()
    }),
    column("moved_bytes", "Moved", |swept| {
        ByteCount(swept.moved_bytes).to_string()
    }),
    column("deleted_packs", "Packs deleted", |swept| {
        swept.deleted_packs.to_string()
    }),
    column("freed_bytes", "Freed", |swept| {
        ByteCount(swept.freed_bytes).to_string()
    }),
    column("pardoned_packs", "Pardoned packs", |swept| {
        swept.pardoned_packs.to_string()
    }),
    column("pending_packs", "Pending packs", |swept| {
        swept.pending_packs.to_string()
    }),
    column("waiting_for", "Sessions to wait for", |swept| {
        swept.waiting_for.to_string()
    }),
];

impl Swept {
    fn add(&mut self, report: &SweepReport) {
        self.dry_run = report.dry_run;
        self.packs += report.packs;
        self.stored_bytes += report.stored_bytes;
        self.dead_packs += report.dead_packs;
        self.repacked_packs += report.repacked_packs;
        self.moved_bytes += report.moved_bytes;
        self.deleted_packs += report.deleted_packs;
        self.freed_bytes += report.freed_bytes;
        self.pardoned_packs += report.pardoned_packs;
        self.pending_packs += report.pending_packs;
        self.waiting_for += report.waiting_for;
    }
}

/// Runs `repo sweep`.
pub(super) fn sweep(args: SweepArgs, output: &Output) -> Result<(), CliError> {
    let options = SweepOptions {
        dry_run: args.dry_run,
        wait: Duration::from_secs(args.wait),
    };
    let mut sum = Swept {
        dry_run: args.dry_run,
        ..Swept::default()
    };
    for project in args.place.projects()? {
        let report = watch::watched("sweeping", |run| project.sweep(options, run))
            .map_err(|error| sweep_error(&error))?;
        sum.add(&report);
    }
    output.record(SWEPT, &sum)
}

/// How deep `repo check` goes.
#[derive(Debug, Args)]
pub(super) struct DepthArgs {
    /// Read and verify all data, not only the structure
    #[arg(long)]
    read_data: bool,
    /// Read at most this much (such as 10GiB), least recently verified data first; the next check
    /// continues from there
    #[arg(long, value_name = "SIZE", requires = "read_data", value_parser = bytes)]
    budget: Option<u64>,
    /// Rebuild lost parts of the index from the packs before the check
    #[arg(long)]
    repair_index: bool,
    /// Read only data not verified for this long (such as 12h or 30d)
    #[arg(long, value_name = "AGE", requires = "read_data", value_parser = age)]
    older_than: Option<Duration>,
}

/// Reads a number and what it is a number of.
fn counted(text: &str, units: &[(&str, u64)], like: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = text[digits.len()..].trim();
    let found = units
        .iter()
        .find(|(name, _)| unit.eq_ignore_ascii_case(name));
    found
        .and_then(|(_, times)| digits.parse::<u64>().ok()?.checked_mul(*times))
        .ok_or_else(|| format!("give it like {like}"))
}

fn bytes(text: &str) -> Result<u64, String> {
    let units = [
        ("", 1),
        ("MiB", 1 << 20),
        ("M", 1 << 20),
        ("GiB", 1 << 30),
        ("G", 1 << 30),
        ("TiB", 1 << 40),
        ("T", 1 << 40),
    ];
    counted(text, &units, "10GiB")
}

fn age(text: &str) -> Result<Duration, String> {
    let units = [("m", 60), ("h", 3600), ("d", 86_400)];
    counted(text, &units, "12h or 30d").map(Duration::from_secs)
}

/// Runs `repo check`; damage is a failure.
pub(super) fn check(place: &PlaceArgs, depth: &DepthArgs, output: &Output) -> Result<(), CliError> {
    let read_data = depth.read_data;
    let mut problems = Vec::new();
    let (mut backups, mut packs, mut chunks, mut read_bytes) = (0, 0, 0, 0);
    let (mut never, mut oldest) = (0, None);
    if place.project.is_none() {
        let keyless = place.open()?.keyless();
        let keyless = keyless.map_err(|error| repository_error(&error))?;
        problems.extend(keyless.into_iter().map(|damage| Problem {
            damage,
            backups: Vec::new(),
            hurt: Vec::new(),
            lost: Vec::new(),
        }));
    }
    let positions = Positions::of(place.open()?.id());
    let mut repaired = RepairReport::default();
    let mut unlisted = 0;
    for project in place.projects()? {
        if depth.repair_index {
            let report = watch::watched("writing the index", |run| project.repair_index(run))
                .map_err(|error| check_error(&error))?;
            repaired.packs += report.packs;
            repaired.chunks += report.chunks;
            repaired.unreadable += report.unreadable;
        }
        let before = positions.load(project.project()).unwrap_or_default();
        let (position, rolled_back) = project
            .position_after(&before)
            .map_err(|error| repository_error(&error))?;
        match rolled_back {
            Some(damage) => problems.push(Problem {
                damage,
                backups: Vec::new(),
                hurt: Vec::new(),
                lost: Vec::new(),
            }),
            None => positions.keep(project.project(), &position),
        }
        let options = VerifyOptions {
            // Of several projects each takes what the others have left.
            budget: depth.budget.map(|budget| budget.saturating_sub(read_bytes)),
            older_than: depth.older_than,
        };
        let is_spent = options.budget == Some(0);
        let report = watch::watched("checking", |run| match read_data && !is_spent {
            true => project.verify(options, run),
            false => project.check(CheckOptions::default(), run),
        })
        .map_err(|error| check_error(&error))?;
        never += report.unverified_packs;
        oldest = oldest.into_iter().chain(report.oldest_verified).min();
        backups += report.backups;
        unlisted += report.unlisted;
        packs += report.packs;
        chunks += report.chunks;
        read_bytes += report.read_bytes;
        problems.extend(report.problems);
    }
    let mut words = format!(
        "{backups} backups, {packs} packs, {chunks} chunks looked at; {} read and verified\n",
        ByteCount(read_bytes)
    );
    if depth.repair_index {
        words.push_str(&format!(
            "{} packs with {} chunks entered into the index again\n",
            repaired.packs, repaired.chunks
        ));
    }
    if unlisted > 0 {
        words.push_str(&format!(
            "{unlisted} backups are not in the ledger yet: the next sweep enters them\n"
        ));
    }
    for problem in &problems {
        words.push_str(&format!("damage: {}\n", chain(&problem.damage)));
        let hurt: Vec<_> = problem.backups.iter().map(ToString::to_string).collect();
        words.push_str(&format!(
            "  backups hurt: {}\n",
            if hurt.is_empty() {
                "none".to_owned()
            } else {
                hurt.join(", ")
            }
        ));
        for lost in &problem.lost {
            let (start, end) = (lost.range.start, lost.range.end);
            words.push_str(&format!(
                "  lost: bytes {start} to {end} of {}\n",
                lost.backup
            ));
        }
    }
    if read_data {
        let since = oldest.map_or("nothing was read before".to_owned(), |at| {
            format!("what waits longest was read at {}", find::time(at))
        });
        words.push_str(&format!("{never} packs were never read; {since}\n"));
    }
    if problems.is_empty() {
        words.push_str(if read_data {
            "no damage found"
        } else {
            "no damage found (data not read; --read-data reads it)"
        });
    }
    let json = json!({
        "backups": backups,
        "packs": packs,
        "chunks": chunks,
        "read_bytes": read_bytes,
        "unverified_packs": never,
        "unlisted_backups": unlisted,
        "repaired_packs": repaired.packs,
        "oldest_verified": oldest.and_then(find::zulu),
        "problems": problems.iter().map(|problem| json!({
            "object": problem.damage.object,
            "offset": problem.damage.offset,
            "cause": chain(&problem.damage.cause),
            "backups": problem.backups,
            "lost": problem.lost.iter().map(|lost| json!({
                "backup": lost.backup,
                "start": lost.range.start,
                "end": lost.range.end,
            })).collect::<Vec<_>>(),
        })).collect::<Vec<_>>(),
    });
    match output.format() {
        Format::Table => print(&format!("{}\n", words.trim_end()))?,
        Format::Json | Format::Yaml | Format::Value => {
            output.done("", &problems.len().to_string(), &json)?
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    let places = if problems.len() == 1 {
        "1 place is"
    } else {
        &format!("{} places are", problems.len())
    };
    let lost_index =
        |problem: &Problem| matches!(problem.damage.cause, DamageCause::IndexLost { .. });
    let failed = CliError::failed(format!("{places} damaged"));
    if problems.iter().all(lost_index) {
        return Err(failed.hint("no data is lost: --repair-index writes the index anew"));
    }
    Err(failed
        .hint("back up again what is hurt: what is still known is stored anew, and old backups stay as they are"))
}

/// Runs `repo accept-rollback`.
pub(super) fn accept_rollback(place: &PlaceArgs, output: &Output) -> Result<(), CliError> {
    let positions = Positions::of(place.open()?.id());
    let mut given_up = Vec::new();
    for project in place.projects()? {
        let accepted = project
            .accept_missing()
            .map_err(|error| sweep_error(&error))?;
        given_up.extend(accepted.iter().map(ToString::to_string));
        let position = project
            .position()
            .map_err(|error| repository_error(&error))?;
        positions.keep(project.project(), &position);
    }
    let words = match given_up.len() {
        0 => "the store is accepted as it is; no backup is missed".to_owned(),
        count => format!(
            "the store is accepted as it is; {count} backups count as deleted: {}",
            given_up.join(", ")
        ),
    };
    let json = json!({"given_up": given_up});
    output.done(&words, &given_up.join("\n"), &json)
}

fn sweep_error(error: &SweepError) -> CliError {
    match error {
        SweepError::Busy(_) => {
            CliError::refused(error.to_string()).hint("try again when it is over")
        }
        SweepError::Damaged(_) | SweepError::ManifestsMissing(_) | SweepError::LedgerDamaged(_) => {
            CliError::refused(chain(error))
        }
        SweepError::Repository(error) => repository_error(error),
        SweepError::Store(error) => store_error(error),
        SweepError::Cancelled => CliError::failed("interrupted; the next sweep goes on from there"),
        SweepError::Superseded | SweepError::Decompressor(_) => CliError::failed(chain(error)),
    }
}

fn check_error(error: &CheckError) -> CliError {
    match error {
        CheckError::Repository(error) => repository_error(error),
        CheckError::Store(error) => store_error(error),
        CheckError::Cancelled => CliError::failed("interrupted"),
        CheckError::Decompressor(_) => CliError::failed(chain(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_ages_have_units() {
        for (text, want) in [
            ("10GiB", Some(10 << 30)),
            ("512m", Some(512 << 20)),
            ("7", Some(7)),
            ("GiB", None),
            ("1 parsec", None),
        ] {
            assert_eq!(bytes(text).ok(), want, "{text}");
        }
        for (text, want) in [
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("5", None),
            ("-1d", None),
        ] {
            assert_eq!(age(text).ok().map(|age| age.as_secs()), want, "{text}");
        }
    }

    #[test]
    fn ratios_have_one_place() {
        for (logical, stored, want) in [
            (0, 0, "-"),
            (10, 10, "1.0 : 1"),
            (100, 30, "3.3 : 1"),
            (5, 100, "0.0 : 1"),
        ] {
            assert_eq!(ratio(logical, stored), want, "{logical} {stored}");
        }
    }
}
