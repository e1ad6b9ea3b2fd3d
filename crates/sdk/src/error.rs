//! Everything that can stop a call, worded for the person who made it.

use crate::cloud::ConfigError;

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
    /// The catalogue has no such service.
    #[error("the cloud offers no '{service}' service{}", in_region(region.as_deref()))]
    NoService {
        /// The type that was looked for.
        service: &'static str,
        /// The region it was looked for in.
        region: Option<String>,
    },
    /// A service refused the call.
    #[error("{}", refusal.message)]
    Refused {
        /// What it said.
        refusal: Box<Refusal>,
    },
    /// No answer: nobody listens, the name is unknown, the time ran out.
    #[error("{url} cannot be reached")]
    Unreachable {
        /// What was asked for.
        url: String,
        /// Why not.
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
    /// An answer came that the API does not provide for.
    #[error("the answer to {asked} cannot be understood: {what}")]
    BadAnswer {
        /// What was asked.
        asked: String,
        /// What is wrong with it.
        what: String,
    },
    /// A certificate file named by the configuration cannot be used.
    #[error("the certificate file {} cannot be read", path.display())]
    CaFile {
        /// The file.
        path: std::path::PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
}

impl SdkError {
    /// Returns what the service said, if it was a service that refused.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::SignIn { refusal, .. } | Self::Refused { refusal } => Some(refusal),
            Self::Config(_)
            | Self::NoService { .. }
            | Self::Unreachable { .. }
            | Self::Transport { .. }
            | Self::BadAddress { .. }
            | Self::BadAnswer { .. }
            | Self::CaFile { .. } => None,
        }
    }

    /// Tells whether the thing asked for is not there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { refusal } if refusal.status == 404)
    }

    pub(crate) fn transport(url: &str, cause: reqwest::Error) -> Self {
        let url = url.to_owned();
        // The address stands beside it already.
        let cause = cause.without_url();
        if cause.is_connect() || cause.is_timeout() {
            Self::Unreachable { url, cause }
        } else {
            Self::Transport { url, cause }
        }
    }
}

fn in_region(region: Option<&str>) -> String {
    region.map_or_else(String::new, |name| format!(" in region {name}"))
}
