//! Holds answers against the document at `/openapi.json`.

use std::collections::HashMap;
use std::sync::Mutex;

use axum::http::{Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The document of a service, ready to be asked.
pub(crate) struct Document {
    whole: Value,
    known: Mutex<HashMap<(String, String, u16), Validator>>,
}

impl Document {
    /// Reads a document. What has properties gets no others here, so that a field that is written and not described
    /// is found as one that is described and not written.
    pub(crate) fn read(text: &[u8]) -> Self {
        let mut whole: Value = serde_json::from_slice(text).expect("is JSON");
        close(&mut whole["components"]["schemas"]);
        for path in members(&mut whole["paths"]) {
            for operation in members(path) {
                close(&mut operation["responses"]);
            }
        }
        Self {
            whole,
            known: Mutex::default(),
        }
    }

    /// Says what of an answer is not as the document has it.
    pub(crate) fn check(
        &self,
        method: &Method,
        path: &str,
        status: StatusCode,
        body: &[u8],
    ) -> Result<(), String> {
        let verb = method.as_str().to_ascii_lowercase();
        let Some((template, operation)) = self.operation(&verb, path) else {
            return if status.is_success() {
                Err("is answered and not in the document".to_owned())
            } else {
                Ok(())
            };
        };
        let Some(response) = operation["responses"].get(status.as_str()) else {
            // Refusals are in the form of their API, and described as such.
            return if status.is_client_error() || status.is_server_error() {
                Ok(())
            } else {
                Err(format!("{template} does not say that it answers {status}"))
            };
        };
        let Some(content) = response.get("content") else {
            return if body.is_empty() {
                Ok(())
            } else {
                Err(format!("{template} says that {status} has no body"))
            };
        };
        let Some(schema) = content
            .get("application/json")
            .and_then(|kind| kind.get("schema"))
        else {
            return Ok(());
        };
        // An action that has nothing to say says nothing.
        if body.is_empty() && template.ends_with("/action") {
            return Ok(());
        }
        let value: Value = serde_json::from_slice(body)
            .map_err(|error| format!("{template} promises JSON: {error}"))?;
        let mut known = self.known.lock().expect("nobody panicked");
        let validator = known
            .entry((template.to_owned(), verb, status.as_u16()))
            .or_insert_with(|| self.validator(schema));
        let errors: Vec<_> = validator
            .iter_errors(&value)
            .map(|error| format!("{} at {}", error, error.instance_path))
            .collect();
        if errors.is_empty() {
            Ok(())
        } else {
            Err(format!("{template}: {}", errors.join("; ")))
        }
    }

    fn validator(&self, schema: &Value) -> Validator {
        let mut root = schema.clone();
        root["components"] = json!({"schemas": self.whole["components"]["schemas"]});
        jsonschema::draft202012::new(&root).expect("is a schema")
    }

    /// Finds what answers a path: where several fit, the one with the fewest open parts.
    fn operation(&self, verb: &str, path: &str) -> Option<(&str, &Value)> {
        let paths = self.whole["paths"].as_object().expect("has paths");
        // Some routes are reached with a slash or a `.json` at the end too.
        let spelled = [
            path,
            path.strip_suffix('/').unwrap_or(path),
            path.strip_suffix(".json").unwrap_or(path),
        ];
        spelled.into_iter().find_map(|path| {
            paths
                .iter()
                .filter(|(template, _)| fits(template, path))
                .filter_map(|(template, item)| Some((template.as_str(), item.get(verb)?)))
                .min_by_key(|(template, _)| template.matches('{').count())
        })
    }
}

fn fits(template: &str, path: &str) -> bool {
    let (pattern, parts): (Vec<_>, Vec<_>) =
        (template.split('/').collect(), path.split('/').collect());
    pattern.len() == parts.len()
        && pattern
            .iter()
            .zip(parts)
            .all(|(want, have)| *want == have || (want.starts_with('{') && !have.is_empty()))
}

fn members(value: &mut Value) -> impl Iterator<Item = &mut Value> {
    value
        .as_object_mut()
        .into_iter()
        .flat_map(|map| map.values_mut())
}

/// Lets objects hold what is described and no more, unless they say themselves what more they hold.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(close);
            if map.get("properties").is_some_and(Value::is_object) {
                map.entry("additionalProperties").or_insert(json!(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
