//! What clients ask for about shares (`cbr-v3.md §2.7`).

use emberkeep_model::{MemberStatus, VaultId};

use super::word;
use crate::cbr::form::{Fields, Refused, body};

/// The most projects that one request shares a backup with.
const MAX_MEMBERS: usize = 10;

/// `POST /backups/{id}/members`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AddMembers {
    /// The projects, as given, each once.
    pub projects: Vec<String>,
}

impl AddMembers {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let projects = top
            .texts("members")?
            .ok_or_else(|| top.missing("members"))?;
        if (1..=MAX_MEMBERS).contains(&projects.len()) {
            Ok(Self { projects })
        } else {
            Err(top.refuse(
                "members",
                format_args!("must name 1 to {MAX_MEMBERS} projects"),
            ))
        }
    }
}

/// `PUT /backups/{id}/members/{member_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberAnswer {
    /// What the receiver says.
    pub status: MemberStatus,
    /// The vault that takes it.
    pub vault_id: Option<VaultId>,
}

impl MemberAnswer {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        Ok(Self {
            status: word(&top, "status", &["pending", "accepted", "rejected"])?
                .ok_or_else(|| top.missing("status"))?,
            vault_id: top.id("vault_id")?,
        })
    }
}
