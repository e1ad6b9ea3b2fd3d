//! Starting and stopping the service.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use emberkeep_catalog::{Catalog, CatalogError, CatalogFile, CatalogFileError};
use emberkeep_cloud::{Keystone, KeystoneError, KeystoneSettings};
use emberkeep_engine::{InitOptions, Repository, RepositoryError};
use emberkeep_http::{App, HttpSettings};
use emberkeep_keys::{KeyFile, KeyFileError, KeySource, MasterKey};
use emberkeep_nbd::tls::ClientProof;
use emberkeep_service::{
    Authenticator, CatalogCheck, CatalogCopies, Clock, CopyWriter, ExportServer, GaveUp, Identity,
    IdentitySettings, Service, ServiceError, Settings, Supervisor, SystemClock, Workers,
    new_secret,
};
use emberkeep_store::{LocalStore, ObjectStore, Pace, PacedStore, StoreError};
use emberkeep_volumes::{FileProvider, VolumeError};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use crate::catalog_guard::{behind, open_catalog};
use crate::certificate::Certificate;
use crate::clouds;
use crate::connections::{Listener, Patience, serve};
use crate::regions::regions;
use crate::space::{DiskSpace, SpaceWatch};
use crate::{
    CertificateError, CinderPlaceError, Config, DataDir, DataDirError, IdentityConfig,
    KeystoneConfig, NbdConfig, NbdListen,
};

/// Why the service did not start. Nothing that was there has been changed.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The data directory cannot be used.
    #[error(transparent)]
    DataDir(#[from] DataDirError),
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// A certificate cannot be shown.
    #[error("the TLS certificate cannot be used")]
    Certificate(#[from] CertificateError),
    /// The master key is missing or damaged, and there is data that it alone opens.
    #[error(
        "the backups in {data_dir} cannot be opened without their master key; put the key file back (it is never made anew over existing data)"
    )]
    Key {
        /// The data directory.
        data_dir: PathBuf,
        /// What is wrong with the key file.
        #[source]
        cause: KeyFileError,
    },
    /// The master key of another region's repository cannot be used.
    #[error("the master key of region {region} cannot be used")]
    RegionKey {
        /// The region.
        region: String,
        /// What is wrong with the key file.
        #[source]
        cause: KeyFileError,
    },
    /// A master key cannot be made.
    #[error("the master key cannot be made")]
    NewKey(#[source] KeyFileError),
    /// There is a catalogue, but the repository it speaks of is gone.
    #[error(
        "{data_dir} holds a catalogue but no repository; put the directory 'repository' back, or start with an empty data directory"
    )]
    RepositoryGone {
        /// The data directory.
        data_dir: PathBuf,
    },
    /// The repository cannot be opened.
    #[error("the repository cannot be opened")]
    Repository(#[from] RepositoryError),
    /// The store cannot be opened.
    #[error("the store cannot be opened")]
    Store(#[from] StoreError),
    /// The catalogue cannot be opened.
    #[error("the catalogue cannot be opened")]
    Catalog(#[from] CatalogError),
    /// The catalog's file is damaged.
    #[error("the catalog {path} is damaged and is not served: {}", findings.join(", "))]
    CatalogDamaged {
        /// The file.
        path: PathBuf,
        /// What the database found.
        findings: Vec<String>,
    },
    /// The catalog is not the one that the repository was last used with.
    #[error("{}", behind(path, *backups, *projects, newer.as_deref()))]
    CatalogBehind {
        /// The catalog's file.
        path: PathBuf,
        /// Backups in the store that it does not know.
        backups: usize,
        /// Projects that have such.
        projects: usize,
        /// A copy in the repository that is newer than the catalog.
        newer: Option<String>,
    },
    /// The catalog's file cannot be used.
    #[error("the catalog cannot be used")]
    CatalogFile(#[source] CatalogFileError),
    /// A thread that the start waited for ended badly.
    #[error("the start was interrupted")]
    Interrupted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The volumes cannot be opened.
    #[error("the volumes cannot be opened")]
    Volumes(#[from] VolumeError),
    /// Signals cannot be heard, so that the service could not be stopped in good order.
    #[error("signals cannot be heard")]
    Signals(#[source] std::io::Error),
    /// The password of the service's user in Keystone cannot be read.
    #[error("the file {path} with the password for Keystone cannot be read")]
    KeystonePassword {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The certificates that vouch for Keystone cannot be read.
    #[error("the file {path} with the certificates for Keystone cannot be read")]
    KeystoneAuthority {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// Keystone cannot be asked.
    #[error("Keystone cannot be used")]
    Keystone(#[from] KeystoneError),
    /// A place where Cinder keeps backups cannot be used.
    #[error(transparent)]
    Cinder(#[from] CinderPlaceError),
    /// Backups cannot be served over NBD.
    #[error("backups cannot be served over NBD at {place}")]
    Nbd {
        /// Where it would listen.
        place: String,
        /// The system's answer.
        #[source]
        cause: std::io::Error,
    },
    /// The certificates for NBD cannot be used.
    #[error("the certificates for NBD cannot be used")]
    NbdTls(#[from] emberkeep_nbd::TlsError),
    /// Recovery failed.
    #[error("what the last run left could not be put right")]
    Recovery(#[from] ServiceError),
}

/// A service that answers requests, until it is stopped.
pub struct Running {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
    urls: Vec<String>,
    certificates: Vec<Certificate>,
    data: DataDir,
    workers: Workers,
    service: Service,
    serving: Supervisor,
    damaged: watch::Receiver<Option<String>>,
}

/// Why a service that was running ends.
#[derive(Debug)]
pub enum Ended {
    /// It was told to, by a signal.
    Told,
    /// A background worker could not be kept running.
    GaveUp(GaveUp),
    /// The catalog's file was found damaged; it says how.
    CatalogDamaged(String),
}

/// How long requests in flight may take once the service is told to stop.
const REQUEST_GRACE: Duration = Duration::from_secs(5);

/// How often the catalog's whole file is checked while it is served.
const CATALOG_CHECK: Duration = Duration::from_secs(24 * 3600);

/// Starts everything; the service answers when this returns.
pub async fn start(config: Config) -> Result<Running, StartError> {
    // Heard from the first moment: whoever is told to stop early stops in good order too.
    let terminate = signal(SignalKind::terminate()).map_err(StartError::Signals)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(StartError::Signals)?;
    let hangup = signal(SignalKind::hangup()).map_err(StartError::Signals)?;
    let data = DataDir::take(&config.data_dir)?;
    let mut listeners = Vec::new();
    for listen in &config.listen {
        listeners.push(Listener::bind(listen).await?);
    }
    let urls: Vec<String> = listeners.iter().map(|one| one.url().to_owned()).collect();
    let certificates: Vec<_> = listeners.iter().filter_map(Listener::certificate).collect();
    // Plain if possible: those who use the data directory are on this machine, and need trust nobody.
    let plain = urls.iter().find(|url| url.starts_with("http://"));
    let url = plain.or(urls.first()).cloned().unwrap_or_default();

    let key_source = config.master_key_in(data.path());
    let repository = open_repository(&data, &key_source, pace(&config))?;
    let regions = regions(&config, &repository, &key_source)?;
    let file = CatalogFile::new(data.path().join(CATALOGUE));
    let sqlite = open_catalog(&file, &repository, config.accept_catalog).await?;
    let changes = sqlite.changes();
    let catalog: Arc<dyn Catalog> = Arc::new(sqlite);
    let volumes = Arc::new(FileProvider::open(data.path())?);
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let token_lifetime =
        Duration::from_secs(u64::try_from(config.token_lifetime_secs).unwrap_or(3600));
    let identity = Arc::new(Identity::new(
        Arc::clone(&catalog),
        Arc::clone(&clock),
        IdentitySettings { token_lifetime },
    ));
    let settings = Settings {
        workers: config.workers,
        lease_secs: config.lease_secs,
        task_timeout_hours: config.task_timeout_hours,
        sweep_delay_secs: config.sweep_delay_secs,
        policy_min_gap_minutes: config.policy_min_gap_minutes,
        verify_bytes_a_day: Some(config.verify_gib_a_day << 30),
        grace_secs: config.grace_secs,
        policy: config.policy.clone(),
        quotas: config.quotas,
        count_dependents: config.count_dependents,
        turbo_roots: config.turbo_roots.clone(),
        ..Settings::default()
    };
    let copies = (config.catalog.copy_secs > 0).then(|| {
        let copies = CatalogCopies::new(file.clone(), repository.clone(), config.catalog.copies);
        Arc::new(copies)
    });
    let service = Service::new(catalog, repository, volumes, Arc::clone(&clock), settings);
    let service = service
        .with_regions(regions)
        .with_foreign(config.cinder.open()?);
    let service = match &config.nbd {
        Some(nbd) => service.with_exports(serve_exports(nbd, data.path())?),
        None => service,
    };
    let service = match &copies {
        Some(copies) => service.with_catalog_copies(Arc::clone(copies)),
        None => service,
    };
    service.recover().await?;
    // After recovery: what a full disk stopped must not keep the service from starting.
    let space = DiskSpace::new(
        data.path(),
        config.low_water_mib << 20,
        config.reserve_mib << 20,
    );
    let space = Arc::new(space);
    let service = service.with_space(Arc::clone(&space) as Arc<_>);
    let keystone = match &config.identity {
        IdentityConfig::BuiltIn => {
            first_sign_in(&data, &identity, &url, &config.region).await?;
            None
        }
        IdentityConfig::Keystone(keystone) => {
            let base = config.public_endpoint.as_deref().unwrap_or(&url);
            tracing::info!(
                "Keystone's catalogue should name volumev3 and block-storage at {base}/volume/v3/$(project_id)s, cbr at {base}/cbr/v3/$(project_id)s"
            );
            Some(open_keystone(keystone, &clock)?)
        }
    };
    let identity_url = keystone.as_ref().map(|one| one.public_url().to_owned());
    let authenticator: Arc<dyn Authenticator> = match keystone {
        Some(keystone) => Arc::new(keystone),
        None => Arc::clone(&identity) as Arc<_>,
    };

    let workers = Workers::start(service.clone());
    let kept = service.clone();
    let app = App {
        service: Arc::new(service),
        authenticator,
        identity,
        settings: Arc::new(HttpSettings {
            region: config.region.clone(),
            public_endpoint: config.public_endpoint.clone(),
            identity_url,
            trusted_proxies: config.trusted_proxies.clone(),
        }),
    };
    let patience = Patience {
        head: Duration::from_secs(config.idle_secs),
    };
    let router = emberkeep_http::router(app);
    let mut serving = Supervisor::new(Arc::clone(kept.worker_table()));
    serve(&mut serving, listeners, &router, patience);
    serving.start(SpaceWatch(space));
    let (damaged, found_damaged) = watch::channel(None);
    serving.start(CatalogCheck {
        file,
        every: CATALOG_CHECK,
        damaged,
    });
    if let Some(copies) = copies {
        serving.start(CopyWriter {
            copies,
            changes,
            interval: Duration::from_secs(config.catalog.copy_secs),
        });
    }
    tracing::info!(urls = urls.join(" "), data_dir = %data.path().display(), "serving");
    Ok(Running {
        terminate,
        interrupt,
        hangup,
        urls,
        certificates,
        data,
        workers,
        service: kept,
        serving,
        damaged: found_damaged,
    })
}

/// Waits until the catalog's file was found damaged; returns how.
async fn found_damaged(damaged: &mut watch::Receiver<Option<String>>) -> String {
    match damaged.wait_for(Option::is_some).await {
        Ok(found) => found.clone().unwrap_or_default(),
        // The check ends with the service.
        Err(_) => std::future::pending().await,
    }
}

/// Begins to listen for NBD; nothing is served until somebody asks for it.
fn serve_exports(config: &NbdConfig, data_dir: &Path) -> Result<ExportServer, StartError> {
    let tls = config.tls.as_deref();
    let options = emberkeep_nbd::ServerOptions {
        tls: tls
            .map(|dir| emberkeep_nbd::ServerTls::load(dir, ClientProof::Certificate))
            .transpose()?,
        ..Default::default()
    };
    let (place, bound) = match &config.listen {
        NbdListen::Tcp(address) => (address.to_string(), emberkeep_nbd::Listener::tcp(*address)),
        NbdListen::Unix(path) => {
            let bound = emberkeep_nbd::Listener::unix(path.clone());
            (path.display().to_string(), bound)
        }
    };
    let overlays = data_dir.join("exports");
    let started = bound.and_then(|listener| ExportServer::start(listener, options, &overlays));
    let server = started.map_err(|cause| StartError::Nbd { place, cause })?;
    tracing::info!(address = server.address(), "serving NBD");
    Ok(server)
}

/// Makes the adapter to a real Keystone; it is asked when the first token comes.
fn open_keystone(config: &KeystoneConfig, clock: &Arc<dyn Clock>) -> Result<Keystone, StartError> {
    let path = &config.password_file;
    let password = std::fs::read_to_string(path).map_err(|cause| StartError::KeystonePassword {
        path: path.clone(),
        cause,
    })?;
    let ca_pem = match &config.ca_file {
        Some(path) => Some(
            std::fs::read(path).map_err(|cause| StartError::KeystoneAuthority {
                path: path.clone(),
                cause,
            })?,
        ),
        None => None,
    };
    let settings = KeystoneSettings {
        auth_url: config.auth_url.clone(),
        username: config.username.clone(),
        password: password.trim_end_matches(['\r', '\n']).to_owned(),
        project_name: config.project_name.clone(),
        user_domain_name: config.user_domain_name.clone(),
        project_domain_name: config.project_domain_name.clone(),
        keep: Duration::from_secs(config.token_cache_secs),
        public_url: config.public_url.clone(),
        ca_pem,
    };
    Ok(Keystone::new(settings, Arc::clone(clock))?)
}

pub(crate) const CATALOGUE: &str = "catalogue.db";
const REPOSITORY: &str = "repository";

/// Opens the repository, or makes it on the first run. A key is made only where there is
/// nothing yet that another key could have sealed.
pub(crate) fn open_repository(
    data: &DataDir,
    key_source: &KeySource,
    pace: Option<Pace>,
) -> Result<Repository, StartError> {
    let place = data.path().join(REPOSITORY);
    let there = place.join("format").exists();
    if !there && data.path().join(CATALOGUE).exists() {
        return Err(StartError::RepositoryGone {
            data_dir: data.path().to_owned(),
        });
    }
    let key = match (key_source.load(), key_source.file()) {
        (Ok(key), _) => key,
        (Err(KeyFileError::Missing { .. }), Some(path)) if !there => {
            MasterKey::create(path).map_err(StartError::NewKey)?
        }
        (Err(cause), _) => {
            return Err(StartError::Key {
                data_dir: data.path().to_owned(),
                cause,
            });
        }
    };
    if let Some(path) = key_source.file()
        && !KeyFile::new(path).is_confirmed(&key)
    {
        tracing::warn!(
            path = %path.display(),
            "no copy of the master key was confirmed: without it the backups cannot be read; `emberkeep key export` prints one, `emberkeep key confirm` notes it"
        );
    }
    let repository = if there {
        let store = at_pace(LocalStore::open(&place)?, pace);
        Repository::open(store, &key)?
    } else {
        let store = at_pace(LocalStore::create(&place)?, pace);
        Repository::init(store, &key, InitOptions::default())?
    };
    Ok(match key_source.keeper() {
        Some(keeper) => repository.with_keeper(keeper),
        None => repository,
    })
}

/// How fast the store may be used; none for as fast as it is.
fn pace(config: &Config) -> Option<Pace> {
    let rate = |mib: u64| (mib > 0).then_some(mib << 20);
    let pace = Pace {
        up: rate(config.store_write_mib_s),
        down: rate(config.store_read_mib_s),
        latency: Duration::ZERO,
    };
    (pace != Pace::default()).then_some(pace)
}

fn at_pace(store: LocalStore, pace: Option<Pace>) -> Arc<dyn ObjectStore> {
    match pace {
        Some(pace) => Arc::new(PacedStore::new(store, pace)),
        None => Arc::new(store),
    }
}

/// Makes the administrator on the first run, and keeps `clouds.yaml` pointing here.
async fn first_sign_in(
    data: &DataDir,
    identity: &Identity,
    url: &str,
    region: &str,
) -> Result<(), StartError> {
    const NAME: &str = "clouds.yaml";
    if !identity.users().await?.is_empty() {
        let path = data.path().join(NAME);
        if let Ok(text) = std::fs::read_to_string(&path) {
            let changed = clouds::readdressed(&text, url);
            if changed != text {
                data.write_private(NAME, &changed)?;
            }
        }
        return Ok(());
    }
    // The file first: a password that is set must never be one that nobody knows.
    let password = new_secret();
    data.write_private(NAME, &clouds::fresh(url, region, &password))?;
    identity.bootstrap(&password).await?;
    Ok(())
}

impl Running {
    /// Returns the first address it answers at, like `http://127.0.0.1:8776`.
    pub fn url(&self) -> &str {
        self.urls.first().map_or("", String::as_str)
    }

    /// Returns all addresses it answers at.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// Returns the absolute path of the data directory.
    pub fn data_dir(&self) -> &Path {
        self.data.path()
    }

    /// Waits for SIGTERM or SIGINT, or until a worker cannot be kept running, then stops. SIGHUP
    /// reads the certificates again.
    pub async fn stopped(mut self) -> Ended {
        let mut damaged = self.damaged.clone();
        let ended = loop {
            tokio::select! {
                _ = self.terminate.recv() => {
                    tracing::info!("stopping on SIGTERM");
                    break Ended::Told;
                }
                _ = self.interrupt.recv() => {
                    tracing::info!("stopping on SIGINT");
                    break Ended::Told;
                }
                _ = self.hangup.recv() => self.renew_certificates(),
                gave_up = self.workers.gave_up() => break Ended::GaveUp(gave_up),
                gave_up = self.serving.gave_up() => break Ended::GaveUp(gave_up),
                words = found_damaged(&mut damaged) => break Ended::CatalogDamaged(words),
            }
        };
        self.shutdown().await;
        ended
    }

    /// Reads all certificates again; one that cannot be used leaves the old one in use.
    fn renew_certificates(&self) {
        for certificate in &self.certificates {
            match certificate.renew() {
                Ok(()) => tracing::info!("a certificate was read again"),
                Err(error) => tracing::error!(
                    error = &error as &dyn std::error::Error,
                    "a certificate could not be read again; the old one stays in use"
                ),
            }
        }
    }

    /// Takes no more requests, lets running tasks end or hands them over, and returns when all is still.
    pub async fn shutdown(self) {
        self.serving.tell_stop();
        self.workers.stop().await;
        // Dropped where it takes too long, and its connections with it.
        if tokio::time::timeout(REQUEST_GRACE, self.serving.stop())
            .await
            .is_err()
        {
            tracing::warn!("requests in flight were cut off");
        }
        self.service.close_exports().await;
        tracing::info!("stopped");
    }
}
