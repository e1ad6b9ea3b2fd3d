//! Backup records: a backup's description as a text that can be kept elsewhere (`cinder-backup.md §1.3`).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::data::Backup;
use crate::error::{ObjectError, RecordError};
use crate::json::{Dict, Json};
use crate::object::VersionedObject;
use crate::primitive::item_json;

/// A longer record is refused: a backup with a thousand pairs of metadata needs a tenth of this.
pub const MAX_RECORD_BYTES: usize = 16 << 20;

impl Backup {
    /// Writes the backup as a record. `extra` goes first, but where names clash the backup wins.
    ///
    /// Every field but the parent must be set.
    pub fn encode_record(&self, extra: &Dict) -> Result<String, ObjectError> {
        Ok(STANDARD.encode(self.record_text(extra)?))
    }

    /// Returns the text inside the record.
    pub fn record_text(&self, extra: &Dict) -> Result<String, ObjectError> {
        let mut record = extra.clone();
        let fields = self.class().fields.iter().map(|field| field.name);
        for name in fields.filter(|name| *name != "parent") {
            record.insert(name, item_json(self.core().read(name)?));
        }
        Ok(Json::Dict(record).to_string())
    }

    /// Reads a record; see [`decode_record`].
    pub fn decode_record(record: &str) -> Result<Json, RecordError> {
        decode_record(record)
    }
}

/// Reads a record. What it holds may be any JSON, not only a description of a backup.
pub fn decode_record(record: &str) -> Result<Json, RecordError> {
    if record.len() > MAX_RECORD_BYTES || !record.is_ascii() {
        return Err(RecordError::Parse);
    }
    let bytes = decode_lenient(record.as_bytes()).ok_or(RecordError::Decode)?;
    let text = std::str::from_utf8(&bytes).map_err(|_| RecordError::Parse)?;
    Json::parse(text).map_err(|_| RecordError::Parse)
}

/// Decodes base64 as Python does when it is not strict: what is not of the alphabet is skipped, padding
/// ends the text where it completes a group and is skipped elsewhere, what follows is not looked at.
fn decode_lenient(text: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(text.len() / 4 * 3);
    let mut group: u32 = 0;
    let mut filled = 0;
    let mut padding = 0;
    for byte in text {
        let Some(value) = sextet(*byte) else {
            if *byte == b'=' && filled >= 2 {
                padding += 1;
                if filled + padding >= 4 {
                    return Some(out);
                }
            }
            continue;
        };
        padding = 0;
        group = group << 6 | value;
        filled = (filled + 1) % 4;
        // Each character after the first of a group completes a byte.
        let spare = match filled {
            2 => 4,
            3 => 2,
            0 => 0,
            _ => continue,
        };
        out.push((group >> spare).to_le_bytes()[0]);
        group &= (1 << spare) - 1;
    }
    (filled == 0).then_some(out)
}

fn sextet(byte: u8) -> Option<u32> {
    let value = match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' => 62,
        b'/' => 63,
        _ => return None,
    };
    Some(value.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_base64() {
        for (text, want) in [
            ("", Some("")),
            ("MQ==", Some("1")),
            ("MQ===", Some("1")),
            ("MR==", Some("1")),
            ("M Q\n= =", Some("1")),
            ("-_MQ==", Some("1")),
            ("M=Q==", Some("1")),
            ("==MTI=", Some("12")),
            ("MQ==Mg==", Some("1")),
            ("MQ==garbage", Some("1")),
            ("MTIz=MTIz", Some("123123")),
            ("MQ=M=", Some("1\u{3}")),
            ("*", Some("")),
            ("MQ", None),
            ("MQ=", None),
            ("M", None),
            ("M===", None),
            ("MTIzM===", None),
            ("MTIzMQ=", None),
            ("123456", None),
        ] {
            let want = want.map(|text| text.as_bytes().to_vec());
            assert_eq!(decode_lenient(text.as_bytes()), want, "{text:?}");
        }
    }

    #[test]
    fn bounds() {
        let long = "MTIz".repeat(MAX_RECORD_BYTES / 4 + 1);
        assert_eq!(decode_record(&long), Err(RecordError::Parse));
        assert_eq!(decode_record("MQ==é"), Err(RecordError::Parse));
        let deep = STANDARD.encode("[".repeat(100_000));
        assert_eq!(decode_record(&deep), Err(RecordError::Parse));
    }
}
