//! `emberkeep role`: who may do what where.

use clap::{Args, Subcommand};
use emberkeep_sdk::Assignment;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::output::{Column, Output, OutputArgs, column};
use crate::people::Directory;

/// Options of `role`.
#[derive(Debug, Args)]
pub(crate) struct RoleArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Assign a role in a project to a user
    Add(Given),
    /// Remove a role assignment
    Remove(Given),
    /// List role assignments
    List,
}

/// A role of a user in a project.
#[derive(Debug, Args)]
struct Given {
    /// The user's name or id
    #[arg(long)]
    user: String,
    /// The project's name or id
    #[arg(long)]
    project: String,
    /// The role: admin, manager, member or reader
    role: String,
}

const FIELDS: &[Column<Assignment>] = &[
    column("user", "User", |given| given.user.clone()),
    column("project", "Project", |given| given.project.clone()),
    column("role", "Role", |given| given.role.clone()),
];

/// Runs `role`.
pub(crate) async fn run(args: RoleArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let directory = Directory::open(&connect).await?;
    let (asked, given) = match args.verb {
        Verb::List => return output.list(FIELDS, &directory.assignments().await?),
        Verb::Add(asked) => (asked, true),
        Verb::Remove(asked) => (asked, false),
    };
    let user = directory.user(&asked.user).await?;
    let project = directory.project(&asked.project).await?;
    directory
        .set_role(&user, &project, &asked.role, given)
        .await?;
    let assignment = Assignment {
        user: user.name,
        project: project.name,
        role: asked.role,
    };
    let verb = if given { "has" } else { "no longer has" };
    let words = format!(
        "{} {verb} the role {} in {}",
        assignment.user, assignment.role, assignment.project
    );
    output.done(&words, &assignment.role, &assignment)
}
