//! The parts of the service, and the pools that volumes are kept in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::ServiceSwitch;
use super::schema::{MAX_TEXT, no_schema, refuse, wrong_type};
use super::{Fault, Field, Json};
use crate::lenient;
use crate::time::Moment;

/// A process that serves volumes or backups.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ServiceView {
    /// What it is, e.g. `cinder-backup`.
    #[serde(deserialize_with = "lenient::text")]
    pub binary: String,
    /// Where it is.
    #[serde(deserialize_with = "lenient::text")]
    pub host: String,
    /// Its zone.
    pub zone: Option<String>,
    /// Whether work goes to it: `enabled` or `disabled`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
    /// Whether it is alive: `up` or `down`.
    #[serde(deserialize_with = "lenient::text")]
    pub state: String,
    /// When it last said so.
    pub updated_at: Option<Moment>,
    /// The cluster it is part of; since 3.7.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub cluster: Field<String>,
    /// Why it is disabled.
    pub disabled_reason: Option<String>,
    /// How its replication stands; of what keeps volumes, here and below.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replication_status: Option<String>,
    /// The back end that is in use after a failover.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub active_backend_id: Field<String>,
    /// Whether it takes no changes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    /// Whether its back end is alive: `up` or `down`; since 3.49.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backend_state: Option<String>,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

impl ServiceSwitch {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        if body.members().is_none() {
            return Err(Fault::bad_request(wrong_type(body, "'object'")));
        }
        let text = |names: &[&str]| {
            names
                .iter()
                .find_map(|name| body.get(name).and_then(Json::text))
                .map(str::to_owned)
        };
        let need = |names: &[&str]| text(names).ok_or_else(|| Fault::bad_request(no_schema(body)));
        let host = need(&["host"])?;
        let binary = need(&["binary", "service"])?;
        Ok(Self {
            binary,
            host,
            disabled_reason: text(&["disabled_reason"]),
        })
    }
}

/// Reads the reason, if there is one.
pub fn parse_reason(body: &Json) -> Result<Option<String>, Fault> {
    let Some(value) = body.get("disabled_reason") else {
        return Ok(None);
    };
    let wrong = |message: &str| Err(refuse("disabled_reason", value, message));
    match value.text().map(str::trim) {
        None => wrong(&wrong_type(value, "'string'")),
        Some("") => wrong(&format!("{} should be non-empty", value.repr())),
        Some(text) if text.chars().count() > MAX_TEXT => {
            wrong(&format!("{} is too long", value.repr()))
        }
        Some(text) => Ok(Some(text.to_owned())),
    }
}

/// Answers that work goes to a service now, or goes to it no more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct ServiceSwitched {
    /// What it is.
    #[serde(deserialize_with = "lenient::text")]
    pub binary: String,
    /// Whether no work goes to it.
    #[serde(deserialize_with = "lenient::flag")]
    pub disabled: bool,
    /// Why not; answers who has said why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub disabled_reason: Option<String>,
    /// Where it is.
    #[serde(deserialize_with = "lenient::text")]
    pub host: String,
    /// What it is, again.
    #[serde(deserialize_with = "lenient::text")]
    pub service: String,
    /// `enabled` or `disabled`.
    #[serde(deserialize_with = "lenient::text")]
    pub status: String,
}

/// A pool of volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct PoolView {
    /// `host@backend#pool`.
    pub name: String,
    /// What it can do, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Map<String, Value>>,
}
