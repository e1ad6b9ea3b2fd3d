//! Other regions: stores that take copies of backups.

use std::path::PathBuf;

use emberkeep_store::S3Place;
use serde::Deserialize;

use super::ConfigError;

/// One `[[replicas]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ReplicaFile {
    region: String,
    store: String,
    master_key_file: Option<PathBuf>,
}

/// Where a region's store lies.
#[derive(Debug, Clone)]
pub enum ReplicaStore {
    /// A directory: on another machine's disks, mounted here.
    Directory(PathBuf),
    /// A bucket.
    Bucket(S3Place),
}

/// A region that takes copies of backups.
#[derive(Debug, Clone)]
pub struct ReplicaConfig {
    /// Its name, as clients call it.
    pub region: String,
    /// Where its store lies.
    pub store: ReplicaStore,
    /// The master key of its repository; the service's own if none.
    pub master_key_file: Option<PathBuf>,
}

/// Reads `EMBERKEEP_REPLICAS` (`REGION=STORE`, several with commas), or the file.
pub(super) fn read(
    env: Option<String>,
    file: Vec<ReplicaFile>,
    own: &str,
) -> Result<Vec<ReplicaConfig>, ConfigError> {
    let given = match env {
        None => file,
        Some(text) => text
            .split(',')
            .map(|item| {
                let (region, store) = item.split_once('=').ok_or_else(|| {
                    refused(
                        item,
                        "must be REGION=DIRECTORY or REGION=s3://BUCKET/PREFIX",
                    )
                })?;
                Ok(ReplicaFile {
                    region: region.trim().to_owned(),
                    store: store.trim().to_owned(),
                    master_key_file: None,
                })
            })
            .collect::<Result<_, ConfigError>>()?,
    };
    let mut replicas: Vec<ReplicaConfig> = Vec::new();
    for replica in given {
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        let region = replica.region;
        if region.is_empty() || region.len() > 255 || !region.chars().all(fits) {
            return Err(refused(
                &region,
                "a region has 1 to 255 letters, digits, dots, '_' and '-'",
            ));
        }
        if region == own || replicas.iter().any(|other| other.region == region) {
            return Err(refused(&region, "each region has a name of its own"));
        }
        let store = if replica.store.starts_with("s3:") {
            let place = S3Place::parse(&replica.store);
            ReplicaStore::Bucket(place.ok_or_else(|| {
                refused(&replica.store, "is not an address like s3://BUCKET/PREFIX")
            })?)
        } else if replica.store.is_empty() {
            return Err(refused(&region, "needs a store"));
        } else {
            ReplicaStore::Directory(replica.store.into())
        };
        replicas.push(ReplicaConfig {
            region,
            store,
            master_key_file: replica.master_key_file,
        });
    }
    Ok(replicas)
}

fn refused(value: &str, reason: &str) -> ConfigError {
    ConfigError::Value {
        key: "replicas".into(),
        value: value.to_owned(),
        reason: reason.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replicas_are_read_from_the_environment() {
        let read = |text: &str| read(Some(text.to_owned()), Vec::new(), "RegionOne");
        let two = read("eu-2=/mnt/eu-2, eu-3=s3://bucket/prefix").unwrap();
        let regions: Vec<_> = two.iter().map(|replica| replica.region.as_str()).collect();
        assert_eq!(regions, ["eu-2", "eu-3"]);
        assert!(matches!(two[0].store, ReplicaStore::Directory(_)));
        assert!(matches!(two[1].store, ReplicaStore::Bucket(_)));
        for (what, text) in [
            ("no store", "eu-2"),
            ("an empty store", "eu-2="),
            ("no region", "=/mnt"),
            ("a bad region", "eu 2=/mnt"),
            ("our own region", "RegionOne=/mnt"),
            ("the same region twice", "eu-2=/a,eu-2=/b"),
            ("no bucket", "eu-2=s3:"),
        ] {
            assert!(read(text).is_err(), "{what}");
        }
    }
}
