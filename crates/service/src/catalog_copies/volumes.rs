//! Rows of volumes and the files that hold their bytes.

use std::collections::BTreeSet;

use emberkeep_catalog::{BackupQuery, Catalog, Change, Row, VolumeQuery};
use emberkeep_model::{Backup, Gib, ObjectType, Timestamp, Volume, VolumeId, VolumeStatus};

use crate::ServiceError;

/// A volume's file as it was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VolumeFile {
    /// The volume.
    pub id: VolumeId,
    /// Bytes it has.
    pub size: u64,
}

/// Makes rows for files that have none, from what their backups remember, and marks rows whose file
/// is gone. Returns how many were made, how many marked, and the files that nothing is known of.
pub async fn take_up_volumes(
    catalog: &dyn Catalog,
    files: &[VolumeFile],
    now: Timestamp,
) -> Result<(u64, u64, Vec<VolumeId>), ServiceError> {
    let rows = catalog.volumes(&VolumeQuery::default()).await?.items;
    let there: BTreeSet<VolumeId> = files.iter().map(|file| file.id).collect();
    let mut marked = 0;
    for mut row in rows.iter().cloned() {
        let needs_file = matches!(
            row.status,
            VolumeStatus::Available
                | VolumeStatus::InUse
                | VolumeStatus::Reserved
                | VolumeStatus::Maintenance
        );
        if needs_file && !there.contains(&row.id) {
            row.status = VolumeStatus::Error;
            row.updated_at = Some(now);
            catalog.apply(vec![Change::Save(Row::Volume(row))]).await?;
            marked += 1;
        }
    }
    let known: BTreeSet<VolumeId> = rows.iter().map(|row| row.id).collect();
    let types = catalog.volume_types().await?;
    let default_type = types.first().map(|one| one.id);
    let mut made = 0;
    let mut strangers = Vec::new();
    for file in files.iter().filter(|file| !known.contains(&file.id)) {
        let query = BackupQuery {
            volumes: vec![file.id],
            ..BackupQuery::default()
        };
        let backups = catalog.backups(&query).await?.items;
        let latest = backups
            .into_iter()
            .filter(|backup| backup.cbr.kind == ObjectType::Disk && backup.content.is_none())
            .max_by_key(|backup| backup.created_at);
        let Some(latest) = latest else {
            strangers.push(file.id);
            continue;
        };
        let mut volume = volume_of(&latest, file, now);
        volume.volume_type_id = default_type;
        catalog
            .apply(vec![Change::Insert(Row::Volume(volume))])
            .await?;
        made += 1;
    }
    Ok((made, marked, strangers))
}

fn volume_of(latest: &Backup, file: &VolumeFile, now: Timestamp) -> Volume {
    let source = latest.cinder.source.clone().unwrap_or_default();
    let size = u32::try_from(file.size.div_ceil(1 << 30)).unwrap_or(u32::MAX);
    let whose = (latest.project_id.clone(), latest.user_id.clone());
    let mut volume = Volume::new(file.id, whose, VolumeStatus::Available, latest.created_at);
    volume.name = latest.volume_name.clone().or(source.name);
    volume.description = source.description;
    volume.size = Gib(size.max(1));
    volume.availability_zone = latest
        .availability_zone
        .clone()
        .unwrap_or_else(|| "nova".to_owned());
    volume.bootable = source.bootable;
    volume.metadata = source.metadata;
    volume.image_metadata = source.image_metadata;
    volume.updated_at = Some(now);
    volume
}
