//! What request bodies look like where no table of their own says it.

use serde_json::{Value, json};

use super::schema::{
    any_of, filled, flag, list, object, or_null, pairs as pairs_of_texts, text, under, uuid, whole,
    word,
};

// Block Storage.

pub(super) fn metadata() -> Value {
    under("metadata", pairs_of_texts())
}

pub(super) fn meta() -> Value {
    let mut one = pairs_of_texts();
    one["maxProperties"] = json!(1);
    under("meta", one)
}

pub(super) fn pairs() -> Value {
    let mut one = pairs_of_texts();
    one["maxProperties"] = json!(1);
    one
}

pub(super) fn create_attachment() -> Value {
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

pub(super) fn connector() -> Value {
    let connector = object([
        ("host", text(255)),
        ("initiator", text(255)),
        ("mountpoint", text(255)),
        ("multipath", flag()),
    ]);
    under("attachment", object([("connector!", connector)]))
}

pub(super) fn complete_attachment() -> Value {
    under("os-complete", json!({}))
}

pub(super) fn volume_type() -> Value {
    under(
        "volume_type",
        object([
            ("name!", filled(255)),
            ("description", or_null(text(255))),
            ("os-volume-type-access:is_public", flag()),
            ("extra_specs", pairs_of_texts()),
        ]),
    )
}

pub(super) fn update_type() -> Value {
    under(
        "volume_type",
        object([
            ("name", filled(255)),
            ("description", or_null(text(255))),
            ("is_public", flag()),
        ]),
    )
}

pub(super) fn type_access() -> Value {
    let project = || object([("project!", uuid())]);
    any_of(vec![
        under("addProjectAccess", project()),
        under("removeProjectAccess", project()),
    ])
}

pub(super) fn extra_specs() -> Value {
    under("extra_specs", pairs_of_texts())
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

pub(super) fn quota_set() -> Value {
    under("quota_set", quotas())
}

pub(super) fn quota_class_set() -> Value {
    under("quota_class_set", quotas())
}

pub(super) fn service_switch() -> Value {
    object([
        ("host!", text(255)),
        (
            "binary!",
            word(&["cinder-backup", "cinder-volume", "cinder-scheduler"]),
        ),
        ("disabled_reason", text(255)),
    ])
}

// Identity.

pub(super) fn sign_in() -> Value {
    let domain = || object([("id", text(64)), ("name", text(64))]);
    let user = object([
        ("id", text(64)),
        ("name", text(255)),
        ("domain", domain()),
        ("password!", text(4096)),
    ]);
    let credential = object([
        ("id", text(64)),
        ("name", text(255)),
        ("secret!", text(4096)),
        (
            "user",
            object([("id", text(64)), ("name", text(255)), ("domain", domain())]),
        ),
    ]);
    let methods = list(word(&["password", "token", "application_credential"]));
    let project = object([("id", text(64)), ("name", text(64)), ("domain", domain())]);
    let scope = any_of(vec![
        object([("project!", project)]),
        object([("domain!", domain())]),
        json!({"type": "string", "enum": ["unscoped"]}),
    ]);
    let identity = object([
        ("methods!", methods),
        ("password", object([("user!", user)])),
        ("token", object([("id!", text(4096))])),
        ("application_credential", credential),
    ]);
    under("auth", object([("identity!", identity), ("scope", scope)]))
}

pub(super) fn project() -> Value {
    under(
        "project",
        object([
            ("name!", filled(64)),
            ("description", or_null(text(255))),
            ("domain_id", or_null(text(64))),
            ("enabled", or_null(flag())),
        ]),
    )
}

pub(super) fn user() -> Value {
    under(
        "user",
        object([
            ("name!", filled(255)),
            ("password!", filled(4096)),
            ("default_project_id", or_null(text(64))),
            ("domain_id", or_null(text(64))),
            ("enabled", or_null(flag())),
        ]),
    )
}

pub(super) fn project_change() -> Value {
    under(
        "project",
        object([
            ("name", filled(64)),
            ("description", or_null(text(255))),
            ("enabled", or_null(flag())),
        ]),
    )
}

pub(super) fn user_change() -> Value {
    under(
        "user",
        object([
            ("name", filled(255)),
            ("password", filled(1024)),
            ("default_project_id", or_null(text(64))),
            ("enabled", or_null(flag())),
        ]),
    )
}

pub(super) fn password() -> Value {
    let change = object([
        ("original_password!", text(4096)),
        ("password!", filled(4096)),
    ]);
    under("user", change)
}

pub(super) fn app_credential() -> Value {
    let role = object([("id", text(64)), ("name", text(64))]);
    under(
        "application_credential",
        object([
            ("name!", filled(255)),
            ("description", or_null(text(255))),
            ("secret", or_null(text(4096))),
            ("roles", list(role)),
            ("expires_at", or_null(text(64))),
            ("unrestricted", flag()),
        ]),
    )
}

// CBR.

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

pub(super) fn create_vault() -> Value {
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

pub(super) fn update_vault() -> Value {
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

pub(super) fn update_vaults() -> Value {
    under(
        "vault",
        object([("smn_notify", flag()), ("threshold", whole(1, 100))]),
    )
}

pub(super) fn add_resources() -> Value {
    object([("resources!", list(resource()))])
}

pub(super) fn resource_ids() -> Value {
    object([("resource_ids!", list(uuid()))])
}

pub(super) fn migrate_resources() -> Value {
    object([
        ("destination_vault_id!", uuid()),
        ("resource_ids!", list(uuid())),
    ])
}

pub(super) fn set_resources() -> Value {
    object([
        ("resource_ids!", list(uuid())),
        ("action!", word(&["suspend", "unsuspend"])),
    ])
}

pub(super) fn move_expiry() -> Value {
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

pub(super) fn policy_bound() -> Value {
    object([("policy_id!", uuid()), ("destination_vault_id", uuid())])
}

fn definition() -> Value {
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

fn patterns() -> Value {
    let pattern = "^FREQ=(DAILY;INTERVAL=[1-9]|WEEKLY;BYDAY=(MO|TU|SU));BYHOUR=(0[0-9]|1[0-9]);BYMINUTE=[0-5][0-9]$";
    list(json!({"type": "string", "pattern": pattern}))
}

fn trigger() -> Value {
    object([("properties!", object([("pattern!", patterns())]))])
}

pub(super) fn create_policy() -> Value {
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

pub(super) fn update_policy() -> Value {
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

pub(super) fn set_tag() -> Value {
    under("tag", tag())
}

pub(super) fn act_on_tags() -> Value {
    object([
        ("action!", word(&["create", "delete"])),
        ("tags!", list(tag())),
    ])
}

pub(super) fn find_by_tags() -> Value {
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

pub(super) fn add_members() -> Value {
    object([("members!", list(filled(64)))])
}

pub(super) fn answer_member() -> Value {
    object([
        ("status!", word(&["pending", "accepted", "rejected"])),
        ("vault_id", uuid()),
    ])
}

pub(super) fn create_checkpoint() -> Value {
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

pub(super) fn restore() -> Value {
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

pub(super) fn rename() -> Value {
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

pub(super) fn replicate_vault() -> Value {
    let mut inner = destination([("vault_id", uuid()), ("auto_trigger", flag())]);
    if let Some(required) = inner["required"].as_array_mut() {
        required.push(json!("vault_id"));
    }
    under("replicate", inner)
}

pub(super) fn replicate_backup() -> Value {
    under(
        "replicate",
        destination([("name", name()), ("description", text(255))]),
    )
}

pub(super) fn sync_vault() -> Value {
    under(
        "sync",
        object([("vault_id!", uuid()), ("auto_trigger", flag())]),
    )
}

pub(super) fn sync_backups() -> Value {
    under("sync", list(object([("backup_id!", uuid())])))
}

// Native.

pub(super) fn policy_trial() -> Value {
    object([
        ("operation_definition", definition()),
        ("pattern", patterns()),
        ("zone", text(64)),
    ])
}

pub(super) fn policy_zone() -> Value {
    object([("zone", or_null(text(64)))])
}

pub(super) fn new_server() -> Value {
    object([
        ("name!", filled(255)),
        ("description", or_null(text(255))),
        ("os_type", or_null(text(64))),
        ("architecture", or_null(text(64))),
        ("metadata", pairs()),
        ("volumes", list(uuid())),
    ])
}

pub(super) fn server_volumes() -> Value {
    object([("volumes!", list(uuid()))])
}

pub(super) fn new_file_system() -> Value {
    object([
        ("name!", filled(255)),
        ("description", or_null(text(255))),
        ("path!", filled(4096)),
        ("project_id", or_null(filled(64))),
        ("metadata", pairs()),
    ])
}

pub(super) fn vault_freeze() -> Value {
    object([("reason", or_null(text(255)))])
}

pub(super) fn stream() -> Value {
    json!({"type": "string", "contentMediaType": "application/x-emberkeep-extents"})
}
