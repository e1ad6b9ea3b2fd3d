//! Where backups are served over NBD, if anywhere.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::ConfigError;

/// What begins the path of a socket.
const UNIX: &str = "unix:";

/// Where an NBD server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NbdListen {
    /// On the network.
    Tcp(SocketAddr),
    /// On a socket in the file system.
    Unix(PathBuf),
}

/// How backups are served over NBD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NbdConfig {
    /// Where.
    pub listen: NbdListen,
    /// The directory with the certificates; with it nothing is served but under TLS, to
    /// clients with a certificate.
    pub tls: Option<PathBuf>,
}

/// Reads `nbd_listen` and `nbd_tls`.
pub(super) fn read(
    listen: Option<String>,
    tls: Option<PathBuf>,
) -> Result<Option<NbdConfig>, ConfigError> {
    let Some(text) = listen else {
        return Ok(None);
    };
    let refuse = |reason: &str| {
        Err(ConfigError::Value {
            key: "nbd_listen".into(),
            value: text.clone(),
            reason: reason.into(),
        })
    };
    let listen = match text.strip_prefix(UNIX) {
        Some("") => return refuse("must name a path after unix:"),
        Some(path) => NbdListen::Unix(path.into()),
        None => match text.parse() {
            Ok(address) => NbdListen::Tcp(address),
            Err(_) => return refuse("must be an address like 127.0.0.1:10809, or unix:PATH"),
        },
    };
    match &listen {
        NbdListen::Tcp(address) if !address.ip().is_loopback() && tls.is_none() => {
            refuse("can be reached by anyone, and what is served is secret: set nbd_tls too")
        }
        NbdListen::Tcp(_) | NbdListen::Unix(_) => Ok(Some(NbdConfig { listen, tls })),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_can_reach_needs_tls() {
        let dir = Some(PathBuf::from("/pki"));
        for (listen, tls, fine) in [
            ("127.0.0.1:0", None, true),
            ("[::1]:10809", None, true),
            ("unix:/run/nbd.sock", None, true),
            ("0.0.0.0:10809", None, false),
            ("0.0.0.0:10809", dir, true),
            ("unix:", None, false),
            ("localhost", None, false),
        ] {
            let read = read(Some(listen.to_owned()), tls);
            assert_eq!(read.is_ok_and(|found| found.is_some()), fine, "{listen}");
        }
        assert!(matches!(read(None, None), Ok(None)));
    }
}
