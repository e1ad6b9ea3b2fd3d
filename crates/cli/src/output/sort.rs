//! The order of lists: by what programs see, so that sizes sort as numbers.

use std::cmp::Ordering;

use serde_json::Value;

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct By {
    pub(super) key: String,
    pub(super) descending: bool,
}

/// Reads `key[:asc|:desc],…`.
pub(super) fn keys(text: &str) -> Vec<By> {
    text.split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .map(|part| {
            let (key, descending) = match part.rsplit_once(':') {
                Some((key, "desc")) => (key, true),
                Some((key, "asc")) => (key, false),
                _ => (part, false),
            };
            By {
                key: key.to_owned(),
                descending,
            }
        })
        .collect()
}

/// Compares two items by their values, the first that tells them apart.
pub(super) fn compare(descending: &[bool], a: &[Value], b: &[Value]) -> Ordering {
    a.iter()
        .zip(b)
        .zip(descending)
        .map(|((a, b), descending)| match (a.is_null(), b.is_null()) {
            (false, false) => {
                let order = values(a, b);
                if *descending { order.reverse() } else { order }
            }
            // What is missing comes last, whichever way.
            (a, b) => a.cmp(&b),
        })
        .find(|order| order.is_ne())
        .unwrap_or(Ordering::Equal)
}

fn values(a: &Value, b: &Value) -> Ordering {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a
            .as_f64()
            .partial_cmp(&b.as_f64())
            .unwrap_or(Ordering::Equal),
        (Value::String(a), Value::String(b)) => a.cmp(b),
        (a, b) => a.to_string().cmp(&b.to_string()),
    }
}
