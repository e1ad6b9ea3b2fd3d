//! Shares of backups with other projects (`cbr-v3.md §2.7`).

use emberkeep_model as model;
use serde::Serialize;

use crate::cbr::form::{Fields, Refused, body};
use crate::cbr::word;
use crate::ids::{ProjectId, VaultId};

/// The most projects that one request shares a backup with.
const MAX_MEMBERS: usize = 10;

/// Projects that a backup is to be shared with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NewMembers {
    /// Which, each once; 10 at most.
    pub members: Vec<ProjectId>,
}

impl NewMembers {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let members = top
            .texts("members")?
            .ok_or_else(|| top.missing("members"))?;
        if (1..=MAX_MEMBERS).contains(&members.len()) {
            Ok(Self {
                members: members.into_iter().map(Into::into).collect(),
            })
        } else {
            Err(top.refuse(
                "members",
                format_args!("must name 1 to {MAX_MEMBERS} projects"),
            ))
        }
    }
}

/// What the receiver of a shared backup says to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MemberChange {
    /// Takes it or does not.
    pub status: word::MemberStatus,
    /// The vault of the receiver's that takes it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<VaultId>,
}

impl MemberChange {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let status = top.choice("status", &["pending", "accepted", "rejected"])?;
        Ok(Self {
            status: status.ok_or_else(|| top.missing("status"))?.into(),
            vault_id: top.id::<model::VaultId>("vault_id")?.map(Into::into),
        })
    }
}
