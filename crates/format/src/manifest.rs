//! The manifest: everything there is to know of one backup, written last.

use emberkeep_model::{BackupId, ByteCount, CheckpointId, SnapshotId, VaultId, VolumeId};
use serde::{Deserialize, Serialize};

use crate::{ChunkId, FormatError, ObjectId, UnixMicros};

const VERSION: u32 = 1;
const WHAT: &str = "manifest";

/// The root of a volume's map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MapRoot {
    /// The topmost node.
    pub node: ChunkId,
    /// Levels of nodes, 1 or more.
    pub depth: u8,
}

/// What was backed up.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SourceRecord {
    /// The volume, where the source is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_id: Option<VolumeId>,
    /// What the volume was called.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume_name: Option<String>,
    /// The lasting snapshot that was read, where it was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<SnapshotId>,
    /// The canonical path, where the source is a file or a device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

/// How it was learnt which parts to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum ChangeRecord {
    /// Every data extent was read.
    FullRead {
        /// Why nothing less would do.
        reason: String,
        /// What a source said that was found to be untrue, so that all was read after all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        caught: Option<String>,
    },
    /// What the source said is unchanged was taken over from the parent.
    Hints {
        /// The instant that the source was asked about.
        lineage: String,
        /// Backups in a row made like this, itself among them, since everything was
        /// last read; 0 where this run compared all that it took over.
        runs: u32,
        /// Bytes that were said to be unchanged.
        kept_bytes: u64,
        /// Bytes among them that were read and compared.
        verified_bytes: u64,
    },
}

/// What a backup cost; figures for people, nothing depends on them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct BackupStatistics {
    /// Bytes read from the source.
    pub read_bytes: u64,
    /// Bytes that are not zero blocks.
    pub data_bytes: u64,
    /// Bytes of chunks that the repository did not have.
    pub new_bytes: u64,
    /// Bytes added to the repository by chunks, pages and nodes, sealed.
    pub stored_bytes: u64,
    /// Chunks of the volume.
    pub chunks: u64,
    /// Chunks that the repository did not have.
    pub new_chunks: u64,
}

/// One backup. Holds all that a catalogue needs to be rebuilt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    version: u32,
    /// The backup.
    pub backup_id: BackupId,
    /// Its project, as the repository's user named it.
    pub project: String,
    /// The map; none when every byte is zero.
    pub root: Option<MapRoot>,
    /// The volume's exact size.
    pub size: ByteCount,
    /// What was backed up.
    pub source: SourceRecord,
    /// How it was learnt what to read.
    pub changes: ChangeRecord,
    /// The opaque name of the instant that was read, for later change tracking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lineage: Option<String>,
    /// The name people gave it.
    pub name: String,
    /// The words people gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// The vault it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vault_id: Option<VaultId>,
    /// The checkpoint it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_id: Option<CheckpointId>,
    /// The backup it was made after; restoring never needs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<BackupId>,
    /// The session that wrote it.
    pub session: ObjectId,
    /// When the backup was asked for.
    pub created_at: UnixMicros,
    /// When its last chunk was stored.
    pub finished_at: UnixMicros,
    /// What it cost.
    pub statistics: BackupStatistics,
    /// What the catalog wants to find again: see [`BackupFacts`](crate::BackupFacts).
    #[serde(default, skip_serializing_if = "serde_json::Map::is_empty")]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

impl Manifest {
    /// The version this crate writes.
    pub const VERSION: u32 = VERSION;

    /// Starts a manifest of the current version; the caller sets what else is known.
    pub fn new(backup_id: BackupId, project: String, size: ByteCount, session: ObjectId) -> Self {
        Self {
            version: VERSION,
            backup_id,
            project,
            root: None,
            size,
            source: SourceRecord::default(),
            changes: ChangeRecord::FullRead {
                reason: String::new(),
                caught: None,
            },
            lineage: None,
            name: String::new(),
            description: None,
            vault_id: None,
            checkpoint_id: None,
            parent: None,
            session,
            created_at: UnixMicros::default(),
            finished_at: UnixMicros::default(),
            statistics: BackupStatistics::default(),
            extra: serde_json::Map::new(),
        }
    }

    /// Returns the plaintext.
    pub fn encode(&self) -> Vec<u8> {
        serde_json::to_vec(self).expect("a manifest is plain JSON")
    }

    /// Reads the plaintext; the version is judged before anything else.
    pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
        let found: Self = crate::records::decode_versioned(bytes, VERSION, WHAT)?;
        if found
            .root
            .is_some_and(|root| !(1..=8).contains(&root.depth))
        {
            return Err(FormatError::Malformed {
                what: WHAT,
                reason: "the map's depth is out of range",
            });
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::BackupId;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn manifests_round_trip_and_refuse_later_versions() {
        let id = BackupId(Uuid::from_u128(3));
        let mut made = Manifest::new(id, "p".into(), ByteCount(9), ObjectId([1; 16]));
        made.root = Some(MapRoot {
            node: ChunkId([8; 32]),
            depth: 2,
        });
        made.name = "näme \u{1F525}".into();
        made.extra
            .insert("row".into(), serde_json::json!({"a": [1, null]}));
        assert_eq!(Manifest::decode(&made.encode()).unwrap(), made);
        let text = String::from_utf8(made.encode()).unwrap();
        for (from, to) in [
            ("\"version\":1", "\"version\":2"),
            ("\"depth\":2", "\"depth\":9"),
        ] {
            assert!(text.contains(from));
            assert!(
                Manifest::decode(text.replace(from, to).as_bytes()).is_err(),
                "{to}"
            );
        }
    }
}
