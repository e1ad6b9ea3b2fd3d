//! What a path asks for.

use axum::http::Method;
use emberkeep_wire::cinder::Microversion;

/// A place below the mount point.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `/`: the versions.
    Root,
    /// `/v3`: the same, one redirect away.
    Bare,
    /// `/v3/`: the versions.
    Versions,
    /// `/healthcheck`.
    Health,
    /// A resource of v3.
    Api {
        /// The project, if the path names it.
        project: Option<String>,
        /// Which.
        route: Route,
    },
    /// Nothing we have.
    Unknown,
}

/// A resource. Ids are as given: what is no id names nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Route {
    Backups {
        detail: bool,
    },
    Backup(String),
    BackupAction(String),
    Restore(String),
    ExportRecord(String),
    ImportRecord,
    Volumes {
        detail: bool,
    },
    VolumeSummary,
    Volume(String),
    VolumeAction(String),
    Snapshots {
        detail: bool,
    },
    Snapshot(String),
    SnapshotAction(String),
    Attachments {
        detail: bool,
    },
    Attachment(String),
    AttachmentAction(String),
    Metadata(Owner, String),
    MetadataItem(Owner, String, String),
    Types,
    Type(String),
    TypeAction(String),
    TypeAccess(String),
    TypeEncryption(String),
    ExtraSpecs(String),
    ExtraSpec(String, String),
    QuotaSet(String),
    QuotaDefaults(String),
    QuotaClass(String),
    Services,
    ServiceSwitch(String),
    Messages,
    Message(String),
    Pools,
    Zones,
    Limits,
    Extensions,
    ResourceFilters,
    /// Lists of what we have none of, by their key.
    Nothing(&'static str),
}

/// What has metadata of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Backup,
    Volume,
    Snapshot,
}

impl Place {
    /// Reads a path.
    pub(super) fn of(path: &str) -> Self {
        match path {
            "" | "/" => return Self::Root,
            "/v3" => return Self::Bare,
            "/v3/" => return Self::Versions,
            "/healthcheck" => return Self::Health,
            _ => {}
        }
        let Some(rest) = path.strip_prefix("/v3/") else {
            return Self::Unknown;
        };
        let parts: Vec<String> = rest.trim_end_matches('/').split('/').map(decoded).collect();
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        if let Some(route) = Route::of(&parts) {
            return Self::Api {
                project: None,
                route,
            };
        }
        let is_project = |text: &str| {
            !text.is_empty()
                && text
                    .bytes()
                    .all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f' | b'-'))
        };
        match parts.split_first() {
            Some((project, rest)) if is_project(project) => match Route::of(rest) {
                Some(route) => Self::Api {
                    project: Some((*project).to_owned()),
                    route,
                },
                None => Self::Unknown,
            },
            _ => Self::Unknown,
        }
    }
}

impl Route {
    /// Reads what follows the project; `.json` may follow any last name but that of a key.
    fn of(parts: &[&str]) -> Option<Self> {
        let plain = |part: &str| part.strip_suffix(".json").unwrap_or(part).to_owned();
        if let [collection, id, "metadata", key] = parts {
            let owner = Owner::of(collection)?;
            return Some(Self::MetadataItem(
                owner,
                (*id).to_owned(),
                (*key).to_owned(),
            ));
        }
        if let ["types", id, "extra_specs", key] = parts {
            return Some(Self::ExtraSpec((*id).to_owned(), (*key).to_owned()));
        }
        let last = plain(parts.last()?);
        let mut parts = parts.to_vec();
        if let Some(slot) = parts.last_mut() {
            *slot = &last;
        }
        let route = match parts.as_slice() {
            ["backups"] => Self::Backups { detail: false },
            ["backups", "detail"] => Self::Backups { detail: true },
            ["backups", "import_record"] => Self::ImportRecord,
            ["backups", id] => Self::Backup((*id).to_owned()),
            ["backups", id, "action"] => Self::BackupAction((*id).to_owned()),
            ["backups", id, "restore"] => Self::Restore((*id).to_owned()),
            ["backups", id, "export_record"] => Self::ExportRecord((*id).to_owned()),
            ["volumes"] => Self::Volumes { detail: false },
            ["volumes", "detail"] => Self::Volumes { detail: true },
            ["volumes", "summary"] => Self::VolumeSummary,
            ["volumes", id] => Self::Volume((*id).to_owned()),
            ["volumes", id, "action"] => Self::VolumeAction((*id).to_owned()),
            ["snapshots"] => Self::Snapshots { detail: false },
            ["snapshots", "detail"] => Self::Snapshots { detail: true },
            ["snapshots", id] => Self::Snapshot((*id).to_owned()),
            ["snapshots", id, "action"] => Self::SnapshotAction((*id).to_owned()),
            ["attachments"] => Self::Attachments { detail: false },
            ["attachments", "detail"] => Self::Attachments { detail: true },
            ["attachments", id] => Self::Attachment((*id).to_owned()),
            ["attachments", id, "action"] => Self::AttachmentAction((*id).to_owned()),
            [collection, id, "metadata"] => {
                Self::Metadata(Owner::of(collection)?, (*id).to_owned())
            }
            ["types"] => Self::Types,
            ["types", id] => Self::Type((*id).to_owned()),
            ["types", id, "action"] => Self::TypeAction((*id).to_owned()),
            ["types", id, "os-volume-type-access"] => Self::TypeAccess((*id).to_owned()),
            ["types", id, "encryption"] => Self::TypeEncryption((*id).to_owned()),
            ["types", id, "extra_specs"] => Self::ExtraSpecs((*id).to_owned()),
            ["os-quota-sets", id] => Self::QuotaSet((*id).to_owned()),
            ["os-quota-sets", id, "defaults"] => Self::QuotaDefaults((*id).to_owned()),
            ["os-quota-class-sets", id] => Self::QuotaClass((*id).to_owned()),
            ["os-services"] => Self::Services,
            ["os-services", verb] => Self::ServiceSwitch((*verb).to_owned()),
            ["messages"] => Self::Messages,
            ["messages", id] => Self::Message((*id).to_owned()),
            ["scheduler-stats", "get_pools"] => Self::Pools,
            ["os-volume-transfer" | "volume-transfers"]
            | ["os-volume-transfer" | "volume-transfers", "detail"] => Self::Nothing("transfers"),
            ["qos-specs"] => Self::Nothing("qos_specs"),
            ["groups"] | ["groups", "detail"] => Self::Nothing("groups"),
            ["group_types"] => Self::Nothing("group_types"),
            ["group_snapshots"] | ["group_snapshots", "detail"] => Self::Nothing("group_snapshots"),
            ["consistencygroups"] | ["consistencygroups", "detail"] => {
                Self::Nothing("consistencygroups")
            }
            ["cgsnapshots"] | ["cgsnapshots", "detail"] => Self::Nothing("cgsnapshots"),
            ["os-availability-zone"] => Self::Zones,
            ["limits"] => Self::Limits,
            ["extensions"] => Self::Extensions,
            ["resource_filters"] => Self::ResourceFilters,
            _ => return None,
        };
        Some(route)
    }

    /// Tells whether there is such a method, in any microversion.
    pub(super) fn takes(&self, method: &Method) -> bool {
        let methods: &[Method] = match self {
            Self::Backups { detail: false }
            | Self::Volumes { detail: false }
            | Self::Snapshots { detail: false }
            | Self::Attachments { detail: false }
            | Self::Types
            | Self::ExtraSpecs(_) => &[Method::GET, Method::POST],
            Self::MetadataItem(Owner::Backup, ..) => {
                &[Method::GET, Method::POST, Method::PUT, Method::DELETE]
            }
            Self::Backup(_)
            | Self::Volume(_)
            | Self::Snapshot(_)
            | Self::Attachment(_)
            | Self::Type(_)
            | Self::ExtraSpec(..)
            | Self::QuotaSet(_)
            | Self::MetadataItem(..) => &[Method::GET, Method::PUT, Method::DELETE],
            Self::QuotaClass(_) => &[Method::GET, Method::PUT],
            Self::ServiceSwitch(_) => &[Method::PUT],
            Self::Message(_) => &[Method::GET, Method::DELETE],
            // What stands there is no backup: reading it says so.
            Self::ImportRecord => &[Method::GET, Method::POST],
            Self::Metadata(..) => &[Method::GET, Method::POST, Method::PUT],
            Self::Restore(_)
            | Self::BackupAction(_)
            | Self::VolumeAction(_)
            | Self::SnapshotAction(_)
            | Self::AttachmentAction(_)
            | Self::TypeAction(_) => &[Method::POST],
            Self::Backups { detail: true }
            | Self::Volumes { detail: true }
            | Self::Snapshots { detail: true }
            | Self::Attachments { detail: true }
            | Self::ExportRecord(_)
            | Self::VolumeSummary
            | Self::TypeAccess(_)
            | Self::TypeEncryption(_)
            | Self::QuotaDefaults(_)
            | Self::Services
            | Self::Messages
            | Self::Pools
            | Self::Nothing(_)
            | Self::Zones
            | Self::Limits
            | Self::Extensions
            | Self::ResourceFilters => &[Method::GET],
        };
        methods.contains(method)
    }

    /// Returns the first microversion that has the method.
    pub(super) fn since(&self, method: &Method) -> Microversion {
        match self {
            Self::Backup(_) if method == Method::PUT => Microversion::v3(9),
            Self::Messages | Self::Message(_) => Microversion::v3(3),
            Self::VolumeSummary => Microversion::v3(12),
            Self::Attachments { .. } | Self::Attachment(_) => Microversion::v3(27),
            Self::ResourceFilters => Microversion::v3(33),
            Self::AttachmentAction(_) => Microversion::v3(44),
            _ => Microversion::MIN,
        }
    }
}

impl Owner {
    fn of(collection: &str) -> Option<Self> {
        match collection {
            "backups" => Some(Self::Backup),
            "volumes" => Some(Self::Volume),
            "snapshots" => Some(Self::Snapshot),
            _ => None,
        }
    }
}

/// Resolves `%20` and the like; what is no such escape stays.
fn decoded(part: &str) -> String {
    let bytes = part.as_bytes();
    let mut out = Vec::with_capacity(bytes.len());
    let digit = |at: usize| bytes.get(at).and_then(|b| char::from(*b).to_digit(16));
    let mut at = 0;
    while at < bytes.len() {
        match (bytes[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                out.push(u8::try_from(high * 16 + low).unwrap_or(b'?'));
                at += 3;
            }
            (byte, ..) => {
                out.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_with_and_without_the_project() {
        let api = |project: Option<&str>, route| Place::Api {
            project: project.map(str::to_owned),
            route,
        };
        let id = || "b1".to_owned();
        for (path, want) in [
            ("/", Place::Root),
            ("", Place::Root),
            ("/v3", Place::Bare),
            ("/v3/", Place::Versions),
            ("/v2/", Place::Unknown),
            ("/healthcheck", Place::Health),
            ("/v3/backups", api(None, Route::Backups { detail: false })),
            (
                "/v3/backups.json",
                api(None, Route::Backups { detail: false }),
            ),
            ("/v3/backups/", api(None, Route::Backups { detail: false })),
            (
                "/v3/0a-1/backups/detail",
                api(Some("0a-1"), Route::Backups { detail: true }),
            ),
            ("/v3/0a/backups/b1", api(Some("0a"), Route::Backup(id()))),
            (
                "/v3/0a/backups/b1/restore",
                api(Some("0a"), Route::Restore(id())),
            ),
            (
                "/v3/0a/backups/my%20b%C3%BC",
                api(Some("0a"), Route::Backup("my bü".to_owned())),
            ),
            (
                "/v3/0a/backups/b1/export_record",
                api(Some("0a"), Route::ExportRecord(id())),
            ),
            (
                "/v3/0a/backups/import_record",
                api(Some("0a"), Route::ImportRecord),
            ),
            (
                "/v3/backups/b1/metadata",
                api(None, Route::Metadata(Owner::Backup, id())),
            ),
            ("/v3/volumes/summary", api(None, Route::VolumeSummary)),
            (
                "/v3/types/b1/extra_specs/a.json",
                api(None, Route::ExtraSpec(id(), "a.json".to_owned())),
            ),
            ("/v3/backups/b1/nonsense", Place::Unknown),
            ("/v3/zz/backups", Place::Unknown),
            ("/v3/0a", Place::Unknown),
            (
                "/v3/0a/volumes/b1/action",
                api(Some("0a"), Route::VolumeAction(id())),
            ),
            (
                "/v3/volumes/b1/metadata",
                api(None, Route::Metadata(Owner::Volume, id())),
            ),
            (
                "/v3/snapshots/b1/metadata/k.json",
                api(
                    None,
                    Route::MetadataItem(Owner::Snapshot, id(), "k.json".to_owned()),
                ),
            ),
            (
                "/v3/types/default",
                api(None, Route::Type("default".to_owned())),
            ),
            ("/v3/0a/limits", api(Some("0a"), Route::Limits)),
        ] {
            assert_eq!(Place::of(path), want, "{path}");
        }
    }

    #[test]
    fn escapes_that_are_none_stay() {
        for (part, want) in [
            ("a%", "a%"),
            ("a%2", "a%2"),
            ("%zz", "%zz"),
            ("%2541", "%41"),
        ] {
            assert_eq!(decoded(part), want);
        }
    }
}
