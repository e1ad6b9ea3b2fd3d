//! `emberkeep project`: whose things are whose.

use clap::{Args, Subcommand};
use emberkeep_sdk::Project;

use crate::connect::ConnectArgs;
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
    /// Make a project
    Create {
        /// Its name
        name: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// List the projects
    List,
    /// Show one project
    Show {
        /// Its name or id
        project: String,
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
        Verb::Show { project } => output.record(FIELDS, &directory.project(&project).await?),
    }
}
