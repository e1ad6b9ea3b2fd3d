//! Index runs: where the chunks of the packs that one run wrote lie.

use std::ops::Range;

use crate::bytes::{Fields, len_u32};
use crate::seal::TAG_LEN;
use crate::{ChunkId, Encoding, FormatError, MAX_CHUNK, PackId, PackKind, TocEntry};

const VERSION: u32 = 1;
const WHAT: &str = "index run";
const PACK_LEN: usize = 24;
const ENTRY_LEN: usize = 48;
const LENGTH_BITS: u32 = 28;

/// A pack that an index knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackRecord {
    /// The pack.
    pub pack: PackId,
    /// Its size in bytes.
    pub size: u32,
    /// What it holds.
    pub kind: PackKind,
}

/// Where one chunk lies, in 48 bytes: a TiB of unique data has some 20 million of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct IndexEntry {
    /// The chunk.
    pub id: ChunkId,
    /// The pack's place in the table that comes with the entries.
    pub pack: u32,
    /// First sealed byte in the pack.
    pub offset: u32,
    /// Sealed length, tag included.
    pub sealed_len: u32,
    plain_and_encoding: u32,
}

impl IndexEntry {
    /// Makes the entry of a chunk in the pack at `pack` in the table.
    pub fn new(pack: u32, toc: &TocEntry) -> Self {
        Self {
            id: toc.id,
            pack,
            offset: toc.offset,
            sealed_len: toc.sealed_len,
            plain_and_encoding: toc.plain_len | (toc.encoding as u32) << LENGTH_BITS,
        }
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.id.0);
        for field in [
            self.pack,
            self.offset,
            self.sealed_len,
            self.plain_and_encoding,
        ] {
            out.extend_from_slice(&field.to_le_bytes());
        }
    }

    fn decode(bytes: &[u8; ENTRY_LEN]) -> Self {
        let field = |at: usize| {
            let mut field = [0; 4];
            field.copy_from_slice(&bytes[at..at + 4]);
            u32::from_le_bytes(field)
        };
        let mut id = [0; 32];
        id.copy_from_slice(&bytes[..32]);
        Self {
            id: ChunkId(id),
            pack: field(32),
            offset: field(36),
            sealed_len: field(40),
            plain_and_encoding: field(44),
        }
    }

    /// Returns the length once opened and decoded.
    pub fn plain_len(&self) -> u32 {
        self.plain_and_encoding & ((1 << LENGTH_BITS) - 1)
    }

    /// Returns what is needed to open the chunk.
    pub fn toc(&self) -> TocEntry {
        let encoded = self.plain_and_encoding >> LENGTH_BITS;
        TocEntry {
            id: self.id,
            offset: self.offset,
            sealed_len: self.sealed_len,
            plain_len: self.plain_len(),
            encoding: if encoded == 0 {
                Encoding::Raw
            } else {
                Encoding::Zstd
            },
        }
    }
}

/// One decoded run: a table of packs and entries sorted by chunk, then pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IndexRun {
    /// The packs that entries point to.
    pub packs: Vec<PackRecord>,
    /// The chunks, sorted.
    pub entries: Vec<IndexEntry>,
}

/// Returns the plaintext of a run; `entries` must be sorted.
pub fn encode_run(packs: &[PackRecord], entries: &[IndexEntry]) -> Vec<u8> {
    debug_assert!(entries.is_sorted());
    let mut out = Vec::with_capacity(16 + packs.len() * PACK_LEN + entries.len() * ENTRY_LEN);
    for field in [VERSION, len_u32(packs.len()), len_u32(entries.len()), 0] {
        out.extend_from_slice(&field.to_le_bytes());
    }
    for record in packs {
        out.extend_from_slice(&record.pack.0);
        out.extend_from_slice(&record.size.to_le_bytes());
        out.extend_from_slice(&[record.kind as u8, 0, 0, 0]);
    }
    for entry in entries {
        entry.encode(&mut out);
    }
    out
}

impl IndexRun {
    /// Reads the plaintext of a run.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let (packs, entries) = parse(bytes)?;
        Ok(Self {
            packs,
            entries: entries.iter().map(IndexEntry::decode).collect(),
        })
    }
}

/// Checks a run and returns its packs and its entries as they are.
fn parse(bytes: &[u8]) -> Result<(Vec<PackRecord>, &[[u8; ENTRY_LEN]]), FormatError> {
    let mut fields = Fields::new(bytes, WHAT);
    let version = fields.u32()?;
    if version != VERSION {
        return Err(FormatError::UnknownVersion {
            what: WHAT,
            version,
        });
    }
    let (pack_count, entry_count) = (fields.u32()? as usize, fields.u32()? as usize);
    if fields.u32()? != 0 {
        return Err(fields.malformed("reserved bytes are set"));
    }
    let want = pack_count as u64 * PACK_LEN as u64 + entry_count as u64 * ENTRY_LEN as u64;
    if (bytes.len() - 16) as u64 != want {
        return Err(fields.malformed("its length does not fit its counts"));
    }
    let mut packs = Vec::with_capacity(pack_count);
    for _ in 0..pack_count {
        let pack = PackId(fields.array()?);
        let size = fields.u32()?;
        let [kind, reserved @ ..] = fields.array::<4>()?;
        if reserved != [0; 3] {
            return Err(fields.malformed("reserved bytes are set"));
        }
        packs.push(PackRecord {
            pack,
            size,
            kind: PackKind::try_from(kind)?,
        });
    }
    let (entries, _) = fields.rest().as_chunks();
    let mut before: Option<&[u8; ENTRY_LEN]> = None;
    for bytes in entries {
        let entry = IndexEntry::decode(bytes);
        let end = u64::from(entry.offset) + u64::from(entry.sealed_len);
        let fits = packs
            .get(entry.pack as usize)
            .is_some_and(|p| end <= u64::from(p.size))
            && entry.sealed_len as usize >= TAG_LEN
            && entry.plain_len() <= MAX_CHUNK
            && entry.plain_and_encoding >> LENGTH_BITS <= 1;
        if !fits {
            return Err(fields.malformed("an entry points outside its pack"));
        }
        // The first bytes decide nearly every comparison.
        if before.is_some_and(|before| {
            head(before) >= head(bytes) && IndexEntry::decode(before) >= entry
        }) {
            return Err(fields.malformed("its entries are out of order"));
        }
        before = Some(bytes);
    }
    Ok((packs, entries))
}

/// Returns the first bytes of an entry's id, in the order of ids.
fn head(entry: &[u8; ENTRY_LEN]) -> u64 {
    entry
        .first_chunk()
        .map_or(0, |head| u64::from_be_bytes(*head))
}

/// Entries where they were decrypted, read one by one: a large index is never copied.
#[derive(Debug, Clone, Default)]
pub struct IndexEntries {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl IndexEntries {
    /// Checks a run, the plaintext of which lies at `plain` in `bytes`; returns its packs too.
    pub fn of_run(
        bytes: Vec<u8>,
        plain: Range<usize>,
    ) -> Result<(Vec<PackRecord>, Self), FormatError> {
        let run = bytes
            .get(plain.clone())
            .ok_or(FormatError::Truncated { what: WHAT })?;
        let (packs, entries) = parse(run)?;
        let (start, end) = (plain.end - entries.len() * ENTRY_LEN, plain.end);
        Ok((packs, Self { bytes, start, end }))
    }

    /// Makes room for so many entries.
    pub fn with_capacity(entries: usize) -> Self {
        Self {
            bytes: Vec::with_capacity(entries * ENTRY_LEN),
            start: 0,
            end: 0,
        }
    }

    /// Adds an entry, which comes after all there are. Only for what was not read from a run.
    pub fn push(&mut self, entry: &IndexEntry) {
        self.bytes.truncate(self.end);
        entry.encode(&mut self.bytes);
        self.end = self.bytes.len();
    }

    fn slots(&self) -> &[[u8; ENTRY_LEN]] {
        self.bytes[self.start..self.end].as_chunks().0
    }

    /// Returns how many there are.
    pub fn len(&self) -> usize {
        (self.end - self.start) / ENTRY_LEN
    }

    /// Tells whether there is none.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Returns the entry at `at`, which is less than their number.
    pub fn get(&self, at: usize) -> IndexEntry {
        IndexEntry::decode(&self.slots()[at])
    }

    /// Returns the first bytes of the id at `at`, in the order of ids.
    pub fn head(&self, at: usize) -> u64 {
        head(&self.slots()[at])
    }

    /// Returns the id at `at`.
    pub fn id(&self, at: usize) -> ChunkId {
        ChunkId(
            *self.slots()[at]
                .first_chunk()
                .expect("ids are shorter than entries"),
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn runs() -> impl Strategy<Value = IndexRun> {
        let entry = (
            any::<[u8; 32]>(),
            0u32..3,
            0u32..1000,
            16u32..1000,
            0u32..MAX_CHUNK,
            0u8..2,
        );
        prop::collection::vec(entry, 0..40).prop_map(|list| {
            let packs = (0..3)
                .map(|n| PackRecord {
                    pack: PackId([n; 16]),
                    size: 2000,
                    kind: PackKind::Map,
                })
                .collect();
            let mut entries: Vec<IndexEntry> = list
                .into_iter()
                .map(|(id, pack, offset, sealed_len, plain_len, encoding)| {
                    let encoding = Encoding::try_from(encoding).unwrap();
                    let toc = TocEntry {
                        id: ChunkId(id),
                        offset,
                        sealed_len,
                        plain_len,
                        encoding,
                    };
                    let entry = IndexEntry::new(pack, &toc);
                    assert_eq!(entry.toc(), toc);
                    entry
                })
                .collect();
            entries.sort_unstable();
            entries.dedup();
            IndexRun { packs, entries }
        })
    }

    proptest! {
        #[test]
        fn runs_round_trip(run in runs()) {
            let bytes = encode_run(&run.packs, &run.entries);
            prop_assert_eq!(&IndexRun::decode(&bytes).unwrap(), &run);
            let framed = [b"head", &bytes[..], b"tail"].concat();
            let (packs, entries) = IndexEntries::of_run(framed, 4..4 + bytes.len()).unwrap();
            prop_assert_eq!(packs, run.packs);
            let all: Vec<_> = (0..entries.len()).map(|at| entries.get(at)).collect();
            prop_assert_eq!(&all, &run.entries);
            let mut pushed = IndexEntries::with_capacity(1);
            for (at, entry) in all.iter().enumerate() {
                prop_assert_eq!(entries.id(at), entry.id);
                prop_assert_eq!(&entries.head(at).to_be_bytes()[..], &entry.id.0[..8]);
                pushed.push(entry);
                prop_assert_eq!(pushed.get(at), *entry);
            }
            prop_assert_eq!(pushed.len(), all.len());
            prop_assert_eq!(entries.is_empty(), all.is_empty());
        }

        #[test]
        fn mutated_runs_have_one_spelling(run in runs(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = encode_run(&run.packs, &run.entries);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = IndexRun::decode(&bytes) {
                prop_assert_eq!(encode_run(&other.packs, &other.entries), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = IndexRun::decode(&bytes);
        }
    }

    #[test]
    fn an_entry_takes_48_bytes_in_memory() {
        assert_eq!(size_of::<IndexEntry>(), 48);
    }
}
