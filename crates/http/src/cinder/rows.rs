//! Every endpoint of Block Storage: what answers it, and all that is known of it.

use std::collections::BTreeMap;

use emberkeep_wire::cinder::{self as wire, Resource, bodies};
use emberkeep_wire::keyed::Under;
use futures::future::{BoxFuture, ready as at_once};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::call::{self, Answer};
use super::row::{CinderRow, Document, Handler, Owner};
use super::{
    attachments, backups, documents, extras, messages, metadata, quotas, services, snapshots,
    types, volumes,
};
use crate::endpoint::{Endpoint, Row, Verb};
use crate::param::Kind::{Flag, Text};
use crate::param::{Param, may};

const ALL_TENANTS: &[Param] = &[may("all_tenants", Flag)];
const FORCE: &[Param] = &[may("cascade", Flag), may("force", Flag)];
const USAGE: &[Param] = &[may("usage", Flag)];
const OTHER_PROJECT: &[Param] = &[may("project_id", Text)];
const FILTERS: &[Param] = &[may("resource", Text)];
const SERVICES: &[Param] = &[may("host", Text), may("binary", Text)];
const DETAIL: &[Param] = &[may("detail", Flag)];

fn get(path: &str, handler: Handler) -> CinderRow {
    Row::new(Verb::Get, path, handler)
}

fn post(path: &str, handler: Handler) -> CinderRow {
    Row::new(Verb::Post, path, handler)
}

fn put(path: &str, handler: Handler) -> CinderRow {
    Row::new(Verb::Put, path, handler)
}

fn delete(path: &str, handler: Handler) -> CinderRow {
    Row::new(Verb::Delete, path, handler)
}

/// What an action on a volume answers, if it says something.
fn acted(generator: &mut SchemaGenerator) -> Schema {
    json_schema!({"anyOf": [
        generator.subschema_for::<Under<'_, wire::ConnectionInfo>>(),
        generator.subschema_for::<wire::MetadataBody>(),
    ]})
}

/// A list that is always empty.
fn nothing(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": {"type": "array", "maxItems": 0},
    })
}

/// Answers what needs no waiting.
fn ready<'a>(answer: Answer) -> BoxFuture<'a, Answer> {
    Box::pin(at_once(answer))
}

/// Lists the endpoints below the mount point, as clients spell them: with and without the project in the path.
pub(super) fn endpoints() -> impl Iterator<Item = Endpoint> {
    let api = table().into_iter().flat_map(|row| {
        ["/v3", "/v3/{project_id}"].map(|root| Endpoint {
            path: format!("{root}{}", row.endpoint.path),
            ..row.endpoint.clone()
        })
    });
    documents().into_iter().map(|row| row.endpoint).chain(api)
}

/// The documents, which need neither a token nor a project.
pub(super) fn documents() -> Vec<Row<Document>> {
    let get = |path, document: Document| Row::new(Verb::Get, path, document);
    vec![
        get("/", documents::choices)
            .about("Tells which versions there are.")
            .gives::<wire::Versions>(300)
            .open(),
        get("/v3", documents::redirect)
            .about("Leads to the version document.")
            .empty(302)
            .open(),
        get("/v3/", documents::versions)
            .about("Shows the version document.")
            .gives::<wire::Versions>(200)
            .open(),
        get("/healthcheck", documents::health)
            .about("Says that the API answers.")
            .text("text/plain")
            .open(),
    ]
}

/// Every endpoint below the project.
pub(super) fn table() -> Vec<CinderRow> {
    vec![
        get("/backups", |call, _| Box::pin(backups::list(call, false)))
            .about("Lists backups.")
            .rules(&["backup:get_all", "backup:backup_project_attribute"])
            .extensions(&["backups"])
            .lists::<wire::BackupSummary>(Resource::Backup),
        post("/backups", |call, _| Box::pin(backups::create(call)))
            .about("Asks for a backup of a volume.")
            .rules(&["backup:create"])
            .extensions(&["backups"])
            .takes(bodies::create_backup)
            .keyed::<wire::BackupSummary>(202),
        get("/backups/detail", |call, _| {
            Box::pin(backups::list(call, true))
        })
        .about("Lists backups in full.")
        .rules(&["backup:get_all", "backup:backup_project_attribute"])
        .extensions(&["backups"])
        .lists::<wire::BackupDetail>(Resource::Backup),
        get("/backups/import_record", |call, _| {
            Box::pin(backups::show(call, "import_record"))
        })
        .about("Is no backup; says so.")
        .extensions(&["backups"]),
        post("/backups/import_record", |call, _| {
            Box::pin(backups::import(call))
        })
        .about("Brings a backup back from its record.")
        .rules(&["backup:backup-import"])
        .extensions(&["backups"])
        .takes(bodies::import_record)
        .keyed::<wire::BackupSummary>(201),
        get("/backups/{backup_id}", |call, at| {
            Box::pin(backups::show(call, at.id()))
        })
        .about("Shows a backup.")
        .rules(&["backup:get", "backup:backup_project_attribute"])
        .extensions(&["backups"])
        .keyed::<wire::BackupDetail>(200),
        put("/backups/{backup_id}", |call, at| {
            Box::pin(backups::update(call, at.id()))
        })
        .about("Changes a backup's name, text or pairs.")
        .since(9)
        .rules(&["backup:update"])
        .extensions(&["backups"])
        .takes(bodies::update_backup)
        .keyed::<wire::BackupSummary>(200),
        delete("/backups/{backup_id}", |call, at| {
            Box::pin(backups::delete(call, at.id()))
        })
        .about("Asks for a backup to be deleted.")
        .rules(&["backup:delete"])
        .extensions(&["backups"])
        .empty(202),
        post("/backups/{backup_id}/action", |call, at| {
            Box::pin(backups::act(call, at.id()))
        })
        .about("Resets a backup's status, or deletes it whatever its status.")
        .rules(&[
            "volume_extension:backup_admin_actions:reset_status",
            "volume_extension:backup_admin_actions:force_delete",
        ])
        .extensions(&["os-admin-actions"])
        .takes(bodies::backup_action)
        .empty(202),
        post("/backups/{backup_id}/restore", |call, at| {
            Box::pin(backups::restore(call, at.id()))
        })
        .about("Asks for a backup to be put back on a volume.")
        .rules(&["backup:restore", "volume:create"])
        .extensions(&["backups"])
        .takes(bodies::restore_backup)
        .keyed::<wire::RestoreStarted>(202),
        get("/backups/{backup_id}/export_record", |call, at| {
            Box::pin(backups::export(call, at.id()))
        })
        .about("Returns the record that a backup can be brought back from.")
        .rules(&["backup:export-import"])
        .extensions(&["backups"])
        .keyed::<wire::RecordView>(200),
        get("/backups/{backup_id}/metadata", |call, at| {
            Box::pin(metadata::all(call, Owner::Backup, at.id()))
        })
        .about("Shows a backup's pairs.")
        .rules(&["backup:get"])
        .gives::<wire::MetadataBody>(200),
        post("/backups/{backup_id}/metadata", |call, at| {
            Box::pin(metadata::add(call, Owner::Backup, at.id()))
        })
        .about("Adds pairs to a backup.")
        .rules(&["backup:get", "backup:update"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        put("/backups/{backup_id}/metadata", |call, at| {
            Box::pin(metadata::replace(call, Owner::Backup, at.id()))
        })
        .about("Replaces a backup's pairs.")
        .rules(&["backup:get", "backup:update"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        get("/backups/{backup_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::one(call, Owner::Backup, at.id(), at.key()))
        })
        .about("Shows one pair of a backup.")
        .rules(&["backup:get"])
        .gives::<wire::MetaBody>(200),
        post("/backups/{backup_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::set(call, Owner::Backup, at.id(), at.key()))
        })
        .about("Sets one pair of a backup.")
        .rules(&["backup:get", "backup:update"])
        .takes(bodies::meta)
        .gives::<wire::MetaBody>(200),
        put("/backups/{backup_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::set(call, Owner::Backup, at.id(), at.key()))
        })
        .about("Sets one pair of a backup.")
        .rules(&["backup:get", "backup:update"])
        .takes(bodies::meta)
        .gives::<wire::MetaBody>(200),
        delete("/backups/{backup_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::remove(call, Owner::Backup, at.id(), at.key()))
        })
        .about("Removes one pair of a backup.")
        .rules(&["backup:get", "backup:update"])
        .empty(200),
        get("/volumes", |call, _| Box::pin(volumes::list(call, false)))
            .about("Lists volumes.")
            .rules(&["volume:get_all"])
            .lists::<wire::VolumeSummary>(Resource::Volume),
        post("/volumes", |call, _| Box::pin(volumes::create(call)))
            .about("Asks for a volume: empty, or from a snapshot, a volume or a backup.")
            .rules(&["volume:create"])
            .takes(bodies::create_volume)
            .keyed::<wire::VolumeDetail>(202),
        get("/volumes/detail", |call, _| {
            Box::pin(volumes::list(call, true))
        })
        .about("Lists volumes in full.")
        .rules(&["volume:get_all"])
        .lists::<wire::VolumeDetail>(Resource::Volume),
        get("/volumes/summary", |call, _| {
            Box::pin(volumes::summary(call))
        })
        .about("Counts volumes and their size.")
        .since(12)
        .rules(&["volume:get_all"])
        .query(ALL_TENANTS)
        .keyed::<wire::VolumeTotals>(200),
        get("/volumes/{volume_id}", |call, at| {
            Box::pin(volumes::show(call, at.id()))
        })
        .about("Shows a volume.")
        .rules(&["volume:get"])
        .extensions(&[
            "os-vol-host-attr",
            "os-vol-image-meta",
            "os-vol-mig-status-attr",
            "os-vol-tenant-attr",
        ])
        .keyed::<wire::VolumeDetail>(200),
        put("/volumes/{volume_id}", |call, at| {
            Box::pin(volumes::update(call, at.id()))
        })
        .about("Changes a volume's name, text or pairs.")
        .rules(&["volume:update"])
        .takes(bodies::update_volume)
        .keyed::<wire::VolumeDetail>(200),
        delete("/volumes/{volume_id}", |call, at| {
            Box::pin(volumes::delete(call, at.id()))
        })
        .about("Asks for a volume to be deleted.")
        .rules(&["volume:delete", "volume:force_delete"])
        .query(FORCE)
        .empty(202),
        post("/volumes/{volume_id}/action", |call, at| {
            Box::pin(volumes::act(call, at.id()))
        })
        .about("Does something with a volume.")
        .rules(&[
            "volume:extend",
            "volume:force_delete",
            "volume:update_readonly_flag",
            "volume:retype",
            "volume_extension:volume_actions:set_bootable",
            "volume_extension:volume_actions:attach",
            "volume_extension:volume_actions:detach",
            "volume_extension:volume_actions:reserve",
            "volume_extension:volume_actions:unreserve",
            "volume_extension:volume_actions:begin_detaching",
            "volume_extension:volume_actions:roll_detaching",
            "volume_extension:volume_actions:initialize_connection",
            "volume_extension:volume_actions:terminate_connection",
            "volume_extension:volume_image_metadata",
            "volume_extension:volume_admin_actions:reset_status",
            "volume_extension:volume_admin_actions:force_delete",
            "volume_extension:volume_admin_actions:force_detach",
        ])
        .extensions(&["os-admin-actions", "os-volume-actions"])
        .takes(bodies::volume_action)
        .shape(200, acted)
        .empty(202),
        get("/volumes/{volume_id}/metadata", |call, at| {
            Box::pin(metadata::all(call, Owner::Volume, at.id()))
        })
        .about("Shows a volume's pairs.")
        .rules(&["volume:get"])
        .gives::<wire::MetadataBody>(200),
        post("/volumes/{volume_id}/metadata", |call, at| {
            Box::pin(metadata::add(call, Owner::Volume, at.id()))
        })
        .about("Adds pairs to a volume.")
        .rules(&["volume:get", "volume:update"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        put("/volumes/{volume_id}/metadata", |call, at| {
            Box::pin(metadata::replace(call, Owner::Volume, at.id()))
        })
        .about("Replaces a volume's pairs.")
        .rules(&["volume:get", "volume:update"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        get("/volumes/{volume_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::one(call, Owner::Volume, at.id(), at.key()))
        })
        .about("Shows one pair of a volume.")
        .rules(&["volume:get"])
        .gives::<wire::MetaBody>(200),
        put("/volumes/{volume_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::set(call, Owner::Volume, at.id(), at.key()))
        })
        .about("Sets one pair of a volume.")
        .rules(&["volume:get", "volume:update"])
        .takes(bodies::meta)
        .gives::<wire::MetaBody>(200),
        delete("/volumes/{volume_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::remove(call, Owner::Volume, at.id(), at.key()))
        })
        .about("Removes one pair of a volume.")
        .rules(&["volume:get", "volume:update"])
        .empty(200),
        get("/snapshots", |call, _| {
            Box::pin(snapshots::list(call, false))
        })
        .about("Lists snapshots.")
        .rules(&["volume:get_all_snapshots"])
        .lists::<wire::SnapshotView>(Resource::Snapshot),
        post("/snapshots", |call, _| Box::pin(snapshots::create(call)))
            .about("Asks for a snapshot of a volume.")
            .rules(&["volume:create_snapshot"])
            .takes(bodies::create_snapshot)
            .keyed::<wire::SnapshotView>(202),
        get("/snapshots/detail", |call, _| {
            Box::pin(snapshots::list(call, true))
        })
        .about("Lists snapshots in full.")
        .rules(&["volume:get_all_snapshots"])
        .lists::<wire::SnapshotView>(Resource::Snapshot),
        get("/snapshots/{snapshot_id}", |call, at| {
            Box::pin(snapshots::show(call, at.id()))
        })
        .about("Shows a snapshot.")
        .rules(&["volume:get_snapshot"])
        .extensions(&["os-extended-snapshot-attributes"])
        .keyed::<wire::SnapshotView>(200),
        put("/snapshots/{snapshot_id}", |call, at| {
            Box::pin(snapshots::update(call, at.id()))
        })
        .about("Changes a snapshot's name or text.")
        .rules(&["volume:update_snapshot"])
        .takes(bodies::update_snapshot)
        .keyed::<wire::SnapshotView>(200),
        delete("/snapshots/{snapshot_id}", |call, at| {
            Box::pin(snapshots::delete(call, at.id()))
        })
        .about("Asks for a snapshot to be deleted.")
        .rules(&["volume:delete_snapshot"])
        .empty(202),
        post("/snapshots/{snapshot_id}/action", |call, at| {
            Box::pin(snapshots::act(call, at.id()))
        })
        .about("Resets a snapshot's status, or deletes it whatever its status.")
        .rules(&[
            "volume_extension:snapshot_admin_actions:reset_status",
            "volume_extension:snapshot_admin_actions:force_delete",
            "snapshot_extension:snapshot_actions:update_snapshot_status",
        ])
        .extensions(&["os-admin-actions", "os-snapshot-actions"])
        .takes(bodies::snapshot_action)
        .empty(202),
        get("/snapshots/{snapshot_id}/metadata", |call, at| {
            Box::pin(metadata::all(call, Owner::Snapshot, at.id()))
        })
        .about("Shows a snapshot's pairs.")
        .rules(&["volume:get_snapshot"])
        .gives::<wire::MetadataBody>(200),
        post("/snapshots/{snapshot_id}/metadata", |call, at| {
            Box::pin(metadata::add(call, Owner::Snapshot, at.id()))
        })
        .about("Adds pairs to a snapshot.")
        .rules(&["volume:get_snapshot", "volume:update_snapshot"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        put("/snapshots/{snapshot_id}/metadata", |call, at| {
            Box::pin(metadata::replace(call, Owner::Snapshot, at.id()))
        })
        .about("Replaces a snapshot's pairs.")
        .rules(&["volume:get_snapshot", "volume:update_snapshot"])
        .takes(bodies::metadata)
        .gives::<wire::MetadataBody>(200),
        get("/snapshots/{snapshot_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::one(call, Owner::Snapshot, at.id(), at.key()))
        })
        .about("Shows one pair of a snapshot.")
        .rules(&["volume:get_snapshot"])
        .gives::<wire::MetaBody>(200),
        put("/snapshots/{snapshot_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::set(call, Owner::Snapshot, at.id(), at.key()))
        })
        .about("Sets one pair of a snapshot.")
        .rules(&["volume:get_snapshot", "volume:update_snapshot"])
        .takes(bodies::meta)
        .gives::<wire::MetaBody>(200),
        delete("/snapshots/{snapshot_id}/metadata/{key}", |call, at| {
            Box::pin(metadata::remove(call, Owner::Snapshot, at.id(), at.key()))
        })
        .about("Removes one pair of a snapshot.")
        .rules(&["volume:get_snapshot", "volume:update_snapshot"])
        .empty(200),
        get("/attachments", |call, _| {
            Box::pin(attachments::list(call, false))
        })
        .about("Lists attachments.")
        .since(27)
        .rules(&["volume:attachment_get"])
        .lists::<wire::AttachmentSummary>(Resource::Attachment),
        post("/attachments", |call, _| {
            Box::pin(attachments::create(call))
        })
        .about("Attaches a volume.")
        .since(27)
        .rules(&["volume:attachment_create"])
        .takes(bodies::create_attachment)
        .keyed::<wire::AttachmentDetail>(200),
        get("/attachments/detail", |call, _| {
            Box::pin(attachments::list(call, true))
        })
        .about("Lists attachments in full.")
        .since(27)
        .rules(&["volume:attachment_get"])
        .lists::<wire::AttachmentDetail>(Resource::Attachment),
        get("/attachments/{attachment_id}", |call, at| {
            Box::pin(attachments::show(call, at.id()))
        })
        .about("Shows an attachment.")
        .since(27)
        .rules(&["volume:attachment_get"])
        .keyed::<wire::AttachmentDetail>(200),
        put("/attachments/{attachment_id}", |call, at| {
            Box::pin(attachments::update(call, at.id()))
        })
        .about("Says who connects to an attachment.")
        .since(27)
        .rules(&["volume:attachment_update"])
        .takes(bodies::connector)
        .keyed::<wire::AttachmentDetail>(200),
        delete("/attachments/{attachment_id}", |call, at| {
            Box::pin(attachments::delete(call, at.id()))
        })
        .about("Detaches.")
        .since(27)
        .rules(&["volume:attachment_delete"])
        .shape(200, nothing),
        post("/attachments/{attachment_id}/action", |call, at| {
            Box::pin(attachments::act(call, at.id()))
        })
        .about("Completes an attachment.")
        .since(44)
        .rules(&["volume:attachment_complete"])
        .takes(bodies::complete_attachment)
        .empty(204),
        get("/types", |call, _| Box::pin(types::list(call)))
            .about("Lists volume types.")
            .rules(&["volume_extension:type_get_all"])
            .lists::<wire::VolumeTypeView>(Resource::VolumeType),
        post("/types", |call, _| Box::pin(types::create(call)))
            .about("Makes a volume type.")
            .rules(&["volume_extension:type_create"])
            .extensions(&["os-types-manage"])
            .takes(bodies::volume_type)
            .keyed::<wire::VolumeTypeView>(200),
        get("/types/{type_id}", |call, at| {
            Box::pin(types::show(call, at.id()))
        })
        .about("Shows a volume type.")
        .rules(&["volume_extension:type_get"])
        .keyed::<wire::VolumeTypeView>(200),
        put("/types/{type_id}", |call, at| {
            Box::pin(types::update(call, at.id()))
        })
        .about("Changes a volume type.")
        .rules(&["volume_extension:type_update"])
        .extensions(&["os-types-manage"])
        .takes(bodies::update_type)
        .keyed::<wire::VolumeTypeView>(200),
        delete("/types/{type_id}", |call, at| {
            Box::pin(types::delete(call, at.id()))
        })
        .about("Removes a volume type.")
        .rules(&["volume_extension:type_delete"])
        .extensions(&["os-types-manage"])
        .empty(202),
        post("/types/{type_id}/action", |call, at| {
            Box::pin(types::act(call, at.id()))
        })
        .about("Says who may use a volume type.")
        .rules(&["volume_extension:volume_type_access"])
        .extensions(&["os-volume-type-access"])
        .takes(bodies::type_access)
        .empty(202),
        get("/types/{type_id}/os-volume-type-access", |call, at| {
            Box::pin(types::access(call, at.id()))
        })
        .about("Lists who may use a volume type.")
        .rules(&["volume_extension:volume_type_access"])
        .extensions(&["os-volume-type-access"])
        .keyed::<Vec<wire::TypeAccessView>>(200),
        get("/types/{type_id}/encryption", |call, at| {
            Box::pin(types::encryption(call, at.id()))
        })
        .about("Shows how a volume type encrypts: it does not.")
        .rules(&["volume_extension:volume_type_encryption:get"])
        .extensions(&["encryption"])
        .gives::<BTreeMap<String, String>>(200),
        get("/types/{type_id}/extra_specs", |call, at| {
            Box::pin(types::specs(call, at.id()))
        })
        .about("Shows a volume type's specs.")
        .rules(&["volume_extension:types_extra_specs:index"])
        .extensions(&["os-types-extra-specs"])
        .gives::<wire::ExtraSpecsBody>(200),
        post("/types/{type_id}/extra_specs", |call, at| {
            Box::pin(types::add_specs(call, at.id(), None))
        })
        .about("Adds specs to a volume type.")
        .rules(&["volume_extension:types_extra_specs:create"])
        .extensions(&["os-types-extra-specs"])
        .takes(bodies::extra_specs)
        .gives::<wire::ExtraSpecsBody>(200),
        get("/types/{type_id}/extra_specs/{key}", |call, at| {
            Box::pin(types::spec(call, at.id(), at.key()))
        })
        .about("Shows one spec of a volume type.")
        .rules(&["volume_extension:types_extra_specs:index"])
        .extensions(&["os-types-extra-specs"])
        .gives::<BTreeMap<String, String>>(200),
        put("/types/{type_id}/extra_specs/{key}", |call, at| {
            Box::pin(types::add_specs(call, at.id(), Some(at.key())))
        })
        .about("Sets one spec of a volume type.")
        .rules(&["volume_extension:types_extra_specs:create"])
        .extensions(&["os-types-extra-specs"])
        .takes(bodies::pairs)
        .gives::<BTreeMap<String, String>>(200),
        delete("/types/{type_id}/extra_specs/{key}", |call, at| {
            Box::pin(types::remove_spec(call, at.id(), at.key()))
        })
        .about("Removes one spec of a volume type.")
        .rules(&["volume_extension:types_extra_specs:delete"])
        .extensions(&["os-types-extra-specs"])
        .empty(202),
        get("/os-quota-sets/{target_project_id}", |call, at| {
            Box::pin(quotas::show(call, at.id()))
        })
        .about("Shows a project's quotas.")
        .rules(&["volume_extension:quotas:show"])
        .extensions(&["os-quota-sets"])
        .query(USAGE)
        .keyed::<wire::QuotaSetView>(200),
        put("/os-quota-sets/{target_project_id}", |call, at| {
            Box::pin(quotas::update(call, at.id()))
        })
        .about("Sets a project's quotas.")
        .rules(&["volume_extension:quotas:update"])
        .extensions(&["os-quota-sets"])
        .takes(bodies::quota_set)
        .keyed::<wire::QuotaSetView>(200),
        delete("/os-quota-sets/{target_project_id}", |call, at| {
            Box::pin(quotas::delete(call, at.id()))
        })
        .about("Gives a project the default quotas again.")
        .rules(&["volume_extension:quotas:delete"])
        .extensions(&["os-quota-sets"])
        .empty(200),
        get("/os-quota-sets/{target_project_id}/defaults", |call, at| {
            Box::pin(quotas::defaults(call, at.id()))
        })
        .about("Shows the default quotas.")
        .rules(&["volume_extension:quotas:show"])
        .extensions(&["os-quota-sets"])
        .keyed::<wire::QuotaSetView>(200),
        get("/os-quota-class-sets/{class_name}", |call, at| {
            Box::pin(quotas::class(call, at.id()))
        })
        .about("Shows the quotas of a class.")
        .rules(&["volume_extension:quota_classes:get"])
        .extensions(&["os-quota-class-sets"])
        .keyed::<wire::ClassQuotas<wire::QuotaSetView>>(200),
        put("/os-quota-class-sets/{class_name}", |call, at| {
            Box::pin(quotas::update_class(call, at.id()))
        })
        .about("Sets the quotas of a class.")
        .rules(&["volume_extension:quota_classes:update"])
        .extensions(&["os-quota-class-sets"])
        .takes(bodies::quota_class_set)
        .keyed::<wire::ClassQuotas<wire::QuotaSetView>>(200),
        get("/os-services", |call, _| Box::pin(services::list(call)))
            .about("Lists the parts of the service.")
            .rules(&["volume_extension:services:index"])
            .extensions(&["os-extended-services", "os-services"])
            .query(SERVICES)
            .keyed::<Vec<wire::ServiceView>>(200),
        put("/os-services/{verb}", |call, at| {
            Box::pin(services::switch(call, at.id()))
        })
        .about("Switches a part of the service on or off.")
        .rules(&["volume_extension:services:update"])
        .extensions(&["os-services"])
        .takes(bodies::service_switch)
        .gives::<wire::ServiceSwitched>(200),
        get("/messages", |call, _| Box::pin(messages::list(call)))
            .about("Lists messages about what failed.")
            .since(3)
            .rules(&["message:get_all"])
            .lists::<wire::MessageView>(Resource::Message),
        get("/messages/{message_id}", |call, at| {
            Box::pin(messages::show(call, at.id()))
        })
        .about("Shows a message.")
        .since(3)
        .rules(&["message:get"])
        .keyed::<wire::MessageView>(200),
        delete("/messages/{message_id}", |call, at| {
            Box::pin(messages::delete(call, at.id()))
        })
        .about("Removes a message.")
        .since(3)
        .rules(&["message:delete"])
        .empty(204),
        get("/scheduler-stats/get_pools", |call, _| {
            Box::pin(services::pools(call))
        })
        .about("Lists where volumes are kept.")
        .rules(&["scheduler_extension:scheduler_stats:get_pools"])
        .extensions(&["scheduler-stats"])
        .query(DETAIL)
        .keyed::<Vec<wire::PoolView>>(200),
        get("/os-availability-zone", |call, _| {
            ready(extras::zones(call))
        })
        .about("Lists availability zones.")
        .extensions(&["os-availability-zone"])
        .keyed::<Vec<wire::AvailabilityZone>>(200),
        get("/limits", |call, _| Box::pin(extras::limits(call)))
            .about("Shows limits and what is used of them.")
            .rules(&["limits_extension:used_limits"])
            .extensions(&["os-used-limits"])
            .query(OTHER_PROJECT)
            .keyed::<wire::Limits>(200),
        get("/extensions", |_, _| ready(extras::extensions(&table())))
            .about("Lists the extensions that are served.")
            .keyed::<Vec<wire::Extension>>(200),
        get("/extensions/{alias}", |_, at| {
            ready(extras::extension(&table(), at.id()))
        })
        .about("Shows an extension.")
        .keyed::<wire::Extension>(200),
        get("/resource_filters", |call, _| {
            ready(extras::resource_filters(call))
        })
        .about("Lists what lists can be filtered by.")
        .since(33)
        .query(FILTERS)
        .keyed::<Vec<wire::ResourceFilters>>(200),
        get("/os-volume-transfer", |_, _| {
            ready(call::nothing("transfers"))
        })
        .about("Lists transfers: there are none.")
        .shape(200, nothing),
        get("/os-volume-transfer/detail", |_, _| {
            ready(call::nothing("transfers"))
        })
        .about("Lists transfers: there are none.")
        .shape(200, nothing),
        get("/volume-transfers", |_, _| {
            ready(call::nothing("transfers"))
        })
        .about("Lists transfers: there are none.")
        .shape(200, nothing),
        get("/volume-transfers/detail", |_, _| {
            ready(call::nothing("transfers"))
        })
        .about("Lists transfers: there are none.")
        .shape(200, nothing),
        get("/qos-specs", |call, _| Box::pin(extras::no_qos(call)))
            .about("Lists specs of quality: there are none.")
            .rules(&["volume_extension:qos_specs_manage:get_all"])
            .shape(200, nothing),
        get("/groups", |_, _| ready(call::nothing("groups")))
            .about("Lists groups: there are none.")
            .since(13)
            .shape(200, nothing),
        get("/groups/detail", |_, _| ready(call::nothing("groups")))
            .about("Lists groups: there are none.")
            .since(13)
            .shape(200, nothing),
        get("/group_types", |_, _| ready(call::nothing("group_types")))
            .about("Lists types of groups: there are none.")
            .since(11)
            .shape(200, nothing),
        get("/group_snapshots", |_, _| {
            ready(call::nothing("group_snapshots"))
        })
        .about("Lists snapshots of groups: there are none.")
        .since(14)
        .shape(200, nothing),
        get("/group_snapshots/detail", |_, _| {
            ready(call::nothing("group_snapshots"))
        })
        .about("Lists snapshots of groups: there are none.")
        .since(14)
        .shape(200, nothing),
        get("/consistencygroups", |_, _| {
            ready(call::nothing("consistencygroups"))
        })
        .about("Lists consistency groups: there are none.")
        .shape(200, nothing),
        get("/consistencygroups/detail", |_, _| {
            ready(call::nothing("consistencygroups"))
        })
        .about("Lists consistency groups: there are none.")
        .shape(200, nothing),
        get("/cgsnapshots", |_, _| ready(call::nothing("cgsnapshots")))
            .about("Lists snapshots of consistency groups: there are none.")
            .shape(200, nothing),
        get("/cgsnapshots/detail", |_, _| {
            ready(call::nothing("cgsnapshots"))
        })
        .about("Lists snapshots of consistency groups: there are none.")
        .shape(200, nothing),
    ]
}
