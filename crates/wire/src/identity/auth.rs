//! `POST /v3/auth/tokens`: who asks, how they prove it, and for what.

use std::fmt;

use serde::{Serialize, Serializer};
use serde_json::{Map, Value, json};

use super::{Malformed, as_text, need, need_text, optional, optional_text};

/// A text that is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// A domain, by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is named for")]
pub enum DomainRef {
    Id(String),
    Name(String),
}

/// A user or a project: by id, or by name within a domain.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is named for")]
pub enum NamedRef {
    Id(String),
    Name { name: String, domain: DomainRef },
}

/// One way of proving who asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthMethod {
    /// With a password.
    Password {
        /// Who.
        user: NamedRef,
        /// The password.
        password: Secret,
    },
    /// With a token.
    Token(Secret),
    /// With an application credential.
    AppCredential {
        /// Which.
        credential: AppCredentialRef,
        /// Its secret.
        secret: Secret,
    },
    /// In a way we do not know.
    Other(String),
}

/// An application credential: by id, or by name within a user's.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(missing_docs, reason = "each is what it is named for")]
pub enum AppCredentialRef {
    Id(String),
    Name { name: String, user: NamedRef },
}

/// What a token is wanted for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScopeRequest {
    /// Nothing was said: the user's default project.
    Default,
    /// Explicitly nothing.
    Unscoped,
    /// A project.
    Project(NamedRef),
    /// A domain.
    Domain(DomainRef),
    /// The whole of the cloud.
    System,
    /// What a trust is for.
    Elsewhere,
}

/// A request for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuthRequest {
    /// All of these must hold.
    pub methods: Vec<AuthMethod>,
    /// For what.
    pub scope: ScopeRequest,
}

impl Serialize for AuthRequest {
    fn serialize<S: Serializer>(&self, sink: S) -> Result<S::Ok, S::Error> {
        self.to_json().serialize(sink)
    }
}

impl AuthRequest {
    /// Reads a request body.
    pub fn parse(body: &Value) -> Result<Self, Malformed> {
        let auth = need(body, "body", "auth")?;
        let identity = need(auth, "auth", "identity")?;
        let names =
            need(identity, "identity", "methods")?
                .as_array()
                .ok_or(Malformed::Invalid {
                    field: "methods",
                    reason: "it must be a list",
                })?;
        let mut methods = Vec::new();
        for name in names {
            let method = parse_method(identity, &as_text(name, "methods")?)?;
            if !methods.contains(&method) {
                methods.push(method);
            }
        }
        Ok(Self {
            methods,
            scope: parse_scope(auth)?,
        })
    }

    /// Returns the body to send.
    pub fn to_json(&self) -> Value {
        let mut identity = Map::new();
        let mut names = Vec::new();
        for method in &self.methods {
            let (name, body) = match method {
                AuthMethod::Password { user, password } => {
                    let mut user = named_json(user);
                    user.insert("password".to_owned(), json!(password.0));
                    ("password", json!({ "user": user }))
                }
                AuthMethod::Token(token) => ("token", json!({"id": token.0})),
                AuthMethod::AppCredential { credential, secret } => {
                    let mut body = match credential {
                        AppCredentialRef::Id(id) => json!({ "id": id }),
                        AppCredentialRef::Name { name, user } => {
                            json!({"name": name, "user": named_json(user)})
                        }
                    };
                    body["secret"] = json!(secret.0);
                    ("application_credential", body)
                }
                AuthMethod::Other(name) => (name.as_str(), json!({})),
            };
            names.push(name);
            identity.insert(name.to_owned(), body);
        }
        identity.insert("methods".to_owned(), json!(names));
        let mut auth = json!({ "identity": identity });
        match &self.scope {
            ScopeRequest::Default => {}
            ScopeRequest::Unscoped => auth["scope"] = json!("unscoped"),
            ScopeRequest::Project(project) => {
                auth["scope"] = json!({"project": named_json(project)})
            }
            ScopeRequest::Domain(domain) => auth["scope"] = json!({"domain": domain_json(domain)}),
            ScopeRequest::System => auth["scope"] = json!({"system": {"all": true}}),
            ScopeRequest::Elsewhere => auth["scope"] = json!({"OS-TRUST:trust": {}}),
        }
        json!({ "auth": auth })
    }
}

fn parse_method(identity: &Value, name: &str) -> Result<AuthMethod, Malformed> {
    match name {
        "password" => {
            let user = need(need(identity, "identity", "password")?, "password", "user")?;
            Ok(AuthMethod::Password {
                user: parse_named(user, "user")?,
                password: Secret(need_text(user, "user", "password")?),
            })
        }
        "token" => {
            let token = need(identity, "identity", "token")?;
            Ok(AuthMethod::Token(Secret(need_text(token, "token", "id")?)))
        }
        "application_credential" => {
            const WHAT: &str = "application_credential";
            let object = need(identity, "identity", WHAT)?;
            let credential = match optional_text(object, "id")? {
                Some(id) => AppCredentialRef::Id(id),
                None => AppCredentialRef::Name {
                    name: need_text(object, WHAT, "name")?,
                    user: parse_named(need(object, WHAT, "user")?, "user")?,
                },
            };
            Ok(AuthMethod::AppCredential {
                credential,
                secret: Secret(need_text(object, WHAT, "secret")?),
            })
        }
        other => Ok(AuthMethod::Other(other.to_owned())),
    }
}

fn parse_scope(auth: &Value) -> Result<ScopeRequest, Malformed> {
    let Some(scope) = optional(auth, "scope") else {
        return Ok(ScopeRequest::Default);
    };
    if scope.as_str() == Some("unscoped") {
        return Ok(ScopeRequest::Unscoped);
    }
    let invalid = |reason| Malformed::Invalid {
        field: "scope",
        reason,
    };
    let object = scope.as_object().ok_or(invalid("it must be an object"))?;
    if object.len() > 1 {
        return Err(invalid("a token can be for one thing only"));
    }
    match object.iter().next() {
        None => Ok(ScopeRequest::Default),
        Some((key, project)) if key == "project" => {
            Ok(ScopeRequest::Project(parse_named(project, "project")?))
        }
        Some((key, _)) if key == "unscoped" => Ok(ScopeRequest::Unscoped),
        Some((key, domain)) if key == "domain" => Ok(ScopeRequest::Domain(parse_domain(domain)?)),
        Some((key, _)) if key == "system" => Ok(ScopeRequest::System),
        Some((key, _)) if key == "OS-TRUST:trust" => Ok(ScopeRequest::Elsewhere),
        Some(_) => Err(invalid(
            "it must name a project, a domain, the system or a trust",
        )),
    }
}

fn parse_named(object: &Value, what: &'static str) -> Result<NamedRef, Malformed> {
    if !object.is_object() {
        return Err(Malformed::Invalid {
            field: what,
            reason: "it must be an object",
        });
    }
    if let Some(id) = optional_text(object, "id")? {
        return Ok(NamedRef::Id(id));
    }
    let name = need_text(object, what, "name")?;
    let domain = parse_domain(need(object, what, "domain")?)?;
    Ok(NamedRef::Name { name, domain })
}

fn parse_domain(domain: &Value) -> Result<DomainRef, Malformed> {
    if !domain.is_object() {
        return Err(Malformed::Invalid {
            field: "domain",
            reason: "it must be an object",
        });
    }
    Ok(match optional_text(domain, "id")? {
        Some(id) => DomainRef::Id(id),
        None => DomainRef::Name(need_text(domain, "domain", "name")?),
    })
}

fn domain_json(domain: &DomainRef) -> Value {
    match domain {
        DomainRef::Id(id) => json!({ "id": id }),
        DomainRef::Name(name) => json!({ "name": name }),
    }
}

fn named_json(named: &NamedRef) -> Map<String, Value> {
    let value = match named {
        NamedRef::Id(id) => json!({ "id": id }),
        NamedRef::Name { name, domain } => json!({"name": name, "domain": domain_json(domain)}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alice(domain: DomainRef) -> NamedRef {
        NamedRef::Name {
            name: "alice".to_owned(),
            domain,
        }
    }

    #[test]
    fn what_clients_send_is_understood() {
        let default = DomainRef::Id("default".to_owned());
        let secret = || Secret("s3cret".to_owned());
        let by_name = json!({"name": "alice", "domain": {"name": "Default"}, "password": "s3cret"});
        let password = |user: Value| json!({"methods": ["password"], "password": {"user": user}});
        for (what, auth, methods, scope) in [
            (
                "password, project by name",
                json!({"identity": password(json!({"name": "alice", "domain": {"id": "default"}, "password": "s3cret"})),
                    "scope": {"project": {"name": "alpha", "domain": {"id": "default"}}}}),
                vec![AuthMethod::Password {
                    user: alice(default.clone()),
                    password: secret(),
                }],
                ScopeRequest::Project(NamedRef::Name {
                    name: "alpha".to_owned(),
                    domain: default,
                }),
            ),
            (
                "password, no scope",
                json!({"identity": password(by_name.clone())}),
                vec![AuthMethod::Password {
                    user: alice(DomainRef::Name("Default".to_owned())),
                    password: secret(),
                }],
                ScopeRequest::Default,
            ),
            (
                "user by id, unscoped",
                json!({"identity": password(json!({"id": "1", "password": "s3cret"})), "scope": "unscoped"}),
                vec![AuthMethod::Password {
                    user: NamedRef::Id("1".to_owned()),
                    password: secret(),
                }],
                ScopeRequest::Unscoped,
            ),
            (
                "token, project by id",
                json!({"identity": {"methods": ["token"], "token": {"id": "s3cret"}}, "scope": {"project": {"id": "p"}}}),
                vec![AuthMethod::Token(secret())],
                ScopeRequest::Project(NamedRef::Id("p".to_owned())),
            ),
            (
                "another method, system",
                json!({"identity": {"methods": ["totp"], "totp": {}}, "scope": {"system": {"all": true}}}),
                vec![AuthMethod::Other("totp".to_owned())],
                ScopeRequest::System,
            ),
            (
                "null is not given",
                json!({"identity": {"methods": ["token", "token"], "token": {"id": "s3cret"}}, "scope": null}),
                vec![AuthMethod::Token(secret())],
                ScopeRequest::Default,
            ),
        ] {
            let request = AuthRequest::parse(&json!({ "auth": auth })).expect(what);
            assert_eq!(request, AuthRequest { methods, scope }, "{what}");
            assert_eq!(
                AuthRequest::parse(&request.to_json()),
                Ok(request),
                "{what}: sent and read again"
            );
        }
    }

    #[test]
    fn malformed_requests_name_the_field_and_no_value() {
        let identity = json!({"methods": ["token"], "token": {"id": "s3cret"}});
        for (body, want) in [
            (json!({}), "Expecting to find auth in body"),
            (
                json!([]),
                "Invalid input for field 'body': it must be an object",
            ),
            (json!({"auth": {}}), "Expecting to find identity in auth"),
            (
                json!({"auth": {"identity": {}}}),
                "Expecting to find methods in identity",
            ),
            (
                json!({"auth": {"identity": {"methods": "password"}}}),
                "Invalid input for field 'methods': it must be a list",
            ),
            (
                json!({"auth": {"identity": {"methods": [1]}}}),
                "Invalid input for field 'methods': it must be a string",
            ),
            (
                json!({"auth": {"identity": {"methods": ["password"]}}}),
                "Expecting to find password in identity",
            ),
            (
                json!({"auth": {"identity": {"methods": ["password"], "password": "s3cret"}}}),
                "Invalid input for field 'password': it must be an object",
            ),
            (
                json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"name": "a", "password": "s3cret"}}}}}),
                "Expecting to find domain in user",
            ),
            (
                json!({"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "a"}}}}}),
                "Expecting to find password in user",
            ),
            (
                json!({"auth": {"identity": identity, "scope": "s3cret"}}),
                "Invalid input for field 'scope': it must be an object",
            ),
            (
                json!({"auth": {"identity": identity, "scope": {"galaxy": {}}}}),
                "Invalid input for field 'scope': it must name",
            ),
            (
                json!({"auth": {"identity": identity, "scope": {"project": {"id": "a"}, "system": {}}}}),
                "Invalid input for field 'scope': a token can be for one thing only",
            ),
            (
                json!({"auth": {"identity": identity, "scope": {"project": "s3cret"}}}),
                "Invalid input for field 'project': it must be an object",
            ),
        ] {
            let message = AuthRequest::parse(&body).expect_err(want).to_string();
            assert!(message.starts_with(want), "{body}: {message}");
            assert!(!message.contains("s3cret"), "{message}");
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let request = AuthRequest {
            methods: vec![AuthMethod::Token(Secret("s3cret".to_owned()))],
            scope: ScopeRequest::Default,
        };
        assert!(!format!("{request:?}").contains("s3cret"));
    }
}
