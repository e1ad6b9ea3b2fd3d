//! Vaults and the resources in them (`cbr-v3.md §2.2`).

use emberkeep_model::{self as model, Gib, Tag, Timestamp};
use serde::{Serialize, Serializer};

use super::{MAX_BIND_TAGS, MAX_RESOURCES, MAX_TAGS, VAULT_DESCRIPTION, resource_ids};
use crate::cbr::code::Code;
use crate::cbr::form::{Fields, Refused, Text, body};
use crate::cbr::{BillingExtra, BindRules, IncludeVolume, ResourceExtra, word};
use crate::ids::{PolicyId, ResourceId, VaultId, VolumeId};
use crate::time;

/// A vault to be made (`cbr-v3.md §2.2`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewVault {
    /// Its name: 1–64 letters, digits, `_` and `-`.
    pub name: String,
    /// Free text, up to 64 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Its capacity and kind.
    pub billing: NewBilling,
    /// What it protects from the beginning.
    pub resources: Vec<AddResource>,
    /// A backup policy to bind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_policy_id: Option<PolicyId>,
    /// Its tags, 20 at most.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Tag>,
    /// Whether unprotected resources are taken in at scheduled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_bind: Option<bool>,
    /// Which ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_rules: Option<BindRules>,
    /// Whether it grows by itself when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_expand: Option<bool>,
    /// Whether automatic backups are kept until they expire; cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out, 1–100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
    /// The enterprise project (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enterprise_project_id: Option<String>,
    /// What the names of automatic backups begin with (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup_name_prefix: Option<String>,
}

impl NewVault {
    /// Asks for a vault for disks.
    pub fn for_disks(name: impl Into<String>, size: Gib) -> Self {
        Self::new(name, word::ObjectType::Disk, size)
    }

    /// Asks for a vault for servers.
    pub fn for_servers(name: impl Into<String>, size: Gib) -> Self {
        Self::new(name, word::ObjectType::Server, size)
    }

    /// Asks for a vault for backups of the given kind.
    pub fn new(name: impl Into<String>, object_type: word::ObjectType, size: Gib) -> Self {
        Self {
            name: name.into(),
            description: None,
            billing: NewBilling::new(object_type, size),
            resources: Vec::new(),
            backup_policy_id: None,
            tags: Vec::new(),
            auto_bind: None,
            bind_rules: None,
            auto_expand: None,
            locked: None,
            smn_notify: None,
            threshold: None,
            enterprise_project_id: None,
            backup_name_prefix: None,
        }
    }

    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        let name = vault.wanted("name", Text::Name)?;
        let billing = vault
            .object("billing")?
            .ok_or_else(|| vault.missing("billing"))?;
        Ok(Self {
            name,
            billing: NewBilling::read(&billing)?,
            description: vault.text("description", Text::Free(VAULT_DESCRIPTION))?,
            resources: resources(&vault)?.unwrap_or_default(),
            backup_policy_id: vault
                .id::<model::PolicyId>("backup_policy_id")?
                .map(PolicyId::from),
            tags: vault.tags("tags", MAX_TAGS)?.unwrap_or_default(),
            auto_bind: vault.flag("auto_bind")?,
            bind_rules: bind_rules(&vault)?.map(|rules| BindRules { tags: rules.tags }),
            auto_expand: vault.flag("auto_expand")?,
            locked: vault.flag("locked")?,
            smn_notify: vault.flag("smn_notify")?,
            threshold: threshold(&vault)?,
            enterprise_project_id: vault.unused("enterprise_project_id"),
            backup_name_prefix: vault
                .text("backup_name_prefix", Text::Free(32))?
                .filter(|prefix| !prefix.is_empty()),
        })
    }

    /// Adds resources to begin with.
    #[must_use]
    pub fn holding<R: Into<AddResource>>(mut self, resources: impl IntoIterator<Item = R>) -> Self {
        self.resources.extend(resources.into_iter().map(Into::into));
        self
    }
}

/// Capacity and kind of a vault to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewBilling {
    /// The capacity, 10–10485760 GB.
    pub size: Gib,
    /// What it protects.
    pub object_type: word::ObjectType,
    /// What it is for.
    pub protect_type: word::ProtectType,
    /// How consistent its backups are.
    pub consistent_level: word::ConsistentLevel,
    /// Where it lies.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_type: Option<word::CloudType>,
    /// How it is paid for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub charging_mode: Option<word::ChargingMode>,
    /// The unit of what is paid in advance.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_type: Option<word::PeriodType>,
    /// How many of those.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub period_num: Option<u32>,
    /// Whether what is paid in advance is renewed by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_auto_renew: Option<bool>,
    /// Whether an order is paid by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_auto_pay: Option<bool>,
    /// Where the console goes on after an order was paid.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub console_url: Option<String>,
    /// Orders that belong together.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<BillingExtra>,
    /// Whether it lies in several zones (Huawei).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_multi_az: Option<bool>,
}

impl NewBilling {
    /// Asks for room for backups, consistent as after a power cut.
    pub fn new(object_type: word::ObjectType, size: Gib) -> Self {
        Self {
            size,
            object_type,
            protect_type: word::ProtectType::Backup,
            consistent_level: word::ConsistentLevel::Crash,
            cloud_type: None,
            charging_mode: None,
            period_type: None,
            period_num: None,
            is_auto_renew: None,
            is_auto_pay: None,
            console_url: None,
            extra_info: None,
            is_multi_az: None,
        }
    }

    fn read(billing: &Fields<'_>) -> Result<Self, Refused> {
        let consistent_level =
            consistent_level(billing)?.ok_or_else(|| billing.missing("consistent_level"))?;
        let cloud_type = billing.choice("cloud_type", &["public"])?;
        let charging_mode = billing.choice("charging_mode", &["post_paid"])?;
        let object_type = billing
            .choice("object_type", &["server", "disk", "turbo"])?
            .ok_or_else(|| billing.missing("object_type"))?;
        Ok(Self {
            consistent_level,
            cloud_type: cloud_type.map(Into::into),
            charging_mode: charging_mode.map(Into::into),
            object_type: object_type.into(),
            protect_type: protect_type(billing)?,
            size: size(billing)?.ok_or_else(|| billing.missing("size"))?,
            period_type: billing.unused("period_type"),
            period_num: billing.unused("period_num"),
            is_auto_renew: billing.unused("is_auto_renew"),
            is_auto_pay: billing.unused("is_auto_pay"),
            console_url: billing.unused("console_url"),
            extra_info: billing.unused("extra_info"),
            is_multi_az: billing.unused("is_multi_az"),
        })
    }
}

/// A resource to be put into a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AddResource {
    /// Its id.
    pub id: ResourceId,
    /// What it is.
    #[serde(rename = "type")]
    pub kind: word::ResourceType,
    /// A name for it; the cloud's own if none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which disks of a server are backed up.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub extra_info: Option<ResourceExtra>,
}

impl AddResource {
    /// Names a resource.
    pub fn new(id: impl Into<ResourceId>, kind: word::ResourceType) -> Self {
        Self {
            id: id.into(),
            kind,
            name: None,
            extra_info: None,
        }
    }

    fn read(item: &Fields<'_>) -> Result<Self, Refused> {
        let extra_info = match item.object("extra_info")? {
            Some(extra) => Some(ResourceExtra::read(&extra)?),
            None => None,
        };
        Ok(Self {
            extra_info,
            id: item.wanted("id", Text::Filled(255))?.into(),
            kind: item.wanted("type", Text::Filled(255))?.into(),
            name: item
                .text("name", Text::Any(255))?
                .filter(|name| !name.is_empty()),
        })
    }
}

impl From<VolumeId> for AddResource {
    fn from(id: VolumeId) -> Self {
        Self::new(id, word::ResourceType::Volume)
    }
}

impl From<&VolumeId> for AddResource {
    fn from(id: &VolumeId) -> Self {
        Self::new(id, word::ResourceType::Volume)
    }
}

/// Changes of a vault; what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultChange {
    /// The new name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The new capacity, 1–10485760 GB.
    #[serde(
        rename = "billing",
        skip_serializing_if = "Option::is_none",
        serialize_with = "in_billing"
    )]
    pub size: Option<Gib>,
    /// Whether unprotected resources are taken in at scheduled runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_bind: Option<bool>,
    /// Which ones; no tags means all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bind_rules: Option<BindRulesChange>,
    /// Whether it grows by itself when full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_expand: Option<bool>,
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
    /// Locks it; cannot be undone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// Changes of all vaults of a project at once (Huawei); what is none stays.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct VaultsChange {
    /// Whether passing `threshold` is notified.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smn_notify: Option<bool>,
    /// Use in percent of the capacity from which notices go out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub threshold: Option<u8>,
}

impl VaultChange {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        let size = match vault.object("billing")? {
            None => None,
            Some(billing) => {
                consistent_level(&billing)?;
                size(&billing)?
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

impl VaultsChange {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let vault = Fields::wrapped(&map, "vault")?;
        Ok(Self {
            smn_notify: vault.flag("smn_notify")?,
            threshold: threshold(&vault)?,
        })
    }
}

fn in_billing<S: Serializer>(size: &Option<Gib>, sink: S) -> Result<S::Ok, S::Error> {
    sink.collect_map(size.iter().map(|size| ("size", size)))
}

/// New rules of what a vault takes in by itself. An empty list is written: it clears them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct BindRulesChange {
    /// Resources with any of these.
    pub tags: Vec<Tag>,
}

/// Resources to be put into a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcesToAdd {
    /// At least one.
    pub resources: Vec<AddResource>,
}

impl ResourcesToAdd {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        match resources(&top)? {
            Some(resources) if !resources.is_empty() => Ok(Self { resources }),
            Some(_) => Err(top.refuse("resources", "must name at least one resource")),
            None => Err(top.missing("resources")),
        }
    }
}

/// Resources to be taken out of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcesToRemove {
    /// Which, each once; at least one.
    pub resource_ids: Vec<ResourceId>,
}

impl ResourcesToRemove {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        Ok(Self {
            resource_ids: resource_ids(&Fields::top(&map))?,
        })
    }
}

/// Resources to be moved to another vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcesToMigrate {
    /// Where to.
    pub destination_vault_id: VaultId,
    /// Which, each once; at least one.
    pub resource_ids: Vec<ResourceId>,
}

impl ResourcesToMigrate {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let vault = top.id::<model::VaultId>("destination_vault_id")?;
        Ok(Self {
            destination_vault_id: vault
                .ok_or_else(|| top.missing("destination_vault_id"))?
                .into(),
            resource_ids: resource_ids(&top)?,
        })
    }
}

/// Resources that scheduled runs are to leave out, or to take in again (Huawei).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ResourcesToSet {
    /// Which, each once; at least one.
    pub resource_ids: Vec<ResourceId>,
    /// What becomes of them.
    pub action: word::ResourceAction,
}

impl ResourcesToSet {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let action = top
            .choice("action", &["suspend", "unsuspend"])?
            .ok_or_else(|| top.missing("action"))?;
        Ok(Self {
            resource_ids: resource_ids(&top)?,
            action: action.into(),
        })
    }
}

/// The day until which the backups of a vault that go by time are kept (Huawei).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExpiryMove {
    /// The last day, such as `2027-03-01`.
    #[serde(rename = "expect_expiration_date")]
    pub day: String,
    /// Where that day is, such as `UTC+02:00`.
    pub time_zone: String,
}

impl ExpiryMove {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let read = Self {
            day: top.wanted(DAY, Text::Filled(10))?,
            time_zone: top.wanted(ZONE, Text::Filled(9))?,
        };
        read.ends().map(|_| read)
    }

    /// Returns the end of the day.
    pub fn ends(&self) -> Result<Timestamp, Refused> {
        let bad_day = || Refused::field(DAY, "must look like 2027-03-01");
        let bad_zone = || Refused::field(ZONE, "must look like UTC+02:00");
        let offset = self
            .time_zone
            .strip_prefix("UTC")
            .filter(|offset| offset.len() == 6)
            .ok_or_else(bad_zone)?;
        if self.day.len() != 10 {
            return Err(bad_day());
        }
        time::parse(&self.day).map_err(|_| bad_day())?;
        let begins =
            time::parse(&format!("{}T00:00:00{offset}", self.day)).map_err(|_| bad_zone())?;
        Ok(begins.plus_secs(24 * 60 * 60))
    }
}

const DAY: &str = "expect_expiration_date";
const ZONE: &str = "time_zone";

/// All backups are crash-consistent; the other level is taken for it.
fn consistent_level(billing: &Fields<'_>) -> Result<Option<word::ConsistentLevel>, Refused> {
    let level = billing.choice("consistent_level", &["crash_consistent", "app_consistent"])?;
    Ok(level.map(Into::into))
}

/// Reads a capacity; what is no capacity at all is refused as the service refuses the others.
fn size(billing: &Fields<'_>) -> Result<Option<Gib>, Refused> {
    let size = billing.whole("size", i64::MIN..=i64::MAX)?;
    let fitting = |size: i64| {
        u32::try_from(size).map(Gib).map_err(|_| Refused {
            code: Code::VaultSize,
            message: format!("Vault capacity {size} GB is out of range."),
        })
    };
    size.map(fitting).transpose()
}

/// Reads what a vault is for; the SDK's class has another key for it.
fn protect_type(billing: &Fields<'_>) -> Result<word::ProtectType, Refused> {
    for name in ["protect_type", "operation_type"] {
        if let Some(found) = billing.choice(name, &["backup", "replication"])? {
            return Ok(found.into());
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
fn bind_rules(vault: &Fields<'_>) -> Result<Option<BindRulesChange>, Refused> {
    let Some(rules) = vault.object("bind_rules")? else {
        return Ok(None);
    };
    if rules
        .list("tags")?
        .is_some_and(|tags| tags.len() > MAX_BIND_TAGS)
    {
        return Err(rules.refuse("tags", format_args!("at most {MAX_BIND_TAGS} are taken")));
    }
    let tags = rules.tags("tags", MAX_BIND_TAGS)?.unwrap_or_default();
    Ok(Some(BindRulesChange { tags }))
}

fn resources(fields: &Fields<'_>) -> Result<Option<Vec<AddResource>>, Refused> {
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
        .map(AddResource::read)
        .collect::<Result<_, _>>()
        .map(Some)
}

impl ResourceExtra {
    /// Reads which disks of a server are meant.
    pub(super) fn read(extra: &Fields<'_>) -> Result<Self, Refused> {
        let mut read = Self::default();
        for id in extra.texts("exclude_volumes")?.unwrap_or_default() {
            let id: model::VolumeId = id
                .parse()
                .map_err(|error| extra.refuse("exclude_volumes", error))?;
            read.exclude_volumes.push(id.into());
        }
        for item in extra.objects("include_volumes")?.unwrap_or_default() {
            let id = item.id::<model::VolumeId>("id")?;
            let os_version = item
                .text("os_version", Text::Any(255))?
                .filter(|version| !version.is_empty());
            read.include_volumes.push(IncludeVolume {
                id: id.ok_or_else(|| item.missing("id"))?.into(),
                os_version,
            });
        }
        for (name, count) in [
            ("exclude_volumes", read.exclude_volumes.len()),
            ("include_volumes", read.include_volumes.len()),
        ] {
            if count > MAX_RESOURCES {
                return Err(extra.refuse(name, format_args!("must name at most {MAX_RESOURCES}")));
            }
        }
        Ok(read)
    }
}
