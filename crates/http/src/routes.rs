//! A router that can tell what it serves: the document of the API is made of that, so that it can neither
//! leave a route out nor invent one.

use std::convert::Infallible;

use axum::Router;
use axum::handler::Handler;
use axum::routing::{self, MethodRouter};

use crate::App;

/// What answers the methods of one path, and which methods those are.
pub(crate) struct Verbs {
    router: MethodRouter<App, Infallible>,
    methods: Vec<&'static str>,
}

/// Answers GET, and HEAD with it.
pub(crate) fn get<H: Handler<T, App>, T: 'static>(handler: H) -> Verbs {
    Verbs::new("get", routing::get(handler))
}

/// Answers POST.
pub(crate) fn post<H: Handler<T, App>, T: 'static>(handler: H) -> Verbs {
    Verbs::new("post", routing::post(handler))
}

/// Answers PUT.
pub(crate) fn put<H: Handler<T, App>, T: 'static>(handler: H) -> Verbs {
    Verbs::new("put", routing::put(handler))
}

/// Answers PATCH.
#[allow(
    dead_code,
    reason = "whether a path begins with it changes with the routes"
)]
pub(crate) fn patch<H: Handler<T, App>, T: 'static>(handler: H) -> Verbs {
    Verbs::new("patch", routing::patch(handler))
}

/// Answers DELETE.
pub(crate) fn delete<H: Handler<T, App>, T: 'static>(handler: H) -> Verbs {
    Verbs::new("delete", routing::delete(handler))
}

impl Verbs {
    fn new(method: &'static str, router: MethodRouter<App, Infallible>) -> Self {
        Self {
            router,
            methods: vec![method],
        }
    }

    fn and(
        mut self,
        method: &'static str,
        add: impl FnOnce(MethodRouter<App, Infallible>) -> MethodRouter<App, Infallible>,
    ) -> Self {
        self.methods.push(method);
        self.router = add(self.router);
        self
    }

    /// Answers GET too, and HEAD with it.
    pub(crate) fn get<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.and("get", |router| router.get(handler))
    }

    /// Answers POST too.
    pub(crate) fn post<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.and("post", |router| router.post(handler))
    }

    /// Answers PUT too.
    pub(crate) fn put<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.and("put", |router| router.put(handler))
    }

    /// Answers PATCH too.
    #[allow(
        dead_code,
        reason = "whether a path goes on with it changes with the routes"
    )]
    pub(crate) fn patch<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.and("patch", |router| router.patch(handler))
    }

    /// Answers DELETE too.
    pub(crate) fn delete<H: Handler<T, App>, T: 'static>(self, handler: H) -> Self {
        self.and("delete", |router| router.delete(handler))
    }
}

/// One method of one path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Served {
    /// The path, with `{names}` where something stands for them.
    pub(crate) path: String,
    /// The method, in small letters.
    pub(crate) method: &'static str,
}

/// A router and the list of what it serves.
pub struct Routes {
    router: Router<App>,
    served: Vec<Served>,
}

impl Routes {
    /// Serves nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            router: Router::new(),
            served: Vec::new(),
        }
    }

    /// Serves a path.
    pub(crate) fn route(mut self, path: &str, verbs: Verbs) -> Self {
        self.served
            .extend(verbs.methods.iter().map(|&method| Served {
                path: path.to_owned(),
                method,
            }));
        self.router = self.router.route(path, verbs.router);
        self
    }

    /// Serves what another one does.
    pub(crate) fn merge(mut self, other: Self) -> Self {
        self.served.extend(other.served);
        self.router = self.router.merge(other.router);
        self
    }

    /// Notes what a part serves that reads its paths itself.
    pub(crate) fn noting(mut self, served: impl IntoIterator<Item = Served>) -> Self {
        self.served.extend(served);
        self
    }

    /// Changes the router in ways that serve nothing more: fallbacks, layers.
    pub(crate) fn shaped(mut self, shape: impl FnOnce(Router<App>) -> Router<App>) -> Self {
        self.router = shape(self.router);
        self
    }

    /// Adds what is served below `prefix` to `all`, and returns the router.
    pub(crate) fn listed(self, prefix: &str, all: &mut Vec<Served>) -> Router<App> {
        all.extend(self.served.into_iter().map(|served| {
            // The mounted root is reached without the slash.
            let path = match served.path.as_str() {
                "/" if !prefix.is_empty() => prefix.to_owned(),
                path => format!("{prefix}{path}"),
            };
            Served { path, ..served }
        }));
        self.router
    }
}
