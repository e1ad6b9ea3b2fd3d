//! The tenant's own pairs of volumes, snapshots and backups (`cinder-backup.md §2.3`, `§2.8`).
//!
//! Of backups they are a resource with Emberkeep only; elsewhere
//! [`BlockStorage::update_backup`] sets them all at once.

use std::collections::BTreeMap;

use emberkeep_wire::cinder::{MetaBody, MetadataBody};

use super::BlockStorage;
use crate::connection::Call;
use crate::error::SdkError;
use crate::ids::{BackupId, SnapshotId, VolumeId};

/// The tenant's own pairs.
type Pairs = BTreeMap<String, String>;

/// The same five calls for each kind of thing that has pairs.
macro_rules! metadata {
    ($($collection:literal $id:ident: $all:ident $set:ident $replace:ident $one:ident $delete:ident)*) => {$(
        impl BlockStorage {
            #[doc = concat!("Returns all pairs of one of the ", $collection, ".")]
            pub async fn $all(&self, id: &$id) -> Result<Pairs, SdkError> {
                let path = [$collection, id.as_str(), "metadata"];
                let all: MetadataBody = self.whole(Call::get(path)).await?;
                Ok(all.metadata)
            }

            #[doc = concat!("Adds pairs to one of the ", $collection, ", or changes their values; returns all of them.")]
            pub async fn $set(&self, id: &$id, pairs: &Pairs) -> Result<Pairs, SdkError> {
                let path = [$collection, id.as_str(), "metadata"];
                let all: MetadataBody =
                    self.whole(Call::post(path, &MetadataBody { metadata: pairs.clone() })).await?;
                Ok(all.metadata)
            }

            #[doc = concat!("Gives one of the ", $collection, " these pairs and no others.")]
            pub async fn $replace(&self, id: &$id, pairs: &Pairs) -> Result<Pairs, SdkError> {
                let path = [$collection, id.as_str(), "metadata"];
                let all: MetadataBody =
                    self.whole(Call::put(path, &MetadataBody { metadata: pairs.clone() })).await?;
                Ok(all.metadata)
            }

            #[doc = concat!("Returns the value of one pair of one of the ", $collection, ".")]
            pub async fn $one(&self, id: &$id, key: &str) -> Result<String, SdkError> {
                let call = Call::get([$collection, id.as_str(), "metadata", key]);
                let asked = call.asked();
                let mut pair: MetaBody = self.whole(call).await?;
                pair.meta.remove(key).ok_or_else(|| SdkError::BadAnswer {
                    asked,
                    what: format!("it is not about '{key}'"),
                })
            }

            #[doc = concat!("Takes one pair off one of the ", $collection, ".")]
            pub async fn $delete(&self, id: &$id, key: &str) -> Result<(), SdkError> {
                self.done(Call::delete([$collection, id.as_str(), "metadata", key])).await
            }
        }
    )*};
}

metadata! {
    "volumes" VolumeId: volume_metadata set_volume_metadata replace_volume_metadata volume_metadata_value delete_volume_metadata
    "snapshots" SnapshotId: snapshot_metadata set_snapshot_metadata replace_snapshot_metadata snapshot_metadata_value delete_snapshot_metadata
    "backups" BackupId: backup_metadata set_backup_metadata replace_backup_metadata backup_metadata_value delete_backup_metadata
}
