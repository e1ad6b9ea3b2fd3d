//! Buckets of Cinder's `s3` driver, and of its `gcs` driver where they are reached as S3 is.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, Error, ObjectStoreExt, RetryConfig};

use crate::error::ForeignError;
use crate::names::check_path;
use crate::port::ForeignObjects;
use crate::remote::{Network, PAGE, PATIENCE, Pieces};

/// How often a request is sent again.
const RETRIES: usize = 5;

/// Where buckets are, and who asks. What is none is taken from the usual `AWS_*` variables.
#[derive(Clone, Default)]
pub struct S3Settings {
    /// The server, if it is not Amazon's.
    pub endpoint: Option<String>,
    /// Its region.
    pub region: Option<String>,
    /// The key's name.
    pub access_key_id: Option<String>,
    /// The key.
    pub secret_access_key: Option<String>,
}

impl fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "S3Settings({:?}, {:?})", self.endpoint, self.region)
    }
}

/// A server whose buckets are containers.
#[derive(Debug)]
pub struct S3Repository {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    settings: S3Settings,
    clients: Mutex<HashMap<String, Arc<AmazonS3>>>,
    network: Network,
}

impl S3Repository {
    /// Prepares to ask; nobody is asked yet.
    pub fn open(settings: S3Settings) -> Result<Self, ForeignError> {
        let network = Network::start("s3").map_err(|cause| ForeignError::io("S3", cause))?;
        let inner = Inner {
            settings,
            clients: Mutex::default(),
            network,
        };
        Ok(Self {
            inner: Arc::new(inner),
        })
    }
}

impl Inner {
    fn bucket(&self, name: &str) -> Result<Arc<AmazonS3>, ForeignError> {
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(name) {
            return Ok(Arc::clone(client));
        }
        let client = Arc::new(self.connect(name)?);
        clients.insert(name.to_owned(), Arc::clone(&client));
        Ok(client)
    }

    fn connect(&self, bucket: &str) -> Result<AmazonS3, ForeignError> {
        let settings = &self.settings;
        let named = || settings.endpoint.clone();
        let endpoint = named()
            .or_else(|| std::env::var("AWS_ENDPOINT_URL").ok())
            .or_else(|| std::env::var("AWS_ENDPOINT").ok())
            .unwrap_or_default();
        let mut builder = AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_retry(RetryConfig {
                backoff: BackoffConfig {
                    init_backoff: Duration::from_millis(200),
                    max_backoff: Duration::from_secs(10),
                    base: 2.0,
                },
                max_retries: RETRIES,
                retry_timeout: PATIENCE,
            })
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(endpoint.starts_with("http://"))
                    .with_timeout(PATIENCE),
            );
        if let Some(endpoint) = named() {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(region) = &settings.region {
            builder = builder.with_region(region);
        }
        if let (Some(id), Some(key)) = (&settings.access_key_id, &settings.secret_access_key) {
            builder = builder.with_access_key_id(id).with_secret_access_key(key);
        }
        builder.build().map_err(|cause| told(bucket, cause))
    }
}

fn told(name: &str, cause: Error) -> ForeignError {
    let name = name.to_owned();
    match cause {
        Error::NotFound { .. } => ForeignError::Missing { name },
        // A listing of a bucket that is not there is told apart by what the server says alone.
        Error::Generic { source, .. } if says(source.as_ref(), "NoSuchBucket") => {
            ForeignError::Missing { name }
        }
        cause => ForeignError::Io {
            name,
            cause: io::Error::other(cause),
        },
    }
}

/// Tells whether an error, or what caused it, says a word.
fn says(error: &(dyn std::error::Error + 'static), word: &str) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.to_string().contains(word) {
            return true;
        }
        next = error.source();
    }
    false
}

impl ForeignObjects for S3Repository {
    fn list(
        &self,
        container: &str,
        prefix: &str,
        each: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ForeignError> {
        let client = self.inner.bucket(container)?;
        let mut token = None;
        loop {
            let options = PaginatedListOptions {
                max_keys: Some(PAGE),
                page_token: token,
                ..PaginatedListOptions::default()
            };
            let asked = Some(prefix).filter(|prefix| !prefix.is_empty());
            let page = self
                .inner
                .network
                .wait(client.list_paginated(asked, options));
            let page = match page.map_err(|cause| told(container, cause)) {
                Err(ForeignError::Missing { .. }) => return Ok(()),
                other => other?,
            };
            for meta in page.result.objects {
                each(meta.location.as_ref(), meta.size);
            }
            token = page.page_token;
            if token.is_none() {
                return Ok(());
            }
        }
    }

    fn open(&self, container: &str, name: &str) -> Result<Box<dyn Read + Send>, ForeignError> {
        let shown = format!("{container}/{name}");
        let refused = |reason| ForeignError::BadName {
            name: shown.clone(),
            reason,
        };
        check_path(name).map_err(refused)?;
        let path = Path::parse(name).map_err(|_| refused("S3 has no such names"))?;
        let client = self.inner.bucket(container)?;
        let head = self.inner.network.wait(client.head(&path));
        let size = head.map_err(|cause| told(&shown, cause))?.size;
        let inner = Arc::clone(&self.inner);
        let fetch = move |range| {
            let piece = inner.network.wait(client.get_range(&path, range));
            Ok(piece.map_err(|cause| told(&shown, cause))?.to_vec())
        };
        Ok(Box::new(Pieces::new(size, Box::new(fetch))))
    }
}
