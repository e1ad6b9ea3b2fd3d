//! Where the service listens, and with which certificate.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;

use serde::Deserialize;

use super::ConfigError;

/// `listen = "…"` or `listen = ["…", "…"]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub(super) enum ListenFile {
    One(String),
    Many(Vec<String>),
}

/// One `[[listeners]]`.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListenerFile {
    address: String,
    tls_certificate: Option<PathBuf>,
    tls_key: Option<PathBuf>,
}

/// A certificate and its key, as PEM files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, then those that vouch for it.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// One place where the service listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listen {
    /// The address; port 0 picks one.
    pub address: SocketAddr,
    /// What it shows to clients; plain HTTP if none.
    pub tls: Option<TlsFiles>,
}

impl Listen {
    /// Plain HTTP at an address.
    pub fn plain(address: SocketAddr) -> Self {
        Self { address, tls: None }
    }

    /// Returns `http` or `https`.
    pub(crate) fn scheme(&self) -> &'static str {
        if self.tls.is_some() { "https" } else { "http" }
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.scheme(), self.address)
    }
}

/// What says where to listen: comma-separated words and where they come from, or what the file has.
pub(super) enum Sources {
    Words(&'static str, String),
    File(Option<ListenFile>, Vec<ListenerFile>),
}

/// Reads all places. `https://` before an address asks for TLS with the service's certificate; in
/// `[[listeners]]` each may have its own.
pub(super) fn read(
    sources: Sources,
    default: &str,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Vec<Listen>, ConfigError> {
    let shared = pair(certificate, key)?;
    let mut all = Vec::new();
    let (origin, words) = match sources {
        Sources::Words(origin, text) => {
            let words = text.split(',').map(|word| word.trim().to_owned());
            (origin, words.collect())
        }
        Sources::File(listen, listeners) => {
            let words = match listen {
                Some(ListenFile::One(word)) => vec![word],
                Some(ListenFile::Many(words)) => words,
                None if listeners.is_empty() => vec![default.to_owned()],
                None => Vec::new(),
            };
            for one in listeners {
                let own = pair(one.tls_certificate, one.tls_key)?;
                all.push(place("listeners.address", &one.address, own, &shared)?);
            }
            ("listen", words)
        }
    };
    let mut places = Vec::new();
    for word in &words {
        places.push(place(origin, word, None, &shared)?);
    }
    places.append(&mut all);
    let refuse = |value: String, reason: &str| {
        Err(ConfigError::Value {
            key: origin.into(),
            value,
            reason: reason.into(),
        })
    };
    if places.is_empty() {
        return refuse(String::new(), "must name at least one address");
    }
    if let Some(shared) = shared
        && !places.iter().any(|one| one.tls.as_ref() == Some(&shared))
    {
        // Whoever gives a certificate believes that it is used.
        return refuse(
            words.join(","),
            "must begin with https:// where the certificate is to be used",
        );
    }
    Ok(places)
}

fn pair(
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
) -> Result<Option<TlsFiles>, ConfigError> {
    match (certificate, key) {
        (None, None) => Ok(None),
        (Some(certificate), Some(key)) => Ok(Some(TlsFiles { certificate, key })),
        (Some(given), None) | (None, Some(given)) => Err(ConfigError::Value {
            key: "tls_certificate, tls_key".into(),
            value: given.display().to_string(),
            reason: "must be given together".into(),
        }),
    }
}

fn place(
    origin: &str,
    text: &str,
    own: Option<TlsFiles>,
    shared: &Option<TlsFiles>,
) -> Result<Listen, ConfigError> {
    let refuse = |reason: &str| ConfigError::Value {
        key: origin.into(),
        value: text.into(),
        reason: reason.into(),
    };
    let (address, tls) = if let Some(address) = text.strip_prefix("https://") {
        let tls = own
            .or_else(|| shared.clone())
            .ok_or_else(|| refuse("needs tls_certificate and tls_key"))?;
        (address, Some(tls))
    } else if let Some(address) = text.strip_prefix("http://") {
        if own.is_some() {
            return Err(refuse("must not begin with http:// and have a certificate"));
        }
        (address, None)
    } else {
        (text, own)
    };
    let address = address
        .trim_end_matches('/')
        .parse()
        .map_err(|_| refuse("must be an address and a port, like 127.0.0.1:8776"))?;
    Ok(Listen { address, tls })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str, tls: bool) -> Result<Vec<String>, ConfigError> {
        let file = |name: &str| tls.then(|| PathBuf::from(name));
        let sources = Sources::Words("--listen", text.to_owned());
        let places = read(sources, "127.0.0.1:1", file("c"), file("k"))?;
        Ok(places.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn several_places_plain_and_not() {
        assert_eq!(words("127.0.0.1:1", false).unwrap(), ["http://127.0.0.1:1"]);
        assert_eq!(
            words("127.0.0.1:1, https://[::]:2", true).unwrap(),
            ["http://127.0.0.1:1", "https://[::]:2"]
        );
        for (what, text, tls) in [
            ("nowhere", "", false),
            ("no certificate", "https://127.0.0.1:1", false),
            ("a certificate for nothing", "127.0.0.1:1", true),
            ("a name", "localhost:1", false),
            ("no such scheme", "ftp://127.0.0.1:1", false),
        ] {
            assert!(words(text, tls).is_err(), "{what}");
        }
    }

    #[test]
    fn each_listener_may_have_its_own_certificate() {
        #[derive(Deserialize)]
        struct File {
            listen: Option<ListenFile>,
            #[serde(default)]
            listeners: Vec<ListenerFile>,
        }
        let read = |text: &str| {
            let file: File = toml::from_str(text).expect("is TOML");
            read(
                Sources::File(file.listen, file.listeners),
                "127.0.0.1:1",
                None,
                None,
            )
        };
        let places = read(
            "listen = ['127.0.0.1:1']\n[[listeners]]\naddress = '0.0.0.0:2'\ntls_certificate = 'c'\ntls_key = 'k'\n",
        )
        .unwrap();
        let shown: Vec<_> = places.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["http://127.0.0.1:1", "https://0.0.0.0:2"]);
        assert_eq!(read("").unwrap()[0].to_string(), "http://127.0.0.1:1");
        assert!(read("[[listeners]]\naddress = '0.0.0.0:2'\ntls_certificate = 'c'\n").is_err());
    }
}
