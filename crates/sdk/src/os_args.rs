//! The `OS_*` variables and where `clouds.yaml` may lie, as values.

use std::path::PathBuf;

use crate::secret::Secret;

/// What the environment and the command line say about the cloud to use.
#[derive(Debug, Clone, Default)]
pub struct OsArgs {
    /// `OS_CLOUD` or `--os-cloud`.
    pub cloud: Option<String>,
    /// `OS_CLIENT_CONFIG_FILE`: the only file looked at, if given.
    pub config_file: Option<PathBuf>,
    /// `OS_CLIENT_SECURE_FILE`: the only file of secrets looked at, if given.
    pub secure_file: Option<PathBuf>,
    /// `OS_CLIENT_VENDOR_FILE`: the only file of profiles looked at, if given.
    pub vendor_file: Option<PathBuf>,
    /// Directories looked into otherwise, for each of the three; the first that has it wins.
    pub config_dirs: Vec<PathBuf>,
    /// `OS_AUTH_URL`.
    pub auth_url: Option<String>,
    /// `OS_AUTH_TYPE`.
    pub auth_type: Option<String>,
    /// `OS_USERNAME`.
    pub username: Option<String>,
    /// `OS_USER_ID`.
    pub user_id: Option<String>,
    /// `OS_PASSWORD`.
    pub password: Option<Secret>,
    /// `OS_TOKEN` or `OS_AUTH_TOKEN`.
    pub token: Option<Secret>,
    /// `OS_APPLICATION_CREDENTIAL_ID`.
    pub application_credential_id: Option<String>,
    /// `OS_APPLICATION_CREDENTIAL_NAME`.
    pub application_credential_name: Option<String>,
    /// `OS_APPLICATION_CREDENTIAL_SECRET`.
    pub application_credential_secret: Option<Secret>,
    /// `OS_USER_DOMAIN_NAME`.
    pub user_domain_name: Option<String>,
    /// `OS_USER_DOMAIN_ID`.
    pub user_domain_id: Option<String>,
    /// `OS_PROJECT_NAME`.
    pub project_name: Option<String>,
    /// `OS_PROJECT_ID`.
    pub project_id: Option<String>,
    /// `OS_PROJECT_DOMAIN_NAME`.
    pub project_domain_name: Option<String>,
    /// `OS_PROJECT_DOMAIN_ID`.
    pub project_domain_id: Option<String>,
    /// `OS_DOMAIN_NAME`: a domain to sign in for, instead of a project.
    pub domain_name: Option<String>,
    /// `OS_DOMAIN_ID`.
    pub domain_id: Option<String>,
    /// `OS_SYSTEM_SCOPE`: `all`, to sign in for the whole of the cloud.
    pub system_scope: Option<String>,
    /// `OS_REGION_NAME`.
    pub region: Option<String>,
    /// `OS_INTERFACE` or `OS_ENDPOINT_TYPE`.
    pub interface: Option<String>,
    /// `OS_CACERT`.
    pub ca_file: Option<PathBuf>,
    /// `OS_INSECURE`.
    pub insecure: bool,
}

impl OsArgs {
    /// Reads the variables of this process.
    pub fn from_env() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Reads variables through `look_up`, so that tests choose them. Empty ones count as unset.
    pub fn from_lookup(look_up: impl Fn(&str) -> Option<String>) -> Self {
        let var = |name: &str| look_up(name).filter(|value| !value.is_empty());
        let config_home = var("XDG_CONFIG_HOME")
            .map(PathBuf::from)
            .or_else(|| var("HOME").map(|home| PathBuf::from(home).join(".config")));
        let mut config_dirs = vec![PathBuf::new()];
        config_dirs.extend(config_home.map(|dir| dir.join("openstack")));
        config_dirs.push(PathBuf::from("/etc/openstack"));
        Self {
            cloud: var("OS_CLOUD"),
            config_file: var("OS_CLIENT_CONFIG_FILE").map(PathBuf::from),
            secure_file: var("OS_CLIENT_SECURE_FILE").map(PathBuf::from),
            vendor_file: var("OS_CLIENT_VENDOR_FILE").map(PathBuf::from),
            config_dirs,
            auth_url: var("OS_AUTH_URL"),
            auth_type: var("OS_AUTH_TYPE"),
            username: var("OS_USERNAME"),
            user_id: var("OS_USER_ID"),
            password: var("OS_PASSWORD").map(Secret::new),
            token: var("OS_TOKEN")
                .or_else(|| var("OS_AUTH_TOKEN"))
                .map(Secret::new),
            application_credential_id: var("OS_APPLICATION_CREDENTIAL_ID"),
            application_credential_name: var("OS_APPLICATION_CREDENTIAL_NAME"),
            application_credential_secret: var("OS_APPLICATION_CREDENTIAL_SECRET").map(Secret::new),
            user_domain_name: var("OS_USER_DOMAIN_NAME"),
            user_domain_id: var("OS_USER_DOMAIN_ID"),
            project_name: var("OS_PROJECT_NAME").or_else(|| var("OS_TENANT_NAME")),
            project_id: var("OS_PROJECT_ID").or_else(|| var("OS_TENANT_ID")),
            project_domain_name: var("OS_PROJECT_DOMAIN_NAME"),
            project_domain_id: var("OS_PROJECT_DOMAIN_ID"),
            domain_name: var("OS_DOMAIN_NAME"),
            domain_id: var("OS_DOMAIN_ID"),
            system_scope: var("OS_SYSTEM_SCOPE"),
            region: var("OS_REGION_NAME"),
            interface: var("OS_INTERFACE").or_else(|| var("OS_ENDPOINT_TYPE")),
            ca_file: var("OS_CACERT").map(PathBuf::from),
            insecure: var("OS_INSECURE")
                .is_some_and(|word| matches!(word.to_lowercase().as_str(), "1" | "true" | "yes")),
        }
    }
}
