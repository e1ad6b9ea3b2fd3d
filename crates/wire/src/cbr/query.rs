//! What lists can be asked for.
//!
//! A query may ask for something that there never is here (a replica, a policy's vaults): it is
//! well-formed, so it gets an empty page, and `never` says so.

mod lists;

use std::str::FromStr;

use emberkeep_model::{
    BackupId, CheckpointId, MemberStatus, ObjectType, PolicyId, ProtectType, ResourceId, TaskId,
    Timestamp, VaultId, VaultStatus,
};
use uuid::Uuid;

pub use lists::{MemberList, MemberSort, PolicyList, ProtectableList, UsageList};

use super::backup::STATUS_WORDS as BACKUP_STATUSES;
use super::form::{Refused, short, uuid};
use super::task::{KIND_WORDS, STATUS_WORDS as TASK_STATUSES};
use super::{PAGE_LIMIT, provider_id, resource_type};
use crate::time;

/// Which part of a list is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits<Id> {
    /// At most so many.
    pub limit: u32,
    /// Skip so many; as given, though a marker goes before it.
    pub offset: u64,
    /// The last one already seen.
    pub marker: Option<Id>,
}

impl<Id> Limits<Id> {
    /// Returns how many to skip: with a marker, none.
    pub fn skip(&self) -> u64 {
        if self.marker.is_some() {
            0
        } else {
            self.offset
        }
    }
}

/// `GET /vaults`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct VaultList {
    pub name: Option<String>,
    pub ids: Vec<VaultId>,
    pub object_type: Option<ObjectType>,
    pub protect_type: Option<ProtectType>,
    pub status: Option<VaultStatus>,
    pub resources: Vec<ResourceId>,
    pub policy_id: Option<PolicyId>,
    pub never: bool,
    pub page: Limits<VaultId>,
}

impl VaultList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        let cloud = given.choice("cloud_type", &["public", "hybrid"])?;
        let object = given.choice(
            "object_type",
            &[
                "server",
                "disk",
                "turbo",
                "workspace",
                "vmware",
                "rds",
                "file",
            ],
        )?;
        let protect = given.choice("protect_type", &["backup", "replication", "hybrid"])?;
        let status = given.choice(
            "status",
            &["available", "lock", "frozen", "deleting", "error"],
        )?;
        let object_type = known(object);
        let protect_type = known(protect);
        let status_known = known(status);
        let mut resources = Vec::new();
        for name in ["resource_ids", "resources_ids"] {
            for list in given.all(name) {
                for id in list.split(',').filter(|id| !id.is_empty()) {
                    resources.push(uuid(name, id)?);
                }
            }
        }
        Ok(Self {
            name: given.one("name").map(str::to_owned),
            ids: given
                .all("id")
                .map(|id| uuid("id", id))
                .collect::<Result<_, _>>()?,
            never: cloud == Some("hybrid")
                || (object.is_some() && object_type.is_none())
                || (protect.is_some() && protect_type.is_none())
                || (status.is_some() && status_known.is_none()),
            object_type,
            protect_type,
            status: status_known,
            resources,
            policy_id: given.id("policy_id")?,
            page: given.page()?,
        })
    }
}

/// What backups can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub enum BackupSort {
    CreatedAt,
    UpdatedAt,
    Name,
    Status,
    ProtectedAt,
    Id,
}

/// Which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Smallest first.
    Ascending,
    /// Largest first.
    Descending,
}

/// `GET /backups`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct BackupList {
    pub checkpoint_id: Option<CheckpointId>,
    pub kind: Option<ObjectType>,
    pub parent_id: Option<BackupId>,
    pub vault_id: Option<VaultId>,
    pub resource_id: Option<ResourceId>,
    pub resource_name: Option<String>,
    pub resource_az: Option<String>,
    pub name: Option<String>,
    /// Our own words for the statuses asked for; empty means any.
    pub states: Vec<&'static str>,
    /// Only those that other projects share with the caller's.
    pub shared: bool,
    /// Those as well.
    pub all_granted: bool,
    pub member_status: Option<MemberStatus>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub used_percent: Option<u8>,
    pub incremental: Option<bool>,
    pub replicas: Option<bool>,
    pub sort: Vec<(BackupSort, Order)>,
    pub never: bool,
    pub page: Limits<BackupId>,
}

impl BackupList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        let image = given.choice("image_type", &["backup", "replication"])?;
        let owner = given.choice("own_type", &["private", "shared", "all_granted"])?;
        // The command line leaves the endings off.
        given.choice(
            "member_status",
            &["pending", "accept", "accepted", "reject", "rejected"],
        )?;
        let kind = given.one("resource_type").map(object_of);
        let (states, asked) = given.words("status", BACKUP_STATUSES)?;
        Ok(Self {
            checkpoint_id: given.id("checkpoint_id")?,
            kind: kind.flatten(),
            parent_id: given.id("parent_id")?,
            vault_id: given.id("vault_id")?,
            resource_id: given.id("resource_id")?,
            resource_name: given.one("resource_name").map(str::to_owned),
            resource_az: given.one("resource_az").map(str::to_owned),
            name: given.one("name").map(str::to_owned),
            replicas: image.map(|image| image == "replication"),
            never: kind == Some(None) || (asked && states.is_empty()),
            states,
            shared: owner == Some("shared"),
            all_granted: owner == Some("all_granted"),
            member_status: given.member_status("member_status")?,
            start_time: given.time("start_time")?,
            end_time: given.time("end_time")?,
            used_percent: given
                .number("used_percent", 1, 100)?
                .and_then(|n| u8::try_from(n).ok()),
            incremental: given
                .choice("incremental", &["true", "false"])?
                .map(|word| word == "true"),
            sort: sort(
                "backups",
                given.one("sort").unwrap_or_default(),
                BACKUP_SORTS,
            )?,
            page: given.page()?,
        })
    }
}

/// The keys that backups can be sorted by.
const BACKUP_SORTS: &[(&str, BackupSort)] = &[
    ("created_at", BackupSort::CreatedAt),
    ("updated_at", BackupSort::UpdatedAt),
    ("name", BackupSort::Name),
    ("status", BackupSort::Status),
    ("protected_at", BackupSort::ProtectedAt),
    ("id", BackupSort::Id),
];

/// Reads what a list of `what` is sorted by; without a direction the largest come first.
fn sort<K: Copy>(what: &str, text: &str, known: &[(&str, K)]) -> Result<Vec<(K, Order)>, Refused> {
    if text.chars().count() > 255 {
        return Err(Refused::field(
            "sort",
            "must be at most 255 characters long",
        ));
    }
    let mut keys = Vec::new();
    for part in text
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
    {
        let (key, direction) = part.split_once(':').unwrap_or((part, "desc"));
        let Some((_, key)) = known.iter().find(|(word, _)| *word == key) else {
            return Err(Refused::field(
                "sort",
                format_args!("{what} cannot be sorted by '{}'", short(key)),
            ));
        };
        let order = match direction {
            "asc" => Order::Ascending,
            "desc" => Order::Descending,
            other => {
                return Err(Refused::field(
                    "sort",
                    format_args!("'{other}' is neither asc nor desc"),
                ));
            }
        };
        keys.push((*key, order));
    }
    Ok(keys)
}

/// `GET /operation-logs`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct TaskList {
    /// Our own words for the kinds of work asked for; never empty.
    pub work: Vec<&'static str>,
    /// Our own words for the statuses asked for; empty means any.
    pub states: Vec<&'static str>,
    pub vault_id: Option<VaultId>,
    pub vault_name: Option<String>,
    pub kind: Option<ObjectType>,
    pub resource_id: Option<ResourceId>,
    pub resource_name: Option<String>,
    pub start_time: Option<Timestamp>,
    pub end_time: Option<Timestamp>,
    pub never: bool,
    pub page: Limits<TaskId>,
}

impl TaskList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        let (mut work, kind_asked) = given.words("operation_type", KIND_WORDS)?;
        let (states, status_asked) = given.words("status", TASK_STATUSES)?;
        let provider: Option<Uuid> = given.id("provider_id")?;
        let kind = provider.map(|provider| {
            let provider = provider.to_string();
            let mut kinds = ObjectType::ALL.iter().copied();
            kinds.find(|kind| provider_id(*kind) == provider)
        });
        let never = (kind_asked && work.is_empty())
            || (status_asked && states.is_empty())
            || kind == Some(None);
        if work.is_empty() {
            work = KIND_WORDS
                .iter()
                .flat_map(|(_, words)| words.iter().copied())
                .collect();
        }
        Ok(Self {
            work,
            states,
            kind: kind.flatten(),
            vault_id: given.id("vault_id")?,
            vault_name: given.one("vault_name").map(str::to_owned),
            resource_id: given.id("resource_id")?,
            resource_name: given.one("resource_name").map(str::to_owned),
            start_time: given.time("start_time")?,
            end_time: given.time("end_time")?,
            never,
            page: given.page()?,
        })
    }
}

/// Returns the kind of vault that resources of a type are in.
pub(super) fn object_of(word: &str) -> Option<ObjectType> {
    let mut kinds = ObjectType::ALL.iter().copied();
    kinds.find(|kind| resource_type(*kind) == word)
}

/// Returns the model's value for a word that passed, if the model has one.
fn known<W: FromStr>(word: Option<&str>) -> Option<W> {
    word.and_then(|word| word.parse().ok())
}

/// The pairs of a query. A parameter with no value is as good as absent.
struct Given<'a>(&'a [(String, String)]);

impl<'a> Given<'a> {
    fn all(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.0
            .iter()
            .filter(move |(key, value)| key == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
    }

    fn one(&self, name: &str) -> Option<&'a str> {
        self.all(name).last()
    }

    fn id<Id: FromStr>(&self, name: &str) -> Result<Option<Id>, Refused> {
        self.one(name).map(|text| uuid(name, text)).transpose()
    }

    fn time(&self, name: &str) -> Result<Option<Timestamp>, Refused> {
        self.one(name)
            .map(|text| time::parse(text).map_err(|error| Refused::field(name, error)))
            .transpose()
    }

    fn choice(&self, name: &str, words: &[&'static str]) -> Result<Option<&'static str>, Refused> {
        let Some(text) = self.one(name) else {
            return Ok(None);
        };
        match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Some(word)),
            None => Err(unknown(name, text, words)),
        }
    }

    /// Translates every value of `name` by a table from the protocol's words to our own, and
    /// tells whether there was any.
    fn words(
        &self,
        name: &str,
        table: &[(&'static str, &'static [&'static str])],
    ) -> Result<(Vec<&'static str>, bool), Refused> {
        let mut ours = Vec::new();
        let mut asked = false;
        for text in self.all(name) {
            asked = true;
            match table.iter().find(|(word, _)| *word == text) {
                Some((_, words)) => ours.extend_from_slice(words),
                None => {
                    let known: Vec<_> = table.iter().map(|(word, _)| *word).collect();
                    return Err(unknown(name, text, &known));
                }
            }
        }
        Ok((ours, asked))
    }

    fn number(&self, name: &str, least: u64, most: u64) -> Result<Option<u64>, Refused> {
        let Some(text) = self.one(name) else {
            return Ok(None);
        };
        text.parse()
            .ok()
            .filter(|number| (least..=most).contains(number))
            .map(Some)
            .ok_or_else(|| {
                Refused::field(
                    name,
                    format_args!("must be a whole number, {least} to {most}"),
                )
            })
    }

    fn page<Id: FromStr>(&self) -> Result<Limits<Id>, Refused> {
        let limit = self.number("limit", 1, u64::from(PAGE_LIMIT))?;
        Ok(Limits {
            limit: limit
                .and_then(|n| u32::try_from(n).ok())
                .unwrap_or(PAGE_LIMIT),
            // As far as a signed column counts.
            offset: self
                .number("offset", 0, i64::MAX.unsigned_abs())?
                .unwrap_or(0),
            marker: self.id("marker")?,
        })
    }
}

fn unknown(name: &str, text: &str, words: &[&'static str]) -> Refused {
    let known = words.join(", ");
    Refused::field(name, format_args!("'{}' is none of: {known}", short(text)))
}

#[cfg(test)]
mod tests;
