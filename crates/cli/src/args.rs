//! What can be said on the command line.

use clap::{Parser, Subcommand};
use clap_complete::Shell;

use crate::connect::ConnectArgs;
use crate::{
    backup, catalog, checkpoint, cinder_repo, config, export, filesystem, key, man, policy,
    project, protectable, quickstart, quota, replicate, repo, restore, role, serve, server, share,
    snapshot, sweep, tag, task, user, vault, volume,
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
    /// Demonstrate backup and restore once, on a disk image
    Quickstart(quickstart::QuickstartArgs),
    /// Check the configuration of the service
    Config(config::ConfigArgs),
    /// Manage volumes: list, create, import, export, delete
    Volume(volume::VolumeArgs),
    /// Manage snapshots of volumes
    Snapshot(snapshot::SnapshotArgs),
    /// Manage backups of volumes: create, restore, export, delete
    Backup(backup::BackupArgs),
    /// Manage servers: groups of volumes backed up at one instant
    Server(server::ServerArgs),
    /// Manage file systems: directories backed up as trees of files
    Filesystem(filesystem::FileSystemArgs),
    /// Manage vaults: groups of resources protected together
    Vault(vault::VaultArgs),
    /// Manage checkpoints: one backup run over a vault
    Checkpoint(checkpoint::CheckpointArgs),
    /// Restore a vault backup to its volume or to another volume
    Restore(restore::RestoreArgs),
    /// Manage policies: schedules and retention of automatic backups
    Policy(policy::PolicyArgs),
    /// Share backups with other projects
    Share(share::ShareArgs),
    /// Manage tags of vaults
    Tag(tag::TagArgs),
    /// List resources that vaults can protect
    Protectable(protectable::ProtectableArgs),
    /// Manage quotas: a project's limits and usage
    Quota(quota::QuotaArgs),
    /// List, watch and cancel tasks
    Task(task::TaskArgs),
    /// Replicate backups to another region
    Replicate(replicate::ReplicateArgs),
    /// Export backups as volumes over NBD
    Export(export::ExportArgs),
    /// Delete stored data that no backup references (garbage collection)
    Sweep(sweep::SweepArgs),
    /// Manage users
    User(user::UserArgs),
    /// Manage projects
    Project(project::ProjectArgs),
    /// Manage role assignments
    Role(role::RoleArgs),
    /// Back up disk images into a directory, without a service
    Repo(repo::RepoArgs),
    /// Put a master key on paper, read it back, and note that there is a copy
    Key(key::KeyArgs),
    /// Copy, restore or rebuild the catalog of a stopped service
    Catalog(catalog::CatalogArgs),
    /// Read backups written by Cinder's own drivers, without a service
    CinderRepo(cinder_repo::CinderRepoArgs),
    /// Write manual pages
    ManPages(man::ManArgs),
    /// Print a completion script for a shell
    Completions {
        /// Shell to generate the script for
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
            "emberkeep --cloud c policy create n --at FREQ=DAILY;BYHOUR=1 --keep 7",
            "emberkeep policy list --os-region-name R --insecure -o yaml --sort name:desc",
            "emberkeep restore b --dry-run",
            "emberkeep vault delete v --dry-run",
            "emberkeep tag set v a=b c=",
            "emberkeep quota set backups=-1",
            "emberkeep serve --data-dir d --listen 127.0.0.1:0",
            "emberkeep serve --identity keystone",
            "emberkeep project create NAME",
            "emberkeep user create NAME --password-stdin",
            "emberkeep role add --user U --project P member",
            "emberkeep repo backup r disk.img --name n --parent p -o json",
            "emberkeep repo restore r n out.img",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_ok(), "{line}");
        }
        for line in [
            "emberkeep backup restore b --volume v --name n",
            "emberkeep repo backup r disk.img --full --parent p",
            "emberkeep policy create n",
            "emberkeep policy create n --at X --daily 7",
            "emberkeep policy create n --at X --keep 7 --keep-days 7",
            "emberkeep tag set v a",
            "emberkeep quota set backups=many",
        ] {
            assert!(Cli::try_parse_from(line.split(' ')).is_err(), "{line}");
        }
    }
}
