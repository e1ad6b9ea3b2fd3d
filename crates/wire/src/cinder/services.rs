//! The parts of the service, and the pools that volumes are kept in.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::schema::{missing, refuse, wrong_type};
use super::{Fault, Json, Nothing};

/// A part of the service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    missing_docs,
    reason = "the fields are Cinder's own, described in its API reference"
)]
pub struct ServiceView {
    pub binary: String,
    pub host: String,
    pub zone: String,
    pub status: String,
    pub state: String,
    pub updated_at: String,
    /// Since 3.7; always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<Nothing>,
    pub disabled_reason: Option<String>,
    /// Of what keeps volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replication_status: Option<String>,
    /// Of what keeps volumes; always null.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub active_backend_id: Option<Nothing>,
    /// Of what keeps volumes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub frozen: Option<bool>,
    /// Of what keeps volumes, since 3.49.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backend_state: Option<String>,
}

/// Reads which part is to be switched: its program, its host, and the reason if there is one.
pub fn parse_switch(body: &Json) -> Result<(String, String, Option<String>), Fault> {
    if body.members().is_none() {
        return Err(Fault::bad_request(wrong_type(body, "'object'")));
    }
    let text = |names: &[&str]| {
        names
            .iter()
            .find_map(|name| body.get(name).and_then(Json::text))
            .map(str::to_owned)
    };
    let need = |names: &[&str]| {
        text(names).ok_or_else(|| {
            Fault::bad_request(format!(
                "Missing required element '{}' in request body.",
                names[0]
            ))
        })
    };
    let host = need(&["host"])?;
    let binary = need(&["binary", "service"])?;
    Ok((binary, host, text(&["disabled_reason"])))
}

/// Reads the reason that must be there.
pub fn parse_reason(body: &Json) -> Result<String, Fault> {
    let value = body
        .get("disabled_reason")
        .ok_or_else(|| Fault::bad_request(missing("disabled_reason")))?;
    let text = value
        .text()
        .map(str::trim)
        .filter(|text| (1..=255).contains(&text.chars().count()));
    text.map(str::to_owned).ok_or_else(|| {
        refuse(
            "disabled_reason",
            value,
            "Disabled reason contains invalid characters or is too long",
        )
    })
}

/// A pool of volumes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PoolView {
    /// `host@backend#pool`.
    pub name: String,
    /// What it can do, where that is asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capabilities: Option<Map<String, Value>>,
}
