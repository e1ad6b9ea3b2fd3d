//! Why it is not clear which cloud to talk to, or as whom.

use std::path::PathBuf;

/// Why it is not clear which cloud to talk to, or as whom.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Neither a file nor variables name a cloud.
    #[error(
        "no cloud is named: set OS_CLOUD and have a clouds.yaml (looked at {}), or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD and OS_PROJECT_NAME",
        paths(looked_at)
    )]
    Nothing {
        /// The files looked at.
        looked_at: Vec<PathBuf>,
    },
    /// The file does not hold the cloud.
    #[error("{} holds no cloud '{name}'{}", file.display(), others(has))]
    NoSuchCloud {
        /// The file.
        file: PathBuf,
        /// The cloud asked for.
        name: String,
        /// The clouds it holds.
        has: Vec<String>,
    },
    /// A cloud is named, but there is no file to look it up in.
    #[error(
        "cloud '{name}' is asked for, but there is no clouds.yaml (looked at {})",
        paths(looked_at)
    )]
    NoFile {
        /// The cloud asked for.
        name: String,
        /// The files looked at.
        looked_at: Vec<PathBuf>,
    },
    /// The file holds several clouds and none was chosen.
    #[error("{} holds several clouds{}: choose one with OS_CLOUD", file.display(), others(has))]
    SeveralClouds {
        /// The file.
        file: PathBuf,
        /// The clouds it holds.
        has: Vec<String>,
    },
    /// A cloud is made after a profile that is not there.
    #[error("cloud '{name}' follows the profile '{profile}', which no clouds-public.yaml holds")]
    NoSuchProfile {
        /// The cloud.
        name: String,
        /// The profile.
        profile: String,
    },
    /// The file cannot be read.
    #[error("{} cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Why not.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{} is not a valid clouds.yaml", file.display())]
    Malformed {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: serde_yaml_ng::Error,
    },
    /// Something needed to sign in is missing.
    #[error("{whence} lacks {what}")]
    Missing {
        /// Where it should stand.
        whence: String,
        /// What is missing.
        what: &'static str,
    },
    /// A way of signing in that is not known here.
    #[error(
        "{whence} asks for the authentication type '{kind}'; known are password, v3password, token, v3token and v3applicationcredential"
    )]
    AuthType {
        /// Where it stands.
        whence: String,
        /// The type asked for.
        kind: String,
    },
    /// A region that is no name.
    #[error("a region in the configuration is neither a name nor an entry with a name")]
    BadRegion,
    /// A microversion that is none.
    #[error("{whence} asks for the Block Storage microversion '{version}', which is not like 3.71")]
    BadVersion {
        /// Where it stands.
        whence: String,
        /// What stands there.
        version: String,
    },
}

fn paths(list: &[PathBuf]) -> String {
    let names: Vec<_> = list.iter().map(|path| path.display().to_string()).collect();
    names.join(", ")
}

fn others(has: &[String]) -> String {
    if has.is_empty() {
        String::new()
    } else {
        format!(" (it holds {})", has.join(", "))
    }
}
