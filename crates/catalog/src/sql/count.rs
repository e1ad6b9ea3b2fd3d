//! How many match, from the counts that the database keeps with every change. A question that they do not answer
//! is answered by counting rows.

use emberkeep_model::BackupState;

use super::statement::{Conditions, Statement};
use crate::{BackupQuery, TaskQuery, VaultQuery};

pub(super) fn backups(query: &BackupQuery) -> Option<Statement> {
    let BackupQuery {
        project,
        name: None,
        states,
        volumes,
        volume_name: None,
        vault,
        in_vaults_only,
        checkpoint: None,
        kind,
        part_of: None,
        whole_only,
        replica_of: None,
        replicas,
        parent: None,
        availability_zone: None,
        incremental: None,
        created_from: None,
        created_to: None,
        content: None,
        content_of: None,
        size: None,
        taken_at: None,
        taken_before: None,
        updated_at: None,
        metadata,
        text,
        shared: None,
        with_deleted,
        sort: _,
        paging: _,
    } = query
    else {
        return None;
    };
    if !volumes.is_empty() || !metadata.is_empty() || !text.is_empty() {
        return None;
    }
    let mut wanted = Conditions::default();
    wanted.equal("project_id", project.as_ref());
    wanted.equal("vault_id", vault.as_ref());
    if *in_vaults_only {
        wanted.add("t.vault_id <> ''");
    }
    if !with_deleted {
        wanted.add(format!("t.state <> '{}'", BackupState::Deleted.word()));
    }
    wanted.words("state", states);
    wanted.equal("kind", kind.as_ref());
    wanted.equal("part", whole_only.then_some(false).as_ref());
    wanted.equal("replica", replicas.as_ref());
    Some(sum("backup_counts", wanted))
}

pub(super) fn tasks(query: &TaskQuery) -> Option<Statement> {
    let TaskQuery {
        project,
        work,
        states,
        object_type,
        volume: None,
        volume_name: None,
        backup: None,
        vault: None,
        vault_name: None,
        checkpoint: None,
        created_from: None,
        created_to: None,
        paging: _,
    } = query
    else {
        return None;
    };
    let mut wanted = Conditions::default();
    wanted.equal("project_id", project.as_ref());
    wanted.words("kind", work);
    wanted.words("state", states);
    wanted.equal("object_type", object_type.as_ref());
    Some(sum("task_counts", wanted))
}

pub(super) fn vaults(query: &VaultQuery) -> Option<Statement> {
    let VaultQuery {
        project,
        name: None,
        ids,
        object_type,
        protect_type,
        status,
        resources,
        policy: None,
        paging: _,
    } = query
    else {
        return None;
    };
    if !ids.is_empty() || !resources.is_empty() {
        return None;
    }
    let mut wanted = Conditions::default();
    wanted.equal("project_id", project.as_ref());
    wanted.equal("object_type", object_type.as_ref());
    wanted.equal("protect_type", protect_type.as_ref());
    wanted.equal("status", status.as_ref());
    Some(sum("vault_counts", wanted))
}

fn sum(counts: &str, wanted: Conditions) -> Statement {
    Statement {
        max_bytes: None,
        text: format!(
            "SELECT CAST(COALESCE(SUM(t.rows), 0) AS BIGINT) FROM {counts} t WHERE {}",
            wanted.text()
        ),
        binds: wanted.binds,
    }
}
