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
    use emberkeep_model::{BackupState, ByteCount, Gib, ProjectId, Timestamp, VolumeId};
    let age = i64::try_from(number).expect("a small number");
    let mut dice = sample::Dice(number as u64);
    let mut made = dice.backup();
    let [_, _, BackupState::Available(mut sealed), ..] = dice.backup_states() else {
        panic!("the third state is not that of an available one");
    };
    // Sums of them must fit.
    sealed.stored = ByteCount(number as u64);
    made.project_id = "c0ffee".parse::<ProjectId>().expect("an id");
    // Twenty of each volume.
    let volume = format!("{:032x}", number / 20 + 1);
    made.volume_id = volume.parse::<VolumeId>().expect("an id");
    made.name = Some(format!("backup-{number:06}"));
    made.description = None;
    made.container = None;
    made.metadata.clear();
    made.snapshot_id = None;
    made.vault_id = None;
    made.checkpoint_id = None;
    made.content = None;
    made.cinder = Default::default();
    made.cbr = Default::default();
    made.size = Gib(u32::try_from(number % 97).expect("small") + 1);
    made.state = BackupState::Available(sealed);
    made.created_at = Timestamp(age * 1_000_000);
    made.updated_at = Some(Timestamp(age * 1_000_003));
    made.data_timestamp = made.created_at;
    made.deleted_at = None;
    made.revision = 0;
    made
}

/// Makes one of many vaults of that project, each younger than those before it.
///
/// # Panics
///
/// Panics on numbers that no table has rows for.
pub fn sample_vault(number: usize) -> emberkeep_model::Vault {
    use emberkeep_model::{ObjectType, ProtectType, VaultStatus};
    let backup = sample_backup(number);
    let mut made = sample::Dice(number as u64 ^ 0x7a).vault();
    made.project_id = backup.project_id;
    made.name = format!("vault-{number:06}");
    made.object_type = ObjectType::Disk;
    made.protect_type = ProtectType::Backup;
    made.status = VaultStatus::Available;
    made.created_at = backup.created_at;
    made.revision = 0;
    made
}

/// Makes the ended task that made one of those backups.
///
/// # Panics
///
/// Panics on numbers that no table has rows for.
pub fn sample_task(number: usize) -> emberkeep_model::Task {
    use emberkeep_model::{TaskState, Work};
    let backup = sample_backup(number);
    let mut made = sample::Dice(number as u64 ^ 0x7a5c).task();
    made.project_id = backup.project_id;
    made.work = Work::Backup {
        backup_id: backup.id,
    };
    made.state = TaskState::Succeeded;
    made.object_type = backup.cbr.kind;
    made.volume_id = Some(backup.volume_id);
    made.backup_id = Some(backup.id);
    made.checkpoint_id = None;
    made.created_at = backup.created_at;
    made.ended_at = Some(backup.created_at);
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

/// Makes a vault, a resource and a backup in it.
#[cfg(test)]
pub(crate) fn sample_vault_with_backup(
    seed: u64,
) -> (
    emberkeep_model::Vault,
    emberkeep_model::VaultResource,
    emberkeep_model::Backup,
) {
    let mut dice = sample::Dice(seed);
    let vault = dice.vault();
    let resource = dice.vault_resource(&vault);
    let mut backup = sample_backup(usize::try_from(seed).expect("a small number"));
    backup.vault_id = Some(vault.id);
    (vault, resource, backup)
}
