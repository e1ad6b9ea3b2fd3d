//! Where the drivers of Cinder keep backups whose records may be imported here.

use std::path::PathBuf;

use emberkeep_chunked::{
    DirectoryRepository, ForeignError, S3Repository, S3Settings, SwiftAuth, SwiftRepository,
};
use emberkeep_service::{ChunkedDriver, ForeignRepository};
use serde::Deserialize;

use super::ConfigError;

/// The keys of `[cinder]`; each is also a variable `EMBERKEEP_CINDER_…`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CinderFile {
    posix_path: Option<String>,
    nfs_path: Option<String>,
    glusterfs_path: Option<String>,
    s3_endpoint: Option<String>,
    s3_region: Option<String>,
    s3_access_key_id: Option<String>,
    s3_secret_access_key_file: Option<String>,
    swift_auth_version: Option<String>,
    swift_auth_url: Option<String>,
    swift_user: Option<String>,
    swift_key_file: Option<String>,
    swift_project: Option<String>,
    swift_user_domain: Option<String>,
    swift_project_domain: Option<String>,
    swift_region: Option<String>,
}

/// Where Cinder keeps backups. None of it is ever written to.
#[derive(Debug, Clone, Default)]
pub struct CinderConfig {
    /// Directories, each with the driver that fills it.
    pub directories: Vec<(ChunkedDriver, PathBuf)>,
    /// Buckets.
    pub s3: Option<CinderS3>,
    /// Containers of Swift.
    pub swift: Option<CinderSwift>,
}

/// A server with buckets. What is none is taken from the usual `AWS_*` variables.
#[derive(Debug, Clone, Default)]
pub struct CinderS3 {
    /// Its address, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The key's name.
    pub access_key_id: Option<String>,
    /// The file that holds the key.
    pub secret_access_key_file: Option<PathBuf>,
}

/// A Swift, and who the service is there.
#[derive(Debug, Clone)]
pub struct CinderSwift {
    /// Sign in at Keystone, not at Swift itself.
    pub keystone: bool,
    /// Where to sign in.
    pub auth_url: String,
    /// The user, with its account before a colon where Swift itself is asked.
    pub user: String,
    /// The file that holds the password or key.
    pub key_file: PathBuf,
    /// The project whose account it is.
    pub project: String,
    /// The user's domain.
    pub user_domain: String,
    /// The project's domain.
    pub project_domain: String,
    /// The region.
    pub region: Option<String>,
}

/// Why a place where Cinder keeps backups cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CinderPlaceError {
    /// The place cannot be opened.
    #[error("the place where Cinder keeps backups cannot be used")]
    Place(#[from] ForeignError),
    /// A key cannot be read.
    #[error("the key file {path} cannot be read")]
    Key {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
}

/// Reads where the drivers keep backups; nowhere unless told so.
pub(super) fn read(
    file: CinderFile,
    env: impl Fn(&str) -> Option<String>,
) -> Result<CinderConfig, ConfigError> {
    let key = |name: &str, file: Option<String>| {
        let given = env(&format!("CINDER_{name}")).or(file);
        given.filter(|text| !text.is_empty())
    };
    let mut directories = Vec::new();
    for (driver, name, file) in [
        (ChunkedDriver::Posix, "POSIX_PATH", file.posix_path),
        (ChunkedDriver::Nfs, "NFS_PATH", file.nfs_path),
        (
            ChunkedDriver::GlusterFs,
            "GLUSTERFS_PATH",
            file.glusterfs_path,
        ),
    ] {
        let paths = key(name, file).unwrap_or_default();
        let paths = paths.split(':').filter(|path| !path.is_empty());
        directories.extend(paths.map(|path| (driver, PathBuf::from(path))));
    }
    let s3 = CinderS3 {
        endpoint: key("S3_ENDPOINT", file.s3_endpoint),
        region: key("S3_REGION", file.s3_region),
        access_key_id: key("S3_ACCESS_KEY_ID", file.s3_access_key_id),
        secret_access_key_file: key("S3_SECRET_ACCESS_KEY_FILE", file.s3_secret_access_key_file)
            .map(PathBuf::from),
    };
    if s3.access_key_id.is_some() != s3.secret_access_key_file.is_some() {
        return Err(ConfigError::Value {
            key: "cinder.s3_access_key_id".into(),
            value: s3.access_key_id.unwrap_or_default(),
            reason: "must be given together with s3_secret_access_key_file".into(),
        });
    }
    let s3 = Some(s3)
        .filter(|s3| s3.endpoint.is_some() || s3.region.is_some() || s3.access_key_id.is_some());
    let swift_version = key("SWIFT_AUTH_VERSION", file.swift_auth_version);
    let swift_user = key("SWIFT_USER", file.swift_user);
    let swift_key_file = key("SWIFT_KEY_FILE", file.swift_key_file);
    let swift_project = key("SWIFT_PROJECT", file.swift_project);
    let user_domain = key("SWIFT_USER_DOMAIN", file.swift_user_domain);
    let project_domain = key("SWIFT_PROJECT_DOMAIN", file.swift_project_domain);
    let region = key("SWIFT_REGION", file.swift_region);
    let swift = match key("SWIFT_AUTH_URL", file.swift_auth_url) {
        None => None,
        Some(auth_url) => {
            let missing = |name: &str| ConfigError::Value {
                key: format!("cinder.{name}"),
                value: String::new(),
                reason: "must be given together with swift_auth_url".into(),
            };
            let keystone = match swift_version.as_deref() {
                None | Some("3") => true,
                Some("1") => false,
                Some(other) => {
                    return Err(ConfigError::Value {
                        key: "cinder.swift_auth_version".into(),
                        value: other.into(),
                        reason: "must be 1 (Swift itself) or 3 (Keystone)".into(),
                    });
                }
            };
            Some(CinderSwift {
                keystone,
                auth_url,
                user: swift_user.ok_or_else(|| missing("swift_user"))?,
                key_file: swift_key_file
                    .ok_or_else(|| missing("swift_key_file"))?
                    .into(),
                project: match swift_project {
                    Some(project) => project,
                    None if keystone => return Err(missing("swift_project")),
                    None => String::new(),
                },
                user_domain: user_domain.unwrap_or_else(|| "Default".into()),
                project_domain: project_domain.unwrap_or_else(|| "Default".into()),
                region,
            })
        }
    };
    Ok(CinderConfig {
        directories,
        s3,
        swift,
    })
}

impl CinderConfig {
    /// Opens all places; those behind a network are asked when they are needed.
    pub(crate) fn open(&self) -> Result<Vec<ForeignRepository>, CinderPlaceError> {
        let mut opened = Vec::new();
        for (driver, path) in &self.directories {
            opened.push(ForeignRepository {
                name: path.display().to_string(),
                drivers: vec![*driver],
                objects: std::sync::Arc::new(DirectoryRepository::open(path)?),
            });
        }
        if let Some(s3) = &self.s3 {
            let secret = s3.secret_access_key_file.as_ref().map(read_key);
            let settings = S3Settings {
                endpoint: s3.endpoint.clone(),
                region: s3.region.clone(),
                access_key_id: s3.access_key_id.clone(),
                secret_access_key: secret.transpose()?,
            };
            opened.push(ForeignRepository {
                name: s3.endpoint.clone().unwrap_or_else(|| "S3".into()),
                drivers: vec![ChunkedDriver::S3, ChunkedDriver::Gcs],
                objects: std::sync::Arc::new(S3Repository::open(settings)?),
            });
        }
        if let Some(swift) = &self.swift {
            opened.push(ForeignRepository {
                name: swift.auth_url.clone(),
                drivers: vec![ChunkedDriver::Swift],
                objects: std::sync::Arc::new(SwiftRepository::open(swift.auth()?)?),
            });
        }
        Ok(opened)
    }
}

impl CinderSwift {
    fn auth(&self) -> Result<SwiftAuth, CinderPlaceError> {
        let (url, secret) = (self.auth_url.clone(), read_key(&self.key_file)?);
        Ok(if self.keystone {
            SwiftAuth::Keystone {
                url,
                username: self.user.clone(),
                password: secret,
                user_domain_name: self.user_domain.clone(),
                project_name: self.project.clone(),
                project_domain_name: self.project_domain.clone(),
                region: self.region.clone(),
            }
        } else {
            SwiftAuth::V1 {
                url,
                user: self.user.clone(),
                key: secret,
            }
        })
    }
}

fn read_key(path: &PathBuf) -> Result<String, CinderPlaceError> {
    let text = std::fs::read_to_string(path).map_err(|cause| CinderPlaceError::Key {
        path: path.clone(),
        cause,
    })?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(env: &[(&str, &str)]) -> Result<CinderConfig, ConfigError> {
        read(CinderFile::default(), |name| {
            let mut found = env.iter().filter(|(key, _)| *key == name);
            found.next().map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn places_are_told_apart() {
        let none = with(&[]).unwrap();
        assert!(none.directories.is_empty() && none.s3.is_none() && none.swift.is_none());
        let config = with(&[
            ("CINDER_POSIX_PATH", "/a:/b"),
            ("CINDER_NFS_PATH", "/c"),
            ("CINDER_S3_ENDPOINT", "http://s3"),
            ("CINDER_SWIFT_AUTH_URL", "http://swift/auth/v1.0"),
            ("CINDER_SWIFT_AUTH_VERSION", "1"),
            ("CINDER_SWIFT_USER", "test:tester"),
            ("CINDER_SWIFT_KEY_FILE", "/key"),
        ])
        .unwrap();
        let words: Vec<_> = config
            .directories
            .iter()
            .map(|(driver, path)| format!("{} {}", driver.word(), path.display()))
            .collect();
        assert_eq!(words, ["posix /a", "posix /b", "nfs /c"]);
        assert_eq!(
            config.s3.and_then(|s3| s3.endpoint).as_deref(),
            Some("http://s3")
        );
        assert!(config.swift.is_some_and(|swift| !swift.keystone));
    }

    #[test]
    fn halves_are_refused() {
        let keystone = [
            ("CINDER_SWIFT_AUTH_URL", "http://k:5000"),
            ("CINDER_SWIFT_USER", "u"),
            ("CINDER_SWIFT_KEY_FILE", "/key"),
        ];
        let odd = [
            ("CINDER_SWIFT_AUTH_URL", "http://k:5000"),
            ("CINDER_SWIFT_AUTH_VERSION", "2"),
        ];
        for (what, env) in [
            (
                "a key without its name",
                &[("CINDER_S3_SECRET_ACCESS_KEY_FILE", "/k")][..],
            ),
            ("no user", &keystone[..1]),
            ("no project", &keystone[..]),
            ("no such version", &odd[..]),
        ] {
            assert!(with(env).is_err(), "{what}");
        }
    }
}
