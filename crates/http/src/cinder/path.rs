//! What a path asks for.

use std::sync::LazyLock;

use axum::http::Method;
use emberkeep_wire::cinder::Microversion;

use crate::routes::Served;

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
    Extension(String),
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
        // A slash at the end names a thing without a name: Cinder has none, and clients wait for that 404.
        let parts: Vec<String> = rest.split('/').map(decoded).collect();
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

/// Makes a route of the parts of a path that have no fixed word.
type Make = fn(&[String]) -> Route;

/// Every path below the project, and what it asks for; the first that fits counts.
///
/// `.json` may follow any last part but that of a `{key}`.
const PATHS: &[(&str, Make)] = &[
    ("backups", |_| Route::Backups { detail: false }),
    ("backups/detail", |_| Route::Backups { detail: true }),
    ("backups/import_record", |_| Route::ImportRecord),
    ("backups/{backup_id}", |p| Route::Backup(p[0].clone())),
    ("backups/{backup_id}/action", |p| {
        Route::BackupAction(p[0].clone())
    }),
    ("backups/{backup_id}/restore", |p| {
        Route::Restore(p[0].clone())
    }),
    ("backups/{backup_id}/export_record", |p| {
        Route::ExportRecord(p[0].clone())
    }),
    ("backups/{backup_id}/metadata", |p| {
        Route::Metadata(Owner::Backup, p[0].clone())
    }),
    ("backups/{backup_id}/metadata/{key}", |p| {
        Route::MetadataItem(Owner::Backup, p[0].clone(), p[1].clone())
    }),
    ("volumes", |_| Route::Volumes { detail: false }),
    ("volumes/detail", |_| Route::Volumes { detail: true }),
    ("volumes/summary", |_| Route::VolumeSummary),
    ("volumes/{volume_id}", |p| Route::Volume(p[0].clone())),
    ("volumes/{volume_id}/action", |p| {
        Route::VolumeAction(p[0].clone())
    }),
    ("volumes/{volume_id}/metadata", |p| {
        Route::Metadata(Owner::Volume, p[0].clone())
    }),
    ("volumes/{volume_id}/metadata/{key}", |p| {
        Route::MetadataItem(Owner::Volume, p[0].clone(), p[1].clone())
    }),
    ("snapshots", |_| Route::Snapshots { detail: false }),
    ("snapshots/detail", |_| Route::Snapshots { detail: true }),
    ("snapshots/{snapshot_id}", |p| Route::Snapshot(p[0].clone())),
    ("snapshots/{snapshot_id}/action", |p| {
        Route::SnapshotAction(p[0].clone())
    }),
    ("snapshots/{snapshot_id}/metadata", |p| {
        Route::Metadata(Owner::Snapshot, p[0].clone())
    }),
    ("snapshots/{snapshot_id}/metadata/{key}", |p| {
        Route::MetadataItem(Owner::Snapshot, p[0].clone(), p[1].clone())
    }),
    ("attachments", |_| Route::Attachments { detail: false }),
    ("attachments/detail", |_| Route::Attachments {
        detail: true,
    }),
    ("attachments/{attachment_id}", |p| {
        Route::Attachment(p[0].clone())
    }),
    ("attachments/{attachment_id}/action", |p| {
        Route::AttachmentAction(p[0].clone())
    }),
    ("types", |_| Route::Types),
    ("types/{type_id}", |p| Route::Type(p[0].clone())),
    ("types/{type_id}/action", |p| {
        Route::TypeAction(p[0].clone())
    }),
    ("types/{type_id}/os-volume-type-access", |p| {
        Route::TypeAccess(p[0].clone())
    }),
    ("types/{type_id}/encryption", |p| {
        Route::TypeEncryption(p[0].clone())
    }),
    ("types/{type_id}/extra_specs", |p| {
        Route::ExtraSpecs(p[0].clone())
    }),
    ("types/{type_id}/extra_specs/{key}", |p| {
        Route::ExtraSpec(p[0].clone(), p[1].clone())
    }),
    ("os-quota-sets/{target_project_id}", |p| {
        Route::QuotaSet(p[0].clone())
    }),
    ("os-quota-sets/{target_project_id}/defaults", |p| {
        Route::QuotaDefaults(p[0].clone())
    }),
    ("os-quota-class-sets/{class_name}", |p| {
        Route::QuotaClass(p[0].clone())
    }),
    ("os-services", |_| Route::Services),
    ("os-services/{verb}", |p| Route::ServiceSwitch(p[0].clone())),
    ("messages", |_| Route::Messages),
    ("messages/{message_id}", |p| Route::Message(p[0].clone())),
    ("scheduler-stats/get_pools", |_| Route::Pools),
    ("os-availability-zone", |_| Route::Zones),
    ("limits", |_| Route::Limits),
    ("extensions", |_| Route::Extensions),
    ("extensions/{alias}", |p| Route::Extension(p[0].clone())),
    ("resource_filters", |_| Route::ResourceFilters),
    ("os-volume-transfer", |_| Route::Nothing("transfers")),
    ("os-volume-transfer/detail", |_| Route::Nothing("transfers")),
    ("volume-transfers", |_| Route::Nothing("transfers")),
    ("volume-transfers/detail", |_| Route::Nothing("transfers")),
    ("qos-specs", |_| Route::Nothing("qos_specs")),
    ("groups", |_| Route::Nothing("groups")),
    ("groups/detail", |_| Route::Nothing("groups")),
    ("group_types", |_| Route::Nothing("group_types")),
    ("group_snapshots", |_| Route::Nothing("group_snapshots")),
    ("group_snapshots/detail", |_| {
        Route::Nothing("group_snapshots")
    }),
    ("consistencygroups", |_| Route::Nothing("consistencygroups")),
    ("consistencygroups/detail", |_| {
        Route::Nothing("consistencygroups")
    }),
    ("cgsnapshots", |_| Route::Nothing("cgsnapshots")),
    ("cgsnapshots/detail", |_| Route::Nothing("cgsnapshots")),
];

/// The patterns of [`PATHS`], cut once; every request is held against them.
static PATTERNS: LazyLock<Vec<(Vec<&str>, Make)>> = LazyLock::new(|| {
    let cut = |&(path, make): &(&'static str, Make)| (path.split('/').collect(), make);
    PATHS.iter().map(cut).collect()
});

const KEY: &str = "{key}";

/// Lists what is served below the mount point, with and without the project in the path.
pub(super) fn served() -> impl Iterator<Item = Served> {
    let fixed = ["/", "/v3", "/v3/", "/healthcheck"].map(|path| Served {
        path: path.to_owned(),
        method: "get",
    });
    let methods = [
        ("get", Method::GET),
        ("post", Method::POST),
        ("put", Method::PUT),
        ("delete", Method::DELETE),
    ];
    let api = PATHS.iter().flat_map(move |(path, make)| {
        let route = make(&[String::new(), String::new()]);
        let taken = methods.clone().into_iter();
        taken
            .filter(move |(_, method)| route.takes(method))
            .flat_map(move |(method, _)| {
                ["/v3/", "/v3/{project_id}/"].map(|root| Served {
                    path: format!("{root}{path}"),
                    method,
                })
            })
    });
    fixed.into_iter().chain(api)
}

impl Route {
    /// Reads what follows the project.
    fn of(parts: &[&str]) -> Option<Self> {
        let (last, first) = parts.split_last()?;
        let plain = last.strip_suffix(".json").unwrap_or(last);
        let fits = |pattern: &[&str]| {
            let Some((end, begin)) = pattern.split_last() else {
                return false;
            };
            let fits = |(pattern, part): (&&str, &&str)| {
                (pattern.starts_with('{') && !part.is_empty()) || pattern == part
            };
            begin.len() == first.len() && begin.iter().zip(first).all(fits) && fits((end, &plain))
        };
        let (pattern, make) = PATTERNS.iter().find(|(pattern, _)| fits(pattern))?;
        let free = pattern.iter().zip(parts).enumerate();
        let free = free.filter(|(_, (pattern, _))| pattern.starts_with('{'));
        let free: Vec<String> = free
            .map(|(at, (pattern, part))| {
                let is_last = at + 1 == parts.len();
                let text = if is_last && *pattern != KEY {
                    plain
                } else {
                    part
                };
                text.to_owned()
            })
            .collect();
        Some(make(&free))
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
            | Self::Extension(_)
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
            Self::Nothing("group_types") => Microversion::v3(11),
            Self::Nothing("groups") => Microversion::v3(13),
            Self::Nothing("group_snapshots") => Microversion::v3(14),
            _ => Microversion::MIN,
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
            ("/v3/backups/", Place::Unknown),
            ("/v3/p/backups/", Place::Unknown),
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
