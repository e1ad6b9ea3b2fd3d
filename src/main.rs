//! The `emberkeep` binary: service, workers, console and command line in one.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    emberkeep_cli::main()
}
