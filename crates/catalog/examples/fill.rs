//! Puts many rows into a catalogue, to see what its lists cost then; a service may be running on it:
//! `cargo run --release -p emberkeep-catalog --features testing --example fill -- FILE PROJECT FROM TO`.
//! Each row is a backup in a vault, and the task that made it; every hundredth comes with its vault.
#![allow(clippy::unwrap_used, reason = "a tool for measurements")]

use emberkeep_catalog::conformance::{sample_backup, sample_task, sample_vault};
use emberkeep_catalog::{Catalog, Change, Row, SqliteCatalog};
use emberkeep_model::ProjectId;

const AT_ONCE: usize = 200;
const IN_A_VAULT: usize = 100;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [file, project, from, to] = arguments.as_slice() else {
        panic!("wants FILE PROJECT FROM TO");
    };
    let (from, to) = (from.parse().unwrap(), to.parse().unwrap());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(fill(file, &project.parse().unwrap(), from, to));
}

async fn fill(file: &str, project: &ProjectId, from: usize, to: usize) {
    let catalog = SqliteCatalog::open(file).await.unwrap();
    for begin in (from..to).step_by(AT_ONCE) {
        let numbers = begin..(begin + AT_ONCE).min(to);
        let changes = numbers.flat_map(|number| rows(project, number));
        catalog
            .apply(changes.map(Change::Insert).collect())
            .await
            .unwrap();
    }
    catalog.close().await;
}

fn rows(project: &ProjectId, number: usize) -> Vec<Row> {
    let mut vault = sample_vault(number / IN_A_VAULT * IN_A_VAULT);
    let (mut backup, mut task) = (sample_backup(number), sample_task(number));
    vault.project_id = project.clone();
    backup.project_id = project.clone();
    task.project_id = project.clone();
    backup.vault_id = Some(vault.id);
    task.vault_id = Some(vault.id);
    let mut rows = vec![Row::Backup(backup), Row::Task(task)];
    if number.is_multiple_of(IN_A_VAULT) {
        rows.push(Row::Vault(vault));
    }
    rows
}
