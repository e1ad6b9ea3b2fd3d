//! Sharing backups with other projects (`cbr-v3.md §2.7`).

use emberkeep_wire::cbr::ask::{MemberChange, NewMembers};
use emberkeep_wire::cbr::word::MemberStatus;

use super::{Cbr, Member, MemberQuery};
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{BackupId, MemberId, ProjectId, VaultId};
use crate::pages::{Pages, Turning};

/// Names one sharing of a backup: by the project that receives it, which all services
/// understand, or by the id of its record, which the Python client sends at times.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// By the receiver.
    With(ProjectId),
    /// By the record.
    Record(MemberId),
}

impl Sharing {
    fn as_str(&self) -> &str {
        match self {
            Self::With(project) => project.as_str(),
            Self::Record(id) => id.as_str(),
        }
    }
}

impl From<&ProjectId> for Sharing {
    fn from(project: &ProjectId) -> Self {
        Self::With(project.clone())
    }
}

impl From<&Member> for Sharing {
    fn from(member: &Member) -> Self {
        Self::With(member.dest_project_id.clone())
    }
}

/// What the receiver of a shared backup says to it (`cbr-v3.md §2.7`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MemberAnswer {
    /// Takes it, into this vault of the receiver's.
    Accept(VaultId),
    /// Does not want it.
    Reject,
}

impl From<&MemberAnswer> for MemberChange {
    fn from(answer: &MemberAnswer) -> Self {
        let (status, vault_id) = match answer {
            MemberAnswer::Accept(vault) => (MemberStatus::Accepted, Some(vault.clone())),
            MemberAnswer::Reject => (MemberStatus::Rejected, None),
        };
        Self { status, vault_id }
    }
}

impl Cbr {
    /// Lists the projects that a backup is shared with.
    pub fn members(&self, backup: &BackupId, query: &MemberQuery) -> Pages<Member> {
        let path = ["backups", backup.as_str(), "members"];
        self.pages(Turning::Marker, query.of(Call::get(path)))
    }

    /// Shows one sharing of a backup.
    pub async fn member(&self, backup: &BackupId, which: &Sharing) -> Result<Member, SdkError> {
        let path = ["backups", backup.as_str(), "members", which.as_str()];
        self.one(Call::get(path)).await
    }

    /// Shares a backup with projects, 10 at most.
    pub async fn add_members(
        &self,
        backup: &BackupId,
        projects: &[ProjectId],
    ) -> Result<Vec<Member>, SdkError> {
        let path = ["backups", backup.as_str(), "members"];
        let members = projects.to_vec();
        self.one(Call::post(path, &NewMembers { members })).await
    }

    /// Answers the sharing of a backup, as the project that receives it.
    pub async fn update_member(
        &self,
        backup: &BackupId,
        which: &Sharing,
        answer: &MemberAnswer,
    ) -> Result<Member, SdkError> {
        let path = ["backups", backup.as_str(), "members", which.as_str()];
        self.one(Call::put(path, &MemberChange::from(answer))).await
    }

    /// Ends the sharing of a backup with a project.
    pub async fn delete_member(&self, backup: &BackupId, which: &Sharing) -> Result<(), SdkError> {
        let path = ["backups", backup.as_str(), "members", which.as_str()];
        self.done(Call::delete(path)).await
    }
}
