//! Bytes at rest: encodes and decodes everything a repository stores, format version 1.
//!
//! Does no I/O, reads no clock and draws no random numbers: keys, nonces and times are arguments.
//! Every decoder is total: any input gives a value or a [`FormatError`], never a panic, and no
//! length found in the input is believed before it is checked. `docs/format.md` describes the
//! same bytes in words; start at `pack.rs`, the object that holds the data.

mod bound;
mod bytes;
mod catalog_copy;
mod chunk;
mod cut;
mod descriptor;
mod error;
mod facts;
mod ids;
mod index;
mod ledger;
mod manifest;
mod many;
mod map;
pub mod names;
mod pack;
mod progress;
mod records;
mod seal;
mod spool;
mod verified;
mod zero;

pub use bound::{KeyTag, WrappedKey};
pub use catalog_copy::{
    CatalogCopyHead, CatalogPart, SectionRecord, decode_catalog_copy, decode_section,
    encode_catalog_copy, encode_section,
};
pub use chunk::{Compressor, Decompressor, Encoding, MAX_CHUNK};
pub use cut::{BLOCK, Cutter, Segments, Verdict};
pub use descriptor::{ChunkerSpec, Descriptor, FORMAT_VERSION, MAX_WINDOW_LOG2, MIN_WINDOW_LOG2};
pub use error::FormatError;
pub use facts::{BackupFacts, CheckpointFacts, ContextFacts, PolicyFacts, VaultFacts, WholeFacts};
pub use ids::{ChunkId, ChunkIdKey, KeySpace, ObjectId, PackId, UnixMicros};
pub use index::{IndexEntries, IndexEntry, IndexRun, PackRecord, encode_run};
pub use ledger::{LedgerEntry, LedgerLabel, LedgerRecord, LedgerSet, NotInLedger, Tombstone};
pub use manifest::{BackupStatistics, ChangeRecord, Manifest, MapRoot, SourceRecord};
pub use many::ChunkHasher;
pub use map::{FANOUT, Node, NodeEntry, Page, PageEntry, depth_for};
pub use pack::{
    PACK_HEADER_LEN, PACK_TRAILER_LEN, PackBuilder, PackBytes, PackHeader, PackKind, PackTrailer,
    TocEntry, decode_toc, open_chunk, verify_checksum,
};
pub use progress::{DoneWindow, Progress};
pub use records::{Condemnation, Lease, SessionKind, SessionOwner, SessionRecord};
pub use seal::{Envelope, EnvelopeKind, NONCE_LEN, SealKey, TAG_LEN};
pub use spool::{SpoolFrame, SpooledChunk};
pub use verified::Verified;
pub use zero::is_zero;
