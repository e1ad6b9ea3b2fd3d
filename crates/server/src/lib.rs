//! The daemon: configuration, wiring of adapters, start and stop. The only crate that
//! knows every adapter; decides nothing that a use case could decide. Start at [`start`].

mod catalog_guard;
mod catalog_place;
mod catalog_tool;
mod certificate;
mod clouds;
mod config;
mod connections;
mod data_dir;
mod people;
mod regions;
mod space;
mod start;

pub use catalog_tool::{CatalogTool, CatalogToolError, ListedCopy, RebuildFrom, Rebuilt};
pub use certificate::CertificateError;
pub use config::{
    CatalogConfig, CinderConfig, CinderPlaceError, CinderS3, CinderSwift, Config, ConfigArgs,
    ConfigError, DEFAULT_DATA_DIR, DEFAULT_LISTEN, IdentityConfig, KeystoneConfig, Listen,
    NbdConfig, NbdListen, ReplicaConfig, ReplicaStore, TlsFiles,
};
pub use data_dir::{DataDir, DataDirError};
pub use people::People;
pub use start::{Ended, Running, StartError, start};
