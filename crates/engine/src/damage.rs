//! Stored bytes that are not what they should be, and where they lie.

use emberkeep_format::{ChunkId, FormatError};
use emberkeep_store::StoreError;

/// One damaged place in the store.
#[derive(Debug, thiserror::Error)]
#[error("{object}{}", offset.map(|at| format!(" at byte {at}")).unwrap_or_default())]
pub struct Damage {
    /// The object that holds, or should hold, the bytes.
    pub object: String,
    /// The first byte that is not as it should be, where that is known.
    pub offset: Option<u64>,
    /// What is wrong.
    #[source]
    pub cause: DamageCause,
}

/// What is wrong with a damaged place.
#[derive(Debug, thiserror::Error)]
pub enum DamageCause {
    /// The bytes were not accepted.
    #[error(transparent)]
    Format(#[from] FormatError),
    /// The object does not exist.
    #[error("the object is missing")]
    Missing,
    /// The object is shorter or longer than it was written.
    #[error("the object has {have} bytes instead of {want}")]
    Size {
        /// Bytes there are.
        have: u64,
        /// Bytes there should be.
        want: u64,
    },
    /// The store is older than it was when it was looked at before.
    #[error(
        "the store was rolled back: it is older than this machine has seen it, and backups made since may be gone; `emberkeep repo accept-rollback` accepts it"
    )]
    RolledBack,
    /// No index run names packs that backups need; the packs themselves are there.
    #[error(
        "the index has lost {packs} packs that backups need; no data is lost: `emberkeep repo check --repair-index` writes it anew"
    )]
    IndexLost {
        /// Packs that it has lost.
        packs: usize,
    },
    /// No pack that the index knows holds the chunk.
    #[error("no pack holds chunk {0}")]
    NoLocation(ChunkId),
}

impl DamageCause {
    /// Tells whether the key did not fit the bytes, or the bytes their seal.
    pub(crate) fn is_unsealed(&self) -> bool {
        matches!(self, Self::Format(FormatError::Unsealed { .. }))
    }
}

/// Why something could not be read from the store.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The store failed; the data may be fine.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The data is not fine.
    #[error("damaged: {0}")]
    Damaged(#[source] Box<Damage>),
}

impl ReadError {
    pub(crate) fn damaged(
        object: impl Into<String>,
        offset: Option<u64>,
        cause: impl Into<DamageCause>,
    ) -> Self {
        Self::Damaged(Box::new(Damage {
            object: object.into(),
            offset,
            cause: cause.into(),
        }))
    }

    /// Tells damage of an object apart from failure of the store: a missing or short
    /// object is damage, whoever lists or remembers it.
    pub(crate) fn from_store(cause: StoreError) -> Self {
        match cause {
            StoreError::NotFound { name } => Self::damaged(name, None, DamageCause::Missing),
            StoreError::OutOfRange {
                name,
                size,
                start,
                end,
            } => Self::damaged(
                name,
                Some(start),
                DamageCause::Size {
                    have: size,
                    want: end,
                },
            ),
            other => Self::Store(other),
        }
    }

    /// Tells whether a chunk is in no pack that the index names: the index may be lost.
    pub(crate) fn is_unlocated(&self) -> bool {
        matches!(self, Self::Damaged(damage) if matches!(damage.cause, DamageCause::NoLocation(_)))
    }

    pub(crate) fn is_missing(&self) -> bool {
        matches!(self, Self::Damaged(damage) if matches!(damage.cause, DamageCause::Missing))
    }
}
