//! How a command ends: an exit code that scripts may rely on, and words for people.

use std::error::Error;
use std::fmt;
use std::process::ExitCode;

use emberkeep_sdk::{Refusal, SdkError};

use crate::advice;

/// The exit codes; documented in `--help`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// Done.
    Done = 0,
    /// It was tried and failed.
    Failed = 1,
    /// The command line makes no sense.
    Usage = 2,
    /// What was named is not there.
    NotFound = 3,
    /// It was understood and refused.
    Refused = 4,
    /// It did not end in the time given.
    TimedOut = 5,
    /// The service ended because a background worker could not be kept running.
    WorkerFailed = 70,
}

impl From<ExitStatus> for ExitCode {
    fn from(status: ExitStatus) -> Self {
        Self::from(status as u8)
    }
}

/// Why a command stopped.
#[derive(Debug)]
pub struct CliError {
    status: ExitStatus,
    /// None when nobody reads any more: a closed pipe is no failure.
    report: Option<Box<Report>>,
}

#[derive(Debug, Default)]
struct Report {
    message: String,
    hint: Option<String>,
    request_id: Option<String>,
    /// What was asked, and what was answered.
    exchange: Option<String>,
}

impl CliError {
    fn new(status: ExitStatus, message: impl Into<String>) -> Self {
        let report = Report {
            message: message.into(),
            ..Report::default()
        };
        Self {
            status,
            report: Some(Box::new(report)),
        }
    }

    /// It was tried and failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Failed, message)
    }

    /// It was tried and failed because of `cause`.
    pub fn failed_by(what: impl fmt::Display, cause: &dyn Error) -> Self {
        Self::failed(format!("{what}: {}", chain(cause)))
    }

    /// A background worker of the service could not be kept running.
    pub fn worker_failed(cause: &dyn Error) -> Self {
        Self::new(ExitStatus::WorkerFailed, chain(cause))
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Usage, message)
    }

    /// What was named is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::NotFound, message)
    }

    /// It was understood and refused.
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::Refused, message)
    }

    /// It did not end in the time given.
    pub fn timed_out(message: impl Into<String>) -> Self {
        Self::new(ExitStatus::TimedOut, message)
    }

    /// Nobody reads our output any more; ends without a word.
    pub fn output_closed() -> Self {
        Self {
            status: ExitStatus::Done,
            report: None,
        }
    }

    /// Adds what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(report) = &mut self.report {
            report.hint = Some(hint.into());
        }
        self
    }

    /// Puts what was being done before the words.
    #[must_use]
    pub fn doing(mut self, what: impl fmt::Display) -> Self {
        if let Some(report) = &mut self.report {
            report.message = format!("{what}: {}", report.message);
        }
        self
    }

    /// Puts other words in place of its own; the exit code stays.
    #[must_use]
    pub fn instead(mut self, message: impl Into<String>) -> Self {
        self.report = Some(Box::new(Report {
            message: message.into(),
            ..Report::default()
        }));
        self
    }

    /// Returns the exit code.
    pub fn status(&self) -> ExitStatus {
        self.status
    }

    /// Tells whether there is anything to say.
    pub fn is_silent(&self) -> bool {
        self.report.is_none()
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(report) = &self.report else {
            return Ok(());
        };
        write!(f, "{}", report.message)?;
        if let Some(hint) = &report.hint {
            write!(f, "\n  {hint}")?;
        }
        if let Some(id) = &report.request_id {
            write!(f, "\n  request id: {id}")?;
        }
        if let Some(exchange) = &report.exchange {
            write!(f, "\n  {exchange}")?;
        }
        Ok(())
    }
}

/// Joins an error and its causes, leaving out what the one before has said already.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if !text.contains(&words) {
            text.push_str(": ");
            text.push_str(&words);
        }
        next = cause.source();
    }
    text
}

impl From<SdkError> for CliError {
    fn from(error: SdkError) -> Self {
        let words = chain(&error);
        let mut told = match &error {
            SdkError::Config(_) => Self::usage(words)
                .hint("or name the data directory of a running service: --data-dir DIR"),
            SdkError::SignIn { .. } => Self::refused(words)
                .hint("check user, password and project in clouds.yaml or the OS_* variables"),
            SdkError::TokenRefused { .. } => Self::refused(words)
                .hint("get a new one (`openstack token issue`), or sign in with a password"),
            SdkError::NoService { .. } => Self::not_found(words)
                .hint("check region and interface; `openstack catalog list` shows what there is"),
            SdkError::BadAddress { .. } | SdkError::CaFile { .. } | SdkError::Runtime(_) => {
                Self::failed(words)
            }
            SdkError::BadId { .. } => Self::not_found(words),
            SdkError::Ambiguous { .. } => Self::refused(words).hint("give its id instead"),
            SdkError::TooOld { .. } => Self::refused(words),
            SdkError::Ended { .. } => {
                Self::failed(words).hint("`emberkeep task list` shows what happened")
            }
            SdkError::StillGoing { .. } => Self::timed_out(words)
                .hint("it goes on; `emberkeep task list` shows how far it has come"),
            SdkError::NoAnswer { cause, .. } if cause.is_connect() => Self::timed_out(words)
                .hint("nothing was sent: is the address right, and is there a way to it?"),
            SdkError::NoAnswer { .. } => Self::timed_out(words)
                .hint("what was asked for may go on; look before asking again"),
            SdkError::Untrusted { .. } => Self::failed(words)
                .hint("name the authority that signed it (`cacert` in clouds.yaml, OS_CACERT)"),
            SdkError::WrongTime { .. } => Self::failed(words)
                .hint("set the clock if it is off (`timedatectl`), else the certificate is to be renewed"),
            SdkError::Refused { refusal } => match refusal.status {
                404 => Self::not_found(words),
                400..=499 => match advice::next_step(refusal) {
                    Some(advice) => Self::refused(words).hint(advice),
                    None => Self::refused(words),
                },
                _ => Self::failed(format!("the service failed: {words}"))
                    .hint("its log says more under the request id"),
            },
            SdkError::Unreachable { .. } => {
                Self::failed(words).hint("is the service running? `emberkeep serve` starts it")
            }
            SdkError::Transport { .. } => {
                Self::failed(words).hint("look whether it was done before asking again")
            }
            SdkError::BadAnswer { .. } => Self::failed(words).hint(
                "what answers there may be another service, or something in between (a proxy, a login page)",
            ),
        };
        if let (Some(report), Some(refusal)) = (&mut told.report, error.refusal()) {
            report.request_id.clone_from(&refusal.request_id);
            report.exchange = Some(exchange(refusal));
        }
        told
    }
}

/// Says what was asked and what was answered, for whoever looks into it.
fn exchange(refusal: &Refusal) -> String {
    let Refusal { asked, status, .. } = refusal;
    match &refusal.code {
        Some(code) => format!("asked: {asked}, answered: {status} {code}"),
        None => format!("asked: {asked}, answered: {status}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_keeps_its_words_and_its_request_id() {
        let refused = |status| SdkError::Refused {
            refusal: Box::new(Refusal {
                asked: "POST /backups".to_owned(),
                status,
                code: None,
                message: "Volume X could not be found.".to_owned(),
                request_id: Some("req-1".to_owned()),
            }),
        };
        for (status, want) in [
            (404, ExitStatus::NotFound),
            (400, ExitStatus::Refused),
            (403, ExitStatus::Refused),
            (413, ExitStatus::Refused),
            (500, ExitStatus::Failed),
            (503, ExitStatus::Failed),
        ] {
            assert_eq!(CliError::from(refused(status)).status(), want, "{status}");
        }
        assert_eq!(
            CliError::from(refused(404))
                .doing("backing up 'X'")
                .to_string(),
            "backing up 'X': Volume X could not be found.\n  request id: req-1\n  asked: POST /backups, answered: 404"
        );
    }

    #[test]
    fn causes_are_told_once() {
        let inner = std::io::Error::other("disk on fire");
        let text = chain(&std::io::Error::other(inner));
        assert_eq!(text, "disk on fire");
    }
}
