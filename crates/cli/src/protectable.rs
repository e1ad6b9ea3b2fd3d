//! `emberkeep protectable`: what could be put into vaults.

use clap::{Args, Subcommand, ValueEnum};
use emberkeep_sdk::ResourceId;
use emberkeep_sdk::cbr::{Instance, ProtectableQuery, word};

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, or_dash};

/// Options of `protectable`.
#[derive(Debug, Args)]
pub(crate) struct ProtectableArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List resources that vaults can protect, with the reason where one cannot
    List {
        /// Kind of resource
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
        /// List only this name
        #[arg(long)]
        name: Option<String>,
        /// List only backups in this status
        #[arg(long)]
        status: Option<String>,
        /// List only disks of this server (id)
        #[arg(long)]
        server: Option<String>,
    },
    /// Show one protectable resource
    Show {
        /// Name or id
        resource: String,
        /// Kind of resource
        #[arg(long, value_enum, default_value_t)]
        kind: Kind,
    },
}

/// A kind of resource.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum Kind {
    /// Volumes
    #[default]
    Disk,
    /// Servers with all their disks
    Server,
    /// Shared file systems
    Turbo,
}

impl Kind {
    /// Returns the protocol's word.
    pub(crate) fn word(self) -> word::ObjectType {
        match self {
            Self::Disk => word::ObjectType::Disk,
            Self::Server => word::ObjectType::Server,
            Self::Turbo => word::ObjectType::Turbo,
        }
    }
}

const LIST: &[Column<Instance>] = &[
    column("id", "ID", |instance| instance.id.to_string()),
    column("name", "Name", |instance| or_dash(Some(&instance.name))),
    column("size", "Size", |instance| instance.size.to_string()),
    column("status", "Status", |instance| instance.status.clone()),
    column("protectable", "Protectable", can),
];

const SHOW: &[Column<Instance>] = &[
    column("id", "ID", |instance| instance.id.to_string()),
    column("name", "Name", |instance| or_dash(Some(&instance.name))),
    column("type", "Type", |instance| instance.kind.to_string()),
    column("size", "Size", |instance| instance.size.to_string()),
    column("status", "Status", |instance| instance.status.clone()),
    column("protectable", "Protectable", can),
    column("vault", "In vault", |instance| {
        let vault = instance
            .protectable
            .as_ref()
            .and_then(|it| it.vault.as_ref());
        vault.map_or_else(
            || or_dash(None),
            |vault| format!("{} {}", vault.id, vault.name),
        )
    }),
    column("children", "Disks", |instance| {
        let disks: Vec<_> = instance
            .children
            .iter()
            .map(|disk| format!("{}  {}  {}", disk.id, or_dash(Some(&disk.name)), disk.size))
            .collect();
        or_dash(Some(&disks.join("\n")))
    }),
];

fn can(instance: &Instance) -> String {
    match &instance.protectable {
        Some(it) if it.result => "yes".to_owned(),
        Some(it) => format!("no: {}", or_dash(Some(&it.reason))),
        None => or_dash(None),
    }
}

/// Runs `protectable`.
pub(crate) async fn run(args: ProtectableArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.verb {
        Verb::List {
            kind,
            name,
            status,
            server,
        } => {
            let query = ProtectableQuery {
                name,
                status,
                server_id: server.map(ResourceId::from),
                ..ProtectableQuery::default()
            };
            output.list(LIST, &api.protectables(&kind.word(), &query).all().await?)
        }
        Verb::Show { resource, kind } => {
            let kind = kind.word();
            if lookup::is_id(&resource) {
                let found = api.protectable(&kind, &ResourceId::from(resource)).await?;
                return output.record(SHOW, &found);
            }
            let query = ProtectableQuery {
                name: Some(resource.clone()),
                ..ProtectableQuery::default()
            };
            let found = api.protectables(&kind, &query).all().await?;
            output.record(SHOW, &lookup::choose(&resource, found)?)
        }
    }
}
