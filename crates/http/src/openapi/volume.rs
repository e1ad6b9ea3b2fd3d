//! What Block Storage serves. Paths are written without the project; each is served with it too.

use emberkeep_wire::cinder::bodies as wire;
use serde_json::{Value, json};

use super::schema::Kind::{Flag, Text, Uuid, Whole, Words};
use super::schema::{Param, may};
use super::{Operation, bodies, op};

/// Returns the paths that one of the table stands for.
pub(super) fn spelled(prefix: &str, path: &str) -> Vec<String> {
    match path.strip_prefix("/v3/") {
        Some(rest) if prefix == "/volume" && !rest.is_empty() => ["/v3/", "/v3/{project_id}/"]
            .map(|root| format!("{prefix}{root}{rest}"))
            .to_vec(),
        // The mounted root is reached without the slash.
        _ if path == "/" && !prefix.is_empty() => vec![prefix.to_owned()],
        _ => vec![format!("{prefix}{path}")],
    }
}

/// The header that chooses a microversion.
pub(super) fn version_header() -> Value {
    json!({
        "name": "OpenStack-API-Version",
        "in": "header",
        "required": false,
        "description": "The microversion; 3.0 unless one is named.",
        "schema": {"type": "string", "examples": ["volume 3.71"], "pattern": "^volume 3\\.([0-9]|[1-6][0-9]|7[01])$"},
    })
}

const LISTING: &[Param] = &[
    may("limit", Whole(0, 1000)),
    may("marker", Uuid),
    may("offset", Whole(0, 0x7fff_ffff)),
    may("sort", Text),
    may(
        "sort_key",
        Words(&["created_at", "name", "status", "size", "id", "updated_at"]),
    ),
    may("sort_dir", Words(&["asc", "desc"])),
    may("with_count", Flag),
    may("all_tenants", Flag),
    may("name", Text),
    may("status", Text),
    may("volume_id", Uuid),
    may("metadata", Text),
    may("project_id", Text),
    may("size", Whole(0, 0x7fff_ffff)),
];
const FORCE: &[Param] = &[may("cascade", Flag), may("force", Flag)];
const USAGE: &[Param] = &[may("usage", Flag)];
const OTHER_PROJECT: &[Param] = &[may("project_id", Text)];
const FILTERS: &[Param] = &[may("resource", Text)];
const SERVICES: &[Param] = &[may("host", Text), may("binary", Text)];
const DETAIL: &[Param] = &[may("detail", Flag)];
const PUBLIC: &[Param] = &[
    may("is_public", Words(&["true", "false", "none"])),
    may("limit", Whole(0, 1000)),
    may("marker", Uuid),
    may("sort", Text),
];

pub(super) const OPERATIONS: &[Operation] = &[
    op("get", "/", "Tells which versions there are.")
        .answers(&[300])
        .open(),
    op("get", "/v3", "Leads to the version document.")
        .answers(&[302])
        .open(),
    op("get", "/v3/", "Shows the version document.").open(),
    op("get", "/healthcheck", "Says that the API answers.")
        .open()
        .kind("text/plain"),
    op("get", "/v3/backups", "Lists backups.").query(LISTING),
    op("post", "/v3/backups", "Asks for a backup of a volume.")
        .body(wire::create_backup)
        .answers(&[202]),
    op("get", "/v3/backups/detail", "Lists backups in full.").query(LISTING),
    op("get", "/v3/backups/import_record", "Is no backup; says so.").answers(&[]),
    op(
        "post",
        "/v3/backups/import_record",
        "Brings a backup back from its record.",
    )
    .body(wire::import_record)
    .answers(&[201]),
    op("get", "/v3/backups/{backup_id}", "Shows a backup."),
    op(
        "put",
        "/v3/backups/{backup_id}",
        "Changes a backup's name, text or pairs.",
    )
    .body(wire::update_backup),
    op(
        "delete",
        "/v3/backups/{backup_id}",
        "Asks for a backup to be deleted.",
    )
    .answers(&[202]),
    op(
        "post",
        "/v3/backups/{backup_id}/action",
        "Resets a backup's status, or deletes it whatever its status.",
    )
    .body(wire::backup_action)
    .answers(&[202]),
    op(
        "post",
        "/v3/backups/{backup_id}/restore",
        "Asks for a backup to be put back on a volume.",
    )
    .body(wire::restore_backup)
    .answers(&[202]),
    op(
        "get",
        "/v3/backups/{backup_id}/export_record",
        "Returns the record that a backup can be brought back from.",
    ),
    op(
        "get",
        "/v3/backups/{backup_id}/metadata",
        "Shows a backup's pairs.",
    ),
    op(
        "post",
        "/v3/backups/{backup_id}/metadata",
        "Adds pairs to a backup.",
    )
    .body(bodies::metadata),
    op(
        "put",
        "/v3/backups/{backup_id}/metadata",
        "Replaces a backup's pairs.",
    )
    .body(bodies::metadata),
    op(
        "get",
        "/v3/backups/{backup_id}/metadata/{key}",
        "Shows one pair of a backup.",
    ),
    op(
        "post",
        "/v3/backups/{backup_id}/metadata/{key}",
        "Sets one pair of a backup.",
    )
    .body(bodies::meta),
    op(
        "put",
        "/v3/backups/{backup_id}/metadata/{key}",
        "Sets one pair of a backup.",
    )
    .body(bodies::meta),
    op(
        "delete",
        "/v3/backups/{backup_id}/metadata/{key}",
        "Removes one pair of a backup.",
    ),
    op("get", "/v3/volumes", "Lists volumes.").query(LISTING),
    op(
        "post",
        "/v3/volumes",
        "Asks for a volume: empty, or from a snapshot, a volume or a backup.",
    )
    .body(wire::create_volume)
    .answers(&[202]),
    op("get", "/v3/volumes/detail", "Lists volumes in full.").query(LISTING),
    op(
        "get",
        "/v3/volumes/summary",
        "Counts volumes and their size.",
    )
    .query(LISTING),
    op("get", "/v3/volumes/{volume_id}", "Shows a volume."),
    op(
        "put",
        "/v3/volumes/{volume_id}",
        "Changes a volume's name, text or pairs.",
    )
    .body(wire::update_volume),
    op(
        "delete",
        "/v3/volumes/{volume_id}",
        "Asks for a volume to be deleted.",
    )
    .query(FORCE)
    .answers(&[202]),
    op(
        "post",
        "/v3/volumes/{volume_id}/action",
        "Does something with a volume.",
    )
    .body(wire::volume_action)
    .answers(&[200, 202]),
    op(
        "get",
        "/v3/volumes/{volume_id}/metadata",
        "Shows a volume's pairs.",
    ),
    op(
        "post",
        "/v3/volumes/{volume_id}/metadata",
        "Adds pairs to a volume.",
    )
    .body(bodies::metadata),
    op(
        "put",
        "/v3/volumes/{volume_id}/metadata",
        "Replaces a volume's pairs.",
    )
    .body(bodies::metadata),
    op(
        "get",
        "/v3/volumes/{volume_id}/metadata/{key}",
        "Shows one pair of a volume.",
    ),
    op(
        "put",
        "/v3/volumes/{volume_id}/metadata/{key}",
        "Sets one pair of a volume.",
    )
    .body(bodies::meta),
    op(
        "delete",
        "/v3/volumes/{volume_id}/metadata/{key}",
        "Removes one pair of a volume.",
    ),
    op("get", "/v3/snapshots", "Lists snapshots.").query(LISTING),
    op("post", "/v3/snapshots", "Asks for a snapshot of a volume.")
        .body(wire::create_snapshot)
        .answers(&[202]),
    op("get", "/v3/snapshots/detail", "Lists snapshots in full.").query(LISTING),
    op("get", "/v3/snapshots/{snapshot_id}", "Shows a snapshot."),
    op(
        "put",
        "/v3/snapshots/{snapshot_id}",
        "Changes a snapshot's name or text.",
    )
    .body(wire::update_snapshot),
    op(
        "delete",
        "/v3/snapshots/{snapshot_id}",
        "Asks for a snapshot to be deleted.",
    )
    .answers(&[202]),
    op(
        "post",
        "/v3/snapshots/{snapshot_id}/action",
        "Resets a snapshot's status, or deletes it whatever its status.",
    )
    .body(wire::snapshot_action)
    .answers(&[202]),
    op(
        "get",
        "/v3/snapshots/{snapshot_id}/metadata",
        "Shows a snapshot's pairs.",
    ),
    op(
        "post",
        "/v3/snapshots/{snapshot_id}/metadata",
        "Adds pairs to a snapshot.",
    )
    .body(bodies::metadata),
    op(
        "put",
        "/v3/snapshots/{snapshot_id}/metadata",
        "Replaces a snapshot's pairs.",
    )
    .body(bodies::metadata),
    op(
        "get",
        "/v3/snapshots/{snapshot_id}/metadata/{key}",
        "Shows one pair of a snapshot.",
    ),
    op(
        "put",
        "/v3/snapshots/{snapshot_id}/metadata/{key}",
        "Sets one pair of a snapshot.",
    )
    .body(bodies::meta),
    op(
        "delete",
        "/v3/snapshots/{snapshot_id}/metadata/{key}",
        "Removes one pair of a snapshot.",
    ),
    op("get", "/v3/attachments", "Lists attachments.").query(LISTING),
    op("post", "/v3/attachments", "Attaches a volume.").body(bodies::create_attachment),
    op(
        "get",
        "/v3/attachments/detail",
        "Lists attachments in full.",
    )
    .query(LISTING),
    op(
        "get",
        "/v3/attachments/{attachment_id}",
        "Shows an attachment.",
    ),
    op(
        "put",
        "/v3/attachments/{attachment_id}",
        "Says who connects to an attachment.",
    )
    .body(bodies::connector),
    op("delete", "/v3/attachments/{attachment_id}", "Detaches."),
    op(
        "post",
        "/v3/attachments/{attachment_id}/action",
        "Completes an attachment.",
    )
    .body(bodies::complete_attachment)
    .answers(&[204]),
    op("get", "/v3/types", "Lists volume types.").query(PUBLIC),
    op("post", "/v3/types", "Makes a volume type.").body(bodies::volume_type),
    op("get", "/v3/types/{type_id}", "Shows a volume type."),
    op("put", "/v3/types/{type_id}", "Changes a volume type.").body(bodies::update_type),
    op("delete", "/v3/types/{type_id}", "Removes a volume type.").answers(&[202]),
    op(
        "post",
        "/v3/types/{type_id}/action",
        "Says who may use a volume type.",
    )
    .body(bodies::type_access)
    .answers(&[202]),
    op(
        "get",
        "/v3/types/{type_id}/os-volume-type-access",
        "Lists who may use a volume type.",
    ),
    op(
        "get",
        "/v3/types/{type_id}/encryption",
        "Shows how a volume type encrypts: it does not.",
    ),
    op(
        "get",
        "/v3/types/{type_id}/extra_specs",
        "Shows a volume type's specs.",
    ),
    op(
        "post",
        "/v3/types/{type_id}/extra_specs",
        "Adds specs to a volume type.",
    )
    .body(bodies::extra_specs),
    op(
        "get",
        "/v3/types/{type_id}/extra_specs/{key}",
        "Shows one spec of a volume type.",
    ),
    op(
        "put",
        "/v3/types/{type_id}/extra_specs/{key}",
        "Sets one spec of a volume type.",
    )
    .body(bodies::pairs),
    op(
        "delete",
        "/v3/types/{type_id}/extra_specs/{key}",
        "Removes one spec of a volume type.",
    )
    .answers(&[202]),
    op(
        "get",
        "/v3/os-quota-sets/{target_project_id}",
        "Shows a project's quotas.",
    )
    .query(USAGE),
    op(
        "put",
        "/v3/os-quota-sets/{target_project_id}",
        "Sets a project's quotas.",
    )
    .body(bodies::quota_set),
    op(
        "delete",
        "/v3/os-quota-sets/{target_project_id}",
        "Gives a project the default quotas again.",
    ),
    op(
        "get",
        "/v3/os-quota-sets/{target_project_id}/defaults",
        "Shows the default quotas.",
    ),
    op(
        "get",
        "/v3/os-quota-class-sets/{class_name}",
        "Shows the quotas of a class.",
    ),
    op(
        "put",
        "/v3/os-quota-class-sets/{class_name}",
        "Sets the quotas of a class.",
    )
    .body(bodies::quota_class_set),
    op("get", "/v3/os-services", "Lists the parts of the service.").query(SERVICES),
    op(
        "put",
        "/v3/os-services/{verb}",
        "Switches a part of the service on or off.",
    )
    .body(bodies::service_switch),
    op("get", "/v3/messages", "Lists messages about what failed.").query(LISTING),
    op("get", "/v3/messages/{message_id}", "Shows a message."),
    op("delete", "/v3/messages/{message_id}", "Removes a message.").answers(&[204]),
    op(
        "get",
        "/v3/scheduler-stats/get_pools",
        "Lists where volumes are kept.",
    )
    .query(DETAIL),
    op(
        "get",
        "/v3/os-availability-zone",
        "Lists availability zones.",
    ),
    op(
        "get",
        "/v3/limits",
        "Shows limits and what is used of them.",
    )
    .query(OTHER_PROJECT),
    op(
        "get",
        "/v3/extensions",
        "Lists the extensions that are served.",
    ),
    op("get", "/v3/extensions/{alias}", "Shows an extension."),
    op(
        "get",
        "/v3/resource_filters",
        "Lists what lists can be filtered by.",
    )
    .query(FILTERS),
    op(
        "get",
        "/v3/os-volume-transfer",
        "Lists transfers: there are none.",
    ),
    op(
        "get",
        "/v3/os-volume-transfer/detail",
        "Lists transfers: there are none.",
    ),
    op(
        "get",
        "/v3/volume-transfers",
        "Lists transfers: there are none.",
    ),
    op(
        "get",
        "/v3/volume-transfers/detail",
        "Lists transfers: there are none.",
    ),
    op(
        "get",
        "/v3/qos-specs",
        "Lists specs of quality: there are none.",
    ),
    op("get", "/v3/groups", "Lists groups: there are none."),
    op("get", "/v3/groups/detail", "Lists groups: there are none."),
    op(
        "get",
        "/v3/group_types",
        "Lists types of groups: there are none.",
    ),
    op(
        "get",
        "/v3/group_snapshots",
        "Lists snapshots of groups: there are none.",
    ),
    op(
        "get",
        "/v3/group_snapshots/detail",
        "Lists snapshots of groups: there are none.",
    ),
    op(
        "get",
        "/v3/consistencygroups",
        "Lists consistency groups: there are none.",
    ),
    op(
        "get",
        "/v3/consistencygroups/detail",
        "Lists consistency groups: there are none.",
    ),
    op(
        "get",
        "/v3/cgsnapshots",
        "Lists snapshots of consistency groups: there are none.",
    ),
    op(
        "get",
        "/v3/cgsnapshots/detail",
        "Lists snapshots of consistency groups: there are none.",
    ),
];
