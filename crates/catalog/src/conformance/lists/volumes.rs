//! Lists of volumes and of snapshots.

use emberkeep_model::{
    Gib, Snapshot, SnapshotId, SnapshotStatus, Timestamp, Volume, VolumeId, VolumeStatus,
};

use super::{Rank, check_pages, name, number, sorted, sorts, text, time};
use crate::conformance::insert;
use crate::conformance::sample::Dice;
use crate::{
    Catalog, Comparison, Row, SnapshotField, SnapshotQuery, TextFilter, TimeFilter, VolumeField,
    VolumeQuery,
};

fn rank_volume(volume: &Volume, field: VolumeField) -> Rank {
    match field {
        VolumeField::CreatedAt => number(Some(volume.created_at)),
        VolumeField::UpdatedAt => number(volume.updated_at),
        VolumeField::Id => Rank::Text(volume.id.to_string()),
        VolumeField::Name => text(volume.name.as_ref()),
        VolumeField::Size => Rank::Number(volume.size.0.into()),
        VolumeField::Status => Rank::Text(volume.status.to_string()),
        VolumeField::ProjectId => Rank::Text(volume.project_id.to_string()),
        VolumeField::UserId => Rank::Text(volume.user_id.to_string()),
        VolumeField::Description => text(volume.description.as_ref()),
        VolumeField::AvailabilityZone => Rank::Text(volume.availability_zone.clone()),
        VolumeField::Bootable => Rank::Number(volume.bootable.into()),
        VolumeField::VolumeTypeId => id(volume.volume_type_id),
        VolumeField::SnapshotId => id(volume.snapshot_id),
        VolumeField::SourceVolumeId => id(volume.source_volume_id),
    }
}

/// What a row is sorted by that names another one.
fn id(id: Option<impl ToString>) -> Rank {
    text(id.map(|id| id.to_string()).as_ref())
}

const VOLUME_FIELDS: [VolumeField; 14] = [
    VolumeField::ProjectId,
    VolumeField::UserId,
    VolumeField::Description,
    VolumeField::AvailabilityZone,
    VolumeField::Bootable,
    VolumeField::VolumeTypeId,
    VolumeField::SnapshotId,
    VolumeField::SourceVolumeId,
    VolumeField::CreatedAt,
    VolumeField::UpdatedAt,
    VolumeField::Id,
    VolumeField::Name,
    VolumeField::Size,
    VolumeField::Status,
];

pub(super) async fn volumes(catalog: &dyn Catalog) {
    use VolumeStatus as S;
    let mut dice = Dice(10);
    let projects = [dice.id(), dice.id()];
    let mut rows = Vec::new();
    for _ in 0..30 {
        rows.push(Volume {
            project_id: dice.pick(&projects),
            name: name(&mut dice),
            size: Gib(dice.pick(&[1, 2, 10])),
            status: dice.pick(&[S::Available, S::InUse, S::Error]),
            created_at: time(&mut dice),
            updated_at: dice.maybe(time),
            ..dice.volume()
        });
    }
    insert(catalog, rows.iter().cloned().map(Row::Volume)).await;
    let some: Vec<VolumeId> = rows
        .iter()
        .step_by(3)
        .map(|r| r.id)
        .chain([dice.id()])
        .collect();
    type Keep = Box<dyn Fn(&Volume) -> bool>;
    let whose = rows[3].user_id.clone();
    let holds = |field, value: &str, like| TextFilter {
        field,
        value: value.to_owned(),
        like,
    };
    let since = |field, is, at| TimeFilter {
        field,
        is,
        at: Timestamp(at),
    };
    let (first, all) = (projects[0].clone(), VolumeQuery::default);
    let filters: Vec<(&str, VolumeQuery, Keep)> = vec![
        ("all", all(), Box::new(|_| true)),
        (
            "project",
            VolumeQuery {
                project: Some(first.clone()),
                ..all()
            },
            Box::new(move |r| r.project_id == first),
        ),
        (
            "name",
            VolumeQuery {
                name: Some("b".to_owned()),
                ..all()
            },
            Box::new(|r| r.name.as_deref() == Some("b")),
        ),
        (
            "empty name",
            VolumeQuery {
                name: Some(String::new()),
                ..all()
            },
            Box::new(|r| r.name.as_deref() == Some("")),
        ),
        (
            "status",
            VolumeQuery {
                status: Some("in-use".to_owned()),
                ..all()
            },
            Box::new(|r| r.status == S::InUse),
        ),
        (
            "no status",
            VolumeQuery {
                status: Some("IN-USE".to_owned()),
                ..all()
            },
            Box::new(|_| false),
        ),
        (
            "ids",
            VolumeQuery {
                ids: Some(some.clone()),
                ..all()
            },
            Box::new(move |r| some.contains(&r.id)),
        ),
        (
            "a user's",
            VolumeQuery {
                text: vec![holds(VolumeField::UserId, whose.as_str(), false)],
                ..all()
            },
            Box::new(move |r| r.user_id == whose),
        ),
        (
            "of a size as text, with a status that holds a text",
            VolumeQuery {
                text: vec![
                    holds(VolumeField::Size, "1", true),
                    holds(VolumeField::Status, "avail", true),
                ],
                ..all()
            },
            Box::new(|r| r.size != Gib(2) && r.status == S::Available),
        ),
        (
            "made between two instants",
            VolumeQuery {
                times: vec![
                    since(VolumeField::CreatedAt, Comparison::Above, -5),
                    since(VolumeField::CreatedAt, Comparison::UpTo, 3),
                ],
                ..all()
            },
            Box::new(|r| (0..=3).contains(&r.created_at.0)),
        ),
        (
            "changed, but not at an instant",
            VolumeQuery {
                times: vec![since(VolumeField::UpdatedAt, Comparison::Unequal, 3)],
                ..all()
            },
            Box::new(|r| r.updated_at.is_some_and(|at| at.0 != 3)),
        ),
        (
            "no ids",
            VolumeQuery {
                ids: Some(Vec::new()),
                ..all()
            },
            Box::new(|_| false),
        ),
    ];
    for (what, query, keep) in &filters {
        let kept: Vec<_> = rows.iter().filter(|r| keep(r)).cloned().collect();
        let orders = if *what == "all" {
            sorts(&VOLUME_FIELDS)
        } else {
            vec![query.sort.clone()]
        };
        for sort in orders {
            let want = sorted(&kept, &sort, rank_volume, |r| {
                (r.created_at, r.id.to_string())
            });
            let what = format!("volumes, {what} by {sort:?}");
            check_pages(
                &what,
                &want,
                |r| r.id,
                dice.id(),
                async |paging| {
                    let query = VolumeQuery {
                        paging,
                        sort: sort.clone(),
                        ..query.clone()
                    };
                    catalog.volumes(&query).await.expect("list")
                },
            )
            .await;
        }
    }
}

fn rank_snapshot(snapshot: &Snapshot, field: SnapshotField) -> Rank {
    match field {
        SnapshotField::CreatedAt => number(Some(snapshot.created_at)),
        SnapshotField::UpdatedAt => number(snapshot.updated_at),
        SnapshotField::Id => Rank::Text(snapshot.id.to_string()),
        SnapshotField::ProjectId => Rank::Text(snapshot.project_id.to_string()),
        SnapshotField::UserId => Rank::Text(snapshot.user_id.to_string()),
        SnapshotField::Name => text(snapshot.name.as_ref()),
        SnapshotField::Description => text(snapshot.description.as_ref()),
        SnapshotField::Size => Rank::Number(snapshot.size.0.into()),
        SnapshotField::Status => Rank::Text(snapshot.status.to_string()),
        SnapshotField::VolumeId => Rank::Text(snapshot.volume_id.to_string()),
    }
}

const SNAPSHOT_FIELDS: [SnapshotField; 10] = [
    SnapshotField::CreatedAt,
    SnapshotField::UpdatedAt,
    SnapshotField::Id,
    SnapshotField::ProjectId,
    SnapshotField::UserId,
    SnapshotField::Name,
    SnapshotField::Description,
    SnapshotField::Size,
    SnapshotField::Status,
    SnapshotField::VolumeId,
];

pub(super) async fn snapshots(catalog: &dyn Catalog) {
    use SnapshotStatus as S;
    let mut dice = Dice(11);
    let (projects, volumes) = ([dice.id(), dice.id()], [dice.id(), dice.id()]);
    let mut rows = Vec::new();
    for _ in 0..20 {
        rows.push(Snapshot {
            project_id: dice.pick(&projects),
            volume_id: dice.pick(&volumes),
            name: name(&mut dice),
            size: Gib(dice.pick(&[1, 2, 10])),
            status: dice.pick(&[S::Available, S::Error]),
            created_at: time(&mut dice),
            updated_at: dice.maybe(time),
            ..dice.snapshot()
        });
    }
    insert(catalog, rows.iter().cloned().map(Row::Snapshot)).await;
    type Keep = Box<dyn Fn(&Snapshot) -> bool>;
    let (first, volume, all) = (projects[0].clone(), volumes[1], SnapshotQuery::default);
    let filters: Vec<(&str, SnapshotQuery, Keep)> = vec![
        ("all", all(), Box::new(|_| true)),
        (
            "project",
            SnapshotQuery {
                project: Some(first.clone()),
                ..all()
            },
            Box::new(move |r| r.project_id == first),
        ),
        (
            "name",
            SnapshotQuery {
                name: Some("a".to_owned()),
                ..all()
            },
            Box::new(|r| r.name.as_deref() == Some("a")),
        ),
        (
            "status",
            SnapshotQuery {
                status: Some("error".to_owned()),
                ..all()
            },
            Box::new(|r| r.status == S::Error),
        ),
        (
            "a name that holds a text",
            SnapshotQuery {
                text: vec![TextFilter {
                    field: SnapshotField::Name,
                    value: "ä".to_owned(),
                    like: true,
                }],
                ..all()
            },
            Box::new(|r| r.name.as_deref().is_some_and(|name| name.contains('ä'))),
        ),
        (
            "volume",
            SnapshotQuery {
                volume: Some(volume),
                ..all()
            },
            Box::new(move |r| r.volume_id == volume),
        ),
    ];
    for (what, query, keep) in &filters {
        let kept: Vec<_> = rows.iter().filter(|r| keep(r)).cloned().collect();
        let orders = if *what == "all" {
            sorts(&SNAPSHOT_FIELDS)
        } else {
            vec![query.sort.clone()]
        };
        for sort in orders {
            let want = sorted(&kept, &sort, rank_snapshot, |r| {
                (r.created_at, r.id.to_string())
            });
            let what = format!("snapshots, {what} by {sort:?}");
            let absent: SnapshotId = dice.id();
            check_pages(
                &what,
                &want,
                |r| r.id,
                absent,
                async |paging| {
                    let query = SnapshotQuery {
                        paging,
                        sort: sort.clone(),
                        ..query.clone()
                    };
                    catalog.snapshots(&query).await.expect("list")
                },
            )
            .await;
        }
    }
}
