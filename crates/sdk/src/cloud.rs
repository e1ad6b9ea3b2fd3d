//! Which cloud to talk to, and as whom: `clouds.yaml` and `OS_*`, as `openstack` reads them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::os_args::OsArgs;
use crate::secret::Secret;

/// Why it is not clear which cloud to talk to, or as whom.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a file nor variables name a cloud.
    #[error(
        "no cloud is named: set OS_CLOUD and have a clouds.yaml (looked at {}), or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME",
        paths(looked_at)
    )]
    Nothing {
        /// The files looked at.
        looked_at: Vec<PathBuf>,
    },
    /// The file does not hold the cloud.
    #[error("{} holds no cloud '{name}'{}", file.display(), others(has))]
    NoSuchCloud {
        /// The file.
        file: PathBuf,
        /// The cloud asked for.
        name: String,
        /// The clouds it holds.
        has: Vec<String>,
    },
    /// A cloud is named, but there is no file to look it up in.
    #[error(
        "cloud '{name}' is asked for, but there is no clouds.yaml (looked at {})",
        paths(looked_at)
    )]
    NoFile {
        /// The cloud asked for.
        name: String,
        /// The files looked at.
        looked_at: Vec<PathBuf>,
    },
    /// The file holds several clouds and none was chosen.
    #[error("{} holds several clouds{}: choose one with OS_CLOUD", file.display(), others(has))]
    SeveralClouds {
        /// The file.
        file: PathBuf,
        /// The clouds it holds.
        has: Vec<String>,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not what a `clouds.yaml` should be.
    #[error("{} is not a valid clouds.yaml", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_yaml_ng::Error,
    },
    /// Something needed to sign in is missing.
    #[error("{whence} lacks {what}")]
    Missing {
        /// Where it should stand.
        whence: String,
        /// What is missing.
        what: &'static str,
    },
    /// A way of signing in that is not known here.
    #[error(
        "{whence} asks for the authentication type '{kind}'; this client signs in with a password only"
    )]
    AuthType {
        /// Where it stands.
        whence: String,
        /// The type asked for.
        kind: String,
    },
}

fn paths(list: &[PathBuf]) -> String {
    let names: Vec<_> = list.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn others(has: &[String]) -> String {
    if has.is_empty() {
        String::new()
    } else {
        format!(" (it holds {})", has.join(", "))
    }
}

/// A user, project or domain: by its id, or by its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Named {
    /// By its id.
    Id(String),
    /// By its name.
    Name(String),
}

/// Who signs in, and for which project.
#[derive(Debug, Clone)]
pub struct Credentials {
    /// The user.
    pub user: Named,
    /// The user's domain; not needed with an id.
    pub user_domain: Named,
    /// The password.
    pub password: Secret,
    /// The project; without one the identity service takes the user's own.
    pub project: Option<Named>,
    /// The project's domain; not needed with an id.
    pub project_domain: Named,
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
}

impl CloudConfig {
    /// Finds the cloud as `openstack` does: a named one in `clouds.yaml`; else the
    /// variables, if they hold an address; else the only cloud of the file.
    pub fn discover(args: &OsArgs) -> Result<Self, ConfigError> {
        if args.cloud.is_none() && args.auth_url.is_some() {
            return Self::from_variables(args);
        }
        let looked_at = match &args.config_file {
            Some(file) => vec![file.clone()],
            None => args.config_files.clone(),
        };
        match (looked_at.iter().find(|file| file.exists()), &args.cloud) {
            (Some(file), name) => Self::from_file(file, name.as_deref()),
            (None, Some(name)) => Err(ConfigError::NoFile {
                name: name.clone(),
                looked_at,
            }),
            (None, None) => Err(ConfigError::Nothing { looked_at }),
        }
    }

    /// Reads one cloud of a `clouds.yaml`; its only one if no name is given.
    pub fn from_file(file: &Path, name: Option<&str>) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(file).map_err(|cause| ConfigError::Unreadable {
            file: file.to_owned(),
            cause,
        })?;
        let mut clouds = serde_yaml_ng::from_str::<CloudsFile>(&text)
            .map_err(|cause| ConfigError::Malformed {
                file: file.to_owned(),
                cause,
            })?
            .clouds;
        let has: Vec<_> = clouds.keys().cloned().collect();
        let name = match (name, has.as_slice()) {
            (Some(name), _) => name.to_owned(),
            (None, [only]) => only.clone(),
            (None, _) => {
                return Err(ConfigError::SeveralClouds {
                    file: file.to_owned(),
                    has,
                });
            }
        };
        let Some(entry) = clouds.remove(&name) else {
            return Err(ConfigError::NoSuchCloud {
                file: file.to_owned(),
                name,
                has,
            });
        };
        entry.into_config(name, file)
    }

    fn from_variables(args: &OsArgs) -> Result<Self, ConfigError> {
        let entry = CloudEntry {
            auth_type: args.auth_type.clone(),
            auth: AuthEntry {
                auth_url: args.auth_url.clone(),
                username: args.username.clone(),
                user_id: args.user_id.clone(),
                password: args.password.clone(),
                user_domain_name: args.user_domain_name.clone(),
                user_domain_id: args.user_domain_id.clone(),
                project_name: args.project_name.clone(),
                project_id: args.project_id.clone(),
                project_domain_name: args.project_domain_name.clone(),
                project_domain_id: args.project_domain_id.clone(),
            },
            region_name: args.region.clone(),
            interface: args.interface.clone(),
            cacert: args.ca_file.clone(),
            verify: Some(!args.insecure),
        };
        entry.build("OS_* variables".to_owned(), "the environment (OS_*)")
    }
}

#[derive(Deserialize)]
struct CloudsFile {
    clouds: BTreeMap<String, CloudEntry>,
}

#[derive(Deserialize)]
struct CloudEntry {
    auth_type: Option<String>,
    #[serde(default)]
    auth: AuthEntry,
    region_name: Option<String>,
    interface: Option<String>,
    cacert: Option<PathBuf>,
    verify: Option<bool>,
}

#[derive(Deserialize, Default)]
struct AuthEntry {
    auth_url: Option<String>,
    username: Option<String>,
    user_id: Option<String>,
    password: Option<Secret>,
    user_domain_name: Option<String>,
    user_domain_id: Option<String>,
    project_name: Option<String>,
    project_id: Option<String>,
    project_domain_name: Option<String>,
    project_domain_id: Option<String>,
}

impl CloudEntry {
    fn into_config(self, name: String, file: &Path) -> Result<CloudConfig, ConfigError> {
        let whence = format!("cloud '{name}' in {}", file.display());
        self.build(name, &whence)
    }

    fn build(self, name: String, whence: &str) -> Result<CloudConfig, ConfigError> {
        let missing = |what| ConfigError::Missing {
            whence: whence.to_owned(),
            what,
        };
        if let Some(kind) = self
            .auth_type
            .filter(|kind| !matches!(kind.as_str(), "password" | "v3password"))
        {
            return Err(ConfigError::AuthType {
                whence: whence.to_owned(),
                kind,
            });
        }
        let auth = self.auth;
        Ok(CloudConfig {
            auth_url: auth.auth_url.ok_or_else(|| missing("auth_url"))?,
            credentials: Credentials {
                user: named(auth.user_id, auth.username).ok_or_else(|| missing("username"))?,
                user_domain: named(auth.user_domain_id, auth.user_domain_name)
                    .unwrap_or_else(default_domain),
                password: auth.password.ok_or_else(|| missing("password"))?,
                project: named(auth.project_id, auth.project_name),
                project_domain: named(auth.project_domain_id, auth.project_domain_name)
                    .unwrap_or_else(default_domain),
            },
            name,
            region: self.region_name,
            // Some write `publicURL`, as the older clients had it.
            interface: self.interface.map_or_else(
                || "public".to_owned(),
                |word| word.trim_end_matches("URL").to_owned(),
            ),
            ca_file: self.cacert,
            verify: self.verify.unwrap_or(true),
        })
    }
}

fn named(id: Option<String>, name: Option<String>) -> Option<Named> {
    id.map(Named::Id).or_else(|| name.map(Named::Name))
}

fn default_domain() -> Named {
    Named::Id("default".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TWO: &str = "clouds:\n  a:\n    auth: {auth_url: 'http://h/identity/v3', username: u, password: pw, project_name: p}\n    region_name: RegionOne\n  b:\n    auth: {auth_url: 'http://h2', user_id: i, password: 'x', project_id: q}\n    interface: internalURL\n";

    fn lookup(pairs: &[(&str, &str)]) -> OsArgs {
        let pairs: BTreeMap<String, String> = pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect();
        OsArgs::from_lookup(|name| pairs.get(name).cloned())
    }

    #[test]
    fn a_named_cloud_is_read_from_the_named_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clouds.yaml");
        std::fs::write(&file, TWO).unwrap();
        let file_text = file.display().to_string();
        let at = |cloud: &str| {
            CloudConfig::discover(&lookup(&[
                ("OS_CLIENT_CONFIG_FILE", &file_text),
                ("OS_CLOUD", cloud),
            ]))
        };

        let a = at("a").unwrap();
        assert_eq!(a.auth_url, "http://h/identity/v3");
        assert_eq!(a.credentials.user, Named::Name("u".to_owned()));
        assert_eq!(a.credentials.project, Some(Named::Name("p".to_owned())));
        assert_eq!(a.interface, "public");
        assert_eq!(a.region.as_deref(), Some("RegionOne"));

        let b = at("b").unwrap();
        assert_eq!(b.credentials.user, Named::Id("i".to_owned()));
        assert_eq!(b.interface, "internal");

        let words = at("c").unwrap_err().to_string();
        assert!(
            words.ends_with("holds no cloud 'c' (it holds a, b)"),
            "{words}"
        );
        let words = at("").unwrap_err().to_string();
        assert!(words.contains("several clouds (it holds a, b)"), "{words}");
    }

    #[test]
    fn variables_are_enough() {
        let args = lookup(&[
            ("OS_AUTH_URL", "http://h:5000/v3"),
            ("OS_USERNAME", "alice"),
            ("OS_PASSWORD", "secret-word"),
            ("OS_PROJECT_NAME", "alpha"),
            ("OS_USER_DOMAIN_NAME", "Default"),
        ]);
        let config = CloudConfig::discover(&args).unwrap();
        assert_eq!(
            config.credentials.user_domain,
            Named::Name("Default".to_owned())
        );
        assert_eq!(
            config.credentials.project_domain,
            Named::Id("default".to_owned())
        );
        for shown in [format!("{config:?}"), format!("{args:?}")] {
            assert!(!shown.contains("secret-word"), "{shown}");
        }
    }

    #[test]
    fn what_is_missing_is_named() {
        for (what, pairs, want) in [
            (
                "no password",
                vec![("OS_AUTH_URL", "http://h"), ("OS_USERNAME", "a")],
                "lacks password",
            ),
            (
                "no user",
                vec![("OS_AUTH_URL", "http://h"), ("OS_PASSWORD", "a")],
                "lacks username",
            ),
            (
                "another way",
                vec![("OS_AUTH_URL", "http://h"), ("OS_AUTH_TYPE", "v3totp")],
                "authentication type 'v3totp'",
            ),
            (
                "a cloud without a file",
                vec![
                    ("OS_CLOUD", "x"),
                    ("OS_CLIENT_CONFIG_FILE", "/nowhere/c.yaml"),
                ],
                "/nowhere/c.yaml",
            ),
            (
                "nothing",
                vec![("OS_CLIENT_CONFIG_FILE", "/nowhere/c.yaml")],
                "no cloud is named",
            ),
        ] {
            let words = CloudConfig::discover(&lookup(&pairs))
                .unwrap_err()
                .to_string();
            assert!(words.contains(want), "{what}: {words}");
        }
    }

    #[test]
    fn a_broken_file_says_where() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("clouds.yaml");
        std::fs::write(&file, "clouds: [").unwrap();
        assert!(matches!(
            CloudConfig::from_file(&file, Some("a")),
            Err(ConfigError::Malformed { .. })
        ));
    }
}
