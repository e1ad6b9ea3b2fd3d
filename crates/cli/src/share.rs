//! `emberkeep share`: one backup for other projects.

use clap::{Args, Subcommand};
use emberkeep_sdk::cbr::{BackupQuery, Member, MemberAnswer, MemberQuery, Sharing};
use emberkeep_sdk::{BackupId, Connection, VaultId};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};

const EXAMPLES: &str = "\
Examples:
  emberkeep share create monday 0f1e2d3c4b5a69788796a5b4c3d2e1f0
  emberkeep share list monday
As the project that receives it:
  emberkeep share accept BACKUP_ID disks
  emberkeep share reject BACKUP_ID";

/// Options of `share`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ShareArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the projects a backup is shared with
    List {
        /// The backup's name or id
        backup: String,
    },
    /// Show the state of a backup's share with one project
    Show {
        /// The backup's name or id
        backup: String,
        /// Id or name of the project
        project: String,
    },
    /// Share a backup with projects
    Create {
        /// The backup's name or id
        backup: String,
        /// Ids or names of the projects (names: administrators only)
        #[arg(required = true)]
        projects: Vec<String>,
    },
    /// Accept a backup shared by another project into a vault
    Accept {
        /// The backup's id
        backup: String,
        /// The vault's name or id
        vault: String,
    },
    /// Reject a backup shared by another project
    Reject {
        /// The backup's id
        backup: String,
    },
    /// Stop sharing a backup
    Delete {
        /// The backup's name or id
        backup: String,
        /// Ids or names of the projects
        #[arg(required = true)]
        projects: Vec<String>,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

const FIELDS: &[Column<Member>] = &[
    column("dest_project_id", "Project", |member| {
        member.dest_project_id.to_string()
    }),
    column("status", "Status", |member| member.status.to_string()),
    column("vault_id", "Vault", |member| {
        or_dash(member.vault_id.as_ref().map(VaultId::as_str))
    }),
    column("created_at", "Shared", |member| {
        moment(Some(&member.created_at))
    }),
];

/// Runs `share`.
pub(crate) async fn run(args: ShareArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.verb {
        Verb::List { backup } => {
            let id = in_vault(&connection, &backup).await?;
            let query = MemberQuery::default();
            output.list(FIELDS, &api.members(&id, &query).all().await?)
        }
        Verb::Show { backup, project } => {
            let id = in_vault(&connection, &backup).await?;
            let which = Sharing::With(lookup::project(&connection, &project).await?);
            output.record(FIELDS, &api.member(&id, &which).await?)
        }
        Verb::Create { backup, projects } => {
            let id = in_vault(&connection, &backup).await?;
            let projects = lookup::projects(&connection, &projects).await?;
            output.list(FIELDS, &api.add_members(&id, &projects).await?)
        }
        Verb::Accept { backup, vault } => {
            let vault = lookup::vault(&connection, &vault).await?.id;
            let answer = MemberAnswer::Accept(vault);
            answered(&connection, &output, &backup, &answer).await
        }
        Verb::Reject { backup } => {
            answered(&connection, &output, &backup, &MemberAnswer::Reject).await
        }
        Verb::Delete {
            backup,
            projects,
            dry_run,
        } => {
            let id = in_vault(&connection, &backup).await?;
            let projects = lookup::projects(&connection, &projects).await?;
            if dry_run.dry_run {
                let words = format!("would lose backup {id}, unless it has taken it in");
                let doomed: Vec<_> = projects
                    .iter()
                    .map(|project| Doomed::new(project, words.clone()))
                    .collect();
                return dry_run::tell_that(&output, "project", &doomed);
            }
            for project in &projects {
                api.delete_member(&id, &Sharing::from(project)).await?;
            }
            let projects: Vec<_> = projects.iter().map(ToString::to_string).collect();
            let words: Vec<_> = projects
                .iter()
                .map(|project| format!("backup {id} is not shared with {project} any more"))
                .collect();
            output.done(
                &words.join("\n"),
                &projects.join("\n"),
                &json!({"backup_id": id, "deleted": projects}),
            )
        }
    }
}

/// Answers as the project signed in for; only that one can.
async fn answered(
    connection: &Connection,
    output: &Output,
    backup: &str,
    answer: &MemberAnswer,
) -> Result<(), CliError> {
    let project = connection.project_id().await.ok_or_else(|| {
        CliError::usage("only a project can answer: sign in for one (OS_PROJECT_NAME)")
    })?;
    let which = Sharing::With(project.into());
    let id = BackupId::from(backup);
    output.record(
        FIELDS,
        &connection.cbr().update_member(&id, &which, answer).await?,
    )
}

/// Finds a backup in a vault by id or name.
pub(crate) async fn in_vault(connection: &Connection, wanted: &str) -> Result<BackupId, CliError> {
    if lookup::is_id(wanted) {
        return Ok(BackupId::from(wanted));
    }
    let query = BackupQuery {
        name: Some(wanted.to_owned()),
        ..BackupQuery::default()
    };
    let found = connection.cbr().backups(&query).all().await?;
    if found.iter().any(|backup| backup.name == wanted) {
        return Ok(lookup::choose(wanted, found)?.id);
    }
    // `backup list` shows it all the same: it is to be told why it is not found here.
    match lookup::backup(connection, wanted).await {
        Ok(_) => Err(
            CliError::not_found(format!("backup '{wanted}' lies in no vault")).hint(format!(
                "to restore it: `emberkeep backup restore {wanted}`"
            )),
        ),
        // A cloud without Block Storage has no others.
        Err(_) => Err(
            CliError::not_found(format!("no backup has the name or id '{wanted}'"))
                .hint("`emberkeep backup list` shows what there is"),
        ),
    }
}
