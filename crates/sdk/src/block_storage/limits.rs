//! What a project may have and what it has, and which services there are
//! (`cinder-backup.md §2.7`).

use std::collections::BTreeMap;

use emberkeep_wire::lenient;
use emberkeep_wire::time::Moment;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value, json};

use super::BlockStorage;
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::ProjectId;

/// What a project may have of each thing: −1 is as much as it wants. The keys are the
/// service's: `backups`, `backup_gigabytes`, `volumes`, `gigabytes`, `snapshots`,
/// `per_volume_gigabytes`, and one of each kind for every type of volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaSet {
    /// The project, where the service says it.
    pub id: Option<ProjectId>,
    /// The limits by key.
    pub limits: BTreeMap<String, i64>,
}

/// What a project may have and has of each thing, by the same keys.
pub type QuotaUsages = BTreeMap<String, QuotaUsage>;

/// What a project may have and has of one thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct QuotaUsage {
    /// What it may have; −1 is as much as it wants.
    #[serde(deserialize_with = "lenient::number")]
    pub limit: i64,
    /// What it has.
    #[serde(deserialize_with = "lenient::number")]
    pub in_use: i64,
    /// What is being made for it.
    #[serde(deserialize_with = "lenient::number")]
    pub reserved: i64,
}

impl<'de> Deserialize<'de> for QuotaSet {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let all = Map::deserialize(source)?;
        Ok(Self {
            id: all.get("id").and_then(Value::as_str).map(ProjectId::from),
            limits: all
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_i64()?)))
                .collect(),
        })
    }
}

/// What the caller's project may have and has, in fixed words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct AbsoluteLimits {
    /// Volumes it may have; −1 is as many as it wants, here and below.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_volumes: i64,
    /// Snapshots it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_snapshots: i64,
    /// GiB of volumes and snapshots it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_volume_gigabytes: i64,
    /// Backups it may have.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_backups: i64,
    /// GiB of backups it may have, each at the full size of its volume.
    #[serde(deserialize_with = "lenient::number")]
    pub max_total_backup_gigabytes: i64,
    /// Volumes it has.
    #[serde(deserialize_with = "lenient::number")]
    pub total_volumes_used: i64,
    /// GiB of volumes and snapshots it has.
    #[serde(deserialize_with = "lenient::number")]
    pub total_gigabytes_used: i64,
    /// Snapshots it has.
    #[serde(deserialize_with = "lenient::number")]
    pub total_snapshots_used: i64,
    /// Backups it has.
    #[serde(deserialize_with = "lenient::number")]
    pub total_backups_used: i64,
    /// GiB of backups it has.
    #[serde(deserialize_with = "lenient::number")]
    pub total_backup_gigabytes_used: i64,
}

/// A process of the cloud's that serves volumes or backups.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Service {
    /// What it is, e.g. `cinder-backup`.
    #[serde(deserialize_with = "lenient::text")]
    pub binary: String,
    /// Where it is.
    #[serde(deserialize_with = "lenient::text")]
    pub host: String,
    /// Its zone.
    pub zone: Option<String>,
    /// Whether work goes to it: `enabled` or `disabled`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// Whether it is alive: `up` or `down`.
    #[serde(deserialize_with = "lenient::text")]
    pub state: String,
    /// When it last said so.
    pub updated_at: Option<Moment>,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// The cluster it is part of; since 3.7.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl BlockStorage {
    /// Returns what a project may have.
    pub async fn quotas(&self, project: &ProjectId) -> Result<QuotaSet, SdkError> {
        self.one("quota_set", Call::get(["os-quota-sets", project.as_str()]))
            .await
    }

    /// Returns what a project may have and has.
    pub async fn quota_usage(&self, project: &ProjectId) -> Result<QuotaUsages, SdkError> {
        let call = Call::get(["os-quota-sets", project.as_str()]).query("usage", Some("True"));
        let mut all: Map<String, Value> = self.one("quota_set", call.clone()).await?;
        all.remove("id");
        serde_json::from_value(Value::Object(all)).map_err(|cause| SdkError::BadAnswer {
            asked: call.asked(),
            what: cause.to_string(),
        })
    }

    /// Returns what a project may have unless something else was said.
    pub async fn default_quotas(&self, project: &ProjectId) -> Result<QuotaSet, SdkError> {
        let path = ["os-quota-sets", project.as_str(), "defaults"];
        self.one("quota_set", Call::get(path)).await
    }

    /// Says what a project may have; for administrators. Keys that are not given stay.
    pub async fn set_quotas(
        &self,
        project: &ProjectId,
        limits: &BTreeMap<String, i64>,
    ) -> Result<QuotaSet, SdkError> {
        let path = ["os-quota-sets", project.as_str()];
        self.one("quota_set", Call::put(path, json!({"quota_set": limits})))
            .await
    }

    /// Forgets what was said about a project; for administrators.
    pub async fn reset_quotas(&self, project: &ProjectId) -> Result<(), SdkError> {
        self.done(Call::delete(["os-quota-sets", project.as_str()]))
            .await
    }

    /// Returns the limits of a class of projects; `default` is for all.
    pub async fn class_quotas(&self, class: &str) -> Result<QuotaSet, SdkError> {
        self.one("quota_class_set", Call::get(["os-quota-class-sets", class]))
            .await
    }

    /// Says the limits of a class of projects; for administrators.
    pub async fn set_class_quotas(
        &self,
        class: &str,
        limits: &BTreeMap<String, i64>,
    ) -> Result<QuotaSet, SdkError> {
        let call = Call::put(
            ["os-quota-class-sets", class],
            json!({"quota_class_set": limits}),
        );
        self.one("quota_class_set", call).await
    }

    /// Returns what the caller's own project may have and has.
    pub async fn limits(&self) -> Result<AbsoluteLimits, SdkError> {
        #[derive(Deserialize)]
        struct Limits {
            absolute: AbsoluteLimits,
        }
        self.one::<Limits>("limits", Call::get(["limits"]))
            .await
            .map(|limits| limits.absolute)
    }

    /// Lists the services, of one kind or on one host if given; for administrators.
    pub async fn services(
        &self,
        binary: Option<&str>,
        host: Option<&str>,
    ) -> Result<Vec<Service>, SdkError> {
        let call = Call::get(["os-services"])
            .query("binary", binary)
            .query("host", host);
        self.one("services", call).await
    }

    /// Lets work go to a service; for administrators.
    pub async fn enable_service(&self, binary: &str, host: &str) -> Result<(), SdkError> {
        let body = json!({"binary": binary, "host": host});
        self.whole(Call::put(["os-services", "enable"], body))
            .await
            .map(drop)
    }

    /// Lets no more work go to a service; for administrators.
    pub async fn disable_service(
        &self,
        binary: &str,
        host: &str,
        reason: Option<&str>,
    ) -> Result<(), SdkError> {
        let mut body = json!({"binary": binary, "host": host});
        let mut how = "disable";
        if let Some(reason) = reason {
            body["disabled_reason"] = json!(reason);
            how = "disable-log-reason";
        }
        self.whole(Call::put(["os-services", how], body))
            .await
            .map(drop)
    }
}
