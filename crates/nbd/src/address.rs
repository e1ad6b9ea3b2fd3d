//! Addresses of exports: `nbd://host:port/name`, `nbd+unix:///name?socket=/path`, and with
//! `nbds` the same under TLS.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::protocol::{DEFAULT_PORT, MAX_STRING};

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the network.
    Tcp {
        /// A name or an address.
        host: String,
        /// The port.
        port: u16,
    },
    /// On a socket in the file system.
    Unix(PathBuf),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}

/// The address of one export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// Where the server listens.
    pub place: Place,
    /// The export's name; empty means the server's default.
    pub export: String,
    /// Whether nothing may be said but under TLS.
    pub tls: bool,
    /// The directory that holds `ca-cert.pem` and, where the server wants to know who we are,
    /// `client-cert.pem` and `client-key.pem`.
    pub tls_certificates: Option<PathBuf>,
}

/// Why text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not the address of an NBD export: {reason}")]
pub struct AddressError {
    /// The text.
    pub text: String,
    /// What is wrong.
    pub reason: &'static str,
}

impl Address {
    /// Tells whether text means to be such an address.
    pub fn looks_like(text: &str) -> bool {
        ["nbd:", "nbds:", "nbd+unix:", "nbds+unix:"]
            .iter()
            .any(|scheme| text.starts_with(scheme))
    }

    /// Returns the address of an export at a place, without TLS.
    pub fn new(place: Place, export: impl Into<String>) -> Self {
        Self {
            place,
            export: export.into(),
            tls: false,
            tls_certificates: None,
        }
    }
}

impl FromStr for Address {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        parse(text).map_err(|reason| AddressError {
            text: text.to_owned(),
            reason,
        })
    }
}

fn parse(text: &str) -> Result<Address, &'static str> {
    let (scheme, rest) = text.split_once("://").ok_or("it has no `://`")?;
    let (tls, unix) = match scheme {
        "nbd" => (false, false),
        "nbds" => (true, false),
        "nbd+unix" => (false, true),
        "nbds+unix" => (true, true),
        _ => return Err("give nbd://, nbds://, nbd+unix:// or nbds+unix://"),
    };
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let export = decode(path)?;
    if export.len() > MAX_STRING {
        return Err("the name of the export is too long");
    }
    let mut socket = None;
    let mut tls_certificates = None;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        match key {
            "socket" => socket = Some(PathBuf::from(decode(value)?)),
            "tls-certificates" => tls_certificates = Some(PathBuf::from(decode(value)?)),
            _ => return Err("it has a parameter that is not known"),
        }
    }
    let place = match (unix, socket) {
        (true, Some(path)) if authority.is_empty() => Place::Unix(path),
        (true, Some(_)) => return Err("a socket in the file system has no host"),
        (true, None) => return Err("it needs ?socket=PATH"),
        (false, Some(_)) => return Err("only nbd+unix:// has a socket"),
        (false, None) => tcp(authority)?,
    };
    Ok(Address {
        place,
        export,
        tls,
        tls_certificates,
    })
}

fn tcp(authority: &str) -> Result<Place, &'static str> {
    if authority.contains('@') {
        return Err("NBD knows no users");
    }
    let (host, port) = match authority.strip_prefix('[') {
        Some(rest) => {
            let (host, after) = rest.split_once(']').ok_or("a bracket is not closed")?;
            let port = match after {
                "" => None,
                after => Some(after.strip_prefix(':').ok_or("the port is no number")?),
            };
            (host, port)
        }
        None => match authority.rsplit_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, None),
        },
    };
    if host.is_empty() {
        return Err("it names no host");
    }
    let bracketed = authority.starts_with('[');
    let fine = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c) || (bracketed && c == ':');
    if !host.chars().all(fine) {
        return Err("the host is neither a name nor an address");
    }
    let port = match port {
        None | Some("") => DEFAULT_PORT,
        Some(port) => port.parse().map_err(|_| "the port is no number")?,
    };
    let host = host.to_owned();
    Ok(Place::Tcp { host, port })
}

/// Resolves percent signs.
fn decode(text: &str) -> Result<String, &'static str> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).ok_or("a percent sign is cut off")?;
        let digits = std::str::from_utf8(digits).map_err(|_| "a percent sign is cut off")?;
        let byte = u8::from_str_radix(digits, 16).map_err(|_| "a percent sign is cut off")?;
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8")
}

/// Writes text with percent signs where it needs them.
struct Encoded<'a>(&'a str);

impl fmt::Display for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                    write!(f, "{}", char::from(byte))?;
                }
                _ => write!(f, "%{byte:02X}")?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.tls { "nbds" } else { "nbd" })?;
        let mut separator = '?';
        match &self.place {
            Place::Tcp { .. } => write!(f, "://{}/{}", self.place, Encoded(&self.export))?,
            Place::Unix(path) => {
                let path = path.to_string_lossy();
                write!(
                    f,
                    "+unix:///{}?socket={}",
                    Encoded(&self.export),
                    Encoded(&path)
                )?;
                separator = '&';
            }
        }
        if let Some(dir) = &self.tls_certificates {
            let dir = dir.to_string_lossy();
            write!(f, "{separator}tls-certificates={}", Encoded(&dir))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_understood_and_written_again() {
        for (text, place, export, tls, again) in [
            ("nbd://h", "h:10809", "", false, "nbd://h:10809/"),
            (
                "nbd://h:77/a/b%20c",
                "h:77",
                "a/b c",
                false,
                "nbd://h:77/a/b%20c",
            ),
            ("nbds://[::1]:5/x", "[::1]:5", "x", true, "nbds://[::1]:5/x"),
            (
                "nbd+unix:///v?socket=/run/a b.sock",
                "/run/a b.sock",
                "v",
                false,
                "nbd+unix:///v?socket=/run/a%20b.sock",
            ),
            (
                "nbds+unix:///?socket=s&tls-certificates=/pki",
                "s",
                "",
                true,
                "nbds+unix:///?socket=s&tls-certificates=/pki",
            ),
        ] {
            let address: Address = text.parse().unwrap();
            assert_eq!(address.place.to_string(), place, "{text}");
            assert_eq!(
                (address.export.as_str(), address.tls),
                (export, tls),
                "{text}"
            );
            assert_eq!(address.to_string(), again, "{text}");
            assert_eq!(again.parse(), Ok(address), "{text}");
        }
        for text in [
            "h",
            "http://h",
            "nbd://",
            "nbd:///x",
            "nbd://h:x",
            "nbd://u@h",
            "nbd+unix:///x",
            "nbd+unix://h/x?socket=s",
            "nbd://h?socket=s",
            "nbd://h/%",
            "nbd://h/%zz",
            "nbd://h/%ff",
            "nbd://h?what=1",
            "nbd://[::1",
            "nbd://a:b:1",
            "nbd://h%20",
            "nbd://[\0:0]0]",
        ] {
            assert!(text.parse::<Address>().is_err(), "{text}");
        }
    }
}
