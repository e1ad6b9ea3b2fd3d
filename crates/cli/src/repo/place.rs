//! Where a repository lies: in a directory, or in a bucket.

use std::path::Path;
use std::sync::Arc;

use emberkeep_engine::worth_keeping;
use emberkeep_store::{CachedStore, Exclusion, LocalStore, ObjectStore, S3Place, S3Store};

use super::store_error;
use crate::error::CliError;

/// What begins the address of a bucket.
const SCHEME: &str = "s3:";

/// Tells whether the repository is named by the address of a bucket.
pub(super) fn is_bucket(repo: &Path) -> bool {
    repo.to_str().is_some_and(|text| text.starts_with(SCHEME))
}

fn bucket(repo: &Path) -> Result<S3Store, CliError> {
    let place = repo.to_str().and_then(S3Place::parse).ok_or_else(|| {
        CliError::refused(format!("{} is not an address", repo.display()))
            .hint("give s3://BUCKET/PREFIX")
    })?;
    S3Store::open(place).map_err(|error| store_error(&error))
}

/// Bytes of one repository that are kept at hand.
const KEPT: u64 = 2 << 30;

/// Opens the store of an existing repository, with what leads to its data kept in a directory
/// below `cache` where it is far away.
pub(super) fn open_cached(
    repo: &Path,
    cache: Option<&Path>,
) -> Result<Arc<dyn ObjectStore>, CliError> {
    let store = open(repo)?;
    let Some(cache) = cache.filter(|_| is_bucket(repo)) else {
        return Ok(store);
    };
    let own: String = store
        .describe()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let kept = CachedStore::open(store, &cache.join(own), KEPT, worth_keeping);
    Ok(Arc::new(kept.map_err(|error| store_error(&error))?))
}

/// Opens the store of an existing repository.
pub(super) fn open(repo: &Path) -> Result<Arc<dyn ObjectStore>, CliError> {
    if is_bucket(repo) {
        return Ok(Arc::new(bucket(repo)?));
    }
    let store = LocalStore::open(repo).map_err(|error| store_error(&error))?;
    Ok(Arc::new(store))
}

/// Makes the store of a new repository; a bucket must exist, and keep what it is told to keep.
pub(super) fn create(repo: &Path) -> Result<Arc<dyn ObjectStore>, CliError> {
    if is_bucket(repo) {
        let store = bucket(repo)?;
        return match store.exclusion() {
            Ok(Exclusion::Full) => Ok(Arc::new(store)),
            Ok(Exclusion::OneByOne) => {
                crate::output::say(&format!(
                    "{} does not keep writers apart that come at the same moment: let one process at a time use this repository",
                    store.describe()
                ));
                Ok(Arc::new(store))
            }
            Ok(Exclusion::None) => Err(CliError::refused(format!(
                "{} overwrites objects that it was asked to keep; two writers could destroy each other's work",
                store.describe()
            ))),
            Err(error) => Err(store_error(&error)),
        };
    }
    let store = LocalStore::create(repo).map_err(|error| store_error(&error))?;
    Ok(Arc::new(store))
}
