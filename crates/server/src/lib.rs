//! The daemon: configuration, wiring of adapters, start and stop. The only crate that
//! knows every adapter; decides nothing that a use case could decide. Start at [`start`].

mod clouds;
mod config;
mod data_dir;
mod people;
mod start;

pub use config::{
    Config, ConfigArgs, ConfigError, DEFAULT_DATA_DIR, DEFAULT_LISTEN, IdentityConfig,
    KeystoneConfig,
};
pub use data_dir::{DataDir, DataDirError};
pub use people::People;
pub use start::{Running, StartError, start};
