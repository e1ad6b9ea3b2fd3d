//! The bodies of requests: what clients send and the service reads, one type for both.
//!
//! What was not said is not sent. Each type's `read` is the service's reader: field by field, so
//! that a refusal names the field. What the service makes of a body stands in `request.rs`.

mod policies;
mod replicas;
mod runs;
#[cfg(test)]
mod samples;
mod shares;
mod tags;
mod vaults;

pub use policies::{NewPolicy, PolicyBinding, PolicyChange};
pub use replicas::{BackupToSync, BackupsToSync, NewReplication, VaultReplication, VaultToSync};
pub use runs::{Mapping, NewCheckpoint, Rename, RestoreTarget};
pub use shares::{MemberChange, NewMembers};
pub use tags::{TagCondition, TagFilter, TagSearch, TagSet, TagsAction};
pub use vaults::{
    AddResource, BindRulesChange, ExpiryMove, NewBilling, NewVault, ResourcesToAdd,
    ResourcesToMigrate, ResourcesToRemove, ResourcesToSet, VaultChange, VaultsChange,
};

use super::form::{Fields, Refused};
use crate::ids::ResourceId;

/// The most resources a vault takes.
const MAX_RESOURCES: usize = 256;
/// The most tags a vault takes.
const MAX_TAGS: usize = 20;
/// The most tags that say what a vault takes in by itself.
const MAX_BIND_TAGS: usize = 5;
/// The longest description of a vault, and of a backup.
const VAULT_DESCRIPTION: usize = 64;
const BACKUP_DESCRIPTION: usize = 255;

crate::request::requests! {
    keyed {
        NewVault: "vault",
        VaultChange: "vault",
        VaultsChange: "vault",
        NewCheckpoint: "checkpoint",
        RestoreTarget: "restore",
        Rename: "backup",
        NewPolicy: "policy",
        PolicyChange: "policy",
        NewReplication: "replicate",
        VaultReplication: "replicate",
        VaultToSync: "sync",
    }
    whole {
        ResourcesToAdd,
        ResourcesToRemove,
        ResourcesToMigrate,
        ResourcesToSet,
        ExpiryMove,
        PolicyBinding,
        NewMembers,
        MemberChange,
        TagSet,
        TagsAction,
        TagSearch,
        BackupsToSync,
    }
}

fn resource_ids(top: &Fields<'_>) -> Result<Vec<ResourceId>, Refused> {
    let ids = top
        .texts("resource_ids")?
        .ok_or_else(|| top.missing("resource_ids"))?;
    if (1..=MAX_RESOURCES).contains(&ids.len()) {
        Ok(ids.into_iter().map(Into::into).collect())
    } else {
        Err(top.refuse(
            "resource_ids",
            format_args!("must name 1 to {MAX_RESOURCES} resources"),
        ))
    }
}
