//! What CBR serves.

use super::schema::Kind::{Flag, Text, Uuid, Whole, Words};
use super::schema::{Param, may};
use super::{Operation, bodies, op};

const VAULTS: &[Param] = &[
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("marker", Uuid),
    may("name", Text),
    may("id", Uuid),
    may("object_type", Words(&["server", "disk", "turbo"])),
    may("protect_type", Words(&["backup", "replication"])),
    may(
        "status",
        Words(&["available", "lock", "frozen", "deleting", "error"]),
    ),
    may("resource_ids", Uuid),
    may("policy_id", Uuid),
    may("cloud_type", Words(&["public", "hybrid"])),
];
const BACKUPS: &[Param] = &[
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("marker", Uuid),
    may("name", Text),
    may("sort", Text),
    may(
        "status",
        Words(&["available", "protecting", "deleting", "restoring", "error"]),
    ),
    may("vault_id", Uuid),
    may("checkpoint_id", Uuid),
    may("resource_id", Uuid),
    may("resource_name", Text),
    may(
        "resource_type",
        Words(&["OS::Cinder::Volume", "OS::Nova::Server"]),
    ),
    may("image_type", Words(&["backup", "replication"])),
    may("own_type", Words(&["all_granted", "private", "shared"])),
    may("parent_id", Uuid),
    may("dec", Flag),
    may("used_percent", Whole(1, 100)),
    may("start_time", Text),
    may("end_time", Text),
];
const POLICIES: &[Param] = &[
    may("operation_type", Words(&["backup", "replication"])),
    may("vault_id", Uuid),
];
const TASKS: &[Param] = &[
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("start_time", Text),
    may("end_time", Text),
    may("operation_type", Text),
    may("provider_id", Text),
    may("request_id", Text),
    may("resource_id", Uuid),
    may("resource_name", Text),
    may(
        "status",
        Words(&[
            "success", "skipped", "failed", "running", "timeout", "waiting",
        ]),
    ),
    may("vault_id", Uuid),
    may("vault_name", Text),
];
const MEMBERS: &[Param] = &[
    may("dest_project_id", Text),
    may("image_id", Text),
    may("status", Words(&["pending", "accepted", "rejected"])),
    may("vault_id", Uuid),
    may("limit", Whole(1, 1000)),
];
const PROTECTABLES: &[Param] = &[
    may("id", Uuid),
    may("limit", Whole(1, 1000)),
    may("marker", Uuid),
    may("name", Text),
    may("offset", Whole(0, 1000)),
    may("server_id", Uuid),
    may("status", Text),
];
const USAGE: &[Param] = &[
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("resource_id", Uuid),
    may("resource_type", Text),
];

pub(super) const OPERATIONS: &[Operation] = &[
    op("get", "/", "Tells which versions there are.")
        .answers(&[300])
        .open(),
    op("get", "/v3", "Tells which versions there are.")
        .answers(&[300])
        .open(),
    op("get", "/v3/", "Tells which versions there are.")
        .answers(&[300])
        .open(),
    op("get", "/v3/{project}/vaults", "Lists vaults.").query(VAULTS),
    op("post", "/v3/{project}/vaults", "Makes a vault.").body(bodies::create_vault),
    op(
        "get",
        "/v3/{project}/vaults/summary",
        "Counts vaults by state.",
    ),
    op(
        "put",
        "/v3/{project}/vaults/batch-update",
        "Changes all vaults.",
    )
    .body(bodies::update_vaults),
    op("get", "/v3/{project}/vaults/{id}", "Shows a vault."),
    op("put", "/v3/{project}/vaults/{id}", "Changes a vault.").body(bodies::update_vault),
    op(
        "delete",
        "/v3/{project}/vaults/{id}",
        "Deletes a vault with its backups.",
    )
    .answers(&[204]),
    op(
        "post",
        "/v3/{project}/vaults/{id}/addresources",
        "Puts resources into a vault.",
    )
    .body(bodies::add_resources),
    op(
        "post",
        "/v3/{project}/vaults/{id}/removeresources",
        "Takes resources out of a vault.",
    )
    .body(bodies::resource_ids),
    op(
        "post",
        "/v3/{project}/vaults/{id}/migrateresources",
        "Moves resources to another vault.",
    )
    .body(bodies::migrate_resources),
    op(
        "put",
        "/v3/{project}/vaults/{id}/set-resources",
        "Lets schedules leave resources out, or not.",
    )
    .body(bodies::set_resources),
    op(
        "put",
        "/v3/{project}/vaults/{id}/update-backup-expiration-time",
        "Moves the expiry of a vault's backups.",
    )
    .body(bodies::move_expiry),
    op(
        "post",
        "/v3/{project}/vaults/{id}/associatepolicy",
        "Binds a policy.",
    )
    .body(bodies::policy_bound),
    op(
        "post",
        "/v3/{project}/vaults/{id}/dissociatepolicy",
        "Releases a policy.",
    )
    .body(bodies::policy_bound),
    op("get", "/v3/{project}/policies", "Lists policies.").query(POLICIES),
    op("post", "/v3/{project}/policies", "Makes a policy.").body(bodies::create_policy),
    op("get", "/v3/{project}/policies/{id}", "Shows a policy."),
    op("put", "/v3/{project}/policies/{id}", "Changes a policy.").body(bodies::update_policy),
    op("delete", "/v3/{project}/policies/{id}", "Deletes a policy.").answers(&[204]),
    op(
        "get",
        "/v3/{project}/vault/tags",
        "Lists the tags of a project's vaults.",
    ),
    op(
        "post",
        "/v3/{project}/vault/resource_instances/action",
        "Finds vaults by their tags.",
    )
    .body(bodies::find_by_tags),
    op(
        "get",
        "/v3/{project}/vault/{id}/tags",
        "Lists the tags of a vault.",
    ),
    op(
        "post",
        "/v3/{project}/vault/{id}/tags",
        "Sets a tag of a vault.",
    )
    .body(bodies::set_tag)
    .answers(&[204]),
    op(
        "post",
        "/v3/{project}/vault/{id}/tags/action",
        "Sets or removes tags of a vault.",
    )
    .body(bodies::act_on_tags)
    .answers(&[204]),
    op(
        "delete",
        "/v3/{project}/vault/{id}/tags/{name}",
        "Removes a tag of a vault.",
    )
    .answers(&[204]),
    op(
        "get",
        "/v3/{project}/backups/{id}/members",
        "Lists whom a backup is shared with.",
    )
    .query(MEMBERS),
    op(
        "post",
        "/v3/{project}/backups/{id}/members",
        "Shares a backup.",
    )
    .body(bodies::add_members),
    op(
        "get",
        "/v3/{project}/backups/{id}/members/{name}",
        "Shows a share.",
    ),
    op(
        "put",
        "/v3/{project}/backups/{id}/members/{name}",
        "Takes a share, or does not.",
    )
    .body(bodies::answer_member),
    op(
        "delete",
        "/v3/{project}/backups/{id}/members/{name}",
        "Ends a share.",
    )
    .answers(&[204]),
    op(
        "get",
        "/v3/{project}/protectables/{name}/instances",
        "Lists what can be protected.",
    )
    .query(PROTECTABLES),
    op(
        "get",
        "/v3/{project}/protectables/{name}/instances/{id}",
        "Shows one thing that can be protected.",
    ),
    op(
        "get",
        "/v3/{project}/storage_usage",
        "Lists what backups take.",
    )
    .query(USAGE),
    op(
        "get",
        "/v3/{project}/replication-capabilities",
        "Lists where copies can go.",
    ),
    op(
        "get",
        "/v3/{project}/cbr-features",
        "Lists what this region can do.",
    ),
    op(
        "get",
        "/v3/{project}/cbr-features/{name}",
        "Tells whether this region can do one thing.",
    ),
    op("post", "/v3/{project}/checkpoints", "Backs a vault up.").body(bodies::create_checkpoint),
    op(
        "get",
        "/v3/{project}/checkpoints/{id}",
        "Shows a checkpoint.",
    ),
    op("get", "/v3/{project}/backups", "Lists backups.").query(BACKUPS),
    op("get", "/v3/{project}/backups/{id}", "Shows a backup."),
    op("put", "/v3/{project}/backups/{id}", "Renames a backup.").body(bodies::rename),
    op("delete", "/v3/{project}/backups/{id}", "Deletes a backup.").answers(&[204]),
    op(
        "get",
        "/v3/{project}/backups/{id}/metadata",
        "Tells what a backup remembers of its server.",
    ),
    op(
        "post",
        "/v3/{project}/backups/{id}/restore",
        "Puts a backup back.",
    )
    .body(bodies::restore)
    .answers(&[202]),
    op("get", "/v3/{project}/operation-logs", "Lists tasks.").query(TASKS),
    op("get", "/v3/{project}/operation-logs/{id}", "Shows a task."),
    op(
        "post",
        "/v3/{project}/checkpoints/replicate",
        "Copies a vault's backups to another region.",
    )
    .body(bodies::replicate_vault),
    op(
        "post",
        "/v3/{project}/checkpoints/sync",
        "Asks what became of a vault's copies.",
    )
    .body(bodies::sync_vault),
    op(
        "post",
        "/v3/{project}/backups/sync",
        "Asks what became of the copies of backups.",
    )
    .body(bodies::sync_backups),
    op(
        "post",
        "/v3/{project}/backups/{id}/replicate",
        "Copies a backup to another region.",
    )
    .body(bodies::replicate_backup),
];
