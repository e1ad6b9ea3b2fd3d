//! The decoder of backup records: any text is read or refused, and what was read can be written again.
//!
//! `cargo xtask fuzz record`
#![no_main]

use emberkeep_objects::{Backup, Dict, Json, VersionedObject, decode_record};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    // Half of the inputs are the text inside a record, so that its base64 does not hide all else.
    let record = if choice % 2 == 0 {
        base64(bytes)
    } else {
        String::from_utf8_lossy(bytes).into_owned()
    };
    let Ok(json) = decode_record(&record) else {
        return;
    };
    let written = json.to_string();
    assert_eq!(Json::parse(&written).map(|json| json.to_string()), Ok(written.clone()));
    assert_eq!(decode_record(&base64(written.as_bytes())).map(|json| json.to_string()), Ok(written));

    let Json::Dict(fields) = json else { return };
    let mut backup = Backup::orphan();
    for field in backup.class().fields {
        // What a record leaves out or spoils is null here, or a word where that cannot be.
        let given = fields.get(field.name).cloned().unwrap_or(Json::Null);
        if backup.assign(field.name, given).is_err() && backup.assign(field.name, Json::Null).is_err() {
            backup.assign(field.name, "x").expect("text fits");
        }
    }
    let record = backup.encode_record(&Dict::new()).expect("every field is set");
    let read = decode_record(&record).expect("our own record");
    let mut again = Backup::orphan();
    for (name, value) in read.as_dict().expect("a dict").iter() {
        again.assign(name, value.clone()).expect("a value of our own");
    }
    again.assign("parent", Json::Null).expect("null fits");
    assert_eq!(again.encode_record(&Dict::new()).ok(), Some(record));
});

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    for group in bytes.chunks(3) {
        let mut bits = 0_u32;
        for at in 0..3 {
            bits = bits << 8 | u32::from(group.get(at).copied().unwrap_or(0));
        }
        for at in 0..4 {
            out.push(if at <= group.len() {
                char::from(ALPHABET[(bits >> (18 - 6 * at) & 63) as usize])
            } else {
                '='
            });
        }
    }
    out
}
