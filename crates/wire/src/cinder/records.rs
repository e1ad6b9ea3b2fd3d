//! Records of backups: how one service hands a backup to another (`cinder-backup.md §3.5`).

use serde::{Deserialize, Serialize};

use super::schema::{Kind, Shape, refuse, rule};
use super::{Fault, Json, Microversion};

/// A record, as it goes out and comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct RecordView {
    /// The class path of the driver that wrote the backup.
    pub backup_service: String,
    /// All that is known of it, encoded.
    pub backup_url: String,
}

pub(super) static IMPORT: Shape = Shape {
    required: &["backup_service", "backup_url"],
    ..Shape::new(
        "backup-record",
        &[
            rule("backup_service", Kind::ShortText),
            // A record is as long as its metadata.
            rule("backup_url", Kind::LongText),
        ],
    )
};

impl RecordView {
    /// Reads the body of a request.
    pub fn read(body: &Json, version: Microversion) -> Result<Self, Fault> {
        let fields = IMPORT.check(body, version)?;
        let url = fields.text("backup_url").unwrap_or_default();
        if url.is_empty() {
            let value = Json::Text(url);
            let text = format!("{} should be non-empty", value.repr());
            return Err(refuse("backup_url", &value, &text));
        }
        Ok(Self {
            backup_service: fields.text("backup_service").unwrap_or_default(),
            backup_url: url,
        })
    }
}
