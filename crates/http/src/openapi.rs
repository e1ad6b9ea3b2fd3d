//! The document of everything that is served (OpenAPI 3.1), at `/openapi.json`, for everybody.
//!
//! Which paths and methods there are comes from the routers themselves (`routes.rs`). What each is for, what
//! it takes and what it answers stands in one table per API beneath this file, and a test holds the two
//! against each other in both directions. Start at [`Operation`].

mod bodies;
mod cbr;
mod identity;
mod native;
mod schema;
mod volume;

use std::collections::BTreeMap;

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use serde_json::{Map, Value, json};

use crate::routes::Served;
use schema::Param;

/// What one method of one path is for.
#[derive(Clone, Copy)]
pub(crate) struct Operation {
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    query: &'static [Param],
    body: Option<fn() -> Value>,
    answers: &'static [u16],
    open: bool,
    kind: &'static str,
}

const JSON: &str = "application/json";

/// Begins the description of a method.
const fn op(method: &'static str, path: &'static str, summary: &'static str) -> Operation {
    Operation {
        method,
        path,
        summary,
        query: &[],
        body: None,
        answers: &[200],
        open: false,
        kind: JSON,
    }
}

impl Operation {
    /// Says what its query may hold.
    const fn query(self, query: &'static [Param]) -> Self {
        Self { query, ..self }
    }

    /// Says what its body is like.
    const fn body(self, body: fn() -> Value) -> Self {
        Self {
            body: Some(body),
            ..self
        }
    }

    /// Says with which statuses it answers when all is well.
    const fn answers(self, answers: &'static [u16]) -> Self {
        Self { answers, ..self }
    }

    /// Says that it needs no token.
    const fn open(self) -> Self {
        Self { open: true, ..self }
    }

    /// Says what kind its body, or else its answer, is of, where that is not JSON.
    const fn kind(self, kind: &'static str) -> Self {
        Self { kind, ..self }
    }
}

/// One API: where it is mounted, what it is called, what it serves.
struct Api {
    tag: &'static str,
    about: &'static str,
    prefix: &'static str,
    operations: &'static [Operation],
}

const APIS: [Api; 5] = [
    Api {
        tag: "identity",
        about: "Keystone v3: tokens, projects, users, roles.",
        prefix: "/identity",
        operations: identity::OPERATIONS,
    },
    Api {
        tag: "volume",
        about: "Block Storage v3, microversions 3.0 to 3.71.",
        prefix: "/volume",
        operations: volume::OPERATIONS,
    },
    Api {
        tag: "cbr",
        about: "Cloud Backup and Recovery v3.",
        prefix: "/cbr",
        operations: cbr::OPERATIONS,
    },
    Api {
        tag: "native",
        about: "What the other APIs have no words for.",
        prefix: "/api/v1",
        operations: native::OPERATIONS,
    },
    Api {
        tag: "service",
        about: "The service itself: health, metrics, console.",
        prefix: "",
        operations: native::SERVICE,
    },
];

/// Every described method, by path and method.
fn described() -> BTreeMap<(String, &'static str), (&'static Api, &'static Operation)> {
    let mut all = BTreeMap::new();
    for api in &APIS {
        for operation in api.operations {
            for path in volume::spelled(api.prefix, operation.path) {
                all.insert((path, operation.method), (api, operation));
            }
        }
    }
    all
}

/// Returns the route of the document of `served`.
pub(crate) fn router(mut served: Vec<Served>) -> Router {
    for path in ["/", "/openapi.json"] {
        served.push(Served {
            path: path.to_owned(),
            method: "get",
        });
    }
    // The document says nothing about who reads it: it is written once.
    let text = Bytes::from(document(&served).to_string());
    let answer = move || async move { ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], text) };
    Router::new().route("/openapi.json", get(answer))
}

/// Builds the document of `served`.
fn document(served: &[Served]) -> Value {
    let described = described();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for Served { path, method } in served {
        let found = described.get(&(path.clone(), *method)).copied();
        paths
            .entry(path)
            .or_default()
            .insert((*method).to_owned(), operation(path, method, found));
    }
    let tags: Vec<Value> = APIS
        .iter()
        .map(|api| json!({"name": api.tag, "description": api.about}))
        .collect();
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Emberkeep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Backups of block volumes, by the APIs that tenants' tools know already.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
        "security": [{"token": []}],
    })
}

fn operation(path: &str, method: &str, found: Option<(&Api, &Operation)>) -> Value {
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = json!({"type": "string", "minLength": 1});
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    let Some((api, described)) = found else {
        // Served all the same; the test of this file does not let it come to that.
        return json!({
            "summary": format!("{method} {path}"),
            "operationId": id_of(method, path),
            "parameters": parameters,
            "responses": {"default": {"description": "An answer."}},
        });
    };
    parameters.extend(described.query.iter().map(|param| param.to_json()));
    if api.tag == "volume" && !described.open {
        parameters.push(volume::version_header());
    }
    let mut responses = Map::new();
    for status in described.answers {
        let mut answer = json!({"description": meaning(*status)});
        if !matches!(status, 202 | 204 | 302 | 303) {
            answer["content"] = json!({described.answer_kind(): {}});
        }
        responses.insert(status.to_string(), answer);
    }
    let refusal = json!({"description": "A refusal, in this API's own form."});
    responses.insert("default".to_owned(), refusal);
    let mut out = json!({
        "tags": [api.tag],
        "summary": described.summary,
        "operationId": id_of(method, path),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(body) = described.body {
        let content = json!({described.kind: {"schema": body()}});
        out["requestBody"] = json!({"required": true, "content": content});
    }
    if described.open {
        out["security"] = json!([]);
    }
    out
}

impl Operation {
    /// Returns what its answer is of: a body of another kind is still answered in JSON.
    fn answer_kind(&self) -> &'static str {
        if self.body.is_some() { JSON } else { self.kind }
    }
}

/// Returns a name for a method of a path that no other one has.
fn id_of(method: &str, path: &str) -> String {
    let mut id = method.to_owned();
    for part in path.split('/').skip(1) {
        id.push('_');
        // A slash at the end is a path of its own.
        id.push_str(if part.is_empty() { "root" } else { part });
    }
    id.replace(['{', '}'], "").replace(['-', '.'], "_")
}

fn meaning(status: u16) -> &'static str {
    match status {
        200 => "The answer.",
        201 => "It was made.",
        202 => "It was begun.",
        204 => "It was done; there is nothing to say.",
        300 => "The versions there are.",
        302 | 303 => "It is elsewhere.",
        _ => "An answer.",
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_route_is_described_and_every_description_is_of_a_route() {
        let mut served = Vec::new();
        let apis = [
            (crate::identity::routes(), "/identity"),
            (crate::cinder::routes(), "/volume"),
            (crate::cbr::router(), "/cbr"),
            (crate::native::router(), "/api/v1"),
            (crate::console::router(), "/console"),
            (crate::health::router(), ""),
        ];
        for (api, prefix) in apis {
            drop(api.listed(prefix, &mut served));
        }
        let served: BTreeSet<(String, &str)> = served
            .into_iter()
            .map(|one| (one.path, one.method))
            .collect();
        let own = ["/", "/openapi.json"].map(|path| (path.to_owned(), "get"));
        let served: BTreeSet<_> = served.into_iter().chain(own).collect();
        let described: BTreeSet<_> = described().into_keys().collect();
        let missing: Vec<_> = served.difference(&described).collect();
        assert!(
            missing.is_empty(),
            "describe them in http/src/openapi/*.rs: {missing:#?}"
        );
        let invented: Vec<_> = described.difference(&served).collect();
        assert!(invented.is_empty(), "nobody serves {invented:#?}");
    }

    #[test]
    fn the_names_of_operations_are_their_own() {
        let described = described();
        let ids: BTreeSet<String> = described
            .keys()
            .map(|(path, method)| id_of(method, path))
            .collect();
        assert_eq!(ids.len(), described.len());
    }

    #[test]
    fn whoever_takes_a_body_says_what_it_is_like() {
        for ((path, method), (_, operation)) in described() {
            // These take none: what they do stands in the path.
            let ends = ["/cancel", "/sweep", "/exports", "/adopt", "/thaw", "/erase"];
            let none = ends.iter().any(|end| path.ends_with(end)) || path.contains("/roles/");
            let takes = matches!(method, "post" | "put" | "patch") && !none;
            assert!(!takes || operation.body.is_some(), "{method} {path}");
        }
    }
}
