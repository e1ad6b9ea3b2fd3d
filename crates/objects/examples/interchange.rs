//! Answers questions about objects, one JSON line each, so that another implementation can be compared with ours.
//!
//! `{"do": "again", "primitive": …}` reads and writes; `{"do": "make", "class": …, "values": …, "target": …,
//! "manifest": …}` assigns, primitives becoming objects, and writes for a receiver of that version; `{"do":
//! "encode", "primitive": …, "extra": …}` and `{"do": "decode", "record": …}` are about records. The answer is
//! `{"ok": …}` or `{"error": [class, text]}`.

use std::io::{BufRead as _, Write as _};
use std::process::ExitCode;

use emberkeep_objects::{
    AnyObject, Backup, BackupDeviceInfo, BackupImport, BackupList, Context, Dict, Json, Manifest,
    ObjectError, Snapshot, Value, VersionedObject, Volume, decode_record,
};

fn answer(question: &Json) -> Result<Json, ObjectError> {
    let context = Context::admin("u", "p");
    let part = |name: &str| question.get(name).cloned().unwrap_or(Json::Null);
    let text = |name: &str| question.get(name).and_then(Json::as_text);
    match text("do").unwrap_or_default() {
        "again" => {
            let object = AnyObject::from_primitive(&part("primitive"), Some(&context))?;
            Ok(object.to_primitive())
        }
        "make" => {
            let object = made(text("class").unwrap_or_default(), &part("values"), &context)?;
            let manifest = question.get("manifest").and_then(Json::as_dict);
            let manifest = manifest.map(|versions| -> Manifest {
                let pairs = versions.iter();
                pairs
                    .filter_map(|(class, version)| {
                        Some((class.to_owned(), version.as_text()?.to_owned()))
                    })
                    .collect()
            });
            object.to_primitive_for(text("target"), manifest.as_ref())
        }
        "encode" => {
            let backup = Backup::from_primitive(&part("primitive"), Some(&context))?;
            let extra = part("extra").as_dict().cloned().unwrap_or_default();
            Ok(Json::Text(backup.encode_record(&extra)?))
        }
        _ => Ok(decode_record(text("record").unwrap_or_default())?),
    }
}

fn made(class: &str, values: &Json, context: &Context) -> Result<AnyObject, ObjectError> {
    let values = values.as_dict().cloned().unwrap_or_default();
    fn fill(
        object: &mut impl VersionedObject,
        values: Dict,
        context: &Context,
    ) -> Result<(), ObjectError> {
        for (name, json) in values {
            let value = valued(json, context)?;
            object.assign(&name, value)?;
        }
        Ok(())
    }
    let context_too = Some(context.clone());
    Ok(match class {
        "BackupImport" => {
            let mut object = BackupImport::new(context.clone());
            fill(&mut *object, values, context)?;
            object.into()
        }
        "BackupDeviceInfo" => {
            let mut object = BackupDeviceInfo::new(context_too);
            fill(&mut object, values, context)?;
            object.into()
        }
        "BackupList" => {
            let mut object = BackupList::new(context_too);
            fill(&mut object, values, context)?;
            object.into()
        }
        "Volume" => {
            let mut object = Volume::new(context_too);
            fill(&mut object, values, context)?;
            object.into()
        }
        "Snapshot" => {
            let mut object = Snapshot::new(context_too);
            fill(&mut object, values, context)?;
            object.into()
        }
        _ => {
            let mut object = Backup::new(context.clone());
            fill(&mut object, values, context)?;
            object.into()
        }
    })
}

fn valued(json: Json, context: &Context) -> Result<Value, ObjectError> {
    Ok(match json {
        json if json.get("versioned_object.name").is_some() => {
            AnyObject::from_primitive(&json, Some(context))?.into()
        }
        Json::List(items) => {
            let items = items.into_iter().map(|item| valued(item, context));
            Value::List(items.collect::<Result<_, _>>()?)
        }
        plain => plain.into(),
    })
}

fn main() -> ExitCode {
    let mut out = std::io::stdout().lock();
    for line in std::io::stdin().lock().lines() {
        let Ok(Ok(question)) = line.map(|line| Json::parse(&line)) else {
            return ExitCode::FAILURE;
        };
        let mut reply = Dict::new();
        match answer(&question) {
            Ok(json) => reply.insert("ok", json),
            Err(error) => {
                let said = [
                    Json::from(error.class().name),
                    Json::Text(error.to_string()),
                ];
                reply.insert("error", Json::List(said.into()));
            }
        }
        if writeln!(out, "{}", Json::Dict(reply))
            .and_then(|()| out.flush())
            .is_err()
        {
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
