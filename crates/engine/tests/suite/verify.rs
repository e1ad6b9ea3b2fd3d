//! Reading everything through, a part at a time: oldest first, going on after a break.
#![allow(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "a test may panic"
)]

use crate::support;

use std::sync::Arc;
use std::time::Duration;

use emberkeep_engine::{CheckReport, ProjectRepository, Run, VerifyOptions};
use emberkeep_store::{Counted, Fault, FaultPlan, FaultyStore, Moment};
use support::*;

/// Three backups that share nothing: a pack of data and one of map for each.
fn fixture() -> Fixture {
    let fixture = Fixture::new();
    for n in 1..=3 {
        fixture.backup(n, &noise(MIB, n as u64));
    }
    assert_eq!(fixture.names("packs").len(), 6);
    fixture
}

fn verify(
    project: &ProjectRepository,
    budget: Option<u64>,
    older_than: Option<u64>,
) -> CheckReport {
    let older_than = older_than.map(Duration::from_secs);
    let options = VerifyOptions { budget, older_than };
    project.verify(options, &Run::new()).unwrap()
}

#[test]
fn a_budget_reads_what_waits_longest_and_gets_round() {
    let fixture = fixture();
    let mut oldest = None;
    for read in 1..=6 {
        let report = verify(&fixture.project, Some(1), None);
        assert!(report.problems.is_empty());
        assert_eq!((report.read_packs, report.unverified_packs), (1, 6 - read));
        assert!(report.oldest_verified >= oldest, "the oldest goes first");
        oldest = report.oldest_verified;
    }
    // All were read; the first one has its turn again, and is the oldest no more.
    let again = verify(&fixture.project, Some(1), None);
    assert_eq!((again.read_packs, again.unverified_packs), (1, 0));
    assert!(again.oldest_verified > oldest);
    assert_eq!(fixture.names("/verified/").len(), 1, "one record of all");
    // A budget is kept, and no budget reads everything.
    let some = verify(&fixture.project, Some(1_500_000), None);
    assert!(some.read_bytes <= 1_500_000 && some.read_packs > 0);
    assert_eq!(verify(&fixture.project, None, None).read_packs, 6);
    assert_eq!(
        verify(&fixture.project, None, Some(3600)).read_packs,
        0,
        "all is fresh"
    );
    // What is gone is forgotten.
    fixture.project.delete(id(1)).unwrap();
    fixture
        .project
        .sweep(Default::default(), &Run::new())
        .unwrap();
    let left = verify(&fixture.project, None, Some(3600));
    assert_eq!((left.read_packs, left.unverified_packs), (0, 0));
}

#[test]
fn a_check_that_broke_off_goes_on_where_it_was() {
    let fixture = fixture();
    let plan = FaultPlan::new(Counted::All);
    let faulty = Arc::new(FaultyStore::new(
        Shared(fixture.store.clone()),
        plan.clone(),
    ));
    let project = fixture.through(faulty);
    plan.arm(None);
    verify(&project, Some(1), None);
    let calls = plan.calls();
    let mut broke_off = 0;
    for call in 1..calls + 6 {
        let fixture = self::fixture();
        let plan = FaultPlan::new(Counted::All);
        let faulty = Arc::new(FaultyStore::new(
            Shared(fixture.store.clone()),
            plan.clone(),
        ));
        let project = fixture.through(faulty);
        plan.arm(Some(Fault::once(call, Moment::Before)));
        let first = project.verify(VerifyOptions::default(), &Run::new());
        let rest = verify(&fixture.project, None, Some(3600));
        assert!(rest.problems.is_empty());
        assert_eq!(rest.unverified_packs, 0, "call {call}");
        if first.is_err() && (1..6).contains(&rest.read_packs) {
            broke_off += 1;
        }
    }
    assert!(broke_off > 0, "none was broken off while it read");
}

#[test]
fn what_is_damaged_is_read_again_each_time_until_it_is_healed_and_gone() {
    let fixture = fixture();
    let size = |name: &String| fixture.store.head(name).unwrap();
    let pack = fixture.names("packs").into_iter().max_by_key(size).unwrap();
    verify(&fixture.project, None, None);
    let good = fixture.store.get(&pack).unwrap();
    let mut bad = good.clone();
    bad[MIB / 2] ^= 1;
    fixture.store.put(&pack, &[&bad]).unwrap();
    // It was found whole a moment ago, so that its turn comes last.
    let found = (0..6).find(|_| !verify(&fixture.project, Some(1), None).problems.is_empty());
    assert!(found.is_some());
    let report = verify(&fixture.project, Some(1), None);
    assert_eq!(report.problems[0].damage.object, pack);
    let hurt = report.problems[0].backups[0].0.as_u128();
    assert!(!report.problems[0].lost.is_empty());
    assert_eq!(fixture.names("/damaged/").len(), 1);
    // Reading others does not take its mark away.
    verify(&fixture.project, Some(3_000_000), Some(0));
    assert_eq!(fixture.names("/damaged/").len(), 1);
    fixture.backup(9, &noise(MIB, hurt as u64));
    fixture.restores(hurt, &noise(MIB, hurt as u64));
    for _ in 0..2 {
        fixture
            .project
            .sweep(Default::default(), &Run::new())
            .unwrap();
    }
    assert!(!fixture.names("packs").contains(&pack));
    assert!(verify(&fixture.project, None, None).problems.is_empty());
    assert!(fixture.names("/damaged/").is_empty());
}

#[test]
fn damaged_records_cost_time_only() {
    let fixture = fixture();
    verify(&fixture.project, None, None);
    let record = fixture.names("/verified/").remove(0);
    fixture.store.put(&record, &[b"junk"]).unwrap();
    let report = verify(&fixture.project, None, Some(3600));
    assert_eq!(report.read_packs, 6);
    let [told] = &report.problems[..] else {
        panic!("{:?}", report.problems)
    };
    assert_eq!((&told.damage.object, told.backups.len()), (&record, 0));
    assert!(
        verify(&fixture.project, None, Some(3600))
            .problems
            .is_empty()
    );
    let left = fixture.names("/verified/");
    assert!(left.len() == 1 && left[0] != record, "{left:?}");
}
