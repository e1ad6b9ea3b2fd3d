//! One call, before it is sent.

use emberkeep_wire::request::Request;
use reqwest::{Method, Url};
use serde_json::Value;

use crate::error::SdkError;

/// Which face of the cloud a call is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Face {
    BlockStorage,
    Cbr,
    Native,
    Identity,
}

impl Face {
    /// The catalogue's type and its aliases, the official one first.
    pub(super) fn types(self) -> &'static [&'static str] {
        match self {
            Self::BlockStorage => &["block-storage", "volumev3", "block-store", "volume"],
            Self::Cbr => &["cbr"],
            Self::Identity => &["identity"],
            // The native API is in no catalogue: it lies on the same host as the others.
            Self::Native => &["block-storage", "volumev3", "block-store", "volume", "cbr"],
        }
    }
}

/// One call, before it is sent; may be sent several times.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) path: Vec<String>,
    pub(crate) query: Vec<(String, String)>,
    pub(crate) body: Option<Value>,
}

impl Call {
    pub(crate) fn new<S: AsRef<str>>(method: Method, path: impl IntoIterator<Item = S>) -> Self {
        Self {
            method,
            path: path.into_iter().map(|s| s.as_ref().to_owned()).collect(),
            query: Vec::new(),
            body: None,
        }
    }

    pub(crate) fn get<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::GET, path)
    }

    pub(crate) fn post<S: AsRef<str>>(
        path: impl IntoIterator<Item = S>,
        body: &impl Request,
    ) -> Self {
        Self::new(Method::POST, path).body(body)
    }

    pub(crate) fn put<S: AsRef<str>>(
        path: impl IntoIterator<Item = S>,
        body: &impl Request,
    ) -> Self {
        Self::new(Method::PUT, path).body(body)
    }

    pub(crate) fn delete<S: AsRef<str>>(path: impl IntoIterator<Item = S>) -> Self {
        Self::new(Method::DELETE, path)
    }

    /// Gives it a body; nothing is sent but what `wire` defines for both sides.
    pub(crate) fn body(mut self, body: &impl Request) -> Self {
        self.body = Some(body.body());
        self
    }

    pub(crate) fn query(mut self, name: &str, value: Option<impl ToString>) -> Self {
        self.query
            .extend(value.map(|value| (name.to_owned(), value.to_string())));
        self
    }

    pub(crate) fn asked(&self) -> String {
        format!("{} /{}", self.method, self.path.join("/"))
    }

    /// Tells whether it may be sent again after it may have arrived.
    pub(super) fn only_reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD)
    }

    /// Returns the address under `base`.
    pub(super) fn address(&self, base: &Url) -> Result<Url, SdkError> {
        // An empty or dotted part would silently name something else: a list, or its parent.
        if let Some(part) = self
            .path
            .iter()
            .find(|part| part.is_empty() || matches!(part.as_str(), "." | ".."))
        {
            return Err(SdkError::BadId { id: part.clone() });
        }
        let mut url = base.clone();
        url.path_segments_mut()
            .map_err(|()| SdkError::BadAddress {
                url: base.to_string(),
            })?
            .pop_if_empty()
            .extend(&self.path);
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        Ok(url)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_reach_beyond_their_place() {
        let base = Url::parse("http://h/v3/p/").expect("an address");
        let at = |id: &str| {
            Call::delete(["vaults", id])
                .address(&base)
                .map(String::from)
                .ok()
        };
        assert_eq!(at("a").as_deref(), Some("http://h/v3/p/vaults/a"));
        assert_eq!(
            at("a/../b?c").as_deref(),
            Some("http://h/v3/p/vaults/a%2F..%2Fb%3Fc")
        );
        for id in ["", ".", ".."] {
            assert_eq!(at(id), None, "{id:?}");
        }
    }
}
