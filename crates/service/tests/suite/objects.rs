//! Cinder's objects over the real catalogue.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering::Relaxed};

use async_trait::async_trait;
use emberkeep_catalog::{Catalog, Change, Row, SqliteCatalog};
use emberkeep_model::{
    Backup as OwnBackup, BackupEvent, BackupId, BackupState, ByteCount, CbrFacts, CinderFacts, Gib,
    Sealed, Timestamp, VolumeId,
};
use emberkeep_objects::conformance::Subject;
use emberkeep_objects::vectors::run_database;
use emberkeep_objects::{
    Backup, BackupList, BackupQuery, BackupRow, BackupStatus, BackupStore, Cell, Column, Context,
    Direction, Field, Filter, Kind, ListQuery, Metadata, ReadDeleted, Selection, StoreError,
    VersionedObject, conformance,
};
use emberkeep_service::{CatalogBackups, Clock};
use proptest::prelude::*;
use uuid::Uuid;

const DAY: i64 = 86_400_000_000;

/// A clock that stands until it is set.
#[derive(Debug, Default)]
struct StillClock(AtomicI64);

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Relaxed))
    }
}

/// An empty catalogue in memory and its clock.
struct Subjected {
    backups: CatalogBackups,
    catalog: Arc<dyn Catalog>,
    clock: Arc<StillClock>,
}

impl Subjected {
    async fn new() -> Self {
        let catalog: Arc<dyn Catalog> =
            Arc::new(SqliteCatalog::in_memory().await.expect("a catalogue"));
        let clock = Arc::new(StillClock::default());
        Self {
            backups: CatalogBackups::with_clock(Arc::clone(&catalog), clock.clone()),
            catalog,
            clock,
        }
    }

    async fn own(&self, id: BackupId) -> OwnBackup {
        let found = self.catalog.backup(id).await.expect("the catalogue");
        found.expect("the row")
    }

    async fn put(&self, backup: &OwnBackup) {
        let change = Change::Insert(Row::Backup(backup.clone()));
        self.catalog.apply(vec![change]).await.expect("insert");
    }
}

impl Subject for Subjected {
    fn set_now(&self, now: Timestamp) {
        self.clock.0.store(now.0, Relaxed);
    }
}

#[async_trait]
impl BackupStore for Subjected {
    fn now(&self) -> Timestamp {
        self.backups.now()
    }

    fn new_id(&self) -> String {
        self.backups.new_id()
    }

    async fn insert(&self, row: BackupRow) -> Result<BackupRow, StoreError> {
        self.backups.insert(row).await
    }

    async fn fetch(&self, id: &str) -> Result<Option<BackupRow>, StoreError> {
        self.backups.fetch(id).await
    }

    async fn update(
        &self,
        which: &Selection,
        changes: &[(Column, Cell)],
    ) -> Result<u64, StoreError> {
        self.backups.update(which, changes).await
    }

    async fn soft_delete(&self, which: &Selection, now: Timestamp) -> Result<(), StoreError> {
        self.backups.soft_delete(which, now).await
    }

    async fn replace_metadata(
        &self,
        id: &str,
        metadata: &Metadata,
    ) -> Result<Metadata, StoreError> {
        self.backups.replace_metadata(id, metadata).await
    }

    async fn list(&self, query: &BackupQuery) -> Result<Vec<BackupRow>, StoreError> {
        self.backups.list(query).await
    }
}

#[tokio::test]
async fn the_catalogue_conforms() {
    conformance::run(Subjected::new).await;
}

#[tokio::test]
async fn the_catalogue_does_what_was_recorded() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."));
    let named = std::env::var_os("EMBERKEEP_VECTORS");
    let folder = root.join(named.unwrap_or_else(|| "tests/vectors/cinder".into()));
    let results = run_database(&folder, Subjected::new)
        .await
        .expect("vectors");
    let passed: usize = results.iter().map(|result| result.passed).sum();
    let failures: Vec<&String> = results.iter().flat_map(|result| &result.failures).collect();
    println!("{passed} passed, {} failed", failures.len());
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(passed > 0, "no entries in {}", folder.display());
}

/// One of our own, complete.
fn own() -> OwnBackup {
    let sealed = Sealed {
        at: Timestamp(DAY),
        read: ByteCount(1 << 30),
        data: ByteCount(5000),
        new: ByteCount(4000),
        stored: ByteCount(3000),
    };
    OwnBackup {
        id: BackupId(Uuid::from_u128(7)),
        project_id: "p1".parse().expect("a project"),
        user_id: "u".parse().expect("a user"),
        volume_id: VolumeId(Uuid::from_u128(8)),
        volume_name: Some("disk".to_owned()),
        snapshot_id: None,
        vault_id: None,
        checkpoint_id: None,
        parent_id: Some(BackupId(Uuid::from_u128(6))),
        name: Some("nightly".to_owned()),
        description: None,
        container: Some("c".to_owned()),
        availability_zone: Some("nova".to_owned()),
        metadata: [("k".to_owned(), "v".to_owned())].into(),
        size: Gib(3),
        automatic: true,
        state: BackupState::Available(sealed),
        fail_reason: Some("once".to_owned()),
        restore_volume_id: None,
        data_timestamp: Timestamp(DAY),
        created_at: Timestamp(DAY),
        updated_at: None,
        deleted_at: None,
        damage: None,
        content: None,
        cinder: CinderFacts::default(),
        cbr: CbrFacts::default(),
        revision: 0,
    }
}

fn admin() -> Context {
    Context::admin("u", "p1")
}

#[tokio::test]
async fn our_own_rows_are_seen_and_survive_an_object() {
    let subject = Subjected::new().await;
    let before = own();
    subject.put(&before).await;
    let id = before.id.to_string();
    let mut object = Backup::get_by_id(&subject, &admin(), &id)
        .await
        .expect("seen");
    assert_eq!(
        object.get(Backup::STATUS),
        Field::Value(BackupStatus::Available)
    );
    assert_eq!(object.get(Backup::HOST), Field::Value("emberkeep"));
    assert_eq!(object.get(Backup::SIZE), Field::Value(3));
    assert_eq!(
        object.get(Backup::SERVICE_METADATA),
        Field::Value(format!("emberkeep/p1/{id}").as_str())
    );
    assert!(object.is_incremental().expect("a parent id"));

    subject.set_now(Timestamp(2 * DAY));
    for (name, value) in [
        ("temp_volume_id", "T"),
        ("service_metadata", "elsewhere"),
        ("volume_id", "no UUID"),
        ("display_name", "weekly"),
    ] {
        object.assign(name, value).expect(name);
    }
    object.save(&subject).await.expect("saved");
    let after = subject.own(before.id).await;
    assert_eq!(after.name.as_deref(), Some("weekly"));
    assert_eq!(after.volume_id, before.volume_id, "ours stays a volume");
    let mut wanted = before.clone();
    wanted.name = after.name.clone();
    wanted.updated_at = Some(Timestamp(2 * DAY));
    wanted.revision = 1;
    wanted.cinder = after.cinder.clone();
    assert_eq!(after, wanted, "nothing else changed");
    let again = Backup::get_by_id(&subject, &admin(), &id)
        .await
        .expect("seen");
    assert_eq!(again.get(Backup::VOLUME_ID), Field::Value("no UUID"));
    assert_eq!(again.get(Backup::TEMP_VOLUME_ID), Field::Value("T"));
    assert_eq!(
        again.get(Backup::SERVICE_METADATA),
        Field::Value("elsewhere")
    );

    let mut renamed = again;
    renamed
        .set(Backup::VOLUME_ID, before.volume_id.to_string())
        .expect("a volume");
    renamed
        .set(Backup::SERVICE_METADATA, format!("emberkeep/p1/{id}"))
        .expect("a place");
    renamed.save(&subject).await.expect("saved");
    assert!(
        subject.own(before.id).await.cinder.columns.is_empty(),
        "nothing to keep beside"
    );
}

#[tokio::test]
async fn an_object_says_of_content_only_what_is_true() {
    let subject = Subjected::new().await;
    subject.set_now(Timestamp(DAY));
    let mut object = Backup::new(admin());
    for (name, value) in [
        ("user_id", "u"),
        ("project_id", "p1"),
        ("volume_id", "v"),
        ("status", "creating"),
    ] {
        object.assign(name, value).expect(name);
    }
    object.create(&subject).await.expect("created");
    let id: BackupId = object
        .get(Backup::ID)
        .value()
        .expect("an id")
        .parse()
        .expect("a UUID");
    assert_eq!(subject.own(id).await.state, BackupState::Queued);
    object
        .set(Backup::STATUS, BackupStatus::Available)
        .expect("a status");
    object.save(&subject).await.expect("saved");
    assert_eq!(
        subject.own(id).await.state,
        BackupState::Queued,
        "there is no content"
    );
    let seen = Backup::get_by_id(&subject, &admin(), &id.to_string())
        .await
        .expect("seen");
    assert_eq!(
        seen.get(Backup::STATUS),
        Field::Value(BackupStatus::Available)
    );

    // What happens here afterwards is newer than what was said.
    let mut own = subject.own(id).await;
    let reason = "no room".to_owned();
    own.take(BackupEvent::Stopped { reason }, Timestamp(2 * DAY))
        .expect("fails");
    subject
        .catalog
        .apply(vec![Change::Save(Row::Backup(own))])
        .await
        .expect("saved");
    let seen = Backup::get_by_id(&subject, &admin(), &id.to_string())
        .await
        .expect("seen");
    assert_eq!(seen.get(Backup::STATUS), Field::Value(BackupStatus::Error));
    assert_eq!(seen.get(Backup::FAIL_REASON), Field::Value("no room"));
}

#[tokio::test]
async fn objects_fail_and_end_backups_as_an_administrator_does() {
    let subject = Subjected::new().await;
    let before = own();
    subject.put(&before).await;
    let id = before.id.to_string();
    let mut object = Backup::get_by_id(&subject, &admin(), &id)
        .await
        .expect("seen");
    object
        .set(Backup::STATUS, BackupStatus::Error)
        .expect("a status");
    object.save(&subject).await.expect("saved");
    assert!(matches!(
        subject.own(before.id).await.state,
        BackupState::Failed { .. }
    ));
    subject.set_now(Timestamp(3 * DAY));
    object.destroy(&subject).await.expect("destroyed");
    let after = subject.own(before.id).await;
    assert_eq!(after.state, BackupState::Deleted);
    assert_eq!(after.deleted_at, Some(Timestamp(3 * DAY)));
}

#[tokio::test]
async fn racing_writers_lose_nothing() {
    let subject = Arc::new(Subjected::new().await);
    let mut row = BackupRow {
        id: Uuid::from_u128(1).to_string(),
        ..BackupRow::default()
    };
    for (name, text) in [("user_id", "u"), ("project_id", "p1"), ("volume_id", "v")] {
        row.set(
            Column::named(name).expect(name),
            Cell::Text(text.to_owned()),
        );
    }
    row.size = Some(0);
    subject.insert(row.clone()).await.expect("inserted");
    let mut writers = tokio::task::JoinSet::new();
    for n in 0..8 {
        let (subject, id) = (Arc::clone(&subject), row.id.clone());
        writers.spawn(async move {
            let object = |size: i64| {
                let expected = vec![(
                    "size".to_owned(),
                    emberkeep_objects::Condition::Is(size.into()),
                )];
                let values = vec![("size".to_owned(), (size + 1).into())];
                emberkeep_objects::ConditionalUpdate::new(values, Some(expected))
            };
            let mut won = 0;
            while won < 5 {
                let mut backup = Backup::get_by_id(&*subject, &admin(), &id)
                    .await
                    .expect("seen");
                let size = backup.get(Backup::SIZE).value().expect("a size");
                won += u32::from(
                    backup
                        .conditional_update(&*subject, object(size))
                        .await
                        .expect("asked"),
                );
            }
            n
        });
    }
    writers.join_all().await;
    let row = subject
        .fetch(&row.id)
        .await
        .expect("the catalogue")
        .expect("the row");
    assert_eq!(row.size, Some(40), "each won five times");
}

#[tokio::test]
async fn pages_of_a_long_list_are_those_of_the_whole() {
    let subject = Subjected::new().await;
    let mut changes = Vec::new();
    for n in 0..1300_u32 {
        let mut backup = own();
        backup.id = BackupId(Uuid::from_u128(
            u128::from(n.wrapping_mul(2_654_435_761)) + 1,
        ));
        // Many of one instant, across the edges of what is read at a time.
        backup.created_at = Timestamp(DAY + i64::from(n / 300));
        backup.parent_id = None;
        changes.push(Change::Insert(Row::Backup(backup)));
    }
    subject.catalog.apply(changes).await.expect("inserted");
    for dirs in [vec![], vec!["asc".to_owned()]] {
        let mut query = ListQuery {
            sort_keys: dirs.iter().map(|_| "created_at".to_owned()).collect(),
            sort_dirs: dirs.clone(),
            ..ListQuery::default()
        };
        let ids = async |query: &ListQuery| -> Vec<String> {
            let list = BackupList::get_all(&subject, &admin(), query)
                .await
                .expect("a list");
            list.iter()
                .map(|backup| backup.get(Backup::ID).value().expect("an id").to_owned())
                .collect()
        };
        let all = ids(&query).await;
        assert_eq!(all.len(), 1300);
        query.limit = Some(450);
        let mut paged = Vec::new();
        loop {
            let page = ids(&query).await;
            let Some(last) = page.last() else { break };
            query.marker = Some(last.clone());
            paged.extend(page);
        }
        assert_eq!(paged, all, "{dirs:?}");
    }
}

/// What a column of Cinder's table may hold.
fn cell(column: Column) -> BoxedStrategy<Cell> {
    let null = Just(Cell::Null);
    let id = any::<u128>().prop_map(|id| Cell::Text(Uuid::from_u128(id).to_string()));
    match (column.name(), column.kind()) {
        ("project_id" | "user_id", _) => "[a-zA-Z0-9_-]{1,32}".prop_map(Cell::Text).boxed(),
        ("created_at", _) => any::<i32>()
            .prop_map(|at| Cell::Time(Timestamp(at.into())))
            .boxed(),
        ("id" | "volume_id", _) => prop_oneof![id, ".{1,12}".prop_map(Cell::Text)].boxed(),
        (_, Kind::Int) => prop_oneof![
            null,
            any::<i64>().prop_map(Cell::Int),
            (0..9_i64).prop_map(Cell::Int)
        ]
        .boxed(),
        ("deleted", _) => any::<bool>().prop_map(Cell::Bool).boxed(),
        (_, Kind::Bool) => prop_oneof![null, any::<bool>().prop_map(Cell::Bool)].boxed(),
        (_, Kind::Time) => prop_oneof![
            null,
            any::<i32>().prop_map(|at| Cell::Time(Timestamp(at.into())))
        ]
        .boxed(),
        (_, Kind::Enum(words)) => {
            let word = proptest::sample::select(words).prop_map(|word| Cell::Text(word.to_owned()));
            prop_oneof![null, word, Just(Cell::Text("odd".to_owned()))].boxed()
        }
        _ => prop_oneof![null, id, ".{0,12}".prop_map(Cell::Text)].boxed(),
    }
}

fn row() -> impl Strategy<Value = BackupRow> {
    let cells: Vec<_> = Column::all()
        .map(|column| (Just(column), cell(column)))
        .collect();
    let pairs = proptest::collection::vec((".{0,6}", ".{0,6}"), 0..3);
    (cells, pairs).prop_map(|(cells, pairs)| {
        let mut row = BackupRow::default();
        for (column, cell) in cells {
            assert!(row.set(column, cell), "{}", column.name());
        }
        row.num_dependent_backups.get_or_insert(0);
        row.metadata = pairs.into_iter().collect();
        row
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// Whatever Cinder's table can hold comes back as it was, when it was added and when it was written over.
    #[test]
    fn rows_come_back_as_they_were(first in row(), mut second in row()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let subject = Subjected::new().await;
            prop_assert_eq!(&subject.insert(first.clone()).await.expect("inserted"), &first);
            prop_assert_eq!(subject.fetch(&first.id).await.expect("asked"), Some(first.clone()));
            second.id = first.id.clone();
            let which = Selection {
                read_deleted: ReadDeleted::Yes,
                filters: vec![Filter::Is(Column::named("id").expect("a column"), Cell::Text(first.id.clone()))],
            };
            let changes: Vec<_> = Column::all().map(|column| (column, second.cell(column))).collect();
            prop_assert_eq!(subject.update(&which, &changes).await.expect("updated"), 1);
            second.metadata = first.metadata.clone();
            prop_assert_eq!(subject.fetch(&first.id).await.expect("asked"), Some(second.clone()));
            let all = BackupQuery {
                selection: Selection { read_deleted: ReadDeleted::Yes, filters: Vec::new() },
                order: vec![(Column::named("size").expect("a column"), Direction::Ascending)],
                ..BackupQuery::default()
            };
            prop_assert_eq!(subject.list(&all).await.expect("listed"), vec![second]);
            Ok(())
        })?;
    }
}
