//! The ring: a secret for every tag, of which single ones can be destroyed permanently.
//!
//! A binary tree of depth 64 whose root is drawn from the master key; each node derives its two
//! children, and a leaf is the secret of one tag. To destroy a secret the nodes on the way to its
//! leaf are replaced by the siblings along that way: every other secret is derived as before, and
//! nothing that is kept leads to that one any more. So a copy of the key that was made before
//! still opens everything, and what remains after the destruction does not.

use std::collections::BTreeMap;

use emberkeep_format::KeyTag;
use zeroize::Zeroizing;

const DEPTH: u8 = 64;
const LEFT: &str = "emberkeep 2026 v1 ring left";
const RIGHT: &str = "emberkeep 2026 v1 ring right";

/// A node of the tree: the secrets of all tags that start with these bits come from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node {
    /// How many bits.
    pub(crate) len: u8,
    /// The bits, from the highest down; the rest is zero.
    pub(crate) prefix: u64,
}

impl Node {
    /// Returns the node `len` bits down on the way to a tag.
    fn towards(tag: u64, len: u8) -> Self {
        let kept = u32::from(DEPTH - len);
        let mask = u64::MAX.checked_shl(kept).unwrap_or(0);
        Self {
            len,
            prefix: tag & mask,
        }
    }

    /// Tells whether a node can stand in a file.
    pub(crate) fn is_valid(self) -> bool {
        self.len <= DEPTH && Self::towards(self.prefix, self.len) == self
    }
}

/// The secrets that are left.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Ring {
    nodes: BTreeMap<Node, Zeroizing<[u8; 32]>>,
}

impl Ring {
    /// Takes a root: no secret is destroyed yet.
    pub(crate) fn whole(root: [u8; 32]) -> Self {
        let top = Node { len: 0, prefix: 0 };
        Self {
            nodes: BTreeMap::from([(top, Zeroizing::new(root))]),
        }
    }

    /// Takes nodes as they were written down.
    pub(crate) fn from_nodes(nodes: BTreeMap<Node, Zeroizing<[u8; 32]>>) -> Self {
        Self { nodes }
    }

    /// Returns what has to be written down.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = (Node, &[u8; 32])> {
        self.nodes.iter().map(|(node, seed)| (*node, &**seed))
    }

    /// Returns the secret of a tag; `None` where it was destroyed.
    pub(crate) fn secret(&self, tag: KeyTag) -> Option<Zeroizing<[u8; 32]>> {
        let tag = u64::from_be_bytes(tag.0);
        let (node, seed) = self.above(tag)?;
        let mut seed = seed.clone();
        for depth in node.len..DEPTH {
            seed = child(&seed, bit(tag, depth));
        }
        Some(seed)
    }

    /// Destroys the secret of a tag and no other. Returns false where it was destroyed before.
    pub(crate) fn destroy(&mut self, tag: KeyTag) -> bool {
        let tag = u64::from_be_bytes(tag.0);
        let Some((node, mut seed)) = self.above(tag).map(|(node, seed)| (node, seed.clone()))
        else {
            return false;
        };
        self.nodes.remove(&node);
        for depth in node.len..DEPTH {
            let way = bit(tag, depth);
            let sibling = tag ^ (1 << (DEPTH - 1 - depth));
            self.nodes
                .insert(Node::towards(sibling, depth + 1), child(&seed, !way));
            seed = child(&seed, way);
        }
        true
    }

    fn above(&self, tag: u64) -> Option<(Node, &Zeroizing<[u8; 32]>)> {
        (0..=DEPTH).find_map(|len| {
            let node = Node::towards(tag, len);
            self.nodes.get(&node).map(|seed| (node, seed))
        })
    }
}

fn bit(tag: u64, depth: u8) -> bool {
    tag >> (DEPTH - 1 - depth) & 1 == 1
}

fn child(seed: &[u8; 32], right: bool) -> Zeroizing<[u8; 32]> {
    let context = if right { RIGHT } else { LEFT };
    Zeroizing::new(blake3::derive_key(context, seed))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_destroyed_is_gone_and_all_others_stay_as_they_were() {
        let whole = Ring::whole([5; 32]);
        let tag = |n: u64| KeyTag(n.to_be_bytes());
        let mut gone: Vec<u64> = vec![0, u64::MAX, 1, 1 << 63, 0x0123_4567_89ab_cdef];
        // Neighbours at every depth of one that is destroyed.
        let others: Vec<u64> = (0..64)
            .map(|n| 0x0123_4567_89ab_cdef ^ (1 << n))
            .filter(|n| !gone.contains(n))
            .collect();
        let mut ring = whole.clone();
        for n in gone.clone() {
            assert!(ring.destroy(tag(n)), "{n:x}");
            assert!(!ring.destroy(tag(n)), "{n:x} twice");
        }
        for n in &others {
            assert!(ring.secret(tag(*n)).is_some(), "{n:x}");
            assert_eq!(ring.secret(tag(*n)), whole.secret(tag(*n)), "{n:x}");
        }
        gone.sort_unstable();
        for n in &gone {
            assert_eq!(ring.secret(tag(*n)), None, "{n:x}");
        }
        // No node that is left lies above one that is gone.
        for (node, _) in ring.nodes() {
            assert!(node.is_valid());
            assert!(
                gone.iter().all(|n| Node::towards(*n, node.len) != node),
                "{node:?}"
            );
        }
        assert!(ring.nodes().count() <= 64 * gone.len());
    }

    #[test]
    fn secrets_of_different_tags_differ() {
        let ring = Ring::whole([5; 32]);
        let all: std::collections::BTreeSet<_> = (0..64u64)
            .map(|n| *ring.secret(KeyTag((1u64 << n).to_be_bytes())).unwrap())
            .collect();
        assert_eq!(all.len(), 64);
    }
}
