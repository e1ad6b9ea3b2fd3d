//! Signing in: at Swift itself (version 1), or at Keystone (version 3).

use std::fmt;
use std::io;

use reqwest::header::CONTENT_LENGTH;
use reqwest::{Client, Response, StatusCode, Url};
use serde_json::{Value, json};

use crate::error::ForeignError;

/// Who asks, and where; Cinder's `backup_swift_auth*` options say the same.
#[derive(Clone)]
pub enum SwiftAuth {
    /// Swift's own authentication (`backup_swift_auth_version = 1`).
    V1 {
        /// Its address, like `http://swift:8080/auth/v1.0`.
        url: String,
        /// `account:user`.
        user: String,
        /// The user's key.
        key: String,
    },
    /// A user of Keystone's.
    Keystone {
        /// Its address, with or without `/v3`.
        url: String,
        /// The user.
        username: String,
        /// Its password.
        password: String,
        /// The user's domain.
        user_domain_name: String,
        /// The project whose account is read.
        project_name: String,
        /// The project's domain.
        project_domain_name: String,
        /// The region whose Swift is meant; the first if none.
        region: Option<String>,
    },
    /// An application credential of Keystone's.
    ApplicationCredential {
        /// Keystone's address, with or without `/v3`.
        url: String,
        /// The credential's id.
        id: String,
        /// Its secret.
        secret: String,
        /// The region whose Swift is meant; the first if none.
        region: Option<String>,
    },
    /// A token that somebody else has got.
    Token {
        /// The account's address.
        storage_url: String,
        /// The token.
        token: String,
    },
}

impl fmt::Debug for SwiftAuth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, url) = match self {
            Self::V1 { url, .. } => ("V1", url),
            Self::Keystone { url, .. } => ("Keystone", url),
            Self::ApplicationCredential { url, .. } => ("ApplicationCredential", url),
            Self::Token { storage_url, .. } => ("Token", storage_url),
        };
        write!(f, "{kind}({url})")
    }
}

/// A token, and the account that it opens.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Session {
    storage_url: String,
    token: String,
}

impl Session {
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// Returns the address of an object, or of a container.
    pub(super) fn url(&self, container: &str, name: &str) -> Result<Url, ForeignError> {
        let unfit = || ForeignError::BadName {
            name: self.storage_url.clone(),
            reason: "it is no address",
        };
        let mut url = Url::parse(&self.storage_url).map_err(|_| unfit())?;
        url.path_segments_mut()
            .map_err(|()| unfit())?
            .pop_if_empty()
            .push(container)
            .extend(name.split('/').filter(|_| !name.is_empty()));
        Ok(url)
    }
}

impl SwiftAuth {
    pub(super) async fn sign_in(&self, http: &Client) -> Result<Session, ForeignError> {
        match self {
            Self::Token { storage_url, token } => Ok(Session {
                storage_url: storage_url.clone(),
                token: token.clone(),
            }),
            Self::V1 { url, user, key } => {
                let request = http.get(url).header("X-Auth-User", user);
                let answer = request.header("X-Auth-Key", key).send().await;
                let answer = answered(url, answer)?;
                let header = |name| text_of(url, &answer, name);
                Ok(Session {
                    storage_url: header("X-Storage-Url")?,
                    token: header("X-Auth-Token")?,
                })
            }
            Self::Keystone {
                url,
                username,
                password,
                user_domain_name,
                project_name,
                project_domain_name,
                region,
            } => {
                let body = json!({"auth": {
                    "identity": {"methods": ["password"], "password": {"user": {
                        "name": username, "password": password, "domain": {"name": user_domain_name},
                    }}},
                    "scope": {"project": {"name": project_name, "domain": {"name": project_domain_name}}},
                }});
                keystone(http, url, &body, region.as_deref()).await
            }
            Self::ApplicationCredential {
                url,
                id,
                secret,
                region,
            } => {
                let body = json!({"auth": {"identity": {
                    "methods": ["application_credential"],
                    "application_credential": {"id": id, "secret": secret},
                }}});
                keystone(http, url, &body, region.as_deref()).await
            }
        }
    }
}

async fn keystone(
    http: &Client,
    url: &str,
    body: &Value,
    region: Option<&str>,
) -> Result<Session, ForeignError> {
    let base = url.trim_end_matches('/');
    let base = base.strip_suffix("/v3").unwrap_or(base);
    let url = format!("{base}/v3/auth/tokens");
    let answer = answered(&url, http.post(&url).json(body).send().await)?;
    let token = text_of(&url, &answer, "X-Subject-Token")?;
    let body: Value = answer.json().await.map_err(|cause| failed(&url, cause))?;
    let storage_url = endpoint(&body, region).ok_or_else(|| {
        ForeignError::io(
            &url,
            io::Error::other("its catalogue names no object store for us"),
        )
    })?;
    Ok(Session { storage_url, token })
}

/// Finds the public address of the object store in a token's catalogue.
fn endpoint(body: &Value, region: Option<&str>) -> Option<String> {
    let services = body["token"]["catalog"].as_array()?;
    let stores = services
        .iter()
        .filter(|service| service["type"] == "object-store");
    let mut endpoints =
        stores.flat_map(|service| service["endpoints"].as_array().into_iter().flatten());
    let found = endpoints.find(|endpoint| {
        let here = [&endpoint["region_id"], &endpoint["region"]];
        endpoint["interface"] == "public"
            && region.is_none_or(|region| here.iter().any(|word| **word == region))
    })?;
    found["url"].as_str().map(str::to_owned)
}

fn answered(url: &str, answer: Result<Response, reqwest::Error>) -> Result<Response, ForeignError> {
    let answer = answer.map_err(|cause| failed(url, cause))?;
    match answer.status() {
        status if status.is_success() => Ok(answer),
        status => Err(odd(url, status)),
    }
}

fn text_of(url: &str, answer: &Response, header: &'static str) -> Result<String, ForeignError> {
    let text = answer
        .headers()
        .get(header)
        .and_then(|value| value.to_str().ok());
    text.map(str::to_owned).ok_or_else(|| {
        ForeignError::io(url, io::Error::other(format!("its answer has no {header}")))
    })
}

/// Returns how long an object is, of which only the head was sent.
pub(super) fn length_of(head: &Response) -> Option<u64> {
    head.headers()
        .get(CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

pub(super) fn failed(name: &str, cause: reqwest::Error) -> ForeignError {
    ForeignError::Io {
        name: name.to_owned(),
        // Its address may hold a signature.
        cause: io::Error::other(cause.without_url()),
    }
}

pub(super) fn odd(name: &str, status: StatusCode) -> ForeignError {
    ForeignError::Io {
        name: name.to_owned(),
        cause: io::Error::other(format!("the server answers {status}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_quoted_in_addresses() {
        let session = Session {
            storage_url: "http://swift:8080/v1/AUTH_a/".to_owned(),
            token: String::new(),
        };
        for (container, name, want) in [
            (
                "volumebackups",
                "",
                "http://swift:8080/v1/AUTH_a/volumebackups",
            ),
            (
                "a b",
                "volume_x/2024/az_a?b_backup-00001",
                "http://swift:8080/v1/AUTH_a/a%20b/volume_x/2024/az_a%3Fb_backup-00001",
            ),
        ] {
            let url = session.url(container, name).expect("an address");
            assert_eq!(url.as_str(), want);
        }
    }

    #[test]
    fn the_catalogue_tells_where_the_objects_are() {
        let body = json!({"token": {"catalog": [
            {"type": "volumev3", "endpoints": [{"interface": "public", "region_id": "one", "url": "http://no"}]},
            {"type": "object-store", "endpoints": [
                {"interface": "admin", "region_id": "one", "url": "http://admin"},
                {"interface": "public", "region_id": "one", "url": "http://one"},
                {"interface": "public", "region_id": "two", "url": "http://two"},
            ]},
        ]}});
        for (region, want) in [
            (None, Some("http://one")),
            (Some("two"), Some("http://two")),
            (Some("three"), None),
        ] {
            assert_eq!(endpoint(&body, region).as_deref(), want, "{region:?}");
        }
    }
}
