//! Every decoder of the format: no input makes one panic, and what has one spelling keeps it.
//!
//! `cargo xtask fuzz --only page` gives one of them all the time, `--only decoders` each its own.
//! The same laws are tested with random and mutated bytes beside each decoder.
#![no_main]

use emberkeep_format::{
    CatalogCopyHead, ChunkId, Condemnation, Decompressor, Descriptor, Encoding, Envelope, EnvelopeKind, IndexRun, KeySpace, Lease,
    LedgerEntry, LedgerLabel, LedgerRecord, LedgerSet, Manifest, NONCE_LEN, Node, ObjectId, PACK_HEADER_LEN, PACK_TRAILER_LEN, PackHeader, PackId, PackKind,
    PackTrailer, Page, Progress, SealKey, SessionRecord, SpoolFrame, TAG_LEN, TocEntry, Tombstone, Verified,
    decode_catalog_copy, decode_section, decode_toc, encode_catalog_copy, encode_run, names, open_chunk, verify_checksum,
};
use emberkeep_keys::{MasterKey, RepositorySecret};
use libfuzzer_sys::fuzz_target;
use std::sync::LazyLock;

const WINDOW: u32 = 16 << 20;

/// A decoder's law: what tells its variants apart, and the bytes it is given.
type Law = fn(u8, &[u8]);

/// Every decoder. `EMBERKEEP_DECODER` names the one that gets all inputs; else their first byte chooses.
const DECODERS: [(&str, Law); 26] = [
    ("catalog_copy", |_, bytes| {
        if let Ok((head, sections)) = decode_catalog_copy(bytes) {
            assert_eq!(encode_catalog_copy(&head, &sections), bytes);
        }
    }),
    ("catalog_head", |_, bytes| drop(CatalogCopyHead::decode(bytes))),
    ("catalog_section", |_, bytes| drop(decode_section(bytes))),
    ("page", |_, bytes| {
        if let Ok(page) = Page::decode(bytes, WINDOW) {
            assert_eq!(page.encode(), bytes);
        }
    }),
    ("node", |depth, bytes| {
        if let Ok(node) = Node::decode(bytes, depth) {
            assert_eq!(node.encode(), bytes);
        }
    }),
    ("index_run", |_, bytes| {
        if let Ok(run) = IndexRun::decode(bytes) {
            assert_eq!(encode_run(&run.packs, &run.entries), bytes);
        }
    }),
    ("progress", |_, bytes| {
        if let Ok(record) = Progress::decode(bytes) {
            assert_eq!(record.encode(), bytes);
        }
    }),
    ("manifest", |_, bytes| {
        if let Ok(manifest) = Manifest::decode(bytes) {
            assert_eq!(Manifest::decode(&manifest.encode()).ok(), Some(manifest));
        }
    }),
    ("descriptor", |_, bytes| drop(Descriptor::decode(bytes))),
    ("pack_header", |_, bytes| drop(PackHeader::decode(bytes))),
    ("pack_trailer", |_, bytes| drop(PackTrailer::decode(bytes, bytes.len() as u64))),
    ("checksum", |_, bytes| drop(verify_checksum(bytes))),
    ("session", |_, bytes| drop(SessionRecord::decode(bytes))),
    ("condemnation", |_, bytes| drop(Condemnation::decode(bytes))),
    ("lease", |_, bytes| drop(Lease::decode(bytes))),
    ("table_of_contents", |_, bytes| table_of_contents(bytes)),
    ("envelope", |_, bytes| envelope(bytes)),
    ("wrapped_keys", wrapped_keys),
    ("verified", |_, bytes| {
        if let Ok(record) = Verified::decode(bytes) {
            assert_eq!(record.encode(), bytes);
        }
    }),
    ("ledger_entry", |_, bytes| {
        if let Ok(entry) = LedgerEntry::decode(bytes) {
            assert_eq!(entry.encode(), bytes);
        }
    }),
    ("tombstone", |_, bytes| {
        if let Ok(tombstone) = Tombstone::decode(bytes) {
            assert_eq!(tombstone.encode(), bytes);
        }
    }),
    ("ledger_set", |_, bytes| {
        if let Ok(set) = LedgerSet::decode(bytes) {
            assert_eq!(set.encode(), bytes);
        }
    }),
    ("spool_frame", |_, bytes| {
        if let Ok(frame) = SpoolFrame::decode(bytes) {
            let mut again = Vec::new();
            frame.encode(&mut again);
            assert_eq!(again, bytes);
        }
    }),
    ("sealed_chunk", |_, bytes| sealed_chunk(bytes)),
    ("names", |_, bytes| last_segments(bytes)),
    ("zstd_frame", |_, bytes| {
        if let Ok(mut decoder) = Decompressor::new() {
            let plain = decoder.decode(bytes, Encoding::Zstd, 1 << 16);
            assert!(plain.is_err() || plain.is_ok_and(|plain| plain.len() == 1 << 16));
        }
    }),
];

/// The decoder that was asked for.
static CHOSEN: LazyLock<Option<Law>> = LazyLock::new(|| {
    let wanted = std::env::var("EMBERKEEP_DECODER").ok()?;
    let found = DECODERS.iter().find(|(name, _)| *name == wanted);
    Some(found.unwrap_or_else(|| panic!("there is no decoder {wanted}")).1)
});

fuzz_target!(|input: &[u8]| {
    let Some((choice, bytes)) = input.split_first() else {
        return;
    };
    if let Some(law) = *CHOSEN {
        return law(*choice, bytes);
    }
    let count = DECODERS.len() as u8;
    DECODERS[usize::from(choice % count)].1(choice / count, bytes);
});

/// What was sealed opens, and nothing else.
fn envelope(bytes: &[u8]) {
    let place = Envelope {
        kind: EnvelopeKind::Progress,
        repository: uuid::Uuid::nil(),
        name: "p/x",
    };
    let key = SealKey::new(&[3; 32]);
    assert!(place.open(&key, &mut bytes.to_vec()).is_err(), "nobody guesses a seal");
    let mut sealed = place.seal(&key, [1; NONCE_LEN], bytes);
    assert_eq!(place.open(&key, &mut sealed).ok(), Some(bytes));
}

/// The last part of any listed name is read as what its place says it is.
fn last_segments(bytes: &[u8]) {
    let name = String::from_utf8_lossy(bytes);
    if let Some(pack) = names::last_segment::<PackId>(&name) {
        assert_eq!(names::last_segment(&pack.to_string()), Some(pack));
    }
    if let Some(id) = names::last_segment::<ObjectId>(&name) {
        assert_eq!(names::last_segment(&id.to_string()), Some(id));
    }
    if let Some(label) = names::last_segment::<LedgerLabel>(&name) {
        assert_eq!(names::last_segment(&label.to_string()), Some(label));
    }
    if let Some(record) = names::last_segment::<LedgerRecord>(&name) {
        assert_eq!(names::last_segment(&record.to_string()), Some(record));
    }
    if let Some(space) = names::last_segment::<KeySpace>(&name) {
        assert_eq!(names::last_segment(&space.to_string()), Some(space));
    }
}

/// A chunk with any entry: what is not what was sealed is not opened.
fn sealed_chunk(bytes: &[u8]) {
    let key = SealKey::new(&[3; 32]);
    let entry = TocEntry {
        id: ChunkId([5; 32]),
        offset: 48,
        sealed_len: bytes.len() as u32,
        plain_len: 1 << 10,
        encoding: Encoding::Raw,
    };
    assert!(open_chunk(&key, &entry, &mut bytes.to_vec()).is_err(), "nobody guesses a seal");
}

/// Sealed by whoever has the key, and still not believed.
fn table_of_contents(plain: &[u8]) {
    let header = PackHeader {
        kind: PackKind::Data,
        repository: uuid::Uuid::nil(),
        pack: PackId([7; 16]),
    };
    let key = SealKey::new(&[3; 32]);
    let Ok(toc_len) = u32::try_from(plain.len() + TAG_LEN) else {
        return;
    };
    // Where the chunks of a sound table end, so that some get past that check.
    let sealed_lens = plain.chunks_exact(45).filter_map(|entry| entry.get(36..40)?.try_into().ok());
    let chunks: u32 = sealed_lens.map(u32::from_le_bytes).fold(0, u32::wrapping_add);
    let toc_offset = chunks.wrapping_add(PACK_HEADER_LEN as u32);
    let mut end = [0; PACK_TRAILER_LEN];
    end[..4].copy_from_slice(&toc_offset.to_le_bytes());
    end[4..8].copy_from_slice(&toc_len.to_le_bytes());
    end[8] = 1;
    end[PACK_TRAILER_LEN - 8..].copy_from_slice(b"EMKPTAIL");
    let size = u64::from(toc_offset) + u64::from(toc_len) + PACK_TRAILER_LEN as u64;
    let Ok(trailer) = PackTrailer::decode(&end, size) else {
        return;
    };
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&toc_offset.to_le_bytes());
    let mut sealed = plain.to_vec();
    let tag = key.seal(nonce, &header.encode(), &mut sealed);
    sealed.extend_from_slice(&tag);
    if let Ok(entries) = decode_toc(&key, &header, &trailer, &mut sealed) {
        let mut at = PACK_HEADER_LEN as u64;
        for entry in &entries {
            assert_eq!(u64::from(entry.offset), at);
            at += u64::from(entry.sealed_len);
        }
        assert_eq!(at, u64::from(toc_offset));
    }
}

/// Keys that were wrapped by whoever has the key above them.
fn wrapped_keys(which: u8, plain: &[u8]) {
    let repository = uuid::Uuid::nil();
    let seal = |kind, name: &str, key: [u8; 32], plain: &[u8]| {
        let place = Envelope { kind, repository, name };
        place.seal(&SealKey::new(&key), [1; NONCE_LEN], plain)
    };
    let raw = [42; 32];
    let master = MasterKey::from_bytes(raw);
    let master_wrap = blake3::derive_key("emberkeep 2026 v1 master wrap", &raw);
    let wrap = |plain: &[u8]| {
        let name = names::master_key(master.id());
        let stored = seal(EnvelopeKind::MasterWrap, &name, master_wrap, plain);
        RepositorySecret::unwrap(repository, &master, master.id(), stored)
    };
    if which % 2 == 0 {
        assert_eq!(wrap(plain).is_ok(), plain.len() == 32 || plain.len() == 64);
        return;
    }
    let secret = wrap(&raw).expect("it has the length of a key");
    let name = plain.get(32..).and_then(|name| std::str::from_utf8(name).ok());
    let space = secret.key_space(name.unwrap_or_default());
    let project_wrap = blake3::derive_key("emberkeep 2026 v1 project key wrap", &raw);
    let place = names::project_key(space);
    let stored = seal(EnvelopeKind::ProjectKey, &place, project_wrap, plain);
    let opened = secret.unwrap_project(space, &stored);
    assert_eq!(opened.is_ok(), name.is_some());
    // Bound to the ring: whatever is behind the head, and no panic.
    let bound = [b"EMKR\x01\0\0\0".as_slice(), plain].concat();
    assert!(secret.unwrap_project(space, &bound).is_err());
    let _ = MasterKey::parse(plain);
}
