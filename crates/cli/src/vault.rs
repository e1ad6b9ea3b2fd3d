//! `emberkeep vault`: what is protected together, and how much room it has.

use clap::{ArgAction, Args, Subcommand};
use emberkeep_model::Gib;
use emberkeep_sdk::cbr::{
    BackupQuery, NewVault, Tag, Vault, VaultChange, VaultQuery, VaultResource, word,
};
use emberkeep_sdk::{Connection, ResourceId, VaultId};

use crate::connect::ConnectArgs;
use crate::dry_run::{self, Doomed, DryRun};
use crate::error::CliError;
use crate::lookup;
use crate::output::{Column, Output, OutputArgs, column, moment, or_dash};
use crate::protectable::Kind;
use crate::server;
use crate::volume::deleted;
use crate::wait::{self, Patience, WaitArgs};

const EXAMPLES: &str = "\
Examples:
  emberkeep vault create disks --size 100 --volume web --volume db
  emberkeep vault create copies --size 100 --for-copies
  emberkeep vault add disks mail
  emberkeep checkpoint create disks --wait
  emberkeep vault show disks";

/// Options of `vault`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct VaultArgs {
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the project's vaults
    List,
    /// Show one vault with its resources
    Show {
        /// Name or id
        vault: String,
    },
    /// Create a vault for volumes, servers or file systems
    Create {
        /// Name
        name: String,
        /// Capacity in GiB
        #[arg(long, value_name = "GIB")]
        size: u32,
        /// Volume to add (name or id); repeatable
        #[arg(long = "volume", value_name = "VOLUME")]
        volumes: Vec<String>,
        /// Create a server vault and add this server (name or id); repeatable
        #[arg(long = "server", value_name = "SERVER", conflicts_with = "volumes")]
        servers: Vec<String>,
        /// Create a file system vault and add this file system; repeatable
        #[arg(long = "filesystem", value_name = "FILESYSTEM", conflicts_with_all = ["volumes", "servers"])]
        filesystems: Vec<String>,
        /// Kind of resources, when none is given
        #[arg(long, value_enum, conflicts_with_all = ["volumes", "servers", "filesystems"])]
        kind: Option<Kind>,
        /// Create a vault for replicas of other vaults' backups (see `replicate`)
        #[arg(long, conflicts_with_all = ["volumes", "servers", "filesystems"])]
        for_copies: bool,
        /// Tag of the vault; repeatable
        #[arg(long = "tag", value_name = "KEY=VALUE", value_parser = server::pair)]
        tags: Vec<(String, String)>,
        /// Policy to bind (name or id)
        #[arg(long)]
        policy: Option<String>,
        /// Free text
        #[arg(long)]
        description: Option<String>,
    },
    /// Update a vault
    Update {
        /// Name or id
        vault: String,
        /// The new name
        #[arg(long)]
        name: Option<String>,
        /// The new capacity in GiB
        #[arg(long, value_name = "GIB")]
        size: Option<u32>,
        /// Expand automatically when full
        #[arg(long, value_name = "true|false", action = ArgAction::Set)]
        auto_expand: Option<bool>,
    },
    /// Add volumes, servers or file systems to a vault
    Add {
        /// The vault's name or id
        vault: String,
        /// The names or ids of the volumes, servers or file systems
        #[arg(required = true)]
        volumes: Vec<String>,
    },
    /// Remove resources from a vault and delete their backups in it
    Remove {
        /// The vault's name or id
        vault: String,
        /// Names or ids
        #[arg(required = true)]
        volumes: Vec<String>,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        dry_run: DryRun,
    },
    /// Delete a vault and all its backups
    Delete {
        /// Name or id
        vault: String,
        #[command(flatten)]
        wait: WaitArgs,
        #[command(flatten)]
        dry_run: DryRun,
    },
}

const LIST: &[Column<Vault>] = &[
    column("id", "ID", |vault| vault.id.to_string()),
    column("name", "Name", |vault| vault.name.clone()),
    column("billing.size", "Size", |vault| {
        vault.billing.size.to_string()
    }),
    column("billing.used", "Used", used),
    column("billing.status", "Status", |vault| {
        vault.billing.status.to_string()
    }),
];

const SHOW: &[Column<Vault>] = &[
    column("id", "ID", |vault| vault.id.to_string()),
    column("name", "Name", |vault| vault.name.clone()),
    column("description", "Description", |vault| {
        or_dash(vault.description.as_deref())
    }),
    column("billing.object_type", "Resource kind", |vault| {
        vault.billing.object_type.to_string()
    }),
    column("billing.status", "Status", |vault| {
        vault.billing.status.to_string()
    }),
    column("billing.size", "Size", |vault| {
        vault.billing.size.to_string()
    }),
    column("billing.allocated", "Allocated", |vault| {
        vault.billing.allocated.to_string()
    }),
    column("billing.used", "Used", used),
    column("resources", "Resources", |vault| {
        let lines: Vec<_> = vault.resources.iter().map(resource).collect();
        or_dash(Some(&lines.join("\n")))
    }),
    column("created_at", "Created", |vault| {
        moment(Some(&vault.created_at))
    }),
];

/// CBR counts what is used in MiB.
fn used(vault: &Vault) -> String {
    vault.billing.used.bytes().to_string()
}

fn resource(resource: &VaultResource) -> String {
    format!(
        "{}  {}  {}  {}",
        resource.id,
        or_dash(Some(&resource.name)),
        or_dash(Some(resource.protect_status.as_str())),
        lookup::count(resource.backup_count, "backup"),
    )
}

/// Runs `vault`.
pub(crate) async fn run(args: VaultArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let connection = connect.open().await?;
    let api = connection.cbr();
    match args.verb {
        Verb::List => output.list(LIST, &api.vaults(&VaultQuery::default()).all().await?),
        Verb::Show { vault } => output.record(SHOW, &lookup::vault(&connection, &vault).await?),
        Verb::Create {
            name,
            size,
            volumes,
            servers,
            filesystems,
            kind,
            for_copies,
            tags,
            policy,
            description,
        } => {
            let (kind, wanted) = if !servers.is_empty() {
                (word::ObjectType::Server, servers)
            } else if !filesystems.is_empty() {
                (word::ObjectType::Turbo, filesystems)
            } else {
                (kind.unwrap_or_default().word(), volumes)
            };
            let resources = lookup::resources(&connection, &kind, &wanted).await?;
            let mut new = NewVault::new(name, kind, Gib(size)).holding(resources);
            if for_copies {
                new.billing.protect_type = word::ProtectType::Replication;
            }
            new.tags = tags
                .into_iter()
                .map(|(key, value)| Tag { key, value })
                .collect();
            if let Some(policy) = policy {
                new.backup_policy_id = Some(lookup::policy(&connection, &policy).await?.id);
            }
            new.description = description;
            output.record(SHOW, &api.create_vault(&new).await?)
        }
        Verb::Update {
            vault,
            name,
            size,
            auto_expand,
        } => {
            let id = lookup::vault(&connection, &vault).await?.id;
            let change = VaultChange {
                name,
                size: size.map(Gib),
                auto_expand,
                ..VaultChange::default()
            };
            output.record(SHOW, &api.update_vault(&id, &change).await?)
        }
        Verb::Add { vault, volumes } => {
            let vault = lookup::vault(&connection, &vault).await?;
            let id = &vault.id;
            let kind = &vault.billing.object_type;
            let resources = lookup::resources(&connection, kind, &volumes).await?;
            api.associate_resources(id, &resources).await?;
            output.record(SHOW, &api.vault(id).await?)
        }
        Verb::Remove {
            vault,
            volumes,
            wait,
            dry_run,
        } => {
            let vault = lookup::vault(&connection, &vault).await?;
            let volumes = resources(&connection, &vault, &volumes).await?;
            if dry_run.dry_run {
                return would_remove(&connection, &vault, &volumes, &output).await;
            }
            api.dissociate_resources(&vault.id, &volumes).await?;
            if wait.wait {
                removed(&connection, &vault.id, &volumes, wait.patience()).await?;
            }
            output.record(SHOW, &api.vault(&vault.id).await?)
        }
        Verb::Delete {
            vault,
            wait,
            dry_run,
        } => {
            let vault = lookup::vault(&connection, &vault).await?;
            if dry_run.dry_run {
                let backups = api.backups(&BackupQuery::in_vault(&vault.id)).all().await?;
                let words = format!(
                    "'{}', {}, {}, {} stored",
                    vault.name,
                    lookup::count(vault.resources.len(), "resource"),
                    lookup::count(backups.len(), "backup"),
                    used(&vault)
                );
                return dry_run::tell(&output, "vault", &[Doomed::new(&vault.id, words)]);
            }
            let id = vault.id;
            api.delete_vault(&id).await?;
            if wait.wait {
                wait::until(
                    &connection,
                    "deleting",
                    None,
                    wait.patience(),
                    async || match api.vault(&id).await {
                        Err(error) if error.is_not_found() => Ok(Some(())),
                        Err(error) => Err(error.into()),
                        Ok(vault) if vault.billing.status == "error" => {
                            Err(CliError::failed(format!("vault {id} could not be deleted")))
                        }
                        Ok(_) => Ok(None),
                    },
                )
                .await?;
            }
            deleted(&output, "vault", wait, &[id])
        }
    }
}

/// Finds volumes among a vault's own resources first: a volume may be gone while its backups stay.
async fn resources(
    connection: &Connection,
    vault: &Vault,
    wanted: &[String],
) -> Result<Vec<ResourceId>, CliError> {
    let mut ids = Vec::with_capacity(wanted.len());
    for name in wanted {
        let mut inside = vault
            .resources
            .iter()
            .filter(|resource| resource.id.as_str() == name || resource.name == *name);
        ids.push(match (inside.next(), inside.next()) {
            (Some(only), None) => only.id.clone(),
            _ => lookup::resource(connection, &vault.billing.object_type, name).await?,
        });
    }
    Ok(ids)
}

/// Says which backups would go with volumes that are taken out of a vault.
async fn would_remove(
    connection: &Connection,
    vault: &Vault,
    volumes: &[ResourceId],
    output: &Output,
) -> Result<(), CliError> {
    let mut doomed = Vec::with_capacity(volumes.len());
    for id in volumes {
        let query = BackupQuery {
            resource_id: Some(id.clone()),
            ..BackupQuery::in_vault(&vault.id)
        };
        let backups = connection.cbr().backups(&query).all().await?;
        let inside = vault.resources.iter().find(|resource| resource.id == *id);
        let name = inside.map_or("-", |resource| &resource.name);
        let words = format!(
            "'{name}' with its {} in '{}'",
            lookup::count(backups.len(), "backup"),
            vault.name
        );
        doomed.push(Doomed::new(id, words));
    }
    dry_run::tell_that(output, "would take out resource", &doomed)
}

async fn removed(
    connection: &Connection,
    vault: &VaultId,
    volumes: &[ResourceId],
    patience: Patience,
) -> Result<(), CliError> {
    let api = connection.cbr();
    wait::until(connection, "removing", None, patience, async || {
        let left = api.vault(vault).await?.resources;
        let gone = volumes
            .iter()
            .all(|id| left.iter().all(|resource| resource.id != *id));
        Ok(gone.then_some(()))
    })
    .await
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn sample() -> Vault {
        serde_json::from_value(json!({
            "id": "2f1d7b1e-59a4-4b50-9d5c-1c2b3d4e5f60", "name": "disks-a", "description": "team A",
            "billing": {"size": 100, "allocated": 12, "used": 1536, "status": "available", "object_type": "disk"},
            "resources": [{"id": "9e6f2a70-0c11-4f8b-8d0e-6f1f5b8f3a10", "name": "web", "protect_status": "available", "backup_count": 3}],
            "created_at": "2026-03-01T12:00:00.000000",
        }))
        .unwrap()
    }

    #[test]
    fn units_are_shown() {
        let vault = sample();
        assert_eq!(used(&vault), "1.5 GiB");
        assert_eq!(
            resource(&vault.resources[0]),
            "9e6f2a70-0c11-4f8b-8d0e-6f1f5b8f3a10  web  available  3 backups"
        );
    }
}
