//! What an operator sets: one TOML file, each key also an environment variable
//! `EMBERKEEP_…`, and the most used also a flag. Flags win over the environment,
//! the environment over the file.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;

/// Where data lies unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "emberkeep-data";
/// Where the service listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8776";

/// What is wrong with a configuration, worded for the operator.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("the configuration file {path} cannot be read")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not what it should be; the cause says where.
    #[error("the configuration file {path} is not valid")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        #[source]
        cause: toml::de::Error,
    },
    /// A value is not acceptable.
    #[error("{key} = '{value}': {reason}")]
    Value {
        /// The key, flag or variable.
        key: String,
        /// What was given.
        value: String,
        /// What it should have been.
        reason: String,
    },
}

/// What the command line gives.
#[derive(Debug, Clone, Default)]
pub struct ConfigArgs {
    /// `--config`.
    pub file: Option<PathBuf>,
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--listen`.
    pub listen: Option<String>,
}

/// The file as it stands; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<String>,
    public_endpoint: Option<String>,
    region: Option<String>,
    master_key_file: Option<PathBuf>,
    workers: Option<usize>,
    lease_secs: Option<i64>,
    sweep_delay_secs: Option<i64>,
    grace_secs: Option<u64>,
    token_lifetime_secs: Option<i64>,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Everything the service keeps lies in here.
    pub data_dir: PathBuf,
    /// Where it listens; port 0 picks one.
    pub listen: SocketAddr,
    /// How clients reach it, where that is not the address they name.
    pub public_endpoint: Option<String>,
    /// The region in the catalogue.
    pub region: String,
    /// The master key; `master.key` in the data directory if none.
    pub master_key_file: Option<PathBuf>,
    /// Tasks worked on at once.
    pub workers: usize,
    /// How long a task's lease lasts unless renewed.
    pub lease_secs: i64,
    /// How long after a deletion the sweep begins.
    pub sweep_delay_secs: i64,
    /// How long tasks may go on when the service is told to stop.
    pub grace_secs: u64,
    /// How long a token lasts.
    pub token_lifetime_secs: i64,
}

impl Config {
    /// Reads the file, the environment and the flags.
    pub fn load(args: ConfigArgs) -> Result<Self, ConfigError> {
        Self::from_sources(args, |name| std::env::var(name).ok())
    }

    /// The same with the environment as an argument.
    pub fn from_sources(
        args: ConfigArgs,
        env: impl Fn(&str) -> Option<String>,
    ) -> Result<Self, ConfigError> {
        let env = |key: &str| env(&format!("EMBERKEEP_{key}")).filter(|v| !v.is_empty());
        let path = args.file.or_else(|| env("CONFIG").map(PathBuf::from));
        let file = match path {
            Some(path) => read_file(&path)?,
            None => File::default(),
        };
        let listen = args
            .listen
            .map(|v| ("--listen", v))
            .or_else(|| env("LISTEN").map(|v| ("EMBERKEEP_LISTEN", v)))
            .or_else(|| file.listen.clone().map(|v| ("listen", v)))
            .unwrap_or(("listen", DEFAULT_LISTEN.into()));
        let config = Self {
            data_dir: args
                .data_dir
                .or_else(|| env("DATA_DIR").map(PathBuf::from))
                .or(file.data_dir)
                .unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            listen: listen.1.parse().map_err(|_| ConfigError::Value {
                key: listen.0.into(),
                value: listen.1.clone(),
                reason: "must be an address and a port, like 127.0.0.1:8776".into(),
            })?,
            public_endpoint: env("PUBLIC_ENDPOINT").or(file.public_endpoint),
            region: env("REGION")
                .or(file.region)
                .unwrap_or_else(|| "RegionOne".into()),
            master_key_file: env("MASTER_KEY_FILE")
                .map(PathBuf::from)
                .or(file.master_key_file),
            workers: number("WORKERS", env("WORKERS"), file.workers, 4)?,
            lease_secs: number("LEASE_SECS", env("LEASE_SECS"), file.lease_secs, 30)?,
            sweep_delay_secs: number(
                "SWEEP_DELAY_SECS",
                env("SWEEP_DELAY_SECS"),
                file.sweep_delay_secs,
                60,
            )?,
            grace_secs: number("GRACE_SECS", env("GRACE_SECS"), file.grace_secs, 10)?,
            token_lifetime_secs: number(
                "TOKEN_LIFETIME_SECS",
                env("TOKEN_LIFETIME_SECS"),
                file.token_lifetime_secs,
                12 * 3600,
            )?,
        };
        config.check()?;
        Ok(config)
    }

    /// Refuses values that make no sense.
    fn check(&self) -> Result<(), ConfigError> {
        let refuse = |key: &str, value: String, reason: &str| {
            Err(ConfigError::Value {
                key: key.into(),
                value,
                reason: reason.into(),
            })
        };
        if !(1..=64).contains(&self.workers) {
            return refuse("workers", self.workers.to_string(), "must be 1 to 64");
        }
        if !(5..=3600).contains(&self.lease_secs) {
            return refuse(
                "lease_secs",
                self.lease_secs.to_string(),
                "must be 5 to 3600",
            );
        }
        if self.sweep_delay_secs < 0 {
            return refuse(
                "sweep_delay_secs",
                self.sweep_delay_secs.to_string(),
                "must not be negative",
            );
        }
        if self.token_lifetime_secs < 60 {
            return refuse(
                "token_lifetime_secs",
                self.token_lifetime_secs.to_string(),
                "must be at least 60",
            );
        }
        if let Some(endpoint) = &self.public_endpoint
            && !(endpoint.starts_with("http://") || endpoint.starts_with("https://"))
        {
            return refuse(
                "public_endpoint",
                endpoint.clone(),
                "must begin with http:// or https://",
            );
        }
        Ok(())
    }

    /// Returns where the master key lies, given the data directory's absolute path.
    pub fn master_key_path_in(&self, data_dir: &Path) -> PathBuf {
        self.master_key_file
            .clone()
            .unwrap_or_else(|| data_dir.join("master.key"))
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path).map_err(|cause| ConfigError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    toml::from_str(&text).map_err(|cause| ConfigError::Syntax {
        path: path.to_owned(),
        cause,
    })
}

fn number<T: FromStr>(
    key: &str,
    env: Option<String>,
    file: Option<T>,
    default: T,
) -> Result<T, ConfigError> {
    match env {
        Some(value) => value.parse().map_err(|_| ConfigError::Value {
            key: format!("EMBERKEEP_{key}"),
            value: value.clone(),
            reason: "must be a whole number".into(),
        }),
        None => Ok(file.unwrap_or(default)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(args: ConfigArgs, env: &[(&str, &str)]) -> Result<Config, ConfigError> {
        Config::from_sources(args, |name| {
            env.iter()
                .find(|(key, _)| *key == name)
                .map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("emberkeep.toml");
        std::fs::write(
            &path,
            "data_dir = '/file'\nworkers = 2\nlisten = '127.0.0.1:1'\n",
        )
        .unwrap();
        let args = || ConfigArgs {
            file: Some(path.clone()),
            ..ConfigArgs::default()
        };

        let plain = load(args(), &[]).unwrap();
        assert_eq!(
            (plain.data_dir.as_path(), plain.workers),
            (Path::new("/file"), 2)
        );
        let env = [
            ("EMBERKEEP_DATA_DIR", "/env"),
            ("EMBERKEEP_LISTEN", "127.0.0.1:2"),
        ];
        let from_env = load(args(), &env).unwrap();
        assert_eq!(
            (from_env.data_dir.as_path(), from_env.listen.port()),
            (Path::new("/env"), 2)
        );
        let flags = ConfigArgs {
            data_dir: Some("/flag".into()),
            listen: Some("127.0.0.1:3".into()),
            ..args()
        };
        let from_flags = load(flags, &env).unwrap();
        assert_eq!(
            (from_flags.data_dir.as_path(), from_flags.listen.port()),
            (Path::new("/flag"), 3)
        );
    }

    #[test]
    fn mistakes_are_explained() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("emberkeep.toml");
        std::fs::write(&path, "data_dri = '/x'\n").unwrap();
        let file = ConfigArgs {
            file: Some(path),
            ..ConfigArgs::default()
        };
        assert!(matches!(load(file, &[]), Err(ConfigError::Syntax { .. })));
        let absent = ConfigArgs {
            file: Some("/nonexistent".into()),
            ..ConfigArgs::default()
        };
        assert!(matches!(
            load(absent, &[]),
            Err(ConfigError::Unreadable { .. })
        ));
        for (what, env) in [
            ("no address", ("EMBERKEEP_LISTEN", "everywhere")),
            ("no number", ("EMBERKEEP_WORKERS", "many")),
            ("out of range", ("EMBERKEEP_WORKERS", "0")),
            (
                "no URL",
                ("EMBERKEEP_PUBLIC_ENDPOINT", "backup.example.org"),
            ),
        ] {
            let refused = load(ConfigArgs::default(), &[env]);
            assert!(matches!(refused, Err(ConfigError::Value { .. })), "{what}");
        }
    }
}
