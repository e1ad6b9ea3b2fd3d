//! What `emberkeep catalog` prints.

use emberkeep_engine::UnixMicros;
use emberkeep_server::{ListedCopy, Rebuilt};
use jiff::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::error::{CliError, chain};
use crate::output::{Column, Output, column};

#[derive(Serialize)]
struct Line {
    name: String,
    created_at: Option<String>,
    bytes: u64,
    state: String,
}

const COLUMNS: &[Column<Line>] = &[
    column("name", "Name", |line| line.name.clone()),
    column("created_at", "Created", |line| {
        line.created_at.clone().unwrap_or_else(|| "-".to_owned())
    }),
    column("bytes", "Bytes", |line| line.bytes.to_string()),
    column("state", "State", |line| line.state.clone()),
];

/// Prints the copies; fails if one of them is damaged.
pub(super) fn list(copies: &[ListedCopy], output: &Output) -> Result<(), CliError> {
    let mut damaged = 0;
    let lines: Vec<Line> = copies
        .iter()
        .map(|listed| Line {
            name: listed.copy.name.to_string(),
            created_at: listed.created_at.as_ref().ok().map(|at| moment(*at)),
            bytes: listed.copy.bytes,
            state: match &listed.created_at {
                Ok(_) if listed.erased > 0 => {
                    format!("whole, without {} erased projects", listed.erased)
                }
                Ok(_) => "whole".to_owned(),
                Err(error) => {
                    damaged += 1;
                    format!("damaged: {}", chain(error))
                }
            },
        })
        .collect();
    output.list(COLUMNS, &lines)?;
    match damaged {
        0 => Ok(()),
        count => Err(
            CliError::failed(format!("{count} of {} copies are damaged", copies.len()))
                .hint("`emberkeep catalog backup` writes another"),
        ),
    }
}

fn moment(at: UnixMicros) -> String {
    Timestamp::from_microsecond(at.0).map_or_else(
        |_| at.0.to_string(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}

/// Prints what became of the catalog.
pub(super) fn rebuilt(rebuilt: &Rebuilt, output: &Output) -> Result<(), CliError> {
    let taken = &rebuilt.taken_up;
    let made = &taken.belongings;
    let mut words = Vec::new();
    for (name, error) in &rebuilt.passed_over {
        words.push(format!("copy {name} cannot be read: {}", chain(error)));
    }
    words.push(match &rebuilt.copy {
        Some((name, at)) => format!(
            "catalog restored from copy {name} of {}: {} rows",
            moment(*at),
            rebuilt.rows
        ),
        None => "catalog rebuilt from the manifests of the backups".to_owned(),
    });
    for (count, what) in [
        (taken.added, "backups added from their manifests"),
        (taken.finished, "backups that were being made are complete"),
        (taken.deleted, "backups were deleted since"),
        (
            taken.lost,
            "backups are damaged: their manifests are missing",
        ),
        (taken.unreadable, "manifests cannot be read"),
        (taken.others, "backups of other programs left alone"),
        (made.vaults, "vaults made again"),
        (made.policies, "policies made again"),
        (made.checkpoints, "checkpoints made again"),
        (made.servers, "servers made again"),
        (made.file_systems, "file systems made again"),
        (made.projects, "projects made again"),
        (
            made.users,
            "users made again: their passwords must be reset",
        ),
        (rebuilt.settled.tasks, "interrupted tasks ended"),
        (rebuilt.volumes_made, "volumes made again"),
        (
            rebuilt.volumes_marked,
            "volumes are in error: their files are missing",
        ),
        (
            rebuilt.strangers as u64,
            "files in volumes/ belong to no backup and were left alone",
        ),
        (rebuilt.erased as u64, "erased projects left out"),
    ] {
        if count > 0 {
            words.push(format!("{count} {what}"));
        }
    }
    if rebuilt.new_password {
        words.push("administrator's new password written to clouds.yaml".to_owned());
    }
    if let Some(aside) = &rebuilt.aside {
        words.push(format!("the catalog before is kept as {}", aside.display()));
    }
    let json = json!({
        "copy": rebuilt.copy.map(|(name, _)| name.to_string()),
        "copy_created_at": rebuilt.copy.map(|(_, at)| moment(at)),
        "copies_passed_over": rebuilt.passed_over.len(),
        "rows": rebuilt.rows,
        "backups_added": taken.added,
        "backups_finished": taken.finished,
        "backups_deleted": taken.deleted,
        "backups_lost": taken.lost,
        "manifests_unreadable": taken.unreadable,
        "backups_left_alone": taken.others,
        "vaults_made": made.vaults,
        "policies_made": made.policies,
        "checkpoints_made": made.checkpoints,
        "servers_made": made.servers,
        "file_systems_made": made.file_systems,
        "projects_made": made.projects,
        "users_made": made.users,
        "tasks_ended": rebuilt.settled.tasks,
        "volumes_made": rebuilt.volumes_made,
        "volumes_in_error": rebuilt.volumes_marked,
        "volume_files_left_alone": rebuilt.strangers,
        "projects_erased": rebuilt.erased,
        "new_password": rebuilt.new_password,
        "kept_as": rebuilt.aside,
    });
    output.done(&words.join("\n"), "", &json)
}
