//! What claiming a task costs among 5,000 that wait, by how many others are held:
//! `cargo run --release -p emberkeep-catalog --features testing --example claims`.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a measurement for people"
)]

use std::time::Instant;

use emberkeep_catalog::conformance::sample_task;
use emberkeep_catalog::{Catalog, Change, Row, SqliteCatalog};
use emberkeep_model::{Lease, TaskState, Timestamp};

const WAITING: usize = 5_000;
const HELD: [usize; 3] = [4, 100, 220];
const ROUNDS: u32 = 20;

fn main() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(measure());
}

async fn measure() {
    for held in HELD {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("catalog.db");
        let catalog = SqliteCatalog::open(file).await.unwrap();
        let tasks = (0..WAITING + held).map(|n| {
            let mut task = sample_task(n);
            task.not_before = Timestamp(0);
            task.state = TaskState::Waiting;
            task.ended_at = None;
            task.generation = 0;
            if n < held {
                task.state = TaskState::Running(Lease {
                    worker: "other".into(),
                    until: Timestamp(i64::MAX),
                });
            }
            Change::Insert(Row::Task(task))
        });
        let tasks: Vec<Change> = tasks.collect();
        for some in tasks.chunks(500) {
            catalog.apply(some.to_vec()).await.unwrap();
        }
        let (now, until) = (Timestamp(1_000), Timestamp(i64::MAX));
        let start = Instant::now();
        for _ in 0..ROUNDS {
            assert!(catalog.claim_task("w", now, until).await.unwrap().is_some());
        }
        let micros = start.elapsed().as_micros() / u128::from(ROUNDS);
        println!("{WAITING} waiting, {held:>3} held: {micros:>7} µs a claim");
    }
}
