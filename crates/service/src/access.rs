//! Who may do what through Block Storage: one table (`cinder-backup.md §2.6`).
//!
//! A rule is asked only after it is settled that the caller may know of the thing: another
//! project's backup is not there, whatever the table says.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::sync::Arc;

use emberkeep_model::{Caller, Role, UserId, Vault};
use uuid::Uuid;

use crate::ServiceError;

/// Whom a rule lets pass. Each includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Nobody at all.
    Nobody,
    /// Administrators, in every project.
    Admin,
    /// Members of the project.
    Member,
    /// Readers of the project.
    Reader,
}

use Who::{Admin, Member, Reader};

/// The rules as they are unless an operator says otherwise.
#[rustfmt::skip]
const TABLE: &[(&str, Who)] = &[
    // Backups
    ("backup:get_all",                                              Reader),
    ("backup:get",                                                  Reader),
    ("backup:create",                                               Member),
    ("backup:update",                                               Member),
    ("backup:delete",                                               Member),
    ("backup:restore",                                              Member),
    ("backup:read_data",                                            Member),
    ("backup:export-import",                                        Admin),
    ("backup:backup-import",                                        Admin),
    ("backup:backup_project_attribute",                             Admin),
    ("volume_extension:backup_admin_actions:reset_status",          Admin),
    ("volume_extension:backup_admin_actions:force_delete",          Admin),
    // Volumes
    ("volume:get_all",                                              Reader),
    ("volume:get",                                                  Reader),
    ("volume:read_data",                                            Member),
    ("volume:host_path",                                            Admin),
    ("volume:create",                                               Member),
    ("volume:update",                                               Member),
    ("volume:delete",                                               Member),
    ("volume:extend",                                               Member),
    ("volume:force_delete",                                         Admin),
    ("volume_extension:volume_actions:set_bootable",                Member),
    ("volume_extension:volume_actions:attach",                      Member),
    ("volume_extension:volume_actions:detach",                      Member),
    ("volume_extension:volume_actions:reserve",                     Member),
    ("volume_extension:volume_actions:unreserve",                   Member),
    ("volume_extension:volume_actions:begin_detaching",             Member),
    ("volume_extension:volume_actions:roll_detaching",              Member),
    ("volume_extension:volume_actions:initialize_connection",       Member),
    ("volume_extension:volume_actions:terminate_connection",        Member),
    ("volume:update_readonly_flag",                                 Member),
    ("volume:retype",                                               Member),
    ("volume_extension:volume_image_metadata",                      Member),
    ("volume_extension:volume_admin_actions:reset_status",          Admin),
    ("volume_extension:volume_admin_actions:force_delete",          Admin),
    ("volume_extension:volume_admin_actions:force_detach",          Admin),
    ("volume:attachment_get",                                       Reader),
    ("volume:attachment_create",                                    Member),
    ("volume:attachment_update",                                    Member),
    ("volume:attachment_complete",                                  Member),
    ("volume:attachment_delete",                                    Member),
    // Backups served over NBD
    ("export:get_all",                                              Reader),
    ("export:create",                                               Member),
    ("export:delete",                                               Member),
    // File systems
    ("workers:get_all",                                             Admin),
    ("file_system:host_path",                                       Admin),
    // Snapshots
    ("volume:get_all_snapshots",                                    Reader),
    ("volume:get_snapshot",                                         Reader),
    ("volume:create_snapshot",                                      Member),
    ("volume:update_snapshot",                                      Member),
    ("volume:delete_snapshot",                                      Member),
    ("volume_extension:snapshot_admin_actions:reset_status",        Admin),
    ("volume_extension:snapshot_admin_actions:force_delete",        Admin),
    ("snapshot_extension:snapshot_actions:update_snapshot_status",  Member),
    // Types
    ("volume_extension:type_get_all",                               Reader),
    ("volume_extension:type_get",                                   Reader),
    ("volume_extension:type_create",                                Admin),
    ("volume_extension:type_update",                                Admin),
    ("volume_extension:type_delete",                                Admin),
    ("volume_extension:types_extra_specs:index",                    Reader),
    ("volume_extension:types_extra_specs:create",                   Admin),
    ("volume_extension:types_extra_specs:delete",                   Admin),
    ("volume_extension:volume_type_access",                         Admin),
    ("volume_extension:volume_type_encryption:get",                 Admin),
    ("volume_extension:qos_specs_manage:get_all",                   Admin),
    // Around them
    ("volume_extension:quotas:show",                                Reader),
    ("volume_extension:quotas:update",                              Admin),
    ("volume_extension:quotas:delete",                              Admin),
    ("volume_extension:quota_classes:get",                          Admin),
    ("volume_extension:quota_classes:update",                       Admin),
    ("limits_extension:used_limits",                                Reader),
    ("volume_extension:services:index",                             Admin),
    ("volume_extension:services:update",                            Admin),
    ("scheduler_extension:scheduler_stats:get_pools",               Admin),
    ("message:get_all",                                             Reader),
    ("message:get",                                                 Reader),
    ("message:delete",                                              Member),
];

/// An operator's rule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyError {
    /// There is no rule of that name.
    #[error("there is no rule '{0}'")]
    NoSuchRule(String),
    /// Nobody is called that.
    #[error("rule '{rule}' names '{word}'; it must be one of nobody, admin, member, reader")]
    NoSuchRole {
        /// The rule.
        rule: String,
        /// What it names.
        word: String,
    },
}

/// The rules in force. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Policy {
    rules: Arc<BTreeMap<&'static str, Who>>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            rules: Arc::new(TABLE.iter().copied().collect()),
        }
    }
}

impl Policy {
    /// Names every rule.
    pub fn rules() -> impl Iterator<Item = &'static str> {
        TABLE.iter().map(|(rule, _)| *rule)
    }

    /// Returns the table with an operator's own rules in it: who by rule, as words.
    pub fn with(overrides: &BTreeMap<String, String>) -> Result<Self, PolicyError> {
        let mut rules: BTreeMap<&'static str, Who> = TABLE.iter().copied().collect();
        for (rule, word) in overrides {
            let Some((known, _)) = TABLE.iter().find(|(known, _)| known == rule) else {
                return Err(PolicyError::NoSuchRule(rule.clone()));
            };
            let who = word.parse().map_err(|()| PolicyError::NoSuchRole {
                rule: rule.clone(),
                word: word.clone(),
            })?;
            rules.insert(known, who);
        }
        Ok(Self {
            rules: Arc::new(rules),
        })
    }

    /// Tells whether the caller may do what `rule` is about. A rule that is not in the table lets nobody pass.
    pub fn allows(&self, caller: &Caller, rule: &str) -> bool {
        match self.rules.get(rule) {
            None | Some(Who::Nobody) => false,
            Some(Who::Admin) => caller.has(Role::Admin),
            Some(Who::Member) => caller.has(Role::Member),
            Some(Who::Reader) => caller.has(Role::Reader),
        }
    }

    /// Refuses unless the caller may do what `rule` is about.
    pub fn check(&self, caller: &Caller, rule: &'static str) -> Result<(), ServiceError> {
        if self.allows(caller, rule) {
            Ok(())
        } else {
            Err(ServiceError::Policy { rule })
        }
    }
}

/// Refuses unless the caller holds `role`. Call it only after visibility is settled.
pub(crate) fn require(caller: &Caller, role: Role, rule: &'static str) -> Result<(), ServiceError> {
    if caller.has(role) {
        Ok(())
    } else {
        Err(ServiceError::Policy { rule })
    }
}

/// Acts for the user who set up a scheduled operation, in the project of the vault.
pub(crate) fn on_behalf(user: &UserId, vault: &Vault) -> Caller {
    Caller {
        user_id: user.clone(),
        project_id: vault.project_id.clone(),
        roles: Role::Member.implied().to_vec(),
        request_id: format!("req-{}", Uuid::new_v4()),
    }
}

impl FromStr for Who {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word {
            "nobody" => Ok(Self::Nobody),
            "admin" => Ok(Self::Admin),
            "member" => Ok(Self::Member),
            "reader" => Ok(Self::Reader),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn caller(role: Role) -> Caller {
        Caller {
            user_id: "u".parse().expect("an id"),
            project_id: "p".parse().expect("an id"),
            roles: role.implied().to_vec(),
            request_id: String::new(),
        }
    }

    #[test]
    fn an_operator_overrides_rule_by_rule() {
        let table = |pairs: &[(&str, &str)]| {
            let pairs = pairs
                .iter()
                .map(|(a, b)| ((*a).to_owned(), (*b).to_owned()));
            Policy::with(&pairs.collect())
        };
        let policy =
            table(&[("backup:create", "reader"), ("backup:delete", "nobody")]).expect("is good");
        assert!(policy.allows(&caller(Role::Reader), "backup:create"));
        assert!(!policy.allows(&caller(Role::Admin), "backup:delete"));
        assert!(
            !policy.allows(&caller(Role::Reader), "backup:update"),
            "the others stay"
        );
        assert!(
            !policy.allows(&caller(Role::Admin), "backup:fly"),
            "what is no rule is no right"
        );
        assert_eq!(
            table(&[("backup:fly", "admin")]).expect_err("unknown"),
            PolicyError::NoSuchRule("backup:fly".into())
        );
        assert!(table(&[("backup:get", "everybody")]).is_err());
    }

    #[test]
    fn rules_are_named_once() {
        let names: std::collections::BTreeSet<_> = TABLE.iter().map(|(rule, _)| rule).collect();
        assert_eq!(names.len(), TABLE.len());
    }
}
