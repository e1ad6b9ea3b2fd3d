//! The command line: the service and its daemon options, a client on the SDK, and
//! the engine on a repository directory without any service.
//!
//! Start at `args.rs`, which says what there is; each noun has a file of its own.

mod advice;
mod args;
mod backup;
mod catalog;
mod checkpoint;
mod cinder_repo;
mod config;
mod connect;
mod dry_run;
mod error;
mod export;
mod filesystem;
mod key;
mod logging;
mod lookup;
mod man;
mod output;
mod people;
mod policy;
mod progress;
mod project;
mod protectable;
mod quickstart;
mod quota;
mod replicate;
mod repo;
mod restore;
mod role;
mod serve;
mod server;
mod share;
mod snapshot;
mod sweep;
mod tag;
mod task;
mod user;
mod vault;
mod volume;
mod wait;

use std::future::Future;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::{Cli, Command};
pub use error::{CliError, ExitStatus};
pub use output::{Format, Output, OutputArgs};

/// Runs the command line of this process and returns its exit code. `version` is what `--version`
/// prints: number, commit, date and features of the build.
pub fn main(version: &'static str) -> ExitCode {
    let parsed = Cli::command()
        .long_version(version)
        .try_get_matches()
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
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
        Command::Server(args) => block_on(server::run(args, connect)),
        Command::Filesystem(args) => block_on(filesystem::run(args, connect)),
        Command::Vault(args) => block_on(vault::run(args, connect)),
        Command::Checkpoint(args) => block_on(checkpoint::run(args, connect)),
        Command::Restore(args) => block_on(restore::run(args, connect)),
        Command::Policy(args) => block_on(policy::run(args, connect)),
        Command::Share(args) => block_on(share::run(args, connect)),
        Command::Tag(args) => block_on(tag::run(args, connect)),
        Command::Protectable(args) => block_on(protectable::run(args, connect)),
        Command::Quota(args) => block_on(quota::run(args, connect)),
        Command::Task(args) => block_on(task::run(args, connect)),
        Command::Export(args) => block_on(export::run(args, connect)),
        Command::Replicate(args) => block_on(replicate::run(args, connect)),
        Command::Sweep(args) => block_on(sweep::run(args, connect)),
        Command::User(args) => block_on(user::run(args, connect)),
        Command::Project(args) => block_on(project::run(args, connect)),
        Command::Role(args) => block_on(role::run(args, connect)),
        Command::Repo(args) => repo::run(args),
        Command::Key(args) => key::run(args),
        Command::Catalog(args) => block_on(catalog::run(args, connect)),
        Command::CinderRepo(args) => cinder_repo::run(args),
        Command::ManPages(args) => man::run(&args, Cli::command()),
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
