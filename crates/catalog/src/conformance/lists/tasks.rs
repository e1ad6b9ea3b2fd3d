//! Lists of tasks.

use emberkeep_model::{Task, TaskId, Timestamp};

use super::{check_pages, name, rank_none, sorted, time};
use crate::conformance::insert;
use crate::conformance::sample::Dice;
use crate::{Catalog, Row, TaskQuery};

pub(super) async fn tasks(catalog: &dyn Catalog) {
    let mut dice = Dice(14);
    let projects = [dice.id(), dice.id()];
    let (volumes, backups) = ([dice.id(), dice.id()], [dice.id(), dice.id()]);
    let (vaults, checkpoints) = ([dice.id(), dice.id()], [dice.id(), dice.id()]);
    let mut rows = Vec::new();
    for _ in 0..60 {
        rows.push(Task {
            project_id: dice.pick(&projects),
            volume_id: dice.maybe(|d| d.pick(&volumes)),
            volume_name: name(&mut dice),
            backup_id: dice.maybe(|d| d.pick(&backups)),
            vault_id: dice.maybe(|d| d.pick(&vaults)),
            vault_name: name(&mut dice),
            checkpoint_id: dice.maybe(|d| d.pick(&checkpoints)),
            created_at: time(&mut dice),
            ..dice.task()
        });
    }
    insert(catalog, rows.iter().cloned().map(Row::Task)).await;
    type Keep = Box<dyn Fn(&Task) -> bool>;
    let (first, all) = (projects[0].clone(), TaskQuery::default);
    let (volume, backup) = (Some(volumes[0]), Some(backups[0]));
    let (vault, checkpoint) = (Some(vaults[0]), Some(checkpoints[0]));
    let b = Some("b".to_owned());
    let three = Some(Timestamp(3));
    let filters: Vec<(&str, TaskQuery, Keep)> = vec![
        ("all", all(), Box::new(|_| true)),
        (
            "project",
            TaskQuery {
                project: Some(first.clone()),
                ..all()
            },
            Box::new(move |r| r.project_id == first),
        ),
        (
            "work",
            TaskQuery {
                work: vec!["sweep", "restore", "none"],
                ..all()
            },
            Box::new(|r| ["sweep", "restore"].contains(&r.work.word())),
        ),
        (
            "states",
            TaskQuery {
                states: vec!["waiting", "running"],
                ..all()
            },
            Box::new(|r| !r.state.has_ended()),
        ),
        (
            "volume",
            TaskQuery { volume, ..all() },
            Box::new(move |r| r.volume_id == volume),
        ),
        (
            "volume name",
            TaskQuery {
                volume_name: b.clone(),
                ..all()
            },
            Box::new(|r| r.volume_name.as_deref() == Some("b")),
        ),
        (
            "backup",
            TaskQuery { backup, ..all() },
            Box::new(move |r| r.backup_id == backup),
        ),
        (
            "vault",
            TaskQuery { vault, ..all() },
            Box::new(move |r| r.vault_id == vault),
        ),
        (
            "vault name",
            TaskQuery {
                vault_name: b,
                ..all()
            },
            Box::new(|r| r.vault_name.as_deref() == Some("b")),
        ),
        (
            "checkpoint",
            TaskQuery {
                checkpoint,
                ..all()
            },
            Box::new(move |r| r.checkpoint_id == checkpoint),
        ),
        (
            "from",
            TaskQuery {
                created_from: three,
                ..all()
            },
            Box::new(|r| r.created_at.0 >= 3),
        ),
        (
            "to",
            TaskQuery {
                created_to: three,
                ..all()
            },
            Box::new(|r| r.created_at.0 <= 3),
        ),
    ];
    for (what, query, keep) in &filters {
        let kept: Vec<_> = rows.iter().filter(|r| keep(r)).cloned().collect();
        assert!(!kept.is_empty(), "{what} is a fair sample");
        let want = sorted(&kept, &[], rank_none, |r: &Task| {
            (r.created_at, r.id.to_string())
        });
        let absent: TaskId = dice.id();
        check_pages(
            &format!("tasks, {what}"),
            &want,
            |r| r.id,
            absent,
            async |paging| {
                catalog
                    .tasks(&TaskQuery {
                        paging,
                        ..query.clone()
                    })
                    .await
                    .expect("list")
            },
        )
        .await;
    }
}
