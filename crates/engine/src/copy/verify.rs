//! What is looked at before a copy is called one.

use std::collections::HashSet;

use emberkeep_format::{ChunkId, Decompressor, MapRoot, PackRecord};

use crate::damage::{DamageCause, ReadError};
use crate::error::CopyError;
use crate::index::Standing;
use crate::load::load_index;
use crate::reader::{ChunkReader, open_verified};
use crate::run::Run;
use crate::space::Space;
use crate::tree::{Walk, read_pages};

/// Pages read at once.
const PAGES: usize = 16;
/// Bytes read at once.
const SPAN: u64 = 4 << 20;

/// Reads back every chunk that was sent and compares it with its id; returns their packs' bytes.
pub(super) fn sent(space: &Space, packs: &[PackRecord], run: &Run) -> Result<u64, CopyError> {
    let mut decoder = Decompressor::new().map_err(CopyError::Compressor)?;
    let mut verified = 0;
    for record in packs {
        let name = space.names.pack(record.pack);
        let key = space.keys.pack(record.pack);
        let (_, toc) = space.read_toc(record.pack, record.size.into())?;
        let mut rest = &toc[..];
        while let Some(first) = rest.first() {
            if run.is_cancelled() {
                return Err(CopyError::Cancelled);
            }
            let start = u64::from(first.offset);
            let near = |entry: &&emberkeep_format::TocEntry| u64::from(entry.offset) < start + SPAN;
            let count = rest.iter().take_while(near).count();
            let (group, later) = rest.split_at(count);
            rest = later;
            let end = group.last().map_or(start, |last| {
                u64::from(last.offset) + u64::from(last.sealed_len)
            });
            let mut bytes = space
                .store
                .get_range(&name, start..end)
                .map_err(ReadError::from_store)?;
            for entry in group {
                #[expect(clippy::cast_possible_truncation, reason = "a range is short")]
                let at = (u64::from(entry.offset) - start) as usize;
                let sealed = &mut bytes[at..at + entry.sealed_len as usize];
                open_verified(space, &key, &mut decoder, entry, sealed)
                    .map_err(|cause| ReadError::damaged(&name, Some(entry.offset.into()), cause))?;
            }
        }
        verified += u64::from(record.size);
    }
    Ok(verified)
}

/// Walks the map as a restore there would and looks every chunk up; what hangs on the nodes of
/// an earlier copy is that copy's.
pub(super) fn reachable(
    space: &Space,
    root: Option<MapRoot>,
    base: &HashSet<ChunkId>,
    run: &Run,
) -> Result<(), CopyError> {
    let mut index = load_index(space)?.index;
    index.compare_with(&space.list_packs()?);
    let mut reader = ChunkReader::new(space, &index, run).map_err(CopyError::Compressor)?;
    let mut walk = Walk::new(root);
    while let Some(pages) = walk.next_pages(&mut reader, &mut |id| {
        Ok::<_, CopyError>(!base.contains(&id))
    })? {
        let ids: Vec<ChunkId> = pages.into_iter().map(|(_, id)| id).collect();
        for group in ids.chunks(PAGES) {
            if run.is_cancelled() {
                return Err(CopyError::Cancelled);
            }
            read_pages(&mut reader, group, space.descriptor.window(), |_, page| {
                for entry in &page.entries {
                    let there = index.locations(&entry.id).iter().any(|place| {
                        let standing = index.standing(place.pack);
                        standing == Standing::default()
                    });
                    if !there {
                        let cause = DamageCause::NoLocation(entry.id);
                        let packs = space.names.packs();
                        return Err(ReadError::damaged(packs, None, cause).into());
                    }
                }
                Ok::<_, CopyError>(())
            })?;
        }
    }
    Ok(())
}
