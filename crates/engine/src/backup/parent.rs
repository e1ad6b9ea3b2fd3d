//! The map of the backup before: what windows held then, and whole parts of it to take over.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use emberkeep_format::{ChunkId, Manifest, Node, NodeEntry, Page};

use crate::damage::ReadError;
use crate::reader::ChunkReader;
use crate::tree::{TreeBuilder, read_pages};

/// Pages read at once.
const PAGES: usize = 32;

/// The map of a parent, read as far as it is needed.
pub(crate) struct ParentMap<'a> {
    reader: ChunkReader<'a>,
    root: Option<(ChunkId, u8)>,
    window: u32,
    windows: u64,
    /// The node that was looked at last, by level.
    nodes: Vec<Option<(u64, Arc<Node>)>>,
    /// Pages that were read ahead.
    pages: BTreeMap<u64, Page>,
}

impl<'a> ParentMap<'a> {
    pub(crate) fn new(reader: ChunkReader<'a>, manifest: &Manifest, window: u32) -> Self {
        let root = manifest.root.map(|root| (root.node, root.depth - 1));
        Self {
            reader,
            root,
            window,
            windows: manifest.size.0.div_ceil(u64::from(window)),
            nodes: vec![None; root.map_or(0, |(_, level)| usize::from(level) + 1)],
            pages: BTreeMap::new(),
        }
    }

    /// Returns the node of that number at a level; none where all below it is zero.
    fn node(&mut self, level: u8, number: u64) -> Result<Option<Arc<Node>>, ReadError> {
        let Some((root, top)) = self.root else {
            return Ok(None);
        };
        if level > top || (level == top && number > 0) {
            return Ok(None);
        }
        if let Some((at, node)) = &self.nodes[usize::from(level)]
            && *at == number
        {
            return Ok(Some(node.clone()));
        }
        let id = if level == top {
            root
        } else {
            let Some(above) = self.node(level + 1, number >> 8)? else {
                return Ok(None);
            };
            let Some(id) = child(&above, (number & 0xff) as u8) else {
                return Ok(None);
            };
            id
        };
        let plain = self.reader.fetch_one(id)?;
        let node = Node::decode(&plain, level)
            .map_err(|cause| ReadError::damaged(format!("node {id}"), None, cause))?;
        let node = Arc::new(node);
        self.nodes[usize::from(level)] = Some((number, node.clone()));
        Ok(Some(node))
    }

    /// Returns the page of a window, which has no entries if the window was zero. Each
    /// window is asked about once, so its page is not kept.
    pub(crate) fn page(&mut self, window: u64) -> Result<Page, ReadError> {
        if let Some(page) = self.pages.remove(&window) {
            return Ok(page);
        }
        let Some(leaf) = self.node(0, window >> 8)? else {
            return Ok(Page::default());
        };
        let slot = (window & 0xff) as u8;
        if child(&leaf, slot).is_none() {
            return Ok(Page::default());
        }
        // The next ones are mostly asked about next, and lie beside it.
        let group: Vec<NodeEntry> = leaf
            .entries
            .iter()
            .filter(|entry| entry.slot >= slot)
            .take(PAGES)
            .copied()
            .collect();
        let ids: Vec<ChunkId> = group.iter().map(|entry| entry.id).collect();
        // A slower worker may still come for one a little behind.
        self.pages
            .retain(|number, _| *number + PAGES as u64 > window);
        let pages = &mut self.pages;
        read_pages(&mut self.reader, &ids, self.window, |at, page| {
            pages.insert(window - u64::from(slot) + u64::from(group[at].slot), page);
            Ok::<_, ReadError>(())
        })?;
        Ok(self.pages.remove(&window).unwrap_or_default())
    }

    /// Returns the pages of windows, which ascend; those that were zero have none.
    pub(crate) fn pages(&mut self, windows: &[u64]) -> Result<BTreeMap<u64, Page>, ReadError> {
        let mut places = Vec::with_capacity(windows.len());
        for window in windows {
            if let Some(leaf) = self.node(0, window >> 8)? {
                places.extend(child(&leaf, (window & 0xff) as u8).map(|id| (*window, id)));
            }
        }
        let ids: Vec<ChunkId> = places.iter().map(|(_, id)| *id).collect();
        let mut found = BTreeMap::new();
        read_pages(&mut self.reader, &ids, self.window, |at, page| {
            found.insert(places[at].0, page);
            Ok::<_, ReadError>(())
        })?;
        Ok(found)
    }

    /// Hands every page id of `windows` to `tree`, as whole nodes where it can.
    pub(crate) fn graft<E: From<ReadError>>(
        &mut self,
        windows: &Range<u64>,
        tree: &mut TreeBuilder,
        count: u64,
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let Some((root, top)) = self.root else {
            return Ok(());
        };
        // What lies behind the last window is nothing, in this map as in the new one.
        let end = if count == self.windows && windows.end == count {
            u64::MAX
        } else {
            windows.end
        };
        self.graft_node(&(windows.start..end), tree, (root, top, 0), store)
    }

    fn graft_node<E: From<ReadError>>(
        &mut self,
        windows: &Range<u64>,
        tree: &mut TreeBuilder,
        (id, level, number): (ChunkId, u8, u64),
        store: &mut impl FnMut(Vec<u8>) -> Result<ChunkId, E>,
    ) -> Result<(), E> {
        let covered = span(level, number);
        if covered.end <= windows.start || covered.start >= windows.end {
            return Ok(());
        }
        let whole = windows.start <= covered.start && covered.end <= windows.end;
        if whole && tree.takes_nodes_of(level) {
            return tree.graft(level, number, id, store);
        }
        let Some(node) = self.node(level, number)? else {
            return Ok(());
        };
        for entry in &node.entries {
            let below = number << 8 | u64::from(entry.slot);
            if level > 0 {
                self.graft_node(windows, tree, (entry.id, level - 1, below), store)?;
            } else if windows.contains(&below) {
                tree.add(below, entry.id, store)?;
            }
        }
        Ok(())
    }

    /// Returns the windows of a range that held data.
    pub(crate) fn present(&mut self, windows: &Range<u64>) -> Result<Vec<u64>, ReadError> {
        let mut found = Vec::new();
        if let Some((_, top)) = self.root {
            self.present_below(windows, top, 0, &mut found)?;
        }
        Ok(found)
    }

    fn present_below(
        &mut self,
        windows: &Range<u64>,
        level: u8,
        number: u64,
        found: &mut Vec<u64>,
    ) -> Result<(), ReadError> {
        let covered = span(level, number);
        if covered.end <= windows.start || covered.start >= windows.end {
            return Ok(());
        }
        let Some(node) = self.node(level, number)? else {
            return Ok(());
        };
        for entry in &node.entries {
            let below = number << 8 | u64::from(entry.slot);
            if level > 0 {
                self.present_below(windows, level - 1, below, found)?;
            } else if windows.contains(&below) {
                found.push(below);
            }
        }
        Ok(())
    }

    /// Returns a window that held data, by a walk that `choose` leads: it picks one of so many.
    pub(crate) fn pick(
        &mut self,
        mut choose: impl FnMut(usize) -> usize,
    ) -> Result<Option<u64>, ReadError> {
        let Some((_, top)) = self.root else {
            return Ok(None);
        };
        let mut number = 0;
        for level in (0..=top).rev() {
            let Some(node) = self.node(level, number)? else {
                return Ok(None);
            };
            let entry = node.entries[choose(node.entries.len())];
            number = number << 8 | u64::from(entry.slot);
        }
        Ok(Some(number))
    }
}

fn child(node: &Node, slot: u8) -> Option<ChunkId> {
    let at = node.entries.binary_search_by_key(&slot, |e| e.slot).ok()?;
    Some(node.entries[at].id)
}

/// Returns the windows below a node.
fn span(level: u8, number: u64) -> Range<u64> {
    let bits = 8 * (u32::from(level) + 1);
    let at = |number: u64| {
        u128::from(number)
            .checked_shl(bits)
            .and_then(|at| u64::try_from(at).ok())
            .unwrap_or(u64::MAX)
    };
    at(number)..at(number.saturating_add(1))
}
