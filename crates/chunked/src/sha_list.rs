//! The `_sha256file` object: the hash of every block of the image. Always read as a stream,
//! since a volume of 10 TiB makes 20 GB of it.

use std::fmt;
use std::io::{BufReader, Read};

use emberkeep_model::{BackupId, VolumeId};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{ChunkedError, DescriptionFault};
use crate::json::Guard;
use crate::metadata::{Scalar, check_version, parse_id, required};
use crate::port::{ForeignObjects, Location};

/// The SHA-256 of one block.
pub(crate) type Hash = [u8; 32];

/// What a `_sha256file` says besides its hashes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShaList {
    pub(crate) backup_id: BackupId,
    pub(crate) volume_id: VolumeId,
    pub(crate) block_size: u64,
    pub(crate) count: u64,
}

/// Whether to go on reading.
pub(crate) type GoOn = bool;

/// Reads a list and hands every hash to `each`; returns none if that would have no more.
pub(crate) fn read_sha_list(
    objects: &dyn ForeignObjects,
    location: &Location,
    each: &mut dyn FnMut(Hash) -> GoOn,
) -> Result<Option<ShaList>, ChunkedError> {
    let object = location.sha256_name();
    let reader = objects.open(location.container(), &object)?;
    parse(reader, each).map_err(|fault| ChunkedError::Description { object, fault })
}

fn parse(
    reader: impl Read,
    each: &mut dyn FnMut(Hash) -> GoOn,
) -> Result<Option<ShaList>, DescriptionFault> {
    let mut draft = Draft {
        each,
        enough: false,
        count: None,
        version: None,
        backup_id: None,
        volume_id: None,
        chunk_size: None,
    };
    let guard = BufReader::with_capacity(64 << 10, Guard::new(reader, u64::MAX));
    let mut json = serde_json::Deserializer::from_reader(guard);
    let parsed = (&mut draft)
        .deserialize(&mut json)
        .and_then(|()| json.end());
    if draft.enough {
        return Ok(None);
    }
    parsed.map_err(DescriptionFault::Json)?;
    check_version(draft.version)?;
    let block_size = match draft.chunk_size {
        Some(Scalar::Number(size)) if size > 0 => size,
        Some(found) => {
            return Err(DescriptionFault::BadField {
                field: "chunk_size",
                found: found.to_string(),
            });
        }
        None => return Err(DescriptionFault::NoField("chunk_size")),
    };
    Ok(Some(ShaList {
        backup_id: parse_id("backup_id", &required("backup_id", draft.backup_id)?)?,
        volume_id: parse_id("volume_id", &required("volume_id", draft.volume_id)?)?,
        block_size,
        count: draft.count.ok_or(DescriptionFault::NoField("sha256s"))?,
    }))
}

struct Draft<'a> {
    each: &'a mut dyn FnMut(Hash) -> GoOn,
    enough: bool,
    count: Option<u64>,
    version: Option<Scalar>,
    backup_id: Option<Scalar>,
    volume_id: Option<Scalar>,
    chunk_size: Option<Scalar>,
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
        f.write_str("the hashes of a backup")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match key.as_str() {
                "version" => self.version = Some(map.next_value()?),
                "backup_id" => self.backup_id = Some(map.next_value()?),
                "volume_id" => self.volume_id = Some(map.next_value()?),
                "chunk_size" => self.chunk_size = Some(map.next_value()?),
                "sha256s" if self.count.is_some() => {
                    return Err(A::Error::duplicate_field("sha256s"));
                }
                "sha256s" => map.next_value_seed(Hashes(self))?,
                _ => drop(map.next_value::<IgnoredAny>()?),
            }
        }
        Ok(())
    }
}

struct Hashes<'a, 'b>(&'a mut Draft<'b>);

impl<'de> DeserializeSeed<'de> for Hashes<'_, '_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Hashes<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of hashes")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let mut count = 0;
        while let Some(OneHash(hash)) = seq.next_element()? {
            count += 1;
            if !(self.0.each)(hash) {
                self.0.enough = true;
                return Err(A::Error::custom("no more is wanted"));
            }
        }
        self.0.count = Some(count);
        Ok(())
    }
}

struct OneHash(Hash);

impl<'de> serde::Deserialize<'de> for OneHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(HashVisitor)
    }
}

struct HashVisitor;

impl Visitor<'_> for HashVisitor {
    type Value = OneHash;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("64 hex digits")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<OneHash, E> {
        let mut hash = [0; 32];
        hex::decode_to_slice(text, &mut hash)
            .map_err(|_| E::invalid_value(serde::de::Unexpected::Str(text), &self))?;
        Ok(OneHash(hash))
    }
}
