//! How many requests operations make of a store: what a bucket charges for, and waits for.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::Arc;

use emberkeep_engine::{BackupRequest, Run};
use emberkeep_store::{Counted, FaultPlan, FaultyStore};
use emberkeep_testkit::TrackedVolume;
use support::*;

/// As many bytes may be stored for each request of a full backup at least.
const STORED_PER_REQUEST: u64 = 16 << 20;

#[test]
fn a_full_backup_and_an_unchanged_one_make_few_requests() {
    let fixture = Fixture::new();
    let plan = FaultPlan::new(Counted::All);
    let counted = Arc::new(FaultyStore::new(
        Shared(fixture.store.clone()),
        plan.clone(),
    ));
    let project = fixture.through(counted);
    let size = 1 << 30;
    let mut volume = TrackedVolume::new(noise(size, 3), 1 << 16);

    plan.arm(None);
    let first = project
        .backup(&volume.snapshot(), request(1), &Run::new())
        .unwrap();
    let full = plan.calls();
    let stored = first.manifest.statistics.stored_bytes;
    println!("full: {full} requests for {} MiB stored", stored >> 20);
    for line in plan.told() {
        println!("    {line}");
    }

    plan.arm(None);
    let again = BackupRequest {
        parent: Some(id(1)),
        ..request(2)
    };
    let second = project
        .backup(&volume.snapshot(), again, &Run::new())
        .unwrap();
    let unchanged = plan.calls();
    println!("unchanged: {unchanged} requests");
    for line in plan.told() {
        println!("    {line}");
    }
    assert_eq!(second.manifest.statistics.new_bytes, 0);
    assert!(full * STORED_PER_REQUEST <= stored, "{full} for {stored}");
    // Where the first backup's workers put the pages decides how many reads they take: three on a busy machine.
    assert!(unchanged <= 12, "{unchanged}");
}
