//! Quota sets and classes: how much projects may have (`cinder-backup.md §2.7`).

use std::collections::BTreeMap;

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use super::ask::{NewClassQuotas, NewQuotas};
use super::schema::{missing, refuse, unexpected, wrong_type};
use super::{Fault, Json};
use crate::ids::ProjectId;
use crate::keyed::Keyed;
use crate::lenient;

/// The largest limit that Cinder's database takes.
const MAX_LIMIT: i128 = 0x7fff_ffff;

/// How the limits are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum QuotaForm {
    /// A number each.
    Limits,
    /// A number each with what is in use and reserved beside it.
    Usage,
}

/// What a project may have and has of one thing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct QuotaUsage {
    /// What it may have; −1 is as much as it wants.
    #[serde(deserialize_with = "lenient::number")]
    pub limit: i64,
    /// What it has.
    #[serde(deserialize_with = "lenient::number")]
    pub in_use: u64,
    /// What is being made for it.
    #[serde(deserialize_with = "lenient::number")]
    pub reserved: u64,
}

/// A set of limits in the order given. Serialised, it is what stands under `quota_set`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaSetView {
    /// Whose it is, where that is shown.
    pub id: Option<String>,
    /// How the limits are shown.
    pub form: QuotaForm,
    /// Name, limit, how much is in use.
    pub lines: Vec<(String, i64, u64)>,
}

impl Serialize for QuotaSetView {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        for (name, limit, in_use) in &self.lines {
            match self.form {
                QuotaForm::Limits => body.serialize_entry(name, limit)?,
                QuotaForm::Usage => {
                    let usage = QuotaUsage {
                        limit: *limit,
                        in_use: *in_use,
                        reserved: 0,
                    };
                    body.serialize_entry(name, &usage)?;
                }
            }
        }
        if let Some(id) = &self.id {
            body.serialize_entry("id", id)?;
        }
        body.end()
    }
}

#[cfg(feature = "schema")]
impl schemars::JsonSchema for QuotaSetView {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "QuotaSet".into()
    }

    fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
        let usage = generator.subschema_for::<QuotaUsage>();
        schemars::json_schema!({
            "type": "object",
            "properties": {"id": {"type": "string"}},
            "additionalProperties": {"anyOf": [{"type": "integer"}, usage]},
        })
    }
}

/// What a project may have of each thing: −1 is as much as it wants. The keys are the
/// service's: `backups`, `backup_gigabytes`, `volumes`, `gigabytes`, `snapshots`,
/// `per_volume_gigabytes`, and one of each kind for every type of volumes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaSet {
    /// The project, where the service says it.
    pub id: Option<ProjectId>,
    /// The limits by key.
    pub limits: BTreeMap<String, i64>,
}

impl<'de> Deserialize<'de> for QuotaSet {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let all = Map::deserialize(source)?;
        Ok(Self {
            id: all.get("id").and_then(Value::as_str).map(ProjectId::from),
            limits: all
                .iter()
                .filter_map(|(key, value)| Some((key.clone(), value.as_i64()?)))
                .collect(),
        })
    }
}

/// What a project may have and has of each thing, by the keys of [`QuotaSet`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QuotaUsages(pub BTreeMap<String, QuotaUsage>);

impl<'de> Deserialize<'de> for QuotaUsages {
    fn deserialize<D: Deserializer<'de>>(source: D) -> Result<Self, D::Error> {
        let mut all = Map::deserialize(source)?;
        all.remove("id");
        serde_json::from_value(Value::Object(all))
            .map(Self)
            .map_err(serde::de::Error::custom)
    }
}

/// Limits of a class of projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct ClassQuotas<T>(pub T);

impl NewQuotas {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        parse_quotas(body, Self::KEY).map(Self)
    }
}

impl NewClassQuotas {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        parse_class_quotas(body, Self::KEY).map(Self)
    }
}

/// Reads `{"quota_set": {…}}`: at least one limit, none below −1.
fn parse_quotas(body: &Json, key: &str) -> Result<BTreeMap<String, i64>, Fault> {
    let inner = inner_of(body, key)?;
    if inner.members().is_some_and(<[_]>::is_empty) {
        let text = format!("{} should be non-empty", inner.repr());
        return Err(refuse(key, inner, &text));
    }
    limits_of(inner, limit)
}

/// Reads `{"quota_class_set": {…}}`: limits, none below −1; they may be said as text.
fn parse_class_quotas(body: &Json, key: &str) -> Result<BTreeMap<String, i64>, Fault> {
    limits_of(inner_of(body, key)?, class_limit)
}

/// Returns the object that is all that `body` holds.
fn inner_of<'a>(body: &'a Json, key: &str) -> Result<&'a Json, Fault> {
    let Some(outer) = body.members() else {
        return Err(Fault::bad_request(wrong_type(body, "'object'")));
    };
    let inner = body
        .get(key)
        .ok_or_else(|| Fault::bad_request(missing(key)))?;
    if inner.members().is_none() {
        return Err(refuse(key, inner, &wrong_type(inner, "'object'")));
    }
    let keys = outer.iter().map(|(key, _)| key.as_str());
    match unexpected(keys.filter(|other| *other != key)) {
        Some(message) => Err(Fault::bad_request(message)),
        None => Ok(inner),
    }
}

fn limits_of(
    inner: &Json,
    limit: impl Fn(&str, &Json) -> Result<i64, Fault>,
) -> Result<BTreeMap<String, i64>, Fault> {
    // Clients send these besides.
    let members = inner.members().unwrap_or_default().iter();
    let limits = members.filter(|(name, _)| !matches!(name.as_str(), "tenant_id" | "id"));
    limits
        .map(|(name, value)| Ok((name.clone(), limit(name, value)?)))
        .collect()
}

fn class_limit(name: &str, value: &Json) -> Result<i64, Fault> {
    let number = match value {
        Json::Int(number) => Some(*number),
        Json::Text(text) => text.trim().parse::<i128>().ok(),
        _ => {
            return Err(refuse(
                name,
                value,
                &wrong_type(value, "'integer', 'string'"),
            ));
        }
    };
    let Some(number) = number else {
        let text = format!("{} does not match '^[0-9]*$'", value.repr());
        return Err(refuse(name, value, &text));
    };
    match i64::try_from(number) {
        Ok(limit) if (-1..=MAX_LIMIT).contains(&number) => Ok(limit),
        _ if number < -1 => {
            let text = format!("{number} is less than the minimum of -1");
            Err(refuse(name, value, &text))
        }
        _ => {
            let text = format!("{number} is greater than the maximum of {MAX_LIMIT}");
            Err(refuse(name, value, &text))
        }
    }
}

fn limit(name: &str, value: &Json) -> Result<i64, Fault> {
    match value {
        Json::Int(number) => match i64::try_from(*number) {
            Ok(limit) if (-1..=MAX_LIMIT).contains(number) => Ok(limit),
            _ if *number < -1 => Err(Fault::bad_request(format!("{name} must be >= -1"))),
            _ => Err(Fault::bad_request(format!("{name} must be <= {MAX_LIMIT}"))),
        },
        // As text it stumbles over what it has in use.
        Json::Text(text) if text.trim().parse::<i128>().is_ok() => Err(Fault::malformed()),
        _ => Err(Fault::bad_request(format!("{name} must be an integer"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_read_and_refused() {
        let parse =
            |text: &str| parse_quotas(&Json::read(text.as_bytes()).expect(text), "quota_set");
        let want = BTreeMap::from([("backups".to_owned(), 5), ("volumes".to_owned(), -1)]);
        assert_eq!(
            parse(r#"{"quota_set": {"backups": 5, "volumes": -1, "tenant_id": "x"}}"#),
            Ok(want)
        );
        for body in [
            r#"[]"#,
            r#"{}"#,
            r#"{"quota_set": {}}"#,
            r#"{"quota_set": null}"#,
            r#"{"quota_set": {"backups": -2}}"#,
            r#"{"quota_set": {"backups": 1.5}}"#,
            r#"{"quota_set": {"backups": null}}"#,
            r#"{"quota_set": {"backups": 99999999999}}"#,
            r#"{"quota_set": {"backups": "many"}}"#,
            r#"{"quota_set": {"backups": "5"}}"#,
            r#"{"quota_set": {"backups": 5}, "x": 1}"#,
        ] {
            assert!(parse(body).is_err(), "{body}");
        }
        let class = |text: &str| {
            parse_class_quotas(&Json::read(text.as_bytes()).expect(text), "quota_class_set")
        };
        for (body, want) in [
            (r#"{"quota_class_set": {}}"#, 0),
            (r#"{"quota_class_set": {"backups": "5", "volumes": -1}}"#, 2),
        ] {
            assert_eq!(class(body).map(|limits| limits.len()), Ok(want), "{body}");
        }
        assert!(class(r#"{"quota_class_set": {"backups": "x"}}"#).is_err());
    }

    #[test]
    fn a_set_is_shown_in_both_forms() {
        let mut view = QuotaSetView {
            id: Some("p".into()),
            form: QuotaForm::Limits,
            lines: vec![("backups".into(), 10, 2)],
        };
        let text = |view: &QuotaSetView| serde_json::to_string(view).expect("serialises");
        assert_eq!(text(&view), r#"{"backups":10,"id":"p"}"#);
        let read: QuotaSet = serde_json::from_str(&text(&view)).expect("reads");
        assert_eq!((read.id, read.limits["backups"]), (Some("p".into()), 10));
        view.form = QuotaForm::Usage;
        view.id = None;
        assert_eq!(
            text(&view),
            r#"{"backups":{"limit":10,"in_use":2,"reserved":0}}"#
        );
        view.id = Some("p".into());
        let read: QuotaUsages = serde_json::from_str(&text(&view)).expect("reads");
        assert_eq!((read.0.len(), read.0["backups"].in_use), (1, 2));
    }
}
