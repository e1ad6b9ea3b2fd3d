//! Tags (`cbr-v3.md §2.8`).

use emberkeep_model::Tag;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::MAX_TAGS;
use crate::cbr::form::{Fields, Refused, Text, body};
use crate::cbr::{PAGE_LIMIT, word};

/// The longest key and value that can be named for deletion.
const DELETE_KEY: usize = 127;
const DELETE_VALUE: usize = 255;
/// The most conditions of one kind, and the most values of one.
const MAX_CONDITIONS: usize = 20;

/// A tag to be set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagSet {
    /// Which.
    pub tag: Tag,
}

impl TagSet {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let tag = Fields::wrapped(&map, "tag")?;
        Ok(Self {
            tag: Tag {
                key: tag
                    .trimmed("key", Text::TagKey)?
                    .ok_or_else(|| tag.missing("key"))?,
                value: tag
                    .trimmed("value", Text::TagValue)?
                    .ok_or_else(|| tag.missing("value"))?,
            },
        })
    }
}

/// Several tags to be set or taken away.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "action", content = "tags", rename_all = "lowercase")]
pub enum TagsAction {
    /// Sets these; keys that are there get the new value.
    Create(Vec<Tag>),
    /// Takes these keys away; those that are not there are fine.
    #[serde(serialize_with = "as_keys")]
    Delete(Vec<String>),
}

#[derive(Serialize)]
struct Key<'a> {
    key: &'a str,
}

fn as_keys<S: Serializer>(keys: &[String], sink: S) -> Result<S::Ok, S::Error> {
    sink.collect_seq(keys.iter().map(|key| Key { key }))
}

impl TagsAction {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let action = top
            .choice("action", &["create", "delete"])?
            .ok_or_else(|| top.missing("action"))?;
        let items = top.objects("tags")?.unwrap_or_default();
        if items.is_empty() {
            return Err(top.refuse("tags", "must name at least one tag"));
        }
        if action == "create" {
            let tags = top.tags("tags", MAX_TAGS)?.unwrap_or_default();
            return Ok(Self::Create(tags));
        }
        let mut keys = Vec::with_capacity(items.len());
        for item in items {
            item.text("value", Text::Any(DELETE_VALUE))?;
            keys.push(
                item.trimmed("key", Text::Filled(DELETE_KEY))?
                    .ok_or_else(|| item.missing("key"))?,
            );
        }
        Ok(Self::Delete(keys))
    }
}

/// Which vaults to find by their tags (`cbr-v3.md §2.8`). All that is said must hold; with
/// nothing said, every vault is found.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TagFilter {
    /// Those for which all of these hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<TagCondition>,
    /// Those for which at least one of these holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags_any: Vec<TagCondition>,
    /// Those for which not all of these hold.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_tags: Vec<TagCondition>,
    /// Those for which none of these holds.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_tags_any: Vec<TagCondition>,
    /// Those without tags; the conditions do not count then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_any_tag: Option<bool>,
    /// Those whose name has this in it.
    #[serde(
        rename = "matches",
        skip_serializing_if = "Option::is_none",
        serialize_with = "by_name"
    )]
    pub name_part: Option<String>,
    /// Those that lie there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cloud_type: Option<word::CloudType>,
    /// Those that protect this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub object_type: Option<word::ObjectType>,
}

/// A key that has one of some values. No value means any; one that begins with `*` means all
/// that have the rest in them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct TagCondition {
    /// The key.
    pub key: String,
    /// Its values.
    pub values: Vec<String>,
}

#[derive(Serialize)]
struct Match<'a> {
    key: &'a str,
    value: &'a str,
}

fn by_name<S: Serializer>(part: &Option<String>, sink: S) -> Result<S::Ok, S::Error> {
    let key = "resource_name";
    sink.collect_seq(part.iter().map(|value| Match { key, value }))
}

/// A search for vaults by their tags.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TagSearch {
    /// Whether they or their number are wanted.
    pub action: word::SearchAction,
    /// At most so many. Numbers are text here, and nowhere else.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub limit: Option<u32>,
    /// Leave out so many.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "as_text")]
    pub offset: Option<u64>,
    /// Which ones.
    #[serde(flatten)]
    pub filter: TagFilter,
}

fn as_text<S: Serializer, N: ToString>(number: &Option<N>, sink: S) -> Result<S::Ok, S::Error> {
    match number {
        Some(number) => sink.serialize_str(&number.to_string()),
        None => sink.serialize_none(),
    }
}

impl TagSearch {
    /// Reads the body.
    pub fn read(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let action = top
            .choice("action", &["filter", "count"])?
            .ok_or_else(|| top.missing("action"))?;
        let cloud_type = top.choice("cloud_type", &["public", "hybrid"])?;
        let limit = match number(&top, "limit")? {
            None => None,
            Some(limit) => Some(
                u32::try_from(limit)
                    .ok()
                    .filter(|limit| (1..=PAGE_LIMIT).contains(limit))
                    .ok_or_else(|| {
                        top.refuse("limit", format_args!("must be 1 to {PAGE_LIMIT}"))
                    })?,
            ),
        };
        let mut name_part = None;
        let matches = top.objects("matches")?.unwrap_or_default();
        if matches.len() > 1 {
            return Err(top.refuse("matches", "must have at most one entry"));
        }
        for found in matches {
            found
                .choice("key", &["resource_name"])?
                .ok_or_else(|| found.missing("key"))?;
            name_part = Some(found.wanted("value", Text::Any(255))?);
        }
        Ok(Self {
            action: action.into(),
            filter: TagFilter {
                tags: conditions(&top, "tags")?,
                tags_any: conditions(&top, "tags_any")?,
                not_tags: conditions(&top, "not_tags")?,
                not_tags_any: conditions(&top, "not_tags_any")?,
                without_any_tag: top.flag("without_any_tag")?,
                name_part,
                cloud_type: cloud_type.map(Into::into),
                object_type: top
                    .choice("object_type", &["server", "disk", "turbo"])?
                    .map(Into::into),
            },
            limit,
            offset: number(&top, "offset")?,
        })
    }
}

/// Reads a number that is written as a text, or as one.
fn number(top: &Fields<'_>, name: &str) -> Result<Option<u64>, Refused> {
    let read = match top.value(name) {
        None => return Ok(None),
        Some(Value::String(text)) => text.trim().parse().ok(),
        Some(value) => value.as_u64(),
    };
    read.map(Some)
        .ok_or_else(|| top.refuse(name, "must be a whole number from 0 on"))
}

fn conditions(top: &Fields<'_>, name: &str) -> Result<Vec<TagCondition>, Refused> {
    let items = top.objects(name)?.unwrap_or_default();
    if items.len() > MAX_CONDITIONS {
        return Err(top.refuse(
            name,
            format_args!("must have at most {MAX_CONDITIONS} entries"),
        ));
    }
    let mut conditions: Vec<TagCondition> = Vec::with_capacity(items.len());
    for item in items {
        let key = item
            .trimmed("key", Text::Filled(DELETE_KEY))?
            .ok_or_else(|| item.missing("key"))?;
        if conditions.iter().any(|known| known.key == key) {
            return Err(item.refuse("key", format_args!("'{key}' is there twice")));
        }
        let list = item.list("values")?.ok_or_else(|| item.missing("values"))?;
        if list.len() > MAX_CONDITIONS {
            return Err(item.refuse(
                "values",
                format_args!("must have at most {MAX_CONDITIONS} entries"),
            ));
        }
        let values = list
            .iter()
            .map(|value| {
                let text = value.as_str().map(|text| text.trim().to_owned());
                text.ok_or_else(|| item.refuse("values", "must be strings"))
            })
            .collect::<Result<_, _>>()?;
        conditions.push(TagCondition { key, values });
    }
    Ok(conditions)
}
