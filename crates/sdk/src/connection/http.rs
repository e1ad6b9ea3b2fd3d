//! Sending, with patience: timeouts, retries where they are safe, answers of bounded size.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use reqwest::header::RETRY_AFTER;
use reqwest::{Client, RequestBuilder, Response, StatusCode, Url};

use crate::cloud::{CloudConfig, Retries, Timeouts};
use crate::error::SdkError;

/// The longest answer that is read into memory: far more than a full page of anything.
const LONGEST_ANSWER: usize = 64 << 20;

/// How a request may be sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct How {
    /// Whether it may be sent again after it may have arrived.
    pub(super) only_reads: bool,
    /// Whether all of it must be over in the time for an exchange; a transfer of a volume
    /// takes as long as it takes.
    pub(super) hurry: bool,
}

impl How {
    /// A question, to be answered in time.
    pub(super) const QUESTION: Self = Self {
        only_reads: true,
        hurry: true,
    };
}

/// What sends, and how patiently.
#[derive(Debug)]
pub(super) struct Http {
    client: Client,
    /// For long uploads, where silence from the other side is normal.
    streams: Client,
    timeouts: Timeouts,
    retries: Retries,
}

impl Http {
    pub(super) fn new(config: &CloudConfig) -> Result<Self, SdkError> {
        Ok(Self {
            client: client(config, Some(config.timeouts.read))?,
            streams: client(config, None)?,
            timeouts: config.timeouts,
            retries: config.retries,
        })
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    pub(super) fn streams(&self) -> &Client {
        &self.streams
    }

    /// Sends what `build` builds, again and again where that cannot do harm: always when it
    /// was never sent or the service put it off, and after a lost answer if it only reads.
    pub(super) async fn send(
        &self,
        url: &Url,
        how: How,
        build: impl Fn() -> RequestBuilder,
    ) -> Result<Response, SdkError> {
        let begun = Instant::now();
        // One span of time for all tries: whoever waits does not count them.
        let left = || self.timeouts.total.saturating_sub(begun.elapsed());
        let only_reads = how.only_reads;
        let mut tries = 0;
        let mut before = None;
        loop {
            let request = if how.hurry {
                build().timeout(left())
            } else {
                build()
            };
            let sent = request.send().await;
            let pause = match &sent {
                Ok(response) => put_off(response, only_reads),
                Err(cause) if cause.is_connect() || (only_reads && cause.is_timeout()) => {
                    Some(None)
                }
                Err(cause) if only_reads && (cause.is_request() || cause.is_body()) => Some(None),
                Err(_) => None,
            };
            // A last try that ran out of time says less than the one before it.
            let cut_short =
                how.hurry && left().is_zero() && matches!(&sent, Err(cause) if cause.is_timeout());
            let sent = match before.take() {
                Some(before) if cut_short => before,
                _ => sent,
            };
            let settled = |sent: Result<Response, reqwest::Error>| {
                sent.map_err(|cause| SdkError::transport(url.as_str(), cause))
            };
            let Some(asked) = pause else {
                return settled(sent);
            };
            let pause = asked.unwrap_or_else(|| self.pause(tries));
            let over = how.hurry && pause >= left();
            if tries >= self.retries.count || pause > self.retries.longest_pause || over {
                return settled(sent);
            }
            before = Some(sent);
            tries += 1;
            tokio::time::sleep(pause).await;
        }
    }

    /// Doubles with each try; up to a fifth is left to chance, lest many clients move in step.
    fn pause(&self, tries: u32) -> Duration {
        let whole = self
            .retries
            .first_pause
            .saturating_mul(1 << tries.min(16))
            .min(self.retries.longest_pause);
        let chance = u32::try_from(RandomState::new().hash_one(tries) % 200).unwrap_or(0);
        whole * (1000 - chance) / 1000
    }
}

/// Tells whether a service asks to be asked again, and when, if it says so.
fn put_off(response: &Response, only_reads: bool) -> Option<Option<Duration>> {
    let after = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|value| value.to_str().ok())
        .and_then(|text| text.trim().parse().ok())
        .map(Duration::from_secs);
    match response.status() {
        StatusCode::TOO_MANY_REQUESTS => Some(after),
        // Without a time it may have been half done.
        StatusCode::SERVICE_UNAVAILABLE if only_reads || after.is_some() => Some(after),
        StatusCode::BAD_GATEWAY | StatusCode::GATEWAY_TIMEOUT if only_reads => Some(after),
        _ => None,
    }
}

/// Reads an answer, up to a length that no honest one has.
pub(super) async fn read(asked: &str, mut response: Response) -> Result<Bytes, SdkError> {
    let url = response.url().to_string();
    let mut body = BytesMut::new();
    while let Some(piece) = response
        .chunk()
        .await
        .map_err(|cause| SdkError::transport(&url, cause))?
    {
        if body.len() + piece.len() > LONGEST_ANSWER {
            return Err(SdkError::BadAnswer {
                asked: asked.to_owned(),
                what: format!("it is longer than {} MiB", LONGEST_ANSWER >> 20),
            });
        }
        body.extend_from_slice(&piece);
    }
    Ok(body.freeze())
}

fn client(config: &CloudConfig, read_timeout: Option<Duration>) -> Result<Client, SdkError> {
    let failed = |cause| SdkError::Transport {
        url: config.auth_url.clone(),
        cause,
    };
    let mut builder = Client::builder()
        .user_agent(concat!("emberkeep/", env!("CARGO_PKG_VERSION")))
        .connect_timeout(config.timeouts.connect)
        .redirect(reqwest::redirect::Policy::none());
    if let Some(timeout) = read_timeout {
        builder = builder.read_timeout(timeout);
    }
    if is_loopback(&config.auth_url) {
        // A proxy meant for the way out would send loopback addresses to the proxy's own host.
        builder = builder.no_proxy();
    }
    if let Some(path) = &config.ca_file {
        let unusable = |cause| SdkError::CaFile {
            path: path.clone(),
            cause,
        };
        let pem = std::fs::read(path).map_err(unusable)?;
        let certificates = reqwest::Certificate::from_pem_bundle(&pem)
            .map_err(|cause| unusable(io::Error::new(io::ErrorKind::InvalidData, cause)))?;
        // A file of something else reads as a bundle of none.
        if certificates.is_empty() {
            let cause = io::Error::new(io::ErrorKind::InvalidData, "it holds no certificate");
            return Err(unusable(cause));
        }
        for certificate in certificates {
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

#[cfg(test)]
mod tests {
    use super::*;

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
