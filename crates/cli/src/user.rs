//! `emberkeep user`: who may sign in.

use clap::{Args, Subcommand};
use emberkeep_sdk::User;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::output::{Column, Output, OutputArgs, column, or_dash};
use crate::people::{Directory, password_from_stdin, password_missing};

/// Options of `user`.
#[derive(Debug, Args)]
pub(crate) struct UserArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Create a user
    Create {
        /// Name
        name: String,
        /// Read the password from standard input
        #[arg(long)]
        password_stdin: bool,
        /// Default project of the user (name or id)
        #[arg(long)]
        project: Option<String>,
    },
    /// List the users
    List,
    /// Show one user
    Show {
        /// Name or id
        user: String,
    },
}

/// Two ids in a row would not fit into 80 columns.
const LIST: &[Column<User>] = &[
    column("id", "ID", |user| user.id.clone()),
    column("name", "Name", |user| user.name.clone()),
    column("enabled", "Enabled", |user| user.enabled.to_string()),
];

const SHOW: &[Column<User>] = &[
    column("id", "ID", |user| user.id.clone()),
    column("name", "Name", |user| user.name.clone()),
    column("enabled", "Enabled", |user| user.enabled.to_string()),
    column("default_project_id", "Project", |user| {
        or_dash(user.default_project_id.as_deref())
    }),
];

/// Runs `user`.
pub(crate) async fn run(args: UserArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    match args.verb {
        Verb::Create {
            name,
            password_stdin,
            project,
        } => {
            if !password_stdin {
                return Err(password_missing());
            }
            let password = password_from_stdin()?;
            let directory = Directory::open(&connect).await?;
            let project = match project {
                Some(wanted) => Some(directory.project(&wanted).await?),
                None => None,
            };
            let made = directory
                .create_user(&name, &password, project.as_ref())
                .await?;
            output.record(SHOW, &made)
        }
        Verb::List => output.list(LIST, &Directory::open(&connect).await?.users().await?),
        Verb::Show { user } => {
            let directory = Directory::open(&connect).await?;
            output.record(SHOW, &directory.user(&user).await?)
        }
    }
}
