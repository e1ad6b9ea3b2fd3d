//! Commands about servers and file systems.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::{ProjectId, ServerFacts, VolumeId};

/// Creates a server.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewServer {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// What it runs.
    pub facts: ServerFacts,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Its volumes, in order.
    pub volumes: Vec<VolumeId>,
}

/// Registers a file system.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NewFileSystem {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// The directory.
    pub path: PathBuf,
    /// The project that owns it; the caller's own if `None`.
    pub project: Option<ProjectId>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
}
