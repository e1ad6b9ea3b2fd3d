//! What an operator sets: one TOML file, each key also an environment variable
//! `EMBERKEEP_…`, and the most used also a flag. Flags win over the environment,
//! the environment over the file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use emberkeep_http::Network;
use emberkeep_keys::KeySource;
use emberkeep_service::{DefaultQuotas, Policy};
use serde::Deserialize;

mod catalog;
mod cinder;
mod identity;
mod listen;
mod nbd;
mod replica;

pub use catalog::CatalogConfig;
use cinder::CinderFile;
pub use cinder::{CinderConfig, CinderPlaceError, CinderS3, CinderSwift};
use identity::KeystoneFile;
pub use identity::{IdentityConfig, KeystoneConfig};
pub use listen::{Listen, TlsFiles};
use listen::{ListenFile, ListenerFile, Sources};
pub use nbd::{NbdConfig, NbdListen};
use replica::ReplicaFile;
pub use replica::{ReplicaConfig, ReplicaStore};

/// Where data lies unless told otherwise.
pub const DEFAULT_DATA_DIR: &str = "emberkeep-data";
/// Where the service listens unless told otherwise.
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8776";

/// What a unit's `LoadCredential=` calls the master key.
const CREDENTIAL: &str = "emberkeep.master-key";

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
    /// Other users may change the file.
    #[error(
        "the configuration file {path} has mode {mode:03o}: other users can change it; chmod go-w it"
    )]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
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
    /// `--listen`: addresses, separated by commas.
    pub listen: Option<String>,
    /// `--tls-certificate`.
    pub tls_certificate: Option<PathBuf>,
    /// `--tls-key`.
    pub tls_key: Option<PathBuf>,
    /// `--identity`.
    pub identity: Option<String>,
    /// `--accept`.
    pub accept_catalog: bool,
}

/// The file as it stands; every key is optional.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    data_dir: Option<PathBuf>,
    listen: Option<ListenFile>,
    #[serde(default)]
    listeners: Vec<ListenerFile>,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
    trusted_proxies: Option<Vec<String>>,
    idle_secs: Option<u64>,
    public_endpoint: Option<String>,
    region: Option<String>,
    master_key_file: Option<PathBuf>,
    master_key_command: Option<String>,
    workers: Option<usize>,
    lease_secs: Option<i64>,
    task_timeout_hours: Option<u32>,
    sweep_delay_secs: Option<i64>,
    policy_min_gap_minutes: Option<u16>,
    verify_gib_a_day: Option<u64>,
    catalog_copy_secs: Option<u64>,
    catalog_copies: Option<usize>,
    low_water_mib: Option<u64>,
    reserve_mib: Option<u64>,
    store_write_mib_s: Option<u64>,
    store_read_mib_s: Option<u64>,
    grace_secs: Option<u64>,
    token_lifetime_secs: Option<i64>,
    identity: Option<String>,
    #[serde(default)]
    keystone: KeystoneFile,
    #[serde(default)]
    policy: BTreeMap<String, String>,
    #[serde(default)]
    quotas: QuotasFile,
    count_dependents: Option<bool>,
    #[serde(default)]
    turbo_roots: Vec<PathBuf>,
    #[serde(default)]
    cinder: CinderFile,
    #[serde(default)]
    replicas: Vec<ReplicaFile>,
    nbd_listen: Option<String>,
    nbd_tls: Option<PathBuf>,
}

/// The keys of `[quotas]`; −1 is no limit.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct QuotasFile {
    volumes: Option<i64>,
    snapshots: Option<i64>,
    gigabytes: Option<i64>,
    backups: Option<i64>,
    backup_gigabytes: Option<i64>,
    per_volume_gigabytes: Option<i64>,
}

/// The settings in force.
#[derive(Debug, Clone)]
pub struct Config {
    /// Everything the service keeps lies in here.
    pub data_dir: PathBuf,
    /// Where it listens, at least one place.
    pub listen: Vec<Listen>,
    /// Proxies whose `X-Forwarded-*` are believed.
    pub trusted_proxies: Vec<Network>,
    /// How long a connection may be idle, or take to send the head of a request.
    pub idle_secs: u64,
    /// How clients reach it, where that is not the address they name.
    pub public_endpoint: Option<String>,
    /// The region in the catalogue.
    pub region: String,
    /// The master key; `master.key` in the data directory if none.
    pub master_key_file: Option<PathBuf>,
    /// A shell command that prints the master key's file.
    pub master_key_command: Option<String>,
    /// Where systemd puts what a unit's `LoadCredential=` names.
    pub credentials_directory: Option<PathBuf>,
    /// Tasks worked on at once.
    pub workers: usize,
    /// How long a task's lease lasts unless renewed.
    pub lease_secs: i64,
    /// Hours that copying and restoring may take; 0 for as long as it takes.
    pub task_timeout_hours: u32,
    /// How long after a deletion the sweep begins.
    pub sweep_delay_secs: i64,
    /// Minutes between two runs of a policy on one day, at least.
    pub policy_min_gap_minutes: u16,
    /// GiB of stored data that are read and verified a day; 0 for none.
    pub verify_gib_a_day: u64,
    /// How the catalog is copied into the repository.
    pub catalog: CatalogConfig,
    /// Start with a catalog that does not know all that is in the repository.
    pub accept_catalog: bool,
    /// MiB that must stay free in the data directory: with less, nothing that stores data is begun; 0 for no mark.
    pub low_water_mib: u64,
    /// MiB held back in the data directory and released when it is full; 0 for none.
    pub reserve_mib: u64,
    /// MiB a second that may be written to the store, so that others have room; 0 for no limit.
    pub store_write_mib_s: u64,
    /// MiB a second that may be read from the store; 0 for no limit.
    pub store_read_mib_s: u64,
    /// How long tasks may go on when the service is told to stop.
    pub grace_secs: u64,
    /// How long a token lasts.
    pub token_lifetime_secs: i64,
    /// Who says what tokens are good for.
    pub identity: IdentityConfig,
    /// Who may do what through Block Storage.
    pub policy: Policy,
    /// What a project may have unless an administrator says otherwise.
    pub quotas: DefaultQuotas,
    /// Refuse to delete a backup that others were made from, as Cinder does.
    pub count_dependents: bool,
    /// The directories below which file systems may be registered.
    pub turbo_roots: Vec<PathBuf>,
    /// Where backups are served over NBD, if anywhere.
    pub nbd: Option<NbdConfig>,
    /// Regions that take copies of backups.
    pub replicas: Vec<ReplicaConfig>,
    /// Where Cinder keeps backups whose records may be imported.
    pub cinder: CinderConfig,
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
        let credentials_directory = env("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let env = |key: &str| env(&format!("EMBERKEEP_{key}")).filter(|v| !v.is_empty());
        let path = args.file.or_else(|| env("CONFIG").map(PathBuf::from));
        let file = match path {
            Some(path) => read_file(&path)?,
            None => File::default(),
        };
        let listen = args
            .listen
            .map(|v| Sources::Words("--listen", v))
            .or_else(|| env("LISTEN").map(|v| Sources::Words("EMBERKEEP_LISTEN", v)))
            .unwrap_or(Sources::File(file.listen, file.listeners));
        let file_of = |flag: Option<PathBuf>, key: &str, file: Option<PathBuf>| {
            flag.or_else(|| env(key).map(PathBuf::from)).or(file)
        };
        let listen = listen::read(
            listen,
            DEFAULT_LISTEN,
            file_of(
                args.tls_certificate,
                "TLS_CERTIFICATE",
                file.tls_certificate,
            ),
            file_of(args.tls_key, "TLS_KEY", file.tls_key),
        )?;
        let kind = args
            .identity
            .map(|v| ("--identity", v))
            .or_else(|| env("IDENTITY").map(|v| ("EMBERKEEP_IDENTITY", v)))
            .or_else(|| file.identity.clone().map(|v| ("identity", v)));
        let quotas = quotas(&env, &file.quotas)?;
        let count_dependents = match env("COUNT_DEPENDENTS").as_deref() {
            None => file.count_dependents.unwrap_or(false),
            Some("true" | "1") => true,
            Some("false" | "0") => false,
            Some(other) => {
                return Err(ConfigError::Value {
                    key: "EMBERKEEP_COUNT_DEPENDENTS".into(),
                    value: other.into(),
                    reason: "must be true or false".into(),
                });
            }
        };
        let region = env("REGION")
            .or(file.region)
            .unwrap_or_else(|| "RegionOne".into());
        let replicas = replica::read(env("REPLICAS"), file.replicas, &region)?;
        let nbd = nbd::read(
            env("NBD_LISTEN").or(file.nbd_listen),
            env("NBD_TLS").map(PathBuf::from).or(file.nbd_tls),
        )?;
        let config = Self {
            nbd,
            replicas,
            cinder: cinder::read(file.cinder, env)?,
            identity: identity::read(kind, file.keystone, env)?,
            policy: Policy::with(&file.policy).map_err(|error| ConfigError::Value {
                key: "policy".into(),
                value: String::new(),
                reason: error.to_string(),
            })?,
            quotas,
            count_dependents,
            turbo_roots: turbo_roots(env, file.turbo_roots)?,
            data_dir: args
                .data_dir
                .or_else(|| env("DATA_DIR").map(PathBuf::from))
                .or(file.data_dir)
                .unwrap_or_else(|| DEFAULT_DATA_DIR.into()),
            listen,
            trusted_proxies: networks(env("TRUSTED_PROXIES"), file.trusted_proxies)?,
            idle_secs: number("IDLE_SECS", env("IDLE_SECS"), file.idle_secs, 60)?,
            public_endpoint: env("PUBLIC_ENDPOINT").or(file.public_endpoint),
            region,
            master_key_file: env("MASTER_KEY_FILE")
                .map(PathBuf::from)
                .or(file.master_key_file),
            master_key_command: env("MASTER_KEY_COMMAND").or(file.master_key_command),
            credentials_directory,
            workers: number("WORKERS", env("WORKERS"), file.workers, 4)?,
            lease_secs: number("LEASE_SECS", env("LEASE_SECS"), file.lease_secs, 30)?,
            task_timeout_hours: number(
                "TASK_TIMEOUT_HOURS",
                env("TASK_TIMEOUT_HOURS"),
                file.task_timeout_hours,
                0,
            )?,
            sweep_delay_secs: number(
                "SWEEP_DELAY_SECS",
                env("SWEEP_DELAY_SECS"),
                file.sweep_delay_secs,
                60,
            )?,
            policy_min_gap_minutes: number(
                "POLICY_MIN_GAP_MINUTES",
                env("POLICY_MIN_GAP_MINUTES"),
                file.policy_min_gap_minutes,
                60,
            )?,
            verify_gib_a_day: number(
                "VERIFY_GIB_A_DAY",
                env("VERIFY_GIB_A_DAY"),
                file.verify_gib_a_day,
                24,
            )?,
            catalog: catalog::read(env, file.catalog_copy_secs, file.catalog_copies)?,
            accept_catalog: args.accept_catalog,
            low_water_mib: number(
                "LOW_WATER_MIB",
                env("LOW_WATER_MIB"),
                file.low_water_mib,
                256,
            )?,
            reserve_mib: number("RESERVE_MIB", env("RESERVE_MIB"), file.reserve_mib, 32)?,
            store_write_mib_s: number(
                "STORE_WRITE_MIB_S",
                env("STORE_WRITE_MIB_S"),
                file.store_write_mib_s,
                0,
            )?,
            store_read_mib_s: number(
                "STORE_READ_MIB_S",
                env("STORE_READ_MIB_S"),
                file.store_read_mib_s,
                0,
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
        if self.verify_gib_a_day > 1 << 20 {
            return refuse(
                "verify_gib_a_day",
                self.verify_gib_a_day.to_string(),
                "must be 0 to 1048576",
            );
        }
        for (key, mib) in [
            ("low_water_mib", self.low_water_mib),
            ("reserve_mib", self.reserve_mib),
        ] {
            if mib > 1 << 20 {
                return refuse(key, mib.to_string(), "must be 0 (none) to 1048576");
            }
        }
        // Else what the reserve gives back would let new work begin, which would fill the disk again.
        if self.reserve_mib > self.low_water_mib {
            return refuse(
                "reserve_mib",
                self.reserve_mib.to_string(),
                "must be no more than low_water_mib",
            );
        }
        for (key, rate) in [
            ("store_write_mib_s", self.store_write_mib_s),
            ("store_read_mib_s", self.store_read_mib_s),
        ] {
            if rate > 1 << 20 {
                return refuse(key, rate.to_string(), "must be 0 (no limit) to 1048576");
            }
        }
        if !(5..=3600).contains(&self.lease_secs) {
            return refuse(
                "lease_secs",
                self.lease_secs.to_string(),
                "must be 5 to 3600",
            );
        }
        // A year: what is meant to be longer is meant to have no limit.
        if self.task_timeout_hours > 8760 {
            return refuse(
                "task_timeout_hours",
                self.task_timeout_hours.to_string(),
                "must be 0 (no limit) to 8760",
            );
        }
        if !(1..=3600).contains(&self.idle_secs) {
            return refuse("idle_secs", self.idle_secs.to_string(), "must be 1 to 3600");
        }
        if self.sweep_delay_secs < 0 {
            return refuse(
                "sweep_delay_secs",
                self.sweep_delay_secs.to_string(),
                "must not be negative",
            );
        }
        if !(1..=60).contains(&self.policy_min_gap_minutes) {
            return refuse(
                "policy_min_gap_minutes",
                self.policy_min_gap_minutes.to_string(),
                "must be 1 to 60",
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
        if let (Some(command), Some(_)) = (&self.master_key_command, &self.master_key_file) {
            return refuse(
                "master_key_command",
                command.clone(),
                "give it or master_key_file, not both",
            );
        }
        Ok(())
    }

    /// Returns where the master key comes from, given the data directory's absolute path: what the
    /// configuration names, systemd's credential `emberkeep.master-key`, or the data directory.
    pub fn master_key_in(&self, data_dir: &Path) -> KeySource {
        if let Some(command) = &self.master_key_command {
            return KeySource::Command(command.clone());
        }
        if let Some(path) = &self.master_key_file {
            return KeySource::File(path.clone());
        }
        let given = self.credentials_directory.as_ref();
        let given = given.map(|directory| directory.join(CREDENTIAL));
        match given.filter(|path| path.exists()) {
            Some(path) => KeySource::Given(path),
            None => KeySource::File(data_dir.join("master.key")),
        }
    }
}

/// Reads the directories below which file systems may be registered; in the environment they are
/// separated by colons.
fn turbo_roots(
    env: impl Fn(&str) -> Option<String>,
    file: Vec<PathBuf>,
) -> Result<Vec<PathBuf>, ConfigError> {
    let roots = match env("TURBO_ROOTS") {
        Some(list) => list.split(':').map(PathBuf::from).collect(),
        None => file,
    };
    match roots.iter().find(|root| !root.is_absolute()) {
        Some(wrong) => Err(ConfigError::Value {
            key: "turbo_roots".into(),
            value: wrong.display().to_string(),
            reason: "must be absolute paths".into(),
        }),
        None => Ok(roots),
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    use std::os::unix::fs::MetadataExt;
    let unreadable = |cause| ConfigError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let facts = std::fs::metadata(path).map_err(unreadable)?;
    let mode = facts.mode() & 0o777;
    // A user who may write it decides what the service runs and trusts. A pipe has no such mode.
    if facts.is_file() && mode & 0o022 != 0 {
        return Err(ConfigError::OpenToOthers {
            path: path.to_owned(),
            mode,
        });
    }
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    toml::from_str(&text).map_err(|cause| ConfigError::Syntax {
        path: path.to_owned(),
        cause,
    })
}

/// Reads which proxies are believed; in the variable they are separated by commas.
fn networks(env: Option<String>, file: Option<Vec<String>>) -> Result<Vec<Network>, ConfigError> {
    let words = match env {
        Some(text) => text.split(',').map(|word| word.trim().to_owned()).collect(),
        None => file.unwrap_or_default(),
    };
    let parsed = words.into_iter().map(|word| {
        word.parse::<Network>().map_err(|error| ConfigError::Value {
            key: "trusted_proxies".into(),
            value: word.clone(),
            reason: error.to_string(),
        })
    });
    parsed.collect()
}

/// Reads what projects may have; each key of `[quotas]` is also a variable `EMBERKEEP_QUOTA_…`.
///
/// Unless told otherwise nothing is limited but by the disk: ten backups, Cinder's own default, is no
/// limit that somebody with one machine would expect to meet.
fn quotas(
    env: &impl Fn(&str) -> Option<String>,
    file: &QuotasFile,
) -> Result<DefaultQuotas, ConfigError> {
    let most = DefaultQuotas {
        volumes: -1,
        snapshots: -1,
        gigabytes: -1,
        backups: -1,
        backup_gigabytes: -1,
        per_volume_gigabytes: -1,
    };
    let read = |name: &str, file: Option<i64>, default: i64| {
        let key = format!("QUOTA_{name}");
        let limit = number(&key, env(&key), file, default)?;
        if limit < -1 {
            return Err(ConfigError::Value {
                key: format!("quotas.{}", name.to_lowercase()),
                value: limit.to_string(),
                reason: "must be -1 (no limit) or more".into(),
            });
        }
        Ok(limit)
    };
    Ok(DefaultQuotas {
        volumes: read("VOLUMES", file.volumes, most.volumes)?,
        snapshots: read("SNAPSHOTS", file.snapshots, most.snapshots)?,
        gigabytes: read("GIGABYTES", file.gigabytes, most.gigabytes)?,
        backups: read("BACKUPS", file.backups, most.backups)?,
        backup_gigabytes: read(
            "BACKUP_GIGABYTES",
            file.backup_gigabytes,
            most.backup_gigabytes,
        )?,
        per_volume_gigabytes: read(
            "PER_VOLUME_GIGABYTES",
            file.per_volume_gigabytes,
            most.per_volume_gigabytes,
        )?,
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
mod tests;
