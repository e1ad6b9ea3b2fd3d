//! Rows come back as they went in, together or not at all, and nobody overwrites what he has not seen.

use std::sync::Arc;

use emberkeep_model::{TokenRecord, Vault};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use super::sample::Dice;
use super::{assert_exists, assert_stale, insert};
use crate::{Catalog, CatalogError, Change, Key, Row};

pub(super) async fn run(make: &impl AsyncFn() -> Arc<dyn Catalog>) {
    rows_come_back_exactly(&*make().await).await;
    every_state_comes_back(&*make().await).await;
    each_catalogue_is_its_own(&*make().await, &*make().await).await;
    uniqueness_is_kept(&*make().await).await;
    resources_need_their_vault(&*make().await).await;
    changes_happen_together(&*make().await).await;
    one_of_many_savers_wins(make().await).await;
    one_of_many_inserters_wins(make().await).await;
    no_update_is_lost(make().await).await;
}

/// One row of each kind; what others belong to comes before them.
fn one_of_each(dice: &mut Dice) -> Vec<Row> {
    let vault = dice.vault();
    let resource = dice.vault_resource(&vault);
    let server = dice.server();
    let policy = dice.policy();
    let binding = dice.binding(&policy, &vault);
    vec![
        Row::Volume(dice.volume()),
        Row::Snapshot(dice.snapshot()),
        Row::VolumeType(dice.volume_type()),
        Row::Backup(dice.backup()),
        Row::Vault(vault),
        Row::VaultResource(resource),
        Row::Server(server.clone()),
        Row::ServerVolume(dice.server_volume(&server)),
        Row::FileSystem(dice.file_system()),
        Row::Checkpoint(dice.checkpoint()),
        Row::Task(dice.task()),
        Row::Project(dice.project()),
        Row::User(dice.user()),
        Row::Token(dice.token()),
        Row::Assignment(dice.assignment()),
        Row::AppCredential(dice.app_credential()),
        Row::Policy(policy),
        Row::PolicyBinding(binding),
        Row::Member(dice.member()),
        Row::Attachment(dice.attachment()),
        Row::Message(dice.message()),
        Row::QuotaSet(dice.quota_set()),
        Row::QuotaClass(dice.quota_class()),
        Row::ServiceSwitch(dice.service_switch()),
    ]
}

/// Reads the row that `row` would be stored as.
async fn stored(catalog: &dyn Catalog, row: &Row) -> Option<Row> {
    let found = match row {
        Row::Volume(r) => catalog.volume(r.id).await.map(|r| r.map(Row::Volume)),
        Row::Snapshot(r) => catalog.snapshot(r.id).await.map(|r| r.map(Row::Snapshot)),
        Row::VolumeType(r) => catalog
            .volume_type(r.id)
            .await
            .map(|r| r.map(Row::VolumeType)),
        Row::Backup(r) => {
            let seen = catalog.backup_seen(r.id).await.expect("looks up");
            let found = catalog.backup(r.id).await;
            assert_eq!(
                seen.as_deref(),
                found.as_ref().ok().and_then(Option::as_ref)
            );
            found.map(|r| r.map(Row::Backup))
        }
        Row::Vault(r) => catalog.vault(r.id).await.map(|r| r.map(Row::Vault)),
        Row::VaultResource(r) => catalog
            .vault_resource(r.resource_id)
            .await
            .map(|r| r.map(Row::VaultResource)),
        Row::Server(r) => catalog.server(r.id).await.map(|r| r.map(Row::Server)),
        Row::ServerVolume(r) => catalog
            .server_of(r.volume_id)
            .await
            .map(|r| r.map(Row::ServerVolume)),
        Row::FileSystem(r) => catalog
            .file_system(r.id)
            .await
            .map(|r| r.map(Row::FileSystem)),
        Row::Checkpoint(r) => catalog
            .checkpoint(r.id)
            .await
            .map(|r| r.map(Row::Checkpoint)),
        Row::Task(r) => catalog.task(r.id).await.map(|r| r.map(Row::Task)),
        Row::Project(r) => catalog.project(&r.id).await.map(|r| r.map(Row::Project)),
        Row::User(r) => catalog.user(&r.id).await.map(|r| r.map(Row::User)),
        Row::Token(r) => catalog.token(&r.hash).await.map(|r| r.map(Row::Token)),
        Row::Policy(r) => catalog.policy(r.id).await.map(|r| r.map(Row::Policy)),
        Row::PolicyBinding(r) => catalog.policy_vaults(r.policy_id).await.map(|all| {
            all.into_iter()
                .find(|b| b.vault_id == r.vault_id)
                .map(Row::PolicyBinding)
        }),
        Row::Member(r) => catalog.member(r.id).await.map(|r| r.map(Row::Member)),
        Row::AppCredential(r) => catalog
            .app_credential(&r.id)
            .await
            .map(|r| r.map(Row::AppCredential)),
        Row::Attachment(r) => catalog
            .attachment(r.id)
            .await
            .map(|r| r.map(Row::Attachment)),
        Row::Message(r) => catalog.message(r.id).await.map(|r| r.map(Row::Message)),
        Row::QuotaSet(r) => catalog
            .quota_set(&r.project_id)
            .await
            .map(|r| r.map(Row::QuotaSet)),
        Row::QuotaClass(r) => catalog
            .quota_class(&r.name)
            .await
            .map(|r| r.map(Row::QuotaClass)),
        Row::ServiceSwitch(r) => catalog.service_switches().await.map(|all| {
            all.into_iter()
                .find(|s| s.binary_name == r.binary_name)
                .map(Row::ServiceSwitch)
        }),
        Row::Assignment(r) => catalog
            .assignments(&r.user_id)
            .await
            .map(|all| all.into_iter().find(|a| a == r).map(Row::Assignment)),
    };
    found.expect("look up")
}

/// Returns its revision, if it counts changes.
fn revision(row: &mut Row) -> Option<&mut u64> {
    match row {
        Row::Volume(r) => Some(&mut r.revision),
        Row::Snapshot(r) => Some(&mut r.revision),
        Row::VolumeType(r) => Some(&mut r.revision),
        Row::Backup(r) => Some(&mut r.revision),
        Row::Vault(r) => Some(&mut r.revision),
        Row::VaultResource(r) => Some(&mut r.revision),
        Row::Server(r) => Some(&mut r.revision),
        Row::ServerVolume(r) => Some(&mut r.revision),
        Row::FileSystem(r) => Some(&mut r.revision),
        Row::Checkpoint(r) => Some(&mut r.revision),
        Row::Task(r) => Some(&mut r.revision),
        Row::Project(r) => Some(&mut r.revision),
        Row::User(r) => Some(&mut r.revision),
        Row::Policy(r) => Some(&mut r.revision),
        Row::PolicyBinding(r) => Some(&mut r.revision),
        Row::Member(r) => Some(&mut r.revision),
        Row::AppCredential(r) => Some(&mut r.revision),
        Row::Attachment(r) => Some(&mut r.revision),
        Row::Message(r) => Some(&mut r.revision),
        Row::QuotaSet(r) => Some(&mut r.revision),
        Row::QuotaClass(r) => Some(&mut r.revision),
        Row::ServiceSwitch(r) => Some(&mut r.revision),
        Row::Token(_) | Row::Assignment(_) => None,
    }
}

/// Gives `row` the key and the revision of `old`.
fn in_place_of(old: &Row, mut row: Row) -> Row {
    match (old, &mut row) {
        (Row::Volume(o), Row::Volume(r)) => r.id = o.id,
        (Row::Snapshot(o), Row::Snapshot(r)) => r.id = o.id,
        (Row::VolumeType(o), Row::VolumeType(r)) => r.id = o.id,
        (Row::Backup(o), Row::Backup(r)) => r.id = o.id,
        (Row::Vault(o), Row::Vault(r)) => r.id = o.id,
        (Row::VaultResource(o), Row::VaultResource(r)) => {
            (r.resource_id, r.vault_id) = (o.resource_id, o.vault_id);
        }
        (Row::Server(o), Row::Server(r)) => r.id = o.id,
        (Row::ServerVolume(o), Row::ServerVolume(r)) => {
            (r.volume_id, r.server_id) = (o.volume_id, o.server_id);
        }
        (Row::FileSystem(o), Row::FileSystem(r)) => r.id = o.id,
        (Row::Checkpoint(o), Row::Checkpoint(r)) => r.id = o.id,
        (Row::Task(o), Row::Task(r)) => r.id = o.id,
        (Row::Project(o), Row::Project(r)) => r.id = o.id.clone(),
        (Row::User(o), Row::User(r)) => r.id = o.id.clone(),
        (Row::Token(o), Row::Token(r)) => r.hash.clone_from(&o.hash),
        (Row::Assignment(o), Row::Assignment(r)) => *r = o.clone(),
        (Row::Policy(o), Row::Policy(r)) => r.id = o.id,
        (Row::PolicyBinding(o), Row::PolicyBinding(r)) => {
            (r.policy_id, r.vault_id) = (o.policy_id, o.vault_id);
        }
        (Row::Member(o), Row::Member(r)) => r.id = o.id,
        (Row::AppCredential(o), Row::AppCredential(r)) => r.id.clone_from(&o.id),
        (Row::Attachment(o), Row::Attachment(r)) => r.id = o.id,
        (Row::Message(o), Row::Message(r)) => r.id = o.id,
        (Row::QuotaSet(o), Row::QuotaSet(r)) => r.project_id = o.project_id.clone(),
        (Row::QuotaClass(o), Row::QuotaClass(r)) => r.name.clone_from(&o.name),
        (Row::ServiceSwitch(o), Row::ServiceSwitch(r)) => {
            r.binary_name.clone_from(&o.binary_name);
        }
        (old, new) => panic!("{old:?} is not the same kind of row as {new:?}"),
    }
    if let (Some(new), Some(old)) = (revision(&mut row), revision(&mut old.clone())) {
        *new = *old;
    }
    row
}

fn key(row: &Row) -> Key {
    match row {
        Row::Volume(r) => Key::Volume(r.id),
        Row::Snapshot(r) => Key::Snapshot(r.id),
        Row::VolumeType(r) => Key::VolumeType(r.id),
        Row::Backup(r) => Key::Backup(r.id),
        Row::Vault(r) => Key::Vault(r.id),
        Row::VaultResource(r) => Key::VaultResource(r.resource_id),
        Row::Server(r) => Key::Server(r.id),
        Row::ServerVolume(r) => Key::ServerVolume(r.volume_id),
        Row::FileSystem(r) => Key::FileSystem(r.id),
        Row::Checkpoint(r) => Key::Checkpoint(r.id),
        Row::Task(r) => Key::Task(r.id),
        Row::Project(r) => Key::Project(r.id.clone()),
        Row::User(r) => Key::User(r.id.clone()),
        Row::Token(r) => Key::Token(r.hash.clone()),
        Row::Assignment(r) => Key::Assignment(r.clone()),
        Row::Policy(r) => Key::Policy(r.id),
        Row::PolicyBinding(r) => Key::PolicyBinding(r.policy_id, r.vault_id),
        Row::Member(r) => Key::Member(r.id),
        Row::AppCredential(r) => Key::AppCredential(r.id.clone()),
        Row::Attachment(r) => Key::Attachment(r.id),
        Row::Message(r) => Key::Message(r.id),
        Row::QuotaSet(r) => Key::QuotaSet(r.project_id.clone()),
        Row::QuotaClass(r) => Key::QuotaClass(r.name.clone()),
        Row::ServiceSwitch(r) => Key::ServiceSwitch(r.binary_name.clone()),
    }
}

/// Makes, saves and removes rows of every kind, and looks after each step.
async fn rows_come_back_exactly(catalog: &dyn Catalog) {
    catalog.apply(Vec::new()).await.expect("no change at all");
    for seed in 0..40 {
        let mut dice = Dice(seed);
        let first = one_of_each(&mut dice);
        for row in &first {
            assert_eq!(
                stored(catalog, row).await,
                None,
                "seed {seed}: not there yet"
            );
            let got = catalog.apply(vec![Change::Save(row.clone())]).await;
            if revision(&mut row.clone()).is_some() {
                assert_stale("saving what is not there", got);
            } else {
                got.expect("saving makes it");
                catalog
                    .apply(vec![Change::Remove(key(row), 0)])
                    .await
                    .expect("remove");
            }
        }
        insert(catalog, first.clone()).await;
        for row in &first {
            assert_eq!(
                stored(catalog, row).await.as_ref(),
                Some(row),
                "seed {seed}: as inserted"
            );
            assert_exists(
                "again",
                catalog.apply(vec![Change::Insert(row.clone())]).await,
            );
        }
        for (old, new) in first.iter().zip(one_of_each(&mut dice)) {
            check_save(catalog, old, in_place_of(old, new)).await;
        }
        for row in first.iter().rev() {
            check_removal(catalog, row).await;
        }
    }
}

async fn check_save(catalog: &dyn Catalog, old: &Row, new: Row) {
    let mut want = new.clone();
    if let Some(revision) = revision(&mut want) {
        let seen = *revision;
        for wrong in [seen + 1, seen + 2, seen.wrapping_sub(1).min(1 << 40)] {
            let mut other = new.clone();
            *self::revision(&mut other).expect("has one") = wrong;
            assert_stale(
                "another revision",
                catalog.apply(vec![Change::Save(other)]).await,
            );
            assert_eq!(
                stored(catalog, old).await.as_ref(),
                Some(old),
                "nothing has changed"
            );
        }
        *revision += 1;
    }
    catalog
        .apply(vec![Change::Save(new.clone())])
        .await
        .expect("save");
    assert_eq!(
        stored(catalog, &new).await,
        Some(want),
        "as saved, one revision on"
    );
    let again = catalog.apply(vec![Change::Save(new.clone())]).await;
    if revision(&mut new.clone()).is_some() {
        assert_stale("the same save again", again);
    } else {
        again.expect("the same save again");
    }
}

async fn check_removal(catalog: &dyn Catalog, row: &Row) {
    let mut now = stored(catalog, row).await.expect("still there");
    let seen = revision(&mut now).map(|r| *r);
    if let Some(seen) = seen {
        let got = catalog
            .apply(vec![Change::Remove(key(row), seen + 1)])
            .await;
        assert_stale("removing another revision", got);
        assert!(stored(catalog, row).await.is_some(), "it stays");
    }
    let remove = || catalog.apply(vec![Change::Remove(key(row), seen.unwrap_or(0))]);
    remove().await.expect("remove");
    assert_eq!(stored(catalog, row).await, None, "gone");
    assert_stale("removing what is gone", remove().await);
}

async fn every_state_comes_back(catalog: &dyn Catalog) {
    let mut dice = Dice(1);
    let mut rows = Vec::new();
    for state in dice.backup_states() {
        rows.push(Row::Backup(emberkeep_model::Backup {
            state,
            ..dice.backup()
        }));
    }
    for state in dice.task_states() {
        rows.push(Row::Task(emberkeep_model::Task {
            state,
            ..dice.task()
        }));
    }
    for work in dice.works() {
        rows.push(Row::Task(emberkeep_model::Task {
            work,
            ..dice.task()
        }));
    }
    insert(catalog, rows.clone()).await;
    for row in &rows {
        assert_eq!(stored(catalog, row).await.as_ref(), Some(row));
    }
}

async fn each_catalogue_is_its_own(one: &dyn Catalog, other: &dyn Catalog) {
    let row = Row::Volume(Dice(2).volume());
    insert(one, [row.clone()]).await;
    assert_eq!(
        stored(other, &row).await,
        None,
        "`make` gives a new catalogue each time"
    );
}

async fn uniqueness_is_kept(catalog: &dyn Catalog) {
    let mut dice = Dice(3);
    let (project, user, kind) = (dice.project(), dice.user(), dice.volume_type());
    insert(
        catalog,
        [
            Row::Project(project.clone()),
            Row::User(user.clone()),
            Row::VolumeType(kind.clone()),
        ],
    )
    .await;
    let taken = [
        Row::Project(emberkeep_model::Project {
            name: project.name.clone(),
            ..dice.project()
        }),
        Row::User(emberkeep_model::User {
            name: user.name.clone(),
            ..dice.user()
        }),
        Row::VolumeType(emberkeep_model::VolumeType {
            name: kind.name.clone(),
            ..dice.volume_type()
        }),
    ];
    let free = [
        Row::Project(dice.project()),
        Row::User(dice.user()),
        Row::VolumeType(dice.volume_type()),
    ];
    for (taken, free) in taken.into_iter().zip(free) {
        assert_exists(
            "a taken name",
            catalog.apply(vec![Change::Insert(taken.clone())]).await,
        );
        insert(catalog, [free.clone()]).await;
        let renamed = in_place_of(&free, taken);
        assert_exists(
            "renaming to it",
            catalog.apply(vec![Change::Save(renamed)]).await,
        );
        assert_eq!(
            stored(catalog, &free).await,
            Some(free),
            "nothing has changed"
        );
    }
    let (one, other) = (dice.vault(), dice.vault());
    let resource = dice.vault_resource(&one);
    let mut elsewhere = dice.vault_resource(&other);
    elsewhere.resource_id = resource.resource_id;
    insert(
        catalog,
        [
            Row::Vault(one),
            Row::Vault(other),
            Row::VaultResource(resource.clone()),
        ],
    )
    .await;
    let got = catalog
        .apply(vec![Change::Insert(Row::VaultResource(elsewhere.clone()))])
        .await;
    assert_exists("a resource of another vault", got);
    let moved = vec![
        Change::Remove(Key::VaultResource(resource.resource_id), resource.revision),
        Change::Insert(Row::VaultResource(elsewhere.clone())),
    ];
    catalog
        .apply(moved)
        .await
        .expect("out of one vault and into the other");
    let found = catalog
        .vault_resource(resource.resource_id)
        .await
        .expect("look up");
    assert_eq!(found, Some(elsewhere));
}

async fn resources_need_their_vault(catalog: &dyn Catalog) {
    let mut dice = Dice(4);
    let vault = dice.vault();
    let resource = dice.vault_resource(&vault);
    let add = || vec![Change::Insert(Row::VaultResource(resource.clone()))];
    let remove = || vec![Change::Remove(Key::Vault(vault.id), vault.revision)];
    assert_stale("no such vault", catalog.apply(add()).await);
    insert(catalog, [Row::Vault(vault.clone())]).await;
    catalog.apply(add()).await.expect("the vault is there");
    assert_stale("it has a resource", catalog.apply(remove()).await);
    let mut all = vec![Change::Remove(
        Key::VaultResource(resource.resource_id),
        resource.revision,
    )];
    all.extend(remove());
    catalog.apply(all).await.expect("both, in order");
}

async fn changes_happen_together(catalog: &dyn Catalog) {
    let mut dice = Dice(5);
    let (kept, other, new) = (dice.volume(), dice.volume(), dice.volume());
    insert(
        catalog,
        [Row::Volume(kept.clone()), Row::Volume(other.clone())],
    )
    .await;
    let mut changed = dice.volume();
    (changed.id, changed.revision) = (kept.id, kept.revision);
    let good = || {
        vec![
            Change::Save(Row::Volume(changed.clone())),
            Change::Remove(Key::Volume(other.id), other.revision),
            Change::Insert(Row::Volume(new.clone())),
        ]
    };
    let stale = Change::Save(Row::Volume(emberkeep_model::Volume {
        revision: kept.revision + 7,
        ..kept.clone()
    }));
    let exists = Change::Insert(Row::Volume(kept.clone()));
    let gone = Change::Remove(Key::Snapshot(dice.id()), 0);
    for place in 0..=good().len() {
        for (what, bad) in [("stale", &stale), ("exists", &exists), ("gone", &gone)] {
            let mut changes = good();
            changes.insert(place, bad.clone());
            let got = catalog.apply(changes).await;
            match what {
                "exists" => assert_exists(what, got),
                _ => assert_stale(what, got),
            }
            let volumes = catalog
                .volumes(&crate::VolumeQuery::default())
                .await
                .expect("list")
                .items;
            assert_eq!(
                volumes.len(),
                2,
                "{what} at {place}: as if nothing had been asked"
            );
            assert!(
                volumes.contains(&kept) && volumes.contains(&other),
                "{what} at {place}"
            );
        }
    }
    catalog.apply(good()).await.expect("without the bad one");
    assert_eq!(catalog.volume(other.id).await.expect("look up"), None);
    assert_eq!(catalog.volume(new.id).await.expect("look up"), Some(new));
    let saved = catalog
        .volume(kept.id)
        .await
        .expect("look up")
        .expect("there");
    assert_eq!(saved.revision, kept.revision + 1);
    // In order: a row can be made, changed and taken away in one go.
    let brief = emberkeep_model::Volume {
        revision: 0,
        ..dice.volume()
    };
    let changes = vec![
        Change::Insert(Row::Volume(brief.clone())),
        Change::Save(Row::Volume(brief.clone())),
        Change::Remove(Key::Volume(brief.id), 1),
    ];
    catalog.apply(changes).await.expect("in order");
}

/// Lets `count` tasks begin at the same moment; returns what each got.
pub(super) async fn race<T: Send + 'static, F: Future<Output = T> + Send + 'static>(
    count: usize,
    act: impl Fn(usize) -> F,
) -> Vec<T> {
    let start = Arc::new(Barrier::new(count));
    let mut tasks = JoinSet::new();
    for me in 0..count {
        let (start, act) = (Arc::clone(&start), act(me));
        tasks.spawn(async move {
            start.wait().await;
            act.await
        });
    }
    tasks.join_all().await
}

async fn one_of_many_savers_wins(catalog: Arc<dyn Catalog>) {
    let mut dice = Dice(6);
    let vault = dice.vault();
    let witness = dice.token();
    insert(
        &*catalog,
        [Row::Vault(vault.clone()), Row::Token(witness.clone())],
    )
    .await;
    for round in 0..20 {
        let seen = catalog
            .vault(vault.id)
            .await
            .expect("look up")
            .expect("there");
        let results = race(4, |me| {
            let catalog = Arc::clone(&catalog);
            let name = format!("round {round}, {me}");
            let mine = Vault {
                name: name.clone(),
                ..seen.clone()
            };
            let mark = TokenRecord {
                methods: vec![name.clone()],
                ..witness.clone()
            };
            async move {
                // The first change always succeeds, so only undoing it keeps the losers out.
                let changes = vec![
                    Change::Save(Row::Token(mark)),
                    Change::Save(Row::Vault(mine)),
                ];
                (name, catalog.apply(changes).await)
            }
        })
        .await;
        let mut winners = Vec::new();
        for (name, result) in results {
            match result {
                Ok(()) => winners.push(name),
                lost => assert_stale("a loser", lost),
            }
        }
        assert_eq!(winners.len(), 1, "round {round}: exactly one wins");
        let saved = catalog
            .vault(vault.id)
            .await
            .expect("look up")
            .expect("there");
        assert_eq!(
            (&saved.name, saved.revision),
            (&winners[0], seen.revision + 1)
        );
        let mark = catalog
            .token(&witness.hash)
            .await
            .expect("look up")
            .expect("there");
        assert_eq!(mark.methods, winners, "the other change of the same winner");
    }
}

async fn one_of_many_inserters_wins(catalog: Arc<dyn Catalog>) {
    let mut dice = Dice(7);
    for round in 0..10 {
        let (vault, volume) = (dice.vault(), dice.id());
        insert(&*catalog, [Row::Vault(vault.clone())]).await;
        let results = race(4, |me| {
            let catalog = Arc::clone(&catalog);
            let mut resource = Dice(me as u64).vault_resource(&vault);
            resource.resource_id = volume;
            async move {
                catalog
                    .apply(vec![Change::Insert(Row::VaultResource(resource))])
                    .await
            }
        })
        .await;
        let won = results.iter().filter(|r| r.is_ok()).count();
        assert_eq!(won, 1, "round {round}: {results:?}");
        for lost in results.into_iter().filter(Result::is_err) {
            assert_exists("a loser", lost);
        }
    }
}

/// Everybody adds one, reading again whenever somebody was faster.
async fn no_update_is_lost(catalog: Arc<dyn Catalog>) {
    const EACH: u32 = 20;
    let volume = emberkeep_model::Volume {
        size: emberkeep_model::Gib(0),
        ..Dice(8).volume()
    };
    insert(&*catalog, [Row::Volume(volume.clone())]).await;
    race(4, |_| {
        let (catalog, id) = (Arc::clone(&catalog), volume.id);
        async move {
            for _ in 0..EACH {
                loop {
                    let mut seen = catalog.volume(id).await.expect("look up").expect("there");
                    seen.size.0 += 1;
                    match catalog.apply(vec![Change::Save(Row::Volume(seen))]).await {
                        Ok(()) => break,
                        Err(CatalogError::Stale { .. }) => {}
                        Err(e) => panic!("{e:?}"),
                    }
                }
            }
        }
    })
    .await;
    let end = catalog
        .volume(volume.id)
        .await
        .expect("look up")
        .expect("there");
    assert_eq!(end.size.0, 4 * EACH);
    assert_eq!(end.revision, volume.revision + u64::from(4 * EACH));
}
