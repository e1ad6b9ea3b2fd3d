//! One row per endpoint: all that is known of a method of a path stands in it, once. Routing, the answers to wrong
//! paths and methods, the document at `/openapi.json`, the list of extensions and the tests are made of the rows.
//!
//! A row is written as `get("/tasks/{id}", tasks::show).about("Shows a task.")`. What the handler is depends on the
//! API: axum's routers take a [`MethodRouter`], Block Storage, which reads its paths itself, takes functions of its own.

use std::convert::Infallible;
use std::sync::Arc;

use axum::handler::Handler;
use axum::routing::{self, MethodFilter, MethodRouter};
use emberkeep_wire::cinder::{Listed, Resource};
use emberkeep_wire::json_schema::Shape;
use emberkeep_wire::keyed::{Keyed, Under};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use crate::App;
use crate::param::{self, Param};

/// What bodies are unless a row says otherwise.
pub(crate) const JSON: &str = "application/json";

/// The methods that endpoints have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verb {
    /// Reads.
    Get,
    /// Makes, or does something.
    Post,
    /// Replaces or changes.
    Put,
    /// Changes.
    Patch,
    /// Removes.
    Delete,
}

impl Verb {
    /// Every method.
    pub(crate) const ALL: [Self; 5] = [Self::Get, Self::Post, Self::Put, Self::Patch, Self::Delete];

    /// Returns the method as HTTP writes it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Patch => "PATCH",
            Self::Delete => "DELETE",
        }
    }

    /// Returns the method as OpenAPI writes it.
    pub(crate) fn lower(self) -> &'static str {
        match self {
            Self::Get => "get",
            Self::Post => "post",
            Self::Put => "put",
            Self::Patch => "patch",
            Self::Delete => "delete",
        }
    }

    /// Returns the method of a request; `None` if no endpoint has it.
    pub(crate) fn of(method: &axum::http::Method) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|verb| verb.as_str() == method.as_str())
    }

    fn filter(self) -> MethodFilter {
        match self {
            Self::Get => MethodFilter::GET,
            Self::Post => MethodFilter::POST,
            Self::Put => MethodFilter::PUT,
            Self::Patch => MethodFilter::PATCH,
            Self::Delete => MethodFilter::DELETE,
        }
    }
}

/// What a request carries.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Takes {
    /// The media type.
    pub(crate) kind: &'static str,
    /// What it is like.
    pub(crate) schema: fn() -> Value,
}

/// An answer when all is well.
#[derive(Clone)]
pub(crate) struct Gives {
    /// The status.
    pub(crate) status: u16,
    /// The media type of the body; `None` if there is no body.
    pub(crate) kind: Option<&'static str>,
    /// What a JSON body is like; `None` where the body is of another media type.
    pub(crate) shape: Option<Shape>,
}

/// One method of one path, as its API describes it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// The method.
    pub(crate) verb: Verb,
    /// The path below the API's prefix, with `{names}` where something stands for them.
    pub(crate) path: String,
    /// What it does, in a sentence.
    pub(crate) summary: &'static str,
    /// The first minor microversion that has it; Block Storage only.
    pub(crate) since: u16,
    /// The policy rules that are asked, by name; several where the body chooses.
    pub(crate) rules: &'static [&'static str],
    /// The extensions of Block Storage that it is part of.
    pub(crate) extensions: &'static [&'static str],
    /// What the query may hold.
    pub(crate) query: Vec<Param>,
    /// What the body holds, if it has one.
    pub(crate) takes: Option<Takes>,
    /// The answers when all is well.
    pub(crate) gives: Vec<Gives>,
    /// Whether it needs no token.
    pub(crate) open: bool,
}

/// An endpoint and what answers it.
pub(crate) struct Row<H> {
    /// What is known of it.
    pub(crate) endpoint: Endpoint,
    /// What answers.
    pub(crate) handler: H,
}

/// A row of an API that axum routes.
pub(crate) type AxumRow = Row<MethodRouter<App, Infallible>>;

/// Answers GET, and HEAD with it.
pub(crate) fn get<H: Handler<T, App>, T: 'static>(path: &str, handler: H) -> AxumRow {
    routed(Verb::Get, path, handler)
}

/// Answers POST.
pub(crate) fn post<H: Handler<T, App>, T: 'static>(path: &str, handler: H) -> AxumRow {
    routed(Verb::Post, path, handler)
}

/// Answers PUT.
pub(crate) fn put<H: Handler<T, App>, T: 'static>(path: &str, handler: H) -> AxumRow {
    routed(Verb::Put, path, handler)
}

/// Answers PATCH.
pub(crate) fn patch<H: Handler<T, App>, T: 'static>(path: &str, handler: H) -> AxumRow {
    routed(Verb::Patch, path, handler)
}

/// Answers DELETE.
pub(crate) fn delete<H: Handler<T, App>, T: 'static>(path: &str, handler: H) -> AxumRow {
    routed(Verb::Delete, path, handler)
}

fn routed<H: Handler<T, App>, T: 'static>(verb: Verb, path: &str, handler: H) -> AxumRow {
    Row::new(verb, path, routing::on(verb.filter(), handler))
}

impl<H> Row<H> {
    /// Begins a row.
    pub(crate) fn new(verb: Verb, path: &str, handler: H) -> Self {
        Self {
            endpoint: Endpoint {
                verb,
                path: path.to_owned(),
                summary: "",
                since: 0,
                rules: &[],
                extensions: &[],
                query: Vec::new(),
                takes: None,
                gives: Vec::new(),
                open: false,
            },
            handler,
        }
    }

    /// Says what it does, in a sentence.
    pub(crate) fn about(mut self, summary: &'static str) -> Self {
        self.endpoint.summary = summary;
        self
    }

    /// Says which microversion brought it: 3.`minor`.
    pub(crate) fn since(mut self, minor: u16) -> Self {
        self.endpoint.since = minor;
        self
    }

    /// Names the policy rules that the service asks.
    pub(crate) fn rules(mut self, rules: &'static [&'static str]) -> Self {
        self.endpoint.rules = rules;
        self
    }

    /// Names the extensions that it is part of.
    pub(crate) fn extensions(mut self, aliases: &'static [&'static str]) -> Self {
        self.endpoint.extensions = aliases;
        self
    }

    /// Says what its query may hold.
    pub(crate) fn query(mut self, query: &[Param]) -> Self {
        self.endpoint.query.extend_from_slice(query);
        self
    }

    /// Says that it lists `resource` as Block Storage lists things.
    pub(crate) fn lists<T: JsonSchema + 'static>(self, resource: Resource) -> Self {
        let shape = move |generator: &mut SchemaGenerator| Listed::<T>::schema(resource, generator);
        self.query(&param::listing(resource)).shape(200, shape)
    }

    /// Says what its JSON body is like.
    pub(crate) fn takes(self, schema: fn() -> Value) -> Self {
        self.takes_kind(JSON, schema)
    }

    /// Says what its body is like, and of which media type.
    pub(crate) fn takes_kind(mut self, kind: &'static str, schema: fn() -> Value) -> Self {
        self.endpoint.takes = Some(Takes { kind, schema });
        self
    }

    /// Says what it answers.
    pub(crate) fn gives<T: JsonSchema>(self, status: u16) -> Self {
        self.shape(status, |generator: &mut SchemaGenerator| {
            generator.subschema_for::<T>()
        })
    }

    /// Says what it answers under that thing's key.
    pub(crate) fn keyed<T: Keyed + JsonSchema + 'static>(self, status: u16) -> Self {
        self.gives::<Under<'static, T>>(status)
    }

    /// Says what an answer looks like that no single type is.
    pub(crate) fn shape(
        self,
        status: u16,
        shape: impl Fn(&mut SchemaGenerator) -> Schema + Send + Sync + 'static,
    ) -> Self {
        self.answers(status, Some(JSON), Some(Arc::new(shape)))
    }

    /// Says that it answers with a body of another media type.
    pub(crate) fn text(self, kind: &'static str) -> Self {
        self.answers(200, Some(kind), None)
    }

    /// Says that it answers with a status alone.
    pub(crate) fn empty(self, status: u16) -> Self {
        self.answers(status, None, None)
    }

    fn answers(mut self, status: u16, kind: Option<&'static str>, shape: Option<Shape>) -> Self {
        self.endpoint.gives.push(Gives {
            status,
            kind,
            shape,
        });
        self
    }

    /// Says that it needs no token.
    pub(crate) fn open(mut self) -> Self {
        self.endpoint.open = true;
        self
    }
}
