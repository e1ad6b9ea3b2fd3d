//! What a restore has found out about the volume that was backed up.

use emberkeep_model::SourceFacts;

/// What the backed up volume was like.
#[derive(Debug, Clone)]
pub(crate) enum Restored {
    /// As the backup's row says.
    AsRecorded,
    /// As is told where the backup lies, if anything is.
    Elsewhere(Option<Box<SourceFacts>>),
}
