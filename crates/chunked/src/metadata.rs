//! The `_metadata` object: what a backup is and which objects hold which bytes.
//!
//! It is parsed as a stream, and what is kept of an entry takes 64 bytes, so a description of
//! gigabytes costs no more memory than its limits say.

use std::collections::HashMap;
use std::fmt;
use std::io::{BufReader, Read};

use emberkeep_model::{BackupId, VolumeId};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::compression::Compression;
use crate::error::{ChunkedError, DescriptionFault, ObjectFault};
use crate::json::Guard;
use crate::names::check_path;
use crate::port::{ForeignObjects, Location};

/// The longest description that is read: twenty times what a volume of 16 TiB makes in a full
/// backup to an object store.
pub const METADATA_LIMIT: u64 = 2 << 30;

/// The most objects that a backup and those it builds on may list together; they take up to
/// 64 bytes of memory each, 512 MiB in all.
pub const OBJECTS_LIMIT: usize = 8 << 20;

/// What is recorded of one data object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Where its bytes lie in the volume.
    pub offset: u64,
    /// How many they are, uncompressed; never 0.
    pub length: u64,
    /// Their digest; old or foreign writers may leave it out.
    pub md5: Option<[u8; 16]>,
    /// How they are compressed.
    pub compression: Compression,
    suffix: Suffix,
}

/// What follows the backup's prefix in an object's name; nearly always `-00001`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Suffix {
    Number(u32),
    Other(Box<str>),
}

impl Entry {
    /// Returns where its bytes end in the volume.
    pub fn end(&self) -> u64 {
        self.offset + self.length
    }
}

/// What a backup's `_metadata` object says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackupMetadata {
    /// Where the backup lies.
    pub location: Location,
    /// The backup.
    pub backup_id: BackupId,
    /// The volume it is of.
    pub volume_id: VolumeId,
    /// The backup it builds on.
    pub parent_id: Option<BackupId>,
    /// Its name.
    pub name: Option<String>,
    /// Its description.
    pub description: Option<String>,
    /// When it was made, as Python writes it.
    pub created_at: Option<String>,
    /// What is remembered of the volume; [`crate::VolumeMeta`] understands it.
    pub volume_meta: Option<String>,
    /// Its data objects, in the order of the volume, without overlaps.
    pub objects: Vec<Entry>,
}

impl BackupMetadata {
    /// Reads the description of the backup that lies at `location`.
    pub fn read(objects: &dyn ForeignObjects, location: &Location) -> Result<Self, ChunkedError> {
        Self::read_with_room(objects, location, OBJECTS_LIMIT)
    }

    pub(crate) fn read_with_room(
        objects: &dyn ForeignObjects,
        location: &Location,
        room: usize,
    ) -> Result<Self, ChunkedError> {
        let reader = objects.open(location.container(), &location.metadata_name())?;
        Self::parse(reader, location, room)
    }

    /// Parses a description, of which at most `room` objects are taken.
    pub fn parse(
        reader: impl Read,
        location: &Location,
        room: usize,
    ) -> Result<Self, ChunkedError> {
        let object = location.metadata_name();
        let mut draft = Draft {
            location,
            room,
            failure: None,
            fields: Fields::default(),
            objects: None,
        };
        let guard = BufReader::with_capacity(64 << 10, Guard::new(reader, METADATA_LIMIT));
        let mut json = serde_json::Deserializer::from_reader(guard);
        let parsed = (&mut draft)
            .deserialize(&mut json)
            .and_then(|()| json.end());
        if let Some(failure) = draft.failure {
            return Err(failure);
        }
        parsed
            .map_err(DescriptionFault::Json)
            .and_then(|()| draft.finish())
            .map_err(|fault| ChunkedError::Description { object, fault })
    }

    /// Returns the name of an entry's object.
    pub fn object_name(&self, entry: &Entry) -> String {
        match &entry.suffix {
            Suffix::Number(number) => self.location.object_name(*number),
            Suffix::Other(text) => format!("{}{text}", self.location.prefix()),
        }
    }

    /// Prepares for looking entries up by what follows the prefix in their names.
    pub(crate) fn suffixes(&self) -> Suffixes<'_> {
        let mut suffixes = Suffixes {
            numbers: Vec::with_capacity(self.objects.len()),
            others: HashMap::new(),
        };
        for (place, entry) in (0..).zip(&self.objects) {
            match &entry.suffix {
                Suffix::Number(number) => suffixes.numbers.push((*number, place)),
                Suffix::Other(text) => suffixes.others.entry(text).or_default().push(place),
            }
        }
        suffixes.numbers.sort_unstable();
        suffixes
    }

    /// Returns where the last object ends.
    pub fn end(&self) -> u64 {
        self.objects.last().map_or(0, Entry::end)
    }

    /// Says what is wrong with an entry's object.
    pub(crate) fn object_error(
        &self,
        entry: &Entry,
        offset: u64,
        fault: ObjectFault,
    ) -> ChunkedError {
        ChunkedError::Object {
            object: self.object_name(entry),
            offset: Some(offset),
            fault,
        }
    }
}

/// What is known of a description while it is parsed.
struct Draft<'a> {
    location: &'a Location,
    room: usize,
    /// Says more than the parser's error can.
    failure: Option<ChunkedError>,
    fields: Fields,
    objects: Option<Vec<Entry>>,
}

#[derive(Default)]
struct Fields {
    version: Option<Scalar>,
    backup_id: Option<Scalar>,
    volume_id: Option<Scalar>,
    parent_id: Option<Scalar>,
    backup_name: Option<Scalar>,
    backup_description: Option<Scalar>,
    created_at: Option<Scalar>,
    volume_meta: Option<Scalar>,
}

impl Fields {
    fn slot(&mut self, key: &str) -> Option<&mut Option<Scalar>> {
        Some(match key {
            "version" => &mut self.version,
            "backup_id" => &mut self.backup_id,
            "volume_id" => &mut self.volume_id,
            "parent_id" => &mut self.parent_id,
            "backup_name" => &mut self.backup_name,
            "backup_description" => &mut self.backup_description,
            "created_at" => &mut self.created_at,
            "volume_meta" => &mut self.volume_meta,
            _ => return None,
        })
    }
}

impl Draft<'_> {
    fn finish(self) -> Result<BackupMetadata, DescriptionFault> {
        let fields = self.fields;
        check_version(fields.version)?;
        // An empty string is as good as none, as in Cinder.
        let parent_id = match optional("parent_id", fields.parent_id)? {
            Some(id) if !id.is_empty() => Some(parse_id("parent_id", &id)?),
            _ => None,
        };
        Ok(BackupMetadata {
            location: self.location.clone(),
            backup_id: parse_id("backup_id", &required("backup_id", fields.backup_id)?)?,
            volume_id: parse_id("volume_id", &required("volume_id", fields.volume_id)?)?,
            parent_id,
            name: optional("backup_name", fields.backup_name)?,
            description: optional("backup_description", fields.backup_description)?,
            created_at: optional("created_at", fields.created_at)?,
            volume_meta: optional("volume_meta", fields.volume_meta)?
                .filter(|text| !text.is_empty()),
            objects: self.objects.ok_or(DescriptionFault::NoField("objects"))?,
        })
    }

    /// Checks an entry and keeps what matters of it.
    fn add(&mut self, name: &str, raw: RawEntry) -> Result<(), ChunkedError> {
        let offset = match &raw.offset {
            Some(Scalar::Number(offset)) => Some(*offset),
            _ => None,
        };
        let entry = self
            .entry(name, raw)
            .map_err(|fault| ChunkedError::Object {
                object: name.to_owned(),
                offset,
                fault,
            })?;
        let objects = self.objects.get_or_insert_default();
        if objects.len() >= self.room {
            return Err(ChunkedError::Description {
                object: self.location.metadata_name(),
                fault: DescriptionFault::TooManyObjects {
                    limit: OBJECTS_LIMIT,
                },
            });
        }
        objects.push(entry);
        Ok(())
    }

    fn entry(&self, name: &str, raw: RawEntry) -> Result<Entry, ObjectFault> {
        let prefix = self.location.prefix();
        let suffix = name
            .strip_prefix(prefix)
            .filter(|suffix| !matches!(*suffix, "" | "_metadata" | "_sha256file"))
            .ok_or(ObjectFault::ForeignName)?;
        check_path(name).map_err(ObjectFault::UnsafeName)?;
        let offset = whole("offset", raw.offset)?;
        let length = whole("length", raw.length)?;
        let end = offset
            .checked_add(length)
            .filter(|end| length > 0 && i64::try_from(*end).is_ok())
            .ok_or_else(|| ObjectFault::BadField {
                field: "length",
                found: length.to_string(),
            })?;
        let previous = self.objects.as_ref().and_then(|objects| objects.last());
        let previous_end = previous.map_or(0, Entry::end);
        if offset < previous_end {
            return Err(ObjectFault::OutOfOrder { previous_end });
        }
        debug_assert!(end > previous_end);
        let compression = match raw.compression {
            Some(Scalar::Text(word)) => word
                .parse()
                .map_err(|_| ObjectFault::UnknownCompression(word))?,
            other => return Err(bad("compression", other)),
        };
        let md5 = match raw.md5 {
            None | Some(Scalar::Null) => None,
            Some(Scalar::Text(text)) => {
                let mut digest = [0; 16];
                hex::decode_to_slice(&text, &mut digest)
                    .map_err(|_| bad("md5", Some(Scalar::Text(text))))?;
                Some(digest)
            }
            other => return Err(bad("md5", other)),
        };
        Ok(Entry {
            offset,
            length,
            md5,
            compression,
            suffix: Suffix::of(suffix),
        })
    }
}

impl Suffix {
    fn of(text: &str) -> Self {
        text.strip_prefix('-')
            .and_then(|digits| digits.parse().ok())
            .filter(|number: &u32| format!("-{number:05}") == text)
            .map_or_else(|| Self::Other(text.into()), Self::Number)
    }
}

/// Finds the entries of a backup by the end of a name. Names in full would take more memory
/// than the entries themselves.
pub(crate) struct Suffixes<'a> {
    numbers: Vec<(u32, usize)>,
    others: HashMap<&'a str, Vec<usize>>,
}

impl Suffixes<'_> {
    /// Returns the places in the list of the entries with this suffix.
    pub(crate) fn find(&self, suffix: &str) -> Vec<usize> {
        match Suffix::of(suffix) {
            Suffix::Number(number) => {
                let first = self.numbers.partition_point(|(other, _)| *other < number);
                self.numbers[first..]
                    .iter()
                    .take_while(|(other, _)| *other == number)
                    .map(|(_, place)| *place)
                    .collect()
            }
            Suffix::Other(text) => self.others.get(&*text).cloned().unwrap_or_default(),
        }
    }
}

/// Refuses every version but the one there is.
pub(crate) fn check_version(version: Option<Scalar>) -> Result<(), DescriptionFault> {
    match required("version", version)? {
        version if version == "1.0.0" => Ok(()),
        version => Err(DescriptionFault::Version(version)),
    }
}

pub(crate) fn required(
    field: &'static str,
    value: Option<Scalar>,
) -> Result<String, DescriptionFault> {
    optional(field, value)?.ok_or(DescriptionFault::NoField(field))
}

fn optional(
    field: &'static str,
    value: Option<Scalar>,
) -> Result<Option<String>, DescriptionFault> {
    match value {
        None | Some(Scalar::Null) => Ok(None),
        Some(Scalar::Text(text)) => Ok(Some(text)),
        Some(other) => Err(DescriptionFault::BadField {
            field,
            found: other.to_string(),
        }),
    }
}

pub(crate) fn parse_id<T: std::str::FromStr>(
    field: &'static str,
    text: &str,
) -> Result<T, DescriptionFault> {
    text.parse().map_err(|_| DescriptionFault::BadField {
        field,
        found: shorten(text),
    })
}

fn whole(field: &'static str, value: Option<Scalar>) -> Result<u64, ObjectFault> {
    match value {
        Some(Scalar::Number(number)) => Ok(number),
        other => Err(bad(field, other)),
    }
}

fn bad(field: &'static str, value: Option<Scalar>) -> ObjectFault {
    match value {
        None => ObjectFault::NoField(field),
        Some(found) => ObjectFault::BadField {
            field,
            found: found.to_string(),
        },
    }
}

/// Quotes a stranger's text in an error, not at any length.
fn shorten(text: &str) -> String {
    let mut shown: String = text.chars().take(80).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("'{shown}'")
}

#[derive(Deserialize)]
struct RawEntry {
    compression: Option<Scalar>,
    length: Option<Scalar>,
    md5: Option<Scalar>,
    offset: Option<Scalar>,
}

/// A JSON value of which only what fits a field is kept.
#[derive(Debug)]
pub(crate) enum Scalar {
    Null,
    Number(u64),
    Text(String),
    /// A truth value, a number that counts nothing, a list or an object.
    Other(String),
}

impl fmt::Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&shorten(text)),
            Self::Other(what) => f.write_str(what),
        }
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<Scalar, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Scalar, E> {
        Ok(Scalar::Other(value.to_string()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Scalar, E> {
        Ok(Scalar::Number(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Scalar, E> {
        Ok(u64::try_from(value).map_or_else(|_| Scalar::Other(value.to_string()), Scalar::Number))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Scalar, E> {
        Ok(Scalar::Other(value.to_string()))
    }

    fn visit_str<E>(self, value: &str) -> Result<Scalar, E> {
        Ok(Scalar::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Scalar, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("a list".to_owned()))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Scalar, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Other("an object".to_owned()))
    }
}

impl<'de> DeserializeSeed<'de> for &mut Draft<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for &mut Draft<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the description of a backup")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            if key == "objects" {
                if self.objects.replace(Vec::new()).is_some() {
                    return Err(A::Error::duplicate_field("objects"));
                }
                map.next_value_seed(Objects(self))?;
            } else if let Some(slot) = self.fields.slot(&key) {
                *slot = Some(map.next_value()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(())
    }
}

/// The list of objects.
struct Objects<'a, 'b>(&'a mut Draft<'b>);

impl<'de> DeserializeSeed<'de> for Objects<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Objects<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element_seed(OneObject(self.0))?.is_some() {}
        Ok(())
    }
}

/// One entry of the list: an object with the data object's name for its only key.
struct OneObject<'a, 'b>(&'a mut Draft<'b>);

impl<'de> DeserializeSeed<'de> for OneObject<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for OneObject<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with one key, the name of a data object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let name = map
            .next_key::<String>()?
            .ok_or_else(|| A::Error::custom("an entry names no object"))?;
        let raw = map.next_value()?;
        let added = match map.next_key::<IgnoredAny>()? {
            None => self.0.add(&name, raw),
            Some(_) => Err(ChunkedError::Object {
                object: name,
                offset: None,
                fault: ObjectFault::TwoNames,
            }),
        };
        added.map_err(|failure| {
            self.0.failure = Some(failure);
            A::Error::custom("an entry cannot be used")
        })
    }
}
