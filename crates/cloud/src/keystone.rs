//! A real Keystone as the one who says what a token is good for (`clients.md §8`).
//!
//! What it said is kept for a while under a hash of the token, so a token that was taken back is
//! noticed at the latest when that while is over. A Keystone that does not answer is told as such:
//! its silence neither lets anybody in nor calls their token bad.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use emberkeep_model::{Role, Timestamp};
use emberkeep_service::{AccessRule, Authenticator, Clock, Refusal, ServiceError, TokenInfo};
use emberkeep_wire::identity::{
    AuthMethod, AuthRequest, DomainRef, NamedRef, ScopeRequest, Secret,
};
use emberkeep_wire::time;
use reqwest::{Certificate, Client, StatusCode};
use serde::Deserialize;

/// Longer ones are no tokens; Keystone's own are a few hundred characters.
const LONGEST_TOKEN: usize = 16 * 1024;
/// So many answers are kept at most.
const MOST_KEPT: usize = 20_000;
/// That a token is no good is kept only so long: it may be one that is about to be.
const REFUSED_SECS: i64 = 10;
/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Where Keystone is, and who we are there.
#[derive(Clone)]
pub struct KeystoneSettings {
    /// Its address, with or without `/v3`.
    pub auth_url: String,
    /// Our user, which needs the role `service` and no more.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Its project.
    pub project_name: String,
    /// The user's domain.
    pub user_domain_name: String,
    /// The project's domain.
    pub project_domain_name: String,
    /// How long an answer is kept at most.
    pub keep: Duration,
    /// Where clients are sent for a token, if that is another address.
    pub public_url: Option<String>,
    /// Certificates (PEM) of those who may vouch for it, besides the system's.
    pub ca_pem: Option<Vec<u8>>,
}

/// Why Keystone did not answer as it should. Those who asked are only told that it could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum KeystoneError {
    /// There was no answer, or none that could be read.
    #[error("Keystone at {url} does not answer")]
    Unreachable {
        /// Where.
        url: String,
        /// What happened instead.
        #[source]
        cause: reqwest::Error,
    },
    /// It cannot be asked at all: its certificates are none, or TLS cannot be set up.
    #[error("requests to Keystone cannot be made")]
    Client {
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// Our own user cannot sign in.
    #[error("Keystone at {url} does not let the service user in: {status}")]
    ServiceUser {
        /// Where.
        url: String,
        /// What it says.
        status: StatusCode,
    },
    /// It answers something that it should not.
    #[error("Keystone at {url} answers {status}")]
    Odd {
        /// Where.
        url: String,
        /// What it says.
        status: StatusCode,
    },
    /// What it says about a token makes no sense to us.
    #[error("what Keystone says about a token cannot be understood: {0}")]
    Unreadable(String),
}

/// A real Keystone.
pub struct Keystone {
    http: Client,
    settings: KeystoneSettings,
    url: String,
    public_url: String,
    clock: Arc<dyn Clock>,
    /// Our own token; whoever finds it stale gets a new one while the others wait.
    own: tokio::sync::Mutex<Option<String>>,
    kept: Mutex<HashMap<blake3::Hash, Kept>>,
}

struct Kept {
    until: Timestamp,
    /// None for a token that is no good.
    info: Option<TokenInfo>,
}

impl Keystone {
    /// Makes the adapter; nobody is asked yet.
    pub fn new(settings: KeystoneSettings, clock: Arc<dyn Clock>) -> Result<Self, KeystoneError> {
        let url = versioned(&settings.auth_url);
        let unusable = |cause| KeystoneError::Client { cause };
        let mut http = Client::builder().timeout(TIMEOUT);
        if let Some(pem) = &settings.ca_pem {
            let trusted = Certificate::from_pem_bundle(pem).map_err(unusable)?;
            http = http.tls_certs_merge(trusted);
        }
        let http = http.build().map_err(unusable)?;
        let public_url = settings
            .public_url
            .as_deref()
            .map_or(url.clone(), versioned);
        Ok(Self {
            http,
            settings,
            url,
            public_url,
            clock,
            own: tokio::sync::Mutex::default(),
            kept: Mutex::default(),
        })
    }

    /// Returns the address that clients are sent to for a token.
    pub fn public_url(&self) -> &str {
        &self.public_url
    }

    /// Asks what a token is good for; none if it is no good.
    async fn ask(&self, token: &str) -> Result<Option<TokenInfo>, KeystoneError> {
        let mut fresh = false;
        loop {
            let own = self.own_token(fresh).await?;
            let url = format!("{}/auth/tokens?nocatalog", self.url);
            let answer = self
                .http
                .get(&url)
                .header("X-Auth-Token", &own)
                .header("X-Subject-Token", token)
                .header("OpenStack-Identity-Access-Rules", "1")
                .send()
                .await
                .map_err(|cause| self.unreachable(cause))?;
            match answer.status() {
                StatusCode::OK => {
                    let body: Body = answer
                        .json()
                        .await
                        .map_err(|cause| self.unreachable(cause))?;
                    return info_of(body.token).map(Some);
                }
                StatusCode::NOT_FOUND => return Ok(None),
                // Our own token has ended or was taken back: once more with a new one.
                StatusCode::UNAUTHORIZED if !fresh => fresh = true,
                status => return Err(self.odd(status)),
            }
        }
    }

    /// Returns our own token, a new one if there is none or the last one is stale.
    async fn own_token(&self, stale: bool) -> Result<String, KeystoneError> {
        let mut own = self.own.lock().await;
        if let Some(token) = own.as_ref().filter(|_| !stale) {
            return Ok(token.clone());
        }
        let named = |name: &str, domain: &str| NamedRef::Name {
            name: name.to_owned(),
            domain: DomainRef::Name(domain.to_owned()),
        };
        let settings = &self.settings;
        let request = AuthRequest {
            methods: vec![AuthMethod::Password {
                user: named(&settings.username, &settings.user_domain_name),
                password: Secret(settings.password.clone()),
            }],
            scope: ScopeRequest::Project(named(
                &settings.project_name,
                &settings.project_domain_name,
            )),
        };
        let answer = self
            .http
            .post(format!("{}/auth/tokens?nocatalog", self.url))
            .json(&request.to_json())
            .send()
            .await
            .map_err(|cause| self.unreachable(cause))?;
        let status = answer.status();
        let token = answer
            .headers()
            .get("x-subject-token")
            .and_then(|value| value.to_str().ok());
        match (status, token) {
            (StatusCode::CREATED, Some(token)) => {
                *own = Some(token.to_owned());
                Ok(token.to_owned())
            }
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, _) => {
                Err(KeystoneError::ServiceUser {
                    url: self.url.clone(),
                    status,
                })
            }
            (status, _) => Err(self.odd(status)),
        }
    }

    fn unreachable(&self, cause: reqwest::Error) -> KeystoneError {
        KeystoneError::Unreachable {
            url: self.url.clone(),
            cause,
        }
    }

    fn odd(&self, status: StatusCode) -> KeystoneError {
        KeystoneError::Odd {
            url: self.url.clone(),
            status,
        }
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<blake3::Hash, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, key: blake3::Hash, info: Option<TokenInfo>, now: Timestamp) {
        let until = match &info {
            Some(info) => {
                let secs = i64::try_from(self.settings.keep.as_secs()).unwrap_or(i64::MAX);
                now.plus_secs(secs).min(info.expires_at)
            }
            None => now.plus_secs(REFUSED_SECS),
        };
        let mut kept = self.kept();
        if kept.len() >= MOST_KEPT {
            kept.retain(|_, one| one.until > now);
        }
        if kept.len() >= MOST_KEPT {
            // All of them are fresh: rather ask again than grow.
            kept.clear();
        }
        kept.insert(key, Kept { until, info });
    }
}

#[async_trait]
impl Authenticator for Keystone {
    async fn validate(&self, token: &str) -> Result<TokenInfo, ServiceError> {
        if token.is_empty() || token.len() > LONGEST_TOKEN {
            return Err(ServiceError::Unauthenticated);
        }
        let key = blake3::hash(token.as_bytes());
        let now = self.clock.now();
        if let Some(kept) = self.kept().get(&key).filter(|kept| kept.until > now) {
            return kept.info.clone().ok_or(ServiceError::Unauthenticated);
        }
        let info = match self.ask(token).await {
            Ok(info) => info.filter(|info| info.expires_at > now),
            Err(error) => {
                tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a token could not be checked"
                );
                return Err(Refusal::IdentityUnreachable.into());
            }
        };
        self.keep(key, info.clone(), now);
        info.ok_or(ServiceError::Unauthenticated)
    }
}

/// Returns an address that ends in `/v3`, whatever was given.
fn versioned(url: &str) -> String {
    let url = url.trim_end_matches('/');
    if url.ends_with("/v3") {
        url.to_owned()
    } else {
        format!("{url}/v3")
    }
}

#[derive(Deserialize)]
struct Body {
    token: Token,
}

#[derive(Deserialize)]
struct Token {
    user: Named,
    project: Option<Named>,
    #[serde(default)]
    roles: Vec<Named>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    audit_ids: Vec<String>,
    issued_at: String,
    expires_at: String,
    application_credential: Option<Credential>,
}

/// What is asked of a token's application credential: the requests that it is bound to.
#[derive(Deserialize)]
struct Credential {
    access_rules: Option<Vec<Rule>>,
}

#[derive(Deserialize)]
struct Rule {
    service: String,
    method: String,
    path: String,
}

#[derive(Deserialize)]
struct Named {
    id: String,
    name: String,
}

/// Translates what Keystone says; roles that mean nothing to us are left out.
fn info_of(token: Token) -> Result<TokenInfo, KeystoneError> {
    let odd = |error: &dyn std::fmt::Display| KeystoneError::Unreadable(error.to_string());
    let held: Vec<Role> = token
        .roles
        .iter()
        .filter_map(|role| match role.name.to_ascii_lowercase().as_str() {
            "admin" => Some(Role::Admin),
            "manager" => Some(Role::Manager),
            "member" => Some(Role::Member),
            "reader" => Some(Role::Reader),
            _ => None,
        })
        .collect();
    let holds = |role: &&Role| held.iter().any(|one| one.implied().contains(role));
    let project = match token.project {
        Some(project) => Some((project.id.parse().map_err(|e| odd(&e))?, project.name)),
        None => None,
    };
    Ok(TokenInfo {
        user_id: token.user.id.parse().map_err(|e| odd(&e))?,
        user_name: token.user.name,
        project,
        roles: Role::ALL.iter().filter(holds).copied().collect(),
        methods: token.methods,
        audit_ids: token.audit_ids,
        issued_at: time::parse(&token.issued_at).map_err(|e| odd(&e))?,
        expires_at: time::parse(&token.expires_at).map_err(|e| odd(&e))?,
        app_credential: None,
        // A list without rules lets nothing pass, as keystonemiddleware has it.
        access_rules: token
            .application_credential
            .and_then(|credential| credential.access_rules)
            .map(|rules| {
                let rule = |rule: Rule| AccessRule {
                    service: rule.service,
                    method: rule.method,
                    path: rule.path,
                };
                rules.into_iter().map(rule).collect()
            }),
    })
}
