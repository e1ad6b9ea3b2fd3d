//! The HTTP edge: one port, several APIs. Reads requests, asks the service, renders answers and
//! errors in each API's own form. Decides nothing: what may be done is the service's business,
//! how bodies look is `wire`'s. Start at [`router`], then `identity.rs`.

mod auth;
pub mod cbr;
pub mod cinder;
pub mod console;
mod endpoint;
mod front;
mod guard;
mod health;
pub mod identity;
mod json;
mod metrics;
pub mod native;
mod openapi;
mod origin;
mod param;
mod request_id;
mod routes;
mod unread;

use std::sync::Arc;

use axum::Router;
use axum::middleware::from_fn_with_state;
use emberkeep_service::{Authenticator, Identity, Service};

use front::Front;
use routes::Routes;

pub use auth::{Api, authenticate, base_url, token_of};
pub use guard::{Form, guard};
pub use json::{BODY_LIMIT, BodyError, read_body, read_json};
pub use origin::{BadNetwork, ClientAddress, Network, Peer};
pub use request_id::RequestId;

/// `Retry-After` where the catalogue is unavailable: connections are replaced at once.
pub(crate) const RETRY_SECS: &str = "2";

/// What every handler works with; cheap to clone.
#[derive(Clone)]
pub struct App {
    /// The use cases.
    pub service: Arc<Service>,
    /// The built-in identity.
    pub identity: Arc<Identity>,
    /// Who says what a token is good for: the built-in identity, or a real one.
    pub authenticator: Arc<dyn Authenticator>,
    /// What the operator chose.
    pub settings: Arc<HttpSettings>,
}

/// What the operator chose about the HTTP edge.
#[derive(Debug, Clone)]
pub struct HttpSettings {
    /// The region named in the service catalogue.
    pub region: String,
    /// `scheme://host[:port][/prefix]` as clients reach it; taken from each request if none.
    pub public_endpoint: Option<String>,
    /// Where clients get tokens, if not here.
    pub identity_url: Option<String>,
    /// Whose word about the client is believed.
    pub trusted_proxies: Vec<Network>,
}

impl App {
    /// Returns where clients get tokens; `base` is where they reached us.
    pub fn identity_url(&self, base: &str) -> String {
        match &self.settings.identity_url {
            Some(url) => url.clone(),
            None => format!("{base}/identity/v3"),
        }
    }
}

impl Default for HttpSettings {
    fn default() -> Self {
        Self {
            region: "RegionOne".to_owned(),
            public_endpoint: None,
            identity_url: None,
            trusted_proxies: Vec::new(),
        }
    }
}

/// Returns everything that is served.
///
/// Each API is a router of its own, with its own fallback, so that what it does not know is refused
/// in its own form; `/identity`, `/identity/` and what lies below all reach it.
pub fn router(app: App) -> Router {
    metrics::install();
    let mut served = Vec::new();
    let mut plain =
        |api: Routes, prefix: &'static str| api.listed(prefix, &mut served).with_state(app.clone());
    let mut guarded = |api: Routes, prefix: &'static str, form: Form| {
        plain(
            api.shaped(|api| api.layer(from_fn_with_state(form, guard))),
            prefix,
        )
    };
    let mut router = Router::new();
    // With an identity elsewhere nobody gets a token here, or changes who gets one.
    if app.settings.identity_url.is_none() {
        let identity = guarded(identity::router(&app), "/identity", Form::Identity);
        router = router.nest_service("/identity", identity);
    }
    let router = router
        .nest_service("/cbr", guarded(cbr::router(), "/cbr", Form::Cbr))
        // Streams may take long: the native routes set their own limits.
        .nest_service("/api/v1", plain(native::router(), "/api/v1"))
        .nest_service("/console", plain(console::router(), "/console"))
        .merge(plain(health::router(), ""));
    served.extend(cinder::served());
    let server = app.settings.public_endpoint.as_deref().unwrap_or("/");
    let document = openapi::routes(&served, server).listed("", &mut served);
    Front::before(app.clone(), router.merge(document.with_state(app)))
}

/// Lists every endpoint, the built-in identity's too.
#[cfg(test)]
fn served() -> Vec<routes::Served> {
    let mut all: Vec<_> = cinder::served().collect();
    for (api, prefix) in [
        (identity::routes(), "/identity"),
        (cbr::router(), "/cbr"),
        (native::router(), "/api/v1"),
        (console::router(), "/console"),
        (health::router(), ""),
    ] {
        drop(api.listed(prefix, &mut all));
    }
    all.extend(routes::served(
        "",
        [openapi::row(bytes::Bytes::new()).endpoint],
    ));
    all
}
