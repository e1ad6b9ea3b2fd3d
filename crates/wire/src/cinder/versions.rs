//! The version document, by which clients choose a microversion.

use serde::{Deserialize, Serialize};

use super::{Microversion, Site};

/// Answers which versions of the API there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(
    feature = "schema",
    derive(schemars::JsonSchema),
    schemars(rename = "VolumeVersions")
)]
pub struct Versions {
    /// One for each major version: only v3.
    pub versions: Vec<VersionDocument>,
}

/// A major version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are Cinder's own, described in its API reference"
)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionDocument {
    pub id: String,
    pub status: String,
    pub version: String,
    pub min_version: String,
    pub updated: String,
    pub links: Vec<VersionLink>,
    #[serde(rename = "media-types")]
    pub media_types: Vec<MediaType>,
}

/// Where to read about a version and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct VersionLink {
    /// What it leads to.
    pub rel: String,
    /// What is found there, if it is not the API itself.
    #[serde(rename = "type", default, skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Where it leads.
    pub href: String,
}

/// What bodies are made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct MediaType {
    /// The plain type.
    pub base: String,
    /// The type with the version.
    #[serde(rename = "type")]
    pub kind: String,
}

impl Versions {
    /// Shows v3 as it is found at `site`.
    pub fn at(site: &Site) -> Self {
        let document = VersionDocument {
            id: "v3.0".into(),
            status: "CURRENT".into(),
            version: Microversion::MAX.to_string(),
            min_version: Microversion::MIN.to_string(),
            updated: "2023-08-31T00:00:00Z".into(),
            links: vec![
                VersionLink {
                    rel: "describedby".into(),
                    kind: Some("text/html".into()),
                    href: "https://docs.openstack.org/".into(),
                },
                VersionLink {
                    rel: "self".into(),
                    kind: None,
                    href: format!("{}/v3/", site.base),
                },
            ],
            media_types: vec![MediaType {
                base: "application/json".into(),
                kind: "application/vnd.openstack.volume+json;version=3".into(),
            }],
        };
        Self {
            versions: vec![document],
        }
    }
}
