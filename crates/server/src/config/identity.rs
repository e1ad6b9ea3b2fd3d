//! Who says what tokens are good for: the service itself, or a real Keystone.

use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// The keys of `[keystone]`; each is also a variable `EMBERKEEP_KEYSTONE_…`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeystoneFile {
    auth_url: Option<String>,
    username: Option<String>,
    password_file: Option<PathBuf>,
    project_name: Option<String>,
    user_domain_name: Option<String>,
    project_domain_name: Option<String>,
    token_cache_secs: Option<u64>,
    public_url: Option<String>,
    ca_file: Option<PathBuf>,
}

/// Who says what tokens are good for.
#[derive(Debug, Clone)]
pub enum IdentityConfig {
    /// The service itself.
    BuiltIn,
    /// A real Keystone.
    Keystone(KeystoneConfig),
}

/// Where Keystone is, and who the service is there.
#[derive(Debug, Clone)]
pub struct KeystoneConfig {
    /// Its address.
    pub auth_url: String,
    /// The service's user.
    pub username: String,
    /// The file that holds its password.
    pub password_file: PathBuf,
    /// Its project.
    pub project_name: String,
    /// The user's domain.
    pub user_domain_name: String,
    /// The project's domain.
    pub project_domain_name: String,
    /// How long an answer about a token is kept at most.
    pub token_cache_secs: u64,
    /// Where clients are sent for a token, if they reach Keystone by another address.
    pub public_url: Option<String>,
    /// Certificates (PEM) of those who may vouch for Keystone, besides the system's.
    pub ca_file: Option<PathBuf>,
}

/// Keystone's own default, beyond which a token that was taken back would be good for too long.
const LONGEST_CACHE_SECS: u64 = 300;

/// Reads which identity is meant, and where it is.
pub(super) fn read(
    kind: Option<(&'static str, String)>,
    file: KeystoneFile,
    env: impl Fn(&str) -> Option<String>,
) -> Result<IdentityConfig, ConfigError> {
    match kind.as_ref().map(|(key, word)| (*key, word.as_str())) {
        None | Some((_, "builtin")) => return Ok(IdentityConfig::BuiltIn),
        Some((_, "keystone")) => {}
        Some((key, word)) => {
            return Err(ConfigError::Value {
                key: key.into(),
                value: word.into(),
                reason: "must be builtin or keystone".into(),
            });
        }
    }
    let refuse = |key: &str, value: String, reason: &str| ConfigError::Value {
        key: format!("keystone.{key}"),
        value,
        reason: reason.into(),
    };
    let needed = |key: &str, found: Option<String>| {
        found.ok_or_else(|| {
            refuse(
                key,
                String::new(),
                "must be given for the keystone identity",
            )
        })
    };
    let env = |key: &str| env(&format!("KEYSTONE_{key}"));
    let auth_url = needed("auth_url", env("AUTH_URL").or(file.auth_url))?;
    if !(auth_url.starts_with("http://") || auth_url.starts_with("https://")) {
        let reason = "must begin with http:// or https://";
        return Err(refuse("auth_url", auth_url, reason));
    }
    let password_file = env("PASSWORD_FILE")
        .map(PathBuf::from)
        .or(file.password_file);
    let token_cache_secs = match env("TOKEN_CACHE_SECS") {
        Some(text) => text
            .parse()
            .map_err(|_| refuse("token_cache_secs", text, "must be a whole number"))?,
        None => file.token_cache_secs.unwrap_or(LONGEST_CACHE_SECS),
    };
    if token_cache_secs > LONGEST_CACHE_SECS {
        let value = token_cache_secs.to_string();
        return Err(refuse("token_cache_secs", value, "must be at most 300"));
    }
    let default = || "Default".to_owned();
    Ok(IdentityConfig::Keystone(KeystoneConfig {
        auth_url,
        username: needed("username", env("USERNAME").or(file.username))?,
        password_file: password_file.ok_or_else(|| {
            let reason = "must name the file that holds the password";
            refuse("password_file", String::new(), reason)
        })?,
        project_name: env("PROJECT_NAME")
            .or(file.project_name)
            .unwrap_or_else(|| "service".to_owned()),
        user_domain_name: env("USER_DOMAIN_NAME")
            .or(file.user_domain_name)
            .unwrap_or_else(default),
        project_domain_name: env("PROJECT_DOMAIN_NAME")
            .or(file.project_domain_name)
            .unwrap_or_else(default),
        token_cache_secs,
        public_url: env("PUBLIC_URL").or(file.public_url),
        ca_file: env("CA_FILE").map(PathBuf::from).or(file.ca_file),
    }))
}
