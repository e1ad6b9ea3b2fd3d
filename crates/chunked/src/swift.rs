//! Containers of OpenStack Swift, as Cinder's `swift` driver fills them.

mod session;

use std::io::Read;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::RANGE;
use reqwest::{Client, Method, Response, StatusCode};
use serde::Deserialize;

use crate::error::ForeignError;
use crate::names::check_path;
use crate::port::ForeignObjects;
use crate::remote::{Network, PAGE, PATIENCE, Pieces};
use session::Session;

pub use session::SwiftAuth;

/// How often a request is sent again after a failure that may pass.
const RETRIES: u32 = 5;
/// The first pause before that; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(200);

/// An account whose containers are read.
pub struct SwiftRepository {
    inner: Arc<Inner>,
}

struct Inner {
    http: Client,
    auth: SwiftAuth,
    /// Whoever finds the token stale gets a new one while the others wait.
    session: tokio::sync::Mutex<Option<Session>>,
    network: Network,
}

/// One object of a listing.
#[derive(Deserialize)]
struct Listed {
    /// None for a directory of names.
    name: Option<String>,
    #[serde(default)]
    bytes: u64,
}

impl SwiftRepository {
    /// Prepares to ask; nobody is asked yet.
    pub fn open(auth: SwiftAuth) -> Result<Self, ForeignError> {
        let network = Network::start("swift").map_err(|cause| ForeignError::io("Swift", cause))?;
        let http = Client::builder().timeout(PATIENCE).build();
        let http = http.map_err(|cause| session::failed("Swift", cause))?;
        Ok(Self {
            inner: Arc::new(Inner {
                http,
                auth,
                session: tokio::sync::Mutex::default(),
                network,
            }),
        })
    }
}

/// What is asked for.
struct Asked<'a> {
    method: Method,
    container: &'a str,
    /// Empty for the container itself.
    name: &'a str,
    query: &'a [(&'a str, &'a str)],
    range: Option<&'a str>,
}

impl Inner {
    async fn session(&self, stale: Option<&Session>) -> Result<Session, ForeignError> {
        let mut held = self.session.lock().await;
        if let Some(session) = held.as_ref().filter(|session| Some(*session) != stale) {
            return Ok(session.clone());
        }
        let fresh = self.auth.sign_in(&self.http).await?;
        *held = Some(fresh.clone());
        Ok(fresh)
    }

    /// Sends a request until it is answered; a token that is no longer good is replaced once.
    async fn ask(&self, asked: &Asked<'_>) -> Result<Response, ForeignError> {
        let shown = match asked.name {
            "" => asked.container.to_owned(),
            name => format!("{}/{name}", asked.container),
        };
        let mut session = self.session(None).await?;
        let (mut renewed, mut tries, mut pause) = (false, 0, PAUSE);
        loop {
            let mut url = session.url(asked.container, asked.name)?;
            if !asked.query.is_empty() {
                url.query_pairs_mut().extend_pairs(asked.query);
            }
            let mut request = self.http.request(asked.method.clone(), url);
            request = request.header("X-Auth-Token", session.token());
            if let Some(range) = asked.range {
                request = request.header(RANGE, range);
            }
            let failure = match request.send().await {
                Ok(answer) if answer.status().is_success() => return Ok(answer),
                Ok(answer) if answer.status() == StatusCode::NOT_FOUND => {
                    return Err(ForeignError::Missing { name: shown });
                }
                Ok(answer) if answer.status() == StatusCode::UNAUTHORIZED && !renewed => {
                    renewed = true;
                    session = self.session(Some(&session)).await?;
                    continue;
                }
                Ok(answer) => {
                    let status = answer.status();
                    let error = session::odd(&shown, status);
                    let passes = status.is_server_error()
                        || status == StatusCode::TOO_MANY_REQUESTS
                        || status == StatusCode::REQUEST_TIMEOUT;
                    if !passes {
                        return Err(error);
                    }
                    error
                }
                Err(cause) => session::failed(&shown, cause),
            };
            tries += 1;
            if tries > RETRIES {
                return Err(failure);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn piece(
        &self,
        container: &str,
        name: &str,
        range: std::ops::Range<u64>,
    ) -> Result<Vec<u8>, ForeignError> {
        let words = format!("bytes={}-{}", range.start, range.end - 1);
        let asked = Asked {
            method: Method::GET,
            container,
            name,
            query: &[],
            range: Some(&words),
        };
        let answer = self.ask(&asked).await?;
        let status = answer.status();
        let whole = range.start == 0 && answer.content_length() == Some(range.end);
        if status != StatusCode::PARTIAL_CONTENT && !whole {
            return Err(session::odd(&format!("{container}/{name}"), status));
        }
        let bytes = answer.bytes().await;
        Ok(bytes
            .map_err(|cause| session::failed(&format!("{container}/{name}"), cause))?
            .to_vec())
    }
}

impl ForeignObjects for SwiftRepository {
    fn list(
        &self,
        container: &str,
        prefix: &str,
        each: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ForeignError> {
        let limit = PAGE.to_string();
        let mut marker = String::new();
        loop {
            let query = [
                ("format", "json"),
                ("limit", &limit),
                ("prefix", prefix),
                ("marker", &marker),
            ];
            let asked = Asked {
                method: Method::GET,
                container,
                name: "",
                query: &query,
                range: None,
            };
            let page = self.inner.network.wait(async {
                let answer = match self.inner.ask(&asked).await {
                    Err(ForeignError::Missing { .. }) => return Ok(Vec::new()),
                    other => other?,
                };
                if answer.status() == StatusCode::NO_CONTENT {
                    return Ok(Vec::new());
                }
                let page: Result<Vec<Listed>, _> = answer.json().await;
                page.map_err(|cause| session::failed(container, cause))
            })?;
            let names = page
                .iter()
                .filter_map(|one| Some((one.name.as_ref()?, one.bytes)));
            let mut last = None;
            for (name, bytes) in names {
                each(name, bytes);
                last = Some(name.clone());
            }
            match last {
                // A server that ignores markers would go on for ever.
                Some(last) if last > marker => marker = last,
                _ => return Ok(()),
            }
        }
    }

    fn open(&self, container: &str, name: &str) -> Result<Box<dyn Read + Send>, ForeignError> {
        let shown = format!("{container}/{name}");
        check_path(&shown).map_err(|reason| ForeignError::BadName {
            name: shown.clone(),
            reason,
        })?;
        let asked = Asked {
            method: Method::HEAD,
            container,
            name,
            query: &[],
            range: None,
        };
        let head = self.inner.network.wait(self.inner.ask(&asked))?;
        let size = session::length_of(&head).ok_or_else(|| session::odd(&shown, head.status()))?;
        let (inner, container, name) = (
            Arc::clone(&self.inner),
            container.to_owned(),
            name.to_owned(),
        );
        let fetch = move |range| inner.network.wait(inner.piece(&container, &name, range));
        Ok(Box::new(Pieces::new(size, Box::new(fetch))))
    }
}
