//! Reading entries and comparing with what they record.

use std::pin::pin;
use std::task::{Context as Task, Poll, Waker};

use crate::data::{Context, Value};
use crate::datetime::DateTime;
use crate::error::ObjectError;
use crate::json::{Dict, Json};
use crate::object::VersionedObject;
use crate::primitive::same;

/// Fine, or what is wrong.
pub(super) type Outcome = Result<(), String>;

/// What an entry is called, for reports.
pub(super) fn name_of(entry: &Json) -> String {
    let parts = [
        "class",
        "name",
        "object",
        "field",
        "target_version",
        "version_cap",
        "value",
        "api_call",
    ];
    let said = parts.iter().filter_map(|part| entry.get(part));
    let said: Vec<String> = said.map(Json::to_string).collect();
    said.join(" ")
}

pub(super) fn admin() -> Context {
    Context::admin("vectors-user", "vectors-project")
}

/// Returns a part that the entry must have.
pub(super) fn part<'a>(entry: &'a Json, name: &str) -> Result<&'a Json, String> {
    entry
        .get(name)
        .ok_or_else(|| format!("the entry has no {name}"))
}

pub(super) fn text<'a>(entry: &'a Json, name: &str) -> Result<&'a str, String> {
    part(entry, name)?
        .as_text()
        .ok_or_else(|| format!("{name} is no text"))
}

pub(super) fn dict<'a>(entry: &'a Json, name: &str) -> Result<&'a Dict, String> {
    part(entry, name)?
        .as_dict()
        .ok_or_else(|| format!("{name} is no dict"))
}

/// Turns a recorded input into what was assigned: `{"$datetime": "…"}` stands for a time.
pub(super) fn input(json: &Json) -> Value {
    match json {
        Json::Dict(dict) => match dict.get("$datetime") {
            Some(Json::Text(text)) if dict.len() == 1 => {
                DateTime::parse_naive(text).map_or_else(|_| json.clone().into(), Value::Time)
            }
            _ => Value::Dict(
                dict.iter()
                    .map(|(key, value)| (key.into(), input(value)))
                    .collect(),
            ),
        },
        Json::List(items) => Value::List(items.iter().map(input).collect()),
        plain => plain.clone().into(),
    }
}

/// Assigns a recorded dict of inputs.
pub(super) fn assign_all(
    object: &mut impl VersionedObject,
    inputs: &Dict,
) -> Result<(), ObjectError> {
    for (name, value) in inputs.iter() {
        object.assign(name, input(value))?;
    }
    Ok(())
}

/// Compares a result with what the entry has under `name`, or an error with its `error`.
pub(super) fn expect(entry: &Json, name: &str, found: Result<Json, ObjectError>) -> Outcome {
    match (entry.get("error"), found) {
        (None, Ok(found)) => equal(name, part(entry, name)?, &found),
        (None, Err(error)) => Err(format!("refused: {}: {error}", error.class().name)),
        (Some(wanted), Err(error)) => same_error(wanted, &error),
        (Some(wanted), Ok(found)) => Err(format!("gave {found}, should refuse: {wanted}")),
    }
}

pub(super) fn equal(what: &str, wanted: &Json, found: &Json) -> Outcome {
    if same(wanted, found) {
        Ok(())
    } else {
        Err(format!("{what} is {found}, should be {wanted}"))
    }
}

/// Compares the exception; the text of a database's error depends on the database.
pub(super) fn same_error(wanted: &Json, found: &ObjectError) -> Outcome {
    let class = found.class();
    let message = found.to_string();
    let texts = wanted.get("message").and_then(Json::as_text);
    let database = class.module == "oslo_db.exception";
    if wanted.get("type").and_then(Json::as_text) == Some(class.name)
        && wanted.get("module").and_then(Json::as_text) == Some(class.module)
        && (database || texts == Some(message.as_str()))
    {
        return Ok(());
    }
    Err(format!(
        "refused with {}.{}: {message}; should be {wanted}",
        class.module, class.name
    ))
}

/// Compares names as a set.
pub(super) fn same_names(what: &str, wanted: &Json, found: &[String]) -> Outcome {
    let list = wanted.as_list().unwrap_or_default();
    let mut wanted: Vec<&str> = list.iter().filter_map(Json::as_text).collect();
    let mut found: Vec<&str> = found.iter().map(String::as_str).collect();
    wanted.sort_unstable();
    found.sort_unstable();
    if wanted == found {
        Ok(())
    } else {
        Err(format!("{what} are {found:?}, should be {wanted:?}"))
    }
}

/// Runs a future that waits for nothing but memory.
pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(done) = future.as_mut().poll(&mut Task::from_waker(Waker::noop())) {
            return done;
        }
    }
}
