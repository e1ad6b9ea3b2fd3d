//! What answers each class, attribute and call of `otcextensions.sdk.cbr.v3` (`cbr-v3.md §4`).
//!
//! The compiler checks the right-hand side of every row; the test checks that the table
//! in `parity.json`, and the page `docs/sdk-parity.md` for people, say the same. `tests-e2e/suite_parity.py` reads that table and looks into
//! the installed Python package for anything it lacks.

use std::path::Path;

use emberkeep_sdk::Pages;
use emberkeep_sdk::cbr::{
    AppConsistency, AssociatedVault, Backup, BackupDetail, BackupQuery, Billing, BillingExtra, Cbr,
    Checkpoint, CheckpointExtra, CheckpointResource, CheckpointVault, CommonDetail, DeleteDetail,
    ErrorInfo, ExtendInfo, IncludeVolume, Mapping, Member, MemberQuery, NewCheckpoint,
    OperationDefinition, Parameters, Policy, PolicyQuery, RemoveDetail, ResourceDetails,
    ResourceExtra, RestoreDetail, RestoreTarget, SkippedResource, SyncDetail, Task, TaskExtra,
    TaskQuery, TaskResource, Trigger, TriggerProperties, Vault, VaultDeleteDetail, VaultQuery,
    VaultResource,
};

/// Makes the rows of attributes and of calls; a field or a call that is not there does not compile.
macro_rules! table {
    (
        fields { $($class:literal { $($attribute:literal => $kind:ident.$field:ident,)* })* }
        calls { $($name:literal => $holder:ident::$call:ident,)* }
        pages { $($query:literal => $paging:ident,)* }
    ) => {
        fn table() -> Vec<(String, String)> {
            let mut rows = Vec::new();
            $($(
                let _: fn(&$kind) = |it| { let _ = &it.$field; };
                rows.push((
                    format!("{}.{}", $class, $attribute),
                    concat!(stringify!($kind), ".", stringify!($field)).to_owned(),
                ));
            )*)*
            $(
                let _ = $holder::$call;
                rows.push((
                    format!("proxy.{}", $name),
                    concat!(stringify!($holder), "::", stringify!($call)).to_owned(),
                ));
            )*
            $(
                let _ = Pages::<Vault>::$paging;
                rows.push((
                    format!("query.{}", $query),
                    concat!("Pages::", stringify!($paging)).to_owned(),
                ));
            )*
            rows
        }
    };
}

table! {
    fields {
        "vault.Vault" {
            "id" => Vault.id,
            "name" => Vault.name,
            "description" => Vault.description,
            "project_id" => Vault.project_id,
            "provider_id" => Vault.provider_id,
            "user_id" => Vault.user_id,
            "created_at" => Vault.created_at,
            "backup_policy_id" => Vault.backup_policy_id,
            "auto_bind" => Vault.auto_bind,
            "auto_expand" => Vault.auto_expand,
            "bind_rules" => Vault.bind_rules,
            "tags" => Vault.tags,
            "billing" => Vault.billing,
            "resources" => Vault.resources,
            "?cloud_type" => VaultQuery.cloud_type,
            "?id" => VaultQuery.ids,
            "?name" => VaultQuery.name,
            "?object_type" => VaultQuery.object_type,
            "?policy_id" => VaultQuery.policy_id,
            "?protect_type" => VaultQuery.protect_type,
            "?resources_ids" => VaultQuery.resource_ids,
            "?status" => VaultQuery.status,
        }
        "vault.BillingSpec" {
            "allocated" => Billing.allocated,
            "size" => Billing.size,
            "used" => Billing.used,
            "charging_mode" => Billing.charging_mode,
            "cloud_type" => Billing.cloud_type,
            "consistent_level" => Billing.consistent_level,
            "console_url" => Billing.console_url,
            "extra_info" => Billing.extra_info,
            "frozen_scene" => Billing.frozen_scene,
            "is_auto_pay" => Billing.is_auto_pay,
            "is_auto_renew" => Billing.is_auto_renew,
            "object_type" => Billing.object_type,
            "order_id" => Billing.order_id,
            "period_num" => Billing.period_num,
            "period_type" => Billing.period_type,
            "product_id" => Billing.product_id,
            "protect_type" => Billing.protect_type,
            "spec_code" => Billing.spec_code,
            "status" => Billing.status,
            "storage_unit" => Billing.storage_unit,
        }
        "vault.BillingExtraInfoSpec" {
            "combined_order_id" => BillingExtra.combined_order_id,
            "combined_order_ecs_num" => BillingExtra.combined_order_ecs_num,
        }
        "vault.ResourceSpec" {
            "id" => VaultResource.id,
            "name" => VaultResource.name,
            "type" => VaultResource.kind,
            "size" => VaultResource.size,
            "protect_status" => VaultResource.protect_status,
            "backup_count" => VaultResource.backup_count,
            "backup_size" => VaultResource.backup_size,
            "extra_info" => VaultResource.extra_info,
        }
        "vault.ResourceExtraInfoSpec" {
            "exclude_volumes" => ResourceExtra.exclude_volumes,
            "include_volumes" => ResourceExtra.include_volumes,
        }
        "vault.VolumeSpec" {
            "id" => IncludeVolume.id,
            "os_version" => IncludeVolume.os_version,
        }
        "checkpoint.Checkpoint" {
            "id" => Checkpoint.id,
            "status" => Checkpoint.status,
            "created_at" => Checkpoint.created_at,
            "project_id" => Checkpoint.project_id,
            "vault_id" => NewCheckpoint.vault_id,
            "vault" => Checkpoint.vault,
            "extra_info" => Checkpoint.extra_info,
            "parameters" => Checkpoint.parameters,
            "?checkpoint_id" => BackupQuery.checkpoint_id,
        }
        "checkpoint.Vault" {
            "id" => CheckpointVault.id,
            "name" => CheckpointVault.name,
            "resources" => CheckpointVault.resources,
            "skipped_resources" => CheckpointVault.skipped_resources,
        }
        "checkpoint.CheckpointResource" {
            "id" => CheckpointResource.id,
            "name" => CheckpointResource.name,
            "type" => CheckpointResource.kind,
            "protect_status" => CheckpointResource.protect_status,
            "resource_size" => CheckpointResource.resource_size,
            "backup_size" => CheckpointResource.backup_size,
            "backup_count" => CheckpointResource.backup_count,
            "extra_info" => CheckpointResource.extra_info,
        }
        "checkpoint.SkippedResource" {
            "id" => SkippedResource.id,
            "name" => SkippedResource.name,
            "type" => SkippedResource.kind,
            "code" => SkippedResource.code,
            "reason" => SkippedResource.reason,
        }
        "checkpoint.ExtraInfo" {
            "name" => CheckpointExtra.name,
            "description" => CheckpointExtra.description,
            "retention_duration" => CheckpointExtra.retention_duration,
        }
        "checkpoint.Parameters" {
            "name" => Parameters.name,
            "description" => Parameters.description,
            "auto_trigger" => Parameters.auto_trigger,
            "incremental" => Parameters.incremental,
            "resources" => Parameters.resources,
            "resource_details" => Parameters.resource_details,
        }
        "checkpoint.ResourceDetails" {
            "id" => ResourceDetails.id,
            "name" => ResourceDetails.name,
            "resource_type" => ResourceDetails.resource_type,
            "extra_info" => ResourceDetails.extra_info,
        }
        "checkpoint.ResourceExtraInfo" {
            "exclude_volumes" => ResourceExtra.exclude_volumes,
            "include_volumes" => ResourceExtra.include_volumes,
        }
        "checkpoint.IncludeVolumes" {
            "id" => IncludeVolume.id,
            "os_version" => IncludeVolume.os_version,
        }
        "backup.Backup" {
            "id" => Backup.id,
            "checkpoint_id" => Backup.checkpoint_id,
            "children" => Backup.children,
            "created_at" => Backup.created_at,
            "description" => Backup.description,
            "expired_at" => Backup.expired_at,
            "extend_info" => Backup.extend_info,
            "image_type" => Backup.image_type,
            "name" => Backup.name,
            "parent_id" => Backup.parent_id,
            "project_id" => Backup.project_id,
            "protected_at" => Backup.protected_at,
            "provider_id" => Backup.provider_id,
            "replication_records" => Backup.replication_records,
            "resource_az" => Backup.resource_az,
            "resource_id" => Backup.resource_id,
            "resource_name" => Backup.resource_name,
            "resource_type" => Backup.resource_type,
            "resource_size" => Backup.resource_size,
            "status" => Backup.status,
            "updated_at" => Backup.updated_at,
            "vault_id" => Backup.vault_id,
            "?checkpoint_id" => BackupQuery.checkpoint_id,
            "?dec" => BackupQuery.dec,
            "?end_time" => BackupQuery.end_time,
            "?image_type" => BackupQuery.image_type,
            "?member_status" => BackupQuery.member_status,
            "?name" => BackupQuery.name,
            "?own_type" => BackupQuery.own_type,
            "?parent_id" => BackupQuery.parent_id,
            "?resource_az" => BackupQuery.resource_az,
            "?resource_id" => BackupQuery.resource_id,
            "?resource_name" => BackupQuery.resource_name,
            "?resource_type" => BackupQuery.resource_type,
            "?sort" => BackupQuery.sort,
            "?start_time" => BackupQuery.start_time,
            "?status" => BackupQuery.statuses,
            "?used_percent" => BackupQuery.used_percent,
            "?vault_id" => BackupQuery.vault_id,
        }
        "backup.ExtendInfo" {
            "app_consistency" => ExtendInfo.app_consistency,
            "architecture" => ExtendInfo.architecture,
            "auto_trigger" => ExtendInfo.auto_trigger,
            "bootable" => ExtendInfo.bootable,
            "contain_system_disk" => ExtendInfo.contain_system_disk,
            "encrypted" => ExtendInfo.encrypted,
            "incremental" => ExtendInfo.incremental,
            "os_images_data" => ExtendInfo.os_images_data,
            "progress" => ExtendInfo.progress,
            "snapshot_id" => ExtendInfo.snapshot_id,
            "support_lld" => ExtendInfo.support_lld,
            "supported_restore_mode" => ExtendInfo.supported_restore_mode,
            "system_disk" => ExtendInfo.system_disk,
        }
        "backup.AppCSpec" {
            "app_consistency" => AppConsistency.app_consistency,
            "error_code" => AppConsistency.app_consistency_error_code,
            "error_message" => AppConsistency.app_consistency_error_message,
            "error_status" => AppConsistency.app_consistency_status,
        }
        "policy.Policy" {
            "id" => Policy.id,
            "name" => Policy.name,
            "enabled" => Policy.enabled,
            "operation_type" => Policy.operation_type,
            "operation_definition" => Policy.operation_definition,
            "trigger" => Policy.trigger,
            "associated_vaults" => Policy.associated_vaults,
            "?operation_type" => PolicyQuery.operation_type,
            "?vault_id" => PolicyQuery.vault_id,
        }
        "policy.OperationDefinition" {
            "day_backups" => OperationDefinition.day_backups,
            "week_backups" => OperationDefinition.week_backups,
            "month_backups" => OperationDefinition.month_backups,
            "year_backups" => OperationDefinition.year_backups,
            "max_backups" => OperationDefinition.max_backups,
            "retention_duration_days" => OperationDefinition.retention_duration_days,
            "timezone" => OperationDefinition.timezone,
        }
        "policy.Trigger" {
            "properties" => Trigger.properties,
        }
        "policy.Properties" {
            "pattern" => TriggerProperties.pattern,
            "start_time" => TriggerProperties.start_time,
        }
        "policy.Vault" {
            "vault_id" => AssociatedVault.vault_id,
            "destination_vault_id" => AssociatedVault.destination_vault_id,
        }
        "restore.Restore" {
            // The backup is the first argument of the call.
            "backup_id" => RestoreDetail.backup_id,
            "mappings" => RestoreTarget.mappings,
            "power_on" => RestoreTarget.power_on,
            "resource_id" => RestoreTarget.resource_id,
            "server_id" => RestoreTarget.server_id,
            "volume_id" => RestoreTarget.volume_id,
        }
        "restore.Mapping" {
            "backup_id" => Mapping.backup_id,
            "volume_id" => Mapping.volume_id,
        }
        "member.Member" {
            "id" => Member.id,
            "backup_id" => Member.backup_id,
            "created_at" => Member.created_at,
            "dest_project_id" => Member.dest_project_id,
            "image_id" => Member.image_id,
            "status" => Member.status,
            "updated_at" => Member.updated_at,
            "vault_id" => Member.vault_id,
            "?created_at" => MemberQuery.created_at,
            "?dest_project_id" => MemberQuery.dest_project_id,
            "?id" => MemberQuery.id,
            "?image_id" => MemberQuery.image_id,
            "?status" => MemberQuery.status,
            "?updated_at" => MemberQuery.updated_at,
            "?vault_id" => MemberQuery.vault_id,
        }
        "task.Task" {
            "id" => Task.id,
            "operation_type" => Task.operation_type,
            "status" => Task.status,
            "project_id" => Task.project_id,
            "provider_id" => Task.provider_id,
            "vault_id" => Task.vault_id,
            "vault_name" => Task.vault_name,
            "checkpoint_id" => Task.checkpoint_id,
            "policy_id" => Task.policy_id,
            "created_at" => Task.created_at,
            "started_at" => Task.started_at,
            "updated_at" => Task.updated_at,
            "ended_at" => Task.ended_at,
            "error_info" => Task.error_info,
            "extra_info" => Task.extra_info,
            "?operation_log_id" => TaskQuery.operation_log_id,
            "?project_id" => TaskQuery.project_id,
        }
        "task.ErrorInfoSpec" {
            "code" => ErrorInfo.code,
            "message" => ErrorInfo.message,
        }
        "task.ExtraInfoSpec" {
            "backup" => TaskExtra.backup,
            "common" => TaskExtra.common,
            "delete" => TaskExtra.delete,
            "sync" => TaskExtra.sync,
            "remove_resources" => TaskExtra.remove_resources,
            "restore" => TaskExtra.restore,
            "vault_delete" => TaskExtra.vault_delete,
            "resource_info" => TaskExtra.resource,
        }
        "task.ExtendInfoBackup" {
            "backup_id" => BackupDetail.backup_id,
            "backup_name" => BackupDetail.backup_name,
            "incremental" => BackupDetail.incremental,
            "app_consistency_status" => BackupDetail.app_consistency_status,
            "app_consistency_error_code" => BackupDetail.app_consistency_error_code,
            "app_consistency_error_mess" => BackupDetail.app_consistency_error_message,
        }
        "task.ExtendInfoCommon" {
            "progress" => CommonDetail.progress,
            "request_id" => CommonDetail.request_id,
            "task_id" => CommonDetail.task_id,
        }
        "task.ExtendInfoDelete" {
            "backup_id" => DeleteDetail.backup_id,
            "backup_name" => DeleteDetail.backup_name,
        }
        "task.ExtendInfoRestore" {
            "backup_id" => RestoreDetail.backup_id,
            "backup_name" => RestoreDetail.backup_name,
            "target_resource_id" => RestoreDetail.target_resource_id,
            "target_resource_name" => RestoreDetail.target_resource_name,
        }
        "task.ExtendInfoSync" {
            "sync_backup_num" => SyncDetail.sync_backup_num,
            "delete_backup_num" => SyncDetail.delete_backup_num,
            "err_sync_backup_num" => SyncDetail.err_sync_backup_num,
        }
        "task.ExtendInfoVaultDelete" {
            "fail_count" => VaultDeleteDetail.fail_count,
            "total_count" => VaultDeleteDetail.total_count,
        }
        "task.ExtendInfoRemoveResources" {
            "fail_count" => RemoveDetail.fail_count,
            "total_count" => RemoveDetail.total_count,
            "resources" => RemoveDetail.resources,
        }
        "task.ResourceSpec" {
            "id" => TaskResource.id,
            "name" => TaskResource.name,
            "type" => TaskResource.kind,
            "extra_info" => TaskResource.extra_info,
        }
    }
    calls {
        "backups" => Cbr::backups,
        "get_backup" => Cbr::backup,
        "find_backup" => Cbr::find_backup,
        "delete_backup" => Cbr::delete_backup,
        "get_checkpoint" => Cbr::checkpoint,
        "create_checkpoint" => Cbr::create_checkpoint,
        "wait_for_checkpoint" => Cbr::wait_for_checkpoint,
        "policies" => Cbr::policies,
        "get_policy" => Cbr::policy,
        "find_policy" => Cbr::find_policy,
        "create_policy" => Cbr::create_policy,
        "update_policy" => Cbr::update_policy,
        "delete_policy" => Cbr::delete_policy,
        "restore_data" => Cbr::restore_backup,
        "vaults" => Cbr::vaults,
        "get_vault" => Cbr::vault,
        "find_vault" => Cbr::find_vault,
        "create_vault" => Cbr::create_vault,
        "update_vault" => Cbr::update_vault,
        "delete_vault" => Cbr::delete_vault,
        "unbind_policy" => Cbr::unbind_policy,
        "bind_policy" => Cbr::bind_policy,
        "associate_resources" => Cbr::associate_resources,
        "dissociate_resources" => Cbr::dissociate_resources,
        "members" => Cbr::members,
        "get_member" => Cbr::member,
        "add_members" => Cbr::add_members,
        "update_member" => Cbr::update_member,
        "delete_member" => Cbr::delete_member,
        "tasks" => Cbr::tasks,
        "get_task" => Cbr::task,
    }
    pages {
        "limit" => page_size,
        "marker" => after,
        "offset" => skip,
    }
}

#[test]
fn the_table_beside_this_file_is_the_one_that_compiles() {
    let rows: Vec<_> = table()
        .into_iter()
        .map(|(python, rust)| format!("  \"{python}\": \"{rust}\""))
        .collect();
    let wanted = format!("{{\n{}\n}}\n", rows.join(",\n"));
    up_to_date("tests/parity.json", &wanted);
    up_to_date("../../docs/sdk-parity.md", &page(&table()));
    let mut names: Vec<_> = table().into_iter().map(|(python, _)| python).collect();
    names.sort();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count, "a row stands twice");
}

fn up_to_date(name: &str, wanted: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
    if std::env::var_os("UPDATE_PARITY").is_some() {
        std::fs::write(&file, wanted).expect("written");
    }
    let there = std::fs::read_to_string(&file).unwrap_or_default();
    assert!(
        there == wanted,
        "{} is out of date: run this test with UPDATE_PARITY=1",
        file.display()
    );
}

/// Writes the table for people: a section for each class, the calls last.
fn page(rows: &[(String, String)]) -> String {
    let mut text = "\
# The SDK beside otcextensions

What answers each class, attribute, query and call of `otcextensions.sdk.cbr.v3` in `emberkeep_sdk::cbr`. Generated:
the compiler checks the right-hand sides (`crates/sdk/tests/suite/parity.rs`), and `tests-e2e/suite_parity.py` looks into the
installed Python package for anything that is missing on the left.
"
    .to_owned();
    let mut section = "";
    for (python, rust) in rows {
        let (class, name) = python.rsplit_once('.').expect("a class and a name");
        if class != section {
            section = class;
            let title = match class {
                "proxy" => "Calls",
                "query" => "Paging",
                other => other,
            };
            text += &format!("\n## {title}\n\n| Python | Rust |\n| --- | --- |\n");
        }
        let shown = match name.strip_prefix('?') {
            Some(query) => format!("`{query}` (query)"),
            None => format!("`{name}`"),
        };
        text += &format!("| {shown} | `{rust}` |\n");
    }
    text
}
