//! Volumes: what is asked of them and how they are shown (`cinder-backup.md §2.8`).

use std::collections::BTreeMap;

use emberkeep_model::command::{Edit, NewVolume};
use emberkeep_model::{Attachment, BackupId, Gib, SnapshotId, Volume, VolumeId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::{Kind, Rule, Shape, rule, rule_since, uuid_like};
use super::{Fault, Field, Json, Link, Microversion, Site, VolumeAttachment, gib};
use crate::time::Moment;
use crate::{ids, lenient};

const NAME: Kind = Kind::Trimmed("name");
const DESCRIPTION: Kind = Kind::Trimmed("description");
const CREATE_RULES: [Rule; 16] = [
    rule("name", NAME),
    rule("description", DESCRIPTION),
    rule("display_name", NAME),
    rule("display_description", DESCRIPTION),
    rule("volume_type", Kind::Text),
    rule("metadata", Kind::MetadataOrNull),
    rule("snapshot_id", Kind::UuidOrNull),
    rule("source_volid", Kind::UuidOrNull),
    rule("consistencygroup_id", Kind::UuidOrNull),
    rule("size", Kind::SizeOrNull),
    rule("availability_zone", Kind::Text),
    rule("multiattach", Kind::FlagOrNull),
    rule("image_id", Kind::Text),
    rule("imageRef", Kind::Text),
    rule_since("group_id", Kind::Text, 13),
    rule_since("backup_id", Kind::UuidOrNull, 47),
];
/// Below 3.53 Cinder does not look at members it does not know.
const CLOSED: Microversion = Microversion::v3(53);
pub(super) static CREATE: Shape = Shape {
    closed_since: CLOSED,
    beside: Some("OS-SCH-HNT:scheduler_hints"),
    ..Shape::new("volume", &CREATE_RULES)
};

/// Reads `POST /volumes`. What this service lacks (images, groups, shared attachments) is
/// refused, not ignored.
pub fn new_volume(body: &Json, version: Microversion) -> Result<NewVolume, Fault> {
    let fields = CREATE.check(body, version)?;
    let mut backup_id = fields.uuid("backup_id").map(BackupId);
    // Cinder's schema does not know it yet below 3.47, and its code takes it all the same.
    if version < Microversion::v3(47) {
        let given = body.get("volume").and_then(|inner| inner.get("backup_id"));
        if let Some(text) = given.and_then(Json::text) {
            let known = uuid_like(text).map(BackupId);
            let missing = || Fault::not_found(format!("Backup {text} could not be found."));
            backup_id = Some(known.ok_or_else(missing)?);
        }
    }
    for (name, what) in [
        (
            "consistencygroup_id",
            "there are no consistency groups here",
        ),
        ("group_id", "there are no volume groups here"),
    ] {
        if fields.text(name).is_some_and(|text| !text.is_empty()) {
            return Err(Fault::invalid_input(format!("{name}: {what}")));
        }
    }
    // No image can be read here.
    for name in ["imageRef", "image_id"] {
        if fields.text(name).is_some_and(|text| !text.is_empty()) {
            return Err(Fault::bad_request(
                "Invalid image identifier or unable to access requested image.",
            ));
        }
    }
    if fields.flag("multiattach") {
        return Err(Fault::invalid_input(
            "multiattach: volumes are attached once only",
        ));
    }
    let new = NewVolume {
        size: fields.size("size").map(Gib),
        name: fields
            .trimmed("name")
            .or_else(|| fields.trimmed("display_name")),
        description: fields
            .trimmed("description")
            .or_else(|| fields.trimmed("display_description")),
        volume_type: fields.text("volume_type").filter(|name| !name.is_empty()),
        availability_zone: fields
            .text("availability_zone")
            .filter(|zone| !zone.is_empty()),
        metadata: fields.metadata("metadata").unwrap_or_default(),
        snapshot_id: fields.uuid("snapshot_id").map(SnapshotId),
        source_volume_id: fields.uuid("source_volid").map(VolumeId),
        backup_id,
    };
    let sources = [
        new.snapshot_id.is_some(),
        new.source_volume_id.is_some(),
        new.backup_id.is_some(),
    ];
    match sources.iter().filter(|given| **given).count() {
        0 if new.size.is_none() => Err(Fault::malformed()),
        0 | 1 => Ok(new),
        _ => Err(Fault::invalid_input(
            "May specify only one of backup, imageRef, snapshot, source volume",
        )),
    }
}

pub(super) static UPDATE: Shape = Shape {
    some_since: Some(CLOSED),
    ..Shape::new(
        "volume",
        &[
            rule("name", NAME),
            rule("description", DESCRIPTION),
            rule("display_name", NAME),
            rule("display_description", DESCRIPTION),
            rule("metadata", Kind::Metadata),
        ],
    )
};

/// Reads `PUT /volumes/{id}`.
pub fn volume_edit(body: &Json, version: Microversion) -> Result<Edit, Fault> {
    let fields = UPDATE.check(body, version)?;
    Ok(Edit {
        name: fields.change_of("name", "display_name"),
        description: fields.change_of("description", "display_description"),
        metadata: fields.metadata("metadata"),
    })
}

/// How much there is of volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VolumeTotals {
    /// The tenant's pairs of all of them; since 3.36.
    #[serde(
        skip_serializing_if = "Option::is_none",
        deserialize_with = "lenient::maybe"
    )]
    pub metadata: Option<BTreeMap<String, Vec<String>>>,
    /// How many.
    #[serde(deserialize_with = "lenient::number")]
    pub total_count: u64,
    /// Their sizes together, in GiB.
    #[serde(deserialize_with = "lenient::number")]
    pub total_size: u64,
}

/// How a volume stands in a short list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VolumeSummary {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Where it is found.
    pub links: Vec<Link>,
}

impl VolumeSummary {
    /// Shows `volume`.
    pub fn new(volume: &Volume, site: &Site) -> Self {
        let id = volume.id.to_string();
        Self {
            links: site.links("volumes", &id),
            id,
            name: volume.name.clone(),
        }
    }
}

/// All of a volume. Clients refuse answers that hold more than their microversion's fields.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VolumeDetail {
    /// Its id.
    pub id: ids::VolumeId,
    /// Its status, e.g. `available`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// Its size.
    #[serde(deserialize_with = "gib")]
    pub size: Gib,
    /// The zone it lies in.
    pub availability_zone: Option<String>,
    /// When it was made.
    pub created_at: Option<Moment>,
    /// When something about it last changed.
    pub updated_at: Option<Moment>,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// The name of its type.
    pub volume_type: Option<String>,
    /// The snapshot that it was made from.
    pub snapshot_id: Option<ids::SnapshotId>,
    /// The volume that it was copied from.
    #[serde(rename = "source_volid")]
    pub source_volume_id: Option<ids::VolumeId>,
    /// The tenant's own pairs.
    #[serde(deserialize_with = "lenient::or_default")]
    pub metadata: BTreeMap<String, String>,
    /// Where it is found.
    #[serde(deserialize_with = "lenient::or_default")]
    pub links: Vec<Link>,
    /// Whose it is.
    pub user_id: Option<ids::UserId>,
    /// Whether a system can start from it; `true` or `false`, as text on the wire.
    #[cfg_attr(feature = "schema", schemars(with = "Option<String>"))]
    #[serde(
        serialize_with = "lenient::maybe_as_text",
        deserialize_with = "lenient::maybe_flag"
    )]
    pub bootable: Option<bool>,
    /// Whether it is encrypted.
    #[serde(deserialize_with = "lenient::flag")]
    pub encrypted: bool,
    /// How its replication stands.
    pub replication_status: Option<String>,
    /// The consistency group that it is in.
    pub consistencygroup_id: Option<String>,
    /// Whether it can be attached to several servers.
    #[serde(deserialize_with = "lenient::flag")]
    pub multiattach: bool,
    /// What it is attached to: attachments that are in use.
    #[serde(deserialize_with = "lenient::or_default")]
    pub attachments: Vec<VolumeAttachment>,
    /// How its migration stands; for administrators.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub migration_status: Field<String>,
    /// The group that it is in; since 3.13.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub group_id: Field<String>,
    /// Its id at the back end; since 3.21, for administrators.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub provider_id: Field<String>,
    /// The service that has it; since 3.48.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub service_uuid: Field<String>,
    /// Whether its back end shares targets; since 3.48.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shared_targets: Option<bool>,
    /// The cluster that has it; since 3.61, for administrators.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub cluster_name: Field<String>,
    /// The id of its type; since 3.63.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_type_id: Option<String>,
    /// The key that it is encrypted with; since 3.64.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub encryption_key_id: Option<String>,
    /// Whether it counts against the quota; since 3.65.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub consumes_quota: Option<bool>,
    /// What is known of the image on it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volume_image_metadata: Option<BTreeMap<String, String>>,
    /// The project it belongs to.
    #[serde(
        rename = "os-vol-tenant-attr:tenant_id",
        skip_serializing_if = "Option::is_none"
    )]
    pub project_id: Option<ids::ProjectId>,
    /// The back end that has it, `host@backend#pool`; for administrators.
    #[serde(
        rename = "os-vol-host-attr:host",
        skip_serializing_if = "Option::is_none"
    )]
    pub host: Option<String>,
    /// The state of its migration; for administrators.
    #[serde(
        rename = "os-vol-mig-status-attr:migstat",
        skip_serializing_if = "Field::is_absent"
    )]
    pub migration_state: Field<String>,
    /// Its id at the back end after a migration; for administrators.
    #[serde(
        rename = "os-vol-mig-status-attr:name_id",
        skip_serializing_if = "Field::is_absent"
    )]
    pub migration_name_id: Field<String>,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The back end that holds volumes, in the `host@backend#pool` form that clients expect.
const HOST: &str = "emberkeep@files#files";

impl VolumeDetail {
    /// Shows `volume`, whose type has the name `volume_type`.
    pub fn new(
        volume: &Volume,
        volume_type: Option<&str>,
        site: &Site,
        version: Microversion,
        admin: bool,
    ) -> Self {
        let id = volume.id.to_string();
        let since = |minor| version >= Microversion::v3(minor);
        Self {
            status: volume.status.as_str().to_owned(),
            size: volume.size,
            availability_zone: Some(volume.availability_zone.clone()),
            created_at: Some(volume.created_at.into()),
            updated_at: volume.updated_at.map(Moment::from),
            name: volume.name.clone(),
            description: volume.description.clone(),
            volume_type: volume_type.map(str::to_owned),
            snapshot_id: volume.snapshot_id.map(Into::into),
            source_volume_id: volume.source_volume_id.map(Into::into),
            metadata: shown_metadata(volume),
            links: site.links("volumes", &id),
            user_id: Some(volume.user_id.to_string().into()),
            bootable: Some(volume.bootable),
            migration_status: Field::null_if(admin),
            group_id: Field::null_if(since(13)),
            provider_id: Field::null_if(admin && since(21)),
            service_uuid: Field::null_if(since(48)),
            shared_targets: since(48).then_some(false),
            cluster_name: Field::null_if(admin && since(61)),
            volume_type_id: volume
                .volume_type_id
                .filter(|_| since(63))
                .map(|id| id.to_string()),
            consumes_quota: since(65).then_some(true),
            volume_image_metadata: Some(volume.image_metadata.clone())
                .filter(|pairs| !pairs.is_empty()),
            id: id.into(),
            ..Self::default()
        }
    }

    /// Adds whose hands it is in.
    pub fn with_attachments(mut self, volume: &Volume, all: &[Attachment]) -> Self {
        self.attachments = VolumeAttachment::of(volume, all);
        self
    }

    /// Adds what showing and listing tell besides.
    pub fn with_owner(mut self, volume: &Volume, admin: bool) -> Self {
        self.project_id = Some(volume.project_id.to_string().into());
        if admin {
            self.host = Some(HOST.to_owned());
            self.migration_state = Field::Null;
            self.migration_name_id = Field::Null;
        }
        self
    }
}

/// Returns a volume's pairs with the flag that Cinder keeps among them, as Python prints it.
fn shown_metadata(volume: &Volume) -> BTreeMap<String, String> {
    let mut pairs = volume.metadata.clone();
    if let Some(readonly) = volume.readonly {
        let text = if readonly { "True" } else { "False" };
        pairs.insert("readonly".to_owned(), text.to_owned());
    }
    pairs
}
