//! Policies at work under a clock that the tests move: runs, missed runs, retention, taking in.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

use crate::common;

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use common::{House, caller, until};
use emberkeep_model::{
    Backup, BackupState, Caller, Limit, ObjectType, OperationDefinition, OperationType, PolicyId,
    Project, ProtectType, Role, Tag, TaskState, Timestamp, VaultId, VolumeId,
};
use emberkeep_service::query::{BackupQuery, TaskQuery};
use emberkeep_service::{
    CbrError, Clock, Edit, Fate, NewCheckpoint, NewPolicy, NewResource, NewServer, NewVault,
    PolicyEdit, SERVER_RESOURCE, ServiceError, VOLUME_RESOURCE, VaultEdit,
};

/// Monday, 2 March 2026, midnight UTC.
const MONDAY: i64 = 1_772_409_600;
const HOUR: i64 = 3600;
const DAY: i64 = 24 * HOUR;

struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

impl Hand {
    fn at(secs: i64) -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(secs * 1_000_000)))
    }

    fn set(&self, secs: i64) {
        self.0.store(secs * 1_000_000, Ordering::SeqCst);
    }
}

fn nightly(definition: OperationDefinition) -> NewPolicy {
    NewPolicy {
        name: "nightly".into(),
        enabled: true,
        operation_type: OperationType::Backup,
        definition,
        patterns: vec!["FREQ=DAILY;INTERVAL=1;BYHOUR=1;BYMINUTE=00".into()],
        zone: None,
    }
}

fn vault(policy: Option<PolicyId>, resources: &[VolumeId]) -> NewVault {
    NewVault {
        name: "v".into(),
        description: None,
        object_type: ObjectType::Disk,
        protect_type: ProtectType::Backup,
        size: 100,
        auto_expand: false,
        auto_bind: false,
        bind_rules: vec![],
        tags: vec![],
        locked: false,
        smn_notify: true,
        threshold: 80,
        backup_name_prefix: None,
        backup_policy_id: policy,
        resources: resources
            .iter()
            .map(|id| NewResource {
                id: id.to_string(),
                kind: VOLUME_RESOURCE.into(),
                choice: Default::default(),
                name: None,
            })
            .collect(),
    }
}

struct Setting {
    house: House,
    hand: Arc<Hand>,
    alice: Caller,
    policy: PolicyId,
    vault: VaultId,
    volume: VolumeId,
}

impl Setting {
    /// A volume in a vault with a nightly policy, on the first day at noon less twelve hours.
    async fn new(definition: OperationDefinition) -> Self {
        let hand = Hand::at(MONDAY);
        let house = House::at(Arc::clone(&hand) as Arc<dyn Clock>).await.work();
        let alice = caller("alpha", Role::Member);
        let volume = house.volume(&alice, "a").await.id;
        let policy = house
            .service
            .create_policy(&alice, nightly(definition))
            .await
            .unwrap();
        let policy = policy.policy.id;
        let new = vault(Some(policy), &[volume]);
        let view = house.service.create_vault(&alice, new).await.unwrap();
        assert_eq!(view.backup_policy_id, Some(policy));
        Self {
            house,
            hand,
            alice,
            policy,
            vault: view.vault.id,
            volume,
        }
    }

    async fn backups(&self) -> Vec<Backup> {
        let query = BackupQuery {
            vault: Some(self.vault),
            ..BackupQuery::default()
        };
        self.house.catalog.backups(&query).await.unwrap().items
    }

    /// Waits until nothing is going on any more; returns the days of the backups that are left.
    async fn settled(&self) -> Vec<i64> {
        // Retention follows a backup a moment after its task has ended.
        let unsettled = || async {
            let query = TaskQuery {
                states: vec!["waiting", "running"],
                ..TaskQuery::default()
            };
            let tasks = self.house.catalog.tasks(&query).await.unwrap().items;
            let busy = |b: &Backup| !matches!(b.state, BackupState::Available(_));
            tasks.len() + self.backups().await.iter().filter(|b| busy(b)).count()
        };
        until("the tasks to end", unsettled, |left| *left == 0).await;
        let backups = self.backups().await;
        let mut days: Vec<_> = backups
            .iter()
            .map(|b| (b.created_at.0 / 1_000_000 - MONDAY) / DAY)
            .collect();
        days.sort_unstable();
        days
    }

    /// Moves the clock, lets what is due run, and what is over go.
    async fn pass_to(&self, secs: i64) -> Vec<i64> {
        self.hand.set(secs);
        self.house.service.run_due().await.unwrap();
        self.settled().await;
        self.house.service.retain_all().await.unwrap();
        self.settled().await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn three_weeks_of_nights_leave_what_the_rules_keep() {
    let set = Setting::new(OperationDefinition {
        max_backups: Some(Limit(3)),
        week_backups: Some(Limit(2)),
        timezone: Some("UTC+00:00".into()),
        ..OperationDefinition::default()
    })
    .await;
    for day in 0..21 {
        let left = set.pass_to(MONDAY + day * DAY + HOUR + 10).await;
        assert!(left.contains(&day), "day {day}: {left:?}");
    }
    // The newest three, and the last of this week and of the one before.
    assert_eq!(set.settled().await, [13, 18, 19, 20][..].to_vec());

    // Looking again makes and drops nothing.
    assert_eq!(
        set.pass_to(MONDAY + 20 * DAY + HOUR + 20).await,
        [13, 18, 19, 20]
    );
    let backups = set.backups().await;
    assert!(backups.iter().all(|b| b.automatic));
    assert!(backups.iter().all(|b| b.cbr.policy_id == Some(set.policy)));

    // What would become of them is told before.
    let edit = PolicyEdit {
        definition: Some(OperationDefinition {
            max_backups: Some(Limit(1)),
            ..OperationDefinition::default()
        }),
        ..PolicyEdit::default()
    };
    let service = &set.house.service;
    let preview = service.preview_policy(&set.alice, set.policy, edit, 10);
    let preview = preview.await.unwrap();
    let first = MONDAY + 21 * DAY + HOUR;
    let runs: Vec<_> = (0..10)
        .map(|n| Timestamp((first + n * DAY) * 1_000_000))
        .collect();
    assert_eq!(preview.next_runs, runs);
    let kept: Vec<_> = preview
        .fates
        .iter()
        .map(|(_, fate)| matches!(fate, Fate::Keep { .. }))
        .collect();
    assert_eq!(kept, [true, false, false, false], "newest first");
    assert_eq!(set.settled().await.len(), 4, "a preview deletes nothing");
}

#[tokio::test(flavor = "multi_thread")]
async fn time_kept_backups_expire_and_manual_ones_stay() {
    let set = Setting::new(OperationDefinition {
        retention_duration_days: Some(Limit(2)),
        ..OperationDefinition::default()
    })
    .await;
    let by_hand = |retention_days| NewCheckpoint {
        vault_id: set.vault,
        name: None,
        description: None,
        incremental: true,
        automatic: false,
        resources: vec![],
        policy_id: None,
        retention_days,
    };
    let service = &set.house.service;
    service
        .create_checkpoint(&set.alice, by_hand(None))
        .await
        .unwrap();
    set.settled().await;
    service
        .create_checkpoint(&set.alice, by_hand(Some(1)))
        .await
        .unwrap();
    set.settled().await;
    assert_eq!(set.pass_to(MONDAY + HOUR + 10).await, [0, 0, 0]);
    let expiry: Vec<_> = set
        .backups()
        .await
        .iter()
        .filter_map(|b| b.cbr.expires_at)
        .collect();
    assert_eq!(expiry.len(), 2, "one by policy, one by request");
    assert_eq!(set.pass_to(MONDAY + DAY + HOUR + 10).await, [0, 0, 1]);
    assert_eq!(set.pass_to(MONDAY + 2 * DAY + HOUR + 20).await, [0, 1, 2]);
    // A disabled policy neither runs nor deletes.
    let disable = |enabled| PolicyEdit {
        enabled: Some(enabled),
        ..PolicyEdit::default()
    };
    service
        .edit_policy(&set.alice, set.policy, disable(false))
        .await
        .unwrap();
    assert_eq!(set.pass_to(MONDAY + 9 * DAY + HOUR + 10).await, [0, 1, 2]);
    // Enabled again it catches nothing up, and deletes.
    service
        .edit_policy(&set.alice, set.policy, disable(true))
        .await
        .unwrap();
    assert_eq!(set.pass_to(MONDAY + 9 * DAY + HOUR + 20).await, [0]);
    // Without it the times that were promised still hold; the one by hand has none.
    set.pass_to(MONDAY + 10 * DAY + HOUR + 10).await;
    service
        .dissociate_policy(&set.alice, set.vault, set.policy)
        .await
        .unwrap();
    assert_eq!(set.pass_to(MONDAY + 11 * DAY + 2 * HOUR).await, [0, 10]);
    assert_eq!(set.pass_to(MONDAY + 13 * DAY).await, [0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_missed_runs_one_is_caught_up_if_it_is_recent() {
    let set = Setting::new(OperationDefinition::default()).await;
    // Three nights slept through; the last was half an hour ago.
    assert_eq!(set.pass_to(MONDAY + 3 * DAY + HOUR + 1800).await, [3]);
    // Two more; the last was three hours ago.
    assert_eq!(set.pass_to(MONDAY + 5 * DAY + 4 * HOUR).await, [3]);
    // The clock is set back: nothing runs twice.
    assert_eq!(set.pass_to(MONDAY + 3 * DAY + HOUR + 60).await, [3]);
    assert_eq!(set.pass_to(MONDAY + 6 * DAY + HOUR).await, [3, 6]);
}

#[tokio::test(flavor = "multi_thread")]
async fn many_nodes_begin_a_run_once_and_one_that_still_goes_on_is_skipped() {
    let mut set = Setting::new(OperationDefinition::default()).await;
    set.house = set.house.restarted().await;
    set.hand.set(MONDAY + HOUR);
    let nodes: Vec<_> = (0..8)
        .map(|_| {
            let service = set.house.service.clone();
            tokio::spawn(async move { service.run_due().await })
        })
        .collect();
    for node in nodes {
        node.await.unwrap().unwrap();
    }
    assert_eq!(set.backups().await.len(), 1);

    // Nobody works, so it still goes on the night after.
    set.hand.set(MONDAY + DAY + HOUR);
    set.house.service.run_due().await.unwrap();
    set.house.service.run_due().await.unwrap();
    assert_eq!(set.backups().await.len(), 1);
    let query = TaskQuery {
        states: vec!["skipped"],
        ..TaskQuery::default()
    };
    let skipped = set.house.catalog.tasks(&query).await.unwrap().items;
    assert_eq!(skipped.len(), 1);
    assert_eq!(skipped[0].policy_id, Some(set.policy));
    assert_eq!(skipped[0].volume_id, Some(set.volume));
    assert!(
        matches!(&skipped[0].state, TaskState::Skipped { reason } if reason.contains("running"))
    );
    assert_eq!(skipped[0].vault_id, Some(set.vault));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_shared_or_locked_is_never_dropped() {
    let set = Setting::new(OperationDefinition {
        max_backups: Some(Limit(1)),
        ..OperationDefinition::default()
    })
    .await;
    let service = &set.house.service;
    set.pass_to(MONDAY + HOUR).await;
    let other = Project {
        id: "beta".parse().unwrap(),
        name: "beta".into(),
        description: String::new(),
        enabled: true,
        created_at: Timestamp(0),
        revision: 0,
    };
    let row = emberkeep_catalog::Row::Project(other);
    set.house
        .catalog
        .apply(vec![emberkeep_catalog::Change::Insert(row)])
        .await
        .unwrap();
    let first = set.backups().await[0].id;
    service
        .add_members(&set.alice, first, vec!["beta".into()])
        .await
        .unwrap();
    assert_eq!(set.pass_to(MONDAY + DAY + HOUR).await, [0, 1]);
    assert_eq!(set.pass_to(MONDAY + 2 * DAY + HOUR).await, [0, 2]);
    service
        .delete_member(&set.alice, first, "beta")
        .await
        .unwrap();
    assert_eq!(set.pass_to(MONDAY + 2 * DAY + 2 * HOUR).await, [2]);

    let lock = VaultEdit {
        locked: Some(true),
        ..VaultEdit::default()
    };
    service
        .edit_vault(&set.alice, set.vault, lock)
        .await
        .unwrap();
    let last = set.backups().await[0].id;
    for refused in [
        service.cbr_delete_backup(&set.alice, last).await.err(),
        service.delete_backup(&set.alice, last).await.err(),
    ] {
        assert!(
            matches!(refused, Some(ServiceError::Cbr(CbrError::BackupLocked(id))) if id == last),
            "{refused:?}"
        );
    }
    let refused = service.delete_vault(&set.alice, set.vault).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::VaultDeleteLocked(_)))
    ));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lock_holds_against_whoever_changes_states_and_rules() {
    let keep = |most| OperationDefinition {
        max_backups: Some(Limit(most)),
        ..OperationDefinition::default()
    };
    let set = Setting::new(keep(3)).await;
    let service = &set.house.service;
    let admin = caller("alpha", Role::Admin);
    for day in 0..3 {
        set.pass_to(MONDAY + day * DAY + HOUR).await;
    }
    let rules = |definition| PolicyEdit {
        definition: Some(definition),
        ..PolicyEdit::default()
    };
    let lock = VaultEdit {
        locked: Some(true),
        ..VaultEdit::default()
    };
    let locked = service.edit_vault(&set.alice, set.vault, lock).await;
    locked.unwrap();

    // As an error it would be nobody's to keep.
    let oldest = set.backups().await.last().unwrap().id;
    for refused in [
        service.reset_backup(&admin, oldest, false).await.err(),
        service.force_delete_backup(&admin, oldest).await.err(),
        service.delete_backup(&admin, oldest).await.err(),
    ] {
        assert!(
            matches!(refused, Some(ServiceError::Cbr(CbrError::BackupLocked(id))) if id == oldest),
            "{refused:?}"
        );
    }

    // Rules that keep less now are refused, here and by another policy; those that keep as much
    // are not.
    let refused = service
        .edit_policy(&set.alice, set.policy, rules(keep(2)))
        .await;
    assert!(
        matches!(
            refused,
            Err(ServiceError::Cbr(CbrError::PolicyDropsLocked { .. }))
        ),
        "{refused:?}"
    );
    let harsh = service.create_policy(&set.alice, nightly(keep(1))).await;
    let harsh = harsh.unwrap().policy.id;
    let refused = service
        .associate_policy(&set.alice, set.vault, harsh, None)
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::PolicyDropsLocked { .. }))
    ));
    let off = PolicyEdit {
        enabled: Some(false),
        ..PolicyEdit::default()
    };
    let on = PolicyEdit {
        enabled: Some(true),
        ..PolicyEdit::default()
    };
    // Neither by the way of a disabled one, nor by none at all.
    let edited = service.edit_policy(&set.alice, set.policy, off).await;
    edited.unwrap();
    let edited = service
        .edit_policy(&set.alice, set.policy, rules(keep(1)))
        .await;
    edited.unwrap();
    let refused = service.edit_policy(&set.alice, set.policy, on).await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::PolicyDropsLocked { .. }))
    ));
    let unbound = service
        .dissociate_policy(&set.alice, set.vault, set.policy)
        .await;
    unbound.unwrap();
    let refused = service
        .associate_policy(&set.alice, set.vault, harsh, None)
        .await;
    assert!(matches!(
        refused,
        Err(ServiceError::Cbr(CbrError::PolicyDropsLocked { .. }))
    ));
    let mild = service.create_policy(&set.alice, nightly(keep(9))).await;
    let mild = mild.unwrap().policy.id;
    let bound = service
        .associate_policy(&set.alice, set.vault, mild, None)
        .await;
    bound.unwrap();
    assert_eq!(set.pass_to(MONDAY + 3 * DAY + HOUR).await, [0, 1, 2, 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vault_takes_in_what_carries_its_tag() {
    let hand = Hand::at(MONDAY);
    let house = House::at(Arc::clone(&hand) as Arc<dyn Clock>).await.work();
    let alice = caller("alpha", Role::Member);
    let (tagged, plain) = (
        house.volume(&alice, "a").await.id,
        house.volume(&alice, "b").await.id,
    );
    let tags = Edit {
        metadata: Some([("env".to_owned(), "prod".to_owned())].into()),
        ..Edit::default()
    };
    house
        .service
        .edit_volume(&alice, tagged, tags)
        .await
        .unwrap();
    let mut new = vault(None, &[]);
    new.auto_bind = true;
    new.bind_rules = vec![Tag {
        key: "env".into(),
        value: "prod".into(),
    }];
    let made = house
        .service
        .create_vault(&alice, new)
        .await
        .unwrap()
        .vault
        .id;
    let held = || async {
        let view = house.service.vault(&alice, made).await.unwrap();
        view.resources
            .iter()
            .map(|(r, _)| VolumeId::from(r.resource_id))
            .collect::<Vec<_>>()
    };
    house.service.bind_unprotected().await.unwrap();
    assert_eq!(
        held().await,
        [],
        "a vault without a policy takes nothing in"
    );
    let policy = nightly(OperationDefinition::default());
    let policy = house
        .service
        .create_policy(&alice, policy)
        .await
        .unwrap()
        .policy
        .id;
    for _ in 0..2 {
        // Binding twice is fine.
        house
            .service
            .associate_policy(&alice, made, policy, None)
            .await
            .unwrap();
    }
    house.service.bind_unprotected().await.unwrap();
    assert_eq!(held().await, [tagged]);
    assert!(
        house
            .catalog
            .vault_resource(plain.into())
            .await
            .unwrap()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_backup_comes_after_so_many_incremental_ones() {
    let set = Setting::new(OperationDefinition {
        full_backup_interval: Some(1),
        ..OperationDefinition::default()
    })
    .await;
    for day in 0..4 {
        set.pass_to(MONDAY + day * DAY + HOUR).await;
    }
    let mut backups = set.backups().await;
    backups.sort_by_key(|b| b.created_at);
    let how: Vec<_> = backups.iter().map(Backup::is_incremental).collect();
    assert_eq!(how, [false, true, false, true]);
}

#[tokio::test(flavor = "multi_thread")]
async fn vaults_of_one_policy_begin_one_after_the_other() {
    let set = Setting::new(OperationDefinition::default()).await;
    let service = &set.house.service;
    let second = set.house.volume(&set.alice, "b").await.id;
    let new = vault(Some(set.policy), &[second]);
    let other = service
        .create_vault(&set.alice, new)
        .await
        .unwrap()
        .vault
        .id;
    let begun = || async {
        let all = set.house.catalog.backups(&BackupQuery::default()).await;
        all.unwrap().items.len()
    };
    set.pass_to(MONDAY + HOUR).await;
    assert_eq!(begun().await, 1);
    set.pass_to(MONDAY + HOUR + 5).await;
    assert_eq!(begun().await, 2);
    // A paused resource is left out.
    let ids = vec![second.to_string()];
    service
        .suspend_resources(&set.alice, other, ids, true)
        .await
        .unwrap();
    set.pass_to(MONDAY + DAY + HOUR + 5).await;
    assert_eq!(begun().await, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_backs_servers_up_and_keeps_its_number() {
    let hand = Hand::at(MONDAY);
    let house = House::at(Arc::clone(&hand) as Arc<dyn Clock>).await.work();
    let alice = caller("alpha", Role::Member);
    let service = &house.service;
    let volumes = vec![
        house.volume(&alice, "root").await.id,
        house.volume(&alice, "data").await.id,
    ];
    let new = NewServer {
        name: "web".into(),
        volumes,
        ..NewServer::default()
    };
    let server = service.create_server(&alice, new).await.unwrap().server.id;
    let policy = nightly(OperationDefinition {
        max_backups: Some(Limit(2)),
        ..OperationDefinition::default()
    });
    let policy = service.create_policy(&alice, policy).await.unwrap();
    let new = NewVault {
        object_type: ObjectType::Server,
        backup_name_prefix: Some("prod-".into()),
        resources: vec![NewResource {
            id: server.to_string(),
            kind: SERVER_RESOURCE.into(),
            choice: Default::default(),
            name: None,
        }],
        ..vault(Some(policy.policy.id), &[])
    };
    let made = service.create_vault(&alice, new).await.unwrap().vault.id;
    let query = BackupQuery {
        vault: Some(made),
        ..BackupQuery::default()
    };
    for day in 0..4 {
        hand.set(MONDAY + day * DAY + HOUR);
        service.run_due().await.unwrap();
        let unsettled = || async {
            let tasks = TaskQuery {
                states: vec!["waiting", "running"],
                ..TaskQuery::default()
            };
            let tasks = house.catalog.tasks(&tasks).await.unwrap().items.len();
            let backups = house.catalog.backups(&query).await.unwrap().items;
            tasks + backups.iter().filter(|b| b.state.is_busy()).count()
        };
        until("the run to end", unsettled, |left| *left == 0).await;
        service.retain_all().await.unwrap();
        until("retention to end", unsettled, |left| *left == 0).await;
    }
    let left = house.catalog.backups(&query).await.unwrap().items;
    let mut days: Vec<_> = left
        .iter()
        .filter(|b| b.cbr.part_of.is_none())
        .map(|b| (b.automatic, (b.created_at.0 / 1_000_000 - MONDAY) / DAY))
        .collect();
    days.sort_unstable();
    assert_eq!(days, [(true, 2), (true, 3)]);
    assert_eq!(left.len(), 6, "each with its two parts");
    for backup in &left {
        let name = backup.name.as_deref().unwrap();
        assert!(name.starts_with("prod-autobk_"), "{name}");
        assert_eq!(
            name.ends_with("_web"),
            backup.cbr.part_of.is_some(),
            "{name}"
        );
    }
}
