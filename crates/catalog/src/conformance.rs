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

/// Makes one of many backups of one project, each younger than those before it.
///
/// # Panics
///
/// Panics on numbers that no table has rows for.
pub fn sample_backup(number: usize) -> emberkeep_model::Backup {
    use emberkeep_model::{BackupState, Gib, ProjectId, Timestamp, VolumeId};
    let age = i64::try_from(number).expect("a small number");
    let mut dice = sample::Dice(number as u64);
    let mut made = dice.backup();
    let [_, _, available, ..] = dice.backup_states();
    assert!(matches!(available, BackupState::Available(_)));
    made.project_id = "c0ffee".parse::<ProjectId>().expect("an id");
    // Twenty of each volume.
    let volume = format!("{:032x}", number / 20 + 1);
    made.volume_id = volume.parse::<VolumeId>().expect("an id");
    made.name = Some(format!("backup-{number:06}"));
    made.description = None;
    made.container = None;
    made.metadata.clear();
    made.size = Gib(u32::try_from(number % 97).expect("small") + 1);
    made.state = available;
    made.created_at = Timestamp(age * 1_000_000);
    made.updated_at = Some(Timestamp(age * 1_000_003));
    made.data_timestamp = made.created_at;
    made.deleted_at = None;
    made.revision = 0;
    made
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
