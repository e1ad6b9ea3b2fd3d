//! One binary for all integration tests of this crate: the binary, run as a person would.

mod bad_cloud_cli;
mod cinder_repo_cli;
mod client_cli;
mod repo_cli;
mod s3s_fs;
mod service_cli;
mod support;
mod version;
