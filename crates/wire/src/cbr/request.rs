//! Reads bodies into the model's commands, with what holds where nothing was said.
//!
//! Form was checked when the bodies were read (`ask.rs`); what depends on stored state is checked
//! by the service.

mod policy;
mod replicate;
mod tag;

use std::fmt::Display;
use std::str::FromStr;

use emberkeep_model::command::{
    CbrRestore, MemberAnswer, MigrateResources, MoveExpiry, NewCheckpoint, NewResource, NewVault,
    SuspendResources, VaultEdit,
};
use emberkeep_model::{IncludedVolume, VolumeChoice};

pub use policy::{new_policy, policy_binding, policy_edit};
pub use replicate::{backup_replication, backups_to_sync, vault_replication, vault_to_sync};
pub use tag::TagQuery;

use super::form::Refused;
use super::word::ResourceAction;
use super::{ResourceExtra, ask};

/// Reads `POST /vaults`.
pub fn new_vault(bytes: &[u8]) -> Result<NewVault, Refused> {
    let asked = ask::NewVault::read(bytes)?;
    let billing = asked.billing;
    Ok(NewVault {
        name: asked.name,
        description: asked.description,
        object_type: ours("object_type", billing.object_type.as_str())?,
        protect_type: ours("protect_type", billing.protect_type.as_str())?,
        size: billing.size.0.into(),
        resources: given(asked.resources)?,
        backup_policy_id: maybe_ours("backup_policy_id", asked.backup_policy_id)?,
        tags: asked.tags,
        auto_bind: asked.auto_bind.unwrap_or(false),
        bind_rules: asked.bind_rules.unwrap_or_default().tags,
        auto_expand: asked.auto_expand.unwrap_or(false),
        locked: asked.locked.unwrap_or(false),
        smn_notify: asked.smn_notify.unwrap_or(true),
        threshold: asked.threshold.unwrap_or(80),
        backup_name_prefix: asked.backup_name_prefix,
    })
}

/// Reads `PUT /vaults/{id}`.
pub fn vault_edit(bytes: &[u8]) -> Result<VaultEdit, Refused> {
    let asked = ask::VaultChange::read(bytes)?;
    Ok(VaultEdit {
        name: asked.name,
        size: asked.size.map(|size| size.0.into()),
        auto_bind: asked.auto_bind,
        bind_rules: asked.bind_rules.map(|rules| rules.tags),
        auto_expand: asked.auto_expand,
        smn_notify: asked.smn_notify,
        threshold: asked.threshold,
        locked: asked.locked,
    })
}

/// Reads `POST /vaults/{id}/addresources`: at least one.
pub fn resources_to_add(bytes: &[u8]) -> Result<Vec<NewResource>, Refused> {
    given(ask::ResourcesToAdd::read(bytes)?.resources)
}

/// Reads `POST /vaults/{id}/removeresources`: ids as given, each once, at least one.
pub fn resources_to_remove(bytes: &[u8]) -> Result<Vec<String>, Refused> {
    Ok(as_given(ask::ResourcesToRemove::read(bytes)?.resource_ids))
}

/// Reads `POST /vaults/{id}/migrateresources`.
pub fn migrate_resources(bytes: &[u8]) -> Result<MigrateResources, Refused> {
    let asked = ask::ResourcesToMigrate::read(bytes)?;
    Ok(MigrateResources {
        destination_vault_id: ours("destination_vault_id", asked.destination_vault_id)?,
        resource_ids: as_given(asked.resource_ids),
    })
}

/// Reads `PUT /vaults/{id}/set-resources`.
pub fn suspend_resources(bytes: &[u8]) -> Result<SuspendResources, Refused> {
    let asked = ask::ResourcesToSet::read(bytes)?;
    Ok(SuspendResources {
        resource_ids: as_given(asked.resource_ids),
        suspend: asked.action == ResourceAction::Suspend,
    })
}

/// Reads `PUT /vaults/{id}/update-backup-expiration-time`.
pub fn move_expiry(bytes: &[u8]) -> Result<MoveExpiry, Refused> {
    let asked = ask::ExpiryMove::read(bytes)?;
    Ok(MoveExpiry {
        expires_at: asked.ends()?,
        day: asked.day,
    })
}

/// Reads `PUT /backups/{id}/members/{member_id}`.
pub fn member_answer(bytes: &[u8]) -> Result<MemberAnswer, Refused> {
    let asked = ask::MemberChange::read(bytes)?;
    Ok(MemberAnswer {
        status: ours("status", asked.status.as_str())?,
        vault_id: maybe_ours("vault_id", asked.vault_id)?,
    })
}

/// Reads `POST /checkpoints`.
pub fn new_checkpoint(bytes: &[u8]) -> Result<NewCheckpoint, Refused> {
    let asked = ask::NewCheckpoint::read(bytes)?;
    let how = asked.parameters;
    let named = how.resources.into_iter().map(|id| Ok((id.0, None)));
    let detailed = how.resource_details.into_iter().map(|resource| {
        let choice = resource.extra_info.as_ref().map(choice).transpose()?;
        Ok((resource.id.0, choice))
    });
    Ok(NewCheckpoint {
        vault_id: ours("vault_id", asked.vault_id)?,
        name: how.name,
        description: how.description,
        incremental: how.incremental.unwrap_or(true),
        automatic: how.auto_trigger.unwrap_or(false),
        resources: named.chain(detailed).collect::<Result<_, Refused>>()?,
        policy_id: maybe_ours("policy_id", how.policy_id)?,
        retention_days: how
            .retention_duration_days
            .and_then(|days| u32::try_from(days).ok()),
    })
}

/// Reads `POST /backups/{id}/restore`. Starting a server again is not up to this service.
pub fn restore(bytes: &[u8]) -> Result<CbrRestore, Refused> {
    let asked = ask::RestoreTarget::read(bytes)?;
    let mappings = asked.mappings.into_iter().map(|mapping| {
        Ok((
            ours("backup_id", mapping.backup_id)?,
            ours("volume_id", mapping.volume_id)?,
        ))
    });
    Ok(CbrRestore {
        mappings: mappings.collect::<Result<_, Refused>>()?,
        volume_id: maybe_ours("volume_id", asked.volume_id)?,
        server_id: maybe_ours("server_id", asked.server_id)?,
        resource_id: maybe_ours("resource_id", asked.resource_id)?,
    })
}

fn given(resources: Vec<ask::AddResource>) -> Result<Vec<NewResource>, Refused> {
    let given = resources.into_iter().map(|resource| {
        Ok(NewResource {
            choice: (resource.extra_info.as_ref().map(choice).transpose()?).unwrap_or_default(),
            id: resource.id.0,
            kind: resource.kind.to_string(),
            name: resource.name,
        })
    });
    given.collect()
}

fn choice(extra: &ResourceExtra) -> Result<VolumeChoice, Refused> {
    let exclude = extra.exclude_volumes.iter();
    let include = extra.include_volumes.iter().map(|volume| {
        Ok(IncludedVolume {
            id: ours("include_volumes", &volume.id)?,
            os_version: volume.os_version.clone(),
        })
    });
    Ok(VolumeChoice {
        exclude: exclude
            .map(|id| ours("exclude_volumes", id))
            .collect::<Result<_, _>>()?,
        include: include.collect::<Result<_, Refused>>()?,
    })
}

fn as_given(ids: Vec<crate::ids::ResourceId>) -> Vec<String> {
    ids.into_iter().map(|id| id.0).collect()
}

/// Turns an id or a word that was read into one of ours, which reading has made sure of.
fn ours<T: FromStr>(field: &str, read: impl Display) -> Result<T, Refused> {
    let text = read.to_string();
    text.parse()
        .map_err(|_| Refused::field(field, format_args!("'{text}' is not known here")))
}

fn maybe_ours<T: FromStr>(field: &str, read: Option<impl Display>) -> Result<Option<T>, Refused> {
    read.map(|read| ours(field, read)).transpose()
}

#[cfg(test)]
mod tests;
