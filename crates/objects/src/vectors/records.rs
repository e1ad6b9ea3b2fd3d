//! `records.json`: records made and read.

use crate::data::Backup;
use crate::error::ObjectError;
use crate::json::Json;
use crate::record::decode_record;

use super::Check;
use super::entry::{Outcome, admin, dict, expect, part, text};

pub(super) const CHECKS: [(&str, Check); 2] = [("encode", encode), ("decode", decode)];

fn encode(entry: &Json, _: &Json) -> Outcome {
    let orphan = entry.get("orphan") == Some(&Json::Bool(true));
    let context = admin();
    let context = (!orphan).then_some(&context);
    let backup = Backup::from_primitive(part(entry, "primitive")?, context)
        .map_err(|error| format!("the primitive is refused: {error}"))?;
    let extra = dict(entry, "extra")?;
    if entry.get("json_text").is_some() {
        let found = backup.record_text(extra).map(Json::Text);
        expect(entry, "json_text", found)?;
    }
    expect(entry, "record", backup.encode_record(extra).map(Json::Text))
}

fn decode(entry: &Json, _: &Json) -> Outcome {
    let found = decode_record(text(entry, "record")?).map_err(ObjectError::from);
    expect(entry, "result", found)
}
