//! Lists of backups.

use emberkeep_model::{
    Backup, BackupId, BackupState, CinderFacts, ContentOf, Gib, ProjectId, Timestamp, VolumeId,
};

use super::{Rank, check_pages, name, number, sorted, sorts, text, time};
use crate::conformance::insert;
use crate::conformance::sample::Dice;
use crate::{BackupField, BackupQuery, Catalog, Row, TextFilter};

fn rank_backup(backup: &Backup, field: BackupField) -> Rank {
    match field {
        BackupField::CreatedAt => number(Some(backup.created_at)),
        BackupField::UpdatedAt => number(backup.updated_at),
        BackupField::DataTimestamp => number(Some(backup.data_timestamp)),
        BackupField::SealedAt => number(backup.state.sealed().map(|s| s.at)),
        BackupField::Id => Rank::Text(backup.id.to_string()),
        BackupField::Name => text(backup.name.as_ref()),
        BackupField::Size => Rank::Number(backup.size.0.into()),
        BackupField::State => Rank::Text(backup.state.word().to_owned()),
        BackupField::VolumeId => Rank::Text(backup.volume_id.to_string()),
        BackupField::ProjectId => Rank::Text(backup.project_id.to_string()),
        BackupField::UserId => Rank::Text(backup.user_id.to_string()),
        BackupField::Description => text(backup.description.as_ref()),
        BackupField::SnapshotId => id(backup.snapshot_id),
        BackupField::ParentId => id(backup.parent_id),
        BackupField::RestoreVolumeId => id(backup.restore_volume_id),
        BackupField::Container => text(backup.container.as_ref()),
        BackupField::AvailabilityZone => text(backup.availability_zone.as_ref()),
        BackupField::FailReason => text(backup.fail_reason.as_ref()),
        BackupField::Host => text(backup.cinder.host.as_ref()),
        BackupField::Service => text(backup.cinder.service.as_ref()),
        BackupField::ServiceMetadata => text(backup.cinder.service_metadata.as_ref()),
        BackupField::ObjectCount => Rank::Number(backup.cinder.object_count),
        BackupField::TempVolumeId => text(backup.cinder.temp_volume_id.as_ref()),
        BackupField::TempSnapshotId => text(backup.cinder.temp_snapshot_id.as_ref()),
        BackupField::NumDependentBackups => Rank::Number(backup.cinder.num_dependent_backups),
        BackupField::EncryptionKeyId => text(backup.cinder.encryption_key_id.as_ref()),
    }
}

/// What a row is sorted by that names another one.
fn id(id: Option<impl ToString>) -> Rank {
    text(id.map(|id| id.to_string()).as_ref())
}

const BACKUP_FIELDS: [BackupField; 26] = [
    BackupField::ProjectId,
    BackupField::UserId,
    BackupField::Description,
    BackupField::SnapshotId,
    BackupField::ParentId,
    BackupField::RestoreVolumeId,
    BackupField::Container,
    BackupField::AvailabilityZone,
    BackupField::FailReason,
    BackupField::Host,
    BackupField::Service,
    BackupField::ServiceMetadata,
    BackupField::ObjectCount,
    BackupField::TempVolumeId,
    BackupField::TempSnapshotId,
    BackupField::NumDependentBackups,
    BackupField::EncryptionKeyId,
    BackupField::CreatedAt,
    BackupField::UpdatedAt,
    BackupField::DataTimestamp,
    BackupField::SealedAt,
    BackupField::Id,
    BackupField::Name,
    BackupField::Size,
    BackupField::State,
    BackupField::VolumeId,
];

/// Backups that differ in every way that can be asked for.
fn sample_backups(dice: &mut Dice, projects: &[ProjectId; 2]) -> Vec<Backup> {
    let volumes: [VolumeId; 3] = [dice.id(), dice.id(), dice.id()];
    let (vaults, checkpoints) = ([dice.id(), dice.id()], [dice.id(), dice.id()]);
    let parents = [dice.id(), dice.id()];
    let zones = ["nova", "az1"].map(str::to_owned);
    let mut rows = Vec::new();
    for _ in 0..50 {
        let mut states = dice.backup_states();
        if let BackupState::Available(sealed) = &mut states[2] {
            sealed.at = time(dice);
        }
        let hosts = ["h1", "h2@b"].map(str::to_owned);
        let cinder = CinderFacts {
            host: dice.maybe(|d| d.pick(&hosts)),
            object_count: dice.pick(&[0, 0, 3, 12, -1]),
            num_dependent_backups: dice.pick(&[0, 1, -1]),
            ..CinderFacts::default()
        };
        rows.push(Backup {
            cinder,
            content: dice.maybe(|d| ContentOf {
                project_id: d.pick(projects),
                backup_id: d.id(),
            }),
            project_id: dice.pick(projects),
            volume_id: dice.pick(&volumes),
            volume_name: name(dice),
            vault_id: dice.maybe(|d| d.pick(&vaults)),
            checkpoint_id: dice.maybe(|d| d.pick(&checkpoints)),
            parent_id: dice.maybe(|d| d.pick(&parents)),
            name: name(dice),
            availability_zone: dice.maybe(|d| d.pick(&zones)),
            size: Gib(dice.pick(&[1, 2])),
            // The last, a damaged one, has a test of its own: one more would change every roll.
            state: dice.pick(&states[..9]),
            data_timestamp: time(dice),
            created_at: time(dice),
            updated_at: dice.maybe(time),
            ..dice.backup()
        });
    }
    rows
}

pub(super) async fn backups(catalog: &dyn Catalog) {
    let mut dice = Dice(12);
    let projects = [dice.id(), dice.id()];
    let rows = sample_backups(&mut dice, &projects);
    insert(catalog, rows.iter().cloned().map(Row::Backup)).await;
    type Keep = Box<dyn Fn(&Backup) -> bool>;
    let all = BackupQuery::default;
    let (first, second) = (projects[0].clone(), projects[1].clone());
    let some = vec![
        rows[0].volume_id,
        rows.iter()
            .find(|r| r.volume_id != rows[0].volume_id)
            .expect("another")
            .volume_id,
    ];
    let vault = rows.iter().find_map(|r| r.vault_id);
    let checkpoint = rows.iter().find_map(|r| r.checkpoint_id);
    let parent = rows.iter().find_map(|r| r.parent_id);
    let three = Some(Timestamp(3));
    let holds = |field, value: &str, like| TextFilter {
        field,
        value: value.to_owned(),
        like,
    };
    let source = rows.iter().find_map(|row| {
        let stands = row.state != BackupState::Deleted;
        let replica = row.cbr.replica.as_ref().filter(|_| stands);
        replica.map(|replica| replica.source_backup_id)
    });
    let filters: Vec<(&str, BackupQuery, Keep)> = vec![
        ("all", all(), Box::new(|_| true)),
        (
            "copies",
            BackupQuery {
                replicas: Some(true),
                ..all()
            },
            Box::new(|r| r.cbr.replica.is_some()),
        ),
        (
            "no copies",
            BackupQuery {
                replicas: Some(false),
                ..all()
            },
            Box::new(|r| r.cbr.replica.is_none()),
        ),
        (
            "copies of one",
            BackupQuery {
                replica_of: source,
                ..all()
            },
            Box::new(move |r| {
                let of = r.cbr.replica.as_ref();
                of.is_some_and(|replica| Some(replica.source_backup_id) == source)
            }),
        ),
        (
            "project",
            BackupQuery {
                project: Some(first.clone()),
                ..all()
            },
            Box::new(move |r| r.project_id == first),
        ),
        (
            "name",
            BackupQuery {
                name: Some("b".to_owned()),
                ..all()
            },
            Box::new(|r| r.name.as_deref() == Some("b")),
        ),
        (
            "states",
            BackupQuery {
                states: vec!["available", "failed", "deleted", "none"],
                ..all()
            },
            Box::new(|r| {
                matches!(
                    r.state,
                    BackupState::Available(_) | BackupState::Failed { .. } | BackupState::Deleted
                )
            }),
        ),
        (
            "volumes",
            BackupQuery {
                volumes: some.clone(),
                ..all()
            },
            Box::new(move |r| some.contains(&r.volume_id)),
        ),
        (
            "volume name",
            BackupQuery {
                volume_name: Some("ä".to_owned()),
                ..all()
            },
            Box::new(|r| r.volume_name.as_deref() == Some("ä")),
        ),
        (
            "vault",
            BackupQuery { vault, ..all() },
            Box::new(move |r| r.vault_id == vault),
        ),
        (
            "in vaults",
            BackupQuery {
                in_vaults_only: true,
                ..all()
            },
            Box::new(|r| r.vault_id.is_some()),
        ),
        (
            "checkpoint",
            BackupQuery {
                checkpoint,
                ..all()
            },
            Box::new(move |r| r.checkpoint_id == checkpoint),
        ),
        (
            "parent",
            BackupQuery { parent, ..all() },
            Box::new(move |r| r.parent_id == parent),
        ),
        (
            "zone",
            BackupQuery {
                availability_zone: Some("az1".to_owned()),
                ..all()
            },
            Box::new(|r| r.availability_zone.as_deref() == Some("az1")),
        ),
        (
            "incremental",
            BackupQuery {
                incremental: Some(true),
                ..all()
            },
            Box::new(Backup::is_incremental),
        ),
        (
            "full",
            BackupQuery {
                incremental: Some(false),
                ..all()
            },
            Box::new(|r| !r.is_incremental()),
        ),
        (
            "from",
            BackupQuery {
                created_from: three,
                ..all()
            },
            Box::new(|r| r.created_at.0 >= 3),
        ),
        (
            "to",
            BackupQuery {
                created_to: three,
                ..all()
            },
            Box::new(|r| r.created_at.0 <= 3),
        ),
        (
            "with content of a project",
            BackupQuery {
                content_of: Some(second.clone()),
                ..all()
            },
            Box::new(move |r| *r.content().0 == second),
        ),
        (
            "of an instant",
            BackupQuery {
                taken_at: three,
                ..all()
            },
            Box::new(|r| r.data_timestamp.0 == 3),
        ),
        (
            "of before an instant",
            BackupQuery {
                taken_before: three,
                ..all()
            },
            Box::new(|r| r.data_timestamp.0 < 3),
        ),
        (
            "changed at an instant",
            BackupQuery {
                updated_at: three,
                ..all()
            },
            Box::new(|r| r.updated_at.is_some_and(|at| at.0 == 3)),
        ),
        (
            "with a host of Cinder's",
            BackupQuery {
                text: vec![holds(BackupField::Host, "h1", false)],
                ..all()
            },
            Box::new(|r| r.cinder.host.as_deref() == Some("h1")),
        ),
        (
            "in so many objects",
            BackupQuery {
                text: vec![holds(BackupField::ObjectCount, "0", false)],
                ..all()
            },
            Box::new(|r| r.cinder.object_count == 0),
        ),
        (
            "a name that holds a text, in a zone",
            BackupQuery {
                text: vec![
                    holds(BackupField::Name, "b", true),
                    holds(BackupField::AvailabilityZone, "nova", false),
                ],
                ..all()
            },
            Box::new(|r| {
                let name = r.name.as_deref().unwrap_or_default().to_lowercase();
                name.contains('b') && r.availability_zone.as_deref() == Some("nova")
            }),
        ),
        (
            "from and to, full, in vaults",
            BackupQuery {
                created_from: three,
                created_to: three,
                incremental: Some(false),
                in_vaults_only: true,
                ..all()
            },
            Box::new(|r| r.created_at.0 == 3 && r.parent_id.is_none() && r.vault_id.is_some()),
        ),
    ];
    for (what, query, keep) in &filters {
        for with_deleted in [false, true] {
            let query = BackupQuery {
                with_deleted,
                ..query.clone()
            };
            let kept: Vec<_> = rows
                .iter()
                .filter(|r| keep(r) && (with_deleted || r.state != BackupState::Deleted))
                .cloned()
                .collect();
            assert!(!kept.is_empty(), "{what} is a fair sample");
            let orders = match *what {
                "all" if !with_deleted => sorts(&BACKUP_FIELDS),
                _ => vec![Vec::new()],
            };
            for sort in orders {
                let want = sorted(&kept, &sort, rank_backup, |r| {
                    (r.created_at, r.id.to_string())
                });
                let what = format!("backups, {what}, deleted too {with_deleted}, by {sort:?}");
                let absent: BackupId = dice.id();
                check_pages(
                    &what,
                    &want,
                    |r| r.id,
                    absent,
                    async |paging| {
                        let query = BackupQuery {
                            paging,
                            sort: sort.clone(),
                            ..query.clone()
                        };
                        let page = catalog.backups(&query).await.expect("list");
                        let seen = catalog.backups_seen(&query).await.expect("list");
                        assert_eq!(seen.total, page.total);
                        assert!(seen.items.iter().map(AsRef::as_ref).eq(&page.items));
                        page
                    },
                )
                .await;
            }
        }
    }
}
