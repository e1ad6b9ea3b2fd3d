//! A signed-in connection to one cloud: sends, signs in again once when a token has
//! run out, and turns refusals into words.

mod call;
mod discovery;
mod http;
mod refusal;

use std::fmt;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use emberkeep_wire::keyed::Keyed;
use emberkeep_wire::time::http_date;
use reqwest::header::{HeaderMap, HeaderValue};
use reqwest::{Response, StatusCode, Url};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::{OnceCell, RwLock};

use crate::auth::{self, Session};
use crate::block_storage::BlockStorage;
use crate::cbr::Cbr;
use crate::cloud::{CloudConfig, Method};
use crate::error::SdkError;
use crate::identity::Identity;
use crate::native::Native;
use crate::secret::Secret;
use crate::version::Microversion;

pub(crate) use call::{Call, Face};
use http::{How, Http};

/// A connection to one cloud. Cheap to clone; shared by all its faces.
#[derive(Clone)]
pub struct Connection {
    inner: Arc<Inner>,
}

struct Inner {
    config: CloudConfig,
    http: Http,
    session: RwLock<Session>,
    /// Asked for once, by the first call that needs it.
    block_storage_version: OnceCell<Microversion>,
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
        let http = Http::new(&config)?;
        let session = sign_in(&http, &config).await?;
        let inner = Inner {
            config,
            http,
            session: RwLock::new(session),
            block_storage_version: OnceCell::new(),
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

    /// Returns how many seconds this machine's clock was ahead of the cloud's at the last
    /// sign-in (behind it, if negative); none if the cloud does not say what time it has.
    pub async fn clock_ahead_secs(&self) -> Option<i64> {
        self.inner.session.read().await.ahead_secs
    }

    /// Volumes, snapshots and backups, as Cinder has them.
    pub fn block_storage(&self) -> BlockStorage {
        BlockStorage::new(self.clone())
    }

    /// Vaults, checkpoints and their backups, as CBR has them.
    pub fn cbr(&self) -> Cbr {
        Cbr::new(self.clone())
    }

    /// Users, projects and roles, as Keystone has them.
    pub fn identity(&self) -> Identity {
        Identity::new(self.clone())
    }

    /// What only Emberkeep has: progress, images in and out, sweeps.
    pub fn native(&self) -> Native {
        Native::new(self.clone())
    }

    /// Sends a call and reads the answer as JSON.
    pub(crate) async fn json<T: DeserializeOwned>(
        &self,
        face: Face,
        call: &Call,
    ) -> Result<T, SdkError> {
        let asked = call.asked();
        let response = self.exchange(face, call, true).await?;
        let body = http::read(&asked, response).await?;
        refusal::parse(&asked, &body)
    }

    /// Sends a call and reads what lies under its key in the answer.
    pub(crate) async fn keyed<T: Keyed + DeserializeOwned>(
        &self,
        face: Face,
        call: &Call,
    ) -> Result<T, SdkError> {
        let answer: Value = self.json(face, call).await?;
        unwrap_key(call, T::KEY, answer)
    }

    /// Sends a call whose answer may be empty, or nothing that we know.
    pub(crate) async fn json_if_any<T: DeserializeOwned + Default>(
        &self,
        face: Face,
        call: &Call,
    ) -> Result<T, SdkError> {
        let asked = call.asked();
        let response = self.exchange(face, call, true).await?;
        let body = http::read(&asked, response).await?;
        // Some clouds answer with words where others answer with nothing.
        Ok(serde_json::from_slice(&body).unwrap_or_default())
    }

    /// Sends a call whose answer holds nothing of interest.
    pub(crate) async fn done(&self, face: Face, call: &Call) -> Result<(), SdkError> {
        self.exchange(face, call, true).await.map(drop)
    }

    /// Sends a call whose answer may take as long as it wants, if it does not fall silent.
    pub(crate) async fn send(&self, face: Face, call: &Call) -> Result<Response, SdkError> {
        self.exchange(face, call, false).await
    }

    /// Sends a call; any status that is no success is an error.
    async fn exchange(&self, face: Face, call: &Call, hurry: bool) -> Result<Response, SdkError> {
        let version = self.version_for(face).await?;
        let used = self.inner.session.read().await.clone();
        let response = self.send_with(&used, face, version, call, hurry).await?;
        if response.status() != StatusCode::UNAUTHORIZED {
            return refusal::accept(call.asked(), response).await;
        }
        // The token has run out or was taken back: once, a new one may help.
        let fresh = self.renew(&used).await?;
        let response = self.send_with(&fresh, face, version, call, hurry).await?;
        refusal::accept(call.asked(), response).await
    }

    /// Sends a body that can be sent only once.
    pub(crate) async fn upload(
        &self,
        face: Face,
        call: &Call,
        content_type: &'static str,
        body: reqwest::Body,
    ) -> Result<Response, SdkError> {
        let session = self.inner.session.read().await.clone();
        let url = call.address(&self.base(&session, face)?)?;
        let response = self
            .inner
            .http
            .streams()
            .request(call.method.clone(), url.clone())
            .headers(headers(&session, None))
            .header(reqwest::header::CONTENT_TYPE, content_type)
            .body(body)
            .send()
            .await
            .map_err(|cause| SdkError::transport(url.as_str(), cause))?;
        refusal::accept(call.asked(), response).await
    }

    async fn send_with(
        &self,
        session: &Session,
        face: Face,
        version: Option<Microversion>,
        call: &Call,
        hurry: bool,
    ) -> Result<Response, SdkError> {
        let url = call.address(&self.base(session, face)?)?;
        let http = &self.inner.http;
        let how = How {
            only_reads: call.only_reads(),
            hurry,
        };
        http.send(&url, how, || {
            let request = http
                .client()
                .request(call.method.clone(), url.clone())
                .headers(headers(session, version));
            match &call.body {
                Some(body) => request.json(body),
                None => request,
            }
        })
        .await
    }

    async fn renew(&self, used: &Session) -> Result<Session, SdkError> {
        let mut session = self.inner.session.write().await;
        // Another call may have signed in again while this one waited for the lock.
        if session.token == used.token {
            *session = sign_in(&self.inner.http, &self.inner.config).await?;
        }
        Ok(session.clone())
    }

    fn base(&self, session: &Session, face: Face) -> Result<Url, SdkError> {
        let config = &self.inner.config;
        if face == Face::Identity {
            // Where one signs in; a catalogue may name an address that only the cloud itself reaches.
            let text = auth::identity_url(config);
            return Url::parse(&text).map_err(|_| SdkError::BadAddress { url: text });
        }
        let types = face.types();
        let text = types
            .iter()
            .find_map(|kind| config.endpoints.get(*kind))
            .map(String::as_str)
            .or_else(|| session.endpoint(types, &config.interface, config.region.as_deref()))
            .ok_or_else(|| SdkError::NoService {
                service: types[0],
                region: config.region.clone(),
                interface: config.interface.clone(),
            })?;
        let bad = || SdkError::BadAddress {
            url: text.to_owned(),
        };
        let mut url = Url::parse(text).map_err(|_| bad())?;
        match (face, &session.project_id) {
            (Face::BlockStorage | Face::Identity, _) | (Face::Cbr, None) => {}
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

/// Takes what lies under `key` out of an answer.
pub(crate) fn unwrap_key<T: DeserializeOwned>(
    call: &Call,
    key: &str,
    mut answer: Value,
) -> Result<T, SdkError> {
    let inner = answer
        .get_mut(key)
        .map(Value::take)
        .ok_or_else(|| SdkError::BadAnswer {
            asked: call.asked(),
            what: format!("it has no '{key}'"),
        })?;
    serde_json::from_value(inner).map_err(|cause| SdkError::BadAnswer {
        asked: call.asked(),
        what: format!("in '{key}', {cause}"),
    })
}

fn headers(session: &Session, version: Option<Microversion>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(mut token) = HeaderValue::from_str(session.token.expose()) {
        token.set_sensitive(true);
        headers.insert("x-auth-token", token);
    }
    if let Some(value) =
        version.and_then(|version| HeaderValue::from_str(&format!("volume {version}")).ok())
    {
        headers.insert("openstack-api-version", value);
    }
    headers
}

const SIGN_IN: &str = "POST /auth/tokens";

async fn sign_in(http: &Http, config: &CloudConfig) -> Result<Session, SdkError> {
    let url = auth::tokens_url(config);
    let url = Url::parse(&url).map_err(|_| SdkError::BadAddress { url })?;
    let body = auth::sign_in_body(&config.credentials);
    // Signing in twice gives two tokens and no harm: it may be tried like a question.
    let response = http
        .send(&url, How::QUESTION, || {
            http.client().post(url.clone()).json(&body)
        })
        .await?;
    let ahead = ahead_secs(&response);
    let response = refusal::accept(SIGN_IN.to_owned(), response)
        .await
        .map_err(|error| match error {
            SdkError::Refused { refusal } if refusal.status == 401 => {
                let auth_url = config.auth_url.clone();
                match config.credentials.method {
                    Method::Token(_) => SdkError::TokenRefused { auth_url, refusal },
                    Method::Password { .. } | Method::ApplicationCredential { .. } => {
                        SdkError::SignIn { auth_url, refusal }
                    }
                }
            }
            other => other,
        })?;
    let token = response
        .headers()
        .get("x-subject-token")
        .and_then(|value| value.to_str().ok())
        .map(Secret::new);
    let body = http::read(SIGN_IN, response).await?;
    // A web page in place of an identity service carries no token either; say the former first.
    let _: Value = refusal::parse(SIGN_IN, &body)?;
    let bad = |what: String| SdkError::BadAnswer {
        asked: SIGN_IN.to_owned(),
        what,
    };
    let token = token.ok_or_else(|| bad("it carries no token".to_owned()))?;
    let mut session = Session::from_answer(token, &body).map_err(|cause| bad(cause.to_string()))?;
    session.ahead_secs = ahead;
    Ok(session)
}

/// Returns how far this machine's clock is ahead of the other side's.
fn ahead_secs(response: &Response) -> Option<i64> {
    let theirs = response
        .headers()
        .get(reqwest::header::DATE)?
        .to_str()
        .ok()?;
    let theirs = http_date(theirs).ok()?.0 / 1_000_000;
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).ok()?.as_secs();
    Some(i64::try_from(ours).ok()? - theirs)
}
