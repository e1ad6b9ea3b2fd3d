//! The native API under `/api/v1`: what neither Block Storage nor CBR can say. Start at `edge.rs`.

mod backups;
mod data;
mod edge;
mod erasure;
mod exports;
mod file_systems;
mod inventory;
mod policies;
mod servers;
mod tasks;
mod vaults;
mod workers;

use axum::middleware::from_fn_with_state;
use emberkeep_wire::native::{self as wire, EXTENTS_CONTENT_TYPE, bodies};

use crate::endpoint::{AxumRow, delete, get, post, put};
use crate::guard::guard_stream;
use crate::param::Kind::{Flag, Text, Uuid, Whole};
use crate::param::{Param, may, must};
use crate::routes::Routes;
use crate::{Form, guard};
use edge::Refusal;

/// Returns the routes, to be nested at `/api/v1`.
pub fn router() -> Routes {
    let streams = Routes::of(streams()).shaped(|router| {
        router
            .method_not_allowed_fallback(no_method)
            .layer(from_fn_with_state(Form::Native, guard_stream))
    });
    Routes::of(rows())
        .shaped(|router| {
            router
                .fallback(no_route)
                .method_not_allowed_fallback(no_method)
                .layer(from_fn_with_state(Form::Native, guard))
        })
        // A stream takes as long as it takes; it only may not stand still.
        .merge(streams)
}

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
/// What is answered within the usual time.
fn rows() -> Vec<AxumRow> {
    vec![
        get("/tasks", tasks::list)
            .about("Lists tasks of every kind.")
            .rules(&["cbr:tasks:list"])
            .query(tasks::PARAMS)
            .gives::<wire::TaskPage>(200),
        get("/tasks/{id}", tasks::show)
            .about("Shows a task with its progress.")
            .rules(&["cbr:tasks:get"])
            .gives::<wire::Task>(200),
        post("/tasks/{id}/cancel", tasks::cancel)
            .about("Asks a task to stop.")
            .rules(&["task:cancel"])
            .empty(202),
        post("/sweep", tasks::sweep)
            .about("Asks for space to be given back.")
            .rules(&["repository:sweep"])
            .gives::<wire::TaskBegun>(202),
        get("/workers", workers::list)
            .about("Lists the service's background workers.")
            .rules(&["workers:get_all"])
            .gives::<wire::WorkerList>(200),
        post("/erase", erasure::erase)
            .about("Erases all that a project has stored, or tells what that would be.")
            .rules(&["project:erase"])
            .query(ERASE)
            .gives::<wire::Erasure>(200),
        get("/exports", exports::list)
            .about("Lists backups served as block devices.")
            .rules(&["export:get_all"])
            .gives::<wire::ExportPage>(200),
        post("/exports", exports::begin)
            .about("Serves a backup as a block device.")
            .rules(&["export:create", "backup:restore"])
            .query(EXPORT)
            .gives::<wire::Export>(201),
        delete("/exports/{id}", exports::end)
            .about("Ends serving a backup as a block device.")
            .rules(&["export:delete", "backup:restore"])
            .empty(204),
        get("/backups", inventory::backups)
            .about("Lists backups with what they cost.")
            .rules(&["backup:get_all"])
            .query(BACKUPS)
            .gives::<wire::BackupPage>(200),
        get("/backups/{id}", backups::show)
            .about("Shows a backup with what it cost.")
            .rules(&["backup:get"])
            .gives::<wire::Backup>(200),
        post("/backups/{id}/adopt", backups::adopt)
            .about("Takes an imported backup into the repository.")
            .rules(&["backup:create"])
            .gives::<wire::AdoptBegun>(202),
        get("/backups/{id}/origin", backups::origin)
            .about("Shows what another service needs to know to import the backup.")
            .rules(&["backup:get"])
            .gives::<wire::BackupOrigin>(200),
        get("/policies/{id}/preview", policies::preview)
            .about("Shows what a policy will do.")
            .rules(&["cbr:policies:get"])
            .gives::<wire::PolicyPreview>(200),
        post("/policies/{id}/preview", policies::attempt)
            .about("Shows what a policy would do with other rules.")
            .rules(&["cbr:policies:get"])
            .takes(bodies::policy_trial)
            .gives::<wire::PolicyPreview>(200),
        put("/policies/{id}/zone", policies::set_zone)
            .about("Sets the time zone of a policy.")
            .rules(&["cbr:policies:update"])
            .takes(bodies::policy_zone)
            .gives::<wire::PolicyZone>(200),
        get("/volumes/{id}/path", inventory::path)
            .about("Tells where a volume's bytes lie.")
            .rules(&["volume:get", "volume:host_path"])
            .gives::<wire::VolumePath>(200),
        get("/file-systems", file_systems::list)
            .about("Lists file systems.")
            .rules(&["file_systems:list", "file_system:host_path"])
            .query(INVENTORY)
            .gives::<wire::FileSystemPage>(200),
        post("/file-systems", file_systems::create)
            .about("Registers a directory as a file system.")
            .rules(&["file_systems:create"])
            .takes(bodies::new_file_system)
            .gives::<wire::FileSystem>(201),
        get("/file-systems/{id}", file_systems::show)
            .about("Shows a file system.")
            .rules(&["file_systems:get", "file_system:host_path"])
            .gives::<wire::FileSystem>(200),
        delete("/file-systems/{id}", file_systems::delete)
            .about("Forgets a file system, not its files.")
            .rules(&["file_systems:delete"])
            .empty(204),
        post("/vaults/{id}/freeze", vaults::freeze)
            .about("Stops a vault: it keeps everything as it is.")
            .rules(&["vaults:freeze"])
            .takes(bodies::vault_freeze)
            .gives::<wire::VaultStanding>(200),
        post("/vaults/{id}/thaw", vaults::thaw)
            .about("Lets a frozen or failed vault go on.")
            .rules(&["vaults:thaw"])
            .gives::<wire::VaultStanding>(200),
        get("/servers", servers::list)
            .about("Lists servers.")
            .rules(&["servers:list"])
            .query(INVENTORY)
            .gives::<wire::ServerPage>(200),
        post("/servers", servers::create)
            .about("Makes a server of volumes.")
            .rules(&["servers:create"])
            .takes(bodies::new_server)
            .gives::<wire::Server>(201),
        get("/servers/{id}", servers::show)
            .about("Shows a server with its volumes.")
            .rules(&["servers:get"])
            .gives::<wire::Server>(200),
        delete("/servers/{id}", servers::delete)
            .about("Deletes a server, not its volumes.")
            .rules(&["servers:delete"])
            .empty(204),
        post("/servers/{id}/volumes", servers::add_volumes)
            .about("Adds volumes to a server.")
            .rules(&["servers:update"])
            .takes(bodies::server_volumes)
            .gives::<wire::Server>(200),
        post("/servers/{id}/volumes/remove", servers::remove_volumes)
            .about("Takes volumes out of a server.")
            .rules(&["servers:update"])
            .takes(bodies::server_volumes)
            .gives::<wire::Server>(200),
    ]
}
/// What streams.
fn streams() -> Vec<AxumRow> {
    vec![
        post("/volumes/import", data::import)
            .about("Makes a volume of a stream of bytes.")
            .rules(&["volume:create"])
            .query(IMPORT)
            .takes_kind(EXTENTS_CONTENT_TYPE, bodies::stream)
            .gives::<wire::Volume>(201),
        get("/volumes/{id}/data", data::export)
            .about("Streams a volume's bytes.")
            .rules(&["volume:get", "volume:read_data"])
            .text(EXTENTS_CONTENT_TYPE),
        get("/backups/{id}/data", backups::data)
            .about("Streams a backup's bytes.")
            .rules(&["backup:read_data", "backup:restore"])
            .text(EXTENTS_CONTENT_TYPE),
    ]
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn no_method() -> Refusal {
    Refusal::NoMethod
}
