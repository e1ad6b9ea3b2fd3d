//! What queries may hold.

use emberkeep_wire::cinder::{MAX_LIMIT, Resource};

/// What a parameter of a query holds.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Kind {
    /// Any text.
    Text,
    /// An id.
    Uuid,
    /// Yes or no.
    Flag,
    /// A whole number, from and up to.
    Whole(i64, i64),
    /// One of these words.
    Words(&'static [&'static str]),
    /// Some of these words, with commas.
    List(&'static [&'static str]),
}

/// A parameter of a query.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Param {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) kind: Kind,
    /// Whether it must be there.
    pub(crate) required: bool,
}

/// A parameter that may be left out.
pub(crate) const fn may(name: &'static str, kind: Kind) -> Param {
    Param {
        name,
        kind,
        required: false,
    }
}

/// A parameter that must be there.
pub(crate) const fn must(name: &'static str, kind: Kind) -> Param {
    Param {
        required: true,
        ..may(name, kind)
    }
}

/// Returns what a list of Block Storage may be asked for: a page, an order, and the filters that everybody may use.
pub(crate) fn listing(resource: Resource) -> Vec<Param> {
    let mut params = vec![
        may("limit", Kind::Whole(0, MAX_LIMIT as i64)),
        may("marker", Kind::Uuid),
        may("offset", Kind::Whole(0, 0x7fff_ffff)),
        may("sort", Kind::Text),
        may("sort_key", Kind::Words(sort_keys(resource))),
        may("sort_dir", Kind::Words(&["asc", "desc"])),
        may("with_count", Kind::Flag),
        may("all_tenants", Kind::Flag),
    ];
    params.extend(resource.filters().iter().map(|name| {
        let kind = match *name {
            "volume_id" | "instance_id" | "resource_uuid" | "group_id" => Kind::Uuid,
            "bootable" | "consumes_quota" => Kind::Flag,
            "is_public" => Kind::Words(&["true", "false", "none"]),
            "size" => Kind::Whole(0, 0x7fff_ffff),
            _ => Kind::Text,
        };
        may(name, kind)
    }));
    params
}

/// Names the columns that a list can be ordered by, the common ones.
fn sort_keys(resource: Resource) -> &'static [&'static str] {
    match resource {
        Resource::Backup | Resource::Volume => {
            &["created_at", "name", "status", "size", "id", "updated_at"]
        }
        Resource::Snapshot => &["created_at", "name", "status", "id", "updated_at"],
        Resource::Attachment => &["created_at", "status", "id", "updated_at"],
        Resource::Message => &["created_at", "id", "updated_at"],
        Resource::VolumeType => &["created_at", "name", "id"],
    }
}
