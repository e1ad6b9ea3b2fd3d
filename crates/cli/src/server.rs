//! `emberkeep server`: sets of volumes that are backed up at one instant.

use clap::{Args, Subcommand};
use emberkeep_model::Gib;
use emberkeep_sdk::{Connection, NewServer, Server, ServerId, ServerVolumes, VolumeId};

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, or_dash, time};
use crate::volume::gone;

const EXAMPLES: &str = "\
Examples:
  emberkeep server create web --volume root --volume data --os-type Linux
  emberkeep vault create servers --size 100 --server web
  emberkeep checkpoint create servers --wait
  emberkeep server show web";

/// Options of `server`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServerArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's servers
    List,
    /// Show one server with its volumes
    Show {
        /// Name or id
        server: String,
    },
    /// Create a server from volumes that belong to no server
    Create {
        /// Name
        name: String,
        /// Volume of the server (name or id); repeatable
        #[arg(long = "volume", value_name = "VOLUME")]
        volumes: Vec<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
        /// The operating system, e.g. Linux
        #[arg(long)]
        os_type: Option<String>,
        /// The architecture, e.g. x86_64
        #[arg(long)]
        architecture: Option<String>,
        /// Property used by vaults' automatic binding; repeatable
        #[arg(long = "property", value_name = "KEY=VALUE", value_parser = pair)]
        properties: Vec<(String, String)>,
    },
    /// Add volumes to a server
    Add {
        /// Name or id
        server: String,
        /// The volumes' names or ids
        #[arg(required = true)]
        volumes: Vec<String>,
    },
    /// Remove volumes from a server; volumes and backups are kept
    Remove {
        /// Name or id
        server: String,
        /// The volumes' names or ids
        #[arg(required = true)]
        volumes: Vec<String>,
    },
    /// Delete servers; their volumes and backups are kept
    Delete {
        /// Names or ids
        #[arg(required = true)]
        servers: Vec<String>,
    },
}

const LIST: &[Column<Server>] = &[
    column("id", "ID", |server| server.id.to_string()),
    column("name", "Name", |server| server.name.clone()),
    column("status", "Status", |server| server.status.clone()),
    column("size", "Size", size),
    column("volumes", "Volumes", |server| {
        server.volumes.len().to_string()
    }),
];

const SHOW: &[Column<Server>] = &[
    column("id", "ID", |server| server.id.to_string()),
    column("name", "Name", |server| server.name.clone()),
    column("description", "Description", |server| {
        or_dash(server.description.as_deref())
    }),
    column("status", "Status", |server| server.status.clone()),
    column("os_type", "OS type", |server| {
        or_dash(server.os_type.as_deref())
    }),
    column("architecture", "Architecture", |server| {
        or_dash(server.architecture.as_deref())
    }),
    column("size", "Size", size),
    column("volumes", "Volumes", |server| {
        let lines: Vec<_> = server
            .volumes
            .iter()
            .map(|disk| {
                let name = or_dash(disk.name.as_deref());
                format!(
                    "{}  {name}  {}  {}",
                    disk.id,
                    Gib(disk.size_gib),
                    disk.status
                )
            })
            .collect();
        or_dash(Some(&lines.join("\n")))
    }),
    column("created_at", "Created", |server| {
        time(Some(&server.created_at))
    }),
];

fn size(server: &Server) -> String {
    Gib(server.volumes.iter().map(|disk| disk.size_gib).sum()).to_string()
}

/// Runs `server`.
pub(crate) async fn run(args: ServerArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.native();
    match args.verb {
        Verb::List => output.list(LIST, &api.servers(None).await?),
        Verb::Show { server } => output.record(SHOW, &found(&connection, &server).await?),
        Verb::Create {
            name,
            volumes,
            description,
            os_type,
            architecture,
            properties,
        } => {
            let new = NewServer {
                name,
                description,
                os_type,
                architecture,
                metadata: properties.into_iter().collect(),
                volumes: volume_ids(&connection, &volumes).await?,
            };
            output.record(SHOW, &api.create_server(&new).await?)
        }
        Verb::Add { server, volumes } => {
            let id = server_id(&connection, &server).await?;
            let volumes = ServerVolumes {
                volumes: volume_ids(&connection, &volumes).await?,
            };
            output.record(SHOW, &api.add_server_volumes(&id, &volumes).await?)
        }
        Verb::Remove { server, volumes } => {
            let id = server_id(&connection, &server).await?;
            let volumes = ServerVolumes {
                volumes: volume_ids(&connection, &volumes).await?,
            };
            output.record(SHOW, &api.remove_server_volumes(&id, &volumes).await?)
        }
        Verb::Delete { servers } => {
            let mut ids = Vec::with_capacity(servers.len());
            for server in &servers {
                ids.push(server_id(&connection, server).await?);
            }
            for id in &ids {
                api.delete_server(id).await?;
            }
            gone(&output, "server", &ids)
        }
    }
}

async fn server_id(connection: &Connection, wanted: &str) -> Result<ServerId, CliError> {
    Ok(ServerId::from(found(connection, wanted).await?.id))
}

/// Finds a server by id or name.
pub(crate) async fn found(connection: &Connection, wanted: &str) -> Result<Server, CliError> {
    let api = connection.native();
    if lookup::is_id(wanted) {
        return Ok(api.server(&ServerId::from(wanted)).await?);
    }
    let mut named = api.servers(Some(wanted)).await?;
    match (named.pop(), named.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => Err(
            CliError::not_found(format!("no server has the name or id '{wanted}'"))
                .hint("`emberkeep server list` shows what there is"),
        ),
        (Some(_), others) => Err(CliError::refused(format!(
            "{} servers are called '{wanted}'",
            others + 1
        ))
        .hint("give the id of the one you mean")),
    }
}

async fn volume_ids(
    connection: &Connection,
    wanted: &[String],
) -> Result<Vec<emberkeep_model::VolumeId>, CliError> {
    let ids: Vec<VolumeId> = lookup::volumes(connection, wanted).await?;
    ids.iter()
        .map(|id| {
            let parsed = id.as_str().parse();
            parsed.map_err(|_| CliError::failed(format!("'{id}' is not the id of a volume here")))
        })
        .collect()
}

/// Reads `KEY=VALUE`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("a property is KEY=VALUE".to_owned()),
    }
}
