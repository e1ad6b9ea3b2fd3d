//! Backups in a database: what the real Cinder was seen to do with its own.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::future::Future;
use std::pin::pin;
use std::task::{Poll, Waker};

use emberkeep_model::Timestamp;
use emberkeep_objects::{
    Backup, BackupImport, BackupStatus, BackupStore, Condition, ConditionalUpdate, Context, Field,
    MemoryBackups, Metadata, ObjectError, ReadDeleted, StoreError, Value, VersionedObject,
};

const DAY: i64 = 86_400_000_000;

fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    match future
        .as_mut()
        .poll(&mut std::task::Context::from_waker(Waker::noop()))
    {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("memory never waits"),
    }
}

fn admin() -> Context {
    Context::admin("u", "p1")
}

fn store() -> MemoryBackups {
    MemoryBackups::new(Timestamp(DAY))
}

/// Adds a row under an id, and loads it.
fn saved(store: &MemoryBackups, id: &str, more: &[(&str, Value)]) -> Backup {
    let mut import = BackupImport::new(admin());
    for (name, value) in [
        ("id", id),
        ("user_id", "u"),
        ("project_id", "p1"),
        ("volume_id", "v"),
    ] {
        import.assign(name, value).unwrap();
    }
    for (name, value) in more {
        import.assign(name, value.clone()).unwrap();
    }
    now(import.create(store)).unwrap();
    get(store, id).unwrap()
}

fn get(store: &MemoryBackups, id: &str) -> Result<Backup, ObjectError> {
    now(Backup::get_by_id(store, &admin(), id))
}

fn updated_at(store: &MemoryBackups, id: &str) -> Option<Timestamp> {
    now(store.fetch(id)).unwrap().unwrap().updated_at
}

fn fresh(context: Context) -> Backup {
    let mut backup = Backup::new(context);
    for (name, value) in [("user_id", "u"), ("project_id", "p1"), ("volume_id", "v")] {
        backup.assign(name, value).unwrap();
    }
    backup
}

#[test]
fn creating() {
    let store = store();
    let mut backup = fresh(admin());
    backup.assign("size", 3).unwrap();
    backup.assign("fail_reason", Value::Null).unwrap();
    now(backup.create(&store)).unwrap();
    assert_eq!(backup.get(Backup::SIZE), Field::Value(3));
    assert_eq!(
        backup.get(Backup::OBJECT_COUNT),
        Field::Value(0),
        "null numbers become 0"
    );
    assert_eq!(
        backup.get(Backup::FAIL_REASON),
        Field::Value(""),
        "given as null, kept as empty"
    );
    assert_eq!(backup.get(Backup::DELETED), Field::Value(false));
    assert_eq!(
        backup.get(Backup::METADATA),
        Field::Unset,
        "creating does not load it"
    );
    assert!(backup.what_changed().is_empty());

    let mut long = fresh(admin());
    long.assign("fail_reason", "é".repeat(300)).unwrap();
    now(long.create(&store)).unwrap();
    assert_eq!(
        long.get(Backup::FAIL_REASON)
            .value()
            .unwrap()
            .chars()
            .count(),
        255
    );

    let mut zoned = fresh(admin());
    zoned
        .assign("created_at", "2020-01-01T00:00:00+02:00")
        .unwrap();
    now(zoned.create(&store)).unwrap();
    assert_eq!(
        zoned.get(Backup::CREATED_AT).value().unwrap().isotime(),
        "2019-12-31T22:00:00Z"
    );
}

#[test]
fn what_cannot_be_created() {
    let store = store();
    let mut nobody = fresh(Context::default());
    assert!(matches!(
        now(nobody.create(&store)),
        Err(ObjectError::NotAuthorized)
    ));
    let mut deleted = fresh(admin());
    deleted.assign("deleted", true).unwrap();
    assert!(matches!(
        now(deleted.create(&store)),
        Err(ObjectError::NotFound { .. })
    ));
    let mut elsewhere = fresh(Context::user("u", "p2"));
    assert!(matches!(
        now(elsewhere.create(&store)),
        Err(ObjectError::NotFound { .. })
    ));
    for missing in ["user_id", "project_id"] {
        let mut backup = Backup::new(admin());
        for name in ["user_id", "project_id", "volume_id"]
            .into_iter()
            .filter(|name| *name != missing)
        {
            backup.assign(name, "x").unwrap();
        }
        assert!(
            matches!(now(backup.create(&store)), Err(ObjectError::Coerce(_))),
            "{missing}"
        );
    }
    let all = emberkeep_objects::BackupQuery {
        selection: emberkeep_objects::Selection {
            read_deleted: ReadDeleted::Yes,
            filters: vec![],
        },
        ..Default::default()
    };
    assert!(
        now(store.list(&all)).unwrap().is_empty(),
        "nothing is left behind"
    );
}

#[test]
fn saving() {
    let store = store();
    let mut backup = saved(
        &store,
        "a",
        &[("metadata", Value::Dict(vec![("a".into(), "b".into())]))],
    );
    assert_eq!(updated_at(&store, "a"), None);
    store.set_now(Timestamp(2 * DAY));
    now(backup.save(&store)).unwrap();
    assert_eq!(updated_at(&store, "a"), None, "nothing changed");
    backup.edit(Backup::METADATA).unwrap().insert("x", "y");
    now(backup.save(&store)).unwrap();
    assert_eq!(
        updated_at(&store, "a"),
        Some(Timestamp(2 * DAY)),
        "metadata alone counts"
    );
    assert_eq!(
        backup.get(Backup::UPDATED_AT),
        Field::Null,
        "the object is not told"
    );
    let kept: Metadata = [("x", "y"), ("a", "b")].into_iter().collect();
    assert_eq!(
        get(&store, "a").unwrap().get(Backup::METADATA),
        Field::Value(&kept)
    );

    store.set_now(Timestamp(3 * DAY));
    backup.set(Backup::PARENT, Backup::orphan()).unwrap();
    now(backup.save(&store)).unwrap();
    assert_eq!(updated_at(&store, "a"), Some(Timestamp(3 * DAY)));
    assert!(
        get(&store, "a").unwrap().get(Backup::PARENT) == Field::Unset,
        "never stored"
    );

    let mut other = now(Backup::get_by_id(&store, &Context::user("u", "p1"), "a")).unwrap();
    other.set_context(Some(Context::user("u", "p2")));
    other.set(Backup::SIZE, 9).unwrap();
    now(other.save(&store)).unwrap();
    assert_eq!(get(&store, "a").unwrap().get(Backup::SIZE), Field::Value(9));
    other.set(Backup::METADATA, Metadata::new()).unwrap();
    assert!(
        matches!(now(other.save(&store)), Err(ObjectError::NotFound { .. })),
        "metadata is looked for first"
    );
}

#[test]
fn destroying() {
    let store = store();
    let mut backup = saved(&store, "a", &[]);
    let mut again = get(&store, "a").unwrap();
    store.set_now(Timestamp(2 * DAY));
    now(backup.destroy(&store)).unwrap();
    assert_eq!(
        backup.get(Backup::STATUS),
        Field::Value(BackupStatus::Deleted)
    );
    assert_eq!(backup.get(Backup::UPDATED_AT), Field::Null);
    assert!(backup.what_changed().is_empty());
    assert_eq!(updated_at(&store, "a"), None, "kept");

    store.set_now(Timestamp(3 * DAY));
    now(again.destroy(&store)).unwrap();
    let row = now(store.fetch("a")).unwrap().unwrap();
    assert_eq!(
        row.deleted_at,
        Some(Timestamp(2 * DAY)),
        "the row is deleted once"
    );

    backup.set(Backup::SIZE, 7).unwrap();
    now(backup.save(&store)).unwrap();
    backup.set(Backup::METADATA, Metadata::new()).unwrap();
    backup.edit(Backup::METADATA).unwrap().insert("a", "b");
    assert!(matches!(
        now(backup.save(&store)),
        Err(ObjectError::NotFound { .. })
    ));

    assert!(matches!(
        now(backup.refresh(&store)),
        Err(ObjectError::NotFound { .. })
    ));
    let mut scope = backup.as_read_deleted(ReadDeleted::Yes).unwrap();
    now(scope.refresh(&store)).unwrap();
    assert_eq!(scope.get(Backup::SIZE), Field::Value(7));
    drop(scope);
    assert_eq!(backup.context().unwrap().read_deleted, ReadDeleted::No);
    assert!(matches!(
        now(backup.refresh(&store)),
        Err(ObjectError::NotFound { .. })
    ));

    let mut missing = fresh(admin());
    missing.assign("id", "nope").unwrap();
    now(missing.destroy(&store)).unwrap();
}

#[test]
fn parents() {
    let store = store();
    saved(&store, "p", &[]);
    let mut child = saved(&store, "c", &[("parent_id", "p".into())]);
    assert_eq!(
        now(child.parent(&store)).unwrap().unwrap().get(Backup::ID),
        Field::Value("p")
    );
    assert!(child.what_changed().is_empty());
    child.assign("parent_id", "c").unwrap();
    assert_eq!(
        now(child.parent(&store)).unwrap().unwrap().get(Backup::ID),
        Field::Value("p"),
        "loaded once"
    );
    let mut lone = saved(&store, "l", &[]);
    assert!(now(lone.parent(&store)).unwrap().is_none());
    assert_eq!(lone.get(Backup::PARENT), Field::Null);
    let mut lost = saved(&store, "x", &[("parent_id", "gone".into())]);
    assert!(matches!(
        now(lost.parent(&store)),
        Err(ObjectError::NotFound { .. })
    ));
    assert!(matches!(
        now(fresh(admin()).parent(&store)),
        Err(ObjectError::Action { .. })
    ));
}

#[test]
fn imports() {
    let store = store();
    saved(&store, "a", &[]);
    let mut import = BackupImport::new(admin());
    for name in ["id", "user_id", "project_id", "volume_id"] {
        import.assign(name, "a").unwrap();
    }
    assert!(matches!(
        now(import.create(&store)),
        Err(ObjectError::Store(StoreError::Duplicate { .. }))
    ));
    assert_eq!(
        get(&store, "a").unwrap().class().name,
        "Backup",
        "promoted by loading"
    );
    import.unset(Backup::ID);
    now(import.create(&store)).unwrap();
    assert_eq!(import.get(Backup::ID).value().unwrap().len(), 36);
    assert_eq!(import.class().name, "BackupImport");
    import.assign("project_id", "p1").unwrap();
    now(import.save(&store)).unwrap();
    now(import.refresh(&store)).unwrap();
    assert_eq!(
        import.class().name,
        "BackupImport",
        "refreshing does not promote"
    );
}

#[test]
fn comparing_and_swapping() {
    let store = store();
    // A null number is 0 in the object and so never the same as in the row.
    let mut backup = saved(
        &store,
        "a",
        &[("size", 1.into()), ("object_count", 1.into())],
    );
    let status = |to: &str| vec![("status".to_owned(), Value::from(to))];
    let when = |condition| Some(vec![("status".to_owned(), condition)]);
    let of = |words: &[&str]| {
        words
            .iter()
            .map(|word| Value::from(*word))
            .collect::<Vec<_>>()
    };
    store.set_now(Timestamp(2 * DAY));
    for (what, to, condition, want) in [
        ("null is null", "error", Condition::Is(Value::Null), true),
        (
            "another",
            "available",
            Condition::Is("creating".into()),
            false,
        ),
        (
            "one of",
            "available",
            Condition::AnyOf(of(&["creating", "error"])),
            true,
        ),
        ("not", "error", Condition::Not("error".into()), true),
        (
            "none of",
            "available",
            Condition::NoneOf(of(&["error", "x"])),
            false,
        ),
        (
            "none of, with null",
            "available",
            Condition::NoneOf(vec![Value::Null, "x".into()]),
            true,
        ),
        (
            "one of, with null",
            "error",
            Condition::AnyOf(vec![Value::Null, "available".into()]),
            true,
        ),
    ] {
        let update = ConditionalUpdate::new(status(to), when(condition));
        assert_eq!(
            now(backup.conditional_update(&store, update)).unwrap(),
            want,
            "{what}"
        );
        let shown = backup.get(Backup::STATUS).value().map(BackupStatus::name) == Some(to);
        assert_eq!(shown, want, "{what}");
        assert!(backup.what_changed().is_empty(), "{what}");
    }
    let other = Some(vec![("fail_reason".to_owned(), Condition::Not("x".into()))]);
    assert!(
        now(backup.conditional_update(&store, ConditionalUpdate::new(status("creating"), other)))
            .unwrap(),
        "null is something else"
    );
    assert_eq!(updated_at(&store, "a"), Some(Timestamp(2 * DAY)));

    let unchanged = ConditionalUpdate::new(status("available"), None);
    assert!(
        !now(backup.conditional_update(&store, unchanged.clone())).unwrap(),
        "updated_at differs by now"
    );
    now(backup.refresh(&store)).unwrap();
    backup.set(Backup::SIZE, 9).unwrap();
    assert!(
        now(backup.conditional_update(&store, unchanged)).unwrap(),
        "what is changed here is not compared"
    );
    assert_eq!(backup.what_changed(), ["size"]);
    assert_eq!(get(&store, "a").unwrap().get(Backup::SIZE), Field::Value(1));

    let all = ConditionalUpdate {
        save_all: true,
        ..ConditionalUpdate::new(status("error"), Some(vec![]))
    };
    assert!(now(backup.conditional_update(&store, all)).unwrap());
    assert!(backup.what_changed().is_empty());
    assert_eq!(get(&store, "a").unwrap().get(Backup::SIZE), Field::Value(9));

    let silent = ConditionalUpdate {
        reflect: false,
        ..ConditionalUpdate::new(status("available"), Some(vec![]))
    };
    assert!(now(backup.conditional_update(&store, silent)).unwrap());
    assert_eq!(
        backup.get(Backup::STATUS),
        Field::Value(BackupStatus::Error)
    );

    let bogus = ConditionalUpdate::new(status("bogus"), Some(vec![]));
    assert!(matches!(
        now(backup.conditional_update(&store, bogus)),
        Err(ObjectError::Coerce(_))
    ));
    assert_eq!(
        get(&store, "a").unwrap().get(Backup::STATUS),
        Field::Value(BackupStatus::Available),
        "refused before it is written"
    );
    now(backup.destroy(&store)).unwrap();
    let late = ConditionalUpdate::new(status("error"), Some(vec![]));
    assert!(
        !now(backup.conditional_update(&store, late)).unwrap(),
        "deleted rows stay as they are"
    );
}

#[test]
fn orphans() {
    let store = store();
    let mut orphan = Backup::orphan();
    orphan.assign("id", "x").unwrap();
    orphan.assign("volume_id", "v").unwrap();
    assert!(matches!(
        now(orphan.save(&store)),
        Err(ObjectError::Orphaned { .. })
    ));
    assert!(matches!(
        now(orphan.refresh(&store)),
        Err(ObjectError::Orphaned { .. })
    ));
    assert!(matches!(
        now(orphan.destroy(&store)),
        Err(ObjectError::Orphaned {
            method: "obj_as_admin",
            ..
        })
    ));
    assert!(matches!(
        orphan.as_read_deleted(ReadDeleted::Yes),
        Err(ObjectError::Orphaned { .. })
    ));
    orphan.unset(Backup::ID);
    assert!(matches!(
        now(orphan.create(&store)),
        Err(ObjectError::Orphaned { .. })
    ));
    assert!(matches!(
        orphan.value("parent"),
        Err(ObjectError::Orphaned {
            method: "obj_load_attr",
            ..
        })
    ));
}
