//! Waiting for something slow to end: asks again and again, and says how it stands meanwhile.

use std::fmt;
use std::time::Duration;

use emberkeep_wire::cbr;
use tokio::time::Instant;

use crate::block_storage;
use crate::error::SdkError;

/// How a thing stands that can be waited for.
pub trait Standing {
    /// What it is, with its id: `backup 41d0…`.
    fn what(&self) -> String;
    /// Its status, in its service's word.
    fn status(&self) -> &str;
    /// How far the present work on it has come in percent, where it is known.
    fn progress(&self) -> Option<u8> {
        None
    }
    /// Why it failed, where that is known.
    fn reason(&self) -> Option<String> {
        None
    }
    /// Statuses from which it never comes back by itself.
    fn failures(&self) -> &'static [&'static str] {
        &["error"]
    }
}

/// What was seen while waiting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glance {
    /// What is waited for.
    pub what: String,
    /// How it stands.
    pub status: String,
    /// How far it has come in percent, where that is known.
    pub progress: Option<u8>,
    /// How long it has been waited for.
    pub waited: Duration,
}

type Watcher = Box<dyn FnMut(&Glance) + Send>;

/// How to wait: 300 s, asking every 2 s, unless said otherwise.
pub struct Wait {
    timeout: Option<Duration>,
    interval: Duration,
    failures: Option<Vec<String>>,
    watcher: Option<Watcher>,
}

impl fmt::Debug for Wait {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait")
            .field("timeout", &self.timeout)
            .field("interval", &self.interval)
            .field("failures", &self.failures)
            .finish_non_exhaustive()
    }
}

impl Default for Wait {
    fn default() -> Self {
        Self {
            timeout: Some(Duration::from_secs(300)),
            interval: Duration::from_secs(2),
            failures: None,
            watcher: None,
        }
    }
}

impl Wait {
    /// Waits so long at most.
    pub fn timeout(limit: Duration) -> Self {
        Self {
            timeout: Some(limit),
            ..Self::default()
        }
    }

    /// Waits for ever.
    pub fn for_ever() -> Self {
        Self {
            timeout: None,
            ..Self::default()
        }
    }

    /// Asks so often.
    #[must_use]
    pub fn every(mut self, interval: Duration) -> Self {
        self.interval = interval;
        self
    }

    /// Gives up at these statuses instead of those that mean failure by themselves.
    #[must_use]
    pub fn failing_at<S: Into<String>>(mut self, statuses: impl IntoIterator<Item = S>) -> Self {
        self.failures = Some(statuses.into_iter().map(Into::into).collect());
        self
    }

    /// Shows every answer to `watcher`.
    #[must_use]
    pub fn watched(mut self, watcher: impl FnMut(&Glance) + Send + 'static) -> Self {
        self.watcher = Some(Box::new(watcher));
        self
    }

    /// Asks with `ask` until the status is one of `wanted`, in any case of letters.
    pub async fn until_status<T: Standing>(
        self,
        wanted: &[&str],
        ask: impl AsyncFnMut() -> Result<T, SdkError>,
    ) -> Result<T, SdkError> {
        match self.run(wanted, false, ask).await? {
            Some(thing) => Ok(thing),
            // Only waiting for the end of something ends without it.
            None => Err(SdkError::Ended {
                what: "it".to_owned(),
                status: "gone".to_owned(),
                reason: None,
            }),
        }
    }

    /// Asks with `ask` until the service does not know it any more.
    pub async fn until_gone<T: Standing>(
        self,
        ask: impl AsyncFnMut() -> Result<T, SdkError>,
    ) -> Result<(), SdkError> {
        self.run(&["deleted"], true, ask).await.map(drop)
    }

    async fn run<T: Standing>(
        mut self,
        wanted: &[&str],
        may_vanish: bool,
        mut ask: impl AsyncFnMut() -> Result<T, SdkError>,
    ) -> Result<Option<T>, SdkError> {
        let begun = Instant::now();
        loop {
            let thing = match ask().await {
                Err(error) if may_vanish && error.is_not_found() => return Ok(None),
                other => other?,
            };
            let glance = Glance {
                what: thing.what(),
                status: thing.status().to_owned(),
                progress: thing.progress(),
                waited: begun.elapsed(),
            };
            if let Some(watcher) = &mut self.watcher {
                watcher(&glance);
            }
            if among(wanted.iter().copied(), &glance.status) {
                return Ok(Some(thing));
            }
            let failed = match &self.failures {
                Some(words) => among(words.iter().map(String::as_str), &glance.status),
                None => among(thing.failures().iter().copied(), &glance.status),
            };
            if failed {
                return Err(SdkError::Ended {
                    what: glance.what,
                    status: glance.status,
                    reason: thing.reason(),
                });
            }
            let mut pause = self.interval;
            if let Some(timeout) = self.timeout {
                let left = timeout.saturating_sub(begun.elapsed());
                if left.is_zero() {
                    return Err(SdkError::StillGoing {
                        what: glance.what,
                        status: glance.status,
                        after: timeout,
                    });
                }
                pause = pause.min(left);
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn among<'a>(mut words: impl Iterator<Item = &'a str>, status: &str) -> bool {
    words.any(|word| word.eq_ignore_ascii_case(status))
}

impl Standing for cbr::Vault {
    fn what(&self) -> String {
        format!("vault {}", self.id)
    }

    fn status(&self) -> &str {
        self.billing.status.as_str()
    }
}

impl Standing for cbr::Checkpoint {
    fn what(&self) -> String {
        format!("checkpoint {}", self.id)
    }

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn failures(&self) -> &'static [&'static str] {
        &["error", "error-deleting"]
    }
}

impl Standing for cbr::Backup {
    fn what(&self) -> String {
        format!("backup {}", self.id)
    }

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn progress(&self) -> Option<u8> {
        self.extend_info.progress
    }
}

impl Standing for cbr::Task {
    fn what(&self) -> String {
        format!("task {} ({})", self.id, self.operation_type)
    }

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn progress(&self) -> Option<u8> {
        Some(self.extra_info.common.progress)
    }

    fn reason(&self) -> Option<String> {
        let error = &self.error_info;
        match (error.message.is_empty(), error.code.is_empty()) {
            (false, true) => Some(error.message.clone()),
            (false, false) => Some(format!("{} ({})", error.message, error.code)),
            (true, false) => Some(error.code.to_string()),
            (true, true) => None,
        }
    }

    fn failures(&self) -> &'static [&'static str] {
        &["failed", "timeout", "skipped"]
    }
}

impl Standing for cbr::Member {
    fn what(&self) -> String {
        format!("sharing of backup {}", self.backup_id)
    }

    fn status(&self) -> &str {
        self.status.as_str()
    }

    fn failures(&self) -> &'static [&'static str] {
        &["rejected"]
    }
}

impl Standing for block_storage::Volume {
    fn what(&self) -> String {
        format!("volume {}", self.id)
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn failures(&self) -> &'static [&'static str] {
        &[
            "error",
            "error_deleting",
            "error_restoring",
            "error_extending",
            "error_backing-up",
            "error_managing",
        ]
    }
}

impl Standing for block_storage::Snapshot {
    fn what(&self) -> String {
        format!("snapshot {}", self.id)
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn progress(&self) -> Option<u8> {
        self.progress.as_deref()?.trim_end_matches('%').parse().ok()
    }

    fn failures(&self) -> &'static [&'static str] {
        &["error", "error_deleting"]
    }
}

impl Standing for block_storage::Backup {
    fn what(&self) -> String {
        format!("backup {}", self.id)
    }

    fn status(&self) -> &str {
        &self.status
    }

    fn reason(&self) -> Option<String> {
        self.fail_reason.clone()
    }

    fn failures(&self) -> &'static [&'static str] {
        &["error", "error_deleting"]
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    fn checkpoint(status: &str) -> cbr::Checkpoint {
        cbr::Checkpoint {
            id: "c".into(),
            status: status.into(),
            ..cbr::Checkpoint::default()
        }
    }

    async fn wait(statuses: &[&str], wait: Wait) -> Result<String, SdkError> {
        let mut left = statuses.iter();
        let mut last = "";
        wait.until_status(&["available"], async || {
            last = left.next().unwrap_or(&last);
            Ok(checkpoint(last))
        })
        .await
        .map(|found| found.status.to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn waiting_ends_well_badly_or_not_at_all() {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let sink = Arc::clone(&seen);
        let watched = Wait::default().watched(move |glance| {
            sink.lock()
                .unwrap()
                .push((glance.status.clone(), glance.waited.as_secs()));
        });
        let found = wait(&["protecting", "protecting", "Available"], watched).await;
        assert_eq!(found.unwrap(), "Available");
        assert_eq!(
            *seen.lock().unwrap(),
            [
                ("protecting".to_owned(), 0),
                ("protecting".to_owned(), 2),
                ("Available".to_owned(), 4)
            ]
        );

        let error = wait(&["protecting", "error"], Wait::default()).await;
        assert_eq!(error.unwrap_err().to_string(), "checkpoint c is error");

        let patience = Wait::timeout(Duration::from_secs(5));
        let error = wait(&["protecting"], patience).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "checkpoint c is still protecting after 5 s"
        );

        let own = Wait::default().failing_at(["protecting"]);
        assert!(matches!(
            wait(&["protecting"], own).await,
            Err(SdkError::Ended { .. })
        ));
    }
}
