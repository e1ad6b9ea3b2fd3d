//! What request bodies of the native API look like, as JSON Schema.

use serde_json::{Value, json};

use crate::json_schema::{filled, list, object, or_null, pairs, text, uuid};

/// `POST /policies/{id}/preview`.
pub fn policy_trial() -> Value {
    object([
        ("operation_definition", crate::cbr::bodies::definition()),
        ("pattern", crate::cbr::bodies::patterns()),
        ("zone", text(64)),
    ])
}

/// `PUT /policies/{id}/zone`.
pub fn policy_zone() -> Value {
    object([("zone", or_null(text(64)))])
}

/// `POST /servers`.
pub fn new_server() -> Value {
    object([
        ("name!", filled(255)),
        ("description", or_null(text(255))),
        ("os_type", or_null(text(64))),
        ("architecture", or_null(text(64))),
        ("metadata", pairs()),
        ("volumes", list(uuid())),
    ])
}

/// `POST /servers/{id}/volumes`.
pub fn server_volumes() -> Value {
    object([("volumes!", list(uuid()))])
}

/// `POST /file-systems`.
pub fn new_file_system() -> Value {
    object([
        ("name!", filled(255)),
        ("description", or_null(text(255))),
        ("path!", filled(4096)),
        ("project_id", or_null(filled(64))),
        ("metadata", pairs()),
    ])
}

/// `POST /vaults/{id}/freeze`.
pub fn vault_freeze() -> Value {
    object([("reason", or_null(text(255)))])
}

/// `POST /volumes/import`.
pub fn stream() -> Value {
    json!({"type": "string", "contentMediaType": "application/x-emberkeep-extents"})
}
