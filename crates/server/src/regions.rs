//! Opens the stores of other regions.

use std::collections::BTreeMap;
use std::sync::Arc;

use emberkeep_engine::{InitOptions, Repository, RepositoryError};
use emberkeep_keys::KeySource;
use emberkeep_service::{Region, Regions};
use emberkeep_store::{Exclusion, LocalStore, ObjectStore, S3Store, StoreError};

use crate::config::{ReplicaConfig, ReplicaStore};
use crate::{Config, StartError};

/// Takes the regions of a configuration. Their keys are looked at now, their stores when first needed.
pub(crate) fn regions(
    config: &Config,
    own: &Repository,
    own_key: &KeySource,
) -> Result<Regions, StartError> {
    let mut others = BTreeMap::new();
    for replica in &config.replicas {
        let key = match &replica.master_key_file {
            Some(path) => KeySource::File(path.clone()),
            None => own_key.clone(),
        };
        key.load().map_err(|cause| StartError::RegionKey {
            region: replica.region.clone(),
            cause,
        })?;
        let options = InitOptions {
            chunker: own.chunker(),
        };
        let (name, replica) = (replica.region.clone(), replica.clone());
        let region = Region::new(move || open(&replica, &key, options));
        others.insert(name, region);
    }
    Ok(Regions {
        own: config.region.clone(),
        others,
    })
}

/// Opens a region's repository; the first time makes it, to cut volumes as ours does.
fn open(
    replica: &ReplicaConfig,
    source: &KeySource,
    options: InitOptions,
) -> Result<Repository, RepositoryError> {
    let store: Arc<dyn ObjectStore> = match &replica.store {
        ReplicaStore::Directory(place) if place.join("format").exists() => {
            Arc::new(LocalStore::open(place)?)
        }
        ReplicaStore::Directory(place) => Arc::new(LocalStore::create(place)?),
        ReplicaStore::Bucket(place) => {
            let store = S3Store::open(place.clone())?;
            // Two writers could destroy each other's work.
            match store.exclusion()? {
                Exclusion::Full => {}
                Exclusion::OneByOne => {
                    tracing::warn!(
                        store = %store.describe(),
                        "writers that come at the same moment are not kept apart here: let no other process write to this region"
                    );
                }
                Exclusion::None => {
                    let told = "it overwrites objects that it was asked to keep";
                    return Err(StoreError::Denied {
                        name: store.describe(),
                        cause: std::io::Error::other(told),
                    }
                    .into());
                }
            }
            Arc::new(store)
        }
    };
    // As it is by now: erasing a project changes it.
    let key = source.load()?;
    let repository = if Repository::exists(&*store)? {
        Repository::open(store, &key)?
    } else {
        tracing::info!(region = %replica.region, "a repository is made in another region");
        Repository::init(store, &key, options)?
    };
    Ok(match source.keeper() {
        Some(keeper) => repository.with_keeper(keeper),
        None => repository,
    })
}
