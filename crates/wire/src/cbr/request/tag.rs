//! What clients ask for by tags (`cbr-v3.md §2.8`).

use emberkeep_model::ObjectType;

use super::maybe_ours;
use crate::cbr::ask::{TagCondition, TagSearch};
use crate::cbr::form::Refused;
use crate::cbr::{PAGE_LIMIT, word};

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
        let asked = TagSearch::read(bytes)?;
        let filter = asked.filter;
        Ok(Self {
            count_only: asked.action == word::SearchAction::Count,
            tags: filter.tags,
            tags_any: filter.tags_any,
            not_tags: filter.not_tags,
            not_tags_any: filter.not_tags_any,
            without_any_tag: filter.without_any_tag.unwrap_or(false),
            name: filter.name_part,
            never: filter.cloud_type == Some(word::CloudType::Hybrid),
            object_type: maybe_ours("object_type", filter.object_type)?,
            limit: asked.limit.unwrap_or(PAGE_LIMIT),
            offset: asked.offset.unwrap_or(0),
        })
    }
}
