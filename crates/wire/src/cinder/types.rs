//! Volume types and zones.

use std::collections::BTreeMap;

use emberkeep_model::VolumeType;
use emberkeep_model::command::{NewType, TypeEdit};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::ask::TypeAccessChange;
use super::schema::{missing, pairs, refuse, uuid_like, wrong_type};
use super::{Fault, Field, Json};
use crate::lenient;

/// A volume type.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default)]
pub struct VolumeTypeView {
    /// Its id.
    #[serde(deserialize_with = "lenient::text")]
    pub id: String,
    /// Its name.
    #[serde(deserialize_with = "lenient::text")]
    pub name: String,
    /// Whether every project may use it.
    #[serde(deserialize_with = "lenient::flag")]
    pub is_public: bool,
    /// Free text.
    pub description: Option<String>,
    /// What it asks of back ends; others than administrators see a part.
    #[serde(deserialize_with = "lenient::or_default")]
    pub extra_specs: BTreeMap<String, String>,
    /// Its service class; for administrators.
    #[serde(skip_serializing_if = "Field::is_absent")]
    pub qos_specs_id: Field<String>,
    /// [`is_public`](Self::is_public) again, under the name of an extension; not in the answer
    /// to a change.
    #[serde(
        rename = "os-volume-type-access:is_public",
        deserialize_with = "lenient::maybe_flag",
        skip_serializing_if = "Option::is_none"
    )]
    pub access_is_public: Option<bool>,
    /// Everything else that a service says; nothing, of ours.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// What others than administrators may see of a type's extra specs.
const PUBLIC_SPECS: [&str; 3] = [
    "RESKEY:availability_zones",
    "multiattach",
    "replication_enabled",
];

impl VolumeTypeView {
    /// Leaves out what others than administrators may not see.
    pub fn hide_specs(specs: &mut BTreeMap<String, String>, admin: bool) {
        specs.retain(|key, _| admin || PUBLIC_SPECS.contains(&key.as_str()));
    }

    /// Shows `volume_type`.
    pub fn new(volume_type: &VolumeType, admin: bool) -> Self {
        let mut extra_specs = volume_type.extra_specs.clone();
        Self::hide_specs(&mut extra_specs, admin);
        Self {
            id: volume_type.id.to_string(),
            name: volume_type.name.clone(),
            is_public: volume_type.is_public,
            description: volume_type.description.clone(),
            extra_specs,
            qos_specs_id: Field::null_if(admin),
            access_is_public: Some(volume_type.is_public),
            more: Map::new(),
        }
    }

    /// Shows a type that was just made. Cinder's extensions add their fields to what is shown
    /// and listed, and not to all of the answers to what changes something; clients' schemas
    /// know.
    pub fn made(volume_type: &VolumeType, admin: bool) -> Self {
        Self {
            qos_specs_id: Field::Absent,
            ..Self::new(volume_type, admin)
        }
    }

    /// Shows a type that was just changed.
    pub fn changed(volume_type: &VolumeType, admin: bool) -> Self {
        Self {
            access_is_public: None,
            ..Self::made(volume_type, admin)
        }
    }
}

/// What a type asks of back ends, as it comes and goes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ExtraSpecsBody {
    /// The pairs.
    pub extra_specs: BTreeMap<String, String>,
}

const TYPE: &str = "volume_type";
const MAX_TEXT: usize = 255;

fn under<'a>(body: &'a Json, key: &str) -> Result<&'a Json, Fault> {
    if body.members().is_none() {
        return Err(Fault::bad_request(wrong_type(body, "'object'")));
    }
    let inner = body
        .get(key)
        .ok_or_else(|| Fault::bad_request(missing(key)))?;
    match inner.members() {
        Some(_) => Ok(inner),
        None => Err(refuse(key, inner, &wrong_type(inner, "'object'"))),
    }
}

fn type_name(value: &Json) -> Result<String, Fault> {
    let name = value
        .text()
        .ok_or_else(|| refuse("name", value, &wrong_type(value, "'string'")))?
        .trim();
    match name.chars().count() {
        0 => {
            let text = format!("{} should be non-empty", value.repr());
            Err(refuse("name", value, &text))
        }
        1..=MAX_TEXT => Ok(name.to_owned()),
        _ => Err(refuse(
            "name",
            value,
            &format!("{} is too long", value.repr()),
        )),
    }
}

fn type_text(value: &Json) -> Result<Option<String>, Fault> {
    match value {
        Json::Null => Ok(None),
        Json::Text(text) if text.chars().count() <= MAX_TEXT => Ok(Some(text.trim().to_owned())),
        Json::Text(_) => Err(refuse(
            "description",
            value,
            &format!("{} is too long", value.repr()),
        )),
        _ => Err(refuse(
            "description",
            value,
            &wrong_type(value, "'string', 'null'"),
        )),
    }
}

fn truth(name: &str, value: &Json) -> Result<bool, Fault> {
    match value {
        Json::Bool(flag) => Ok(*flag),
        Json::Text(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "1" | "on" | "yes" | "y" | "t" => Ok(true),
            "false" | "0" | "off" | "no" | "n" | "f" => Ok(false),
            _ => Err(refuse(
                name,
                value,
                &format!("{} is not a boolean", value.repr()),
            )),
        },
        _ => Err(refuse(
            name,
            value,
            &wrong_type(value, "'boolean', 'string'"),
        )),
    }
}

/// Reads `POST /types`: public unless said otherwise.
pub fn new_volume_type(body: &Json) -> Result<NewType, Fault> {
    let inner = under(body, TYPE)?;
    let name = inner
        .get("name")
        .ok_or_else(|| refuse(TYPE, inner, &missing("name")))?;
    let specs = match inner.get("extra_specs") {
        None | Some(Json::Null) => BTreeMap::new(),
        Some(value) => specs("extra_specs", value)?,
    };
    let public = inner.get("os-volume-type-access:is_public");
    Ok(NewType {
        name: type_name(name)?,
        description: inner.get("description").map_or(Ok(None), type_text)?,
        is_public: public.map_or(Ok(true), |v| truth("os-volume-type-access:is_public", v))?,
        extra_specs: specs,
    })
}

/// Reads `PUT /types/{id}`.
pub fn volume_type_edit(body: &Json) -> Result<TypeEdit, Fault> {
    let inner = under(body, TYPE)?;
    let edit = TypeEdit {
        name: match inner.get("name") {
            None | Some(Json::Null) => None,
            Some(value) => Some(type_name(value)?),
        },
        description: inner.get("description").map(type_text).transpose()?,
        is_public: inner
            .get("is_public")
            .map(|v| truth("is_public", v))
            .transpose()?,
    };
    if edit == TypeEdit::default() {
        return Err(Fault::bad_request(
            "Specify volume type name, description, is_public or a combination thereof.",
        ));
    }
    Ok(edit)
}

impl ExtraSpecsBody {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        let extra_specs = specs("extra_specs", under(body, "extra_specs")?)?;
        Ok(Self { extra_specs })
    }
}

/// Reads the one pair that the path names.
pub fn parse_extra_spec(body: &Json, key: &str) -> Result<BTreeMap<String, String>, Fault> {
    let all = specs("extra_specs", body)?;
    match all.len() {
        1 if all.contains_key(key) => Ok(all),
        1 => Err(Fault::bad_request("Request body and URI mismatch")),
        _ => Err(Fault::bad_request("Request body contains too many items")),
    }
}

fn specs(name: &str, value: &Json) -> Result<BTreeMap<String, String>, Fault> {
    let members = value
        .members()
        .ok_or_else(|| refuse(name, value, &wrong_type(value, "'object'")))?;
    for (key, value) in members {
        let fits = (1..=MAX_TEXT).contains(&key.len())
            && key
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"-_:. ".contains(&b));
        if !fits {
            return Err(Fault::bad_request(format!(
                "Key names can only contain alphanumeric characters, underscores, periods, colons, and hyphens: {key}"
            )));
        }
        match value.text() {
            Some(text) if text.chars().count() <= MAX_TEXT => {}
            Some(_) => return Err(refuse(key, value, &format!("{} is too long", value.repr()))),
            None => return Err(refuse(key, value, &wrong_type(value, "'string'"))),
        }
    }
    Ok(pairs(members))
}

/// A project that may use a type.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[expect(missing_docs, reason = "each is the field it is named for")]
pub struct TypeAccessView {
    pub volume_type_id: String,
    pub project_id: String,
}

impl TypeAccessChange {
    /// Reads the body of a request.
    pub fn read(body: &Json) -> Result<Self, Fault> {
        let (key, allowed) = if body.get("addProjectAccess").is_some() {
            ("addProjectAccess", true)
        } else {
            ("removeProjectAccess", false)
        };
        let inner = under(body, key)?;
        let Some(project) = inner.get("project") else {
            return Err(refuse(key, inner, &missing("project")));
        };
        let id = project.text().filter(|text| uuid_like(text).is_some());
        let id = id.ok_or_else(|| {
            refuse(
                "project",
                project,
                &format!("{} is not a 'uuid'", project.repr()),
            )
        })?;
        let project = id.into();
        Ok(if allowed {
            Self::Add { project }
        } else {
            Self::Remove { project }
        })
    }
}

/// An availability zone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub struct AvailabilityZone {
    /// Its name.
    pub zone_name: String,
    /// How it is.
    pub zone_state: ZoneState,
}

/// How a zone is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ZoneState {
    /// Whether volumes can be made in it.
    pub available: bool,
}

impl AvailabilityZone {
    /// Shows a zone that can be used.
    pub fn available(name: &str) -> Self {
        Self {
            zone_name: name.to_owned(),
            zone_state: ZoneState { available: true },
        }
    }
}
