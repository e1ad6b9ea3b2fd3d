//! What request bodies look like, as JSON Schema: made of the very tables that bodies are checked by.

use serde_json::{Map, Value, json};

use super::schema::{Kind, MAX_TEXT, NO, Shape, YES};
use super::{actions, backups, records, snapshots, volumes};
use crate::json_schema::{any_of, filled, flag, object, or_null, text, under, uuid, whole, word};

/// `POST /backups`.
pub fn create_backup() -> Value {
    backups::CREATE.to_json_schema()
}

/// `PUT /backups/{id}`.
pub fn update_backup() -> Value {
    backups::UPDATE.to_json_schema()
}

/// `POST /backups/{id}/restore`.
pub fn restore_backup() -> Value {
    backups::RESTORE.to_json_schema()
}

/// `POST /backups/import_record`.
pub fn import_record() -> Value {
    records::IMPORT.to_json_schema()
}

/// `POST /backups/{id}/action`.
pub fn backup_action() -> Value {
    let status = json!({"enum": ["available", "error"]});
    let reset = json!({
        "type": "object",
        "properties": {"os-reset_status": {
            "type": "object", "properties": {"status": status}, "required": ["status"],
        }},
        "required": ["os-reset_status"],
        "additionalProperties": false,
    });
    json!({"oneOf": [reset, named("os-force_delete", &json!({}))]})
}

/// `POST /volumes`.
pub fn create_volume() -> Value {
    volumes::CREATE.to_json_schema()
}

/// `PUT /volumes/{id}`.
pub fn update_volume() -> Value {
    volumes::UPDATE.to_json_schema()
}

/// `POST /volumes/{id}/action`.
pub fn volume_action() -> Value {
    let any = json!({});
    let connector = json!({
        "type": "object",
        "properties": {"connector": {"type": "object"}},
        "required": ["connector"],
    });
    let text = json!({"type": "string"});
    let attach = json!({
        "type": "object",
        "properties": {
            "instance_uuid": {"type": "string", "format": "uuid"},
            "host_name": text,
            "mountpoint": {"type": "string", "minLength": 1},
            "mode": {"enum": ["rw", "ro"]},
        },
        "required": ["instance_uuid", "mountpoint"],
    });
    let reset = json!({
        "type": "object",
        "properties": {"status": text, "attach_status": text, "migration_status": text},
        "minProperties": 1,
    });
    let mut kinds = vec![
        actions::EXTEND.to_json_schema(),
        actions::SET_BOOTABLE.to_json_schema(),
        actions::SET_READONLY.to_json_schema(),
        actions::RETYPE.to_json_schema(),
        actions::SET_IMAGE.to_json_schema(),
        actions::UNSET_IMAGE.to_json_schema(),
        named("os-attach", &attach),
        named("os-initialize_connection", &connector),
        named("os-terminate_connection", &connector),
        named("os-reset_status", &reset),
    ];
    for bare in [
        "os-detach",
        "os-force_detach",
        "os-reserve",
        "os-unreserve",
        "os-begin_detaching",
        "os-roll_detaching",
        "os-show_image_metadata",
        "os-force_delete",
    ] {
        kinds.push(named(bare, &any));
    }
    json!({"oneOf": kinds})
}

/// `POST /snapshots`.
pub fn create_snapshot() -> Value {
    snapshots::CREATE.to_json_schema()
}

/// `PUT /snapshots/{id}`.
pub fn update_snapshot() -> Value {
    snapshots::UPDATE.to_json_schema()
}

/// `POST /snapshots/{id}/action`.
pub fn snapshot_action() -> Value {
    let status = json!({
        "type": "object",
        "properties": {"status": {"type": "string"}},
        "required": ["status"],
    });
    json!({"oneOf": [
        named("os-reset_status", &status),
        named("os-update_snapshot_status", &status),
        named("os-force_delete", &json!({})),
    ]})
}

impl Shape {
    /// Returns the form as a JSON Schema, at the newest microversion.
    fn to_json_schema(self) -> Value {
        let properties: Map<String, Value> = self
            .rules
            .iter()
            .map(|rule| (rule.name.to_owned(), rule.kind.to_json_schema()))
            .collect();
        let mut inner = json!({
            "type": "object",
            "properties": properties,
            "required": self.required,
            "additionalProperties": false,
        });
        if self.some_since.is_some() {
            inner["minProperties"] = json!(1);
        }
        json!({
            "type": "object",
            "properties": {self.key: inner},
            "required": [self.key],
            "additionalProperties": self.beside.is_some(),
        })
    }
}

impl Kind {
    /// Returns what it holds as a JSON Schema.
    fn to_json_schema(self) -> Value {
        let words = [YES, NO].concat();
        let flag = || [json!({"type": "boolean"}), json!({"enum": words})];
        let null = || json!({"type": "null"});
        let pairs = || {
            json!({
                "type": "object",
                "patternProperties": {"^[a-zA-Z0-9\\-_:. /]{1,255}$": {"type": "string", "maxLength": MAX_TEXT}},
                "additionalProperties": false,
            })
        };
        let size = || {
            [
                json!({"type": "integer", "minimum": 1, "maximum": 0x7fff_ffff_i64}),
                json!({"type": "string", "pattern": "^[1-9][0-9]{0,8}$"}),
            ]
        };
        let any = |kinds: &[Value]| json!({"anyOf": kinds});
        match self {
            Self::Uuid => json!({"type": "string", "format": "uuid"}),
            Self::UuidOrNull => any(&[json!({"type": "string", "format": "uuid"}), null()]),
            Self::Text | Self::Trimmed(_) => {
                json!({"type": ["string", "null"], "maxLength": MAX_TEXT})
            }
            Self::Printable => {
                json!({"type": ["string", "null"], "maxLength": MAX_TEXT, "pattern": "^[ -~]*$"})
            }
            Self::LongText => json!({"type": "string"}),
            Self::ShortText => json!({"type": "string", "maxLength": MAX_TEXT}),
            Self::Flag => any(&flag()),
            Self::FlagOrNull => any(&[&flag()[..], &[null()]].concat()),
            Self::Metadata => pairs(),
            Self::MetadataOrNull => any(&[pairs(), null()]),
            Self::Size => any(&size()),
            Self::SizeOrNull => any(&[&size()[..], &[null()]].concat()),
        }
    }
}

/// An object of one member.
fn named(key: &str, inner: &Value) -> Value {
    json!({
        "type": "object",
        "properties": {key: inner},
        "required": [key],
        "additionalProperties": false,
    })
}

/// `POST /backups/{backup_id}/metadata`.
pub fn metadata() -> Value {
    under("metadata", crate::json_schema::pairs())
}

/// `POST /backups/{backup_id}/metadata/{key}`.
pub fn meta() -> Value {
    let mut one = crate::json_schema::pairs();
    one["maxProperties"] = json!(1);
    under("meta", one)
}

/// `PUT /types/{type_id}/extra_specs/{key}`.
pub fn pairs() -> Value {
    let mut one = crate::json_schema::pairs();
    one["maxProperties"] = json!(1);
    one
}

/// `POST /attachments`.
pub fn create_attachment() -> Value {
    under(
        "attachment",
        object([
            ("volume_uuid!", uuid()),
            ("instance_uuid", or_null(uuid())),
            ("connector", or_null(object([("host", text(255))]))),
            ("mode", word(&["rw", "ro"])),
        ]),
    )
}

/// `PUT /attachments/{attachment_id}`.
pub fn connector() -> Value {
    let connector = object([
        ("host", text(255)),
        ("initiator", text(255)),
        ("mountpoint", text(255)),
        ("multipath", flag()),
    ]);
    under("attachment", object([("connector!", connector)]))
}

/// `POST /attachments/{attachment_id}/action`.
pub fn complete_attachment() -> Value {
    under("os-complete", json!({}))
}

/// `POST /types`.
pub fn volume_type() -> Value {
    under(
        "volume_type",
        object([
            ("name!", filled(255)),
            ("description", or_null(text(255))),
            ("os-volume-type-access:is_public", flag()),
            ("extra_specs", crate::json_schema::pairs()),
        ]),
    )
}

/// `PUT /types/{type_id}`.
pub fn update_type() -> Value {
    under(
        "volume_type",
        object([
            ("name", filled(255)),
            ("description", or_null(text(255))),
            ("is_public", flag()),
        ]),
    )
}

/// `POST /types/{type_id}/action`.
pub fn type_access() -> Value {
    let project = || object([("project!", uuid())]);
    any_of(vec![
        under("addProjectAccess", project()),
        under("removeProjectAccess", project()),
    ])
}

/// `POST /types/{type_id}/extra_specs`.
pub fn extra_specs() -> Value {
    under("extra_specs", crate::json_schema::pairs())
}

fn quotas() -> Value {
    let limit = || whole(-1, 0x7fff_ffff);
    object([
        ("volumes", limit()),
        ("snapshots", limit()),
        ("gigabytes", limit()),
        ("backups", limit()),
        ("backup_gigabytes", limit()),
        ("per_volume_gigabytes", limit()),
        ("groups", limit()),
    ])
}

/// `PUT /os-quota-sets/{target_project_id}`.
pub fn quota_set() -> Value {
    under("quota_set", quotas())
}

/// `PUT /os-quota-class-sets/{class_name}`.
pub fn quota_class_set() -> Value {
    under("quota_class_set", quotas())
}

/// `PUT /os-services/{verb}`.
pub fn service_switch() -> Value {
    object([
        ("host!", text(255)),
        (
            "binary!",
            word(&["cinder-backup", "cinder-volume", "cinder-scheduler"]),
        ),
        ("disabled_reason", text(255)),
    ])
}

#[cfg(test)]
mod tests {
    use super::super::{Json, Microversion, new_backup};
    use super::*;

    #[test]
    fn the_schema_names_what_the_check_knows() {
        let schema = create_backup();
        let inner = &schema["properties"]["backup"];
        let names: Vec<&String> = inner["properties"]
            .as_object()
            .expect("an object")
            .keys()
            .collect();
        assert_eq!(names.len(), 9, "{names:?}");
        assert_eq!(inner["required"], json!(["volume_id"]));
        // Everything it names is taken; anything else is not.
        let id = "6f1c1f0c-0000-4000-8000-000000000001";
        for (more, fits) in [
            ("", true),
            (r#", "name": null"#, true),
            (r#", "color": 1"#, false),
        ] {
            let text = format!(r#"{{"backup": {{"volume_id": "{id}"{more}}}}}"#);
            let body = Json::read(text.as_bytes()).expect("is JSON");
            let taken = new_backup(&body, Microversion::v3(71)).is_ok();
            assert_eq!(taken, fits, "{text}");
        }
    }
}
