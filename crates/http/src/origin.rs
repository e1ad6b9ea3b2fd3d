//! Who is at the other end, and what may be believed about it.
//!
//! A proxy tells with `X-Forwarded-*` how the client came. Anybody can send such headers, so they count
//! only from the addresses that the operator has named; from all others they are taken off. Behind this
//! layer whatever is in them is true.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue};

use crate::App;

pub(crate) const PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
pub(crate) const HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
pub(crate) const PREFIX: HeaderName = HeaderName::from_static("x-forwarded-prefix");
const FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// The other end of a connection; an extension of every request that came over one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// It came over TLS.
    pub secure: bool,
}

/// Who the request comes from: the peer, or whom the proxy at the other end speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Tells whether the client reached us, or the trusted proxy before us, over TLS.
pub(crate) fn is_secure(headers: &HeaderMap) -> bool {
    headers.get(&PROTO).is_some_and(|proto| proto == "https")
}

/// An address, or all that begin alike: `10.0.0.7`, `10.0.0.0/8`, `fd00::/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that names no network.
#[derive(Debug, Clone, thiserror::Error)]
#[error("must be an address or a network, like 10.0.0.7 or 10.0.0.0/8")]
pub struct BadNetwork;

impl Network {
    /// Tells whether `address` is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        // An IPv4 client of an IPv6 socket shows as ::ffff:a.b.c.d.
        match (self.address.to_canonical(), address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let differ = u32::from(own) ^ u32::from(other);
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let differ = u128::from(own) ^ u128::from(other);
                differ.leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = BadNetwork;

    fn from_str(text: &str) -> Result<Self, BadNetwork> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| BadNetwork)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().map_err(|_| BadNetwork)?,
            None => most,
        };
        if prefix > most {
            return Err(BadNetwork);
        }
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

/// Makes the forwarded headers true, and says who the client is.
pub(crate) fn settle(app: &App, request: &mut Request) {
    let peer = request.extensions().get::<Peer>().copied();
    let trusted = &app.settings.trusted_proxies;
    let client = believe(request.headers_mut(), peer, trusted);
    if let Some(client) = client {
        request.extensions_mut().insert(ClientAddress(client));
    }
}

/// Takes off what is not to be believed, says `https` where that is so, and returns the client's address.
fn believe(headers: &mut HeaderMap, peer: Option<Peer>, trusted: &[Network]) -> Option<IpAddr> {
    let proxies = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let own = peer.map(|peer| peer.address.ip());
    if own.is_some_and(proxies) {
        // Each proxy appends whom it heard, so the last that is no proxy is the client.
        let chain = headers.get_all(FOR).iter().filter_map(|v| v.to_str().ok());
        let chain: Vec<IpAddr> = chain
            .flat_map(|text| text.split(','))
            .filter_map(|word| word.trim().parse().ok())
            .collect();
        let found = chain.iter().rev().find(|address| !proxies(**address));
        // The first of several is what the client itself saw.
        for name in [PROTO, HOST, PREFIX] {
            let first = headers
                .get(&name)
                .and_then(|value| value.to_str().ok())
                .and_then(|text| text.split(',').next())
                .and_then(|word| HeaderValue::from_str(word.trim()).ok());
            match first {
                Some(first) => headers.insert(name, first),
                None => headers.remove(name),
            };
        }
        if headers.contains_key(PROTO) {
            return found.copied().or(own);
        }
        set_proto(headers, peer);
        return found.copied().or(own);
    }
    for name in [PROTO, HOST, PREFIX, FOR] {
        headers.remove(name);
    }
    set_proto(headers, peer);
    own
}

/// Says how the peer itself came.
fn set_proto(headers: &mut HeaderMap, peer: Option<Peer>) {
    if peer.is_some_and(|peer| peer.secure) {
        headers.insert(PROTO, HeaderValue::from_static("https"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks() {
        for (network, address, within) in [
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.7", "10.0.0.7", true),
            ("10.0.0.7", "10.0.0.8", false),
            ("10.0.0.7", "::ffff:10.0.0.7", true),
            ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false),
            ("fd00::/8", "fd12::1", true),
            ("fd00::/8", "fe80::1", false),
        ] {
            let parsed: Network = network.parse().expect(network);
            let address = address.parse().expect("is an address");
            assert_eq!(parsed.contains(address), within, "{network} {address}");
        }
        for text in ["", "10.0.0.0/33", "10.0.0/8", "proxy.example.org", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_known_proxies_are_believed() {
        let trusted = ["10.0.0.0/8".parse::<Network>().expect("is one")];
        let said = [
            ("x-forwarded-proto", "https, http"),
            ("x-forwarded-host", "out"),
            ("x-forwarded-prefix", "/backup"),
            ("x-forwarded-for", "6.6.6.6, 1.2.3.4, 10.0.0.9"),
        ];
        let asked = |peer: Option<Peer>| {
            let mut headers = HeaderMap::new();
            for (name, value) in said {
                headers.insert(name, HeaderValue::from_static(value));
            }
            let client = believe(&mut headers, peer, &trusted);
            let left = [PROTO, HOST, PREFIX].map(|name| {
                headers
                    .get(name)
                    .map(|v| v.to_str().expect("text").to_owned())
            });
            (client.map(|client| client.to_string()), left)
        };
        let peer = |address: &str, secure| {
            let address = SocketAddr::new(address.parse().expect("is one"), 1);
            Some(Peer { address, secure })
        };
        let some = |text: &str| Some(text.to_owned());
        // 6.6.6.6 is what the client said of itself.
        assert_eq!(
            asked(peer("10.0.0.1", false)),
            (
                some("1.2.3.4"),
                [some("https"), some("out"), some("/backup")]
            )
        );
        assert_eq!(
            asked(peer("8.8.8.8", false)),
            (some("8.8.8.8"), [None, None, None])
        );
        assert_eq!(
            asked(peer("8.8.8.8", true)),
            (some("8.8.8.8"), [some("https"), None, None])
        );
        assert_eq!(asked(None), (None, [None, None, None]));
    }
}
