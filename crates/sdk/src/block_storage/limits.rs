//! What a project may have and what it has (`cinder-backup.md §2.7`).

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value, json};

use super::{AbsoluteLimits, BlockStorage, QuotaUsage};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::ProjectId;
use crate::version::Microversion;

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
        self.absolute(Call::get(["limits"])).await
    }

    /// Returns what any project may have and has; since 3.39, for administrators.
    pub async fn limits_of(&self, project: &ProjectId) -> Result<AbsoluteLimits, SdkError> {
        self.needs("limits of another project", Microversion::v3(39))
            .await?;
        self.absolute(Call::get(["limits"]).query("project_id", Some(project)))
            .await
    }

    async fn absolute(&self, call: Call) -> Result<AbsoluteLimits, SdkError> {
        #[derive(Deserialize)]
        struct Limits {
            absolute: AbsoluteLimits,
        }
        self.one::<Limits>("limits", call)
            .await
            .map(|limits| limits.absolute)
    }
}
