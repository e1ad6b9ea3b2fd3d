//! What a project may have and what it has (`cinder-backup.md §2.7`).

use std::collections::BTreeMap;

use emberkeep_wire::cinder::ask::{NewClassQuotas, NewQuotas};
use emberkeep_wire::cinder::{self, ClassQuotas, Limits};

use super::{AbsoluteLimits, BlockStorage, QuotaSet, QuotaUsage};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::ProjectId;
use crate::version::Microversion;

/// What a project may have and has of each thing, by the keys of [`QuotaSet`].
pub type QuotaUsages = BTreeMap<String, QuotaUsage>;

impl BlockStorage {
    /// Returns what a project may have.
    pub async fn quotas(&self, project: &ProjectId) -> Result<QuotaSet, SdkError> {
        self.one(Call::get(["os-quota-sets", project.as_str()]))
            .await
    }

    /// Returns what a project may have and has.
    pub async fn quota_usage(&self, project: &ProjectId) -> Result<QuotaUsages, SdkError> {
        let call = Call::get(["os-quota-sets", project.as_str()]).query("usage", Some("True"));
        let all: cinder::QuotaUsages = self.one(call).await?;
        Ok(all.0)
    }

    /// Returns what a project may have unless something else was said.
    pub async fn default_quotas(&self, project: &ProjectId) -> Result<QuotaSet, SdkError> {
        let path = ["os-quota-sets", project.as_str(), "defaults"];
        self.one(Call::get(path)).await
    }

    /// Says what a project may have; for administrators. Keys that are not given stay.
    pub async fn set_quotas(
        &self,
        project: &ProjectId,
        limits: &BTreeMap<String, i64>,
    ) -> Result<QuotaSet, SdkError> {
        let path = ["os-quota-sets", project.as_str()];
        self.one(Call::put(path, &NewQuotas(limits.clone()))).await
    }

    /// Forgets what was said about a project; for administrators.
    pub async fn reset_quotas(&self, project: &ProjectId) -> Result<(), SdkError> {
        self.done(Call::delete(["os-quota-sets", project.as_str()]))
            .await
    }

    /// Returns the limits of a class of projects; `default` is for all.
    pub async fn class_quotas(&self, class: &str) -> Result<QuotaSet, SdkError> {
        let set: ClassQuotas<QuotaSet> =
            self.one(Call::get(["os-quota-class-sets", class])).await?;
        Ok(set.0)
    }

    /// Says the limits of a class of projects; for administrators.
    pub async fn set_class_quotas(
        &self,
        class: &str,
        limits: &BTreeMap<String, i64>,
    ) -> Result<QuotaSet, SdkError> {
        let call = Call::put(
            ["os-quota-class-sets", class],
            &NewClassQuotas(limits.clone()),
        );
        let set: ClassQuotas<QuotaSet> = self.one(call).await?;
        Ok(set.0)
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
        let limits: Limits = self.one(call).await?;
        Ok(limits.absolute)
    }
}
