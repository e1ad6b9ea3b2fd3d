//! Links: where a thing and the next page are found again.

use serde::{Deserialize, Serialize};

/// One link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Link {
    /// What it leads to: `self`, `bookmark`, `next`.
    pub rel: String,
    /// Where it leads.
    pub href: String,
}

/// Where the API is, as the client reached it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Scheme, host and the prefix the API is mounted at, without a slash at the end.
    pub base: String,
    /// The project, if the request's path named it: links name it only then.
    pub project: Option<String>,
}

impl Site {
    /// Returns the two links of the thing called `id` in `collection`.
    pub(super) fn links(&self, collection: &str, id: &str) -> Vec<Link> {
        let [itself, bookmark] = self.roots(collection);
        vec![
            Link {
                rel: "self".into(),
                href: itself + id,
            },
            Link {
                rel: "bookmark".into(),
                href: bookmark + id,
            },
        ]
    }

    /// Returns what stands before the id in the two links of a thing in `collection`.
    pub(super) fn roots(&self, collection: &str) -> [String; 2] {
        let (base, project) = (&self.base, self.project_segment());
        [
            format!("{base}/v3/{project}{collection}/"),
            format!("{base}/{project}{collection}/"),
        ]
    }

    /// Returns the link of the page after `last`: the same query with another marker.
    pub(super) fn next(&self, path: &str, query: &[(String, String)], last: &str) -> Link {
        let mut pairs: Vec<(&str, &str)> = query
            .iter()
            .map(|(k, v)| (k.as_str(), v.as_str()))
            .collect();
        pairs.sort_by_key(|(key, _)| *key);
        match pairs.iter_mut().find(|(key, _)| *key == "marker") {
            Some(pair) => pair.1 = last,
            None => pairs.push(("marker", last)),
        }
        let query = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(pairs)
            .finish();
        let (base, project) = (&self.base, self.project_segment());
        Link {
            rel: "next".into(),
            href: format!("{base}/v3/{project}{path}?{query}"),
        }
    }

    fn project_segment(&self) -> String {
        self.project
            .as_ref()
            .map(|project| format!("{project}/"))
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_name_the_project_only_if_the_request_did() {
        let mut site = Site {
            base: "http://h:1/volume".into(),
            project: Some("p1".into()),
        };
        let pairs = |list: &[(&str, &str)]| {
            list.iter()
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            site.links("backups", "b")[0].href,
            "http://h:1/volume/v3/p1/backups/b"
        );
        assert_eq!(
            site.links("backups", "b")[1].href,
            "http://h:1/volume/p1/backups/b"
        );
        let query = pairs(&[("name", "a b&c"), ("limit", "1"), ("marker", "x")]);
        assert_eq!(
            site.next("backups/detail", &query, "y").href,
            "http://h:1/volume/v3/p1/backups/detail?limit=1&marker=y&name=a+b%26c"
        );
        site.project = None;
        assert_eq!(
            site.links("backups", "b")[0].href,
            "http://h:1/volume/v3/backups/b"
        );
        assert_eq!(
            site.next("backups", &pairs(&[("limit", "1")]), "y").href,
            "http://h:1/volume/v3/backups?limit=1&marker=y"
        );
    }
}
