//! What a sweep deletes, what it moves, and what it leaves.

/// Packs with more dead bytes than this share are rewritten, in percent. Below it,
/// reading and writing the living rest costs more than the dead bytes do.
const REPACK_DEAD_PERCENT: u64 = 25;

/// What is known of one pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PackFacts<P> {
    /// The pack.
    pub pack: P,
    /// Its size in the store.
    pub size: u64,
    /// Bytes of the chunks that the index finds in it.
    pub chunk_bytes: u64,
    /// Those among them that backups need and that are to be kept here rather than elsewhere.
    pub live_bytes: u64,
    /// Whether the index knows the pack.
    pub indexed: bool,
}

/// Whether packs that the index does not know may belong to a run that is not over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Orphans {
    /// Nobody is writing: they are left-overs.
    AreLeftOvers,
    /// Somebody may be writing: leave them for the next sweep.
    MayBeInUse,
}

/// What to do, pack by pack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SweepPlan<P> {
    /// Packs that nothing needs.
    pub dead: Vec<PackFacts<P>>,
    /// Packs whose living chunks are to be moved first.
    pub repack: Vec<PackFacts<P>>,
    /// Packs that stay.
    pub keep: Vec<PackFacts<P>>,
}

impl<P> SweepPlan<P> {
    /// Tells whether there is nothing to delete.
    pub fn is_idle(&self) -> bool {
        self.dead.is_empty() && self.repack.is_empty()
    }
}

/// Decides the fate of every pack. Nothing is done here: a dry run shows the very
/// plan that a sweep carries out.
pub fn sweep_plan<P>(
    packs: impl IntoIterator<Item = PackFacts<P>>,
    orphans: Orphans,
) -> SweepPlan<P> {
    let mut plan = SweepPlan {
        dead: Vec::new(),
        repack: Vec::new(),
        keep: Vec::new(),
    };
    for facts in packs {
        let dead_bytes = facts.chunk_bytes.saturating_sub(facts.live_bytes);
        let list = if !facts.indexed {
            match orphans {
                Orphans::AreLeftOvers => &mut plan.dead,
                Orphans::MayBeInUse => &mut plan.keep,
            }
        } else if facts.live_bytes == 0 {
            &mut plan.dead
        } else if dead_bytes * 100 > facts.chunk_bytes * REPACK_DEAD_PERCENT {
            &mut plan.repack
        } else {
            &mut plan.keep
        };
        list.push(facts);
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_pack_meets_its_fate() {
        let fate = |indexed, chunk_bytes, live_bytes, orphans| {
            let facts = PackFacts {
                pack: (),
                size: 1000,
                chunk_bytes,
                live_bytes,
                indexed,
            };
            let plan = sweep_plan([facts], orphans);
            match (plan.dead.len(), plan.repack.len(), plan.keep.len()) {
                (1, 0, 0) => "dead",
                (0, 1, 0) => "repack",
                (0, 0, 1) => "keep",
                other => panic!("a pack in {other:?} lists"),
            }
        };
        use Orphans::{AreLeftOvers, MayBeInUse};
        for (what, indexed, chunk_bytes, live_bytes, orphans, want) in [
            ("all alive", true, 900, 900, AreLeftOvers, "keep"),
            ("a quarter dead", true, 800, 600, AreLeftOvers, "keep"),
            (
                "more than a quarter dead",
                true,
                800,
                599,
                AreLeftOvers,
                "repack",
            ),
            ("all dead", true, 900, 0, MayBeInUse, "dead"),
            ("empty", true, 0, 0, AreLeftOvers, "dead"),
            ("unknown, nobody writes", false, 0, 0, AreLeftOvers, "dead"),
            ("unknown, somebody writes", false, 0, 0, MayBeInUse, "keep"),
        ] {
            assert_eq!(
                fate(indexed, chunk_bytes, live_bytes, orphans),
                want,
                "{what}"
            );
        }
    }
}
