//! A router made of rows, which can tell what it serves: the document of the API is made of that, so that it can
//! neither leave a route out nor invent one.

use axum::Router;

use crate::App;
use crate::endpoint::{AxumRow, Endpoint};

/// One endpoint, at its whole path.
#[derive(Clone)]
pub(crate) struct Served {
    /// The path with the prefix of its API.
    pub(crate) path: String,
    /// The prefix of its API.
    pub(crate) prefix: &'static str,
    /// What is known of it.
    pub(crate) endpoint: Endpoint,
}

/// A router and the list of what it serves.
pub struct Routes {
    router: Router<App>,
    endpoints: Vec<Endpoint>,
}

impl Routes {
    /// Serves `rows`.
    pub(crate) fn of(rows: Vec<AxumRow>) -> Self {
        let mut router = Router::new();
        let mut endpoints = Vec::with_capacity(rows.len());
        for row in rows {
            router = router.route(&row.endpoint.path, row.handler);
            endpoints.push(row.endpoint);
        }
        Self { router, endpoints }
    }

    /// Serves what another one does.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.endpoints.extend(other.endpoints);
        self.router = self.router.merge(other.router);
        self
    }

    /// Changes the router in ways that serve nothing more: fallbacks, layers.
    pub(crate) fn shaped(mut self, shape: impl FnOnce(Router<App>) -> Router<App>) -> Self {
        self.router = shape(self.router);
        self
    }

    /// Adds what is served below `prefix` to `all`, and returns the router.
    pub(crate) fn listed(self, prefix: &'static str, all: &mut Vec<Served>) -> Router<App> {
        all.extend(served(prefix, self.endpoints));
        self.router
    }
}

/// Returns endpoints at their whole paths.
pub(crate) fn served(
    prefix: &'static str,
    endpoints: impl IntoIterator<Item = Endpoint>,
) -> impl Iterator<Item = Served> {
    endpoints.into_iter().map(move |endpoint| {
        // The mounted root is reached without the slash.
        let path = match endpoint.path.as_str() {
            "/" if !prefix.is_empty() => prefix.to_owned(),
            path => format!("{prefix}{path}"),
        };
        Served {
            path,
            prefix,
            endpoint,
        }
    })
}
