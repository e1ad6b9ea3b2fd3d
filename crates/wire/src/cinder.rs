//! The Block Storage API (Cinder v3, microversions 3.0 to 3.71): requests, views, faults.
//!
//! A command is read by a function (`new_backup`, …), which refuses what Cinder refuses, in its words. A view is made from
//! the model by a total function and holds exactly the fields of its microversion, in Cinder's order.
//! Start at `backups.rs`; `schema.rs` is what all requests are checked by.

mod actions;
pub mod ask;
mod attachments;
mod backups;
#[cfg(feature = "schema")]
pub mod bodies;
mod connection;
mod extensions;
mod fault;
mod field;
mod json;
mod limits;
mod links;
mod listing;
mod messages;
mod metadata;
mod microversion;
mod quotas;
mod records;
#[cfg_attr(
    not(feature = "schema"),
    allow(dead_code, reason = "the document of the API reads the rest")
)]
mod schema;
mod services;
mod shown;
mod snapshots;
mod types;
mod versions;
mod volumes;

pub use actions::{BackupAction, Settled, SnapshotAction, VolumeAction};
pub use attachments::{
    AttachmentDetail, AttachmentSummary, VolumeAttachment, attachment_update, new_attachment,
};
pub use backups::{
    BackupDetail, BackupSummary, RestoreStarted, backup_edit, new_backup, restore_to,
    states_holding, states_shown_as, status_of,
};
pub use connection::ConnectionInfo;
pub use extensions::Extension;
pub use fault::{Fault, FaultKind};
pub use field::Field;
pub use json::Json;
pub use limits::{AbsoluteLimits, Limits, Most, Usage};
pub use links::{Link, Site};
pub use listing::{
    Counted, Listed, Listing, MAX_LIMIT, Resource, ResourceFilters, SortKey, query_bool,
    query_flag, query_text,
};
pub use messages::MessageView;
pub use metadata::{MetaBody, MetadataBody, parse_meta_item};
pub use microversion::{Microversion, VersionError};
pub use quotas::{ClassQuotas, QuotaForm, QuotaSet, QuotaSetView, QuotaUsage, QuotaUsages};
pub use records::RecordView;
pub use services::{PoolView, ServiceSwitched, ServiceView, parse_reason};
pub use shown::ShownBackups;
pub use snapshots::{SnapshotView, new_snapshot, snapshot_edit};
pub use types::{
    AvailabilityZone, ExtraSpecsBody, TypeAccessView, VolumeTypeView, ZoneState, new_volume_type,
    parse_extra_spec, volume_type_edit,
};
pub use versions::{MediaType, VersionDocument, VersionLink, Versions};
pub use volumes::{VolumeDetail, VolumeSummary, VolumeTotals, new_volume, volume_edit};

crate::keyed::keys! {
    one {
        VolumeDetail: "volume",
        VolumeTotals: "volume-summary",
        ConnectionInfo: "connection_info",
        SnapshotView: "snapshot",
        BackupDetail: "backup",
        BackupSummary: "backup",
        RestoreStarted: "restore",
        RecordView: "backup-record",
        AttachmentDetail: "attachment",
        MessageView: "message",
        VolumeTypeView: "volume_type",
        Limits: "limits",
        QuotaSetView: "quota_set",
        QuotaSet: "quota_set",
        QuotaUsages: "quota_set",
        ClassQuotas<QuotaSetView>: "quota_class_set",
        ClassQuotas<QuotaSet>: "quota_class_set",
        Extension: "extension",
    }
    many {
        VolumeDetail: "volumes",
        SnapshotView: "snapshots",
        BackupDetail: "backups",
        AttachmentDetail: "attachments",
        MessageView: "messages",
        VolumeTypeView: "volume_types",
        TypeAccessView: "volume_type_access",
        ServiceView: "services",
        PoolView: "pools",
        ResourceFilters: "resource_filters",
        AvailabilityZone: "availabilityZoneInfo",
        Extension: "extensions",
    }
}

/// Reads a size; some write it as text.
fn gib<'de, D: serde::Deserializer<'de>>(source: D) -> Result<emberkeep_model::Gib, D::Error> {
    crate::lenient::number(source).map(emberkeep_model::Gib)
}
