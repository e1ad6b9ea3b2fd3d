//! `emberkeep filesystem`: directories that are backed up as trees of files.

use clap::{Args, Subcommand};
use emberkeep_model::Gib;
use emberkeep_sdk::{Connection, FileSystem, FileSystemId, NewFileSystem};

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, or_dash, time};
use crate::server::pair;
use crate::volume::gone;

/// Options of `filesystem`.
#[derive(Debug, Args)]
pub(crate) struct FileSystemArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's file systems
    List,
    /// Show one file system
    Show {
        /// Name or id
        filesystem: String,
    },
    /// Register a directory of the service's host (administrators only)
    Create {
        /// Name
        name: String,
        /// The directory, below one of the service's `turbo_roots`
        #[arg(long, value_name = "DIR")]
        path: String,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// Id of the owning project [default: your own]
        #[arg(long, value_name = "PROJECT")]
        project: Option<String>,
        /// Property used by vaults' automatic binding; repeatable
        #[arg(long = "property", value_name = "KEY=VALUE", value_parser = pair)]
        properties: Vec<(String, String)>,
    },
    /// Unregister file systems; directories and backups are kept (administrators only)
    Delete {
        /// Names or ids
        #[arg(required = true)]
        filesystems: Vec<String>,
    },
}

const LIST: &[Column<FileSystem>] = &[
    column("id", "ID", |system| system.id.to_string()),
    column("name", "Name", |system| system.name.clone()),
    column("size", "Size", |system| Gib(system.size_gib).to_string()),
    column("path", "Path", |system| or_dash(system.path.as_deref())),
];

const SHOW: &[Column<FileSystem>] = &[
    column("id", "ID", |system| system.id.to_string()),
    column("name", "Name", |system| system.name.clone()),
    column("description", "Description", |system| {
        or_dash(system.description.as_deref())
    }),
    column("path", "Path", |system| or_dash(system.path.as_deref())),
    column("size", "Size", |system| Gib(system.size_gib).to_string()),
    column("project_id", "Project", |system| {
        system.project_id.to_string()
    }),
    column("created_at", "Created", |system| {
        time(Some(&system.created_at))
    }),
];

/// Runs `filesystem`.
pub(crate) async fn run(args: FileSystemArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.native();
    match args.verb {
        Verb::List => output.list(LIST, &api.file_systems(None).await?),
        Verb::Show { filesystem } => output.record(SHOW, &found(&connection, &filesystem).await?),
        Verb::Create {
            name,
            path,
            description,
            project,
            properties,
        } => {
            let project_id =
                match project {
                    Some(id) => Some(id.parse().map_err(|_| {
                        CliError::usage(format!("'{id}' is not the id of a project"))
                    })?),
                    None => None,
                };
            let new = NewFileSystem {
                name,
                description,
                path,
                project_id,
                metadata: properties.into_iter().collect(),
            };
            output.record(SHOW, &api.create_file_system(&new).await?)
        }
        Verb::Delete { filesystems } => {
            let mut ids = Vec::with_capacity(filesystems.len());
            for wanted in &filesystems {
                ids.push(FileSystemId::from(found(&connection, wanted).await?.id));
            }
            for id in &ids {
                api.delete_file_system(id).await?;
            }
            gone(&output, "filesystem", &ids)
        }
    }
}

/// Finds a file system by id or name.
async fn found(connection: &Connection, wanted: &str) -> Result<FileSystem, CliError> {
    let api = connection.native();
    if lookup::is_id(wanted) {
        return Ok(api.file_system(&FileSystemId::from(wanted)).await?);
    }
    let mut named = api.file_systems(Some(wanted)).await?;
    match (named.pop(), named.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(CliError::not_found(format!(
            "no file system has the name or id '{wanted}'"
        ))
        .hint("`emberkeep filesystem list` shows what there is")),
        (Some(_), others) => Err(CliError::refused(format!(
            "{} file systems are called '{wanted}'",
            others + 1
        ))
        .hint("give the id of the one you mean")),
    }
}
