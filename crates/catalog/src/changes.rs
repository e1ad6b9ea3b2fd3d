//! Counts changes, so that the writer of catalog copies knows when a copy is due.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Change, Key, Row};

/// How much was changed since the catalog was opened.
#[derive(Debug, Default)]
pub struct CatalogChanges {
    rows: AtomicU64,
    settings: AtomicU64,
}

/// What was counted by some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ChangeCounts {
    /// Changes of any rows.
    pub rows: u64,
    /// Changes of rows that no manifest can bring back as they are: users, vaults, policies, shares …
    pub settings: u64,
}

impl CatalogChanges {
    /// Returns what was counted so far.
    pub fn counts(&self) -> ChangeCounts {
        ChangeCounts {
            rows: self.rows.load(Ordering::Acquire),
            settings: self.settings.load(Ordering::Acquire),
        }
    }

    /// Counts changes that were made together.
    pub(crate) fn note(&self, changes: &[Change]) {
        if changes.iter().any(is_of_settings) {
            self.settings.fetch_add(1, Ordering::AcqRel);
        }
        self.rows.fetch_add(1, Ordering::AcqRel);
    }
}

/// Tells whether a change is of what people set, and not of what goes on.
fn is_of_settings(change: &Change) -> bool {
    match change {
        Change::Insert(row) => is_setting(row) || is_membership(row),
        // A binding is saved by each run of its policy, a resource by each of its backups.
        Change::Save(row) => is_setting(row),
        Change::Remove(key, _) => matches!(
            key,
            Key::VolumeType(_)
                | Key::Vault(_)
                | Key::VaultResource(_)
                | Key::Server(_)
                | Key::ServerVolume(_)
                | Key::FileSystem(_)
                | Key::Project(_)
                | Key::User(_)
                | Key::Assignment(_)
                | Key::Policy(_)
                | Key::PolicyBinding(..)
                | Key::Member(_)
                | Key::AppCredential(_)
                | Key::QuotaSet(_)
                | Key::QuotaClass(_)
        ),
    }
}

fn is_membership(row: &Row) -> bool {
    matches!(
        row,
        Row::PolicyBinding(_) | Row::VaultResource(_) | Row::ServerVolume(_)
    )
}

fn is_setting(row: &Row) -> bool {
    match row {
        Row::VolumeType(_)
        | Row::Vault(_)
        | Row::Server(_)
        | Row::FileSystem(_)
        | Row::Project(_)
        | Row::User(_)
        | Row::Assignment(_)
        | Row::Policy(_)
        | Row::Member(_)
        | Row::AppCredential(_)
        | Row::QuotaSet(_)
        | Row::QuotaClass(_) => true,
        Row::Volume(_)
        | Row::Snapshot(_)
        | Row::Backup(_)
        | Row::VaultResource(_)
        | Row::ServerVolume(_)
        | Row::Checkpoint(_)
        | Row::Task(_)
        | Row::Token(_)
        | Row::PolicyBinding(_)
        | Row::Attachment(_)
        | Row::Message(_)
        | Row::ServiceSwitch(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::{PolicyBinding, PolicyId, QuotaClass, Timestamp, VaultId};

    use super::*;

    #[test]
    fn settings_are_told_from_what_goes_on() {
        let id = "90579aca-bb30-4c39-b80b-8f6d92efeace";
        let policy_id: PolicyId = id.parse().expect("an id");
        let vault_id: VaultId = id.parse().expect("an id");
        let binding = Row::PolicyBinding(PolicyBinding {
            policy_id,
            vault_id,
            destination_vault_id: None,
            settled_until: Timestamp(0),
            revision: 0,
        });
        let class = Row::QuotaClass(QuotaClass {
            name: "default".to_owned(),
            limits: Default::default(),
            revision: 0,
        });
        let key = Key::PolicyBinding(policy_id, vault_id);
        for (what, change, settings) in [
            ("bound", Change::Insert(binding.clone()), 1),
            ("run", Change::Save(binding), 0),
            ("unbound", Change::Remove(key, 0), 1),
            ("quota", Change::Save(class), 1),
            ("token", Change::Remove(Key::Token("x".to_owned()), 0), 0),
        ] {
            let changes = CatalogChanges::default();
            changes.note(&[change]);
            assert_eq!(
                changes.counts(),
                ChangeCounts { rows: 1, settings },
                "{what}"
            );
        }
    }
}
