//! The `emberkeep` binary: service, workers, console and command line in one.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// What `emberkeep --version` prints behind the name.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("EMBERKEEP_COMMIT"),
    ", ",
    env!("EMBERKEEP_COMMIT_DATE"),
    ")\n",
    env!("EMBERKEEP_BUILD"),
    "\nfeatures: sqlite, local store, s3, swift reader, nbd, tls",
);

fn main() -> ExitCode {
    emberkeep_cli::main(VERSION)
}
