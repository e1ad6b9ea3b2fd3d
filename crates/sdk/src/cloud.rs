//! Which cloud to talk to, and as whom: `clouds.yaml` and `OS_*`, as `openstack` reads them.

mod error;
mod files;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::os_args::OsArgs;
use crate::secret::Secret;
use crate::version::Microversion;

pub use error::ConfigError;
use files::{AuthEntry, CloudEntry};

/// A user, project or domain: by its id, or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

/// Who signs in, and for what.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// How it is shown who it is.
    pub method: Method,
    /// What is asked for; an application credential has its own.
    pub scope: Scope,
}

/// How it is shown who signs in.
#[derive(Debug, Clone)]
pub enum Method {
    /// With a name and a password.
    Password {
        /// The user.
        user: Named,
        /// The user's domain; not needed with an id.
        domain: Named,
        /// The password.
        password: Secret,
    },
    /// With a token got before.
    Token(Secret),
    /// With a credential made for a program: bound to one project, and to be taken back alone.
    ApplicationCredential {
        /// Which.
        credential: ApplicationCredential,
        /// Its secret.
        secret: Secret,
    },
}

/// An application credential: by its id, or by its name among those of a user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApplicationCredential {
    /// By its id.
    Id(String),
    /// By its name.
    Name {
        /// Its name.
        name: String,
        /// Whose it is.
        user: Named,
        /// The user's domain; not needed with an id.
        domain: Named,
    },
}

/// What a token is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// What the identity service takes by itself: the user's own project, if any.
    Unscoped,
    /// A project.
    Project {
        /// The project.
        project: Named,
        /// Its domain; not needed with an id.
        domain: Named,
    },
    /// A domain.
    Domain(Named),
    /// The whole of the cloud.
    System,
}

/// How long to wait for what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection.
    pub connect: Duration,
    /// The longest silence within an answer.
    pub read: Duration,
    /// For a whole exchange with all its retries; transfers of volumes have no such limit.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            read: Duration::from_secs(60),
            total: Duration::from_secs(180),
        }
    }
}

/// When and how often to try again what may be tried again: reading anything, and whatever
/// surely never reached a service or was put off by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// How often at most, besides the first time.
    pub count: u32,
    /// The pause before the first; each next one is twice as long.
    pub first_pause: Duration,
    /// The longest pause; a service that asks for a longer one is not waited for.
    pub longest_pause: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            count: 3,
            first_pause: Duration::from_millis(300),
            longest_pause: Duration::from_secs(30),
        }
    }
}

/// A cloud, ready to be connected to.
#[derive(Debug, Clone)]
pub struct CloudConfig {
    /// Its name in `clouds.yaml`, or where it comes from.
    pub name: String,
    /// The identity service, with or without `/v3`.
    pub auth_url: String,
    /// Who signs in.
    pub credentials: Credentials,
    /// The region to choose services from, if it matters.
    pub region: Option<String>,
    /// Which of a service's addresses to use: `public`, `internal` or `admin`.
    pub interface: String,
    /// Certificates to trust besides the system's.
    pub ca_file: Option<PathBuf>,
    /// Whether certificates are checked at all.
    pub verify: bool,
    /// How long to wait for what.
    pub timeouts: Timeouts,
    /// When to try again.
    pub retries: Retries,
    /// Addresses of services that the catalogue has not, or has wrong, by type.
    pub endpoints: BTreeMap<String, String>,
    /// The Block Storage microversion to speak; the newest that both sides know if none.
    pub block_storage_version: Option<Microversion>,
}

impl CloudConfig {
    /// Describes a cloud by hand.
    pub fn new(auth_url: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            name: "given by hand".to_owned(),
            auth_url: auth_url.into(),
            credentials,
            region: None,
            interface: "public".to_owned(),
            ca_file: None,
            verify: true,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
            endpoints: BTreeMap::new(),
            block_storage_version: None,
        }
    }

    /// Finds the cloud as `openstack` does: a named one in `clouds.yaml`; else the
    /// variables, if they hold an address; else the only cloud of the file.
    pub fn discover(args: &OsArgs) -> Result<Self, ConfigError> {
        if args.cloud.is_none() && args.auth_url.is_some() {
            return Self::from_variables(args);
        }
        let places = files::Places::of(args);
        match (places.clouds(), &args.cloud) {
            (Some(file), name) => Self::from_places(&places, &file, name.as_deref()),
            (None, Some(name)) => Err(ConfigError::NoFile {
                name: name.clone(),
                looked_at: places.looked_at(),
            }),
            (None, None) => Err(ConfigError::Nothing {
                looked_at: places.looked_at(),
            }),
        }
    }

    /// Reads one cloud of a `clouds.yaml`, with the `secure.yaml` and `clouds-public.yaml`
    /// beside it; its only one if no name is given.
    pub fn from_file(file: &Path, name: Option<&str>) -> Result<Self, ConfigError> {
        Self::from_places(&files::Places::beside(file), file, name)
    }

    fn from_places(
        places: &files::Places,
        file: &Path,
        name: Option<&str>,
    ) -> Result<Self, ConfigError> {
        let (name, entry) = places.read(file, name)?;
        let whence = format!("cloud '{name}' in {}", file.display());
        build(entry, name, &whence)
    }

    fn from_variables(args: &OsArgs) -> Result<Self, ConfigError> {
        let entry = CloudEntry {
            auth_type: args.auth_type.clone(),
            auth: AuthEntry {
                auth_url: args.auth_url.clone(),
                username: args.username.clone(),
                user_id: args.user_id.clone(),
                password: args.password.clone(),
                token: args.token.clone(),
                application_credential_id: args.application_credential_id.clone(),
                application_credential_name: args.application_credential_name.clone(),
                application_credential_secret: args.application_credential_secret.clone(),
                user_domain_name: args.user_domain_name.clone(),
                user_domain_id: args.user_domain_id.clone(),
                project_name: args.project_name.clone(),
                project_id: args.project_id.clone(),
                project_domain_name: args.project_domain_name.clone(),
                project_domain_id: args.project_domain_id.clone(),
                domain_name: args.domain_name.clone(),
                domain_id: args.domain_id.clone(),
                system_scope: args.system_scope.clone(),
                default_domain: None,
            },
            region_name: args.region.clone(),
            interface: args.interface.clone(),
            cacert: args.ca_file.clone(),
            verify: Some(!args.insecure),
            ..CloudEntry::default()
        };
        build(entry, "OS_* variables".to_owned(), "the environment (OS_*)")
    }
}

fn build(entry: CloudEntry, name: String, whence: &str) -> Result<CloudConfig, ConfigError> {
    let missing = |what| ConfigError::Missing {
        whence: whence.to_owned(),
        what,
    };
    let region = entry.region()?;
    let endpoints = entry.endpoints();
    let block_storage_version = match entry.block_storage_version() {
        None => None,
        Some(text) => Some(
            Microversion::parse(&text).ok_or_else(|| ConfigError::BadVersion {
                whence: whence.to_owned(),
                version: text,
            })?,
        ),
    };
    let auth_url = entry
        .auth
        .auth_url
        .clone()
        .ok_or_else(|| missing("auth_url"))?;
    // Profiles of clouds with several regions leave a gap for its name.
    let auth_url = auth_url.replace("%(region_name)s", region.as_deref().unwrap_or_default());
    let mut config = CloudConfig::new(
        auth_url,
        credentials(entry.auth, entry.auth_type.as_deref(), whence)?,
    );
    if let Some(seconds) = entry.api_timeout.filter(|seconds| *seconds > 0.0) {
        // Whatever is not a time that can be waited stays as it is by default.
        if let Ok(total) = Duration::try_from_secs_f64(seconds) {
            config.timeouts.total = total;
            config.timeouts.read = config.timeouts.read.min(total);
            // Who cannot be reached is to be told from who does not answer.
            config.timeouts.connect = config.timeouts.connect.min(total / 2);
        }
    }
    if let Some(interface) = entry.interface.or(entry.endpoint_type) {
        // Some write `publicURL`, as the older clients had it.
        interface
            .trim_end_matches("URL")
            .clone_into(&mut config.interface);
    }
    config.name = name;
    config.region = region;
    config.ca_file = entry.cacert;
    config.verify = entry.verify.unwrap_or(true) && !entry.insecure.unwrap_or(false);
    config.endpoints = endpoints;
    config.block_storage_version = block_storage_version;
    Ok(config)
}

fn credentials(
    auth: AuthEntry,
    kind: Option<&str>,
    whence: &str,
) -> Result<Credentials, ConfigError> {
    let missing = |what| ConfigError::Missing {
        whence: whence.to_owned(),
        what,
    };
    let default_domain = || Named::Id(auth.default_domain.clone().unwrap_or("default".to_owned()));
    let user = named(auth.user_id.clone(), auth.username.clone());
    let user_domain = named(auth.user_domain_id.clone(), auth.user_domain_name.clone())
        .unwrap_or_else(default_domain);
    // Without a word about it, what is there says how to sign in.
    let kind = match kind {
        Some(kind) => kind,
        None if auth.application_credential_secret.is_some() => "v3applicationcredential",
        None if auth.password.is_none() && auth.token.is_some() => "v3token",
        None => "password",
    };
    let method = match kind {
        "password" | "v3password" => Method::Password {
            user: user.ok_or_else(|| missing("username"))?,
            domain: user_domain,
            password: auth.password.ok_or_else(|| missing("password"))?,
        },
        "token" | "v3token" | "admin_token" => {
            Method::Token(auth.token.ok_or_else(|| missing("token"))?)
        }
        "v3applicationcredential" => Method::ApplicationCredential {
            credential: match (
                auth.application_credential_id,
                auth.application_credential_name,
            ) {
                (Some(id), _) => ApplicationCredential::Id(id),
                (None, Some(name)) => ApplicationCredential::Name {
                    name,
                    user: user.ok_or_else(|| missing("username"))?,
                    domain: user_domain,
                },
                (None, None) => return Err(missing("application_credential_id")),
            },
            secret: auth
                .application_credential_secret
                .ok_or_else(|| missing("application_credential_secret"))?,
        },
        other => {
            return Err(ConfigError::AuthType {
                whence: whence.to_owned(),
                kind: other.to_owned(),
            });
        }
    };
    let project = named(auth.project_id, auth.project_name);
    let domain = named(auth.domain_id, auth.domain_name);
    let scope = match (&method, project, domain, auth.system_scope) {
        (Method::ApplicationCredential { .. }, ..) => Scope::Unscoped,
        (_, Some(project), ..) => Scope::Project {
            project,
            domain: named(auth.project_domain_id, auth.project_domain_name)
                .unwrap_or_else(|| Named::Id(auth.default_domain.unwrap_or("default".to_owned()))),
        },
        (_, None, Some(domain), _) => Scope::Domain(domain),
        (_, None, None, Some(_)) => Scope::System,
        (_, None, None, None) => Scope::Unscoped,
    };
    Ok(Credentials { method, scope })
}

fn named(id: Option<String>, name: Option<String>) -> Option<Named> {
    id.map(Named::Id).or_else(|| name.map(Named::Name))
}
