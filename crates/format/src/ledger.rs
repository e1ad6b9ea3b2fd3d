//! The ledger: which backups there must be, so that a manifest that was lost is missed.
//!
//! Every finished backup has an entry, every deleted one a tombstone; from time to time a sweep
//! writes one set of both and removes them. Entries name those before them, so that one that
//! is removed together with its manifest is missed as well.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use emberkeep_model::BackupId;
use uuid::Uuid;

use crate::bytes::{Fields, len_u32};
use crate::{FormatError, ObjectId, UnixMicros};

const VERSION: u32 = 1;
/// Digits of a number in a name: names sort as numbers do.
const DIGITS: usize = 20;

/// One backup as it was made: the same id may be used again by another session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerLabel {
    /// The backup.
    pub backup: BackupId,
    /// The session that wrote its manifest.
    pub session: ObjectId,
}

/// One backup with its place in the order of the ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LedgerRecord {
    /// One more than the highest number that its writer saw; 0 for a backup older than the ledger.
    pub number: u64,
    /// The backup.
    pub label: LedgerLabel,
}

impl fmt::Display for LedgerLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.backup, self.session)
    }
}

impl fmt::Display for LedgerRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:0DIGITS$}.{}", self.number, self.label)
    }
}

/// A name that is not one of the ledger's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a name in the ledger")]
pub struct NotInLedger;

impl FromStr for LedgerLabel {
    type Err = NotInLedger;

    fn from_str(text: &str) -> Result<Self, NotInLedger> {
        let (backup, session) = text.split_once('.').ok_or(NotInLedger)?;
        let label = Self {
            backup: BackupId(Uuid::parse_str(backup).map_err(|_| NotInLedger)?),
            session: session.parse().map_err(|_| NotInLedger)?,
        };
        // A name has one spelling.
        (label.to_string() == text)
            .then_some(label)
            .ok_or(NotInLedger)
    }
}

impl FromStr for LedgerRecord {
    type Err = NotInLedger;

    fn from_str(text: &str) -> Result<Self, NotInLedger> {
        let (number, label) = text.split_once('.').ok_or(NotInLedger)?;
        if number.len() != DIGITS || !number.bytes().all(|b| b.is_ascii_digit()) {
            return Err(NotInLedger);
        }
        Ok(Self {
            number: number.parse().map_err(|_| NotInLedger)?,
            label: label.parse()?,
        })
    }
}

fn version(fields: &mut Fields<'_>, what: &'static str) -> Result<(), FormatError> {
    match fields.u32()? {
        VERSION => Ok(()),
        version => Err(FormatError::UnknownVersion { what, version }),
    }
}

fn u64_of(fields: &mut Fields<'_>) -> Result<u64, FormatError> {
    Ok(u64::from_le_bytes(fields.array()?))
}

fn put_record(out: &mut Vec<u8>, record: &LedgerRecord) {
    out.extend_from_slice(&record.number.to_le_bytes());
    out.extend_from_slice(record.label.backup.0.as_bytes());
    out.extend_from_slice(&record.label.session.0);
}

/// Reads so many records, which ascend.
fn records(fields: &mut Fields<'_>, count: u32) -> Result<BTreeSet<LedgerRecord>, FormatError> {
    let mut found = BTreeSet::new();
    for _ in 0..count {
        let record = LedgerRecord {
            number: u64_of(fields)?,
            label: LedgerLabel {
                backup: BackupId(Uuid::from_bytes(fields.array()?)),
                session: ObjectId(fields.array()?),
            },
        };
        if found.last().is_some_and(|last| *last >= record) {
            return Err(fields.malformed("its records do not ascend"));
        }
        found.insert(record);
    }
    Ok(found)
}

/// Says that a backup was made; the name of the object says which.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LedgerEntry {
    /// The number of the set that its writer saw; 0 for none.
    pub set: u64,
    /// Entries that its writer saw, the latest of them.
    pub before: BTreeSet<LedgerRecord>,
}

impl LedgerEntry {
    const WHAT: &'static str = "ledger entry";

    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(16 + self.before.len() * 40);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&self.set.to_le_bytes());
        out.extend_from_slice(&len_u32(self.before.len()).to_le_bytes());
        self.before
            .iter()
            .for_each(|record| put_record(&mut out, record));
        out
    }

    /// Reads the plaintext.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, Self::WHAT);
        version(&mut fields, Self::WHAT)?;
        let set = u64_of(&mut fields)?;
        let count = fields.u32()?;
        let before = records(&mut fields, count)?;
        if !fields.is_empty() {
            return Err(fields.malformed("bytes follow its end"));
        }
        Ok(Self { set, before })
    }
}

/// Says that a backup was deleted, written before its manifest goes; the name of the object
/// says which.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tombstone {
    /// When it was deleted.
    pub at: UnixMicros,
}

impl Tombstone {
    const WHAT: &'static str = "tombstone";

    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        [&VERSION.to_le_bytes()[..], &self.at.0.to_le_bytes()].concat()
    }

    /// Reads the plaintext.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, Self::WHAT);
        version(&mut fields, Self::WHAT)?;
        let at = UnixMicros(i64::from_le_bytes(fields.array()?));
        if !fields.is_empty() {
            return Err(fields.malformed("bytes follow its end"));
        }
        Ok(Self { at })
    }
}

/// All that entries and tombstones said when a sweep wrote it; the name of the object has its
/// number, and the one with the highest number counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerSet {
    /// Tells it apart from another set of the same number, in a store that was rolled back.
    pub id: ObjectId,
    /// The sets before it, by number, without the oldest.
    pub lineage: Vec<(u64, ObjectId)>,
    /// Backups that must be there.
    pub live: BTreeSet<LedgerRecord>,
    /// Backups that were deleted, without the oldest.
    pub dropped: BTreeSet<LedgerRecord>,
}

impl LedgerSet {
    const WHAT: &'static str = "ledger set";

    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        let records = self.live.len() + self.dropped.len();
        let mut out = Vec::with_capacity(32 + self.lineage.len() * 24 + records * 40);
        out.extend_from_slice(&VERSION.to_le_bytes());
        for len in [self.lineage.len(), self.live.len(), self.dropped.len()] {
            out.extend_from_slice(&len_u32(len).to_le_bytes());
        }
        out.extend_from_slice(&self.id.0);
        for (number, id) in &self.lineage {
            out.extend_from_slice(&number.to_le_bytes());
            out.extend_from_slice(&id.0);
        }
        let all = self.live.iter().chain(&self.dropped);
        all.for_each(|record| put_record(&mut out, record));
        out
    }

    /// Reads the plaintext; numbers and records ascend.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, Self::WHAT);
        version(&mut fields, Self::WHAT)?;
        let (sets, live, dropped) = (fields.u32()?, fields.u32()?, fields.u32()?);
        let id = ObjectId(fields.array()?);
        let mut lineage: Vec<(u64, ObjectId)> = Vec::new();
        for _ in 0..sets {
            let number = u64_of(&mut fields)?;
            if lineage.last().is_some_and(|(last, _)| *last >= number) {
                return Err(fields.malformed("its numbers do not ascend"));
            }
            lineage.push((number, ObjectId(fields.array()?)));
        }
        let live = records(&mut fields, live)?;
        let dropped = records(&mut fields, dropped)?;
        if !fields.is_empty() {
            return Err(fields.malformed("bytes follow its end"));
        }
        Ok(Self {
            id,
            lineage,
            live,
            dropped,
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_record() -> impl Strategy<Value = LedgerRecord> {
        (any::<u64>(), any::<[u8; 16]>(), any::<[u8; 16]>()).prop_map(
            |(number, backup, session)| LedgerRecord {
                number,
                label: LedgerLabel {
                    backup: BackupId(Uuid::from_bytes(backup)),
                    session: ObjectId(session),
                },
            },
        )
    }

    fn any_records() -> impl Strategy<Value = BTreeSet<LedgerRecord>> {
        prop::collection::btree_set(any_record(), 0..5)
    }

    proptest! {
        #[test]
        fn names_round_trip_and_have_one_spelling(
            record in any_record(),
            at: prop::sample::Index,
            byte in any::<u8>(),
        ) {
            let name = record.to_string();
            prop_assert_eq!(name.parse::<LedgerRecord>(), Ok(record));
            prop_assert_eq!(record.label.to_string().parse::<LedgerLabel>(), Ok(record.label));
            let mut other = name.into_bytes();
            let at = at.index(other.len());
            other[at] = byte;
            let other = String::from_utf8_lossy(&other).into_owned();
            if let Ok(found) = other.parse::<LedgerRecord>() {
                prop_assert_eq!(found.to_string(), other);
            }
        }

        #[test]
        fn ledger_objects_round_trip_and_mutations_have_one_spelling(
            set in any::<u64>(),
            before in any_records(),
            dropped in any_records(),
            id in any::<[u8; 16]>(),
            lineage in prop::collection::btree_map(any::<u64>(), any::<[u8; 16]>(), 0..4),
            time in any::<i64>(),
            at: prop::sample::Index,
            bit in 0u8..8,
        ) {
            let entry = LedgerEntry { set, before: before.clone() };
            prop_assert_eq!(LedgerEntry::decode(&entry.encode()).unwrap(), entry.clone());
            let tombstone = Tombstone { at: UnixMicros(time) };
            prop_assert_eq!(Tombstone::decode(&tombstone.encode()).unwrap(), tombstone);
            let lineage = lineage.into_iter().map(|(n, id)| (n, ObjectId(id))).collect();
            let set = LedgerSet { id: ObjectId(id), lineage, live: before, dropped };
            prop_assert_eq!(LedgerSet::decode(&set.encode()).unwrap(), set.clone());
            for mut bytes in [entry.encode(), tombstone.encode(), set.encode()] {
                let at = at.index(bytes.len());
                bytes[at] ^= 1 << bit;
                if let Ok(other) = LedgerEntry::decode(&bytes) {
                    prop_assert_eq!(other.encode(), bytes.clone());
                }
                if let Ok(other) = Tombstone::decode(&bytes) {
                    prop_assert_eq!(other.encode(), bytes.clone());
                }
                if let Ok(other) = LedgerSet::decode(&bytes) {
                    prop_assert_eq!(other.encode(), bytes);
                }
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = LedgerEntry::decode(&bytes);
            let _ = Tombstone::decode(&bytes);
            let _ = LedgerSet::decode(&bytes);
        }
    }

    #[test]
    fn other_versions_and_cut_objects_are_refused() {
        let entry = LedgerEntry::default().encode();
        for cut in 0..entry.len() {
            assert!(LedgerEntry::decode(&entry[..cut]).is_err(), "{cut}");
        }
        let mut later = entry;
        later[0] = 2;
        let refused = LedgerEntry::decode(&later);
        assert!(
            matches!(refused, Err(FormatError::UnknownVersion { version: 2, .. })),
            "{refused:?}"
        );
    }
}
