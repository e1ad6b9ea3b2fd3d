//! The CBR API under `/cbr`: vaults, checkpoints, backups, policies, shares, tags and tasks. What it refuses, unknown
//! paths and methods too, it refuses in CBR's own form; start at `edge.rs`.

mod backups;
mod checkpoints;
mod edge;
mod members;
mod policies;
mod protectables;
mod refusal;
mod replicate;
mod tags;
mod tasks;
mod vault_calls;
mod vaults;

use axum::Json;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::from_fn;
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use emberkeep_model::Tag;
use emberkeep_wire::cbr::{self as wire, bodies};
use schemars::{Schema, SchemaGenerator, json_schema};

use crate::endpoint::{AxumRow, delete, get, post, put};
use crate::param::Kind::{Flag, Text, Uuid, Whole, Words};
use crate::param::{Param, may};
use crate::routes::Routes;
use crate::{App, base_url};
use refusal::Refusal;

/// Words in the place of a vault's id that name calls we do not have.
const OTHER_VAULT_CALLS: [&str; 3] = ["change-charge-mode", "external", "order"];

/// Returns the routes, to be nested at `/cbr`.
pub fn router() -> Routes {
    Routes::of(rows()).shaped(|mut router| {
        for call in OTHER_VAULT_CALLS {
            router = router.route(&format!("/v3/{{project}}/vaults/{call}"), any(no_route));
        }
        router
            .fallback(no_route)
            .method_not_allowed_fallback(no_route)
            .layer(from_fn(edge::name_request))
    })
}

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
/// Every endpoint.
fn rows() -> Vec<AxumRow> {
    vec![
        get("/", versions)
            .about("Tells which versions there are.")
            .shape(300, wire::versions_schema)
            .open(),
        get("/v3", versions)
            .about("Tells which versions there are.")
            .shape(300, wire::versions_schema)
            .open(),
        get("/v3/", versions)
            .about("Tells which versions there are.")
            .shape(300, wire::versions_schema)
            .open(),
        get("/v3/{project}/vaults", vaults::list)
            .about("Lists vaults.")
            .rules(&["cbr:vaults:list"])
            .query(VAULTS)
            .gives::<wire::Page<'static, wire::Vault>>(200),
        post("/v3/{project}/vaults", vaults::create)
            .about("Makes a vault.")
            .rules(&["cbr:vaults:create"])
            .takes(bodies::create_vault)
            .keyed::<wire::Vault>(200),
        get("/v3/{project}/vaults/{id}", vaults::show)
            .about("Shows a vault.")
            .rules(&["cbr:vaults:get"])
            .keyed::<wire::Vault>(200),
        put("/v3/{project}/vaults/{id}", vaults::update)
            .about("Changes a vault.")
            .rules(&["cbr:vaults:update"])
            .takes(bodies::update_vault)
            .keyed::<wire::Vault>(200),
        delete("/v3/{project}/vaults/{id}", vaults::delete)
            .about("Deletes a vault with its backups.")
            .rules(&["cbr:vaults:delete"])
            .empty(204),
        post(
            "/v3/{project}/vaults/{id}/addresources",
            vaults::add_resources,
        )
        .about("Puts resources into a vault.")
        .takes(bodies::add_resources)
        .gives::<wire::ResourcesAdded>(200),
        post(
            "/v3/{project}/vaults/{id}/removeresources",
            vaults::remove_resources,
        )
        .about("Takes resources out of a vault.")
        .takes(bodies::resource_ids)
        .gives::<wire::ResourcesRemoved>(200),
        get("/v3/{project}/vaults/summary", vault_calls::summary)
            .about("Counts vaults by state.")
            .rules(&["cbr:vaults:list"])
            .gives::<wire::VaultsSummary>(200),
        put("/v3/{project}/vaults/batch-update", vault_calls::update_all)
            .about("Changes all vaults.")
            .rules(&["cbr:vaults:update"])
            .takes(bodies::update_vaults)
            .gives::<wire::VaultsUpdated>(200),
        post(
            "/v3/{project}/vaults/{id}/migrateresources",
            vault_calls::migrate,
        )
        .about("Moves resources to another vault.")
        .takes(bodies::migrate_resources)
        .gives::<wire::ResourcesMigrated>(200),
        put(
            "/v3/{project}/vaults/{id}/set-resources",
            vault_calls::set_resources,
        )
        .about("Lets schedules leave resources out, or not.")
        .rules(&["cbr:vaults:update"])
        .takes(bodies::set_resources)
        .gives::<wire::ResourcesSet>(200),
        put(
            "/v3/{project}/vaults/{id}/update-backup-expiration-time",
            vault_calls::move_expiry,
        )
        .about("Moves the expiry of a vault's backups.")
        .rules(&["cbr:vaults:update"])
        .takes(bodies::move_expiry)
        .gives::<wire::ExpiryMoved>(200),
        post(
            "/v3/{project}/vaults/{id}/associatepolicy",
            policies::associate,
        )
        .about("Binds a policy.")
        .takes(bodies::policy_bound)
        .gives::<wire::PolicyAssociated>(200),
        post(
            "/v3/{project}/vaults/{id}/dissociatepolicy",
            policies::dissociate,
        )
        .about("Releases a policy.")
        .takes(bodies::policy_bound)
        .gives::<wire::PolicyDissociated>(200),
        get("/v3/{project}/policies", policies::list)
            .about("Lists policies.")
            .rules(&["cbr:policies:list"])
            .query(POLICIES)
            .gives::<wire::Page<'static, wire::Policy>>(200),
        post("/v3/{project}/policies", policies::create)
            .about("Makes a policy.")
            .rules(&["cbr:policies:create"])
            .takes(bodies::create_policy)
            .keyed::<wire::Policy>(200),
        get("/v3/{project}/policies/{id}", policies::show)
            .about("Shows a policy.")
            .rules(&["cbr:policies:get"])
            .keyed::<wire::Policy>(200),
        put("/v3/{project}/policies/{id}", policies::update)
            .about("Changes a policy.")
            .rules(&["cbr:policies:update"])
            .takes(bodies::update_policy)
            .keyed::<wire::Policy>(200),
        delete("/v3/{project}/policies/{id}", policies::delete)
            .about("Deletes a policy.")
            .rules(&["cbr:policies:delete"])
            .empty(204),
        get("/v3/{project}/vault/tags", tags::of_project)
            .about("Lists the tags of a project's vaults.")
            .rules(&["cbr:vaults:listProjectTags"])
            .keyed::<Vec<wire::ProjectTag>>(200),
        post("/v3/{project}/vault/resource_instances/action", tags::find)
            .about("Finds vaults by their tags.")
            .takes(bodies::find_by_tags)
            .shape(200, found_by_tags),
        get("/v3/{project}/vault/{id}/tags", tags::list)
            .about("Lists the tags of a vault.")
            .rules(&["cbr:vaults:getTags"])
            .keyed::<Vec<Tag>>(200),
        post("/v3/{project}/vault/{id}/tags", tags::set)
            .about("Sets a tag of a vault.")
            .rules(&["cbr:vaults:setTags"])
            .takes(bodies::set_tag)
            .empty(204),
        post("/v3/{project}/vault/{id}/tags/action", tags::act)
            .about("Sets or removes tags of a vault.")
            .takes(bodies::act_on_tags)
            .empty(204),
        delete("/v3/{project}/vault/{id}/tags/{name}", tags::delete)
            .about("Removes a tag of a vault.")
            .rules(&["cbr:vaults:deleteTags"])
            .empty(204),
        get("/v3/{project}/backups/{id}/members", members::list)
            .about("Lists whom a backup is shared with.")
            .rules(&["cbr:member:list"])
            .query(MEMBERS)
            .gives::<wire::Page<'static, wire::Member>>(200),
        post("/v3/{project}/backups/{id}/members", members::add)
            .about("Shares a backup.")
            .rules(&["cbr:member:create"])
            .takes(bodies::add_members)
            .gives::<wire::Page<'static, wire::Member>>(200),
        get("/v3/{project}/backups/{id}/members/{name}", members::show)
            .about("Shows a share.")
            .rules(&["cbr:member:list"])
            .keyed::<wire::Member>(200),
        put("/v3/{project}/backups/{id}/members/{name}", members::answer)
            .about("Takes a share, or does not.")
            .rules(&["cbr:member:update"])
            .takes(bodies::answer_member)
            .keyed::<wire::Member>(200),
        delete("/v3/{project}/backups/{id}/members/{name}", members::delete)
            .about("Ends a share.")
            .rules(&["cbr:member:delete"])
            .empty(204),
        get(
            "/v3/{project}/protectables/{name}/instances",
            protectables::list,
        )
        .about("Lists what can be protected.")
        .rules(&["cbr:vaults:listProtectables"])
        .query(PROTECTABLES)
        .gives::<wire::Page<'static, wire::Instance>>(200),
        get(
            "/v3/{project}/protectables/{name}/instances/{id}",
            protectables::show,
        )
        .about("Shows one thing that can be protected.")
        .keyed::<wire::Instance>(200),
        get("/v3/{project}/storage_usage", vault_calls::storage_usage)
            .about("Lists what backups take.")
            .rules(&["cbr:vaults:list"])
            .query(USAGE)
            .gives::<wire::StorageUsagePage>(200),
        get(
            "/v3/{project}/replication-capabilities",
            vault_calls::capabilities,
        )
        .about("Lists where copies can go.")
        .keyed::<Vec<wire::ReplicationRegion>>(200),
        get("/v3/{project}/cbr-features", vault_calls::all_features)
            .about("Lists what this region can do.")
            .gives::<wire::Features>(200),
        get("/v3/{project}/cbr-features/{name}", vault_calls::feature)
            .about("Tells whether this region can do one thing.")
            .shape(200, one_feature),
        post("/v3/{project}/checkpoints", checkpoints::create)
            .about("Backs a vault up.")
            .rules(&["cbr:vaults:backup"])
            .takes(bodies::create_checkpoint)
            .keyed::<wire::Checkpoint>(200),
        post("/v3/{project}/checkpoints/replicate", replicate::vault)
            .about("Copies a vault's backups to another region.")
            .rules(&["cbr:vaults:replicate"])
            .takes(bodies::replicate_vault)
            .keyed::<wire::Replication>(200),
        post("/v3/{project}/checkpoints/sync", replicate::sync_vault)
            .about("Asks what became of a vault's copies.")
            .takes(bodies::sync_vault)
            .keyed::<wire::VaultSync>(200),
        post("/v3/{project}/backups/sync", replicate::sync_backups)
            .about("Asks what became of the copies of backups.")
            .takes(bodies::sync_backups)
            .keyed::<Vec<wire::BackupSync>>(200),
        post("/v3/{project}/backups/{id}/replicate", replicate::backup)
            .about("Copies a backup to another region.")
            .rules(&["cbr:backups:replicate"])
            .takes(bodies::replicate_backup)
            .keyed::<wire::Replication>(200),
        get("/v3/{project}/checkpoints/{id}", checkpoints::show)
            .about("Shows a checkpoint.")
            .rules(&["cbr:vaults:get"])
            .keyed::<wire::Checkpoint>(200),
        get("/v3/{project}/backups", backups::list)
            .about("Lists backups.")
            .rules(&["cbr:backups:list"])
            .query(BACKUPS)
            .gives::<wire::Page<'static, wire::Backup>>(200),
        get("/v3/{project}/backups/{id}", backups::show)
            .about("Shows a backup.")
            .rules(&["cbr:backups:get"])
            .keyed::<wire::Backup>(200),
        put("/v3/{project}/backups/{id}", backups::rename)
            .about("Renames a backup.")
            .rules(&["backup:update"])
            .takes(bodies::rename)
            .keyed::<wire::Backup>(200),
        delete("/v3/{project}/backups/{id}", backups::delete)
            .about("Deletes a backup.")
            .rules(&["cbr:backups:delete"])
            .empty(204),
        post("/v3/{project}/backups/{id}/restore", backups::restore)
            .about("Puts a backup back.")
            .rules(&["cbr:backups:restore"])
            .takes(bodies::restore)
            .gives::<wire::RestoreBegun>(202),
        get("/v3/{project}/backups/{id}/metadata", backups::metadata)
            .about("Tells what a backup remembers of its server.")
            .gives::<wire::BackupMetadata>(200),
        get("/v3/{project}/operation-logs", tasks::list)
            .about("Lists tasks.")
            .rules(&["cbr:tasks:list"])
            .query(TASKS)
            .gives::<wire::Page<'static, wire::Task>>(200),
        get("/v3/{project}/operation-logs/{id}", tasks::show)
            .about("Shows a task.")
            .rules(&["cbr:tasks:get"])
            .keyed::<wire::Task>(200),
    ]
}

/// What a search by tags answers: the vaults, or how many there are.
fn found_by_tags(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [
        generator.subschema_for::<wire::TaggedVaults>(),
        generator.subschema_for::<wire::TaggedCount>(),
    ]})
}

/// What one feature looks like: its name and what there is of it.
fn one_feature(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": true})
}

async fn no_route() -> Refusal {
    Refusal::NoRoute
}

async fn versions(State(app): State<App>, headers: HeaderMap) -> Response {
    let document = wire::versions(&format!("{}/cbr", base_url(&headers, &app)));
    (StatusCode::MULTIPLE_CHOICES, Json(document)).into_response()
}
