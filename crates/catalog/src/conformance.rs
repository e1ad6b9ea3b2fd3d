//! What every adapter must do. A test of an adapter is one call of [`run`].

mod counts;
mod lists;
mod rows;
mod sample;
mod sharing;
mod tasks;

use std::sync::Arc;

use crate::{Catalog, CatalogError, Change};

/// Runs the whole suite; `make` returns a new, empty catalogue each time. Wants a runtime of several
/// threads, so that the races are real.
///
/// # Panics
///
/// Panics where the catalogue differs from what the port promises.
pub async fn run<C: Catalog + 'static>(make: impl AsyncFn() -> C) {
    let make = async || {
        let catalog: Arc<dyn Catalog> = Arc::new(make().await);
        catalog
    };
    rows::run(&make).await;
    lists::run(&make).await;
    counts::run(&make).await;
    sharing::run(&make).await;
    tasks::run(&make).await;
}

/// Inserts rows in one go.
async fn insert(catalog: &dyn Catalog, rows: impl IntoIterator<Item = crate::Row>) {
    let changes = rows.into_iter().map(Change::Insert).collect();
    catalog.apply(changes).await.expect("insert");
}

#[track_caller]
fn assert_stale<T: std::fmt::Debug>(what: &str, got: Result<T, CatalogError>) {
    assert!(
        matches!(got, Err(CatalogError::Stale { .. })),
        "{what}: {got:?}"
    );
}

#[track_caller]
fn assert_exists<T: std::fmt::Debug>(what: &str, got: Result<T, CatalogError>) {
    assert!(
        matches!(got, Err(CatalogError::Exists { .. })),
        "{what}: {got:?}"
    );
}
