//! The three files that describe clouds, laid one over the other: profiles
//! (`clouds-public.yaml`), clouds (`clouds.yaml`), and what only their owner may read
//! (`secure.yaml`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use emberkeep_wire::lenient;
use serde::Deserialize;
use serde_yaml_ng::{Mapping, Value};

use super::ConfigError;
use crate::os_args::OsArgs;
use crate::secret::Secret;

/// Profiles that need no file: what people write `profile: otc` for.
const PROFILES: &[(&str, &str)] = &[(
    "otc",
    "{auth: {auth_url: 'https://iam.%(region_name)s.otc.t-systems.com/v3'}, regions: [eu-de, eu-nl]}",
)];

/// Where the files may lie.
#[derive(Debug)]
pub(super) struct Places {
    clouds: Vec<PathBuf>,
    secure: Vec<PathBuf>,
    vendor: Vec<PathBuf>,
}

impl Places {
    /// Returns the places that the environment names.
    pub(super) fn of(args: &OsArgs) -> Self {
        let in_dirs = |given: &Option<PathBuf>, name: &str| match given {
            Some(file) => vec![file.clone()],
            None => args.config_dirs.iter().map(|dir| dir.join(name)).collect(),
        };
        Self {
            clouds: in_dirs(&args.config_file, "clouds.yaml"),
            secure: match (&args.secure_file, &args.config_file) {
                // A file named by hand has its secrets beside it, if anywhere.
                (None, Some(file)) => vec![file.with_file_name("secure.yaml")],
                (given, _) => in_dirs(given, "secure.yaml"),
            },
            vendor: in_dirs(&args.vendor_file, "clouds-public.yaml"),
        }
    }

    /// Returns the places beside one `clouds.yaml`.
    pub(super) fn beside(file: &Path) -> Self {
        Self {
            clouds: vec![file.to_owned()],
            secure: vec![file.with_file_name("secure.yaml")],
            vendor: vec![file.with_file_name("clouds-public.yaml")],
        }
    }

    /// Returns the `clouds.yaml` that counts, if there is one.
    pub(super) fn clouds(&self) -> Option<PathBuf> {
        first(&self.clouds)
    }

    /// Returns where a `clouds.yaml` was looked for.
    pub(super) fn looked_at(&self) -> Vec<PathBuf> {
        self.clouds.clone()
    }

    /// Reads one cloud of `file`; its only one if no name is given.
    pub(super) fn read(
        &self,
        file: &Path,
        name: Option<&str>,
    ) -> Result<(String, CloudEntry), ConfigError> {
        let mut clouds = load(file, "clouds")?;
        let has: Vec<String> = clouds
            .keys()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect();
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
        let Some(cloud) = clouds.remove(name.as_str()) else {
            return Err(ConfigError::NoSuchCloud {
                file: file.to_owned(),
                name,
                has,
            });
        };
        let mut whole = self.profile(&name, &cloud)?;
        lay_over(&mut whole, cloud);
        if let Some(secure) = first(&self.secure)
            && let Some(secrets) = load(&secure, "clouds")?.remove(name.as_str())
        {
            lay_over(&mut whole, secrets);
        }
        let entry = serde_yaml_ng::from_value(whole).map_err(|cause| ConfigError::Malformed {
            file: file.to_owned(),
            cause,
        })?;
        Ok((name, entry))
    }

    /// Returns what a cloud's profile says, nothing if it has none.
    fn profile(&self, name: &str, cloud: &Value) -> Result<Value, ConfigError> {
        // `cloud` is what `profile` was called once.
        let named = ["profile", "cloud"].iter().find_map(|key| cloud.get(*key));
        let Some(profile) = named.and_then(Value::as_str) else {
            return Ok(Value::Mapping(Mapping::new()));
        };
        if let Some(file) = first(&self.vendor)
            && let Some(found) = load(&file, "public-clouds")?.remove(profile)
        {
            return Ok(found);
        }
        PROFILES
            .iter()
            .find(|(known, _)| *known == profile)
            .and_then(|(_, text)| serde_yaml_ng::from_str(text).ok())
            .ok_or_else(|| ConfigError::NoSuchProfile {
                name: name.to_owned(),
                profile: profile.to_owned(),
            })
    }
}

fn first(files: &[PathBuf]) -> Option<PathBuf> {
    files.iter().find(|file| file.exists()).cloned()
}

/// Reads what lies under `key` in a file.
fn load(file: &Path, key: &str) -> Result<Mapping, ConfigError> {
    let malformed = |cause| ConfigError::Malformed {
        file: file.to_owned(),
        cause,
    };
    let text = std::fs::read_to_string(file).map_err(|cause| ConfigError::Unreadable {
        file: file.to_owned(),
        cause,
    })?;
    let mut top: BTreeMap<String, Value> = serde_yaml_ng::from_str(&text).map_err(malformed)?;
    let inner = top.remove(key).unwrap_or(Value::Mapping(Mapping::new()));
    serde_yaml_ng::from_value(inner).map_err(malformed)
}

/// Puts the keys of `upper` over those of `lower`, mappings key by key.
fn lay_over(lower: &mut Value, upper: Value) {
    match (lower, upper) {
        (Value::Mapping(lower), Value::Mapping(upper)) => {
            for (key, value) in upper {
                match lower.get_mut(&key) {
                    Some(there) => lay_over(there, value),
                    None => {
                        lower.insert(key, value);
                    }
                }
            }
        }
        (lower, upper) => *lower = upper,
    }
}

/// One cloud as the files describe it.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct CloudEntry {
    pub(super) auth_type: Option<String>,
    #[serde(deserialize_with = "lenient::or_default")]
    pub(super) auth: AuthEntry,
    pub(super) region_name: Option<String>,
    pub(super) regions: Vec<Value>,
    pub(super) interface: Option<String>,
    pub(super) endpoint_type: Option<String>,
    pub(super) cacert: Option<PathBuf>,
    pub(super) verify: Option<bool>,
    pub(super) insecure: Option<bool>,
    pub(super) api_timeout: Option<f64>,
    /// All else; among it what the addresses and versions of single services are.
    #[serde(flatten)]
    pub(super) more: BTreeMap<String, Value>,
}

/// How to sign in, as the files describe it.
#[derive(Debug, Deserialize, Default)]
#[serde(default)]
pub(super) struct AuthEntry {
    pub(super) auth_url: Option<String>,
    pub(super) username: Option<String>,
    pub(super) user_id: Option<String>,
    pub(super) password: Option<Secret>,
    pub(super) token: Option<Secret>,
    pub(super) application_credential_id: Option<String>,
    pub(super) application_credential_name: Option<String>,
    pub(super) application_credential_secret: Option<Secret>,
    pub(super) user_domain_name: Option<String>,
    pub(super) user_domain_id: Option<String>,
    #[serde(alias = "tenant_name")]
    pub(super) project_name: Option<String>,
    #[serde(alias = "tenant_id")]
    pub(super) project_id: Option<String>,
    pub(super) project_domain_name: Option<String>,
    pub(super) project_domain_id: Option<String>,
    pub(super) domain_name: Option<String>,
    pub(super) domain_id: Option<String>,
    pub(super) system_scope: Option<String>,
    #[serde(alias = "default_domain_id")]
    pub(super) default_domain: Option<String>,
}

impl CloudEntry {
    /// Returns the region to use: the one named, else the first of the list.
    pub(super) fn region(&self) -> Result<Option<String>, ConfigError> {
        if self.region_name.is_some() {
            return Ok(self.region_name.clone());
        }
        self.regions
            .first()
            .map(|first| {
                first
                    .as_str()
                    .or_else(|| first.get("name").and_then(Value::as_str))
                    .map(str::to_owned)
                    .ok_or(ConfigError::BadRegion)
            })
            .transpose()
    }

    /// Returns what `<type>_endpoint_override` says, by type.
    pub(super) fn endpoints(&self) -> BTreeMap<String, String> {
        self.more
            .iter()
            .filter_map(|(key, value)| {
                let kind = key.strip_suffix("_endpoint_override")?;
                Some((kind.replace('_', "-"), value.as_str()?.to_owned()))
            })
            .collect()
    }

    /// Returns the microversion that is asked for.
    pub(super) fn block_storage_version(&self) -> Option<String> {
        [
            "block_storage_default_microversion",
            "volume_default_microversion",
            "volume_api_version",
        ]
        .iter()
        .find_map(|key| self.more.get(*key))
        .and_then(|value| match value {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        })
        // `3` alone says which API, not which edition of it.
        .filter(|text| text != "3")
    }
}
