//! Buckets of Amazon S3, and of servers that speak like it.
//!
//! Credentials, region and endpoint come from the usual `AWS_*` variables. A request that
//! fails in passing (throttling, a server's error, a broken connection) is sent again with
//! growing pauses, a limited number of times. What a server really honours is probed when a
//! repository is made, never assumed from its name.

use std::fmt;
use std::io;
use std::ops::Range;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt};
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{
    BackoffConfig, ClientOptions, Error, GetOptions, GetRange, MultipartUpload,
    ObjectStore as Remote, ObjectStoreExt, PutMode, PutOptions, PutPayload, RetryConfig,
};
use tokio::runtime::Runtime;

use crate::name::{check_name, check_prefix};
use crate::{Listed, ObjectStore, StoreError};

/// Larger objects are sent in parts; packs are not, since a put-if-absent takes one request.
const ONE_REQUEST: usize = 64 << 20;
/// The size of those parts.
const PART: usize = 16 << 20;
/// How often a request is sent again.
const RETRIES: usize = 8;
/// How long it is tried at most.
const PATIENCE: Duration = Duration::from_secs(120);
/// Names in one listing.
const PAGE: usize = 1000;

/// A bucket and what all names in it start with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct S3Place {
    bucket: String,
    /// Empty, or ending in `/`.
    prefix: String,
}

impl S3Place {
    /// Reads `s3://bucket/prefix`; none where it is anything else.
    pub fn parse(url: &str) -> Option<Self> {
        let rest = url.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let prefix = prefix.trim_matches('/');
        let fine = !bucket.is_empty() && (prefix.is_empty() || check_name(prefix).is_ok());
        fine.then(|| Self {
            bucket: bucket.to_owned(),
            prefix: if prefix.is_empty() {
                String::new()
            } else {
                format!("{prefix}/")
            },
        })
    }
}

impl fmt::Display for S3Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Writers that a probe lets loose at once.
const RACERS: u8 = 8;
/// How often it does.
const RACES: u8 = 4;

/// What a server does with a put of what must not be there yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exclusion {
    /// Of many writers one wins, always.
    Full,
    /// Who comes later is refused; of those who come at the same moment several may be told that
    /// they won, and the last one's bytes stay.
    OneByOne,
    /// It overwrites.
    None,
}

/// A bucket as a store.
#[derive(Debug)]
pub struct S3Store {
    client: AmazonS3,
    place: S3Place,
    /// Always there until the store is dropped.
    runtime: Option<Runtime>,
}

impl S3Store {
    /// Connects to a bucket, which must exist, as the `AWS_*` variables say.
    pub fn open(place: S3Place) -> Result<Self, StoreError> {
        let endpoint = std::env::var("AWS_ENDPOINT_URL")
            .or_else(|_| std::env::var("AWS_ENDPOINT"))
            .unwrap_or_default();
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: Duration::from_secs(15),
                base: 2.0,
            },
            max_retries: RETRIES,
            retry_timeout: PATIENCE,
        };
        let builder = AmazonS3Builder::from_env()
            .with_bucket_name(&place.bucket)
            .with_retry(retry)
            .with_client_options(
                ClientOptions::new()
                    .with_allow_http(endpoint.starts_with("http://"))
                    .with_timeout(PATIENCE),
            );
        let client = builder
            .build()
            .map_err(|cause| told(&place.to_string(), cause))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("s3")
            .enable_all()
            .build()
            .map_err(|cause| StoreError::Failed {
                name: place.to_string(),
                cause,
            })?;
        Ok(Self {
            client,
            place,
            runtime: Some(runtime),
        })
    }

    /// Tries what the server does when asked not to overwrite; a repository can only be kept by
    /// one that does not, at least where writers come one after the other.
    pub fn exclusion(&self) -> Result<Exclusion, StoreError> {
        let nanos = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(0, |since| since.as_nanos());
        let name = format!("probe-{}-{nanos}", std::process::id());
        self.put_if_absent(&name, &[b"first"])?;
        let second = self.put_if_absent(&name, &[b"second"]);
        let kept = self.get(&name)?;
        self.delete_many(std::slice::from_ref(&name))?;
        match second {
            Err(StoreError::AlreadyExists { .. }) if kept == b"first" => {}
            Err(StoreError::AlreadyExists { .. }) | Ok(()) => return Ok(Exclusion::None),
            Err(cause) => return Err(cause),
        }
        for round in 0..RACES {
            let name = format!("{name}-{round}");
            let winners = self.race(&name);
            self.delete_many(&[name])?;
            if winners? != 1 {
                return Ok(Exclusion::OneByOne);
            }
        }
        Ok(Exclusion::Full)
    }

    /// Puts one name if it is absent many times at once; returns how many were told they did.
    fn race(&self, name: &str) -> Result<usize, StoreError> {
        let path = self.path(name)?;
        self.wait(name, async {
            let puts = (0..RACERS).map(|me| {
                let options = PutOptions {
                    mode: PutMode::Create,
                    ..PutOptions::default()
                };
                self.client
                    .put_opts(&path, PutPayload::from(vec![me; 64]), options)
            });
            let mut winners = 0;
            for put in futures::future::join_all(puts).await {
                match put {
                    Ok(_) => winners += 1,
                    Err(Error::AlreadyExists { .. } | Error::Precondition { .. }) => {}
                    Err(cause) => return Err(cause),
                }
            }
            Ok(winners)
        })
    }

    fn path(&self, name: &str) -> Result<Path, StoreError> {
        check_name(name)?;
        Path::parse(format!("{}{name}", self.place.prefix)).map_err(|_| StoreError::BadName {
            name: name.to_owned(),
        })
    }

    fn wait<T>(
        &self,
        name: &str,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, StoreError> {
        let runtime = self.runtime.as_ref().expect("it is there until the end");
        runtime.block_on(work).map_err(|cause| told(name, cause))
    }

    fn send(&self, name: &str, parts: &[&[u8]], mode: PutMode) -> Result<(), StoreError> {
        let path = self.path(name)?;
        let whole = parts.concat();
        if whole.len() <= ONE_REQUEST {
            let payload = PutPayload::from(whole);
            return self.wait(name, async {
                let options = PutOptions {
                    mode,
                    ..PutOptions::default()
                };
                self.client.put_opts(&path, payload, options).await?;
                Ok(())
            });
        }
        if mode == PutMode::Create && self.head(name)?.is_some() {
            return Err(StoreError::AlreadyExists {
                name: name.to_owned(),
            });
        }
        self.wait(name, async {
            let mut upload = self.client.put_multipart(&path).await?;
            let sent = async {
                let mut at = 0;
                while at < whole.len() {
                    let end = (at + PART).min(whole.len());
                    upload
                        .put_part(PutPayload::from(whole[at..end].to_vec()))
                        .await?;
                    at = end;
                }
                upload.complete().await?;
                Ok(())
            }
            .await;
            if sent.is_err() {
                // Parts of an upload that never ends are paid for.
                let _ = upload.abort().await;
            }
            sent
        })
    }

    fn read(&self, name: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name)?;
        self.wait(name, async {
            let options = GetOptions {
                range: range.map(GetRange::Bounded),
                ..GetOptions::default()
            };
            let found = self.client.get_opts(&path, options).await?;
            Ok(found.bytes().await?.to_vec())
        })
    }
}

fn told(name: &str, cause: Error) -> StoreError {
    let name = name.to_owned();
    match cause {
        Error::NotFound { .. } => StoreError::NotFound { name },
        Error::AlreadyExists { .. } | Error::Precondition { .. } => {
            StoreError::AlreadyExists { name }
        }
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => StoreError::Denied {
            name,
            cause: io::Error::other(cause),
        },
        cause => StoreError::Failed {
            name,
            cause: io::Error::other(cause),
        },
    }
}

impl ObjectStore for S3Store {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        match self.send(name, parts, PutMode::Create) {
            // A request whose answer got lost is sent again, and meets itself.
            Err(StoreError::AlreadyExists { name }) => match self.get(&name) {
                Ok(stored) if stored == parts.concat() => Ok(()),
                _ => Err(StoreError::AlreadyExists { name }),
            },
            outcome => outcome,
        }
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.send(name, parts, PutMode::Overwrite)
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        self.read(name, None)
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let length = range.end.saturating_sub(range.start);
        if length > 0
            && let Ok(bytes) = self.read(name, Some(range.clone()))
            && bytes.len() as u64 == length
        {
            return Ok(bytes);
        }
        // Servers differ in what they say of a range beyond the end.
        let size = self.head(name)?.ok_or_else(|| StoreError::NotFound {
            name: name.to_owned(),
        })?;
        if range.end > size || range.start > range.end {
            return Err(StoreError::OutOfRange {
                name: name.to_owned(),
                size,
                start: range.start,
                end: range.end,
            });
        }
        if length == 0 {
            return Ok(Vec::new());
        }
        self.read(name, Some(range))
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        let path = self.path(name)?;
        match self.wait(name, async { self.client.head(&path).await }) {
            Ok(meta) => Ok(Some(meta.size)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        check_prefix(prefix)?;
        if limit == 0 {
            return Ok(Vec::new());
        }
        let start = format!("{}{prefix}", self.place.prefix);
        let mut found = Vec::new();
        let mut token = None;
        loop {
            let options = PaginatedListOptions {
                offset: after.map(|after| format!("{}{after}", self.place.prefix)),
                max_keys: Some((limit - found.len()).min(PAGE)),
                page_token: token,
                ..PaginatedListOptions::default()
            };
            let page = self.wait(prefix, async {
                self.client.list_paginated(Some(&start), options).await
            })?;
            for meta in page.result.objects {
                let full = meta.location.to_string();
                if let Some(name) = full.strip_prefix(&self.place.prefix)
                    && check_name(name).is_ok()
                {
                    found.push(Listed {
                        name: name.to_owned(),
                        size: meta.size,
                    });
                }
            }
            token = page.page_token;
            if token.is_none() || found.len() >= limit {
                break;
            }
        }
        found.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        found.truncate(limit);
        Ok(found)
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        let paths: Vec<Path> = names
            .iter()
            .map(|name| self.path(name))
            .collect::<Result<_, _>>()?;
        let Some(first) = names.first() else {
            return Ok(());
        };
        let paths = futures::stream::iter(paths.into_iter().map(Ok)).boxed();
        self.wait(first, async {
            self.client
                .delete_stream(paths)
                .map(|outcome| match outcome {
                    Ok(_) | Err(Error::NotFound { .. }) => Ok(()),
                    Err(cause) => Err(cause),
                })
                .try_collect::<()>()
                .await
        })
    }

    fn describe(&self) -> String {
        self.place.to_string()
    }
}

impl Drop for S3Store {
    fn drop(&mut self) {
        // The last owner may be a thread that must not wait.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_from_urls() {
        for (url, want) in [
            ("s3://b", Some("s3://b/")),
            ("s3://b/", Some("s3://b/")),
            ("s3://b/a/c/", Some("s3://b/a/c/")),
            ("s3://", None),
            ("s3:///a", None),
            ("s3://b/a/../c", None),
            ("/srv/b", None),
        ] {
            let found = S3Place::parse(url).map(|place| place.to_string());
            assert_eq!(found.as_deref(), want, "{url}");
        }
    }
}
