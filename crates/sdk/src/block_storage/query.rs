//! What lists can be narrowed by. What was not said is not sent.

use crate::connection::Call;
use crate::ids::{ProjectId, VolumeId};

/// Each becomes a struct of the filters that all lists have and those that it has besides; the
/// name of a field is that of its parameter.
macro_rules! queries {
    ($($(#[$doc:meta])* $name:ident { $($(#[$own:meta])* $field:ident: $kind:ty,)* })*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        pub struct $name {
            /// Those called so.
            pub name: Option<String>,
            /// Those in this status.
            pub status: Option<String>,
            $($(#[$own])* pub $field: Option<$kind>,)*
            /// Of every project; for administrators.
            pub all_projects: bool,
            /// Of this project; for administrators, with `all_projects`.
            pub project_id: Option<ProjectId>,
            /// The order: keys such as `created_at:desc,name:asc`.
            pub sort: Option<String>,
        }

        impl $name {
            /// Asks for those called so.
            pub fn named(name: impl Into<String>) -> Self {
                Self { name: Some(name.into()), ..Self::default() }
            }

            pub(super) fn of(&self, call: Call) -> Call {
                call.query("name", self.name.as_ref())
                    .query("status", self.status.as_ref())
                    $(.query(stringify!($field), self.$field.as_ref()))*
                    .query("all_tenants", self.all_projects.then_some(true))
                    .query("project_id", self.project_id.as_ref())
                    .query("sort", self.sort.as_ref())
            }
        }
    )*};
}

queries! {
    /// Which volumes to list; what is none does not matter.
    VolumeQuery {
        /// Those that a system can start from, or not.
        bootable: bool,
    }
    /// Which snapshots to list; what is none does not matter.
    SnapshotQuery {
        /// Those of this volume.
        volume_id: VolumeId,
    }
    /// Which backups to list; what is none does not matter.
    BackupQuery {
        /// Those of this volume.
        volume_id: VolumeId,
    }
    /// Which attachments to list; what is none does not matter.
    AttachmentQuery {
        /// Those of this volume.
        volume_id: VolumeId,
        /// Those of this server.
        instance_id: String,
    }
}

/// Which messages to list; what is none does not matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageQuery {
    /// Those about this thing.
    pub resource_uuid: Option<String>,
    /// Those about things of this kind, e.g. `VOLUME_BACKUP`.
    pub resource_type: Option<String>,
    /// Those of this event.
    pub event_id: Option<String>,
    /// Those of this request.
    pub request_id: Option<String>,
    /// Those as bad as this: `ERROR`.
    pub message_level: Option<String>,
    /// The order: keys such as `created_at:desc`.
    pub sort: Option<String>,
}

impl MessageQuery {
    pub(super) fn of(&self, call: Call) -> Call {
        call.query("resource_uuid", self.resource_uuid.as_ref())
            .query("resource_type", self.resource_type.as_ref())
            .query("event_id", self.event_id.as_ref())
            .query("request_id", self.request_id.as_ref())
            .query("message_level", self.message_level.as_ref())
            .query("sort", self.sort.as_ref())
    }
}
