//! Sharing backups with other projects (`cbr-v3.md §2.7`).

use emberkeep_catalog::{CatalogError, Change, Key, Row};
use emberkeep_model::{
    Backup, BackupId, BackupState, Caller, Member, MemberId, MemberStatus, ProjectId, ProtectType,
    Role, VaultId, VaultStatus,
};
use uuid::Uuid;

use crate::access::require;
use crate::error::vault_status;
use crate::race::racing;
use crate::{CbrError, Service, ServiceError, VaultUse};

/// Projects that a backup is shared with at most.
const MAX_SHARES: usize = 10;

impl Service {
    /// Shares a backup with projects, all or none.
    pub async fn add_members(
        &self,
        caller: &Caller,
        id: BackupId,
        projects: Vec<String>,
    ) -> Result<Vec<Member>, ServiceError> {
        racing(|| async {
            let (backup, received) = self.readable_backup(caller, id).await?;
            require(caller, Role::Member, "cbr:member:create")?;
            if received.is_some() || backup.cbr.part_of.is_some() {
                return Err(CbrError::NotShareable(id).into());
            }
            if !matches!(backup.state, BackupState::Available(_)) {
                let state = backup.state.word();
                return Err(CbrError::ShareStatus { id, state }.into());
            }
            let present = self.catalog.members(id).await?;
            let mut shares = Vec::with_capacity(projects.len());
            for text in &projects {
                let project = self.project_to_share_with(caller, text).await?;
                if present.iter().any(|m| m.dest_project_id == project) {
                    return Err(CbrError::SharedAlready {
                        backup: id,
                        project,
                    }
                    .into());
                }
                shares.push(Member {
                    id: MemberId(Uuid::new_v4()),
                    backup_id: id,
                    dest_project_id: project,
                    status: MemberStatus::Pending,
                    vault_id: None,
                    created_at: self.now(),
                    updated_at: None,
                    revision: 0,
                });
            }
            if present.len() + shares.len() > MAX_SHARES {
                return Err(CbrError::TooManyShares { most: MAX_SHARES }.into());
            }
            let mut changes: Vec<_> = shares
                .iter()
                .map(|member| Change::Insert(Row::Member(member.clone())))
                .collect();
            // Fences against the backup being deleted meanwhile, and against more than the most.
            changes.push(Change::Save(Row::Backup(backup)));
            match self.commit(changes).await {
                Err(ServiceError::Catalog(CatalogError::Exists { .. })) => Err(ServiceError::Busy),
                Err(error) => Err(error),
                Ok(()) => Ok(shares),
            }
        })
        .await
    }

    async fn project_to_share_with(
        &self,
        caller: &Caller,
        text: &str,
    ) -> Result<ProjectId, ServiceError> {
        let refused = || CbrError::ShareProject(text.to_owned());
        let project: ProjectId = text.parse().map_err(|_| refused())?;
        let is_known = self.catalog.project(&project).await?.is_some()
            // Projects of another identity service are not in the catalogue.
            || self.catalog.projects().await?.is_empty();
        if project == caller.project_id || !is_known {
            return Err(refused().into());
        }
        Ok(project)
    }

    /// Lists the shares of a backup: all for its owner, its own for a receiver.
    pub async fn members(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<Vec<Member>, ServiceError> {
        let (_, received) = self.readable_backup(caller, id).await?;
        require(caller, Role::Reader, "cbr:member:list")?;
        match received {
            Some(own) => Ok(vec![own]),
            None => Ok(self.catalog.members(id).await?),
        }
    }

    /// Shows one share, named by the receiving project or by its own id.
    pub async fn member(
        &self,
        caller: &Caller,
        id: BackupId,
        name: &str,
    ) -> Result<Member, ServiceError> {
        let members = self.members(caller, id).await?;
        named(members, name)
    }

    /// Answers a share, as the project that it is with. An accepted one shows in a vault.
    pub async fn answer_member(
        &self,
        caller: &Caller,
        id: BackupId,
        name: &str,
        status: MemberStatus,
        vault: Option<VaultId>,
    ) -> Result<Member, ServiceError> {
        racing(|| async {
            let (backup, received) = self.readable_backup(caller, id).await?;
            require(caller, Role::Member, "cbr:member:update")?;
            let Some(received) = received else {
                named(self.catalog.members(id).await?, name)?;
                return Err(CbrError::MemberUpdate("only the receiver answers").into());
            };
            let mut member = named(vec![received], name)?;
            member.vault_id = match (status, vault) {
                (MemberStatus::Pending, _) => {
                    return Err(CbrError::MemberUpdate("an answer is accepted or rejected").into());
                }
                (MemberStatus::Rejected, _) => None,
                (MemberStatus::Accepted, None) => {
                    return Err(CbrError::MemberUpdate("vault_id is required").into());
                }
                (MemberStatus::Accepted, Some(vault)) => {
                    self.vault_for_share(caller, &backup, vault).await?;
                    Some(vault)
                }
            };
            member.status = status;
            member.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::Member(member.clone()))])
                .await?;
            Ok(member)
        })
        .await
    }

    async fn vault_for_share(
        &self,
        caller: &Caller,
        backup: &Backup,
        id: VaultId,
    ) -> Result<(), ServiceError> {
        let vault = self.own_vault(caller, id).await?;
        if vault.object_type != backup.cbr.kind || vault.protect_type != ProtectType::Backup {
            return Err(CbrError::MemberVaultKind(id).into());
        }
        if !matches!(vault.status, VaultStatus::Available | VaultStatus::Lock) {
            return Err(vault_status(&vault, VaultUse::Change));
        }
        let used = self.catalog.vault_usage(&[id]).await?.pop();
        let stored = backup.state.sealed().map_or(0, |sealed| sealed.stored.0);
        if used.unwrap_or_default().used.0.saturating_add(stored) > vault.size.bytes().0 {
            return Err(ServiceError::VaultFull(id));
        }
        Ok(())
    }

    /// Ends a share.
    pub async fn delete_member(
        &self,
        caller: &Caller,
        id: BackupId,
        name: &str,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let (_, received) = self.readable_backup(caller, id).await?;
            require(caller, Role::Member, "cbr:member:delete")?;
            if received.is_some() {
                return Err(CbrError::NotShareable(id).into());
            }
            let member = named(self.catalog.members(id).await?, name)?;
            self.commit(vec![Change::Remove(
                Key::Member(member.id),
                member.revision,
            )])
            .await
        })
        .await
    }

    /// Returns a backup in a vault that is the caller's project's own, or shared with it; in that
    /// case with the share.
    pub(crate) async fn readable_backup(
        &self,
        caller: &Caller,
        id: BackupId,
    ) -> Result<(Backup, Option<Member>), ServiceError> {
        let found = self.catalog.backup(id).await?;
        let backup = found
            .filter(|backup| backup.deleted_at.is_none() && backup.vault_id.is_some())
            .ok_or(ServiceError::NoSuchBackup(id))?;
        if backup.project_id == caller.project_id {
            return Ok((backup, None));
        }
        let received = self.share_with(&backup, &caller.project_id).await?;
        match received {
            Some(member) => Ok((backup, Some(member))),
            None => Err(ServiceError::NoSuchBackup(id)),
        }
    }

    /// Returns the share of a backup with a project.
    pub(crate) async fn share_with(
        &self,
        backup: &Backup,
        project: &ProjectId,
    ) -> Result<Option<Member>, ServiceError> {
        // What is part of a server's backup is shared with it.
        let shared = backup.cbr.part_of.unwrap_or(backup.id);
        let members = self.catalog.members(shared).await?;
        Ok(members
            .into_iter()
            .find(|member| member.dest_project_id == *project))
    }

    /// Returns the changes that end all shares of a backup that goes.
    pub(crate) async fn end_shares(&self, id: BackupId) -> Result<Vec<Change>, ServiceError> {
        let members = self.catalog.members(id).await?;
        Ok(members
            .iter()
            .map(|member| Change::Remove(Key::Member(member.id), member.revision))
            .collect())
    }
}

fn named(members: Vec<Member>, name: &str) -> Result<Member, ServiceError> {
    members
        .into_iter()
        .find(|m| m.dest_project_id.as_str() == name || m.id.to_string() == name)
        .ok_or_else(|| CbrError::NoSuchMember(name.to_owned()).into())
}
