//! A signed-in connection to one cloud: sends, signs in again once when a token has
//! run out, and turns refusals into words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Client, Method, Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::RwLock;

use crate::auth::{self, Session};
use crate::block_storage::BlockStorage;
use crate::cbr::Cbr;
use crate::cloud::CloudConfig;
use crate::error::{Refusal, SdkError};
use crate::native::Native;
use crate::secret::Secret;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// The longest silence while an answer is awaited. Nothing slow happens within a request.
const READ_TIMEOUT: Duration = Duration::from_secs(60);

/// Which face of the cloud a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    BlockStorage,
    Cbr,
    Native,
}

impl Face {
    /// The catalogue's type and its aliases, the official one first.
    fn types(self) -> &'static [&'static str] {
        match self {
            Self::BlockStorage => &["block-storage", "volumev3", "block-store", "volume"],
            Self::Cbr => &["cbr"],
            // The native API is in no catalogue: it lies on the same host as the others.
            Self::Native => &["block-storage", "volumev3", "block-store", "volume", "cbr"],
        }
    }
}

/// One call, before it is sent; may be sent twice.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    pub(crate) method: Method,
    pub(crate) path: &'a [&'a str],
    pub(crate) query: Vec<(&'a str, String)>,
    pub(crate) body: Option<Value>,
}

impl<'a> Call<'a> {
    pub(crate) fn new(method: Method, path: &'a [&'a str]) -> Self {
        Self {
            method,
            path,
            query: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn get(path: &'a [&'a str]) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn body(mut self, body: Value) -> Self {
        self.body = Some(body);
        self
    }

    pub(crate) fn query(mut self, name: &'a str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name, value.to_string())));
        self
    }

    fn asked(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }
}

/// A connection to one cloud. Cheap to clone; shared by all its faces.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    config: CloudConfig,
    http: Client,
    /// For long uploads, where silence from the other side is normal.
    streams: Client,
    session: RwLock<Session>,
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("config", &self.inner.config)
            .finish_non_exhaustive()
    }
}

impl Connection {
    /// Signs in.
    pub async fn open(config: CloudConfig) -> Result<Self, SdkError> {
        let http = client(&config, Some(READ_TIMEOUT))?;
        let streams = client(&config, None)?;
        let session = sign_in(&http, &config).await?;
        let inner = Inner {
            config,
            http,
            streams,
            session: RwLock::new(session),
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns what it was opened with.
    pub fn config(&self) -> &CloudConfig {
        &self.inner.config
    }

    /// Returns the project signed in for.
    pub async fn project_id(&self) -> Option<String> {
        self.inner.session.read().await.project_id.clone()
    }

    /// Volumes, snapshots and backups, as Cinder has them.
    pub fn block_storage(&self) -> BlockStorage {
        BlockStorage::new(self.clone())
    }

    /// Vaults, checkpoints and their backups, as CBR has them.
    pub fn cbr(&self) -> Cbr {
        Cbr::new(self.clone())
    }

    /// What only Emberkeep has: progress, images in and out, sweeps.
    pub fn native(&self) -> Native {
        Native::new(self.clone())
    }

    /// Sends a call and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        face: Face,
        call: &Call<'_>,
    ) -> Result<T, SdkError> {
        let asked = call.asked();
        let response = self.send(face, call).await?;
        let url = response.url().to_string();
        let body = response
            .bytes()
            .await
            .map_err(|cause| SdkError::transport(&url, cause))?;
        serde_json::from_slice(&body).map_err(|cause| SdkError::BadAnswer {
            asked,
            what: cause.to_string(),
        })
    }

    /// Sends a call whose answer holds nothing of interest.
    pub(crate) async fn done(&self, face: Face, call: &Call<'_>) -> Result<(), SdkError> {
        self.send(face, call).await.map(drop)
    }

    /// Sends a call; any status that is no success is an error.
    pub(crate) async fn send(&self, face: Face, call: &Call<'_>) -> Result<Response, SdkError> {
        let used = self.inner.session.read().await.clone();
        let response = self.send_with(&used, face, call).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return accept(call.asked(), response).await;
        }
        // The token has run out or was taken back: once, a new one may help.
        let fresh = self.renew(&used).await?;
        let response = self.send_with(&fresh, face, call).await?;
        accept(call.asked(), response).await
    }

    /// Sends a body that can be sent only once.
    pub(crate) async fn upload(
        &self,
        face: Face,
        call: &Call<'_>,
        content_type: &'static str,
        body: reqwest::Body,
    ) -> Result<Response, SdkError> {
        let session = self.inner.session.read().await.clone();
        let url = self.address(&session, face, call)?;
        let response = self
            .inner
            .streams
            .request(call.method.clone(), url.clone())
            .headers(headers(&session, face))
            .header(reqwest::header::CONTENT_TYPE, content_type)
            .body(body)
            .send()
            .await
            .map_err(|cause| SdkError::transport(url.as_str(), cause))?;
        accept(call.asked(), response).await
    }

    async fn send_with(
        &self,
        session: &Session,
        face: Face,
        call: &Call<'_>,
    ) -> Result<Response, SdkError> {
        let url = self.address(session, face, call)?;
        let mut request = self
            .inner
            .http
            .request(call.method.clone(), url.clone())
            .headers(headers(session, face));
        if let Some(body) = &call.body {
            request = request.json(body);
        }
        request
            .send()
            .await
            .map_err(|cause| SdkError::transport(url.as_str(), cause))
    }

    async fn renew(&self, used: &Session) -> Result<Session, SdkError> {
        let mut session = self.inner.session.write().await;
        // Another call may have signed in again while this one waited for the lock.
        if session.token == used.token {
            *session = sign_in(&self.inner.http, &self.inner.config).await?;
        }
        Ok(session.clone())
    }

    fn address(&self, session: &Session, face: Face, call: &Call<'_>) -> Result<Url, SdkError> {
        let base = self.base(session, face)?;
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| SdkError::BadAddress {
                url: base.to_string(),
            })?
            .pop_if_empty()
            .extend(call.path);
        if !call.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&call.query);
        }
        Ok(url)
    }

    fn base(&self, session: &Session, face: Face) -> Result<Url, SdkError> {
        let config = &self.inner.config;
        let text = session
            .endpoint(face.types(), &config.interface, config.region.as_deref())
            .ok_or_else(|| SdkError::NoService {
                service: face.types()[0],
                region: config.region.clone(),
            })?;
        let bad = || SdkError::BadAddress {
            url: text.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|_| bad())?;
        match (face, &session.project_id) {
            (Face::BlockStorage, _) | (Face::Cbr, None) => {}
            // Some catalogues leave the project out of the CBR address, and CBR wants it.
            (Face::Cbr, Some(project)) => {
                if !url.path().trim_end_matches('/').ends_with(project.as_str()) {
                    url.path_segments_mut()
                        .map_err(|()| bad())?
                        .pop_if_empty()
                        .push(project);
                }
            }
            (Face::Native, _) => url.set_path("/api/v1"),
        }
        Ok(url)
    }
}

/// The Block Storage microversion that every call asks for: the first in which
/// backups have metadata and a volume in use can grow.
const MICROVERSION: &str = "volume 3.43";

fn headers(session: &Session, face: Face) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(mut token) = HeaderValue::from_str(session.token.expose()) {
        token.set_sensitive(true);
        headers.insert("x-auth-token", token);
    }
    if face == Face::BlockStorage {
        headers.insert(
            "openstack-api-version",
            HeaderValue::from_static(MICROVERSION),
        );
    }
    headers
}

fn client(config: &CloudConfig, read_timeout: Option<Duration>) -> Result<Client, SdkError> {
    let failed = |cause| SdkError::Transport {
        url: config.auth_url.clone(),
        cause,
    };
    let mut builder = Client::builder()
        .user_agent(concat!("emberkeep/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(CONNECT_TIMEOUT)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(timeout) = read_timeout {
        builder = builder.read_timeout(timeout);
    }
    if is_loopback(&config.auth_url) {
        // A proxy meant for the way out would send loopback addresses to the proxy's own host.
        builder = builder.no_proxy();
    }
    if let Some(path) = &config.ca_file {
        let pem = std::fs::read(path).map_err(|cause| SdkError::CaFile {
            path: path.clone(),
            cause,
        })?;
        for certificate in reqwest::Certificate::from_pem_bundle(&pem).map_err(failed)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    if !config.verify {
        builder = builder.danger_accept_invalid_certs(true);
    }
    builder.build().map_err(failed)
}

fn is_loopback(url: &str) -> bool {
    Url::parse(url)
        .ok()
        .and_then(|url| url.host_str().map(str::to_owned))
        .is_some_and(|host| {
            host == "localhost"
                || host
                    .trim_matches(['[', ']'])
                    .parse::<std::net::IpAddr>()
                    .is_ok_and(|address| address.is_loopback())
        })
}

async fn sign_in(http: &Client, config: &CloudConfig) -> Result<Session, SdkError> {
    let url = auth::tokens_url(config);
    let url = Url::parse(&url).map_err(|_| SdkError::BadAddress { url })?;
    let response = http
        .post(url.clone())
        .json(&auth::sign_in_body(&config.credentials))
        .send()
        .await
        .map_err(|cause| SdkError::transport(url.as_str(), cause))?;
    let response = accept("POST /auth/tokens".to_owned(), response)
        .await
        .map_err(|error| match error {
            SdkError::Refused { refusal } if refusal.status == 401 => SdkError::SignIn {
                auth_url: config.auth_url.clone(),
                refusal,
            },
            other => other,
        })?;
    let bad = |what: String| SdkError::BadAnswer {
        asked: "POST /auth/tokens".to_owned(),
        what,
    };
    let token = response
        .headers()
        .get("x-subject-token")
        .and_then(|value| value.to_str().ok())
        .map(Secret::new)
        .ok_or_else(|| bad("it carries no token".to_owned()))?;
    let body = response
        .bytes()
        .await
        .map_err(|cause| SdkError::transport(url.as_str(), cause))?;
    Session::from_answer(token, &body).map_err(|cause| bad(cause.to_string()))
}

async fn accept(asked: String, response: Response) -> Result<Response, SdkError> {
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let request_id = [
        "x-openstack-request-id",
        "x-compute-request-id",
        "x-request-id",
    ]
    .iter()
    .find_map(|name| response.headers().get(*name))
    .and_then(|value| value.to_str().ok())
    .map(str::to_owned);
    // The status alone says enough if the words after it cannot be read.
    let body = response.bytes().await.unwrap_or_default();
    let (code, message) = refusal_words(status, &body);
    let refusal = Refusal {
        asked,
        status: status.as_u16(),
        code,
        message,
        request_id,
    };
    Err(SdkError::Refused {
        refusal: Box::new(refusal),
    })
}

/// Reads code and words out of any of the error bodies that the four APIs have.
fn refusal_words(status: StatusCode, body: &[u8]) -> (Option<String>, String) {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let parsed: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
    // CBR: {"error_code", "error_msg"}.
    if let Some(message) = parsed.get("error_msg").and_then(text) {
        return (parsed.get("error_code").and_then(text), message);
    }
    // Cinder: {"itemNotFound": {"code": 404, "message"}}; identity and native: {"error": {…}}.
    if let Some((kind, inner)) = parsed.as_object().and_then(|object| object.iter().next())
        && let Some(message) = inner.get("message").and_then(text)
    {
        let own = inner.get("code").and_then(text);
        let code = own.or_else(|| (kind != "error").then(|| kind.clone()));
        return (code, message);
    }
    let plain = String::from_utf8_lossy(body);
    let plain = plain.trim();
    let message = if plain.is_empty() || plain.starts_with(['<', '{']) || plain.len() > 300 {
        status.to_string()
    } else {
        plain.to_owned()
    };
    (None, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_api_says_why_in_its_own_form() {
        for (what, body, code, message) in [
            (
                "cinder",
                r#"{"itemNotFound":{"code":404,"message":"Backup X could not be found."}}"#,
                Some("itemNotFound"),
                "Backup X could not be found.",
            ),
            (
                "cbr",
                r#"{"error_code":"BackupService.6105","error_msg":"no vault"}"#,
                Some("BackupService.6105"),
                "no vault",
            ),
            (
                "identity",
                r#"{"error":{"code":401,"message":"No.","title":"Unauthorized"}}"#,
                None,
                "No.",
            ),
            (
                "native",
                r#"{"error":{"code":"not_found","message":"no task","request_id":"req-1"}}"#,
                Some("not_found"),
                "no task",
            ),
            ("text", "Not here", None, "Not here"),
            ("html", "<html>", None, "404 Not Found"),
            ("nothing", "", None, "404 Not Found"),
            ("other json", "{}", None, "404 Not Found"),
        ] {
            let (got_code, got_message) = refusal_words(StatusCode::NOT_FOUND, body.as_bytes());
            assert_eq!(
                (got_code.as_deref(), got_message.as_str()),
                (code, message),
                "{what}"
            );
        }
    }

    #[test]
    fn loopback_is_known_in_all_its_spellings() {
        for (url, want) in [
            ("http://127.0.0.1:8776/identity/v3", true),
            ("http://localhost/v3", true),
            ("http://[::1]:5000/v3", true),
            ("http://10.0.0.1/v3", false),
            ("https://cloud.example.org/v3", false),
        ] {
            assert_eq!(is_loopback(url), want, "{url}");
        }
    }
}
