//! What the service catalogue says: which services there are and where.

use emberkeep_wire::identity::{CatalogEntry, Endpoint};

/// A service in the catalogue.
#[derive(Debug, Clone, Copy)]
pub(super) struct Service {
    pub(super) kind: &'static str,
    pub(super) name: &'static str,
    path: &'static str,
    /// Its address ends with the project.
    per_project: bool,
}

/// All services. Block Storage stands there twice: some clients ask for one name only.
pub(super) const SERVICES: [Service; 4] = [
    Service {
        kind: "identity",
        name: "keystone",
        path: "/identity/v3",
        per_project: false,
    },
    Service {
        kind: "volumev3",
        name: "cinderv3",
        path: "/volume/v3",
        per_project: true,
    },
    Service {
        kind: "block-storage",
        name: "cinder",
        path: "/volume/v3",
        per_project: true,
    },
    Service {
        kind: "cbr",
        name: "cbr",
        path: "/cbr/v3",
        per_project: true,
    },
];

/// The three addresses every service has; ours are all the same.
pub(super) const INTERFACES: [&str; 3] = ["public", "internal", "admin"];

impl Service {
    /// Its id: the same in every installation, so that nothing needs to be kept.
    pub(super) fn id(&self) -> String {
        stable_id(&["service", self.kind])
    }

    /// The id of one of its endpoints.
    pub(super) fn endpoint_id(&self, interface: &str, region: &str) -> String {
        stable_id(&["endpoint", self.kind, interface, region])
    }

    /// Where it is, for `project`.
    pub(super) fn url(&self, base: &str, project: &str) -> String {
        if self.per_project {
            format!("{base}{}/{project}", self.path)
        } else {
            format!("{base}{}", self.path)
        }
    }
}

/// Returns the catalogue for a token of `project`.
pub(super) fn entries(base: &str, region: &str, project: &str) -> Vec<CatalogEntry> {
    SERVICES
        .iter()
        .map(|service| CatalogEntry {
            endpoints: INTERFACES
                .iter()
                .map(|interface| Endpoint {
                    id: service.endpoint_id(interface, region),
                    interface: (*interface).to_owned(),
                    region_id: Some(region.to_owned()),
                    url: service.url(base, project),
                    region: Some(region.to_owned()),
                })
                .collect(),
            id: service.id(),
            kind: service.kind.to_owned(),
            name: service.name.to_owned(),
        })
        .collect()
}

/// Returns 32 hex digits that depend on `parts` alone.
pub(super) fn stable_id(parts: &[&str]) -> String {
    let hash = blake3::hash(parts.join("\n").as_bytes());
    hex::encode(&hash.as_bytes()[..16])
}
