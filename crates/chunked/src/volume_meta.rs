//! What a backup remembers of its volume: the JSON text `volume_meta`
//! (`cinder-backup.md §4.4`).

use std::fmt;

use emberkeep_model::{Gib, Timestamp, VolumeId, VolumeTypeId};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

use crate::json::push_string;
use crate::names::column_time;

/// Why a `volume_meta` cannot be understood.
#[derive(Debug, thiserror::Error)]
pub enum VolumeMetaError {
    /// It is not the JSON that it should be.
    #[error("the volume's metadata cannot be read: {0}")]
    Json(#[from] serde_json::Error),
    /// Only versions 1 and 2 exist.
    #[error("the volume's metadata is of version {0}, and only 1 and 2 are known")]
    Version(u64),
}

/// Names and values in the order in which they were written.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Fields(pub Vec<(String, Value)>);

impl Fields {
    /// Returns the value of that name; as in Python, the last one counts.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let mut newest_first = self.0.iter().rev();
        newest_first
            .find(|(key, _)| key == name)
            .map(|(_, value)| value)
    }

    fn of_texts(pairs: &[(String, String)]) -> Option<Self> {
        let fields = pairs
            .iter()
            .map(|(key, value)| (key.clone(), value.as_str().into()));
        (!pairs.is_empty()).then(|| Self(fields.collect()))
    }
}

impl<'de> Deserialize<'de> for Fields {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FieldsVisitor)
    }
}

struct FieldsVisitor;

impl<'de> Visitor<'de> for FieldsVisitor {
    type Value = Fields;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("names with values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Fields, A::Error> {
        let mut fields = Vec::new();
        while let Some(field) = map.next_entry()? {
            fields.push(field);
        }
        Ok(Fields(fields))
    }
}

/// What is remembered of a volume.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct VolumeMeta {
    /// 1 or 2; a restore takes only name and description from version 1.
    pub version: u64,
    /// Every column of the volume's row. It can hold secrets.
    #[serde(rename = "volume-base-metadata", default)]
    pub base: Fields,
    /// The volume's own metadata; none if it has none.
    #[serde(rename = "volume-metadata")]
    pub metadata: Option<Fields>,
    /// The properties of the image it was made from; none if it has none.
    #[serde(rename = "volume-glance-metadata")]
    pub image: Option<Fields>,
}

impl VolumeMeta {
    /// Understands the text in a backup's description.
    pub fn parse(text: &str) -> Result<Self, VolumeMetaError> {
        let meta: Self = serde_json::from_str(text)?;
        match meta.version {
            1 | 2 => Ok(meta),
            version => Err(VolumeMetaError::Version(version)),
        }
    }

    /// Describes one of our own volumes as Cinder 2026.2 would, in version 2.
    pub fn of_volume(volume: &VolumeFacts) -> Self {
        Self {
            version: 2,
            base: volume.columns(),
            metadata: Fields::of_texts(&volume.metadata),
            image: Fields::of_texts(&volume.image),
        }
    }

    /// Returns the volume's size in GiB.
    pub fn size(&self) -> Option<Gib> {
        let size = self.base.get("size")?.as_u64()?;
        Some(Gib(u32::try_from(size).ok()?))
    }

    /// Returns a column that holds a text.
    pub fn text(&self, column: &str) -> Option<&str> {
        self.base.get(column)?.as_str()
    }

    /// Writes the text that goes into a backup's description.
    pub fn to_text(&self) -> String {
        let mut out = format!(
            "{{\"version\": {}, \"volume-base-metadata\": ",
            self.version
        );
        push_fields(&mut out, &self.base);
        for (key, fields) in [
            ("volume-metadata", &self.metadata),
            ("volume-glance-metadata", &self.image),
        ] {
            if let Some(fields) = fields {
                out.push_str(&format!(", \"{key}\": "));
                push_fields(&mut out, fields);
            }
        }
        out.push('}');
        out
    }
}

fn push_fields(out: &mut String, fields: &Fields) {
    let pairs = fields.0.iter().map(|(key, value)| (key.as_str(), value));
    push_object(out, pairs);
}

fn push_object<'a>(out: &mut String, pairs: impl Iterator<Item = (&'a str, &'a Value)>) {
    out.push('{');
    for (number, (key, value)) in pairs.enumerate() {
        if number > 0 {
            out.push_str(", ");
        }
        push_string(out, key);
        out.push_str(": ");
        push_value(out, value);
    }
    out.push('}');
}

fn push_value(out: &mut String, value: &Value) {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
        Value::String(text) => push_string(out, text),
        Value::Array(values) => {
            out.push('[');
            for (number, value) in values.iter().enumerate() {
                if number > 0 {
                    out.push_str(", ");
                }
                push_value(out, value);
            }
            out.push(']');
        }
        Value::Object(map) => {
            push_object(out, map.iter().map(|(key, value)| (key.as_str(), value)));
        }
    }
}

/// What a volume of our own has to say of itself.
#[derive(Debug, Clone, PartialEq)]
pub struct VolumeFacts {
    /// The volume.
    pub id: VolumeId,
    /// Who made it.
    pub user_id: String,
    /// Whose it is.
    pub project_id: String,
    /// The back end it lies on.
    pub host: Option<String>,
    /// Its size.
    pub size: Gib,
    /// Its availability zone.
    pub availability_zone: Option<String>,
    /// Its status on the wire, as it was at the backup.
    pub status: String,
    /// Whether it was attached.
    pub attached: bool,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// Its type.
    pub volume_type_id: Option<VolumeTypeId>,
    /// Whether a server can boot from it.
    pub bootable: bool,
    /// Whether it can be attached more than once.
    pub multiattach: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Option<Timestamp>,
    /// Its metadata.
    pub metadata: Vec<(String, String)>,
    /// The properties of the image it was made from.
    pub image: Vec<(String, String)>,
}

impl VolumeFacts {
    /// Returns the row that Cinder would have for the volume, in the order of its columns.
    fn columns(&self) -> Fields {
        let text = |text: &Option<String>| Value::from(text.clone());
        let attached = if self.attached {
            "attached"
        } else {
            "detached"
        };
        let null = || Value::Null;
        let columns: [(&str, Value); 39] = [
            ("id", self.id.to_string().into()),
            ("_name_id", null()),
            ("use_quota", true.into()),
            ("ec2_id", null()),
            ("user_id", self.user_id.clone().into()),
            ("project_id", self.project_id.clone().into()),
            ("snapshot_id", null()),
            ("cluster_name", null()),
            ("host", text(&self.host)),
            ("size", self.size.0.into()),
            ("availability_zone", text(&self.availability_zone)),
            ("status", self.status.clone().into()),
            ("attach_status", attached.into()),
            ("migration_status", null()),
            ("scheduled_at", null()),
            ("launched_at", column_time(self.created_at).into()),
            ("terminated_at", null()),
            ("display_name", text(&self.name)),
            ("display_description", text(&self.description)),
            ("provider_location", null()),
            ("provider_auth", null()),
            ("provider_geometry", null()),
            ("provider_id", null()),
            (
                "volume_type_id",
                self.volume_type_id.map(|id| id.to_string()).into(),
            ),
            ("source_volid", null()),
            ("encryption_key_id", null()),
            ("consistencygroup_id", null()),
            ("group_id", null()),
            ("bootable", self.bootable.into()),
            ("multiattach", self.multiattach.into()),
            ("replication_status", null()),
            ("replication_extended_status", null()),
            ("replication_driver_data", null()),
            ("previous_status", null()),
            ("service_uuid", null()),
            ("shared_targets", true.into()),
            ("deleted_at", null()),
            ("deleted", false.into()),
            ("created_at", column_time(self.created_at).into()),
        ];
        let mut fields: Vec<_> = columns
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect();
        let updated = self.updated_at.map(column_time);
        fields.push(("updated_at".to_owned(), updated.into()));
        Fields(fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_volume_of_ours_reads_back() {
        let facts = VolumeFacts {
            id: "53cb5ae1-5907-47b2-a30d-9560dcd2773f"
                .parse()
                .expect("an id"),
            user_id: "u".to_owned(),
            project_id: "p".to_owned(),
            host: None,
            size: Gib(7),
            availability_zone: Some("nova".to_owned()),
            status: "available".to_owned(),
            attached: false,
            name: Some("näme".to_owned()),
            description: None,
            volume_type_id: None,
            bootable: true,
            multiattach: false,
            created_at: Timestamp(1_711_936_923_001_453),
            updated_at: None,
            metadata: vec![
                ("b".to_owned(), "1".to_owned()),
                ("a".to_owned(), "2".to_owned()),
            ],
            image: Vec::new(),
        };
        let meta = VolumeMeta::of_volume(&facts);
        let text = meta.to_text();
        assert!(text.is_ascii());
        assert!(
            text.ends_with(r#""updated_at": null}, "volume-metadata": {"b": "1", "a": "2"}}"#),
            "{text}"
        );
        let parsed = VolumeMeta::parse(&text).expect("our own");
        assert_eq!(parsed, meta);
        assert_eq!(parsed.size(), Some(Gib(7)));
        assert_eq!(parsed.text("display_name"), Some("näme"));
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "",
            "null",
            "[]",
            r#"{"volume-base-metadata": {}}"#,
            r#"{"version": 3}"#,
            r#"{"version": "2"}"#,
            r#"{"version": 2, "volume-base-metadata": []}"#,
        ] {
            assert!(VolumeMeta::parse(text).is_err(), "{text}");
        }
    }
}
