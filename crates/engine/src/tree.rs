//! Builds and walks the map of a volume.

use emberkeep_format::{ChunkId, FormatError, MapRoot, Node, NodeEntry, Page, depth_for};

use crate::damage::ReadError;
use crate::reader::ChunkReader;

/// Builds the nodes over pages that come in order of their windows.
pub(crate) struct TreeBuilder {
    /// The node that is open at each level, with its number at that level.
    open: Vec<(u64, Vec<NodeEntry>)>,
}

impl TreeBuilder {
    /// Prepares the tree of a volume of so many windows.
    pub(crate) fn new(windows: u64) -> Self {
        Self {
            open: vec![(0, Vec::new()); usize::from(depth_for(windows))],
        }
    }

    /// Adds a window's page; `store` takes each node's bytes and returns its id.
    pub(crate) fn add<E>(
        &mut self,
        window: u64,
        page: ChunkId,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        self.insert(0, window, page, store)
    }

    /// Tells whether the tree has room for whole nodes of that level below its root.
    pub(crate) fn takes_nodes_of(&self, level: u8) -> bool {
        usize::from(level) + 1 < self.open.len()
    }

    /// Adds a node of another tree as it is. It comes after everything that was added.
    pub(crate) fn graft<E>(
        &mut self,
        level: u8,
        number: u64,
        node: ChunkId,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        for lower in 0..=usize::from(level) {
            self.close(lower, store)?;
        }
        self.insert(usize::from(level) + 1, number, node, store)
    }

    fn insert<E>(
        &mut self,
        level: usize,
        number: u64,
        child: ChunkId,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let (node, slot) = (number >> 8, (number & 0xff) as u8);
        if self.open[level].0 != node {
            self.close(level, store)?;
            self.open[level].0 = node;
        }
        self.open[level].1.push(NodeEntry { slot, id: child });
        Ok(())
    }

    fn close<E>(
        &mut self,
        level: usize,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let (number, entries) = std::mem::take(&mut self.open[level]);
        if entries.is_empty() {
            return Ok(());
        }
        let id = store(
            Node {
                level: level_byte(level),
                entries,
            }
            .encode(),
        )?;
        self.insert(level + 1, number, id, store)
    }

    /// Closes the tree; none when there was no page.
    pub(crate) fn finish<E>(
        mut self,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<Option<MapRoot>, E> {
        let top = self.open.len() - 1;
        for level in 0..top {
            self.close(level, store)?;
        }
        let (_, entries) = std::mem::take(&mut self.open[top]);
        if entries.is_empty() {
            return Ok(None);
        }
        let node = store(
            Node {
                level: level_byte(top),
                entries,
            }
            .encode(),
        )?;
        Ok(Some(MapRoot {
            node,
            depth: level_byte(top) + 1,
        }))
    }
}

fn level_byte(level: usize) -> u8 {
    u8::try_from(level).expect("64-bit sizes have 8 levels at most")
}

/// A walk over the nodes of a map, in order of the windows.
pub(crate) struct Walk {
    /// Nodes to visit: id, level, number at that level.
    stack: Vec<(ChunkId, u8, u64)>,
}

impl Walk {
    pub(crate) fn new(root: Option<MapRoot>) -> Self {
        Self {
            stack: root
                .map(|root| (root.node, root.depth - 1, 0))
                .into_iter()
                .collect(),
        }
    }

    /// Returns the pages below the next node of level 0, with their windows. A node that
    /// `enter` refuses is left out with all below it.
    pub(crate) fn next_pages<E: From<ReadError>>(
        &mut self,
        reader: &mut ChunkReader<'_>,
        enter: &mut impl FnMut(ChunkId) -> Result<bool, E>,
    ) -> Result<Option<Vec<(u64, ChunkId)>>, E> {
        while let Some((id, level, number)) = self.stack.pop() {
            if !enter(id)? {
                continue;
            }
            let plain = reader.fetch_one(id)?;
            let node = Node::decode(&plain, level)
                .map_err(|cause| ReadError::damaged(format!("node {id}"), None, cause))?;
            let children = node
                .entries
                .iter()
                .map(|e| (e.id, number << 8 | u64::from(e.slot)));
            if level == 0 {
                return Ok(Some(children.map(|(id, window)| (window, id)).collect()));
            }
            self.stack
                .extend(children.rev().map(|(id, number)| (id, level - 1, number)));
        }
        Ok(None)
    }
}

/// Reads pages and hands each to `sink`, with its place in `ids`, in no particular order.
pub(crate) fn read_pages<E: From<ReadError>>(
    reader: &mut ChunkReader<'_>,
    ids: &[ChunkId],
    window: u32,
    mut sink: impl FnMut(usize, Page) -> Result<(), E>,
) -> Result<(), E> {
    reader.fetch(ids, |at, plain| {
        let page = Page::decode(plain, window).map_err(|cause: FormatError| {
            E::from(ReadError::damaged(format!("page {}", ids[at]), None, cause))
        })?;
        sink(at, page)
    })
}
