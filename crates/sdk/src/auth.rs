//! Signing in at the identity service: the request, and what comes back.

use emberkeep_wire::identity::{
    self as wire, AppCredentialRef, AuthMethod, AuthRequest, CatalogEntry, DomainRef, NamedRef,
    ScopeRequest,
};
use emberkeep_wire::lenient;
use serde::Deserialize;

use crate::cloud::{ApplicationCredential, CloudConfig, Credentials, Method, Named, Scope};
use crate::secret::Secret;

/// What signing in gave.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token: Secret,
    pub(crate) project_id: Option<String>,
    /// How far this machine's clock was ahead when it signed in.
    pub(crate) ahead_secs: Option<i64>,
    catalog: Vec<CatalogEntry>,
}

/// What matters of a token: clouds differ in the rest, and leave some of it out.
#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    project: Option<ProjectBody>,
    #[serde(default, deserialize_with = "lenient::or_default")]
    catalog: Vec<CatalogEntry>,
}

#[derive(Deserialize)]
struct ProjectBody {
    id: String,
}

impl Session {
    /// Reads the answer to a sign-in.
    pub(crate) fn from_answer(token: Secret, body: &[u8]) -> Result<Self, serde_json::Error> {
        let answer: TokenAnswer = serde_json::from_slice(body)?;
        Ok(Self {
            token,
            project_id: answer.token.project.map(|project| project.id),
            ahead_secs: None,
            catalog: answer.token.catalog,
        })
    }

    /// Returns the address of the first of `types` that the catalogue has.
    pub(crate) fn endpoint(
        &self,
        types: &[&str],
        interface: &str,
        region: Option<&str>,
    ) -> Option<&str> {
        types.iter().find_map(|wanted| {
            self.catalog
                .iter()
                .filter(|service| service.kind == *wanted)
                .flat_map(|service| &service.endpoints)
                .find(|endpoint| {
                    endpoint.interface.trim_end_matches("URL") == interface
                        && region.is_none_or(|name| {
                            endpoint.region_id.as_deref() == Some(name)
                                || endpoint.region.as_deref() == Some(name)
                        })
                })
                .map(|endpoint| endpoint.url.as_str())
        })
    }
}

/// Returns where to sign in.
pub(crate) fn tokens_url(config: &CloudConfig) -> String {
    format!("{}/auth/tokens", identity_url(config))
}

/// Returns where identity is: people give the address with and without `/v3`.
pub(crate) fn identity_url(config: &CloudConfig) -> String {
    let base = config.auth_url.trim_end_matches('/');
    if base.ends_with("/v3") {
        base.to_owned()
    } else {
        format!("{base}/v3")
    }
}

/// Returns the body of a sign-in.
pub(crate) fn sign_in_body(credentials: &Credentials) -> AuthRequest {
    let hidden = |secret: &Secret| wire::Secret(secret.expose().to_owned());
    let method = match &credentials.method {
        Method::Password {
            user,
            domain,
            password,
        } => AuthMethod::Password {
            user: named(user, domain),
            password: hidden(password),
        },
        Method::Token(token) => AuthMethod::Token(hidden(token)),
        Method::ApplicationCredential { credential, secret } => AuthMethod::AppCredential {
            credential: match credential {
                ApplicationCredential::Id(id) => AppCredentialRef::Id(id.clone()),
                ApplicationCredential::Name { name, user, domain } => AppCredentialRef::Name {
                    name: name.clone(),
                    user: named(user, domain),
                },
            },
            secret: hidden(secret),
        },
    };
    AuthRequest {
        methods: vec![method],
        scope: match &credentials.scope {
            Scope::Unscoped => ScopeRequest::Default,
            Scope::Project { project, domain } => ScopeRequest::Project(named(project, domain)),
            Scope::Domain(domain) => ScopeRequest::Domain(only(domain)),
            Scope::System => ScopeRequest::System,
        },
    }
}

/// A name means something within a domain only; an id needs none.
fn named(named: &Named, domain: &Named) -> NamedRef {
    match named {
        Named::Id(id) => NamedRef::Id(id.clone()),
        Named::Name(name) => NamedRef::Name {
            name: name.clone(),
            domain: only(domain),
        },
    }
}

fn only(named: &Named) -> DomainRef {
    match named {
        Named::Id(id) => DomainRef::Id(id.clone()),
        Named::Name(name) => DomainRef::Name(name.clone()),
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_wire::request::Request;
    use serde_json::json;

    use super::*;

    #[test]
    fn the_catalogue_is_searched_by_alias_interface_and_region() {
        let body = json!({"token": {"project": {"id": "p1"}, "catalog": [
            {"type": "volumev3", "endpoints": [
                {"interface": "internal", "url": "http://i/v3/p1", "region": "A", "region_id": "A"},
                {"interface": "public", "url": "http://a/v3/p1", "region": "A", "region_id": "A"},
                {"interface": "public", "url": "http://b/v3/p1", "region": "B", "region_id": "B"}]}]}});
        let session = Session::from_answer(Secret::new("t"), body.to_string().as_bytes()).unwrap();
        let types = ["block-storage", "volumev3"];
        for (interface, region, want) in [
            ("public", None, Some("http://a/v3/p1")),
            ("public", Some("B"), Some("http://b/v3/p1")),
            ("internal", None, Some("http://i/v3/p1")),
            ("internal", Some("B"), None),
        ] {
            assert_eq!(
                session.endpoint(&types, interface, region),
                want,
                "{interface} {region:?}"
            );
        }
        assert_eq!(session.endpoint(&["cbr"], "public", None), None);
        assert_eq!(session.project_id.as_deref(), Some("p1"));
    }

    #[test]
    fn bodies_name_people_and_projects_with_their_domains() {
        let id = |text: &str| Named::Id(text.to_owned());
        let name = |text: &str| Named::Name(text.to_owned());
        let project = |named| Scope::Project {
            project: named,
            domain: id("default"),
        };
        for (what, method, scope, want) in [
            (
                "a password, a project by id",
                Method::Password {
                    user: name("u"),
                    domain: name("Default"),
                    password: Secret::new("pw"),
                },
                project(id("p")),
                json!({"identity": {"methods": ["password"], "password": {"user":
                    {"name": "u", "domain": {"name": "Default"}, "password": "pw"}}},
                    "scope": {"project": {"id": "p"}}}),
            ),
            (
                "a token, a project by name",
                Method::Token(Secret::new("t")),
                project(name("p")),
                json!({"identity": {"methods": ["token"], "token": {"id": "t"}},
                    "scope": {"project": {"name": "p", "domain": {"id": "default"}}}}),
            ),
            (
                "an application credential by id",
                Method::ApplicationCredential {
                    credential: ApplicationCredential::Id("i".to_owned()),
                    secret: Secret::new("s"),
                },
                Scope::Unscoped,
                json!({"identity": {"methods": ["application_credential"],
                    "application_credential": {"id": "i", "secret": "s"}}}),
            ),
            (
                "an application credential by name, a system scope",
                Method::ApplicationCredential {
                    credential: ApplicationCredential::Name {
                        name: "n".to_owned(),
                        user: id("u"),
                        domain: id("default"),
                    },
                    secret: Secret::new("s"),
                },
                Scope::System,
                json!({"identity": {"methods": ["application_credential"],
                    "application_credential": {"name": "n", "user": {"id": "u"}, "secret": "s"}},
                    "scope": {"system": {"all": true}}}),
            ),
        ] {
            let body = sign_in_body(&Credentials { method, scope }).body();
            assert_eq!(body, json!({"auth": want}), "{what}");
        }
    }
}
