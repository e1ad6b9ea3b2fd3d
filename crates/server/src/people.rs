//! Users, projects and roles of a service that is not running, straight in its catalogue.

use std::path::Path;
use std::sync::Arc;

use emberkeep_catalog::{Catalog, CatalogFile, SqliteCatalog};
use emberkeep_service::{Clock, Identity, IdentitySettings, SystemClock};

use crate::catalog_guard::check_file;
use crate::start::CATALOGUE;
use crate::{DataDir, StartError};

/// The built-in identity of a stopped service. Until it is dropped the service cannot start.
pub struct People {
    identity: Identity,
    _data: DataDir,
}

impl People {
    /// Opens it; none if no service has kept its data there yet.
    pub async fn open(data_dir: &Path) -> Result<Option<Self>, StartError> {
        if !data_dir.join(CATALOGUE).exists() {
            return Ok(None);
        }
        let data = DataDir::take(data_dir)?;
        let file = CatalogFile::new(data.path().join(CATALOGUE));
        check_file(&file).await?;
        let catalog: Arc<dyn Catalog> = Arc::new(SqliteCatalog::open(file.path()).await?);
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        Ok(Some(Self {
            identity: Identity::new(catalog, clock, IdentitySettings::default()),
            _data: data,
        }))
    }

    /// Returns the identity.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }
}
