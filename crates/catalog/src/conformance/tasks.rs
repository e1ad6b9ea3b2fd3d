//! Tasks are claimed once, by one worker, in a fair order, and come free when a lease ends.

use std::collections::BTreeSet;
use std::sync::Arc;

use emberkeep_model::{Lease, Progress, ProjectId, Task, TaskId, TaskState, Timestamp, Work};

use super::rows::race;
use super::sample::Dice;
use super::{assert_stale, insert};
use crate::{Catalog, Change, Renewal, Row};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Catalog>) {
    a_claim_is_written_down(&*make().await).await;
    claims_wait_for_their_time(&*make().await).await;
    ended_tasks_are_left_alone(&*make().await).await;
    leases_run_out(&*make().await).await;
    leases_are_renewed(&*make().await).await;
    leases_are_released(&*make().await).await;
    cancels_are_kept(&*make().await).await;
    projects_take_turns(&*make().await).await;
    tasks_about_the_same_thing_wait(&*make().await).await;
    each_task_is_claimed_once(make().await).await;
    rivals_never_run_together(make().await).await;
}

const LEASE: i64 = 1000;

/// Claims for `worker` at an instant, with a lease of [`LEASE`].
async fn claim(catalog: &dyn Catalog, worker: &str, now: i64) -> Option<Task> {
    let claimed = catalog
        .claim_task(worker, Timestamp(now), Timestamp(now + LEASE))
        .await;
    claimed.expect("claim")
}

async fn claim_id(catalog: &dyn Catalog, now: i64) -> Option<TaskId> {
    claim(catalog, "worker", now).await.map(|t| t.id)
}

async fn task(catalog: &dyn Catalog, id: TaskId) -> Task {
    catalog.task(id).await.expect("look up").expect("there")
}

fn lease(worker: &str, until: i64) -> TaskState {
    TaskState::Running(Lease {
        worker: worker.to_owned(),
        until: Timestamp(until),
    })
}

async fn end(catalog: &dyn Catalog, id: TaskId) {
    let done = Task {
        state: TaskState::Succeeded,
        ..task(catalog, id).await
    };
    catalog
        .apply(vec![Change::Save(Row::Task(done))])
        .await
        .expect("end");
}

async fn a_claim_is_written_down(catalog: &dyn Catalog) {
    assert_eq!(claim(catalog, "w", 5).await, None, "nothing to do");
    let mut dice = Dice(30);
    let waiting = dice.lone_task();
    let waiting = Task {
        revision: 3,
        ..waiting
    };
    insert(catalog, [Row::Task(waiting.clone())]).await;
    let want = Task {
        state: lease("a%_'w", 50 + LEASE),
        generation: 1,
        revision: 4,
        started_at: Some(Timestamp(50)),
        updated_at: Timestamp(50),
        ..waiting.clone()
    };
    assert_eq!(claim(catalog, "a%_'w", 50).await.as_ref(), Some(&want));
    assert_eq!(
        task(catalog, waiting.id).await,
        want,
        "what is returned is what is stored"
    );
    assert_eq!(claim(catalog, "other", 51).await, None, "it is taken");
    let stale = catalog.apply(vec![Change::Save(Row::Task(waiting))]).await;
    assert_stale("saving over a claim", stale);
}

async fn claims_wait_for_their_time(catalog: &dyn Catalog) {
    let mut dice = Dice(31);
    let later = Task {
        not_before: Timestamp(100),
        ..dice.lone_task()
    };
    insert(catalog, [Row::Task(later.clone())]).await;
    assert_eq!(claim_id(catalog, 99).await, None, "too early");
    assert_eq!(claim_id(catalog, 100).await, Some(later.id), "from then on");
}

async fn ended_tasks_are_left_alone(catalog: &dyn Catalog) {
    let mut dice = Dice(32);
    let project = dice.id();
    let ended = dice.task_states().into_iter().filter(TaskState::has_ended);
    let rows: Vec<_> = ended
        .map(|state| {
            Row::Task(Task {
                state,
                ..dice.waiting(&project, 1)
            })
        })
        .collect();
    assert_eq!(rows.len(), 5);
    insert(catalog, rows).await;
    assert_eq!(claim_id(catalog, 50).await, None);
}

async fn leases_run_out(catalog: &dyn Catalog) {
    let mut dice = Dice(33);
    let waiting = dice.lone_task();
    insert(catalog, [Row::Task(waiting.clone())]).await;
    let first = claim(catalog, "one", 0).await.expect("a task");
    assert_eq!(claim(catalog, "two", LEASE - 1).await, None, "still held");
    let second = claim(catalog, "two", LEASE).await.expect("run out");
    assert_eq!((second.generation, second.revision), (2, 2));
    assert_eq!(
        second.started_at,
        Some(Timestamp(0)),
        "when it was first claimed"
    );
    let late = catalog
        .renew_task(
            first.id,
            first.generation,
            Timestamp(LEASE),
            Timestamp(9 * LEASE),
            first.progress,
        )
        .await;
    assert_eq!(late.expect("renew"), Renewal::Lost, "somebody else has it");
    assert_stale(
        "a late save",
        catalog.apply(vec![Change::Save(Row::Task(first))]).await,
    );
    assert_eq!(
        task(catalog, waiting.id).await,
        second,
        "nothing has changed"
    );
}

async fn leases_are_renewed(catalog: &dyn Catalog) {
    let mut dice = Dice(34);
    insert(catalog, [Row::Task(dice.lone_task())]).await;
    let mine = claim(catalog, "w", 0).await.expect("a task");
    let progress = Progress {
        bytes_done: 1 << 40,
        bytes_total: 1 << 41,
        bytes_per_sec: 7,
    };
    let renew = async |generation, now: i64| {
        let until = Timestamp(now + LEASE);
        catalog
            .renew_task(mine.id, generation, Timestamp(now), until, progress)
            .await
            .expect("renew")
    };
    assert_eq!(
        renew(1, 900).await,
        Renewal::Held {
            cancel_asked: false
        }
    );
    let want = Task {
        state: lease("w", 900 + LEASE),
        updated_at: Timestamp(900),
        progress,
        ..mine.clone()
    };
    assert_eq!(task(catalog, mine.id).await, want, "the revision stays");
    assert_eq!(
        claim_id(catalog, LEASE).await,
        None,
        "the old end is past, the new is not"
    );
    // Late, but nobody was faster.
    assert_eq!(
        renew(1, 5000).await,
        Renewal::Held {
            cancel_asked: false
        }
    );
    for (what, generation) in [("an older generation", 0), ("a newer one", 2)] {
        assert_eq!(renew(generation, 5001).await, Renewal::Lost, "{what}");
    }
    let huge = Progress {
        bytes_done: u64::MAX,
        bytes_total: u64::MAX,
        bytes_per_sec: u64::MAX,
    };
    let held = catalog
        .renew_task(mine.id, 1, Timestamp(5001), Timestamp(7000), huge)
        .await;
    assert_eq!(
        held.expect("even then"),
        Renewal::Held {
            cancel_asked: false
        }
    );
    assert_eq!(task(catalog, mine.id).await.progress.percent(), 100);
    let asked = catalog
        .ask_cancel(mine.id, Timestamp(5002))
        .await
        .expect("ask");
    assert!(asked);
    assert_eq!(renew(1, 5003).await, Renewal::Held { cancel_asked: true });
    end(catalog, mine.id).await;
    assert_eq!(renew(1, 5004).await, Renewal::Lost, "it has ended");
    let nobody = catalog
        .renew_task(
            dice.id(),
            1,
            Timestamp(0),
            Timestamp(1),
            Progress::default(),
        )
        .await;
    assert_eq!(nobody.expect("renew"), Renewal::Lost, "no such task");
}

async fn leases_are_released(catalog: &dyn Catalog) {
    let mut dice = Dice(35);
    let project: ProjectId = dice.id();
    insert(
        catalog,
        (0..5).map(|i| Row::Task(dice.waiting(&project, i))),
    )
    .await;
    let mut held = Vec::new();
    for worker in ["node-1/a", "node-1/b", "Node-1/a", "node_1/a", "node-11"] {
        held.push(claim(catalog, worker, 0).await.expect("a task"));
    }
    for (what, prefix, count) in [
        ("a wildcard is a letter", "node_1/", 1),
        ("another", "%", 0),
        ("one node", "node-1/", 2),
        ("again", "node-1/", 0),
    ] {
        assert_eq!(
            catalog
                .release_leases(prefix, Timestamp(10))
                .await
                .expect("release"),
            count,
            "{what}"
        );
    }
    let free = task(catalog, held[0].id).await;
    assert_eq!(free.revision, held[0].revision + 1);
    let stale = catalog
        .apply(vec![Change::Save(Row::Task(held[0].clone()))])
        .await;
    assert_stale("a save that would take the lease back", stale);
    let mut again = BTreeSet::new();
    while let Some(id) = claim_id(catalog, 10).await {
        again.insert(id);
    }
    assert_eq!(
        again,
        [held[0].id, held[1].id, held[3].id].into(),
        "free at once"
    );
    let rest = catalog
        .release_leases("", Timestamp(10))
        .await
        .expect("release");
    assert_eq!(rest, 5, "all");
}

async fn cancels_are_kept(catalog: &dyn Catalog) {
    let mut dice = Dice(36);
    let project = dice.id();
    let waiting = dice.waiting(&project, 1);
    insert(catalog, [Row::Task(waiting.clone())]).await;
    let ask = async |id| catalog.ask_cancel(id, Timestamp(77)).await.expect("ask");
    assert!(!ask(dice.id()).await, "no such task");
    assert!(ask(waiting.id).await, "one that waits");
    let want = Task {
        cancel_asked: true,
        revision: 1,
        updated_at: Timestamp(77),
        ..waiting.clone()
    };
    assert_eq!(task(catalog, waiting.id).await, want);
    let stale = catalog
        .apply(vec![Change::Save(Row::Task(waiting.clone()))])
        .await;
    assert_stale("a save that would lose the mark", stale);
    let claimed = claim(catalog, "w", 80)
        .await
        .expect("still claimable, to be ended properly");
    assert!(claimed.cancel_asked);
    assert!(ask(waiting.id).await, "one that runs");
    end(catalog, waiting.id).await;
    assert!(!ask(waiting.id).await, "one that has ended");
}

async fn projects_take_turns(catalog: &dyn Catalog) {
    let mut dice = Dice(37);
    let (greedy, modest, late): (ProjectId, ProjectId, ProjectId) =
        (dice.id(), dice.id(), dice.id());
    let table = [
        (&greedy, 1),
        (&greedy, 2),
        (&greedy, 3),
        (&greedy, 3),
        (&modest, 4),
        (&modest, 5),
        (&late, 6),
    ];
    let mut tasks: Vec<_> = table
        .map(|(project, at)| dice.waiting(project, at))
        .to_vec();
    insert(catalog, tasks.iter().rev().cloned().map(Row::Task)).await;
    // Of two made at one instant, the smaller id comes first.
    tasks.sort_by_key(|t| (t.created_at, t.id));
    for (what, want) in [
        ("the oldest of all", 0),
        ("the oldest of those with none running", 4),
        ("and again", 6),
        ("now the oldest of all again", 1),
        ("modest has fewer running than greedy", 5),
        ("greedy has all the rest", 2),
        ("to the last", 3),
    ] {
        assert_eq!(claim_id(catalog, 50).await, Some(tasks[want].id), "{what}");
    }
    assert_eq!(claim_id(catalog, 50).await, None);
    // Leases that have run out do not count as running.
    let more = [dice.waiting(&greedy, 2000), dice.waiting(&late, 2001)];
    insert(catalog, more.iter().cloned().map(Row::Task)).await;
    assert_eq!(
        claim_id(catalog, 50 + LEASE).await,
        Some(tasks[0].id),
        "nobody runs, so the oldest"
    );
}

async fn tasks_about_the_same_thing_wait(catalog: &dyn Catalog) {
    let mut dice = Dice(38);
    let (volume, backup) = (Some(dice.id()), Some(dice.id()));
    let (here, there): (ProjectId, ProjectId) = (dice.id(), dice.id());
    // What runs, what must wait for it, and what need not.
    let about = |dice: &mut Dice, volume_id, backup_id| Task {
        volume_id,
        backup_id,
        ..dice.waiting(&here, 2)
    };
    let sweep = |dice: &mut Dice, project| Task {
        work: Work::Sweep,
        ..dice.waiting(project, 2)
    };
    let (other_volume, other_backup) = (Some(dice.id()), Some(dice.id()));
    let table = [
        (
            "same volume",
            about(&mut dice, volume, backup),
            about(&mut dice, volume, None),
            true,
        ),
        (
            "same backup",
            about(&mut dice, volume, backup),
            about(&mut dice, other_volume, backup),
            true,
        ),
        (
            "different ones",
            about(&mut dice, volume, backup),
            about(&mut dice, other_volume, other_backup),
            false,
        ),
        (
            "about nothing",
            about(&mut dice, None, None),
            about(&mut dice, None, None),
            false,
        ),
        (
            "one sweep of a project",
            sweep(&mut dice, &here),
            sweep(&mut dice, &here),
            true,
        ),
        (
            "sweeps of two projects",
            sweep(&mut dice, &here),
            sweep(&mut dice, &there),
            false,
        ),
        (
            "a sweep and a backup",
            sweep(&mut dice, &here),
            about(&mut dice, volume, backup),
            false,
        ),
    ];
    for (i, (what, first, second, waits)) in table.into_iter().enumerate() {
        let start = 100 * LEASE * i64::try_from(i).expect("small");
        insert(catalog, [Row::Task(first.clone())]).await;
        assert_eq!(claim_id(catalog, start).await, Some(first.id), "{what}");
        insert(catalog, [Row::Task(second.clone())]).await;
        let got = claim_id(catalog, start + 1).await;
        assert_eq!(got, (!waits).then_some(second.id), "{what}");
        if waits {
            end(catalog, first.id).await;
            assert_eq!(
                claim_id(catalog, start + 2).await,
                Some(second.id),
                "{what}: when the first is done"
            );
        } else {
            end(catalog, first.id).await;
        }
        end(catalog, second.id).await;
    }
    // A lease that has run out holds nobody up, and its task can itself be taken up again.
    let (lost, next) = (
        about(&mut dice, volume, None),
        about(&mut dice, volume, None),
    );
    let next = Task {
        created_at: Timestamp(1),
        ..next
    };
    insert(catalog, [Row::Task(lost.clone())]).await;
    assert_eq!(claim_id(catalog, 0).await, Some(lost.id));
    insert(catalog, [Row::Task(next.clone())]).await;
    assert_eq!(
        claim_id(catalog, LEASE).await,
        Some(next.id),
        "the older one, now that neither is held"
    );
    assert_eq!(
        claim_id(catalog, LEASE + 1).await,
        None,
        "the other waits in its turn"
    );
}

async fn each_task_is_claimed_once(catalog: Arc<dyn Catalog>) {
    const TASKS: usize = 40;
    let mut dice = Dice(39);
    let projects: [ProjectId; 3] = [dice.id(), dice.id(), dice.id()];
    let rows: Vec<_> = (0..TASKS).map(|_| dice.pick(&projects)).collect();
    insert(
        &*catalog,
        rows.iter().map(|p| Row::Task(dice.waiting(p, 1))),
    )
    .await;
    let claims = race(8, |me| {
        let catalog = Arc::clone(&catalog);
        async move {
            let mut mine = Vec::new();
            while let Some(task) = claim(&*catalog, &format!("worker {me}"), 10).await {
                mine.push(task);
            }
            mine
        }
    })
    .await;
    let all: Vec<_> = claims.into_iter().flatten().collect();
    assert_eq!(all.len(), TASKS, "all are claimed, none twice");
    assert_eq!(
        all.iter().map(|t| t.id).collect::<BTreeSet<_>>().len(),
        TASKS
    );
    for claimed in all {
        assert_eq!(claimed.generation, 1);
        assert_eq!(
            task(&*catalog, claimed.id).await,
            claimed,
            "held by whoever was told so"
        );
    }
}

/// Many tasks about one volume: whatever the number of workers, one runs at a time.
async fn rivals_never_run_together(catalog: Arc<dyn Catalog>) {
    let mut dice = Dice(40);
    let (project, volume_id) = (dice.id(), Some(dice.id()));
    insert(
        &*catalog,
        (0..12).map(|i| {
            Row::Task(Task {
                volume_id,
                ..dice.waiting(&project, i)
            })
        }),
    )
    .await;
    for round in 0..12 {
        let claims = race(6, |me| {
            let catalog = Arc::clone(&catalog);
            async move { claim(&*catalog, &format!("worker {me}"), 10).await }
        })
        .await;
        let mut got = claims.into_iter().flatten();
        let one = got.next().expect("somebody gets one");
        assert_eq!(one.created_at, Timestamp(round), "the oldest");
        assert_eq!(got.next(), None, "round {round}: nobody else gets one");
        end(&*catalog, one.id).await;
    }
}
