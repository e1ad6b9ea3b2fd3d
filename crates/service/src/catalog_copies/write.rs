//! The copies of a service's catalog: replaced, and read to find out whether they are whole.

use std::sync::Arc;

use super::copies::CatalogCopies;
use crate::{Service, ServiceError};

impl Service {
    /// Gives the service the copies of its catalog.
    #[must_use]
    pub fn with_catalog_copies(mut self, copies: Arc<CatalogCopies>) -> Self {
        self.catalog_copies = Some(copies);
        self
    }

    /// Replaces all copies of the catalog by one as it is now, so that nothing of an erased project
    /// is left in any.
    pub(crate) async fn replace_catalog_copies(&self) -> Result<(), ServiceError> {
        let Some(copies) = self.catalog_copies.clone() else {
            return Ok(());
        };
        self.blocking("replacing the copies of the catalog", move || {
            copies.replace().map_err(crate::blocking::Inner::of)
        })
        .await
        .map(drop)
    }

    /// Reads every copy of the catalog and logs what is wrong; returns whether all are whole.
    pub(crate) async fn check_catalog_copies(&self) -> Result<bool, ServiceError> {
        if self.catalog_copies.is_none() {
            return Ok(true);
        }
        let repository = self.repository.clone();
        let (whole, damaged) = self
            .blocking("checking the copies of the catalog", move || {
                repository.check_catalog_copies()
            })
            .await?;
        metrics::gauge!(WHOLE).set(f64::from(u32::try_from(whole).unwrap_or(u32::MAX)));
        metrics::gauge!(DAMAGED).set(f64::from(u32::try_from(damaged.len()).unwrap_or(u32::MAX)));
        for damage in &damaged {
            tracing::error!(
                damage = crate::error::chain(damage),
                whole,
                "a copy of the catalog is damaged; write another with `emberkeep catalog backup`, or wait for the next"
            );
        }
        Ok(damaged.is_empty())
    }
}

const WHOLE: &str = "emberkeep_catalog_copies";
const DAMAGED: &str = "emberkeep_catalog_copies_damaged";
