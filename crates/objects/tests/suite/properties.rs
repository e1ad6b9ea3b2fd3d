//! Laws that hold for all objects and all input.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use emberkeep_objects::{
    AnyObject, Backup, BackupList, Context, DateTime, Dict, Json, JsonError, Kind, Manifest,
    Metadata, ObjectError, ObjectSerializer, PrimitiveError, Value, VersionedObject, class_named,
    decode_record,
};
use proptest::prelude::*;

const VERSIONS: [&str; 8] = ["1.0", "1.1", "1.2", "1.3", "1.4", "1.5", "1.6", "1.7"];

fn context() -> Option<Context> {
    Some(Context::admin("u", "p"))
}

fn time() -> impl Strategy<Value = String> {
    let zone = prop_oneof![
        Just("Z".to_owned()),
        "[+-](0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]"
    ];
    ("[0-9]{3}[1-9]-(0[1-9]|1[0-2])-(0[1-9]|1[0-9]|2[0-8])T(0[0-9]|1[0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]", zone)
        .prop_map(|(time, zone)| time + &zone)
}

fn metadata() -> impl Strategy<Value = Json> {
    proptest::collection::vec((".{0,6}", ".{0,6}"), 0..4).prop_map(|pairs| {
        let pairs = pairs.into_iter().map(|(key, text)| (key, Json::Text(text)));
        Json::Dict(pairs.collect())
    })
}

/// A primitive of what a field of a backup may hold; null now and then.
fn held(kind: Kind, nullable: bool) -> BoxedStrategy<Json> {
    let value = match kind {
        Kind::Text | Kind::Uuid => ".{0,12}".prop_map(Json::Text).boxed(),
        Kind::Int => any::<i64>().prop_map(Json::from).boxed(),
        Kind::Bool => any::<bool>().prop_map(Json::from).boxed(),
        Kind::Time => time().prop_map(Json::Text).boxed(),
        Kind::Dict => metadata().boxed(),
        Kind::Enum(words) => proptest::sample::select(words).prop_map(Json::from).boxed(),
        Kind::Object(_) | Kind::Objects(_) => Just(Json::Null).boxed(),
    };
    if nullable {
        prop_oneof![1 => Just(Json::Null), 4 => value].boxed()
    } else {
        value
    }
}

/// The fields of a backup, each set or not.
fn data(all_set: bool) -> impl Strategy<Value = Dict> {
    let fields: Vec<_> = class_named("Backup")
        .unwrap()
        .fields
        .iter()
        .map(|field| {
            let set = if all_set {
                Just(true).boxed()
            } else {
                any::<bool>().boxed()
            };
            (Just(field.name), set, held(field.kind, field.nullable))
        })
        .collect();
    fields.prop_map(|fields| {
        let set = fields.into_iter().filter(|(_, set, _)| *set);
        set.map(|(name, _, value)| (name.to_owned(), value))
            .collect()
    })
}

fn primitive(version: &str, data: Dict, changes: &[&str]) -> Json {
    let mut json = Dict::new();
    json.insert("versioned_object.name", "Backup");
    json.insert("versioned_object.namespace", "cinder");
    json.insert("versioned_object.version", version);
    json.insert("versioned_object.data", data);
    if !changes.is_empty() {
        json.insert(
            "versioned_object.changes",
            Json::List(changes.iter().copied().map(Json::from).collect()),
        );
    }
    Json::Dict(json)
}

fn backup(version: &str, with_parent: bool) -> impl Strategy<Value = Json> {
    let version = version.to_owned();
    let changes = proptest::sample::subsequence(vec!["size", "host", "status", "zzz"], 0..4);
    (data(false), data(false), changes).prop_map(move |(mut own, parent, changes)| {
        if with_parent && own.get("parent").is_some() {
            own.insert("parent", primitive("1.7", parent, &[]));
        }
        primitive(&version, own, &changes)
    })
}

/// Classes and the newest version of each.
const CLASSES: [&str; 6] = [
    "Backup",
    "BackupImport",
    "BackupDeviceInfo",
    "BackupList",
    "Volume",
    "Snapshot",
];

/// A primitive of any class at any of its versions, objects in it two levels deep.
fn any_class(class: &'static str, depth: u32) -> BoxedStrategy<Json> {
    let info = class_named(class).unwrap();
    let fields: Vec<_> = info
        .fields
        .iter()
        .map(|field| {
            // Cinder itself cannot read a volume back whose metadata is null.
            let nullable = field.nullable && !field.name.ends_with("metadata");
            let value = match field.kind {
                Kind::Object(name) if depth < 2 && CLASSES.contains(&name) => {
                    prop_oneof![Just(Json::Null), any_class(name, depth + 1)].boxed()
                }
                Kind::Objects(name) if depth < 2 && CLASSES.contains(&name) => {
                    proptest::collection::vec(any_class(name, depth + 1), 0..3)
                        .prop_map(Json::List)
                        .boxed()
                }
                Kind::Object(_) => Just(Json::Null).boxed(),
                Kind::Objects(_) => Just(Json::List(Vec::new())).boxed(),
                kind => held(kind, nullable),
            };
            // What Cinder sets when it makes such an object is set whatever the primitive says.
            let always = matches!(
                (class, field.name),
                ("Snapshot", "metadata") | ("BackupList", "objects")
            );
            (
                Just(field),
                any::<bool>().prop_map(move |set| set || always),
                value,
            )
        })
        .collect();
    let newest: u32 = info.version.split_once('.').unwrap().1.parse().unwrap();
    (fields, 0..=newest)
        .prop_map(move |(fields, minor)| {
            let set = fields
                .into_iter()
                .filter(|(field, set, value)| *set && (field.nullable || *value != Json::Null));
            let data = set.map(|(field, _, value)| (field.name.to_owned(), value));
            let mut json = primitive(&format!("1.{minor}"), data.collect(), &[]);
            let dict = json.as_dict_mut().unwrap();
            dict.insert("versioned_object.name", class);
            json
        })
        .boxed()
}

/// Metadata that a backup came with counts as changed, so what is written says more than what was read.
fn without_changes(json: &Json) -> Json {
    match json {
        Json::Dict(dict) => {
            let kept = dict
                .iter()
                .filter(|(key, _)| *key != "versioned_object.changes");
            Json::Dict(
                kept.map(|(key, value)| (key.to_owned(), without_changes(value)))
                    .collect(),
            )
        }
        Json::List(items) => Json::List(items.iter().map(without_changes).collect()),
        other => other.clone(),
    }
}

/// JSON of any shape, with a liking for the words of primitives.
fn any_json() -> impl Strategy<Value = Json> {
    let word = proptest::sample::select(vec![
        "versioned_object.name",
        "versioned_object.namespace",
        "versioned_object.version",
        "versioned_object.data",
        "versioned_object.changes",
        "Backup",
        "BackupList",
        "BackupDeviceInfo",
        "Volume",
        "Snapshot",
        "VolumeType",
        "cinder",
        "1.7",
        "1.0",
        "id",
        "size",
        "parent",
        "metadata",
        "objects",
        "status",
        "created_at",
        "volume",
        "snapshot",
        "2024-01-01T00:00:00Z",
        "available",
    ])
    .prop_map(str::to_owned);
    let text = prop_oneof![3 => word, 1 => ".{0,8}"].boxed();
    let leaf = prop_oneof![
        Just(Json::Null),
        any::<bool>().prop_map(Json::Bool),
        any::<i128>().prop_map(Json::Int),
        any::<f64>().prop_map(Json::Float),
        text.clone().prop_map(Json::Text),
    ];
    leaf.prop_recursive(5, 64, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Json::List),
            proptest::collection::vec((text.clone(), inner.clone()), 0..6)
                .prop_map(|pairs| Json::Dict(pairs.into_iter().collect())),
            // Something that is nearly a primitive.
            (
                text.clone(),
                text.clone(),
                proptest::collection::vec((text.clone(), inner), 0..5)
            )
                .prop_map(|(name, version, data)| {
                    let mut json = primitive(&version, data.into_iter().collect(), &[]);
                    json.as_dict_mut()
                        .unwrap()
                        .insert("versioned_object.name", Json::Text(name));
                    json
                }),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn primitives_come_back(n in 0..VERSIONS.len(), json in (0..VERSIONS.len()).prop_flat_map(|n| backup(VERSIONS[n], true))) {
        let object = AnyObject::from_primitive(&json, context().as_ref()).unwrap();
        let written = object.to_primitive();
        prop_assert_eq!(without_changes(&written), without_changes(&json));
        prop_assert_eq!(&AnyObject::from_primitive(&written, context().as_ref()).unwrap(), &object);

        let manifest: Manifest = [("Backup".to_owned(), VERSIONS[n].to_owned())].into();
        let target = VERSIONS[n].min(object.version());
        let older = object.to_primitive_for(Some(target), Some(&manifest)).unwrap();
        let read = AnyObject::from_primitive(&older, context().as_ref()).unwrap();
        prop_assert_eq!(read.version(), target);
        prop_assert_eq!(read.set_fields(), object.set_fields());
    }

    #[test]
    fn every_class_comes_back_at_every_version(
        json in proptest::sample::select(&CLASSES[..]).prop_flat_map(|class| any_class(class, 0)),
        minor in 0..10_u32,
    ) {
        let object = AnyObject::from_primitive(&json, context().as_ref()).unwrap();
        let written = object.to_primitive();
        prop_assert_eq!(without_changes(&written), without_changes(&json));
        prop_assert_eq!(&AnyObject::from_primitive(&written, context().as_ref()).unwrap(), &object);
        let target = format!("1.{minor}");
        let manifest: Manifest = CLASSES.map(|class| (class.to_owned(), "1.0".to_owned())).into();
        if let Ok(older) = object.to_primitive_for(Some(&target), Some(&manifest)) {
            let read = AnyObject::from_primitive(&older, context().as_ref()).unwrap();
            prop_assert_eq!(read.version(), target.as_str());
            prop_assert_eq!(read.set_fields(), object.set_fields());
        } else {
            let own: u32 = object.version().split_once('.').unwrap().1.parse().unwrap();
            prop_assert!(minor > own, "{} of {}", target, object.version());
        }
    }

    #[test]
    fn records_come_back(data in data(true), extra in ".{0,8}") {
        let backup = Backup::from_primitive(&primitive("1.7", data.clone(), &[]), None).unwrap();
        let mut more = Dict::new();
        more.insert("driver_info", Dict::new());
        more.insert("id", extra.as_str());
        let record = backup.encode_record(&more).unwrap();
        let mut read = decode_record(&record).unwrap().as_dict().unwrap().clone();
        prop_assert!(read.remove("driver_info").is_some());
        let mut wanted = data;
        wanted.remove("parent");
        prop_assert_eq!(read, wanted);
    }

    #[test]
    fn junk_between_does_not_matter(data in data(true), junk in "[ \n*_.-]{1,3}", at in any::<prop::sample::Index>()) {
        let backup = Backup::from_primitive(&primitive("1.7", data, &[]), None).unwrap();
        let record = backup.encode_record(&Dict::new()).unwrap();
        let (head, tail) = record.split_at(at.index(record.len()));
        prop_assert_eq!(decode_record(&format!("{head}{junk}{tail}")), decode_record(&record));
    }

    #[test]
    fn messages_come_back(json in backup("1.7", true)) {
        let serializer = ObjectSerializer::new(Some("1.38")).unwrap();
        let mut message = Dict::new();
        message.insert("backup", json.clone());
        message.insert("n", 1);
        let value = serializer.deserialize(message.into(), context().as_ref()).unwrap();
        let written = serializer.serialize(&value).unwrap();
        let mut written = without_changes(written.get("backup").unwrap());
        written.as_dict_mut().unwrap().insert("versioned_object.version", "1.7");
        prop_assert_eq!(written, without_changes(&json));
    }

    #[test]
    fn json_comes_back(json in any_json()) {
        let read = Json::parse(&json.to_string()).unwrap();
        prop_assert_eq!(read.to_string(), json.to_string());
    }

    #[test]
    fn any_text_is_read_or_refused(text in ".{0,40}", bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
        let _ = Json::parse(&text);
        let _ = decode_record(&text);
        let _ = DateTime::parse(&text);
        let _ = decode_record(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn near_json_is_read_or_refused(text in "[\\[\\]{}:,\"a\\\\ud8c0-9.eE+NnfiyIt -]{0,24}") {
        if let Ok(json) = Json::parse(&text) {
            prop_assert!(Json::parse(&json.to_string()).is_ok());
        }
    }

    #[test]
    fn near_times_are_read_or_refused(text in "[0-9]{2,4}-?[0-9]{0,2}-?[0-9]{0,2}[ T]?[0-9]{0,2}:?[0-9]{0,2}:?[0-9]{0,2}[.,]?[0-9]{0,9}[Z+-]?[0-9]{0,2}:?[0-9]{0,2}") {
        if let Ok(time) = DateTime::parse(&text) {
            let written = time.isotime();
            prop_assert_eq!(DateTime::parse(&written).unwrap().isotime(), written);
            let _ = time.timestamp();
        }
    }

    #[test]
    fn any_primitive_is_read_or_refused(json in any_json()) {
        if let Ok(object) = AnyObject::from_primitive(&json, None) {
            let written = object.to_primitive();
            prop_assert_eq!(AnyObject::from_primitive(&written, None).unwrap(), object.clone());
            let _ = object.to_primitive_for(Some("1.0"), None);
            let _ = object.to_primitive_for(None, Some(&Manifest::from([("Backup".to_owned(), "1.4".to_owned())])));
        }
    }

    #[test]
    fn what_fits_fits_again(field in proptest::sample::select(class_named("Backup").unwrap().fields), json in any_json()) {
        let mut backup = Backup::orphan();
        if backup.assign(field.name, json).is_ok() {
            let written = backup.to_primitive();
            let again = Backup::from_primitive(&written, None).unwrap();
            prop_assert_eq!(again.value(field.name).unwrap(), backup.value(field.name).unwrap());
        }
    }
}

#[test]
fn nesting_is_bounded() {
    let mut json = primitive("1.7", Dict::new(), &[]);
    let mut deepest_read = 0;
    for depth in 1..400 {
        let mut data = Dict::new();
        data.insert("parent", json);
        json = primitive("1.7", data, &[]);
        match AnyObject::from_primitive(&json, None) {
            Ok(object) => {
                assert!(
                    object
                        .to_primitive_for(
                            Some("1.0"),
                            Some(&Manifest::from([("Backup".to_owned(), "1.0".to_owned())]))
                        )
                        .is_ok()
                );
                deepest_read = depth;
            }
            Err(ObjectError::Primitive(PrimitiveError::TooDeep)) => {}
            Err(other) => panic!("{other}"),
        }
    }
    assert_eq!(deepest_read, 128);
    assert_eq!(
        Json::parse(&json.to_string()),
        Err(JsonError::TooDeep),
        "too deep as text as well"
    );
    let bomb =
        r#"{"versioned_object.name":"Backup","versioned_object.data":{"parent":"#.repeat(100_000);
    assert_eq!(Json::parse(&bomb), Err(JsonError::TooDeep));
}

#[test]
fn gigantic_numbers_are_refused() {
    for number in [
        "1".repeat(30),
        "1".repeat(60),
        "-9223372036854775809".to_owned(),
        "1e300".to_owned(),
    ] {
        let mut data = Dict::new();
        data.insert("size", Json::parse(&number).unwrap());
        let refused = Backup::from_primitive(&primitive("1.7", data, &[]), None).unwrap_err();
        assert_eq!(refused.class().name, "OverflowError", "{number}: {refused}");
    }
}

#[test]
fn keys_must_be_text() {
    let mut backup = Backup::orphan();
    let refused = backup
        .assign("metadata", Value::Dict(vec![(Value::Int(1), "x".into())]))
        .unwrap_err();
    assert_eq!(refused.class().name, "KeyTypeError");
    assert_eq!(refused.to_string(), "Key 1 must be of type str not int");
}

#[test]
fn lists_hold_backups_only() {
    let list = BackupList::of([Backup::orphan(), Backup::orphan()], None);
    let read = BackupList::from_primitive(&list.to_primitive(), None).unwrap();
    assert_eq!((read.len(), &read), (2, &list));
    let mut changed = BackupList::of([Backup::orphan()], None);
    changed.reset_changes();
    assert!(changed.what_changed().is_empty());
    let mut backup = Backup::orphan();
    backup.set(Backup::METADATA, Metadata::new()).unwrap();
    let mut list = BackupList::of([backup], None);
    list.reset_changes();
    assert_eq!(
        list.what_changed(),
        ["objects"],
        "a changed item is a change"
    );
    assert!(
        list.assign(
            "objects",
            Value::List(vec![AnyObject::from(BackupList::new(None)).into()])
        )
        .is_err()
    );
}
