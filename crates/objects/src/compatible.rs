//! Versions, and making primitives for receivers that know older ones.
//!
//! Cinder relabels and removes nothing (`cinder-backup.md §1.4`): receivers ignore keys that they
//! do not know. What is left of its rules is when it refuses, and how far the new label reaches.

use std::collections::BTreeMap;

use crate::class::holds_objects;
use crate::class::{ClassInfo, class_named};
use crate::data::{AnyObject, Core};
use crate::error::{ObjectError, PrimitiveError};
use crate::json::{Dict, Json};
use crate::primitive::{DATA, NAME, VERSION, write};
use crate::version::{is_above, numbers};

/// The versions of objects that a receiver knows, by class.
pub type Manifest = BTreeMap<String, String>;

/// The newest set of object versions that Cinder has a name for.
pub const CURRENT_CAP: &str = "1.39";

/// Writes an object for a receiver that knows `target` of its class and `manifest` of what it holds.
pub(crate) fn write_for(
    core: &Core,
    target: Option<&str>,
    manifest: Option<&Manifest>,
) -> Result<Json, ObjectError> {
    adapt(write(core), Some(core.class), target, manifest)
}

pub(crate) fn foreign_for(
    object: &AnyObject,
    target: Option<&str>,
    manifest: Option<&Manifest>,
) -> Result<Json, ObjectError> {
    adapt(object.to_primitive(), None, target, manifest)
}

fn adapt(
    mut primitive: Json,
    class: Option<&ClassInfo>,
    target: Option<&str>,
    manifest: Option<&Manifest>,
) -> Result<Json, ObjectError> {
    let own = primitive
        .get(VERSION)
        .and_then(Json::as_text)
        .unwrap_or_default()
        .to_owned();
    let target = target.unwrap_or(&own);
    if is_above(target, &own)? {
        return Err(PrimitiveError::Target {
            version: target.to_owned(),
        }
        .into());
    }
    let has_manifest = manifest.is_some_and(|manifest| !manifest.is_empty());
    if target != own || has_manifest {
        relabel_held(&mut primitive, class, target, manifest)?;
        set_label(&mut primitive, target);
    }
    Ok(primitive)
}

fn set_label(primitive: &mut Json, version: &str) {
    if let Some(dict) = primitive.as_dict_mut() {
        dict.insert(VERSION, version);
    }
}

/// Relabels the objects that a primitive holds, all the way down.
fn relabel_held(
    primitive: &mut Json,
    class: Option<&ClassInfo>,
    target: &str,
    manifest: Option<&Manifest>,
) -> Result<(), ObjectError> {
    let is_list = primitive
        .get(NAME)
        .and_then(Json::as_text)
        .is_some_and(|name| class.map_or(name.ends_with("List"), |class| class.is_list));
    let Some(data) = primitive
        .as_dict_mut()
        .and_then(|dict| dict.get_mut(DATA))
        .and_then(Json::as_dict_mut)
    else {
        return Ok(());
    };
    if is_list {
        return relabel_listed(data, target, manifest);
    }
    for (name, held) in data.values_mut() {
        let held_class = match class {
            Some(class) => class
                .fields
                .iter()
                .find(|field| field.name == name)
                .and_then(|field| holds_objects(field.kind))
                .map(str::to_owned),
            None => held.get(NAME).and_then(Json::as_text).map(str::to_owned),
        };
        let Some(held_class) = held_class else {
            continue;
        };
        let Some(manifest) = manifest else {
            return Err(ObjectError::Action {
                action: "obj_make_compatible",
                reason: format!("No rule for {name}"),
            });
        };
        if let Some(version) = manifest.get(&held_class) {
            numbers(target)?;
            relabel(held, version, Some(manifest).filter(|m| !m.is_empty()))?;
        }
    }
    Ok(())
}

/// The items of a list fall back to the first version when nothing is said about them.
fn relabel_listed(
    data: &mut Dict,
    target: &str,
    manifest: Option<&Manifest>,
) -> Result<(), ObjectError> {
    let Some(Json::List(items)) = data.get_mut("objects") else {
        return Ok(());
    };
    for item in items {
        let class = item.get(NAME).and_then(Json::as_text).unwrap_or_default();
        let said = manifest.and_then(|manifest| manifest.get(class));
        if said.is_some() {
            numbers(target)?;
        }
        let version = said.map_or("1.0", String::as_str).to_owned();
        relabel(item, &version, manifest.filter(|m| !m.is_empty()))?;
    }
    Ok(())
}

fn relabel(held: &mut Json, version: &str, manifest: Option<&Manifest>) -> Result<(), ObjectError> {
    let Some(name) = held.get(NAME).and_then(Json::as_text) else {
        return Ok(());
    };
    let class = class_named(name);
    relabel_held(held, class, version, manifest)?;
    set_label(held, version);
    Ok(())
}

/// Returns the versions that a cap on the whole deployment stands for.
pub(crate) fn capped_version(cap: &str, class: &str) -> Option<Option<&'static str>> {
    let older = match cap {
        "1.38" => true,
        CURRENT_CAP => false,
        _ => return None,
    };
    Some(match class {
        "Volume" if older => Some("1.8"),
        "Snapshot" if older => Some("1.5"),
        other => crate::class::known_version(other).map(|(_, version)| version),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::version::Version;

    #[test]
    fn which_versions_are_understood() {
        for (version, want) in [
            ("1.7", true),
            ("1.0", true),
            ("1", true),
            ("1.7.0", true),
            ("1.4.1", true),
            ("1.07", true),
            (" 1.4 ", true),
            ("1.8rc1", false),
            ("1.7rc1", true),
            ("1.7.1", false),
            ("1.8", false),
            ("1.10", false),
            ("0.9", false),
            ("2.0", false),
        ] {
            let newest = Version::parse("1.7").unwrap();
            assert_eq!(
                Version::parse(version).unwrap().is_known_to(&newest),
                want,
                "{version}"
            );
        }
        for version in [
            "",
            "x",
            "1.x",
            "v1.4",
            "-1.4",
            "1..4",
            "1.4a",
            "1.4zz1",
            "1!1.4",
            "1.4.post1",
            "99999999999999999999",
        ] {
            assert!(Version::parse(version).is_err(), "{version}");
        }
    }

    #[test]
    fn which_targets_are_above() {
        for (target, want) in [
            ("1.8", true),
            ("1.7.0", true),
            ("1.10", true),
            ("1.7", false),
            ("1.7rc1", false),
            ("1.4.1", false),
            ("1", false),
        ] {
            assert_eq!(is_above(target, "1.7"), Ok(want), "{target}");
        }
        for target in ["", "1.x", "x"] {
            assert!(is_above(target, "1.7").is_err(), "{target}");
        }
    }

    #[test]
    fn every_class_has_a_place_under_the_caps() {
        for (name, _) in crate::class::FOREIGN {
            assert!(capped_version("1.38", name).flatten().is_some(), "{name}");
        }
        assert_eq!(capped_version("1.38", "Volume"), Some(Some("1.8")));
        assert_eq!(capped_version("1.39", "Volume"), Some(Some("1.9")));
        assert_eq!(capped_version("1.37", "Volume"), None);
    }
}
