//! `emberkeep serve`: the service, until it is told to stop.

use std::path::PathBuf;

use clap::Args;
use emberkeep_server::{Config, ConfigArgs, Ended, StartError};

use crate::connect::ConnectArgs;
use crate::error::CliError;
use crate::logging::LogArgs;
use crate::output::print;

const EXAMPLES: &str = "\
When it serves, it prints one line for each address on standard output:
  ready http://127.0.0.1:8776
Logs go to standard error. SIGTERM or Ctrl-C stops it; running work is handed over. SIGHUP reads the
certificates again.

Examples:
  emberkeep serve
  emberkeep serve --data-dir /srv/emberkeep --listen 127.0.0.1:8776
  emberkeep serve --listen 127.0.0.1:8776 --listen https://0.0.0.0:8777 \\
      --tls-certificate chain.pem --tls-key key.pem
  OS_CLIENT_CONFIG_FILE=/srv/emberkeep/clouds.yaml openstack --os-cloud emberkeep volume list";

/// Options of `serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    #[command(flatten)]
    settings: ServiceArgs,
    /// Start although the catalog does not know all backups in the repository; they stay there, unlisted
    #[arg(long)]
    accept: bool,
    #[command(flatten)]
    log: LogArgs,
}

/// What the service can be told on the command line.
#[derive(Debug, Clone, Args)]
pub(crate) struct ServiceArgs {
    /// Address to listen on; repeatable. An https:// prefix enables TLS, port 0 picks a free port
    /// [default: 127.0.0.1:8776]
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        env = "EMBERKEEP_LISTEN",
        value_delimiter = ','
    )]
    listen: Vec<String>,
    /// Certificate chain for https:// (PEM)
    #[arg(long, value_name = "FILE", env = "EMBERKEEP_TLS_CERTIFICATE")]
    tls_certificate: Option<PathBuf>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE", env = "EMBERKEEP_TLS_KEY")]
    tls_key: Option<PathBuf>,
    /// Configuration file (TOML); each key is also a variable EMBERKEEP_…
    #[arg(long, value_name = "FILE", env = "EMBERKEEP_CONFIG")]
    config: Option<PathBuf>,
    /// Identity service that validates tokens: builtin or keystone [default: builtin]
    #[arg(long, value_name = "KIND", env = "EMBERKEEP_IDENTITY")]
    identity: Option<String>,
}

impl ServiceArgs {
    /// Reads the configuration, with the data directory of the connection options.
    pub(crate) fn load(self, connect: ConnectArgs) -> Result<Config, CliError> {
        if connect.os_cloud.is_some() {
            return Err(CliError::usage(
                "--os-cloud names a service elsewhere; this one is run here",
            ));
        }
        let args = ConfigArgs {
            file: self.config,
            data_dir: connect.data_dir,
            listen: (!self.listen.is_empty()).then(|| self.listen.join(",")),
            tls_certificate: self.tls_certificate,
            tls_key: self.tls_key,
            identity: self.identity,
            accept_catalog: false,
        };
        Config::load(args).map_err(|error| CliError::failed_by("the configuration", &error))
    }
}

/// Runs `serve`.
pub(crate) async fn run(args: ServeArgs, connect: ConnectArgs) -> Result<(), CliError> {
    args.log.start("info")?;
    let mut config = args.settings.load(connect)?;
    config.accept_catalog = args.accept;
    let running = emberkeep_server::start(config)
        .await
        .map_err(|error| not_started(&error))?;
    let ready: String = running
        .urls()
        .iter()
        .map(|url| format!("ready {url}\n"))
        .collect();
    tell_ready(&ready);
    ended(running.stopped().await)
}

/// Writes the lines that say where the service answers. It answers all the same where nobody can
/// read them.
fn tell_ready(lines: &str) {
    if let Err(error) = print(lines) {
        tracing::warn!(%error, "standard output cannot be written; the service goes on");
    }
}

/// Turns the end of a service into that of its command.
pub(crate) fn ended(ended: Ended) -> Result<(), CliError> {
    match ended {
        Ended::Told => Ok(()),
        Ended::GaveUp(gave_up) => Err(CliError::worker_failed(&gave_up)),
        Ended::CatalogDamaged(words) => {
            Err(CliError::refused(format!("the service stopped: {words}")).hint(REBUILD))
        }
    }
}

/// The ways out where the catalog is damaged.
const REBUILD: &str = "`emberkeep catalog rebuild --yes` makes it again from its latest copy and the backups in the repository; the damaged file is kept";
/// The ways out where the catalog is not the latest.
const BEHIND: &str = "put the latest catalogue.db back; or `emberkeep catalog rebuild` (--yes replaces the one there is) makes it again from its latest copy and the backups in the repository; or `emberkeep serve --accept` goes on with the catalog as it is";

/// Words a failure to start.
pub(crate) fn not_started(error: &StartError) -> CliError {
    let told = CliError::failed_by("the service did not start", error);
    match error {
        StartError::CatalogDamaged { .. } => refused(error).hint(REBUILD),
        StartError::CatalogBehind { .. } => refused(error).hint(BEHIND),
        StartError::Listen { .. } => {
            told.hint("another address: --listen 127.0.0.1:0 takes a free port")
        }
        StartError::DataDir(_)
        | StartError::Signals(_)
        | StartError::Certificate(_)
        | StartError::Key { .. }
        | StartError::RegionKey { .. }
        | StartError::NewKey(_)
        | StartError::RepositoryGone { .. }
        | StartError::Repository(_)
        | StartError::Store(_)
        | StartError::Catalog(_)
        | StartError::CatalogFile(_)
        | StartError::Interrupted(_)
        | StartError::Volumes(_)
        | StartError::KeystonePassword { .. }
        | StartError::KeystoneAuthority { .. }
        | StartError::Keystone(_)
        | StartError::Nbd { .. }
        | StartError::NbdTls(_)
        | StartError::Cinder(_)
        | StartError::Recovery(_) => told,
    }
}

/// Words a start that is refused until somebody decides.
fn refused(error: &StartError) -> CliError {
    CliError::refused(format!(
        "the service did not start: {}",
        crate::error::chain(error)
    ))
}
