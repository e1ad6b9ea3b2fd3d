//! Extensions: what Cinder's core once lacked, each with a name of its own.

use serde::{Deserialize, Serialize};

use super::Link;

/// An extension that is served, as `GET /extensions` lists it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Extension {
    /// Its name, as people say it.
    pub name: String,
    /// Its name in paths and in the keys of fields.
    pub alias: String,
    /// What it is for.
    pub description: String,
    /// When it last changed, as Cinder says.
    pub updated: String,
    /// Always none.
    pub links: Vec<Link>,
}

/// What Cinder calls extensions and is known here, by alias: name, alias, last change, and what for.
const ALL: [(&str, &str, &str, &str); 20] = [
    (
        "Backups",
        "backups",
        "2012-12-12T00:00:00+00:00",
        "Volumes are backed up and restored.",
    ),
    (
        "VolumeTypeEncryption",
        "encryption",
        "2013-07-01T00:00:00+00:00",
        "Types tell how their volumes are encrypted.",
    ),
    (
        "AdminActions",
        "os-admin-actions",
        "2012-08-25T00:00:00+00:00",
        "Administrators set the status of resources and delete them by force.",
    ),
    (
        "AvailabilityZones",
        "os-availability-zone",
        "2013-06-27T00:00:00+00:00",
        "Availability zones are listed.",
    ),
    (
        "ExtendedServices",
        "os-extended-services",
        "2014-01-10T00:00:00-00:00",
        "Services tell why they were switched off.",
    ),
    (
        "ExtendedSnapshotAttributes",
        "os-extended-snapshot-attributes",
        "2012-06-19T00:00:00+00:00",
        "Snapshots tell their project and progress.",
    ),
    (
        "QuotaClasses",
        "os-quota-class-sets",
        "2012-03-12T00:00:00+00:00",
        "Quotas hold for classes of projects.",
    ),
    (
        "Quotas",
        "os-quota-sets",
        "2011-08-08T00:00:00+00:00",
        "Projects have quotas.",
    ),
    (
        "Services",
        "os-services",
        "2012-10-28T00:00:00-00:00",
        "The parts of the service are listed and switched on and off.",
    ),
    (
        "SnapshotActions",
        "os-snapshot-actions",
        "2013-07-16T00:00:00+00:00",
        "The status of snapshots is set from outside.",
    ),
    (
        "TypesExtraSpecs",
        "os-types-extra-specs",
        "2011-08-24T00:00:00+00:00",
        "Types have extra specs.",
    ),
    (
        "TypesManage",
        "os-types-manage",
        "2011-08-24T00:00:00+00:00",
        "Types are made, changed and deleted.",
    ),
    (
        "UsedLimits",
        "os-used-limits",
        "2013-10-03T00:00:00+00:00",
        "Limits tell what is used of them.",
    ),
    (
        "VolumeHostAttribute",
        "os-vol-host-attr",
        "2011-11-03T00:00:00+00:00",
        "Volumes tell their host to administrators.",
    ),
    (
        "VolumeImageMetadata",
        "os-vol-image-meta",
        "2012-12-07T00:00:00+00:00",
        "Volumes tell what image they were made from.",
    ),
    (
        "VolumeMigStatusAttribute",
        "os-vol-mig-status-attr",
        "2013-08-08T00:00:00+00:00",
        "Volumes tell administrators whether they are moving.",
    ),
    (
        "VolumeTenantAttribute",
        "os-vol-tenant-attr",
        "2011-11-03T00:00:00+00:00",
        "Volumes tell their project.",
    ),
    (
        "VolumeActions",
        "os-volume-actions",
        "2012-05-31T00:00:00+00:00",
        "Volumes are attached, extended and made ready to be.",
    ),
    (
        "VolumeTypeAccess",
        "os-volume-type-access",
        "2014-06-26T00:00:00Z",
        "Types may be for some projects alone.",
    ),
    (
        "Scheduler_stats",
        "scheduler-stats",
        "2014-09-07T00:00:00+00:00",
        "The pools that volumes lie in are listed.",
    ),
];

impl Extension {
    /// Lists those that are known here; those that some endpoint is part of are served.
    pub fn all() -> Vec<Self> {
        ALL.iter()
            .map(|(name, alias, updated, description)| Self {
                name: (*name).to_owned(),
                alias: (*alias).to_owned(),
                description: (*description).to_owned(),
                updated: (*updated).to_owned(),
                links: Vec::new(),
            })
            .collect()
    }
}
