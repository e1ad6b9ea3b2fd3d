//! A whole service in memory, with workers, behind the router: what every API's tests start from.

#![allow(dead_code, reason = "each test file needs a part of it")]

mod document;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Method, Request, StatusCode};
use bytes::Bytes;
use emberkeep_catalog::{Catalog, SqliteCatalog};
use emberkeep_engine::{InitOptions, Repository};
use emberkeep_http::{App, HttpSettings, router};
use emberkeep_keys::MasterKey;
use emberkeep_model::{Project, Role, User};
use emberkeep_nbd::{Listener, ServerOptions};
use emberkeep_service::{
    Bootstrapped, Clock, ExportServer, Identity, IdentitySettings, NewProject, NewUser, Service,
    Settings, SystemClock, Workers,
};
use emberkeep_store::MemoryStore;
use emberkeep_testkit::MemoryProvider;
use emberkeep_volumes::{FileProvider, VolumeProvider};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tempfile::TempDir;
use tower::ServiceExt;

use document::Document;

/// The address clients of a house use.
pub(crate) const BASE: &str = "http://ember.test:8776";

/// A service with an administrator (`admin`, password `sesame`, project `emberkeep`).
pub(crate) struct House {
    /// What the handlers work with.
    pub(crate) app: App,
    /// The bytes of the volumes.
    pub(crate) volumes: MemoryProvider,
    /// The administrator.
    pub(crate) admin: Bootstrapped,
    /// The rows, for what no request can bring about.
    pub(crate) catalog: Arc<dyn Catalog>,
    router: Router,
    document: Document,
    repository: Repository,
    workers: Option<Workers>,
    _files: Option<TempDir>,
}

/// An answer, read to its end.
pub(crate) struct Answer {
    /// Its status.
    pub(crate) status: StatusCode,
    /// Its headers.
    pub(crate) headers: HeaderMap,
    /// Its body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&self.body)))
    }

    /// Returns a header as text; empty if it is not there.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().expect("is text"))
    }
}

impl House {
    /// Builds one whose volumes are in memory: `volumes` gives their bytes, and each GiB takes its room.
    pub(crate) async fn new() -> Self {
        let volumes = MemoryProvider::new();
        let mut house = Self::build(
            Arc::new(volumes.clone()),
            volumes,
            None,
            Settings::default(),
        )
        .await;
        house.work();
        house
    }

    /// Builds one that also serves backups over NBD.
    pub(crate) async fn with_exports() -> Self {
        let mut house = Self::new().await;
        house.rest().await;
        let dir = tempfile::tempdir().expect("directory");
        let listener = Listener::unix(dir.path().join("nbd")).expect("listens");
        let exports =
            ExportServer::start(listener, ServerOptions::default(), dir.path()).expect("starts");
        let service = Service::clone(&house.app.service).with_exports(exports);
        house.app.service = Arc::new(service);
        house.router = router(house.app.clone());
        house._files = Some(dir);
        house.work();
        house
    }

    /// Builds one whose volumes are sparse files: `volumes` stays empty, the service tells their paths.
    pub(crate) async fn on_files() -> Self {
        let mut house = Self::idle(Settings::default()).await;
        house.work();
        house
    }

    /// The same with settings of one's own, and nobody working yet.
    pub(crate) async fn idle(settings: Settings) -> Self {
        let dir = tempfile::tempdir().expect("directory");
        let files = FileProvider::open(dir.path()).expect("opens");
        Self::build(Arc::new(files), MemoryProvider::new(), Some(dir), settings).await
    }

    /// Sets the workers to work, unless they do already.
    pub(crate) fn work(&mut self) {
        if self.workers.is_some() {
            return;
        }
        let service = Service::clone(&self.app.service);
        self.workers = Some(Workers::start(service));
    }

    async fn build(
        ports: Arc<dyn VolumeProvider>,
        volumes: MemoryProvider,
        files: Option<TempDir>,
        settings: Settings,
    ) -> Self {
        let catalog: Arc<dyn Catalog> =
            Arc::new(SqliteCatalog::in_memory().await.expect("catalogue"));
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let identity = Arc::new(Identity::new(
            Arc::clone(&catalog),
            Arc::clone(&clock),
            IdentitySettings::default(),
        ));
        let admin = identity
            .bootstrap("sesame")
            .await
            .expect("bootstraps")
            .expect("is empty");
        let store = Arc::new(MemoryStore::new());
        let repository = Repository::init(store, &MasterKey::generate(), InitOptions::default())
            .expect("repository");
        let service = Service::new(
            Arc::clone(&catalog),
            repository.clone(),
            ports,
            clock,
            settings,
        );
        service.recover().await.expect("is prepared");
        let app = App {
            service: Arc::new(service),
            authenticator: Arc::clone(&identity) as Arc<_>,
            identity,
            settings: HttpSettings::default().into(),
        };
        let router = router(app.clone());
        let asked = Request::get("/openapi.json").body(Body::empty());
        let written = router.clone().oneshot(asked.expect("is a request")).await;
        let text = written.expect("answers").into_body().collect().await;
        Self {
            document: Document::read(&text.expect("has a body").to_bytes()),
            router,
            app,
            volumes,
            admin,
            catalog,
            repository,
            workers: None,
            _files: files,
        }
    }

    /// Lets the workers come to rest.
    pub(crate) async fn rest(&mut self) {
        if let Some(workers) = self.workers.take() {
            workers.stop().await;
        }
    }

    /// Counts what the repository holds of a project.
    pub(crate) fn manifests(&self, project: &Project) -> usize {
        let project = self.repository.project(project.id.as_str()).expect("opens");
        project.manifests().expect("reads").readable.len()
    }

    /// Makes a project.
    pub(crate) async fn project(&self, name: &str) -> Project {
        let new = NewProject {
            name: name.into(),
            description: String::new(),
            enabled: true,
        };
        self.app
            .identity
            .create_project(new)
            .await
            .expect("makes a project")
    }

    /// Makes a user whose password is the name, with a role in a project.
    pub(crate) async fn user(&self, name: &str, project: &Project, role: Role) -> User {
        let new = NewUser {
            name: name.into(),
            password: name.into(),
            default_project_id: Some(project.id.clone()),
            enabled: true,
        };
        let user = self
            .app
            .identity
            .create_user(new)
            .await
            .expect("makes a user");
        self.app
            .identity
            .add_role(&user.id, &project.id, role)
            .await
            .expect("gives a role");
        user
    }

    /// Sends a request as it is, and holds the answer against the document of the API.
    pub(crate) async fn send(&self, request: Request<Body>) -> Answer {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let response = self.router.clone().oneshot(request).await.expect("answers");
        let (parts, body) = response.into_parts();
        let body = body.collect().await.expect("has a body").to_bytes();
        if method != Method::HEAD
            && let Err(error) = self.document.check(&method, &path, parts.status, &body)
        {
            let body = String::from_utf8_lossy(&body);
            panic!("/openapi.json lies about {method} {path}: {error}\n{body}");
        }
        Answer {
            status: parts.status,
            headers: parts.headers,
            body,
        }
    }

    /// Returns what the document of the API has against an answer.
    pub(crate) fn contradiction(
        &self,
        path: &str,
        status: StatusCode,
        body: &Value,
    ) -> Option<String> {
        let body = body.to_string();
        self.document
            .check(&Method::GET, path, status, body.as_bytes())
            .err()
    }

    /// Sends a request with a token (none if empty) and a body (none if null).
    pub(crate) async fn call(
        &self,
        method: Method,
        path: &str,
        token: &str,
        body: Value,
    ) -> Answer {
        let mut request = Request::builder()
            .method(method)
            .uri(path)
            .header("host", "ember.test:8776")
            .header("accept", "application/json");
        if !token.is_empty() {
            request = request.header("x-auth-token", token);
        }
        let body = if body.is_null() {
            Body::empty()
        } else {
            request = request.header("content-type", "application/json");
            Body::from(body.to_string())
        };
        self.send(request.body(body).expect("is a request")).await
    }

    /// Sends a GET.
    pub(crate) async fn get(&self, path: &str, token: &str) -> Answer {
        self.call(Method::GET, path, token, Value::Null).await
    }

    /// Sends a POST.
    pub(crate) async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.call(Method::POST, path, token, body).await
    }

    /// Asks for a token with a password, for the user's default project.
    pub(crate) async fn sign_in(&self, user: &str, password: &str) -> Answer {
        let user = json!({"name": user, "domain": {"id": "default"}, "password": password});
        let identity = json!({"methods": ["password"], "password": {"user": user}});
        self.post(
            "/identity/v3/auth/tokens",
            "",
            json!({"auth": {"identity": identity}}),
        )
        .await
    }

    /// Returns a token of a user made with [`House::user`], or of `admin`.
    pub(crate) async fn token(&self, user: &str) -> String {
        let password = if user == "admin" { "sesame" } else { user };
        let answer = self.sign_in(user, password).await;
        assert_eq!(answer.status, StatusCode::CREATED, "{user} cannot sign in");
        answer.header("x-subject-token").to_owned()
    }
}
