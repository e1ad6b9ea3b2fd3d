//! Records of backups: how one service hands a backup to another (`cinder-backup.md §3.5`).

use serde::{Deserialize, Serialize};

use super::schema::{Kind, Shape, refuse, rule};
use super::{Fault, Json, Microversion};

/// A record, as it goes out and comes in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
            rule("backup_service", Kind::Text),
            // A record is as long as its metadata.
            rule("backup_url", Kind::LongText),
        ],
    )
};

impl RecordView {
    /// Reads the body of a request.
    pub fn read(body: &Json, version: Microversion) -> Result<Self, Fault> {
        let fields = IMPORT.check(body, version)?;
        let text = |name: &str| {
            let found = fields.text(name).filter(|text| !text.is_empty());
            found.ok_or_else(|| {
                let value = body
                    .get("backup-record")
                    .and_then(|inner| inner.get(name))
                    .unwrap_or(&Json::Null);
                refuse(name, value, &format!("{} is too short", value.repr()))
            })
        };
        Ok(Self {
            backup_service: text("backup_service")?,
            backup_url: text("backup_url")?,
        })
    }
}
