//! Objects inside the arguments of messages.

use crate::class::known_version;
use crate::compatible::{CURRENT_CAP, Manifest, capped_version};
use crate::data::{AnyObject, Context, Value};
use crate::error::{CapError, ObjectError, PrimitiveError};
use crate::json::{Dict, Json};
use crate::primitive::{NAME, VERSION};
use crate::version::is_above;

/// Turns the arguments of messages into JSON and back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectSerializer {
    cap: Option<String>,
    manifest: Option<Manifest>,
}

impl ObjectSerializer {
    /// Makes one that writes for services as old as `cap`, the lowest version that any of them reports.
    pub fn new(cap: Option<&str>) -> Result<Self, CapError> {
        let cap = cap.filter(|cap| !cap.is_empty());
        let manifest = match cap {
            None | Some(CURRENT_CAP) => None,
            Some(cap) => Some(manifest_of(cap).ok_or_else(|| CapError {
                version: cap.to_owned(),
            })?),
        };
        Ok(Self {
            cap: cap.map(str::to_owned),
            manifest,
        })
    }

    /// Writes a value; objects in it become primitives.
    pub fn serialize(&self, value: &Value) -> Result<Json, ObjectError> {
        Ok(match value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Int(value) => Json::Int(*value),
            Value::Huge(digits) => Json::Huge(digits.clone()),
            Value::Float(value) => Json::Float(*value),
            Value::Text(text) => Json::Text(text.clone()),
            Value::Time(time) => Json::Text(time.message_text()),
            Value::List(items) => {
                let items = items.iter().map(|item| self.serialize(item));
                Json::List(items.collect::<Result<_, _>>()?)
            }
            Value::Dict(pairs) => {
                let pairs = pairs
                    .iter()
                    .map(|(key, value)| Ok((key.text(), self.serialize(value)?)));
                Json::Dict(pairs.collect::<Result<Dict, ObjectError>>()?)
            }
            Value::Object(object) => {
                let target = self.target_for(object)?;
                object.to_primitive_for(target, self.manifest.as_ref())?
            }
        })
    }

    /// Reads a value; primitives in it become objects.
    pub fn deserialize(&self, json: Json, context: Option<&Context>) -> Result<Value, ObjectError> {
        match json {
            Json::Dict(dict) if dict.get(NAME).is_some() => {
                read_object(Json::Dict(dict), context).map(Value::from)
            }
            Json::Dict(dict) => {
                let pairs = dict
                    .into_iter()
                    .map(|(key, json)| Ok((Value::Text(key), self.deserialize(json, context)?)));
                Ok(Value::Dict(pairs.collect::<Result<_, ObjectError>>()?))
            }
            Json::List(items) => {
                let items = items
                    .into_iter()
                    .map(|item| self.deserialize(item, context));
                Ok(Value::List(items.collect::<Result<_, _>>()?))
            }
            plain => Ok(plain.into()),
        }
    }

    /// The version to write an object in; an object that is older than the cap keeps its own.
    fn target_for(&self, object: &AnyObject) -> Result<Option<&'static str>, ObjectError> {
        let capped = self.cap.as_deref();
        let Some(version) = capped.and_then(|cap| capped_version(cap, object.name()).flatten())
        else {
            return Ok(None);
        };
        let above = is_above(version, object.version())?;
        Ok((!above).then_some(version))
    }
}

/// Reads an object; a third part of a version means nothing between services.
fn read_object(mut json: Json, context: Option<&Context>) -> Result<AnyObject, ObjectError> {
    let incompatible = match AnyObject::from_primitive(&json, context) {
        Err(error @ ObjectError::Primitive(PrimitiveError::Incompatible { .. })) => error,
        other => return other,
    };
    let version = json
        .get(VERSION)
        .and_then(Json::as_text)
        .unwrap_or_default();
    let parts: Vec<&str> = version.split('.').collect();
    let [major, minor, _] = parts[..] else {
        return Err(incompatible);
    };
    let shorter = format!("{major}.{minor}");
    if let Some(dict) = json.as_dict_mut() {
        dict.insert(VERSION, Json::Text(shorter));
    }
    AnyObject::from_primitive(&json, context)
}

fn manifest_of(cap: &str) -> Option<Manifest> {
    capped_version(cap, "Backup")?;
    let known = crate::class::KNOWN.iter().map(|class| class.name);
    let foreign = crate::class::FOREIGN.iter().map(|(name, _)| *name);
    let versions = known.chain(foreign).filter_map(|name| {
        let version = capped_version(cap, name).flatten()?;
        known_version(name).map(|(name, _)| (name.to_owned(), version.to_owned()))
    });
    Some(versions.collect())
}
