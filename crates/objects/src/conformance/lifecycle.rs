//! One backup in a database: what the real Cinder was seen to do with its own.

use emberkeep_model::Timestamp;

use super::Subject;
use crate::{
    Backup, BackupImport, BackupQuery, BackupStatus, BackupStore, Condition, ConditionalUpdate,
    Context, Field, Metadata, ObjectError, ReadDeleted, Selection, StoreError, Value,
    VersionedObject,
};

const DAY: i64 = 86_400_000_000;

/// Runs all of it.
pub(super) async fn run<S: Subject>(make: &impl AsyncFn() -> S) {
    creating(make).await;
    what_cannot_be_created(make).await;
    saving(make).await;
    destroying(make).await;
    parents(make).await;
    imports(make).await;
    comparing_and_swapping(make).await;
    orphans(make).await;
}

fn admin() -> Context {
    Context::admin("u", "p1")
}

async fn begin<S: Subject>(make: &impl AsyncFn() -> S) -> S {
    let store = make().await;
    store.set_now(Timestamp(DAY));
    store
}

/// Adds a row under an id, and loads it.
async fn saved(store: &dyn BackupStore, id: &str, more: &[(&str, Value)]) -> Backup {
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
    import.create(store).await.unwrap();
    get(store, id).await.unwrap()
}

async fn get(store: &dyn BackupStore, id: &str) -> Result<Backup, ObjectError> {
    Backup::get_by_id(store, &admin(), id).await
}

async fn updated_at(store: &dyn BackupStore, id: &str) -> Option<Timestamp> {
    store.fetch(id).await.unwrap().unwrap().updated_at
}

fn fresh(context: Context) -> Backup {
    let mut backup = Backup::new(context);
    for (name, value) in [("user_id", "u"), ("project_id", "p1"), ("volume_id", "v")] {
        backup.assign(name, value).unwrap();
    }
    backup
}

async fn creating<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    let mut backup = fresh(admin());
    backup.assign("size", 3).unwrap();
    backup.assign("fail_reason", Value::Null).unwrap();
    backup.create(&store).await.unwrap();
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
    long.create(&store).await.unwrap();
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
    zoned.create(&store).await.unwrap();
    assert_eq!(
        zoned.get(Backup::CREATED_AT).value().unwrap().isotime(),
        "2019-12-31T22:00:00Z"
    );
}

async fn what_cannot_be_created<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    let mut nobody = fresh(Context::default());
    assert!(matches!(
        nobody.create(&store).await,
        Err(ObjectError::NotAuthorized)
    ));
    let mut deleted = fresh(admin());
    deleted.assign("deleted", true).unwrap();
    assert!(matches!(
        deleted.create(&store).await,
        Err(ObjectError::NotFound { .. })
    ));
    let mut elsewhere = fresh(Context::user("u", "p2"));
    assert!(matches!(
        elsewhere.create(&store).await,
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
            matches!(backup.create(&store).await, Err(ObjectError::Coerce(_))),
            "{missing}"
        );
    }
    let all = BackupQuery {
        selection: Selection {
            read_deleted: ReadDeleted::Yes,
            filters: vec![],
        },
        ..Default::default()
    };
    assert!(
        store.list(&all).await.unwrap().is_empty(),
        "nothing is left behind"
    );
}

async fn saving<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    let mut backup = saved(
        &store,
        "a",
        &[("metadata", Value::Dict(vec![("a".into(), "b".into())]))],
    )
    .await;
    assert_eq!(updated_at(&store, "a").await, None);
    store.set_now(Timestamp(2 * DAY));
    backup.save(&store).await.unwrap();
    assert_eq!(updated_at(&store, "a").await, None, "nothing changed");
    backup.edit(Backup::METADATA).unwrap().insert("x", "y");
    backup.save(&store).await.unwrap();
    assert_eq!(
        updated_at(&store, "a").await,
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
        get(&store, "a").await.unwrap().get(Backup::METADATA),
        Field::Value(&kept)
    );

    store.set_now(Timestamp(3 * DAY));
    backup.set(Backup::PARENT, Backup::orphan()).unwrap();
    backup.save(&store).await.unwrap();
    assert_eq!(updated_at(&store, "a").await, Some(Timestamp(3 * DAY)));
    assert!(
        get(&store, "a").await.unwrap().get(Backup::PARENT) == Field::Unset,
        "never stored"
    );

    let mut other = Backup::get_by_id(&store, &Context::user("u", "p1"), "a")
        .await
        .unwrap();
    other.set_context(Some(Context::user("u", "p2")));
    other.set(Backup::SIZE, 9).unwrap();
    other.save(&store).await.unwrap();
    assert_eq!(
        get(&store, "a").await.unwrap().get(Backup::SIZE),
        Field::Value(9)
    );
    other.set(Backup::METADATA, Metadata::new()).unwrap();
    assert!(
        matches!(other.save(&store).await, Err(ObjectError::NotFound { .. })),
        "metadata is looked for first"
    );
}

async fn destroying<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    let mut backup = saved(&store, "a", &[]).await;
    let mut again = get(&store, "a").await.unwrap();
    store.set_now(Timestamp(2 * DAY));
    backup.destroy(&store).await.unwrap();
    assert_eq!(
        backup.get(Backup::STATUS),
        Field::Value(BackupStatus::Deleted)
    );
    assert_eq!(backup.get(Backup::UPDATED_AT), Field::Null);
    assert!(backup.what_changed().is_empty());
    assert_eq!(updated_at(&store, "a").await, None, "kept");

    store.set_now(Timestamp(3 * DAY));
    again.destroy(&store).await.unwrap();
    let row = store.fetch("a").await.unwrap().unwrap();
    assert_eq!(
        row.deleted_at,
        Some(Timestamp(2 * DAY)),
        "the row is deleted once"
    );

    backup.set(Backup::SIZE, 7).unwrap();
    backup.save(&store).await.unwrap();
    backup.set(Backup::METADATA, Metadata::new()).unwrap();
    backup.edit(Backup::METADATA).unwrap().insert("a", "b");
    assert!(matches!(
        backup.save(&store).await,
        Err(ObjectError::NotFound { .. })
    ));

    assert!(matches!(
        backup.refresh(&store).await,
        Err(ObjectError::NotFound { .. })
    ));
    let mut scope = backup.as_read_deleted(ReadDeleted::Yes).unwrap();
    scope.refresh(&store).await.unwrap();
    assert_eq!(scope.get(Backup::SIZE), Field::Value(7));
    drop(scope);
    assert_eq!(backup.context().unwrap().read_deleted, ReadDeleted::No);
    assert!(matches!(
        backup.refresh(&store).await,
        Err(ObjectError::NotFound { .. })
    ));

    let mut missing = fresh(admin());
    missing.assign("id", "nope").unwrap();
    missing.destroy(&store).await.unwrap();
}

async fn parents<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    saved(&store, "p", &[]).await;
    let mut child = saved(&store, "c", &[("parent_id", "p".into())]).await;
    assert_eq!(
        child.parent(&store).await.unwrap().unwrap().get(Backup::ID),
        Field::Value("p")
    );
    assert!(child.what_changed().is_empty());
    child.assign("parent_id", "c").unwrap();
    assert_eq!(
        child.parent(&store).await.unwrap().unwrap().get(Backup::ID),
        Field::Value("p"),
        "loaded once"
    );
    let mut lone = saved(&store, "l", &[]).await;
    assert!(lone.parent(&store).await.unwrap().is_none());
    assert_eq!(lone.get(Backup::PARENT), Field::Null);
    let mut lost = saved(&store, "x", &[("parent_id", "gone".into())]).await;
    assert!(matches!(
        lost.parent(&store).await,
        Err(ObjectError::NotFound { .. })
    ));
    assert!(matches!(
        fresh(admin()).parent(&store).await,
        Err(ObjectError::Action { .. })
    ));
}

async fn imports<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    saved(&store, "a", &[]).await;
    let mut import = BackupImport::new(admin());
    for name in ["id", "user_id", "project_id", "volume_id"] {
        import.assign(name, "a").unwrap();
    }
    assert!(matches!(
        import.create(&store).await,
        Err(ObjectError::Store(StoreError::Duplicate { .. }))
    ));
    assert_eq!(
        get(&store, "a").await.unwrap().class().name,
        "Backup",
        "promoted by loading"
    );
    import.unset(Backup::ID);
    import.create(&store).await.unwrap();
    assert_eq!(import.get(Backup::ID).value().unwrap().len(), 36);
    assert_eq!(import.class().name, "BackupImport");
    import.assign("project_id", "p1").unwrap();
    import.save(&store).await.unwrap();
    import.refresh(&store).await.unwrap();
    assert_eq!(
        import.class().name,
        "BackupImport",
        "refreshing does not promote"
    );
}

async fn comparing_and_swapping<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    // A null number is 0 in the object and so never the same as in the row.
    let mut backup = saved(
        &store,
        "a",
        &[("size", 1.into()), ("object_count", 1.into())],
    )
    .await;
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
            backup.conditional_update(&store, update).await.unwrap(),
            want,
            "{what}"
        );
        let shown = backup.get(Backup::STATUS).value().map(BackupStatus::name) == Some(to);
        assert_eq!(shown, want, "{what}");
        assert!(backup.what_changed().is_empty(), "{what}");
    }
    let other = Some(vec![("fail_reason".to_owned(), Condition::Not("x".into()))]);
    assert!(
        backup
            .conditional_update(&store, ConditionalUpdate::new(status("creating"), other))
            .await
            .unwrap(),
        "null is something else"
    );
    assert_eq!(updated_at(&store, "a").await, Some(Timestamp(2 * DAY)));

    let unchanged = ConditionalUpdate::new(status("available"), None);
    assert!(
        !backup
            .conditional_update(&store, unchanged.clone())
            .await
            .unwrap(),
        "updated_at differs by now"
    );
    backup.refresh(&store).await.unwrap();
    backup.set(Backup::SIZE, 9).unwrap();
    assert!(
        backup.conditional_update(&store, unchanged).await.unwrap(),
        "what is changed here is not compared"
    );
    assert_eq!(backup.what_changed(), ["size"]);
    assert_eq!(
        get(&store, "a").await.unwrap().get(Backup::SIZE),
        Field::Value(1)
    );

    let all = ConditionalUpdate {
        save_all: true,
        ..ConditionalUpdate::new(status("error"), Some(vec![]))
    };
    assert!(backup.conditional_update(&store, all).await.unwrap());
    assert!(backup.what_changed().is_empty());
    assert_eq!(
        get(&store, "a").await.unwrap().get(Backup::SIZE),
        Field::Value(9)
    );

    let silent = ConditionalUpdate {
        reflect: false,
        ..ConditionalUpdate::new(status("available"), Some(vec![]))
    };
    assert!(backup.conditional_update(&store, silent).await.unwrap());
    assert_eq!(
        backup.get(Backup::STATUS),
        Field::Value(BackupStatus::Error)
    );

    let bogus = ConditionalUpdate::new(status("bogus"), Some(vec![]));
    assert!(matches!(
        backup.conditional_update(&store, bogus).await,
        Err(ObjectError::Coerce(_))
    ));
    assert_eq!(
        get(&store, "a").await.unwrap().get(Backup::STATUS),
        Field::Value(BackupStatus::Available),
        "refused before it is written"
    );
    backup.destroy(&store).await.unwrap();
    let late = ConditionalUpdate::new(status("error"), Some(vec![]));
    assert!(
        !backup.conditional_update(&store, late).await.unwrap(),
        "deleted rows stay as they are"
    );
}

async fn orphans<S: Subject>(make: &impl AsyncFn() -> S) {
    let store = begin(make).await;
    let mut orphan = Backup::orphan();
    orphan.assign("id", "x").unwrap();
    orphan.assign("volume_id", "v").unwrap();
    assert!(matches!(
        orphan.save(&store).await,
        Err(ObjectError::Orphaned { .. })
    ));
    assert!(matches!(
        orphan.refresh(&store).await,
        Err(ObjectError::Orphaned { .. })
    ));
    assert!(matches!(
        orphan.destroy(&store).await,
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
        orphan.create(&store).await,
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
