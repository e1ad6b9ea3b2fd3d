//! Which edition of the Block Storage API to speak: the newest that both sides know.

use reqwest::{Response, StatusCode, Url};
use serde::Deserialize;

use super::http::How;
use super::{Connection, Face, headers, http};
use crate::auth::Session;
use crate::error::SdkError;
use crate::version::Microversion;

/// What is read of a version document; there is more in it, and some clouds write less.
#[derive(Deserialize)]
struct Document {
    #[serde(default)]
    versions: Vec<Version>,
    version: Option<Version>,
}

#[derive(Deserialize)]
struct Version {
    id: String,
    #[serde(default)]
    version: String,
}

impl Connection {
    /// Returns the Block Storage microversion that is spoken on this connection.
    pub async fn block_storage_version(&self) -> Result<Microversion, SdkError> {
        let found = self.inner.block_storage_version.get_or_try_init(|| async {
            match self.inner.config.block_storage_version {
                Some(version) => Ok(version),
                None => self.newest_common().await,
            }
        });
        found.await.copied()
    }

    pub(super) async fn version_for(&self, face: Face) -> Result<Option<Microversion>, SdkError> {
        if face != Face::BlockStorage {
            return Ok(None);
        }
        let version = self.block_storage_version().await?;
        // The oldest is what a service speaks unasked, and all that some can.
        Ok(Some(version).filter(|version| *version != Microversion::OLDEST))
    }

    async fn newest_common(&self) -> Result<Microversion, SdkError> {
        let session = self.inner.session.read().await.clone();
        let mut response = self.document(&session).await?;
        if response.status() == StatusCode::UNAUTHORIZED {
            let fresh = self.renew(&session).await?;
            response = self.document(&fresh).await?;
        }
        let body = http::read("GET the version document", response).await?;
        // A service without a document has no microversions, whatever it answers instead.
        Ok(newest(&body).map_or(Microversion::OLDEST, |has| has.min(Microversion::NEWEST)))
    }

    async fn document(&self, session: &Session) -> Result<Response, SdkError> {
        let url = document_url(self.base(session, Face::BlockStorage)?);
        let sender = &self.inner.http;
        sender
            .send(&url, How::QUESTION, || {
                sender
                    .client()
                    .get(url.clone())
                    .headers(headers(session, None))
            })
            .await
    }
}

/// The document lies at the version, without the project.
fn document_url(mut base: Url) -> Url {
    let version: Vec<String> = base
        .path_segments()
        .into_iter()
        .flatten()
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect();
    let end = version
        .iter()
        .rposition(|part| part == "v3")
        .map_or(version.len(), |at| at + 1);
    base.set_path(&format!("/{}/", version[..end].join("/")));
    base
}

fn newest(body: &[u8]) -> Option<Microversion> {
    let document: Document = serde_json::from_slice(body).ok()?;
    document
        .versions
        .iter()
        .chain(&document.version)
        .filter(|version| version.id.starts_with("v3"))
        .find_map(|version| Microversion::parse(&version.version))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_lies_beside_the_projects() {
        for (base, want) in [
            ("http://h/volume/v3/p1", "http://h/volume/v3/"),
            ("http://h/v3", "http://h/v3/"),
            ("http://h/volume/", "http://h/volume/"),
        ] {
            let url = document_url(Url::parse(base).expect("an address"));
            assert_eq!(url.as_str(), want, "{base}");
        }
    }

    #[test]
    fn documents_come_in_many_forms() {
        for (what, body, want) in [
            (
                "cinder",
                r#"{"versions":[{"id":"v3.0","status":"CURRENT","version":"3.71","min_version":"3.0"}]}"#,
                Some(71),
            ),
            (
                "a single one",
                r#"{"version":{"id":"v3.0","version":"3.50"}}"#,
                Some(50),
            ),
            (
                "several",
                r#"{"versions":[{"id":"v2.0","version":""},{"id":"v3.0","version":"3.9"}]}"#,
                Some(9),
            ),
            (
                "without microversions",
                r#"{"versions":[{"id":"v3.0","version":""}]}"#,
                None,
            ),
            ("a refusal", r#"{"error":{"code":401}}"#, None),
            ("a web page", "<html>", None),
        ] {
            assert_eq!(
                newest(body.as_bytes()),
                want.map(Microversion::v3),
                "{what}"
            );
        }
    }
}
