//! Which service a command talks to.

use std::path::{Path, PathBuf};

use clap::Args;
use emberkeep_sdk::{CloudConfig, Connection, OsArgs};

use crate::error::CliError;
use crate::output::say;

/// The name of the service's own cloud in the `clouds.yaml` of its data directory.
const OWN_CLOUD: &str = "emberkeep";
/// Where `serve` and `quickstart` keep their data unless told otherwise.
pub(crate) const DEFAULT_DATA_DIR: &str = "emberkeep-data";

/// Which service to talk to.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct ConnectArgs {
    /// The data directory of the service (its clouds.yaml says how to reach it)
    #[arg(
        long,
        value_name = "DIR",
        env = "EMBERKEEP_DATA_DIR",
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) data_dir: Option<PathBuf>,
    /// A cloud of clouds.yaml, as `openstack --os-cloud` takes it; comes before --data-dir
    #[arg(
        long,
        alias = "cloud",
        value_name = "NAME",
        global = true,
        help_heading = "Connection"
    )]
    pub(crate) os_cloud: Option<String>,
    #[command(flatten)]
    pub(crate) os: OsOptions,
}

/// What comes before clouds.yaml and the OS_* variables.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct OsOptions {
    /// The identity service, instead of OS_AUTH_URL
    #[arg(long, value_name = "URL", global = true, help_heading = "Connection")]
    os_auth_url: Option<String>,
    /// The user, instead of OS_USERNAME
    #[arg(long, value_name = "NAME", global = true, help_heading = "Connection")]
    os_username: Option<String>,
    /// The user's domain, instead of OS_USER_DOMAIN_NAME
    #[arg(long, value_name = "NAME", global = true, help_heading = "Connection")]
    os_user_domain_name: Option<String>,
    /// The project, instead of OS_PROJECT_NAME
    #[arg(long, value_name = "NAME", global = true, help_heading = "Connection")]
    os_project_name: Option<String>,
    /// The project's id, instead of OS_PROJECT_ID
    #[arg(long, value_name = "ID", global = true, help_heading = "Connection")]
    os_project_id: Option<String>,
    /// The project's domain, instead of OS_PROJECT_DOMAIN_NAME
    #[arg(long, value_name = "NAME", global = true, help_heading = "Connection")]
    os_project_domain_name: Option<String>,
    /// How to sign in (password, token, v3applicationcredential), instead of OS_AUTH_TYPE
    #[arg(long, value_name = "TYPE", global = true, help_heading = "Connection")]
    os_auth_type: Option<String>,
    /// The region to choose services from
    #[arg(long, value_name = "NAME", global = true, help_heading = "Connection")]
    os_region_name: Option<String>,
    /// Which of a service's addresses to use: public, internal or admin
    #[arg(long, value_name = "WHICH", global = true, help_heading = "Connection")]
    os_interface: Option<String>,
    /// A file of certificates to trust besides the system's
    #[arg(long, value_name = "FILE", global = true, help_heading = "Connection")]
    os_cacert: Option<PathBuf>,
    /// Trust whatever certificate is shown
    #[arg(long, global = true, help_heading = "Connection")]
    insecure: bool,
}

impl OsOptions {
    /// Puts the options that say who and where over the variables.
    fn over(&self, env: &mut OsArgs) {
        for (option, variable) in [
            (&self.os_auth_url, &mut env.auth_url),
            (&self.os_username, &mut env.username),
            (&self.os_user_domain_name, &mut env.user_domain_name),
            (&self.os_project_name, &mut env.project_name),
            (&self.os_project_id, &mut env.project_id),
            (&self.os_project_domain_name, &mut env.project_domain_name),
            (&self.os_auth_type, &mut env.auth_type),
        ] {
            if option.is_some() {
                variable.clone_from(option);
            }
        }
    }

    /// Puts the options that say how over what a cloud's description says.
    fn refine(&self, mut config: CloudConfig) -> CloudConfig {
        if self.os_region_name.is_some() {
            config.region.clone_from(&self.os_region_name);
        }
        if let Some(interface) = &self.os_interface {
            config.interface.clone_from(interface);
        }
        if self.os_cacert.is_some() {
            config.ca_file.clone_from(&self.os_cacert);
        }
        config.verify &= !self.insecure;
        config
    }
}

impl ConnectArgs {
    /// Signs in.
    pub(crate) async fn open(&self) -> Result<Connection, CliError> {
        let mut env = OsArgs::from_env();
        self.os.over(&mut env);
        let cloud = self.os.refine(self.cloud(env)?);
        let connection = Connection::open(cloud).await?;
        if let Some(words) = connection.clock_ahead_secs().await.and_then(clock_off) {
            say(&format!("emberkeep: note: {words}"));
        }
        Ok(connection)
    }

    /// Finds the cloud; see the help text for the order.
    fn cloud(&self, mut env: OsArgs) -> Result<CloudConfig, CliError> {
        if let Some(name) = &self.os_cloud {
            env.cloud = Some(name.clone());
            return CloudConfig::discover(&env)
                .map_err(|error| CliError::from(emberkeep_sdk::SdkError::from(error)));
        }
        if let Some(dir) = self.own_data_dir(&env) {
            return own_cloud(&dir);
        }
        CloudConfig::discover(&env)
            .map_err(|error| CliError::from(emberkeep_sdk::SdkError::from(error)))
    }

    /// Returns the local data directory that this command is about, if it is about one.
    pub(crate) fn local_data_dir(&self) -> Option<PathBuf> {
        if self.os_cloud.is_some() {
            None
        } else {
            self.own_data_dir(&OsArgs::from_env())
        }
    }

    fn own_data_dir(&self, env: &OsArgs) -> Option<PathBuf> {
        if let Some(dir) = &self.data_dir {
            return Some(dir.clone());
        }
        let default = PathBuf::from(DEFAULT_DATA_DIR);
        let named = env.cloud.is_some() || env.auth_url.is_some();
        (!named && default.join("clouds.yaml").exists()).then_some(default)
    }
}

/// Says that this machine's clock and the cloud's tell different times, if they do so by more
/// than a few minutes: tokens and certificates are good for a time only.
fn clock_off(ahead_secs: i64) -> Option<String> {
    const LITTLE_SECS: u64 = 300;
    let off = ahead_secs.unsigned_abs();
    let which = if ahead_secs > 0 { "ahead of" } else { "behind" };
    let (hours, minutes) = (off / 3600, off % 3600 / 60);
    (off > LITTLE_SECS).then(|| {
        format!("this machine's clock is {hours} h {minutes} min {which} the cloud's; one of both is off")
    })
}

/// Reads the cloud that a service has written into its data directory.
pub(crate) fn own_cloud(dir: &Path) -> Result<CloudConfig, CliError> {
    let file = dir.join("clouds.yaml");
    if !file.exists() {
        return Err(
            CliError::not_found(format!("{} does not exist", file.display())).hint(format!(
                "the service writes it: emberkeep serve --data-dir {}",
                dir.display()
            )),
        );
    }
    CloudConfig::from_file(&file, Some(OWN_CLOUD))
        .map_err(|error| CliError::from(emberkeep_sdk::SdkError::from(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "clouds:\n  emberkeep:\n    auth: {auth_url: 'http://127.0.0.1:1/identity/v3', username: admin, password: x, project_name: emberkeep}\n";

    #[test]
    fn a_clock_that_is_off_is_named() {
        for (ahead, want) in [
            (0, None),
            (-299, None),
            (7260, Some("2 h 1 min ahead of the cloud's")),
            (-3600, Some("1 h 0 min behind the cloud's")),
        ] {
            let words = clock_off(ahead).unwrap_or_default();
            assert_eq!(words.is_empty(), want.is_none(), "{ahead}: {words}");
            assert!(words.contains(want.unwrap_or_default()), "{ahead}: {words}");
        }
    }

    #[test]
    fn a_data_directory_is_enough() {
        let dir = tempfile::tempdir().unwrap();
        let args = ConnectArgs {
            data_dir: Some(dir.path().to_owned()),
            ..ConnectArgs::default()
        };
        let error = args.cloud(OsArgs::default()).unwrap_err();
        assert_eq!(error.status(), crate::ExitStatus::NotFound, "{error}");
        std::fs::write(dir.path().join("clouds.yaml"), FILE).unwrap();
        assert_eq!(args.cloud(OsArgs::default()).unwrap().name, "emberkeep");
        // A named data directory comes before what the environment says.
        let env = OsArgs {
            cloud: Some("other".to_owned()),
            ..OsArgs::default()
        };
        assert_eq!(args.cloud(env).unwrap().name, "emberkeep");
    }
}
