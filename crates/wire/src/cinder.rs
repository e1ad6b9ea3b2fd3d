//! The Block Storage API (Cinder v3, microversions 3.0 to 3.71): requests, views, faults.
//!
//! A request type is made by `parse`, which refuses what Cinder refuses, in its words. A view is made from
//! the model by a total function and holds exactly the fields of its microversion, in Cinder's order.
//! Start at `backups.rs`; `schema.rs` is what all requests are checked by.

mod actions;
mod attachments;
mod backups;
pub mod bodies;
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
mod schema;
mod services;
mod snapshots;
mod types;
mod versions;
mod volumes;

pub use actions::{BackupAction, SnapshotAction, VolumeAction};
pub use attachments::{
    AttachmentDetail, AttachmentSummary, CreateAttachment, VolumeAttachment, parse_connector,
};
pub use backups::{
    BackupDetail, BackupSummary, CreateBackup, RestoreBackup, RestoreStarted, UpdateBackup,
    states_shown_as, status_of,
};
pub use fault::{Fault, FaultKind};
pub use field::Field;
pub use json::Json;
pub use limits::{AbsoluteLimits, Limits, Most, Usage};
pub use links::{Link, Site};
pub use listing::{
    Listed, Listing, MAX_LIMIT, Resource, ResourceFilters, SortKey, query_flag, query_text,
};
pub use messages::MessageView;
pub use metadata::{parse_meta_item, parse_metadata};
pub use microversion::{Microversion, VersionError};
pub use quotas::{QuotaForm, QuotaSetView, QuotaUsage, parse_quotas};
pub use records::RecordView;
pub use services::{PoolView, ServiceView, parse_reason, parse_switch};
pub use snapshots::{CreateSnapshot, SnapshotView, UpdateSnapshot};
pub use types::{
    AvailabilityZone, CreateType, TypeAccessView, UpdateType, VolumeTypeView, ZoneState,
    parse_extra_specs, parse_type_access,
};
pub use versions::{MediaType, VersionDocument, VersionLink, Versions};
pub use volumes::{CreateVolume, UpdateVolume, VolumeDetail, VolumeSummary};

/// Reads a size; some write it as text.
fn gib<'de, D: serde::Deserializer<'de>>(source: D) -> Result<emberkeep_model::Gib, D::Error> {
    crate::lenient::number(source).map(emberkeep_model::Gib)
}
