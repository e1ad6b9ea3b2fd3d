//! Bodies that make or change users and projects.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::auth::Secret;
use super::{DOMAIN_ID, Malformed, need, need_text, optional, optional_bool, optional_text};

/// `POST /v3/projects`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub struct ProjectCreate {
    pub name: String,
    pub description: String,
    pub enabled: bool,
}

impl Serialize for ProjectCreate {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let project = json!({
            "name": self.name,
            "description": self.description,
            "domain_id": DOMAIN_ID,
            "enabled": self.enabled,
        });
        json!({ "project": project }).serialize(sink)
    }
}

impl ProjectCreate {
    /// Reads a request body.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let project = need(body, "body", "project")?;
        check_domain(project)?;
        if optional_bool(project, "is_domain")? == Some(true) {
            return Err(Malformed::Invalid {
                field: "is_domain",
                reason: "there is one domain only",
            });
        }
        Ok(Self {
            name: need_text(project, "project", "name")?,
            description: optional_text(project, "description")?.unwrap_or_default(),
            enabled: optional_bool(project, "enabled")?.unwrap_or(true),
        })
    }
}

/// `POST /v3/users`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub struct UserCreate {
    pub name: String,
    pub password: Secret,
    pub default_project_id: Option<String>,
    pub enabled: bool,
}

impl Serialize for UserCreate {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        let user = json!({
            "name": self.name,
            "password": self.password.0,
            "default_project_id": self.default_project_id,
            "domain_id": DOMAIN_ID,
            "enabled": self.enabled,
        });
        json!({ "user": user }).serialize(sink)
    }
}

impl UserCreate {
    /// Reads a request body. A password must be given: nobody can sign in without one.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let user = need(body, "body", "user")?;
        check_domain(user)?;
        Ok(Self {
            name: need_text(user, "user", "name")?,
            password: Secret(need_text(user, "user", "password")?),
            default_project_id: optional_text(user, "default_project_id")?,
            enabled: optional_bool(user, "enabled")?.unwrap_or(true),
        })
    }
}

/// `PATCH /v3/users/{id}`; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UserUpdate {
    /// Another name.
    pub name: Option<String>,
    /// Another password.
    pub password: Option<Secret>,
    /// Another project to begin with; the inner none takes it away.
    pub default_project_id: Option<Option<String>>,
    /// Whether it can sign in.
    pub enabled: Option<bool>,
}

impl UserUpdate {
    /// Reads a request body. Fields that we do not keep (an address, a description) are let pass.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let user = need(body, "body", "user")?;
        check_domain(user)?;
        let default_project_id = match user.get("default_project_id") {
            None => None,
            Some(_) => Some(optional_text(user, "default_project_id")?),
        };
        Ok(Self {
            name: optional_text(user, "name")?,
            password: optional_text(user, "password")?.map(Secret),
            default_project_id,
            enabled: optional_bool(user, "enabled")?,
        })
    }
}

/// `PATCH /v3/projects/{id}`; what is none stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub struct ProjectUpdate {
    pub name: Option<String>,
    pub description: Option<String>,
    pub enabled: Option<bool>,
}

impl ProjectUpdate {
    /// Reads a request body.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let project = need(body, "body", "project")?;
        check_domain(project)?;
        Ok(Self {
            name: optional_text(project, "name")?,
            description: optional_text(project, "description")?,
            enabled: optional_bool(project, "enabled")?,
        })
    }
}

/// `POST /v3/users/{id}/password`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub struct PasswordChange {
    pub original_password: Secret,
    pub password: Secret,
}

impl PasswordChange {
    /// Reads a request body.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let user = need(body, "body", "user")?;
        Ok(Self {
            original_password: Secret(need_text(user, "user", "original_password")?),
            password: Secret(need_text(user, "user", "password")?),
        })
    }
}

/// `POST /v3/users/{id}/application_credentials`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppCredentialCreate {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its secret; one is made if none is given.
    pub secret: Option<Secret>,
    /// Ids or names of roles; none means all that the caller has.
    pub roles: Vec<String>,
    /// When it ends, if ever.
    pub expires_at: Option<String>,
    /// May make and delete further ones.
    pub unrestricted: bool,
}

impl AppCredentialCreate {
    /// Reads a request body.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        const WHAT: &str = "application_credential";
        let object = need(body, "body", WHAT)?;
        let invalid = |field, reason| Malformed::Invalid { field, reason };
        let list = |field: &'static str| match optional(object, field) {
            None => Ok(Vec::new()),
            Some(value) => value
                .as_array()
                .cloned()
                .ok_or(invalid(field, "it must be a list")),
        };
        if !list("access_rules")?.is_empty() {
            return Err(invalid(
                "access_rules",
                "the built-in identity has no rules of access; leave them out, or narrow the roles",
            ));
        }
        let role = |role: &Value| match optional_text(role, "id")? {
            Some(id) => Ok(id),
            None => need_text(role, "role", "name"),
        };
        Ok(Self {
            name: need_text(object, WHAT, "name")?,
            description: optional_text(object, "description")?,
            secret: optional_text(object, "secret")?.map(Secret),
            roles: list("roles")?.iter().map(role).collect::<Result<_, _>>()?,
            expires_at: optional_text(object, "expires_at")?,
            unrestricted: optional_bool(object, "unrestricted")?.unwrap_or(false),
        })
    }
}

fn check_domain(object: &Value) -> Result<(), Malformed> {
    match optional_text(object, "domain_id")? {
        Some(id) if id != DOMAIN_ID => Err(Malformed::Invalid {
            field: "domain_id",
            reason: "there is one domain only, 'default'",
        }),
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_fields_are_not_given() {
        let body = json!({"project": {"name": "alpha", "domain_id": "default", "description": null, "enabled": null, "is_domain": false, "parent_id": null}});
        let want = ProjectCreate {
            name: "alpha".to_owned(),
            description: String::new(),
            enabled: true,
        };
        assert_eq!(ProjectCreate::parse(&body), Ok(want));
        let body = json!({"user": {"name": "bob", "password": "x", "enabled": false, "email": null, "default_project_id": "p"}});
        let want = UserCreate {
            name: "bob".to_owned(),
            password: Secret("x".to_owned()),
            default_project_id: Some("p".to_owned()),
            enabled: false,
        };
        assert_eq!(UserCreate::parse(&body), Ok(want));
    }

    #[test]
    fn a_change_names_what_changes() {
        let body = json!({"user": {"password": "x", "email": "a@b", "default_project_id": null}});
        let want = UserUpdate {
            password: Some(Secret("x".to_owned())),
            default_project_id: Some(None),
            ..UserUpdate::default()
        };
        assert_eq!(UserUpdate::parse(&body), Ok(want));
        assert_eq!(
            UserUpdate::parse(&json!({"user": {}})),
            Ok(UserUpdate::default())
        );
        let body = json!({"project": {"enabled": false}});
        let want = ProjectUpdate {
            enabled: Some(false),
            ..ProjectUpdate::default()
        };
        assert_eq!(ProjectUpdate::parse(&body), Ok(want));
        assert!(UserUpdate::parse(&json!({"user": {"enabled": "no"}})).is_err());
        assert!(ProjectUpdate::parse(&json!({"project": {"domain_id": "other"}})).is_err());
    }

    #[test]
    fn what_cannot_be_made_is_refused() {
        for (body, want) in [
            (json!({}), "Expecting to find project in body"),
            (json!({"project": {}}), "Expecting to find name in project"),
            (
                json!({"project": {"name": 1}}),
                "Invalid input for field 'name'",
            ),
            (
                json!({"project": {"name": "a", "domain_id": "other"}}),
                "Invalid input for field 'domain_id'",
            ),
            (
                json!({"project": {"name": "a", "is_domain": true}}),
                "Invalid input for field 'is_domain'",
            ),
            (
                json!({"project": {"name": "a", "enabled": "yes"}}),
                "Invalid input for field 'enabled'",
            ),
        ] {
            let message = ProjectCreate::parse(&body).expect_err(want).to_string();
            assert!(message.starts_with(want), "{body}: {message}");
        }
        let error = UserCreate::parse(&json!({"user": {"name": "bob"}})).expect_err("no password");
        assert!(
            error
                .to_string()
                .starts_with("Expecting to find password in user")
        );
    }
}
