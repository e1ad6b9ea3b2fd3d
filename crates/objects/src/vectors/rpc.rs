//! `rpc.json`: objects as they travel on the message bus, in requests and in replies.

use crate::data::{Backup, Context, ReadDeleted, Value};
use crate::json::{Dict, Json};
use crate::object::VersionedObject;
use crate::primitive::{CHANGES, NAME};
use crate::record::decode_record;
use crate::serializer::ObjectSerializer;

use super::Check;
use super::entry::{Outcome, dict, equal, part, text};

pub(super) const CHECKS: [(&str, Check); 2] = [("sent", sent), ("replies", reply)];

/// Opens the envelope; the message inside is recorded beside it too.
fn opened(entry: &Json) -> Result<Json, String> {
    let body = part(entry, "body")?;
    equal("oslo.version", &"2.0".into(), part(body, "oslo.version")?)?;
    let message = Json::parse(text(body, "oslo.message")?).map_err(|error| error.to_string())?;
    if let Some(beside) = entry.get("message") {
        equal("the message inside", beside, &message)?;
    }
    Ok(message)
}

/// The caller as the message tells.
fn caller(message: &Json) -> Context {
    let said = |name: &str| message.get(&format!("_context_{name}"));
    let id = |name| said(name).and_then(Json::as_text).map(str::to_owned);
    Context {
        user_id: id("user_id"),
        project_id: id("project_id"),
        is_admin: said("is_admin") == Some(&Json::Bool(true)),
        read_deleted: match said("read_deleted").and_then(Json::as_text) {
            Some("yes") => ReadDeleted::Yes,
            Some("only") => ReadDeleted::Only,
            _ => ReadDeleted::No,
        },
    }
}

/// The arguments of a request become objects and values, and these the same arguments again.
fn sent(entry: &Json, _: &Json) -> Outcome {
    let message = opened(entry)?;
    text(&message, "method")?;
    let context = caller(&message);
    let serializer = ObjectSerializer::new(None).map_err(|error| error.to_string())?;
    for (name, argument) in dict(&message, "args")?.iter() {
        let value = serializer
            .deserialize(argument.clone(), Some(&context))
            .map_err(|error| format!("{name} is refused: {error}"))?;
        if argument.get(NAME).is_some() {
            let Value::Object(object) = &value else {
                return Err(format!("{name} did not become an object"));
            };
            let again = object.to_primitive();
            equal(name, &unchanged(argument), &unchanged(&again))?;
        }
        let written = serializer
            .serialize(&value)
            .map_err(|error| format!("{name} cannot be written: {error}"))?;
        equal(name, &unchanged(argument), &unchanged(&written))?;
    }
    Ok(())
}

/// Leaves out what counts as changed: in a backup that was received its metadata does, here as in Cinder.
fn unchanged(json: &Json) -> Json {
    match json {
        Json::Dict(dict) => {
            let kept = dict.iter().filter(|(key, _)| *key != CHANGES);
            Json::Dict(
                kept.map(|(key, value)| (key.to_owned(), unchanged(value)))
                    .collect(),
            )
        }
        Json::List(items) => Json::List(items.iter().map(unchanged).collect()),
        other => other.clone(),
    }
}

/// A result is read as it was written; a record in it is one that we would write of the same backup.
fn reply(entry: &Json, _: &Json) -> Outcome {
    let message = opened(entry)?;
    let result = part(&message, "result")?;
    match part(&message, "failure")? {
        Json::Null => {}
        Json::Text(failure) => {
            let failure = Json::parse(failure).map_err(|error| error.to_string())?;
            for name in ["class", "module", "message"] {
                text(&failure, name)?;
            }
            dict(&failure, "kwargs")?;
            equal("result beside a failure", &Json::Null, result)?;
        }
        other => return Err(format!("a failure that is no text: {other}")),
    }
    let serializer = ObjectSerializer::new(None).map_err(|error| error.to_string())?;
    let written = serializer
        .deserialize(result.clone(), None)
        .and_then(|value| serializer.serialize(&value))
        .map_err(|error| error.to_string())?;
    equal("result", result, &written)?;
    match result.get("backup_url") {
        Some(url) => record(url),
        None => Ok(()),
    }
}

fn record(url: &Json) -> Outcome {
    let read = decode_record(url.as_text().ok_or("a record that is no text")?)
        .map_err(|error| error.to_string())?;
    let fields = read.as_dict().ok_or("a record of no backup")?;
    let mut backup = Backup::orphan();
    let mut extra = Dict::new();
    for (name, value) in fields.iter() {
        if backup.class().position(name).is_none() {
            extra.insert(name, value.clone());
        } else {
            backup
                .assign(name, value.clone())
                .map_err(|error| error.to_string())?;
        }
    }
    let again = backup
        .encode_record(&extra)
        .map_err(|error| error.to_string())?;
    equal("backup_url", url, &Json::Text(again))
}
