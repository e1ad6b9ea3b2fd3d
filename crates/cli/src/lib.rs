//! The command line: the service and its daemon options, a client on the SDK, and
//! the engine on a repository directory without any service.
//!
//! Start at `args.rs`, which says what there is; each noun has a file of its own.

mod args;
mod backup;
mod checkpoint;
mod config;
mod connect;
mod error;
mod logging;
mod lookup;
mod output;
mod progress;
mod quickstart;
mod repo;
mod serve;
mod snapshot;
mod sweep;
mod task;
mod vault;
mod volume;
mod wait;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Command};
pub use error::{CliError, ExitStatus};
pub use output::{Format, Output, OutputArgs};

/// Runs the command line of this process and returns its exit code.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and versions are no mistakes; a closed pipe is not one either.
            let _ = error.print();
            return if error.use_stderr() {
                ExitStatus::Usage.into()
            } else {
                ExitCode::SUCCESS
            };
        }
    };
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if !error.is_silent() {
                output::say(&format!("emberkeep: {error}"));
            }
            error.status().into()
        }
    }
}

fn run(cli: Cli) -> Result<(), CliError> {
    let connect = cli.connect;
    match cli.command {
        Command::Serve(args) => block_on(serve::run(args, connect)),
        Command::Quickstart(args) => block_on(quickstart::run(args, connect)),
        Command::Config(args) => config::run(args, connect),
        Command::Volume(args) => block_on(volume::run(args, connect)),
        Command::Snapshot(args) => block_on(snapshot::run(args, connect)),
        Command::Backup(args) => block_on(backup::run(args, connect)),
        Command::Vault(args) => block_on(vault::run(args, connect)),
        Command::Checkpoint(args) => block_on(checkpoint::run(args, connect)),
        Command::Task(args) => block_on(task::run(args, connect)),
        Command::Sweep(args) => block_on(sweep::run(args, connect)),
        Command::Repo(args) => repo::run(args),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "emberkeep", &mut script);
            output::print(&String::from_utf8_lossy(&script))
        }
    }
}

fn block_on(command: impl Future<Output = Result<(), CliError>>) -> Result<(), CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|cause| CliError::failed_by("starting threads", &cause))?
        .block_on(command)
}
