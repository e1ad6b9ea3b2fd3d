//! What request bodies of CBR look like, as JSON Schema; `request.rs` and `form.rs` read them.

use serde_json::{Value, json};

use crate::json_schema::{filled, flag, list, object, text, under, uuid, whole, word};

fn name() -> Value {
    json!({"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,64}$"})
}

fn tag() -> Value {
    object([
        (
            "key!",
            json!({"type": "string", "pattern": "^[a-zA-Z0-9_-]{1,36}$"}),
        ),
        (
            "value!",
            json!({"type": "string", "pattern": "^[a-zA-Z0-9_.-]{0,43}$"}),
        ),
    ])
}

fn resource() -> Value {
    object([
        ("id!", uuid()),
        ("type!", word(&["OS::Cinder::Volume", "OS::Nova::Server"])),
        ("name", text(255)),
    ])
}

fn bind_rules() -> Value {
    object([("tags", list(tag()))])
}

/// `POST /vaults`.
pub fn create_vault() -> Value {
    let billing = object([
        ("object_type!", word(&["disk", "server", "turbo"])),
        ("protect_type!", word(&["backup", "replication"])),
        ("size!", whole(1, 10_485_760)),
        (
            "consistent_level!",
            word(&["crash_consistent", "app_consistent"]),
        ),
        ("cloud_type", word(&["public"])),
        ("charging_mode", word(&["post_paid"])),
    ]);
    under(
        "vault",
        object([
            ("name!", name()),
            ("description", text(64)),
            ("billing!", billing),
            ("resources!", list(resource())),
            ("backup_policy_id", uuid()),
            ("tags", list(tag())),
            ("auto_bind", flag()),
            ("bind_rules", bind_rules()),
            ("auto_expand", flag()),
            ("locked", flag()),
            ("smn_notify", flag()),
            ("threshold", whole(1, 100)),
            ("backup_name_prefix", text(32)),
        ]),
    )
}

/// `PUT /vaults/{id}`.
pub fn update_vault() -> Value {
    let billing = object([
        ("size", whole(1, 10_485_760)),
        (
            "consistent_level",
            word(&["crash_consistent", "app_consistent"]),
        ),
    ]);
    under(
        "vault",
        object([
            ("name", name()),
            ("billing", billing),
            ("auto_bind", flag()),
            ("bind_rules", bind_rules()),
            ("auto_expand", flag()),
            ("smn_notify", flag()),
            ("threshold", whole(1, 100)),
            ("locked", flag()),
        ]),
    )
}

/// `PUT /vaults/batch-update`.
pub fn update_vaults() -> Value {
    under(
        "vault",
        object([("smn_notify", flag()), ("threshold", whole(1, 100))]),
    )
}

/// `POST /vaults/{id}/addresources`.
pub fn add_resources() -> Value {
    object([("resources!", list(resource()))])
}

/// `POST /vaults/{id}/removeresources`.
pub fn resource_ids() -> Value {
    object([("resource_ids!", list(uuid()))])
}

/// `POST /vaults/{id}/migrateresources`.
pub fn migrate_resources() -> Value {
    object([
        ("destination_vault_id!", uuid()),
        ("resource_ids!", list(uuid())),
    ])
}

/// `PUT /vaults/{id}/set-resources`.
pub fn set_resources() -> Value {
    object([
        ("resource_ids!", list(uuid())),
        ("action!", word(&["suspend", "unsuspend"])),
    ])
}

/// `PUT /vaults/{id}/update-backup-expiration-time`.
pub fn move_expiry() -> Value {
    object([
        (
            "expect_expiration_date!",
            json!({"type": "string", "format": "date"}),
        ),
        (
            "time_zone!",
            json!({"type": "string", "pattern": "^UTC[+-](0[0-9]|1[0-4]):00$"}),
        ),
    ])
}

/// `POST /vaults/{id}/associatepolicy`.
pub fn policy_bound() -> Value {
    object([("policy_id!", uuid()), ("destination_vault_id", uuid())])
}

pub(crate) fn definition() -> Value {
    object([
        ("max_backups", whole(-1, 99_999)),
        ("retention_duration_days", whole(-1, 99_999)),
        ("day_backups", whole(0, 100)),
        ("week_backups", whole(0, 100)),
        ("month_backups", whole(0, 100)),
        ("year_backups", whole(0, 100)),
        ("timezone", word(&["UTC+00:00", "UTC+02:00", "UTC-05:30"])),
        ("full_backup_interval", whole(-1, 100)),
    ])
}

pub(crate) fn patterns() -> Value {
    let pattern = "^FREQ=(DAILY;INTERVAL=[1-9]|WEEKLY;BYDAY=(MO|TU|SU));BYHOUR=(0[0-9]|1[0-9]);BYMINUTE=[0-5][0-9]$";
    list(json!({"type": "string", "pattern": pattern}))
}

fn trigger() -> Value {
    object([("properties!", object([("pattern!", patterns())]))])
}

/// `POST /policies`.
pub fn create_policy() -> Value {
    under(
        "policy",
        object([
            ("name!", name()),
            ("enabled", flag()),
            ("operation_type!", word(&["backup", "replication"])),
            ("operation_definition!", definition()),
            ("trigger!", trigger()),
        ]),
    )
}

/// `PUT /policies/{id}`.
pub fn update_policy() -> Value {
    under(
        "policy",
        object([
            ("name", name()),
            ("enabled", flag()),
            ("operation_definition", definition()),
            ("trigger", trigger()),
        ]),
    )
}

/// `POST /vault/{id}/tags`.
pub fn set_tag() -> Value {
    under("tag", tag())
}

/// `POST /vault/{id}/tags/action`.
pub fn act_on_tags() -> Value {
    object([
        ("action!", word(&["create", "delete"])),
        ("tags!", list(tag())),
    ])
}

/// `POST /vault/resource_instances/action`.
pub fn find_by_tags() -> Value {
    let condition = || {
        list(object([
            ("key!", filled(127)),
            ("values!", list(text(255))),
        ]))
    };
    let named = object([("key!", word(&["resource_name"])), ("value!", text(255))]);
    object([
        ("action!", word(&["filter", "count"])),
        ("tags", condition()),
        ("tags_any", condition()),
        ("not_tags", condition()),
        ("not_tags_any", condition()),
        ("without_any_tag", flag()),
        ("matches", list(named)),
        ("object_type", word(&["server", "disk", "turbo"])),
        (
            "limit",
            json!({"type": "string", "pattern": "^[1-9][0-9]{0,2}$"}),
        ),
        (
            "offset",
            json!({"type": "string", "pattern": "^[0-9]{1,4}$"}),
        ),
    ])
}

/// `POST /backups/{id}/members`.
pub fn add_members() -> Value {
    object([("members!", list(filled(64)))])
}

/// `PUT /backups/{id}/members/{name}`.
pub fn answer_member() -> Value {
    object([
        ("status!", word(&["pending", "accepted", "rejected"])),
        ("vault_id", uuid()),
    ])
}

/// `POST /checkpoints`.
pub fn create_checkpoint() -> Value {
    let parameters = object([
        ("auto_trigger", flag()),
        ("description", text(255)),
        ("incremental", flag()),
        ("name", name()),
        ("resources", list(uuid())),
        ("resource_details", list(resource())),
        ("retention_duration_days", whole(-1, 36_500)),
    ]);
    under(
        "checkpoint",
        object([("vault_id!", uuid()), ("parameters", parameters)]),
    )
}

/// `POST /backups/{id}/restore`.
pub fn restore() -> Value {
    let mapping = object([("backup_id!", uuid()), ("volume_id!", uuid())]);
    under(
        "restore",
        object([
            ("volume_id", uuid()),
            ("resource_id", uuid()),
            ("server_id", uuid()),
            ("power_on", flag()),
            ("mappings", list(mapping)),
        ]),
    )
}

/// `PUT /backups/{id}`.
pub fn rename() -> Value {
    under("backup", object([("name!", name())]))
}

fn destination<const N: usize>(more: [(&str, Value); N]) -> Value {
    let mut all = object([
        ("destination_project_id!", filled(64)),
        ("destination_region!", filled(255)),
        ("destination_vault_id!", uuid()),
    ]);
    for (name, schema) in more {
        all["properties"][name] = schema;
    }
    all
}

/// `POST /checkpoints/replicate`.
pub fn replicate_vault() -> Value {
    let mut inner = destination([("vault_id", uuid()), ("auto_trigger", flag())]);
    if let Some(required) = inner["required"].as_array_mut() {
        required.push(json!("vault_id"));
    }
    under("replicate", inner)
}

/// `POST /backups/{id}/replicate`.
pub fn replicate_backup() -> Value {
    under(
        "replicate",
        destination([("name", name()), ("description", text(255))]),
    )
}

/// `POST /checkpoints/sync`.
pub fn sync_vault() -> Value {
    under(
        "sync",
        object([("vault_id!", uuid()), ("auto_trigger", flag())]),
    )
}

/// `POST /backups/sync`.
pub fn sync_backups() -> Value {
    under("sync", list(object([("backup_id!", uuid())])))
}
