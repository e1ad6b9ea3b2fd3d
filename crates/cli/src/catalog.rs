//! `emberkeep catalog`: copies of a stopped service's catalog, and how it comes back.

mod report;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use emberkeep_server::{
    CatalogTool, CatalogToolError, Config, ConfigArgs, DataDirError, RebuildFrom, StartError,
};
use serde_json::json;

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::output::{Output, OutputArgs, say};

const EXAMPLES: &str = "\
The service writes copies of its catalog into the repository, sealed: every hour if anything changed,
and soon after users, vaults, policies or shares did. The service must be stopped for these commands.

Examples:
  emberkeep catalog list --data-dir /srv/emberkeep
  emberkeep catalog backup --data-dir /srv/emberkeep
  emberkeep catalog rebuild --data-dir /srv/emberkeep           the catalog is lost, damaged or too old
  emberkeep catalog rebuild --data-dir /srv/emberkeep --yes     replace the one that is there
  emberkeep catalog restore 17.5b0e… --data-dir /srv/emberkeep --yes

A catalog that is replaced is kept beside the new one as catalogue.db.aside-N.
Exit codes: 0 done, 1 failed, 2 usage, 3 no repository, catalog or copy, 4 refused.";

/// Options of `catalog`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct CatalogArgs {
    /// Configuration file of the service (TOML)
    #[arg(long, value_name = "FILE", env = "EMBERKEEP_CONFIG", global = true)]
    config: Option<PathBuf>,
    #[command(flatten)]
    output: OutputArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the copies in the repository and check each of them
    List,
    /// Write a copy of the catalog into the repository
    Backup,
    /// Restore the catalog from a copy, then add what the repository holds besides
    Restore {
        /// Name of the copy, as `list` shows it [default: the latest]
        copy: Option<String>,
        /// Replace the catalog that is there
        #[arg(long)]
        yes: bool,
    },
    /// Rebuild the catalog from the latest readable copy and the manifests of all backups
    Rebuild {
        /// Use no copy: users, roles and passwords, shares and quotas are lost
        #[arg(long)]
        from_manifests: bool,
        /// Replace the catalog that is there
        #[arg(long)]
        yes: bool,
    },
}

/// Runs `catalog`.
pub(crate) async fn run(args: CatalogArgs, connect: ConnectArgs) -> Result<(), CliError> {
    let output = Output::new(&args.output);
    let config = Config::load(ConfigArgs {
        file: args.config,
        data_dir: connect.data_dir,
        ..ConfigArgs::default()
    })
    .map_err(|error| CliError::failed_by("the configuration", &error))?;
    let tool = CatalogTool::open(config).map_err(|error| told(&error))?;
    match args.verb {
        Verb::List => report::list(&tool.list().map_err(|error| told(&error))?, &output),
        Verb::Backup => {
            let copy = tool.backup().await.map_err(|error| told(&error))?;
            output.done(
                &format!("catalog copied as {} ({} bytes)", copy.name, copy.bytes),
                &copy.name.to_string(),
                &json!({"copy": copy.name.to_string(), "bytes": copy.bytes}),
            )
        }
        Verb::Restore { copy, yes } => {
            let name = match copy {
                Some(text) => text
                    .parse()
                    .map_err(|_| CliError::usage(format!("'{text}' does not name a copy")))?,
                None => tool.latest().map_err(|error| told(&error))?,
            };
            rebuild(&tool, RebuildFrom::Copy(name), yes, &output).await
        }
        Verb::Rebuild {
            from_manifests,
            yes,
        } => {
            let from = match from_manifests {
                true => RebuildFrom::Manifests,
                false => RebuildFrom::LatestCopy,
            };
            rebuild(&tool, from, yes, &output).await
        }
    }
}

async fn rebuild(
    tool: &CatalogTool,
    from: RebuildFrom,
    yes: bool,
    output: &Output,
) -> Result<(), CliError> {
    if tool.file().exists() && !yes {
        return Err(CliError::refused(format!(
            "there is a catalog: {}",
            tool.file().path().display()
        ))
        .hint("--yes replaces it; the one that is there is kept beside it"));
    }
    let mut tell = |what: &str| say(what);
    let rebuilt = tool
        .rebuild(from, &mut tell)
        .await
        .map_err(|error| told(&error))?;
    report::rebuilt(&rebuilt, output)
}

/// Words a failure.
fn told(error: &CatalogToolError) -> CliError {
    let words = crate::error::chain(error);
    match error {
        CatalogToolError::NoRepository { .. } | CatalogToolError::NoCatalog { .. } => {
            CliError::not_found(words).hint("name the data directory: --data-dir DIR")
        }
        CatalogToolError::NoCopy { .. } => {
            CliError::not_found(words).hint("`emberkeep catalog list` shows the copies there are")
        }
        CatalogToolError::Copy { .. } => CliError::failed(words)
            .hint("`emberkeep catalog rebuild` takes the latest copy that can be read"),
        CatalogToolError::Start(StartError::DataDir(DataDirError::InUse { .. })) => {
            CliError::refused(words).hint("stop the service first")
        }
        CatalogToolError::Start(_)
        | CatalogToolError::Repository(_)
        | CatalogToolError::Writing(_)
        | CatalogToolError::Rows(_)
        | CatalogToolError::Io { .. } => CliError::failed_by("the catalog", error),
    }
}
