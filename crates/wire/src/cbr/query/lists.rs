//! The lists of policies, shares, protectables and usage.

use emberkeep_model::{
    BackupId, MemberId, MemberStatus, OperationType, PolicyId, ResourceId, ServerId, VaultId,
};

use super::{Given, Limits, Order, Refused, known, sort};

/// `GET /policies`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct PolicyList {
    pub operation_type: Option<OperationType>,
    pub vault_id: Option<VaultId>,
    pub page: Limits<PolicyId>,
}

impl PolicyList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        Ok(Self {
            operation_type: known(given.choice("operation_type", &["backup", "replication"])?),
            vault_id: given.id("vault_id")?,
            page: given.page()?,
        })
    }
}

/// What shares can be sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the key it is named for")]
pub enum MemberSort {
    CreatedAt,
    UpdatedAt,
    Status,
    DestProjectId,
    Id,
}

const MEMBER_SORTS: &[(&str, MemberSort)] = &[
    ("created_at", MemberSort::CreatedAt),
    ("updated_at", MemberSort::UpdatedAt),
    ("status", MemberSort::Status),
    ("dest_project_id", MemberSort::DestProjectId),
    ("id", MemberSort::Id),
];

/// `GET /backups/{id}/members`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct MemberList {
    pub dest_project_id: Option<String>,
    pub image_id: Option<String>,
    pub status: Option<MemberStatus>,
    pub vault_id: Option<VaultId>,
    pub sort: Vec<(MemberSort, Order)>,
    pub page: Limits<MemberId>,
}

impl MemberList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        Ok(Self {
            dest_project_id: given.one("dest_project_id").map(str::to_owned),
            image_id: given.one("image_id").map(str::to_owned),
            status: given.member_status("status")?,
            vault_id: given.id("vault_id")?,
            sort: sort(
                "shares",
                given.one("sort").unwrap_or_default(),
                MEMBER_SORTS,
            )?,
            page: given.page()?,
        })
    }
}

impl Given<'_> {
    /// Reads a status of a share; the command line leaves the endings off.
    pub(super) fn member_status(&self, name: &str) -> Result<Option<MemberStatus>, Refused> {
        let words = ["pending", "accept", "accepted", "reject", "rejected"];
        Ok(self.choice(name, &words)?.map(|word| match word {
            "accept" | "accepted" => MemberStatus::Accepted,
            "reject" | "rejected" => MemberStatus::Rejected,
            _ => MemberStatus::Pending,
        }))
    }
}

/// `GET /protectables/{type}/instances`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct ProtectableList {
    pub id: Option<ResourceId>,
    pub name: Option<String>,
    pub status: Option<String>,
    pub server_id: Option<ServerId>,
    pub page: Limits<ResourceId>,
}

impl ProtectableList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        Ok(Self {
            id: given.id("id")?,
            name: given.one("name").map(str::to_owned),
            status: given.one("status").map(str::to_owned),
            server_id: given.id("server_id")?,
            page: given.page()?,
        })
    }
}

/// `GET /storage_usage`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the query parameter it is named for")]
pub struct UsageList {
    pub resource_id: Option<ResourceId>,
    pub resource_type: Option<String>,
    pub page: Limits<BackupId>,
}

impl UsageList {
    /// Reads the pairs of the query.
    pub fn parse(pairs: &[(String, String)]) -> Result<Self, Refused> {
        let given = Given(pairs);
        Ok(Self {
            resource_id: given.id("resource_id")?,
            resource_type: given.one("resource_type").map(str::to_owned),
            page: given.page()?,
        })
    }
}
