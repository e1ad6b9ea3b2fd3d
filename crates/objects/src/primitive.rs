//! Objects as JSON: reading and writing (`cinder-backup.md §1.4`).

use crate::class::{FieldInfo, Kind, known_version};
use crate::data::{
    AnyObject, Backup, BackupDeviceInfo, BackupImport, BackupList, Context, Core, Foreign, Item,
    Snapshot, Value, Volume,
};
use crate::datetime::DateTime;
use crate::error::{CoerceError, ObjectError, PrimitiveError};
use crate::field::metadata_json;
use crate::json::{Dict, Json};
use crate::version::Version;

pub(crate) const NAME: &str = "versioned_object.name";
pub(crate) const NAMESPACE: &str = "versioned_object.namespace";
pub(crate) const VERSION: &str = "versioned_object.version";
pub(crate) const DATA: &str = "versioned_object.data";
pub(crate) const CHANGES: &str = "versioned_object.changes";

/// Objects may hold each other this deep: far deeper than any chain of backups that can be restored.
const MAX_NESTED: usize = 128;

/// Reads a primitive of any class.
pub(crate) fn read(json: &Json, context: Option<&Context>) -> Result<AnyObject, ObjectError> {
    read_at(json, context, 0)
}

fn read_at(json: &Json, context: Option<&Context>, depth: usize) -> Result<AnyObject, ObjectError> {
    if depth > MAX_NESTED {
        return Err(PrimitiveError::TooDeep.into());
    }
    let dict = subscriptable(json)?;
    let part = |key| dict.get(key).ok_or(PrimitiveError::Missing { key });
    let namespace = part(NAMESPACE)?;
    let name = part(NAME)?;
    let version = part(VERSION)?;
    if namespace.as_text() != Some("cinder") {
        let text = |json: &Json| Value::from(json.clone()).text();
        return Err(PrimitiveError::Unsupported {
            name: format!("{}.{}", text(namespace), text(name)),
        }
        .into());
    }
    let (name, version) = accept(name, version)?;
    let data = fields_of(part(DATA)?)?;
    let changes = match dict.get(CHANGES) {
        None => Vec::new(),
        Some(changes) => names_in(changes)?,
    };
    let context = context.cloned();
    let object = match name {
        "Backup" => {
            let mut object = Backup::orphan();
            fill(&mut object.core, context, version, data, &changes, depth)?;
            object.into()
        }
        "BackupImport" => {
            let mut object = BackupImport::orphan();
            fill(&mut object.0.core, context, version, data, &changes, depth)?;
            object.into()
        }
        "BackupList" => {
            let mut object = BackupList::new(None);
            fill(&mut object.core, context, version, data, &changes, depth)?;
            object.into()
        }
        "BackupDeviceInfo" => {
            let mut object = BackupDeviceInfo::new(None);
            fill(&mut object.core, context, version, data, &changes, depth)?;
            object.into()
        }
        "Volume" => {
            let mut object = Volume::new(None);
            fill(&mut object.core, context, version, data, &changes, depth)?;
            // A volume takes the metadata it came with for saved; a backup and a snapshot do not.
            object.core.start_tracking()?;
            object.into()
        }
        "Snapshot" => {
            let mut object = Snapshot::new(None);
            fill(&mut object.core, context, version, data, &changes, depth)?;
            object.into()
        }
        foreign => Foreign {
            name: foreign,
            version,
            data: Json::Dict(data.clone()),
            changes: changes
                .into_iter()
                .filter(|name| data.get(name).is_some())
                .map(str::to_owned)
                .collect(),
        }
        .into(),
    };
    Ok(object)
}

/// Refuses classes and versions that we do not know.
fn accept(name: &Json, version: &Json) -> Result<(&'static str, String), PrimitiveError> {
    let known = name.as_text().and_then(known_version);
    let Some((name, supported)) = known else {
        return Err(PrimitiveError::Unsupported {
            name: Value::from(name.clone()).text(),
        });
    };
    let text = version.as_text().ok_or_else(|| PrimitiveError::Version {
        version: Value::from(version.clone()).repr(),
    })?;
    if text != supported && !Version::parse(text)?.is_known_to(&Version::parse(supported)?) {
        return Err(PrimitiveError::Incompatible {
            name: name.to_owned(),
            version: text.to_owned(),
            supported,
        });
    }
    Ok((name, text.to_owned()))
}

fn fill(
    core: &mut Core,
    context: Option<Context>,
    version: String,
    data: &Dict,
    changes: &[&str],
    depth: usize,
) -> Result<(), ObjectError> {
    core.context = context;
    core.version = version;
    for (place, field) in core.class.fields.iter().enumerate() {
        if let Some(json) = data.get(field.name) {
            let value = field_value(field, json, core.context.as_ref(), depth)?;
            let item = core.coerced(place, value)?;
            core.put(place, item);
        }
    }
    core.set_changed(changes);
    Ok(())
}

/// Turns a field's primitive into what can be assigned.
fn field_value(
    field: &FieldInfo,
    json: &Json,
    context: Option<&Context>,
    depth: usize,
) -> Result<Value, ObjectError> {
    let value = match (field.kind, json) {
        (_, Json::Null) => Value::Null,
        (Kind::Time, Json::Text(text)) => DateTime::parse(text)?.into(),
        (Kind::Time, other) => {
            return Err(CoerceError::TimeNotText {
                found: type_name(other),
            }
            .into());
        }
        (Kind::Dict, Json::Dict(_)) => json.clone().into(),
        (Kind::Dict, other) => {
            return Err(PrimitiveError::Shape {
                message: format!("'{}' object has no attribute 'items'", type_name(other)),
                attribute: true,
            }
            .into());
        }
        (Kind::Object(_), json) => read_at(json, context, depth + 1)?.into(),
        (Kind::Objects(_), json) => {
            let items = iterable(json)?.into_iter().map(|item| match item {
                Json::Null => Ok(Value::Null),
                item => read_at(item, context, depth + 1).map(Value::from),
            });
            Value::List(items.collect::<Result<_, ObjectError>>()?)
        }
        (Kind::Text | Kind::Uuid | Kind::Int | Kind::Bool | Kind::Enum(_), json) => {
            json.clone().into()
        }
    };
    Ok(value)
}

fn type_name(json: &Json) -> &'static str {
    match json {
        Json::Null => "NoneType",
        Json::Bool(_) => "bool",
        Json::Int(_) | Json::Huge(_) => "int",
        Json::Float(_) => "float",
        Json::Text(_) => "str",
        Json::List(_) => "list",
        Json::Dict(_) => "dict",
    }
}

fn wrong_shape(message: String) -> PrimitiveError {
    PrimitiveError::Shape {
        message,
        attribute: false,
    }
}

fn subscriptable(json: &Json) -> Result<&Dict, PrimitiveError> {
    match json {
        Json::Dict(dict) => Ok(dict),
        Json::List(_) => Err(wrong_shape(
            "list indices must be integers or slices, not str".to_owned(),
        )),
        Json::Text(_) => Err(wrong_shape(
            "string indices must be integers, not 'str'".to_owned(),
        )),
        other => Err(wrong_shape(format!(
            "'{}' object is not subscriptable",
            type_name(other)
        ))),
    }
}

fn fields_of(json: &Json) -> Result<&Dict, PrimitiveError> {
    match json {
        Json::Dict(_) | Json::List(_) | Json::Text(_) => subscriptable(json),
        other => Err(wrong_shape(format!(
            "argument of type '{}' is not iterable",
            type_name(other)
        ))),
    }
}

fn iterable(json: &Json) -> Result<Vec<&Json>, PrimitiveError> {
    match json {
        Json::List(items) => Ok(items.iter().collect()),
        // Characters and keys are strings, and a string is no primitive.
        Json::Text(text) if text.is_empty() => Ok(Vec::new()),
        Json::Dict(dict) if dict.is_empty() => Ok(Vec::new()),
        Json::Text(_) | Json::Dict(_) => Err(wrong_shape(
            "string indices must be integers, not 'str'".to_owned(),
        )),
        other => Err(wrong_shape(format!(
            "'{}' object is not iterable",
            type_name(other)
        ))),
    }
}

/// Reads the names of changed fields; names of no field are dropped by the caller.
fn names_in(json: &Json) -> Result<Vec<&str>, PrimitiveError> {
    match json {
        Json::List(items) => {
            if let Some(odd) = items
                .iter()
                .find(|item| matches!(item, Json::List(_) | Json::Dict(_)))
            {
                return Err(wrong_shape(format!(
                    "unhashable type: '{}'",
                    type_name(odd)
                )));
            }
            Ok(items.iter().filter_map(Json::as_text).collect())
        }
        Json::Dict(dict) => Ok(dict.iter().map(|(key, _)| key).collect()),
        Json::Text(_) => Ok(Vec::new()),
        other => Err(wrong_shape(format!(
            "'{}' object is not iterable",
            type_name(other)
        ))),
    }
}

/// Writes an object in its own version.
pub(crate) fn write(core: &Core) -> Json {
    let mut data = Dict::new();
    for (place, field) in core.class.fields.iter().enumerate() {
        if let Some(item) = core.slot(place) {
            data.insert(field.name, item_json(item));
        }
    }
    let changes = core
        .what_changed()
        .into_iter()
        .filter(|name| core.named(name).is_some());
    envelope(
        core.class.name,
        &core.version,
        Json::Dict(data),
        changes.map(Json::from).collect(),
    )
}

pub(crate) fn write_foreign(object: &Foreign) -> Json {
    let changes = object.changes.iter().map(|name| Json::from(name.as_str()));
    envelope(
        object.name,
        &object.version,
        object.data.clone(),
        changes.collect(),
    )
}

fn envelope(name: &str, version: &str, data: Json, changes: Vec<Json>) -> Json {
    let mut primitive = Dict::new();
    primitive.insert(NAME, name);
    primitive.insert(NAMESPACE, "cinder");
    primitive.insert(VERSION, version);
    primitive.insert(DATA, data);
    if !changes.is_empty() {
        primitive.insert(CHANGES, Json::List(changes));
    }
    Json::Dict(primitive)
}

pub(crate) fn item_json(item: &Item) -> Json {
    match item {
        Item::Null => Json::Null,
        Item::Text(text) => Json::Text(text.clone()),
        Item::Int(value) => Json::from(*value),
        Item::Bool(value) => Json::Bool(*value),
        Item::Time(time) => Json::Text(time.isotime()),
        Item::Dict(metadata) => metadata_json(metadata),
        Item::Object(object) => object.to_primitive(),
        Item::Objects(objects) => Json::List(objects.iter().map(AnyObject::to_primitive).collect()),
    }
}

impl From<Dict> for Json {
    fn from(dict: Dict) -> Self {
        Self::Dict(dict)
    }
}

/// Compares primitives; what changed is a set.
pub(crate) fn same(one: &Json, other: &Json) -> bool {
    match (one, other) {
        (Json::Dict(a), Json::Dict(b)) => {
            a.len() == b.len()
                && a.iter().all(|(key, mine)| match (b.get(key), mine) {
                    (Some(Json::List(theirs)), Json::List(mine)) if key == CHANGES => {
                        let sorted = |names: &[Json]| {
                            let mut names: Vec<String> =
                                names.iter().map(Json::to_string).collect();
                            names.sort_unstable();
                            names
                        };
                        sorted(mine) == sorted(theirs)
                    }
                    (Some(theirs), mine) => same(mine, theirs),
                    (None, _) => false,
                })
        }
        (Json::List(a), Json::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Float(a), Json::Float(b)) => a == b || (a.is_nan() && b.is_nan()),
        _ => one == other,
    }
}
