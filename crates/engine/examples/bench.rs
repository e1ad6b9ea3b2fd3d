//! Times the engine on a file: `bench IMAGE DIR`. For a look while working; `cargo xtask bench`
//! is the measurement that counts.
#![allow(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "an example that prints"
)]

use std::sync::Arc;
use std::time::Instant;

use emberkeep_engine::{BackupRequest, InitOptions, Repository, Run, UnixMicros};
use emberkeep_keys::MasterKey;
use emberkeep_model::BackupId;
use emberkeep_store::{LocalStore, ObjectStore};
use emberkeep_volumes::{FileSource, FileTarget, SourceSnapshot};

fn main() {
    let mut args = std::env::args().skip(1);
    let (image, dir) = (args.next().unwrap(), args.next().unwrap());
    let store: Arc<dyn ObjectStore> = Arc::new(LocalStore::create(&dir).unwrap());
    let master = MasterKey::from_bytes([1; 32]);
    let repository = Repository::init(store, &master, InitOptions::default()).unwrap();
    let project = repository.project("bench").unwrap();
    let source = FileSource::open(&image).unwrap();
    let mut last = None;
    for step in ["full", "unchanged", "unchanged"] {
        let id = BackupId(uuid::Uuid::new_v4());
        let request = BackupRequest::new(id, step, UnixMicros(0));
        let before = Times::now();
        let manifest = project
            .backup(&source, request, &Run::new())
            .unwrap()
            .manifest;
        before.print(step);
        println!("  {:?}", manifest.statistics);
        last = Some(id);
    }
    let out = format!("{dir}.restored");
    for step in ["restore fresh", "restore in place"] {
        let before = Times::now();
        let report = if step == "restore fresh" {
            let target = FileTarget::create_new(&out, source.size()).unwrap();
            project
                .restore(last.unwrap(), &target, &Run::new())
                .unwrap()
        } else {
            let target = FileTarget::open_existing(&out).unwrap();
            project
                .restore(last.unwrap(), &target, &Run::new())
                .unwrap()
        };
        before.print(step);
        println!(
            "  written {} kept {}",
            report.written_bytes, report.kept_bytes
        );
    }
    let before = Times::now();
    let options = emberkeep_engine::CheckOptions { read_data: true };
    let report = project.check(options, &Run::new()).unwrap();
    before.print("check --read-data");
    println!("  problems {}", report.problems.len());
    std::fs::remove_file(out).unwrap();
}

struct Times {
    wall: Instant,
    cpu: (f64, f64),
}

impl Times {
    fn now() -> Self {
        Self {
            wall: Instant::now(),
            cpu: cpu(),
        }
    }

    fn print(&self, step: &str) {
        let (user, system) = cpu();
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status
            .lines()
            .find(|line| line.starts_with("VmHWM"))
            .unwrap_or_default();
        println!(
            "{step}: wall {:.2} user {:.2} system {:.2} {peak}",
            self.wall.elapsed().as_secs_f64(),
            user - self.cpu.0,
            system - self.cpu.1,
        );
    }
}

/// User and system seconds of this process.
fn cpu() -> (f64, f64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat
        .rsplit_once(')')
        .unwrap()
        .1
        .split_whitespace()
        .collect();
    let ticks = |at: usize| fields[at].parse::<f64>().unwrap() / 100.0;
    (ticks(11), ticks(12))
}
