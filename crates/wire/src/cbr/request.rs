//! What clients ask for. Form is checked here, everything else where the facts are.

mod member;
mod policy;
mod replicate;
mod tag;
mod vault;

use std::str::FromStr;

use emberkeep_model::{
    BackupId, IncludedVolume, ObjectType, ProtectType, ResourceId, ServerId, Tag, VaultId,
    VolumeChoice, VolumeId,
};
use serde_json::Value;
use uuid::Uuid;

pub use member::{AddMembers, MemberAnswer};
pub use policy::{PolicyBound, PolicyCreate, PolicyUpdate};
pub use replicate::{ReplicateBackup, ReplicateTo, ReplicateVault, SyncBackups, SyncVault};
pub use tag::{TagCondition, TagQuery, TagSet, TagsAction};
pub use vault::{ExpirationUpdate, MigrateResources, SetResources, VaultsUpdate};

use super::code::Code;
use super::form::{Fields, Refused, Text, body};

/// The most resources a vault takes.
const MAX_RESOURCES: usize = 256;
/// The most tags a vault takes.
const MAX_TAGS: usize = 20;
/// The most tags that say what a vault takes in by itself.
const MAX_BIND_TAGS: usize = 5;
/// The longest description of a vault, and of a backup.
const VAULT_DESCRIPTION: usize = 64;
const BACKUP_DESCRIPTION: usize = 255;

/// A resource named in a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResourceGiven {
    /// Its id, as given.
    pub id: String,
    /// Its type, as given.
    pub kind: String,
    /// A name for it.
    pub name: Option<String>,
    /// Which disks of a server are meant; none if nothing is said.
    pub choice: Option<VolumeChoice>,
}

/// `POST /vaults`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultCreate {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it protects.
    pub object_type: ObjectType,
    /// What it is for.
    pub protect_type: ProtectType,
    /// Its capacity in GB, as given.
    pub size: i64,
    /// Resources to begin with.
    pub resources: Vec<ResourceGiven>,
    /// A policy to bind.
    pub backup_policy_id: Option<Uuid>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Takes in resources by itself.
    pub auto_bind: bool,
    /// Which ones.
    pub bind_rules: Vec<Tag>,
    /// Grows by itself.
    pub auto_expand: bool,
    /// Locked from the start.
    pub locked: bool,
    /// Notify when `threshold` is passed.
    pub smn_notify: bool,
    /// Percent of capacity.
    pub threshold: u8,
    /// Put before the names of automatic backups.
    pub backup_name_prefix: Option<String>,
}

impl VaultCreate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        let name = vault.wanted("name", Text::Name)?;
        let billing = vault
            .object("billing")?
            .ok_or_else(|| vault.missing("billing"))?;
        if consistent_level(&billing)?.is_none() {
            return Err(billing.missing("consistent_level"));
        }
        billing.choice("cloud_type", &["public"])?;
        billing.choice("charging_mode", &["post_paid"])?;
        Ok(Self {
            name,
            description: vault.text("description", Text::Free(VAULT_DESCRIPTION))?,
            object_type: word(&billing, "object_type", &["server", "disk", "turbo"])?
                .ok_or_else(|| billing.missing("object_type"))?,
            protect_type: protect_type(&billing)?,
            size: billing
                .whole("size", i64::MIN..=i64::MAX)?
                .ok_or_else(|| billing.missing("size"))?,
            resources: resources(&vault)?.unwrap_or_default(),
            backup_policy_id: vault.id("backup_policy_id")?,
            tags: vault.tags("tags", MAX_TAGS)?.unwrap_or_default(),
            auto_bind: vault.flag("auto_bind")?.unwrap_or(false),
            bind_rules: bind_rules(&vault)?.unwrap_or_default(),
            auto_expand: vault.flag("auto_expand")?.unwrap_or(false),
            locked: vault.flag("locked")?.unwrap_or(false),
            smn_notify: vault.flag("smn_notify")?.unwrap_or(true),
            threshold: threshold(&vault)?.unwrap_or(80),
            backup_name_prefix: vault
                .text("backup_name_prefix", Text::Free(32))?
                .filter(|prefix| !prefix.is_empty()),
        })
    }
}

/// `PUT /vaults/{id}`: what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field of `VaultCreate`")]
pub struct VaultUpdate {
    pub name: Option<String>,
    pub size: Option<i64>,
    pub auto_bind: Option<bool>,
    pub bind_rules: Option<Vec<Tag>>,
    pub auto_expand: Option<bool>,
    pub smn_notify: Option<bool>,
    pub threshold: Option<u8>,
    pub locked: Option<bool>,
}

impl VaultUpdate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        let size = match vault.object("billing")? {
            None => None,
            Some(billing) => {
                consistent_level(&billing)?;
                billing.whole("size", i64::MIN..=i64::MAX)?
            }
        };
        Ok(Self {
            name: vault.text("name", Text::Name)?,
            size,
            auto_bind: vault.flag("auto_bind")?,
            bind_rules: bind_rules(&vault)?,
            auto_expand: vault.flag("auto_expand")?,
            smn_notify: vault.flag("smn_notify")?,
            threshold: threshold(&vault)?,
            locked: vault.flag("locked")?,
        })
    }
}

/// `POST /vaults/{id}/addresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddResources {
    /// What to put in; at least one.
    pub resources: Vec<ResourceGiven>,
}

impl AddResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        match resources(&top)? {
            Some(resources) if !resources.is_empty() => Ok(Self { resources }),
            Some(_) => Err(top.refuse("resources", "must name at least one resource")),
            None => Err(top.missing("resources")),
        }
    }
}

/// `POST /vaults/{id}/removeresources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoveResources {
    /// What to take out, as given, each once; at least one.
    pub resource_ids: Vec<String>,
}

impl RemoveResources {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let resource_ids = top
            .texts("resource_ids")?
            .ok_or_else(|| top.missing("resource_ids"))?;
        if (1..=MAX_RESOURCES).contains(&resource_ids.len()) {
            Ok(Self { resource_ids })
        } else {
            Err(top.refuse(
                "resource_ids",
                format_args!("must name 1 to {MAX_RESOURCES} resources"),
            ))
        }
    }
}

/// `POST /checkpoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointCreate {
    /// Which vault.
    pub vault_id: VaultId,
    /// Base name of the backups.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Start from each resource's newest backup.
    pub incremental: bool,
    /// Counts as made by a schedule.
    pub automatic: bool,
    /// Which resources, as given, each once, some with the disks that are meant in this run
    /// alone; empty means all.
    pub resources: Vec<(String, Option<VolumeChoice>)>,
    /// The policy it runs for.
    pub policy_id: Option<Uuid>,
    /// Days to keep.
    pub retention_days: Option<u32>,
}

impl CheckpointCreate {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let checkpoint = Fields::wrapped(&map, "checkpoint")?;
        let parameters = checkpoint.object("parameters")?;
        // The Ansible module puts these one level too high; what `parameters` has goes before.
        let holder = |name: &str| {
            parameters
                .as_ref()
                .filter(|fields| fields.value(name).is_some())
                .unwrap_or(&checkpoint)
        };
        let automatic = holder("auto_trigger")
            .flag("auto_trigger")?
            .unwrap_or(false);
        let resources = match holder("resources").texts("resources")? {
            Some(ids) if !ids.is_empty() => ids.into_iter().map(|id| (id, None)).collect(),
            Some(_) | None => detailed(holder("resource_details"))?,
        };
        if resources.len() > MAX_RESOURCES {
            return Err(holder("resources").refuse(
                "resources",
                format_args!("must name at most {MAX_RESOURCES}"),
            ));
        }
        Ok(Self {
            vault_id: checkpoint
                .id("vault_id")?
                .ok_or_else(|| checkpoint.missing("vault_id"))?,
            name: holder("name").text("name", Text::Name)?,
            description: holder("description")
                .text("description", Text::Free(BACKUP_DESCRIPTION))?,
            incremental: holder("incremental").flag("incremental")?.unwrap_or(true),
            automatic,
            resources,
            policy_id: holder("policy_id").id("policy_id")?,
            retention_days: retention_days(holder("retention_duration_days"), automatic)?,
        })
    }
}

/// Reads the resources of a run that come with details; one alone may do without the list.
fn detailed(fields: &Fields<'_>) -> Result<Vec<(String, Option<VolumeChoice>)>, Refused> {
    let items = match fields.value("resource_details") {
        Some(Value::Object(_)) => fields.object("resource_details")?.into_iter().collect(),
        _ => fields.objects("resource_details")?.unwrap_or_default(),
    };
    let mut named: Vec<(String, Option<VolumeChoice>)> = Vec::with_capacity(items.len());
    for item in items {
        let given = resource(&item)?;
        if !named.iter().any(|(id, _)| *id == given.id) {
            named.push((given.id, given.choice));
        }
    }
    Ok(named)
}

fn retention_days(fields: &Fields<'_>, automatic: bool) -> Result<Option<u32>, Refused> {
    const NAME: &str = "retention_duration_days";
    let days = match fields.whole(NAME, -1..=36_500)? {
        None | Some(-1) => return Ok(None),
        Some(0) => return Err(fields.refuse(NAME, "must be -1 or 1 to 36500")),
        Some(days) => days,
    };
    if automatic {
        return Err(fields.refuse(NAME, "cannot be set when auto_trigger is true"));
    }
    Ok(u32::try_from(days).ok())
}

/// `POST /backups/{id}/restore`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreAsked {
    /// The volume to write to, if one is named.
    pub volume_id: Option<VolumeId>,
    /// The server to write to, if one is named.
    pub server_id: Option<ServerId>,
    /// What to write to, of whatever kind (Huawei).
    pub resource_id: Option<ResourceId>,
    /// Which backup of a server's disk goes to which disk.
    pub mappings: Vec<(BackupId, VolumeId)>,
}

impl RestoreAsked {
    /// Reads the body. Whether a server is started again is not ours to do.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let restore = Fields::wrapped(&map, "restore")?;
        restore.flag("power_on")?;
        let mut mappings = Vec::new();
        for mapping in restore.objects("mappings")?.unwrap_or_default() {
            let backup = mapping.id("backup_id")?;
            let volume = mapping.id("volume_id")?;
            mappings.push((
                backup.ok_or_else(|| mapping.missing("backup_id"))?,
                volume.ok_or_else(|| mapping.missing("volume_id"))?,
            ));
        }
        Ok(Self {
            volume_id: restore.id("volume_id")?,
            server_id: restore.id("server_id")?,
            resource_id: restore.id("resource_id")?,
            mappings,
        })
    }
}

/// `PUT /backups/{id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rename {
    /// The new name.
    pub name: String,
}

impl Rename {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let name = Fields::wrapped(&map, "backup")?.wanted("name", Text::Name)?;
        Ok(Self { name })
    }
}

/// All backups are crash-consistent; the other level is taken for it.
fn consistent_level(billing: &Fields<'_>) -> Result<Option<&'static str>, Refused> {
    billing.choice("consistent_level", &["crash_consistent", "app_consistent"])
}

/// Reads one of a model's words.
fn word<W: FromStr>(
    fields: &Fields<'_>,
    name: &str,
    words: &[&'static str],
) -> Result<Option<W>, Refused> {
    Ok(fields
        .choice(name, words)?
        .and_then(|word| word.parse().ok()))
}

/// Reads what a vault is for; the SDK's class has another key for it.
fn protect_type(billing: &Fields<'_>) -> Result<ProtectType, Refused> {
    for name in ["protect_type", "operation_type"] {
        if let Some(found) = word(billing, name, &["backup", "replication"])? {
            return Ok(found);
        }
    }
    Err(billing.missing("protect_type"))
}

fn threshold(vault: &Fields<'_>) -> Result<Option<u8>, Refused> {
    Ok(vault
        .whole("threshold", 1..=100)?
        .and_then(|percent| u8::try_from(percent).ok()))
}

/// Reads what a vault takes in; an object without tags means everything.
fn bind_rules(vault: &Fields<'_>) -> Result<Option<Vec<Tag>>, Refused> {
    let Some(rules) = vault.object("bind_rules")? else {
        return Ok(None);
    };
    if rules
        .list("tags")?
        .is_some_and(|tags| tags.len() > MAX_BIND_TAGS)
    {
        return Err(rules.refuse("tags", format_args!("at most {MAX_BIND_TAGS} are taken")));
    }
    Ok(Some(rules.tags("tags", MAX_BIND_TAGS)?.unwrap_or_default()))
}

fn resources(fields: &Fields<'_>) -> Result<Option<Vec<ResourceGiven>>, Refused> {
    let Some(items) = fields.objects("resources")? else {
        return Ok(None);
    };
    if items.len() > MAX_RESOURCES {
        return Err(Refused {
            code: Code::VaultTooManyResources,
            message: format!(
                "{}: at most {MAX_RESOURCES} are taken",
                fields.at("resources")
            ),
        });
    }
    items
        .iter()
        .map(resource)
        .collect::<Result<_, _>>()
        .map(Some)
}

/// Reads which disks of a server are meant.
fn choice(extra: &Fields<'_>) -> Result<VolumeChoice, Refused> {
    let mut choice = VolumeChoice::default();
    for id in extra.texts("exclude_volumes")?.unwrap_or_default() {
        let id = id
            .parse()
            .map_err(|error| extra.refuse("exclude_volumes", error))?;
        choice.exclude.push(id);
    }
    for item in extra.objects("include_volumes")?.unwrap_or_default() {
        let id = item.id("id")?.ok_or_else(|| item.missing("id"))?;
        let os_version = item
            .text("os_version", Text::Any(255))?
            .filter(|version| !version.is_empty());
        choice.include.push(IncludedVolume { id, os_version });
    }
    for (name, count) in [
        ("exclude_volumes", choice.exclude.len()),
        ("include_volumes", choice.include.len()),
    ] {
        if count > MAX_RESOURCES {
            return Err(extra.refuse(name, format_args!("must name at most {MAX_RESOURCES}")));
        }
    }
    Ok(choice)
}

fn resource(item: &Fields<'_>) -> Result<ResourceGiven, Refused> {
    let choice = match item.object("extra_info")? {
        Some(extra) => Some(choice(&extra)?),
        None => None,
    };
    Ok(ResourceGiven {
        choice,
        id: item.wanted("id", Text::Filled(255))?,
        kind: item.wanted("type", Text::Filled(255))?,
        name: item
            .text("name", Text::Any(255))?
            .filter(|name| !name.is_empty()),
    })
}

#[cfg(test)]
mod tests;
