//! `objects.json`: fields, coercion, primitives in every direction.

use crate::class::{ClassInfo, FieldInfo, Kind, class_named, known_version};
use crate::compatible::{CURRENT_CAP, Manifest, capped_version};
use crate::data::{AnyObject, Backup, BackupDeviceInfo, BackupImport, Snapshot, Value, Volume};
use crate::error::ObjectError;
use crate::json::{Dict, Json};
use crate::object::VersionedObject;
use crate::primitive::{DATA, NAME, VERSION};
use crate::serializer::ObjectSerializer;

use super::entry::{
    Outcome, admin, assign_all, dict, equal, expect, input, part, same_error, same_names, text,
};
use super::{Check, methods, persisted};

pub(super) const CHECKS: [(&str, Check); 11] = [
    ("fields", fields),
    ("new", new),
    ("persisted", persisted::persisted),
    ("nested", nested),
    ("target_version", target_version),
    ("from_primitive", from_primitive),
    ("coerce", coerce),
    ("extra_fields", extra_fields),
    ("methods", methods::methods),
    ("serializer", serializer),
    ("deserialize", deserialize),
];

fn fields(entry: &Json, _: &Json) -> Outcome {
    let name = text(entry, "class")?;
    let class = class_named(name).ok_or("no such class")?;
    let names = |names: Vec<&str>| Json::List(names.into_iter().map(Json::from).collect());
    let table = class.fields.iter();
    let described: Dict = table
        .clone()
        .map(|field| (field.name.to_owned(), Json::Text(describe(class, field))))
        .collect();
    equal("version", part(entry, "version")?, &class.version.into())?;
    equal("fields", part(entry, "fields")?, &described.into())?;
    let order = names(table.map(|field| field.name).collect());
    equal("order", part(entry, "order")?, &order)?;
    equal("extra", part(entry, "extra")?, &names(class.extra.to_vec()))
}

fn describe(class: &ClassInfo, field: &FieldInfo) -> String {
    let kind = match field.kind {
        Kind::Uuid => "UUID",
        Kind::Text => "String",
        Kind::Int => "Integer",
        Kind::Bool => "Boolean",
        Kind::Time => "DateTime",
        Kind::Dict => "Dict",
        Kind::Object(_) => "Object",
        Kind::Objects(_) => "List",
        Kind::Enum(_) => match class.name {
            "Volume" => "VolumeAttachStatus",
            "Snapshot" => "SnapshotStatus",
            _ => "BackupStatus",
        },
    };
    let python = |value| if value { "True" } else { "False" };
    let default = field.default.map_or(
        "<class 'oslo_versionedobjects.fields.UnspecifiedDefault'>",
        python,
    );
    let values = match field.kind {
        Kind::Enum(values) => {
            let quoted: Vec<String> = values.iter().map(|value| format!("'{value}'")).collect();
            format!(",valid_values=({})", quoted.join(", "))
        }
        _ => String::new(),
    };
    let nullable = python(field.nullable);
    format!("{kind}(default={default},nullable={nullable}{values})")
}

/// Makes an object of the entry's class, a backup if it says none.
fn object_of(entry: &Json) -> Result<AnyObject, String> {
    let class = entry.get("class").and_then(Json::as_text);
    Ok(match class.unwrap_or("Backup") {
        "Backup" => Backup::new(admin()).into(),
        "BackupImport" => BackupImport::new(admin()).into(),
        "BackupDeviceInfo" => BackupDeviceInfo::new(Some(admin())).into(),
        "Volume" => Volume::new(Some(admin())).into(),
        "Snapshot" => Snapshot::new(Some(admin())).into(),
        other => return Err(format!("no object of class {other} can be made")),
    })
}

fn assign(object: &mut AnyObject, field: &str, value: Value) -> Result<(), ObjectError> {
    match object {
        AnyObject::Backup(object) => object.assign(field, value),
        AnyObject::BackupImport(object) => object.assign(field, value),
        AnyObject::BackupDeviceInfo(object) => object.assign(field, value),
        AnyObject::Volume(object) => object.assign(field, value),
        AnyObject::Snapshot(object) => object.assign(field, value),
        AnyObject::BackupList(_) | AnyObject::Foreign(_) => Ok(()),
    }
}

/// Returns what was assigned. JSON made strings of all keys; the recorded error tells which was none.
fn assigned(entry: &Json, value: &Json) -> Value {
    let mut value = input(value);
    let message = entry.get("error").and_then(|error| error.get("message"));
    let message = message.and_then(Json::as_text).unwrap_or_default();
    let odd = message
        .strip_prefix("Key ")
        .and_then(|rest| rest.split_once(" must be of type str not "));
    if let (Some((key, kind)), Value::Dict(pairs)) = (odd, &mut value) {
        for (name, _) in pairs {
            let Value::Text(text) = &*name else { continue };
            *name = match (kind, text.as_str()) {
                ("int", text) if text == key => text.parse().map_or(Value::Null, Value::Int),
                ("float", text) if text == key => text.parse().map_or(Value::Null, Value::Float),
                ("bool", text) if text == key.to_lowercase() => Value::Bool(text == "true"),
                ("NoneType", "null") => Value::Null,
                _ => continue,
            };
        }
    }
    value
}

/// Gives an object the recorded inputs of its constructor.
fn initialize(object: &mut AnyObject, inputs: &Dict) -> Result<(), ObjectError> {
    let values = inputs
        .iter()
        .map(|(name, value)| (name.to_owned(), input(value)));
    match object {
        AnyObject::Backup(object) => object.initialize(values),
        AnyObject::BackupImport(object) => object.initialize(values),
        AnyObject::BackupDeviceInfo(object) => object.initialize(values),
        AnyObject::Volume(object) => object.initialize(values),
        AnyObject::Snapshot(object) => object.initialize(values),
        AnyObject::BackupList(_) | AnyObject::Foreign(_) => Ok(()),
    }
}

fn new(entry: &Json, _: &Json) -> Outcome {
    let mut object = object_of(entry)?;
    let made = initialize(&mut object, dict(entry, "input")?);
    expect(entry, "primitive", made.map(|()| object.to_primitive()))
}

fn coerce(entry: &Json, _: &Json) -> Outcome {
    let mut object = object_of(entry)?;
    let field = text(entry, "field")?;
    let value = part(entry, "value")?;
    let found = assign(&mut object, field, assigned(entry, value)).map(|()| {
        let primitive = object.to_primitive();
        let data = primitive.get(DATA).and_then(|data| data.get(field));
        data.cloned().unwrap_or(Json::Null)
    });
    expect(entry, "primitive", found)
}

fn nested(entry: &Json, _: &Json) -> Outcome {
    let mut device = None;
    if let Some(primitive) = entry.get("primitive") {
        let object = AnyObject::from_primitive(primitive, Some(&admin()))
            .map_err(|error| format!("the primitive is refused: {error}"))?;
        equal("primitive", primitive, &object.to_primitive())?;
        if let AnyObject::BackupDeviceInfo(info) = object {
            device = Some(info);
        }
    }
    if let Some(wanted) = entry.get("is_snapshot") {
        let info = device.as_ref().ok_or("the primitive is no device info")?;
        let found = info.is_snapshot().map_err(|error| error.to_string())?;
        equal("is_snapshot", wanted, &found.into())?;
    }
    if let Some(wanted) = entry.get("is_snapshot_error") {
        let info = match device {
            Some(info) => info,
            None => device_without_primitive(entry)?,
        };
        let Err(error) = info.is_snapshot() else {
            return Err("is_snapshot works, should refuse".to_owned());
        };
        same_error(wanted, &error)?;
    }
    Ok(())
}

/// A device info that cannot tell which is said by the entry's name alone.
fn device_without_primitive(entry: &Json) -> Result<BackupDeviceInfo, String> {
    let mut info = BackupDeviceInfo::new(Some(admin()));
    if text(entry, "name")?.contains("both") {
        let set = info
            .set(BackupDeviceInfo::VOLUME, Volume::new(None))
            .and_then(|()| info.set(BackupDeviceInfo::SNAPSHOT, Snapshot::new(None)));
        set.map_err(|error| error.to_string())?;
    }
    Ok(info)
}

fn target_version(entry: &Json, _: &Json) -> Outcome {
    let target = entry.get("target_version").and_then(Json::as_text);
    let manifest = manifest(entry)?;
    let object = AnyObject::from_primitive(&source(entry)?, Some(&admin()))
        .map_err(|error| format!("the object is refused: {error}"))?;
    let found = object.to_primitive_for(target, manifest.as_ref());
    expect(entry, "primitive", found)
}

/// The object before it was made to fit: said by the entry, or the result with its labels put back, or made up.
fn source(entry: &Json) -> Result<Json, String> {
    if let Some(source @ Json::Dict(_)) = entry.get("source") {
        return Ok(source.clone());
    }
    if let Some(primitive) = entry.get("primitive") {
        let mut source = primitive.clone();
        relabel(&mut source);
        return Ok(source);
    }
    let parent = match text(entry, "object")? {
        "plain" => None,
        "parent_null_loaded" => Some(Json::Null),
        "parent_loaded" => Some(Backup::orphan().to_primitive()),
        other => return Err(format!("what is a {other}?")),
    };
    let mut source = Backup::orphan().to_primitive();
    if let (Some(parent), Some(Json::Dict(data))) = (
        parent,
        source.as_dict_mut().and_then(|dict| dict.get_mut(DATA)),
    ) {
        data.insert("parent", parent);
    }
    Ok(source)
}

fn relabel(primitive: &mut Json) {
    let name = primitive.get(NAME).and_then(Json::as_text);
    let Some((_, version)) = name.and_then(known_version) else {
        return;
    };
    let Some(dict) = primitive.as_dict_mut() else {
        return;
    };
    dict.insert(VERSION, version);
    if let Some(Json::Dict(data)) = dict.get_mut(DATA) {
        for (_, value) in data.values_mut() {
            relabel(value);
        }
    }
}

fn manifest(entry: &Json) -> Result<Option<Manifest>, String> {
    let mut manifest = Manifest::new();
    match entry.get("manifest") {
        None | Some(Json::Null) => return Ok(None),
        Some(Json::Dict(versions)) => {
            for (class, version) in versions.iter() {
                let version = version.as_text().ok_or("a version that is no text")?;
                manifest.insert(class.to_owned(), version.to_owned());
            }
        }
        Some(Json::Text(word)) if word == "empty" => {}
        Some(Json::Text(word)) => {
            let cap = if word == "current" { CURRENT_CAP } else { word };
            for class in crate::class::KNOWN {
                if let Some(version) = capped_version(cap, class.name).flatten() {
                    manifest.insert(class.name.to_owned(), version.to_owned());
                }
            }
        }
        Some(other) => return Err(format!("what manifest is {other}?")),
    }
    if let Some(version) = entry.get("manifest_backup").and_then(Json::as_text) {
        manifest.insert("Backup".to_owned(), version.to_owned());
    }
    Ok(Some(manifest))
}

fn from_primitive(entry: &Json, _: &Json) -> Outcome {
    let read = AnyObject::from_primitive(part(entry, "primitive")?, Some(&admin()));
    let object = match (entry.get("error"), read) {
        (None, Ok(object)) => object,
        (_, read) => return expect(entry, "again", read.map(|object| object.to_primitive())),
    };
    equal("class", part(entry, "class")?, &object.name().into())?;
    equal("version", part(entry, "version")?, &object.version().into())?;
    same_names("changes", part(entry, "changes")?, &object.what_changed())?;
    same_names(
        "set fields",
        part(entry, "set_fields")?,
        &object.set_fields(),
    )?;
    equal("again", part(entry, "again")?, &object.to_primitive())
}

fn extra_fields(entry: &Json, _: &Json) -> Outcome {
    let mut backup = Backup::new(admin());
    assign_all(&mut backup, dict(entry, "input")?).map_err(|error| error.to_string())?;
    for name in ["name", "is_incremental", "has_dependent_backups"] {
        let found = backup.value(name).map_err(|error| error.to_string())?;
        if let Some(wanted) = entry.get(name)
            && input(wanted) != found
        {
            return Err(format!("{name} is {found:?}, should be {wanted}"));
        }
    }
    Ok(())
}

fn serializer(entry: &Json, _: &Json) -> Outcome {
    let cap = entry.get("version_cap").and_then(Json::as_text);
    let written = ObjectSerializer::new(cap)
        .map_err(ObjectError::from)
        .and_then(|serializer| {
            let source = entry
                .get("source")
                .filter(|source| source.as_dict().is_some());
            let message = source.or(entry.get("serialized")).cloned();
            let value = serializer.deserialize(message.unwrap_or(Json::Null), Some(&admin()))?;
            serializer.serialize(&value)
        });
    expect(entry, "serialized", written)
}

fn deserialize(entry: &Json, _: &Json) -> Outcome {
    let message = part(entry, "deserialize")?.clone();
    let again = ObjectSerializer::new(None)
        .map_err(ObjectError::from)
        .and_then(|serializer| {
            let value = serializer.deserialize(message, Some(&admin()))?;
            serializer.serialize(&value)
        });
    expect(entry, "again", again)
}
