//! What request bodies of identity look like, as JSON Schema; `requests.rs` and `auth.rs` read them.

use serde_json::{Value, json};

use crate::json_schema::{any_of, filled, flag, list, object, or_null, text, under, word};

/// `POST /auth/tokens`.
pub fn sign_in() -> Value {
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

/// `POST /projects`.
pub fn project() -> Value {
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

/// `POST /users`.
pub fn user() -> Value {
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

/// `PATCH /projects/{project}`.
pub fn project_change() -> Value {
    under(
        "project",
        object([
            ("name", filled(64)),
            ("description", or_null(text(255))),
            ("enabled", or_null(flag())),
        ]),
    )
}

/// `PATCH /users/{user}`.
pub fn user_change() -> Value {
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

/// `POST /users/{user}/password`.
pub fn password() -> Value {
    let change = object([
        ("original_password!", text(4096)),
        ("password!", filled(4096)),
    ]);
    under("user", change)
}

/// `POST /users/{user}/application_credentials`.
pub fn app_credential() -> Value {
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
