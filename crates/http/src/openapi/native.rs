//! What the native API serves, and what the service tells of itself.

use emberkeep_wire::native::EXTENTS_CONTENT_TYPE;

use super::schema::Kind::{Flag, Text, Uuid, Whole};
use super::schema::{Param, may, must};
use super::{Operation, bodies, op};

const TASKS: &[Param] = &[
    may("kind", Text),
    may("status", Text),
    may("volume_id", Uuid),
    may("backup_id", Uuid),
    may("vault_id", Uuid),
    may("checkpoint_id", Uuid),
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("marker", Uuid),
];
const BACKUPS: &[Param] = &[
    may("vault_id", Uuid),
    may("volume_id", Uuid),
    may("name", Text),
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("marker", Uuid),
];
const INVENTORY: &[Param] = &[
    may("name", Text),
    may("limit", Whole(1, 1000)),
    may("offset", Whole(0, 1000)),
    may("marker", Uuid),
];
const IMPORT: &[Param] = &[
    must("size_bytes", Whole(1, 1 << 40)),
    may("name", Text),
    may("description", Text),
    may("volume_type", Text),
];

const ERASE: &[Param] = &[must("project_id", Text), may("confirm", Text)];
const EXPORT: &[Param] = &[
    must("backup_id", Uuid),
    may("writable", Flag),
    may("instant", Flag),
];

pub(super) const OPERATIONS: &[Operation] = &[
    op("get", "/tasks", "Lists tasks of every kind.").query(TASKS),
    op("get", "/tasks/{id}", "Shows a task with its progress."),
    op("post", "/tasks/{id}/cancel", "Asks a task to stop.").answers(&[202]),
    op("post", "/sweep", "Asks for space to be given back.").answers(&[202]),
    op("get", "/workers", "Lists the service's background workers."),
    op("get", "/backups", "Lists backups with what they cost.").query(BACKUPS),
    op("get", "/backups/{id}", "Shows a backup with what it cost."),
    op("get", "/backups/{id}/data", "Streams a backup's bytes.").kind(EXTENTS_CONTENT_TYPE),
    op(
        "get",
        "/backups/{id}/origin",
        "Tells where an imported backup lies.",
    ),
    op(
        "post",
        "/backups/{id}/adopt",
        "Takes an imported backup into the repository.",
    )
    .answers(&[202]),
    op(
        "post",
        "/erase",
        "Erases all that a project has stored, or tells what that would be.",
    )
    .query(ERASE),
    op("get", "/exports", "Lists backups served as block devices."),
    op("post", "/exports", "Serves a backup as a block device.")
        .query(EXPORT)
        .answers(&[201]),
    op(
        "delete",
        "/exports/{id}",
        "Ends serving a backup as a block device.",
    )
    .answers(&[204]),
    op(
        "get",
        "/policies/{id}/preview",
        "Shows what a policy will do.",
    ),
    op(
        "post",
        "/policies/{id}/preview",
        "Shows what a policy would do with other rules.",
    )
    .body(bodies::policy_trial),
    op(
        "put",
        "/policies/{id}/zone",
        "Sets the time zone of a policy.",
    )
    .body(bodies::policy_zone),
    op(
        "get",
        "/volumes/{id}/path",
        "Tells where a volume's bytes lie.",
    ),
    op("get", "/file-systems", "Lists file systems.").query(INVENTORY),
    op(
        "post",
        "/file-systems",
        "Registers a directory as a file system.",
    )
    .body(bodies::new_file_system)
    .answers(&[201]),
    op("get", "/file-systems/{id}", "Shows a file system."),
    op(
        "delete",
        "/file-systems/{id}",
        "Forgets a file system, not its files.",
    )
    .answers(&[204]),
    op(
        "post",
        "/vaults/{id}/freeze",
        "Stops a vault: it keeps everything as it is.",
    )
    .body(bodies::vault_freeze),
    op(
        "post",
        "/vaults/{id}/thaw",
        "Lets a frozen or failed vault go on.",
    ),
    op("get", "/servers", "Lists servers.").query(INVENTORY),
    op("post", "/servers", "Makes a server of volumes.")
        .body(bodies::new_server)
        .answers(&[201]),
    op("get", "/servers/{id}", "Shows a server with its volumes."),
    op(
        "delete",
        "/servers/{id}",
        "Deletes a server, not its volumes.",
    )
    .answers(&[204]),
    op("post", "/servers/{id}/volumes", "Adds volumes to a server.").body(bodies::server_volumes),
    op(
        "post",
        "/servers/{id}/volumes/remove",
        "Takes volumes out of a server.",
    )
    .body(bodies::server_volumes),
    op("get", "/volumes/{id}/data", "Streams a volume's bytes.").kind(EXTENTS_CONTENT_TYPE),
    op(
        "post",
        "/volumes/import",
        "Makes a volume of a stream of bytes.",
    )
    .query(IMPORT)
    .body(bodies::stream)
    .kind(EXTENTS_CONTENT_TYPE)
    .answers(&[201]),
];

pub(super) const SERVICE: &[Operation] = &[
    op("get", "/", "Leads to the console.")
        .answers(&[303])
        .open(),
    op("get", "/openapi.json", "Shows this document.").open(),
    op("get", "/healthz", "Says that the process lives.")
        .open()
        .kind("text/plain"),
    op("get", "/readyz", "Says whether requests can be served.")
        .open()
        .kind("text/plain"),
    op("get", "/metrics", "Shows what is counted.")
        .open()
        .kind("text/plain"),
    op("get", "/console", "Shows the page for people.")
        .open()
        .kind("text/html"),
    op("get", "/console/app.js", "A part of that page.")
        .open()
        .kind("text/javascript"),
    op("get", "/console/style.css", "A part of that page.")
        .open()
        .kind("text/css"),
];
