//! What clients ask for about tags (`cbr-v3.md §2.8`).

use emberkeep_model::{ObjectType, Tag};
use serde_json::Value;

use super::{MAX_TAGS, word};
use crate::cbr::PAGE_LIMIT;
use crate::cbr::form::{Fields, Refused, Text, body};

/// The longest key and value that can be named for deletion.
const DELETE_KEY: usize = 127;
const DELETE_VALUE: usize = 255;
/// The most conditions of one kind, and the most values of one.
const MAX_CONDITIONS: usize = 20;

/// `POST /vault/{id}/tags`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagSet {
    /// The tag.
    pub tag: Tag,
}

impl TagSet {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
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

/// `POST /vault/{id}/tags/action`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagsAction {
    /// Sets these; keys that are there get the new value.
    Create(Vec<Tag>),
    /// Takes these keys away; those that are not there are fine.
    Delete(Vec<String>),
}

impl TagsAction {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
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

/// One condition: the key with any of the values; with any value at all if there are none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagCondition {
    /// The key.
    pub key: String,
    /// The values; one that begins with `*` matches what contains the rest.
    pub values: Vec<String>,
}

/// `POST /vault/resource_instances/action`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TagQuery {
    /// Only the number is wanted.
    pub count_only: bool,
    /// All of these hold.
    pub tags: Vec<TagCondition>,
    /// At least one of these holds.
    pub tags_any: Vec<TagCondition>,
    /// Not all of these hold.
    pub not_tags: Vec<TagCondition>,
    /// None of these holds.
    pub not_tags_any: Vec<TagCondition>,
    /// Untagged vaults, whatever the four say.
    pub without_any_tag: bool,
    /// The name contains this; empty means an empty name.
    pub name: Option<String>,
    /// Of this kind.
    pub object_type: Option<ObjectType>,
    /// Of a kind that there is none of here.
    pub never: bool,
    /// At most so many.
    pub limit: u32,
    /// Skip so many.
    pub offset: u64,
}

impl TagQuery {
    /// Reads the body.
    pub fn parse(bytes: &[u8]) -> Result<Self, Refused> {
        let map = body(bytes)?;
        let top = Fields::top(&map);
        let action = top
            .choice("action", &["filter", "count"])?
            .ok_or_else(|| top.missing("action"))?;
        let cloud = top.choice("cloud_type", &["public", "hybrid"])?;
        let limit = number(&top, "limit")?.unwrap_or(u64::from(PAGE_LIMIT));
        let limit = u32::try_from(limit)
            .ok()
            .filter(|limit| (1..=PAGE_LIMIT).contains(limit))
            .ok_or_else(|| top.refuse("limit", format_args!("must be 1 to {PAGE_LIMIT}")))?;
        let mut name = None;
        let matches = top.objects("matches")?.unwrap_or_default();
        if matches.len() > 1 {
            return Err(top.refuse("matches", "must have at most one entry"));
        }
        for found in matches {
            found
                .choice("key", &["resource_name"])?
                .ok_or_else(|| found.missing("key"))?;
            name = Some(found.wanted("value", Text::Any(255))?);
        }
        Ok(Self {
            count_only: action == "count",
            tags: conditions(&top, "tags")?,
            tags_any: conditions(&top, "tags_any")?,
            not_tags: conditions(&top, "not_tags")?,
            not_tags_any: conditions(&top, "not_tags_any")?,
            without_any_tag: top.flag("without_any_tag")?.unwrap_or(false),
            name,
            object_type: word(&top, "object_type", &["server", "disk", "turbo"])?,
            never: cloud == Some("hybrid"),
            limit,
            offset: number(&top, "offset")?.unwrap_or(0),
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
