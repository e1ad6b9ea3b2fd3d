//! Signing in at the identity service: the request, and what comes back.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::cloud::{CloudConfig, Credentials, Named};
use crate::secret::Secret;

/// What signing in gave.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) token: Secret,
    pub(crate) project_id: Option<String>,
    catalog: Vec<Service>,
}

#[derive(Debug, Clone, Deserialize)]
struct Service {
    #[serde(rename = "type")]
    kind: String,
    endpoints: Vec<Endpoint>,
}

#[derive(Debug, Clone, Deserialize)]
struct Endpoint {
    interface: String,
    url: String,
    region: Option<String>,
    region_id: Option<String>,
}

#[derive(Deserialize)]
struct TokenAnswer {
    token: TokenBody,
}

#[derive(Deserialize)]
struct TokenBody {
    project: Option<ProjectBody>,
    #[serde(default)]
    catalog: Vec<Service>,
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
                    endpoint.interface == interface
                        && region.is_none_or(|name| {
                            endpoint.region_id.as_deref() == Some(name)
                                || endpoint.region.as_deref() == Some(name)
                        })
                })
                .map(|endpoint| endpoint.url.as_str())
        })
    }
}

/// Returns where to sign in: people give the address with and without `/v3`.
pub(crate) fn tokens_url(config: &CloudConfig) -> String {
    let base = config.auth_url.trim_end_matches('/');
    if base.ends_with("/v3") {
        format!("{base}/auth/tokens")
    } else {
        format!("{base}/v3/auth/tokens")
    }
}

/// Returns the body of a sign-in.
pub(crate) fn sign_in_body(credentials: &Credentials) -> Value {
    let password = credentials.password.expose();
    let user = match &credentials.user {
        Named::Id(id) => json!({"id": id, "password": password}),
        Named::Name(name) => {
            json!({"name": name, "domain": domain(&credentials.user_domain), "password": password})
        }
    };
    let mut auth = json!({"identity": {"methods": ["password"], "password": {"user": user}}});
    if let Some(project) = &credentials.project {
        auth["scope"] = match project {
            Named::Id(id) => json!({"project": {"id": id}}),
            Named::Name(name) => {
                json!({"project": {"name": name, "domain": domain(&credentials.project_domain)}})
            }
        };
    }
    json!({"auth": auth})
}

fn domain(named: &Named) -> Value {
    match named {
        Named::Id(id) => json!({"id": id}),
        Named::Name(name) => json!({"name": name}),
    }
}

#[cfg(test)]
mod tests {
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
    fn a_body_names_user_and_project_with_their_domains() {
        let credentials = Credentials {
            user: Named::Name("u".to_owned()),
            user_domain: Named::Name("Default".to_owned()),
            password: Secret::new("pw"),
            project: Some(Named::Id("p".to_owned())),
            project_domain: Named::Id("default".to_owned()),
        };
        assert_eq!(
            sign_in_body(&credentials),
            json!({"auth": {
                "identity": {"methods": ["password"], "password": {"user":
                    {"name": "u", "domain": {"name": "Default"}, "password": "pw"}}},
                "scope": {"project": {"id": "p"}}}})
        );
    }
}
