//! Policies: when backups are made or replicated by themselves, and how long they stay.

use serde::{Deserialize, Serialize};

use crate::words::words;
use crate::{PolicyId, ProjectId, Timestamp, UserId, VaultId};

words! {
    /// What a policy does at each of its runs.
    OperationType as "policy operation type" {
        /// Makes a checkpoint of each bound vault.
        Backup = "backup",
        /// Copies the backups of each bound vault to another region.
        Replication = "replication",
    }
}

/// A number of backups, days or periods as the tenant sent it.
///
/// 0 and −1 both mean "not set" (`cbr-v3.md §2.5`), but answers echo which of them came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(with = "i64", inline)
)]
pub struct Limit(pub i32);

impl Limit {
    /// Returns the number if it sets a limit at all.
    pub fn in_force(self) -> Option<u32> {
        u32::try_from(self.0).ok().filter(|number| *number > 0)
    }
}

/// What a policy does with backups, field by field as the tenant sent it: a field that
/// was left out stays out of the answers. Whether the fields go together is for
/// `emberkeep-plan` to say.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct OperationDefinition {
    /// Automatic backups to keep for each resource.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_backups: Option<Limit>,
    /// Days to keep an automatic backup; fixed for a backup when it is made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retention_duration_days: Option<Limit>,
    /// Days whose last backup is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub day_backups: Option<Limit>,
    /// Weeks whose last backup is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week_backups: Option<Limit>,
    /// Months whose last backup is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub month_backups: Option<Limit>,
    /// Years whose last backup is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub year_backups: Option<Limit>,
    /// Where those days and weeks begin: `UTC±hh:mm`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timezone: Option<String>,
    /// The region replicas go to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_region: Option<String>,
    /// The project there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub destination_project_id: Option<ProjectId>,
    /// Incremental backups between two full ones; −1 for never a full one again. Unlike
    /// the limits above, 0 says something: every backup is full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub full_backup_interval: Option<i32>,
}

/// A schedule with a retention, applied to any number of vaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Policy {
    /// Its id.
    pub id: PolicyId,
    /// Whose it is.
    pub project_id: ProjectId,
    /// Who made it.
    pub user_id: UserId,
    /// Its name; need not be unique.
    pub name: String,
    /// A disabled one neither runs nor deletes.
    pub enabled: bool,
    /// What it does; never changes.
    pub operation_type: OperationType,
    /// What it does with backups.
    pub definition: OperationDefinition,
    /// When it runs, in the tenant's own words: clients read them back with regular
    /// expressions.
    pub patterns: Vec<String>,
    /// The IANA time zone of the patterns and of the retention periods, as the native API
    /// takes it. Without it the patterns are in UTC.
    pub zone: Option<String>,
    /// When it was made. Patterns with an interval count from that day.
    pub created_at: Timestamp,
    /// When its row last changed.
    pub updated_at: Option<Timestamp>,
    /// See [`crate::Volume::revision`].
    pub revision: u64,
}

/// A policy at work on a vault. A vault has at most one for each [`OperationType`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyBinding {
    /// The policy.
    pub policy_id: PolicyId,
    /// The vault.
    pub vault_id: VaultId,
    /// The vault that takes the replicas; a replication policy has one.
    pub destination_vault_id: Option<VaultId>,
    /// Every run of the schedule up to this instant has been dealt with: started, or given
    /// up. Begins as the time of binding. Enabling the policy or changing its patterns moves
    /// it to that moment, so that nothing from before is caught up.
    pub settled_until: Timestamp,
    /// See [`crate::Volume::revision`]. Of two nodes that settle the same run one fails here.
    pub revision: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_minus_one_set_no_limit() {
        let limits = [-1, 0, 1, 99_999].map(|sent| Limit(sent).in_force());
        assert_eq!(limits, [None, None, Some(1), Some(99_999)]);
    }
}
