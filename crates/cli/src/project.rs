//! `emberkeep project`: whose things are whose.

use clap::{Args, Subcommand};
use emberkeep_model::ByteCount;
use emberkeep_sdk::Project;

use crate::connect::ConnectArgs;
use crate::dry_run::DryRun;
use crate::error::CliError;
use crate::output::{Column, Output, OutputArgs, column, or_dash};
use crate::people::Directory;

/// Options of `project`.
#[derive(Debug, Args)]
pub(crate) struct ProjectArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a project
    Create {
        /// Name
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// List the projects
    List,
    /// Show one project
    Show {
        /// Name or id
        project: String,
    },
    /// Erase a project's backups permanently by destroying their key
    Erase {
        /// Name or id
        project: String,
        /// Confirm by repeating the name
        #[arg(long, value_name = "NAME")]
        confirm: Option<String>,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

const FIELDS: &[Column<Project>] = &[
    column("id", "ID", |project| project.id.clone()),
    column("name", "Name", |project| project.name.clone()),
    column("enabled", "Enabled", |project| project.enabled.to_string()),
    column("description", "Description", |project| {
        or_dash(Some(&project.description))
    }),
];

/// Runs `project`.
pub(crate) async fn run(args: ProjectArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let directory = Directory::open(&connect).await?;
    match args.verb {
        Verb::Create { name, description } => {
            let made = directory
                .create_project(&name, description.as_deref())
                .await?;
            output.record(FIELDS, &made)
        }
        Verb::List => output.list(FIELDS, &directory.projects().await?),
        Verb::Erase {
            project,
            confirm,
            dry_run,
        } => {
            let project = directory.project(&project).await?;
            let native = connect.open().await?.native();
            let would = native.erase_project(&project.id, None).await?;
            let what = format!(
                "{} backups of project '{}', {} objects, {}",
                would.backups,
                project.name,
                would.objects,
                ByteCount(would.bytes)
            );
            if dry_run.dry_run {
                return output.done(&format!("would erase {what}"), &project.id, &would);
            }
            if confirm.as_ref() != Some(&project.name) {
                let words = format!("this would erase {what}, for ever");
                let hint = format!("--confirm {} does it", project.name);
                return Err(CliError::refused(words).hint(hint));
            }
            let erased = native.erase_project(&project.id, Some(&project.id)).await?;
            let copies = if erased.copies_stay_readable {
                "copies of the store made before can still be opened with the master key; \
                 `emberkeep repo rotate-key`, and destroying the old key, ends that"
            } else {
                "the service's key file has changed and opens it no more, in copies of the store \
                 neither; destroy copies of that file made before, and keep a new one elsewhere"
            };
            output.done(&format!("erased {what}\n{copies}"), &project.id, &erased)
        }
        Verb::Show { project } => output.record(FIELDS, &directory.project(&project).await?),
    }
}
