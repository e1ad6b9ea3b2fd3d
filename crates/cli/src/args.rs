//! What can be said on the command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::connect::ConnectArgs;
use crate::{
    backup, checkpoint, config, quickstart, repo, serve, snapshot, sweep, task, vault, volume,
};

const AFTER_HELP: &str = "\
First steps:
  emberkeep quickstart                    see it work, on a disk image it makes itself
  emberkeep serve --data-dir ./data       run the service; prints one line when ready
  emberkeep --data-dir ./data volume import disk.qcow2 --name web
  emberkeep --data-dir ./data backup create web --name monday --wait
  emberkeep --data-dir ./data backup restore monday --name web-again --wait

Without a service, on a directory:
  emberkeep repo init /backups
  emberkeep repo backup /backups disk.img --name monday
  emberkeep repo restore /backups monday out.img

Which service: --os-cloud or --data-dir; else OS_CLOUD or OS_AUTH_URL as `openstack`
reads them; else ./emberkeep-data, if a service keeps its data there.

Exit codes: 0 done, 1 failed, 2 usage, 3 not found, 4 refused, 5 timed out.";

/// Cloud backup and recovery for block volumes.
#[derive(Debug, Parser)]
#[command(name = "emberkeep", version, after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) connect: ConnectArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the service
    Serve(serve::ServeArgs),
    /// See the whole of it work once, on a disk image
    Quickstart(quickstart::QuickstartArgs),
    /// Check the configuration of the service
    Config(config::ConfigArgs),
    /// Volumes: list, create, import, export, delete …
    Volume(volume::VolumeArgs),
    /// Snapshots of volumes
    Snapshot(snapshot::SnapshotArgs),
    /// Backups of volumes: create, restore, delete …
    Backup(backup::BackupArgs),
    /// Vaults: what is protected together
    Vault(vault::VaultArgs),
    /// Checkpoints: one run over a vault
    Checkpoint(checkpoint::CheckpointArgs),
    /// Tasks: what is going on, and how far it has come
    Task(task::TaskArgs),
    /// Free what no backup needs any more
    Sweep(sweep::SweepArgs),
    /// Back up disk images into a directory, without a service
    Repo(repo::RepoArgs),
    /// Print a completion script for a shell
    Completions {
        /// Which shell
        shell: Shell,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definition_holds_together() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_explains_itself() {
        fn check(command: &clap::Command, path: &str) {
            assert!(
                command.get_about().is_some(),
                "{path} says nothing about itself"
            );
            for argument in command.get_arguments() {
                assert!(
                    argument.get_help().is_some(),
                    "{path}: {} has no help",
                    argument.get_id()
                );
            }
            for inner in command.get_subcommands() {
                check(inner, &format!("{path} {}", inner.get_name()));
            }
        }
        check(&Cli::command(), "emberkeep");
    }

    #[test]
    fn options_stand_where_people_put_them() {
        for line in [
            "emberkeep --data-dir d volume list -o json",
            "emberkeep volume list --data-dir d -o json",
            "emberkeep volume -o json list",
            "emberkeep --os-cloud c backup create v --name n --incremental --wait --timeout 60",
            "emberkeep serve --data-dir d --listen 127.0.0.1:0",
            "emberkeep repo backup r disk.img --name n --parent p -o json",
            "emberkeep repo restore r n out.img",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "emberkeep backup restore b --volume v --name n",
            "emberkeep repo backup r disk.img --full --parent p",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
