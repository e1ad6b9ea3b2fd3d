//! Our views, refusals and links against answers recorded from Cinder 29.0.0.

use std::collections::BTreeMap;

use emberkeep_model::command::{NewBackup, RestoreTo};
use emberkeep_model::{
    Backup, BackupId, BackupState, ByteCount, Gib, Sealed, SnapshotId, VolumeId,
};
use emberkeep_wire::cinder::{
    BackupDetail, BackupSummary, Fault, Json, Listing, Microversion, Resource, RestoreStarted,
    Site, Versions, backup_edit, new_backup, restore_to,
};
use emberkeep_wire::time::parse;
use serde::Serialize;

const BASE: &str = "http://volume.example.test:8776";

/// One exchange.
struct Exchange(Json);

impl Exchange {
    fn all() -> Vec<Self> {
        let Json::List(items) =
            Json::read(include_bytes!("../data/cinder_rest.json")).expect("is JSON")
        else {
            panic!("is a list")
        };
        items.into_iter().map(Self).collect()
    }

    fn named(name: &str) -> Self {
        let found = Self::all().into_iter().find(|one| one.name() == name);
        found.unwrap_or_else(|| panic!("nothing is called {name}"))
    }

    fn name(&self) -> &str {
        self.0.get("name").and_then(Json::text).expect("has a name")
    }

    fn request(&self, key: &str) -> &Json {
        self.0
            .get("request")
            .and_then(|r| r.get(key))
            .expect("is in the request")
    }

    fn version(&self) -> Microversion {
        let header = self
            .request("microversion")
            .text()
            .map(|text| format!("volume {text}"));
        Microversion::from_header(header.as_deref()).expect("is one of ours")
    }

    fn admin(&self) -> bool {
        self.request("as").text() == Some("admin")
    }

    fn body(&self) -> &Json {
        self.0
            .get("response")
            .and_then(|r| r.get("body"))
            .expect("has a body")
    }

    fn project(&self) -> &str {
        self.request("path")
            .text()
            .and_then(|path| path.split('/').nth(2))
            .expect("names one")
    }

    fn site(&self) -> Site {
        Site {
            base: BASE.to_owned(),
            project: Some(self.project().to_owned()),
        }
    }
}

/// What we would send, as a value that remembers its order.
fn sent(answer: &impl Serialize) -> Json {
    Json::read(&serde_json::to_vec(answer).expect("serialises")).expect("is JSON")
}

fn wrapped(key: &str, answer: &impl Serialize) -> Json {
    Json::Object(vec![(key.to_owned(), sent(answer))])
}

fn text(view: &Json, key: &str) -> Option<String> {
    view.get(key).and_then(Json::text).map(str::to_owned)
}

/// Makes the backup that a recorded view shows.
fn backup(view: &Json, project: &str) -> Backup {
    let time = |key| text(view, key).map(|t| parse(&t).expect("is a time"));
    let at = time("created_at").expect("has one");
    let sealed = Sealed {
        at,
        read: ByteCount(0),
        data: ByteCount(0),
        new: ByteCount(0),
        stored: ByteCount(0),
    };
    let id: BackupId = text(view, "id")
        .expect("has one")
        .parse()
        .expect("is an id");
    Backup {
        id,
        project_id: text(view, "os-backup-project-attr:project_id")
            .unwrap_or_else(|| project.to_owned())
            .parse()
            .expect("is an id"),
        user_id: text(view, "user_id")
            .unwrap_or_else(|| "u".to_owned())
            .parse()
            .expect("is an id"),
        volume_id: text(view, "volume_id")
            .expect("has one")
            .parse()
            .expect("is an id"),
        volume_name: None,
        snapshot_id: text(view, "snapshot_id")
            .map(|id| id.parse::<SnapshotId>().expect("is an id")),
        vault_id: None,
        checkpoint_id: None,
        parent_id: (view.get("is_incremental") == Some(&Json::Bool(true))).then_some(id),
        name: text(view, "name"),
        description: text(view, "description"),
        container: text(view, "container"),
        availability_zone: text(view, "availability_zone"),
        metadata: view
            .get("metadata")
            .and_then(Json::members)
            .unwrap_or_default()
            .iter()
            .map(|(k, v)| (k.clone(), v.text().expect("is text").to_owned()))
            .collect::<BTreeMap<_, _>>(),
        size: match view.get("size") {
            Some(Json::Int(size)) => Gib(u32::try_from(*size).expect("fits")),
            other => panic!("{other:?} is no size"),
        },
        automatic: false,
        state: match text(view, "status").as_deref() {
            Some("creating") => BackupState::Copying,
            Some("available") => BackupState::Available(sealed),
            other => panic!("{other:?} is not recorded"),
        },
        fail_reason: text(view, "fail_reason"),
        restore_volume_id: None,
        data_timestamp: time("data_timestamp").expect("has one"),
        created_at: at,
        updated_at: time("updated_at"),
        deleted_at: None,
        damage: None,
        content: None,
        cinder: Default::default(),
        cbr: Default::default(),
        revision: 0,
    }
}

/// Puts in what is always so with us: content is shared, and nothing depends on a backup.
fn as_ours(mut view: Json) -> Json {
    let Json::Object(members) = &mut view else {
        panic!("is an object")
    };
    for (key, value) in members {
        match key.as_str() {
            "object_count" => *value = Json::Int(0),
            "has_dependent_backups" => *value = Json::Bool(false),
            _ => {}
        }
    }
    view
}

#[test]
fn backups_look_as_recorded_at_every_microversion() {
    let mut seen = 0;
    for one in Exchange::all() {
        let Some(view) = one
            .body()
            .get("backup")
            .filter(|view| view.get("status").is_some())
        else {
            continue;
        };
        let backup = backup(view, one.project());
        let ours = BackupDetail::new(&backup, &one.site(), one.version(), one.admin());
        assert_eq!(
            sent(&ours).repr(),
            as_ours(view.clone()).repr(),
            "{}",
            one.name()
        );
        seen += 1;
    }
    assert!(seen >= 6, "only {seen} views were recorded");
}

#[test]
fn lists_of_backups_look_as_recorded() {
    let mut seen = 0;
    for one in Exchange::all() {
        let Some(Json::List(items)) = one.body().get("backups") else {
            continue;
        };
        let path = one.request("path").text().expect("is text");
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let listing = Listing::parse(query, Resource::Backup, one.version(), false)
            .expect("the query is good");
        let last = items.last().and_then(|item| text(item, "id"));
        let collection = path
            .split_once(one.project())
            .expect("names it")
            .1
            .trim_start_matches('/');
        let detail = collection.ends_with("detail");
        let views: Vec<_> = items
            .iter()
            .map(|item| {
                if detail {
                    let backup = backup(item, one.project());
                    let ours = BackupDetail::new(&backup, &one.site(), one.version(), false);
                    assert_eq!(sent(&ours), as_ours(item.clone()));
                    // Its own members are compared above; what follows is the page around them.
                    serde_json::Value::Null
                } else {
                    serde_json::to_value(item_summary(item, &one)).expect("serialises")
                }
            })
            .collect();
        let page = sent(&listing.page(
            Resource::Backup,
            collection,
            views,
            last.as_deref(),
            None,
            &one.site(),
        ));
        assert_eq!(
            page.get("backups_links"),
            one.body().get("backups_links"),
            "{}",
            one.name()
        );
        let keys = |json: &Json| {
            json.members()
                .expect("is an object")
                .iter()
                .map(|(k, _)| k.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(keys(&page), keys(one.body()), "{}", one.name());
        seen += 1;
    }
    assert!(seen >= 5, "only {seen} lists were recorded");
}

fn item_summary(item: &Json, one: &Exchange) -> BackupSummary {
    let mut full = backup(
        &Exchange::named("show while creating")
            .body()
            .get("backup")
            .expect("is there")
            .clone(),
        one.project(),
    );
    full.id = text(item, "id")
        .expect("has one")
        .parse()
        .expect("is an id");
    full.name = text(item, "name");
    let summary = BackupSummary::new(&full, &one.site());
    assert_eq!(sent(&summary).repr(), item.repr(), "{}", one.name());
    summary
}

#[test]
fn bad_requests_for_backups_are_refused_as_recorded() {
    for name in [
        "create: no volume_id",
        "create: volume_id not uuid",
        "create: extra key",
        "create: name too long",
    ] {
        let one = Exchange::named(name);
        let fault = new_backup(one.request("body"), one.version()).expect_err(name);
        assert_eq!(sent(&fault).repr(), one.body().repr(), "{name}");
    }
}

#[test]
fn recorded_requests_for_backups_are_read() {
    let volume: VolumeId = "b5578821-5a02-435d-9b3a-ef5b91b65eb7"
        .parse()
        .expect("is an id");
    let full = Exchange::named("create full (worker has not run)");
    let read = new_backup(full.request("body"), full.version()).expect("is good");
    assert_eq!(
        read,
        NewBackup {
            volume_id: volume,
            snapshot_id: None,
            name: Some("full one".to_owned()),
            description: Some("first".to_owned()),
            container: None,
            availability_zone: None,
            incremental: false,
            force: false,
            metadata: BTreeMap::new(),
        }
    );
    let next = Exchange::named("create incremental");
    let read = new_backup(next.request("body"), next.version()).expect("is good");
    assert!(read.incremental, "the word for true is read");
    let forced = Exchange::named("create with force and metadata");
    let read = new_backup(forced.request("body"), forced.version()).expect("is good");
    assert!(read.force);
    assert_eq!(read.name, None);
    assert_eq!(
        read.metadata,
        BTreeMap::from([("a b".to_owned(), "c:d".to_owned())])
    );
    assert_eq!(read.availability_zone.as_deref(), Some("nova"));
    let below = new_backup(forced.request("body"), Microversion::v3(42)).expect_err("early");
    assert!(
        below.message.ends_with(
            "Additional properties are not allowed ('availability_zone', 'metadata' were unexpected)"
        ),
        "{below}"
    );

    let renamed = Exchange::named("update at 3.9");
    let read = backup_edit(renamed.request("body"), renamed.version()).expect("is good");
    assert_eq!(read.name, Some(Some("renamed".to_owned())));
    assert_eq!(read.description, Some(Some("d2".to_owned())));
    assert_eq!(read.metadata, None);
    let restore = Exchange::named("restore to a new volume");
    let read = restore_to(restore.request("body"), restore.version()).expect("is good");
    assert_eq!(read, RestoreTo::New { name: None });
    let answer = restore.body().get("restore").expect("is there");
    let started = RestoreStarted::new(
        text(answer, "backup_id")
            .expect("has one")
            .parse()
            .expect("is an id"),
        text(answer, "volume_id")
            .expect("has one")
            .parse()
            .expect("is an id"),
        text(answer, "volume_name").as_deref(),
    );
    assert_eq!(wrapped("restore", &started).repr(), restore.body().repr());
}

#[test]
fn malformed_bodies_are_refused() {
    let read = |body: &str| Json::read(body.as_bytes()).expect(body);
    let volume = "b5578821-5a02-435d-9b3a-ef5b91b65eb7";
    for (body, want) in [
        ("[]".to_owned(), "[] is not of type 'object'".to_owned()),
        ("{}".to_owned(), "'backup' is a required property".to_owned()),
        (
            r#"{"backup": null}"#.to_owned(),
            "Invalid input for field/attribute backup. Value: None. None is not of type 'object'".to_owned(),
        ),
        (
            format!(r#"{{"backup": {{"volume_id": "{volume}"}}, "x": 1}}"#),
            "Additional properties are not allowed ('x' was unexpected)".to_owned(),
        ),
        (
            format!(r#"{{"backup": {{"volume_id": "{volume}", "force": null}}}}"#),
            "Invalid input for field/attribute force. Value: None. None is not of type 'boolean', 'string'".to_owned(),
        ),
    ] {
        let fault = new_backup(&read(&body), Microversion::MAX).expect_err(&body);
        assert_eq!(fault, Fault::bad_request(want), "{body}");
    }
}

#[test]
fn the_version_document_is_as_recorded() {
    let one = Exchange::named("version root");
    let ours = Versions::at(&Site {
        base: BASE.to_owned(),
        project: None,
    });
    assert_eq!(sent(&ours).repr(), one.body().repr());
}
