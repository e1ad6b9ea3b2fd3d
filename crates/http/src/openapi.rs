//! The document of everything that is served (OpenAPI 3.1), at `/openapi.json`, for everybody. It is made of the rows
//! (`endpoint.rs`) and of the types that answers are written from; nothing of an endpoint is said here.

use std::collections::BTreeMap;

use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use bytes::Bytes;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::cinder;
use crate::endpoint::{self, AxumRow, Endpoint, JSON};
use crate::param::{Kind, Param};
use crate::routes::{Routes, Served, served};

/// An API: its name, what it is for, where it is mounted.
const APIS: [(&str, &str, &str); 5] = [
    (
        "identity",
        "Keystone v3: tokens, projects, users, roles.",
        "/identity",
    ),
    (
        "volume",
        "Block Storage v3, microversions 3.0 to 3.71.",
        cinder::PREFIX,
    ),
    ("cbr", "Cloud Backup and Recovery v3.", "/cbr"),
    (
        "native",
        "What the other APIs have no words for.",
        "/api/v1",
    ),
    (
        "service",
        "The service itself: health, metrics, console.",
        "",
    ),
];

/// Returns the name of the API that is mounted at `prefix`.
fn tag_of(prefix: &str) -> &'static str {
    let found = APIS.iter().find(|(_, _, mounted)| *mounted == prefix);
    // The console is a part of the service, mounted by itself.
    found.map_or("service", |(tag, ..)| *tag)
}

/// Returns the route of the document of `all`, and of itself; `server` is where clients reach the service.
pub(crate) fn routes(all: &[Served], server: &str) -> Routes {
    let mut all = all.to_vec();
    all.extend(served("", [row(Bytes::new()).endpoint]));
    // The document says nothing about who reads it: it is written once.
    let text = document(&all, server).to_string();
    Routes::of(vec![row(Bytes::from(text))])
}

/// The row of the document.
pub(crate) fn row(text: Bytes) -> AxumRow {
    let answer = move || async move { ([(CONTENT_TYPE, HeaderValue::from_static(JSON))], text) };
    endpoint::get("/openapi.json", answer)
        .about("Shows this document.")
        .shape(200, |_| schemars::json_schema!({"type": "object"}))
        .open()
}

/// Builds the document of `served`.
fn document(served: &[Served], server: &str) -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.definitions_path = "/components/schemas".into();
        settings.meta_schema = None;
    });
    let mut generator = settings.for_serialize().into_generator();
    let mut paths: BTreeMap<&str, Map<String, Value>> = BTreeMap::new();
    for one in served {
        let verb = one.endpoint.verb.lower().to_owned();
        let operation = operation(one, &mut generator);
        paths.entry(&one.path).or_default().insert(verb, operation);
    }
    let tags = APIS.map(|(tag, about, _)| json!({"name": tag, "description": about}));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Emberkeep",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Backups of block volumes, by the APIs that tenants' tools know already.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": server}],
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": generator.take_definitions(true),
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
        "security": [{"token": []}],
    })
}

fn operation(served: &Served, generator: &mut SchemaGenerator) -> Value {
    let (path, endpoint) = (&served.path, &served.endpoint);
    let tag = tag_of(served.prefix);
    let mut parameters: Vec<Value> = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
        .map(|name| {
            let schema = json!({"type": "string", "minLength": 1});
            json!({"name": name, "in": "path", "required": true, "schema": schema})
        })
        .collect();
    parameters.extend(endpoint.query.iter().map(|param| parameter(*param)));
    if tag == "volume" && !endpoint.open {
        parameters.push(version_header());
    }
    let mut responses = Map::new();
    for answer in &endpoint.gives {
        let mut response = json!({"description": meaning(answer.status)});
        if let Some(kind) = answer.kind {
            let content = match &answer.shape {
                Some(shape) => json!({"schema": shape(generator)}),
                None => json!({}),
            };
            response["content"] = json!({kind: content});
        }
        responses.insert(answer.status.to_string(), response);
    }
    let refusal = json!({"description": "A refusal, in this API's own form."});
    responses.insert("default".to_owned(), refusal);
    let mut out = json!({
        "tags": [tag],
        "summary": endpoint.summary,
        "operationId": id_of(endpoint, path),
        "parameters": parameters,
        "responses": responses,
    });
    if let Some(takes) = endpoint.takes {
        let content = json!({takes.kind: {"schema": (takes.schema)()}});
        out["requestBody"] = json!({"required": true, "content": content});
    }
    if endpoint.open {
        out["security"] = json!([]);
    }
    if !endpoint.rules.is_empty() {
        out["x-policy-rules"] = json!(endpoint.rules);
    }
    if endpoint.since > 0 {
        out["x-since-microversion"] = json!(format!("3.{}", endpoint.since));
    }
    out
}

fn parameter(param: Param) -> Value {
    let schema = match param.kind {
        Kind::Text => json!({"type": "string"}),
        Kind::Uuid => json!({"type": "string", "format": "uuid"}),
        Kind::Flag => json!({"type": "boolean"}),
        Kind::Whole(least, most) => json!({"type": "integer", "minimum": least, "maximum": most}),
        Kind::Words(words) => json!({"type": "string", "enum": words}),
        Kind::List(words) => {
            json!({"type": "array", "items": {"type": "string", "enum": words}, "minItems": 1})
        }
    };
    let mut out =
        json!({"name": param.name, "in": "query", "required": param.required, "schema": schema});
    if matches!(param.kind, Kind::List(_)) {
        // One parameter with commas, not one for each word.
        out["explode"] = json!(false);
    }
    out
}

/// The header that chooses a microversion.
fn version_header() -> Value {
    json!({
        "name": "OpenStack-API-Version",
        "in": "header",
        "required": false,
        "description": "The microversion; 3.0 unless one is named.",
        "schema": {"type": "string", "examples": ["volume 3.71"], "pattern": "^volume 3\\.([0-9]|[1-6][0-9]|7[01])$"},
    })
}

/// Returns a name for a method of a path that no other one has.
fn id_of(endpoint: &Endpoint, path: &str) -> String {
    let mut id = endpoint.verb.lower().to_owned();
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
    use crate::endpoint::Verb;

    #[test]
    fn every_row_says_what_it_is_for_and_how_it_answers() {
        for one in crate::served() {
            let endpoint = &one.endpoint;
            let name = format!("{} {}", endpoint.verb.as_str(), one.path);
            assert!(endpoint.summary.ends_with('.'), "{name} says nothing");
            // What stands there is no backup: reading it is always refused.
            let refused = endpoint.verb == Verb::Get && one.path.ends_with("/import_record");
            assert_eq!(endpoint.gives.is_empty(), refused, "{name}");
        }
    }

    #[test]
    fn the_names_of_operations_are_their_own() {
        let all = crate::served();
        let ids: BTreeSet<String> = all
            .iter()
            .map(|one| id_of(&one.endpoint, &one.path))
            .collect();
        assert_eq!(ids.len(), all.len());
    }

    #[test]
    fn whoever_takes_a_body_says_what_it_is_like() {
        for one in crate::served() {
            // These take none: what they do stands in the path.
            let ends = ["/cancel", "/sweep", "/exports", "/adopt", "/thaw", "/erase"];
            let path = &one.path;
            let none = ends.iter().any(|end| path.ends_with(end)) || path.contains("/roles/");
            let verb = one.endpoint.verb;
            let takes = matches!(verb, Verb::Post | Verb::Put | Verb::Patch) && !none;
            assert!(
                !takes || one.endpoint.takes.is_some(),
                "{} {path}",
                verb.as_str()
            );
        }
    }

    #[test]
    fn every_rule_of_the_policy_is_asked_by_some_endpoint_and_block_storage_names_no_other() {
        let named = |all: Vec<Served>| -> BTreeSet<&str> {
            all.iter()
                .flat_map(|one| one.endpoint.rules)
                .copied()
                .collect()
        };
        let table: BTreeSet<&str> = emberkeep_service::Policy::rules().collect();
        let all = named(crate::served());
        let unasked: Vec<_> = table.difference(&all).collect();
        assert!(unasked.is_empty(), "no endpoint asks {unasked:?}");
        let volume = named(cinder::served().collect());
        let unknown: Vec<_> = volume.difference(&table).collect();
        assert!(unknown.is_empty(), "the policy knows no {unknown:?}");
    }

    #[test]
    fn every_extension_that_is_known_is_part_of_some_endpoint() {
        let named: BTreeSet<String> = cinder::served()
            .flat_map(|one| one.endpoint.extensions)
            .map(|alias| (*alias).to_owned())
            .collect();
        let known = emberkeep_wire::cinder::Extension::all();
        let known: BTreeSet<String> = known.into_iter().map(|one| one.alias).collect();
        assert_eq!(named, known);
    }
}
