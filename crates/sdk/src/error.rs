//! Everything that can stop a call, worded for the person who made it.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use emberkeep_model::Timestamp;
use emberkeep_wire::time::Moment;

use crate::cloud::ConfigError;
use crate::version::Microversion;

/// What a service said when it refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// What was asked, e.g. `POST /volumes`.
    pub asked: String,
    /// The HTTP status.
    pub status: u16,
    /// The service's own code or fault name, e.g. `BackupService.6105`, `itemNotFound`.
    pub code: Option<String>,
    /// Its words.
    pub message: String,
    /// The id under which its logs know the request.
    pub request_id: Option<String>,
}

/// Everything that can stop a call to a cloud.
#[derive(Debug, thiserror::Error)]
pub enum SdkError {
    /// Which cloud to talk to is not clear.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The identity service does not know the user, or not with this password.
    #[error("signing in at {auth_url} was refused: {}", refusal.message)]
    SignIn {
        /// The identity service.
        auth_url: String,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// A token that was given is no longer good.
    #[error("the token given for {auth_url} has run out or was taken back: {}", refusal.message)]
    TokenRefused {
        /// The identity service.
        auth_url: String,
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// The catalogue has no such service.
    #[error("the cloud offers no '{service}' service{}", place(region.as_deref(), interface))]
    NoService {
        /// The type that was looked for.
        service: &'static str,
        /// The region it was looked for in.
        region: Option<String>,
        /// The interface it was looked for at.
        interface: String,
    },
    /// A service refused the call.
    #[error("{}", refusal.message)]
    Refused {
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// Nobody listens, or the name is unknown.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        cause: reqwest::Error,
    },
    /// No answer, or not all of it, in the time there was.
    #[error("{url} did not answer in time")]
    NoAnswer {
        /// What was asked for.
        url: String,
        /// Which time ran out.
        #[source]
        cause: reqwest::Error,
    },
    /// The other side could not show that it is who it should be.
    #[error("the certificate of {url} cannot be trusted")]
    Untrusted {
        /// What was asked for.
        url: String,
        /// Why not.
        #[source]
        cause: reqwest::Error,
    },
    /// A certificate is not valid at the time that this machine's clock shows: either it has run
    /// out (or does not begin yet), or the clock is off.
    #[error(
        "the certificate of {url} is not valid at the time that this machine's clock shows, {now}"
    )]
    WrongTime {
        /// What was asked for.
        url: String,
        /// What the clock shows, UTC.
        now: Moment,
        /// Why it is not valid.
        #[source]
        cause: reqwest::Error,
    },
    /// The client could not be set up, or the exchange broke off.
    #[error("talking to {url} failed")]
    Transport {
        /// What was asked for.
        url: String,
        /// Why.
        #[source]
        cause: reqwest::Error,
    },
    /// An address in the configuration or the catalogue is not one.
    #[error("'{url}' is not an address that can be used")]
    BadAddress {
        /// What was given.
        url: String,
    },
    /// An id or a name that cannot be part of an address.
    #[error("'{id}' is not an id that can be asked for")]
    BadId {
        /// What was given.
        id: String,
    },
    /// An answer came that is no JSON, or lacks what the API says it has.
    #[error("the answer to {asked} cannot be understood: {what}")]
    BadAnswer {
        /// What was asked.
        asked: String,
        /// What is wrong with it.
        what: String,
    },
    /// The service speaks an edition of its API that is too old.
    #[error("{what} needs microversion {needs}, but the service offers {has} at most")]
    TooOld {
        /// What was asked for.
        what: &'static str,
        /// The edition that has it.
        needs: Microversion,
        /// The newest edition that the service offers.
        has: Microversion,
    },
    /// What was waited for ended otherwise.
    #[error("{what} is {status}{}", reason.as_ref().map_or_else(String::new, |words| format!(": {words}")))]
    Ended {
        /// What was waited for.
        what: String,
        /// How it stands.
        status: String,
        /// Why, where the service says.
        reason: Option<String>,
    },
    /// What was waited for did not end in the time given. It goes on.
    #[error("{what} is still {status} after {} s", after.as_secs())]
    StillGoing {
        /// What was waited for.
        what: String,
        /// How it stood last.
        status: String,
        /// How long was waited.
        after: Duration,
    },
    /// Several things have the name that one was asked for by.
    #[error("{count} {noun}s are called '{name}'")]
    Ambiguous {
        /// What was asked for.
        noun: &'static str,
        /// The name.
        name: String,
        /// How many have it.
        count: usize,
    },
    /// A certificate file named by the configuration cannot be used.
    #[error("the certificate file {} cannot be used", path.display())]
    CaFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// A runtime for blocking calls could not be set up.
    #[error("threads for blocking calls cannot be had")]
    Runtime(#[source] std::io::Error),
}

impl SdkError {
    /// Returns what the service said, if it was a service that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::SignIn { refusal, .. }
            | Self::TokenRefused { refusal, .. }
            | Self::Refused { refusal } => Some(refusal),
            Self::Config(_)
            | Self::NoService { .. }
            | Self::Unreachable { .. }
            | Self::NoAnswer { .. }
            | Self::Untrusted { .. }
            | Self::WrongTime { .. }
            | Self::Transport { .. }
            | Self::BadAddress { .. }
            | Self::BadId { .. }
            | Self::BadAnswer { .. }
            | Self::TooOld { .. }
            | Self::Ended { .. }
            | Self::StillGoing { .. }
            | Self::Ambiguous { .. }
            | Self::CaFile { .. }
            | Self::Runtime(_) => None,
        }
    }

    /// Tells whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal } if refusal.status == 404)
    }

    /// Sorts what went wrong on the way by what a person can do about it.
    pub(crate) fn transport(url: &str, cause: reqwest::Error) -> Self {
        let url = url.to_owned();
        // The address stands beside it already.
        let cause = cause.without_url();
        if says(
            &cause,
            &["certificate expired", "certificate not valid yet"],
        ) {
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            let secs = now.map_or(0, |since| since.as_secs());
            let now = Timestamp(i64::try_from(secs).unwrap_or_default() * 1_000_000).into();
            Self::WrongTime { url, now, cause }
        } else if says(&cause, &["certificate"]) {
            Self::Untrusted { url, cause }
        } else if cause.is_timeout() {
            Self::NoAnswer { url, cause }
        } else if cause.is_connect() {
            Self::Unreachable { url, cause }
        } else {
            Self::Transport { url, cause }
        }
    }
}

/// Looks for the words of the TLS library: its types are not the HTTP library's to show.
fn says(error: &reqwest::Error, phrases: &[&str]) -> bool {
    let mut next = error.source();
    while let Some(cause) = next {
        let words = cause.to_string();
        if phrases.iter().any(|phrase| words.contains(phrase)) {
            return true;
        }
        next = cause.source();
    }
    false
}

fn place(region: Option<&str>, interface: &str) -> String {
    let region = region.map_or_else(String::new, |name| format!(" in region {name}"));
    if interface == "public" {
        region
    } else {
        format!("{region} at its {interface} address")
    }
}
