//! The map of a volume: pages list a window's chunks, nodes make a radix tree of pages.
//!
//! Both are chunks themselves, named by their bytes, so two backups share every part of the
//! map in which they agree. Encoding is deterministic and each content has one encoding.

use crate::bytes::{Fields, put_varint};
use crate::{ChunkId, FormatError};

/// Children of a node.
pub const FANOUT: u64 = 256;
const PAGE_VERSION: u8 = 1;
const NODE_VERSION: u8 = 1;

/// One chunk of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageEntry {
    /// First byte, counted from the window's start.
    pub offset: u32,
    /// Length in bytes, never 0.
    pub length: u32,
    /// The chunk.
    pub id: ChunkId,
}

impl PageEntry {
    /// Returns one past the last byte, counted from the window's start.
    pub fn end(&self) -> u32 {
        self.offset + self.length
    }
}

/// The chunks of one window, in order; what they leave out is zero.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// The chunks, in order, without overlaps.
    pub entries: Vec<PageEntry>,
}

impl Page {
    /// Returns the page's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(1 + self.entries.len() * 36);
        out.push(PAGE_VERSION);
        let mut end = 0;
        for entry in &self.entries {
            put_varint(&mut out, entry.offset - end);
            put_varint(&mut out, entry.length);
            out.extend_from_slice(&entry.id.0);
            end = entry.end();
        }
        out
    }

    /// Reads the page of a window of `window` bytes.
    pub fn decode(bytes: &[u8], window: u32) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "page");
        match fields.u8()? {
            PAGE_VERSION => {}
            version => {
                return Err(FormatError::UnknownVersion {
                    what: "page",
                    version: version.into(),
                });
            }
        }
        let mut entries = Vec::with_capacity(bytes.len() / 34);
        let mut end = 0u32;
        while !fields.is_empty() {
            let gap = fields.varint()?;
            let length = fields.varint()?;
            let id = ChunkId(fields.array()?);
            let offset = end.checked_add(gap);
            let next = offset
                .and_then(|o| o.checked_add(length))
                .filter(|next| *next <= window);
            let (Some(offset), Some(next), true) = (offset, next, length > 0) else {
                return Err(fields.malformed("a chunk does not fit its window"));
            };
            entries.push(PageEntry { offset, length, id });
            end = next;
        }
        if entries.is_empty() {
            return Err(fields.malformed("it is empty"));
        }
        Ok(Self { entries })
    }
}

/// One child of a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeEntry {
    /// The child's place, 0 to 255.
    pub slot: u8,
    /// The child: a page below level 0, a node of the level below otherwise.
    pub id: ChunkId,
}

/// An inner part of the tree; children that are absent are all zero.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Levels of nodes below this one.
    pub level: u8,
    /// The children, in order of their slots.
    pub entries: Vec<NodeEntry>,
}

impl Node {
    /// Returns the node's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(2 + self.entries.len() * 33);
        out.extend_from_slice(&[NODE_VERSION, self.level]);
        for entry in &self.entries {
            out.push(entry.slot);
            out.extend_from_slice(&entry.id.0);
        }
        out
    }

    /// Reads a node that stands at `level`.
    pub fn decode(bytes: &[u8], level: u8) -> Result<Self, FormatError> {
        let mut fields = Fields::new(bytes, "node");
        match fields.u8()? {
            NODE_VERSION => {}
            version => {
                return Err(FormatError::UnknownVersion {
                    what: "node",
                    version: version.into(),
                });
            }
        }
        if fields.u8()? != level {
            return Err(fields.malformed("it stands at another level"));
        }
        let mut entries: Vec<NodeEntry> = Vec::with_capacity(bytes.len() / 33);
        while !fields.is_empty() {
            let entry = NodeEntry {
                slot: fields.u8()?,
                id: ChunkId(fields.array()?),
            };
            if entries.last().is_some_and(|last| last.slot >= entry.slot) {
                return Err(fields.malformed("its slots are out of order"));
            }
            entries.push(entry);
        }
        if entries.is_empty() {
            return Err(fields.malformed("it is empty"));
        }
        Ok(Self { level, entries })
    }
}

/// Returns the levels of nodes that a volume of so many windows has; at least 1.
pub fn depth_for(windows: u64) -> u8 {
    let mut depth = 1;
    let mut reach = FANOUT;
    while reach < windows {
        depth += 1;
        reach = reach.saturating_mul(FANOUT);
    }
    depth
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WINDOW: u32 = 16 << 20;

    fn pages() -> impl Strategy<Value = Page> {
        prop::collection::vec((0u32..9000, 1u32..70_000, any::<[u8; 32]>()), 1..50).prop_map(
            |list| {
                let mut end = 0;
                let entries = list
                    .into_iter()
                    .map(|(gap, length, id)| {
                        let entry = PageEntry {
                            offset: end + gap,
                            length,
                            id: ChunkId(id),
                        };
                        end = entry.end();
                        entry
                    })
                    .collect();
                Page { entries }
            },
        )
    }

    fn nodes() -> impl Strategy<Value = Node> {
        (
            0u8..4,
            prop::collection::btree_map(any::<u8>(), any::<[u8; 32]>(), 1..40),
        )
            .prop_map(|(level, map)| Node {
                level,
                entries: map
                    .into_iter()
                    .map(|(slot, id)| NodeEntry {
                        slot,
                        id: ChunkId(id),
                    })
                    .collect(),
            })
    }

    proptest! {
        #[test]
        fn pages_round_trip_and_mutations_have_one_spelling(page in pages(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = page.encode();
            prop_assert_eq!(Page::decode(&bytes, WINDOW).unwrap(), page);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Page::decode(&bytes, WINDOW) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn nodes_round_trip_and_mutations_have_one_spelling(node in nodes(), at: prop::sample::Index, bit in 0u8..8) {
            let mut bytes = node.encode();
            prop_assert_eq!(&Node::decode(&bytes, node.level).unwrap(), &node);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(other) = Node::decode(&bytes, node.level) {
                prop_assert_eq!(other.encode(), bytes);
            }
        }

        #[test]
        fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Page::decode(&bytes, WINDOW);
            let _ = Node::decode(&bytes, 0);
        }
    }

    #[test]
    fn depth_grows_with_the_volume() {
        for (windows, want) in [
            (0, 1),
            (1, 1),
            (256, 1),
            (257, 2),
            (65536, 2),
            (65537, 3),
            (u64::MAX, 8),
        ] {
            assert_eq!(depth_for(windows), want, "{windows}");
        }
    }
}
