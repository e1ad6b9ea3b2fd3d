//! Lists: the query that asks for one and the page that answers (`cinder-backup.md §2.4`).

use serde::ser::{Serialize, SerializeMap, Serializer};

use super::{Fault, Link, Microversion, Site};
use crate::keyed::COUNT;

/// The largest page, and the size of one if none is asked for.
pub const MAX_LIMIT: u32 = 1000;
const MAX_INT: u64 = 0x7fff_ffff;
/// From here on filters that are not known are refused rather than dropped.
const STRICT: Microversion = Microversion::v3(31);
/// From here on matches can be counted.
const COUNTED: Microversion = Microversion::v3(45);
/// From here on snapshots can be filtered by their pairs.
const SNAPSHOTS_BY_METADATA: Microversion = Microversion::v3(22);

/// What is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resource {
    /// Backups.
    Backup,
    /// Volumes.
    Volume,
    /// Snapshots.
    Snapshot,
    /// Volume types.
    VolumeType,
    /// Attachments of volumes.
    Attachment,
    /// Messages about what failed.
    Message,
}

impl Resource {
    /// Returns its name, as lists of filters say it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Backup => "backup",
            Self::Volume => "volume",
            Self::Snapshot => "snapshot",
            Self::VolumeType => "volume_type",
            Self::Attachment => "attachment",
            Self::Message => "message",
        }
    }

    /// Returns the key of a list of it.
    fn collection(self) -> &'static str {
        match self {
            Self::Backup => "backups",
            Self::Volume => "volumes",
            Self::Snapshot => "snapshots",
            Self::VolumeType => "volume_types",
            Self::Attachment => "attachments",
            Self::Message => "messages",
        }
    }

    /// Returns the key of the link to the next page.
    pub(super) fn links_key(self) -> &'static str {
        match self {
            Self::Backup => "backups_links",
            Self::Volume => "volumes_links",
            Self::Snapshot => "snapshots_links",
            Self::VolumeType => "volume_type_links",
            Self::Attachment => "attachments_links",
            Self::Message => "messages_links",
        }
    }

    /// Returns what everybody may filter by, as the list of filters says it.
    pub fn filters(self) -> &'static [&'static str] {
        match self {
            Self::Backup => &["name", "status", "volume_id"],
            Self::Snapshot => &[
                "name",
                "status",
                "volume_id",
                "metadata",
                "availability_zone",
                "consumes_quota",
            ],
            Self::Volume => &[
                "name",
                "status",
                "metadata",
                "bootable",
                "migration_status",
                "availability_zone",
                "group_id",
                "size",
                "created_at",
                "updated_at",
                "consumes_quota",
            ],
            Self::VolumeType => &["is_public", "extra_specs"],
            Self::Attachment => &["volume_id", "status", "instance_id", "attach_status"],
            Self::Message => &[
                "resource_uuid",
                "resource_type",
                "event_id",
                "request_id",
                "message_level",
            ],
        }
    }

    /// Tells whether everybody may filter by `key` in a microversion; below 3.31 fewer are heard.
    fn hears(self, key: &str, version: Microversion) -> bool {
        let early = match (self, key) {
            (Self::Snapshot, "metadata") => version >= SNAPSHOTS_BY_METADATA,
            (Self::Snapshot, "availability_zone" | "consumes_quota")
            | (Self::Volume, "group_id" | "created_at" | "updated_at") => false,
            _ => true,
        };
        self.filters().contains(&key) && (early || version >= STRICT)
    }

    /// Tells since when it can be sorted by `name`, not only by `display_name`.
    fn by_name_since(self) -> Microversion {
        match self {
            Self::Backup => Microversion::v3(37),
            Self::Snapshot => Microversion::v3(30),
            Self::Volume | Self::VolumeType | Self::Attachment | Self::Message => Microversion::MIN,
        }
    }
}

/// One key of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SortKey {
    /// What to sort by; `name` is said as `display_name`.
    pub key: String,
    /// Largest first.
    pub descending: bool,
}

/// A query that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// At most so many.
    pub limit: u32,
    /// Skip so many.
    pub offset: u64,
    /// The last one seen.
    pub marker: Option<String>,
    /// In which order; newest first comes as such.
    pub sort: Vec<SortKey>,
    /// Filters that the caller may use; an administrator's may be any.
    pub filters: Vec<(String, String)>,
    /// Those of all projects, if the caller is an administrator.
    pub all_tenants: bool,
    /// Count all matches.
    pub with_count: bool,
    /// The query as it came, for the next page.
    pairs: Vec<(String, String)>,
    /// The page ended before its limit.
    is_cut: bool,
}

impl Listing {
    /// Reads the query of a request for a list of `resource`.
    pub fn parse(
        query: &str,
        resource: Resource,
        version: Microversion,
        admin: bool,
    ) -> Result<Self, Fault> {
        let pairs: Vec<(String, String)> = form_urlencoded::parse(query.as_bytes())
            .into_owned()
            .collect();
        let mut rest = pairs.clone();
        let limit = limit(take(&mut rest, "limit"))?;
        let marker = take(&mut rest, "marker");
        let offset = offset(take(&mut rest, "offset"))?;
        let sort = sort(&mut rest, resource, version)?;
        let with_count = match take_if(version >= COUNTED, &mut rest, "with_count") {
            Some(text) => query_bool(&text).ok_or_else(|| {
                Fault::bad_request(format!("Value '{text}' for 'with_count' is not a boolean."))
            })?,
            None => false,
        };
        let all_tenants = match take(&mut rest, "all_tenants") {
            // What others say is dropped unread.
            Some(text) if admin => query_bool(&text).ok_or_else(|| {
                Fault::bad_request(format!("all_tenants must be a boolean, got '{text}'."))
            })?,
            _ => false,
        };
        if !admin {
            let known = |key: &str| resource.hears(key, version);
            let strange: Vec<&str> = rest
                .iter()
                .map(|(key, _)| key.as_str())
                .filter(|key| !known(key))
                .collect();
            if version >= STRICT && !strange.is_empty() {
                return Err(Self::invalid_filters(&strange));
            }
            rest.retain(|(key, _)| known(key));
        }
        Ok(Self {
            limit,
            offset,
            marker,
            sort,
            filters: rest,
            all_tenants: all_tenants && admin,
            with_count,
            pairs,
            is_cut: false,
        })
    }

    /// Refuses filters.
    pub fn invalid_filters(keys: &[&str]) -> Fault {
        Fault::bad_request(format!(
            "Invalid filters {} are found in query options.",
            keys.join(",")
        ))
    }

    /// Notes whether the page ended before its limit because it had become too large: then a next one
    /// follows, however few items there are.
    #[must_use]
    pub fn cut_short(self, is_cut: bool) -> Self {
        Self { is_cut, ..self }
    }

    /// Makes the page that answers this query: `items` as found, `last` the id of the last one, `total`
    /// how many match if that was counted, `path` what was asked (`backups/detail`).
    pub fn page<T>(
        &self,
        resource: Resource,
        path: &str,
        items: Vec<T>,
        last: Option<&str>,
        total: Option<u64>,
        site: &Site,
    ) -> Listed<T> {
        let (next, count) = self.ends(path, items.len(), last, total, site);
        Listed {
            resource,
            items,
            next,
            count,
        }
    }

    /// Returns what follows the `items` of a page: where the next one is, and how many match if that was asked.
    pub(super) fn ends(
        &self,
        path: &str,
        items: usize,
        last: Option<&str>,
        total: Option<u64>,
        site: &Site,
    ) -> (Option<Link>, Option<u64>) {
        let total = total.filter(|_| self.with_count);
        // As Cinder has it, a last page that happens to be full has a next one too.
        let reached = match total {
            Some(0) | None => items as u64,
            Some(total) => total,
        };
        let next = last
            .filter(|_| self.is_cut || u64::from(self.limit) <= reached)
            .map(|last| site.next(path, &self.pairs, last));
        (next, total)
    }
}

/// A page of a list. Serialised, it is the body of the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<T> {
    resource: Resource,
    items: Vec<T>,
    next: Option<Link>,
    count: Option<u64>,
}

impl<T: Serialize> Serialize for Listed<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut body = serializer.serialize_map(None)?;
        body.serialize_entry(self.resource.collection(), &self.items)?;
        if let Some(next) = &self.next {
            body.serialize_entry(self.resource.links_key(), &[next])?;
        }
        if let Some(count) = self.count {
            body.serialize_entry(COUNT, &count)?;
        }
        body.end()
    }
}

#[cfg(feature = "schema")]
impl<T: schemars::JsonSchema> Listed<T> {
    /// Returns what a page of a list of `resource` looks like.
    pub fn schema(
        resource: Resource,
        generator: &mut schemars::SchemaGenerator,
    ) -> schemars::Schema {
        let items = generator.subschema_for::<Vec<T>>();
        let links = generator.subschema_for::<Vec<Link>>();
        schemars::json_schema!({
            "type": "object",
            "properties": {
                resource.collection(): items,
                resource.links_key(): links,
                COUNT: {"type": "integer", "minimum": 0},
            },
            "required": [resource.collection()],
        })
    }
}

/// What a client that only counts reads of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct Counted {
    /// How many there are on all pages.
    #[serde(deserialize_with = "crate::lenient::number")]
    pub count: u64,
}

/// What a list can be filtered by.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
pub struct ResourceFilters {
    /// The list.
    pub resource: String,
    /// The filters.
    pub filters: Vec<String>,
}

impl ResourceFilters {
    /// Shows the filters of one resource, or of all.
    pub fn of(resource: Option<&str>) -> Vec<Self> {
        let all = [
            (Resource::Volume.word(), Resource::Volume.filters()),
            (Resource::Backup.word(), Resource::Backup.filters()),
            (Resource::Snapshot.word(), Resource::Snapshot.filters()),
            // There are none, but clients look for what they might ask.
            ("group", &["name"]),
            ("group_snapshot", &["name", "status", "group_id"]),
            (Resource::Attachment.word(), Resource::Attachment.filters()),
            (Resource::Message.word(), Resource::Message.filters()),
            ("pool", &["name", "volume_type"]),
            (Resource::VolumeType.word(), Resource::VolumeType.filters()),
        ];
        let wanted = |(word, _): &(&str, &[&str])| resource.is_none_or(|wanted| wanted == *word);
        all.into_iter()
            .filter(wanted)
            .map(|(word, filters)| Self {
                resource: word.to_owned(),
                filters: filters.iter().map(|name| (*name).to_owned()).collect(),
            })
            .collect()
    }
}

/// Reads a boolean parameter of a query that is no list's, false if it is not there.
pub fn query_flag(query: &str, key: &str) -> Result<bool, Fault> {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == key);
    let Some((_, text)) = found else {
        return Ok(false);
    };
    query_bool(&text)
        .ok_or_else(|| Fault::bad_request(format!("Value '{text}' for '{key}' is not a boolean.")))
}

/// Returns a parameter of a query that is no list's.
pub fn query_text(query: &str, key: &str) -> Option<String> {
    let found = form_urlencoded::parse(query.as_bytes()).find(|(k, _)| k == key);
    found.map(|(_, text)| text.into_owned())
}

/// Takes a parameter out of the query; of several the last one counts.
fn take(pairs: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    let value = pairs
        .iter()
        .rev()
        .find(|(k, _)| k == key)
        .map(|(_, v)| v.clone());
    pairs.retain(|(k, _)| k != key);
    value
}

fn take_if(known: bool, pairs: &mut Vec<(String, String)>, key: &str) -> Option<String> {
    if known { take(pairs, key) } else { None }
}

fn limit(text: Option<String>) -> Result<u32, Fault> {
    let Some(text) = text else {
        return Ok(MAX_LIMIT);
    };
    match text.trim().parse::<i128>() {
        Err(_) => Err(Fault::bad_request("limit param must be an integer")),
        Ok(limit) if limit < 0 => Err(Fault::bad_request("limit param must be positive")),
        Ok(limit) => Ok(u32::try_from(limit).unwrap_or(MAX_LIMIT).min(MAX_LIMIT)),
    }
}

fn offset(text: Option<String>) -> Result<u64, Fault> {
    let Some(text) = text else {
        return Ok(0);
    };
    match text.trim().parse::<i128>() {
        Err(_) => Err(Fault::bad_request("offset must be an integer")),
        Ok(offset) if offset < 0 => Err(Fault::bad_request("offset must be >= 0")),
        Ok(offset) => u64::try_from(offset)
            .ok()
            .filter(|offset| *offset <= MAX_INT)
            .ok_or_else(|| Fault::bad_request(format!("offset must be <= {MAX_INT}"))),
    }
}

fn sort(
    pairs: &mut Vec<(String, String)>,
    resource: Resource,
    version: Microversion,
) -> Result<Vec<SortKey>, Fault> {
    let sort = take(pairs, "sort");
    let (key, direction) = (take(pairs, "sort_key"), take(pairs, "sort_dir"));
    let asked: Vec<(String, String)> = match sort {
        Some(_) if key.is_some() || direction.is_some() => {
            return Err(Fault::bad_request(
                "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with \
                 the 'sort' parameter.",
            ));
        }
        Some(sort) => sort
            .split(',')
            .map(|part| {
                let (key, direction) = part.split_once(':').unwrap_or((part, ""));
                (key.trim().to_owned(), direction.trim().to_owned())
            })
            .collect(),
        None if key.is_none() && direction.is_none() => return Ok(Vec::new()),
        None => vec![(
            key.unwrap_or_else(|| "created_at".to_owned()),
            direction.unwrap_or_default(),
        )],
    };
    let mut keys = Vec::with_capacity(asked.len());
    for (key, direction) in asked {
        let descending = match direction.as_str() {
            "" | "desc" => true,
            "asc" => false,
            _ => {
                return Err(Fault::invalid_input(
                    "Unknown sort direction, must be 'desc' or 'asc'.",
                ));
            }
        };
        let early = version < resource.by_name_since();
        let key = match key.as_str() {
            "name" if early => return Err(Fault::invalid_input("Invalid sort key")),
            "name" => "display_name".to_owned(),
            _ => key,
        };
        keys.push(SortKey { key, descending });
    }
    Ok(keys)
}

/// Reads a boolean word of a query, in any case.
pub fn query_bool(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "t" | "true" | "on" | "y" | "yes" => Some(true),
        "0" | "f" | "false" | "off" | "n" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, minor: u16, admin: bool) -> Result<Listing, String> {
        Listing::parse(query, Resource::Backup, Microversion::v3(minor), admin)
            .map_err(|fault| fault.message)
    }

    #[test]
    fn bad_queries_are_refused_in_cinders_words() {
        for (query, minor, admin, want) in [
            ("limit=x", 0, false, "limit param must be an integer"),
            ("limit=-1", 0, false, "limit param must be positive"),
            ("offset=x", 0, false, "offset must be an integer"),
            ("offset=-1", 0, false, "offset must be >= 0"),
            (
                "offset=2147483648",
                0,
                false,
                "offset must be <= 2147483647",
            ),
            (
                "sort=name:asc",
                36,
                false,
                "Invalid input received: Invalid sort key",
            ),
            (
                "sort=id:up",
                0,
                false,
                "Invalid input received: Unknown sort direction, must be 'desc' or 'asc'.",
            ),
            (
                "sort=id&sort_dir=asc",
                0,
                false,
                "The 'sort_key' and 'sort_dir' parameters are deprecated and cannot be used with the 'sort' parameter.",
            ),
            (
                "foo=1",
                31,
                false,
                "Invalid filters foo are found in query options.",
            ),
            (
                "foo=1&bar=2",
                31,
                false,
                "Invalid filters foo,bar are found in query options.",
            ),
            (
                "name~=x",
                34,
                false,
                "Invalid filters name~ are found in query options.",
            ),
            (
                "with_count=true",
                44,
                false,
                "Invalid filters with_count are found in query options.",
            ),
            (
                "with_count=maybe",
                45,
                false,
                "Value 'maybe' for 'with_count' is not a boolean.",
            ),
            (
                "all_tenants=x",
                0,
                true,
                "all_tenants must be a boolean, got 'x'.",
            ),
        ] {
            assert_eq!(
                read(query, minor, admin),
                Err(want.to_owned()),
                "{query} at 3.{minor}"
            );
        }
    }

    #[test]
    fn good_queries_are_read() {
        let plain = read("", 0, false).expect("is good");
        assert_eq!((plain.limit, plain.offset, plain.marker), (1000, 0, None));
        assert_eq!(plain.sort, []);
        let all = read(
            "limit=5000&marker=m&offset=3&sort=name:asc,created_at&status=error&with_count=1&all_tenants=True",
            64,
            false,
        )
        .expect("is good");
        assert_eq!(
            (all.limit, all.offset, all.marker.as_deref()),
            (1000, 3, Some("m"))
        );
        let keys: Vec<_> = all
            .sort
            .iter()
            .map(|s| (s.key.as_str(), s.descending))
            .collect();
        assert_eq!(keys, [("display_name", false), ("created_at", true)]);
        assert_eq!(all.filters, [("status".to_owned(), "error".to_owned())]);
        assert!(all.with_count);
        assert!(!all.all_tenants, "a member's wish is dropped");
        for (minor, heard) in [(0, 0), (30, 0), (31, 1)] {
            let version = Microversion::v3(minor);
            let grouped = Listing::parse("group_id=x", Resource::Volume, version, false);
            assert_eq!(grouped.expect("is good").filters.len(), heard, "3.{minor}");
        }
        let early = read("all_tenants=rubbish&foo=1&name=a%20b", 30, false).expect("is dropped");
        assert_eq!(early.filters, [("name".to_owned(), "a b".to_owned())]);
        let admin = read("all_tenants=True&project_id=p", 64, true).expect("is good");
        assert!(admin.all_tenants);
        assert_eq!(admin.filters, [("project_id".to_owned(), "p".to_owned())]);
        assert_eq!(
            read("sort_key=size", 0, false).expect("is good").sort[0].key,
            "size"
        );
    }

    #[test]
    fn a_full_page_has_a_next_one() {
        let site = Site {
            base: "http://h".into(),
            project: None,
        };
        let next = |query: &str, items: Vec<u8>, total| {
            let listing = read(query, 45, false).expect("is good");
            let last = items.last().map(u8::to_string);
            let page = listing.page(
                Resource::Backup,
                "backups",
                items,
                last.as_deref(),
                total,
                &site,
            );
            serde_json::to_string(&page).expect("serialises")
        };
        for (query, items, total, want) in [
            ("", vec![], None, r#"{"backups":[]}"#),
            ("limit=0", vec![], None, r#"{"backups":[]}"#),
            ("limit=2", vec![1], None, r#"{"backups":[1]}"#),
            (
                "limit=1",
                vec![1],
                None,
                r#"{"backups":[1],"backups_links":[{"rel":"next","href":"http://h/v3/backups?limit=1&marker=1"}]}"#,
            ),
            (
                "with_count=true",
                vec![1, 2],
                Some(2),
                r#"{"backups":[1,2],"count":2}"#,
            ),
            (
                "with_count=true",
                vec![],
                Some(0),
                r#"{"backups":[],"count":0}"#,
            ),
            (
                "with_count=true&limit=2&marker=0",
                vec![1],
                Some(3),
                r#"{"backups":[1],"backups_links":[{"rel":"next","href":"http://h/v3/backups?limit=2&marker=1&with_count=true"}],"count":3}"#,
            ),
        ] {
            assert_eq!(next(query, items, total), want, "{query}");
        }
    }
}
