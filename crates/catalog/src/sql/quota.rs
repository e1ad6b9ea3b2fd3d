//! What a project has, counted from its rows at one moment.

use emberkeep_model::{ProjectId, QuotaUsage, TypeUsage, VolumeTypeId};

use super::row::Record;
use super::{Engine, answer, statement};
use crate::CatalogError;

const WHAT: &str = "the usage of a project";

pub(super) async fn usage(
    engine: &impl Engine,
    project: &ProjectId,
) -> Result<QuotaUsage, CatalogError> {
    let reads = vec![
        statement::volume_usage(project),
        statement::snapshot_usage(project),
        statement::backup_usage(project),
    ];
    let mut results = engine.read(reads).await?.into_iter();
    let mut usage = QuotaUsage::default();
    for record in results.next().unwrap_or_default() {
        let (kind, count, gib) = counted(record)?;
        let slot = slot(&mut usage, kind);
        (slot.volumes, slot.volume_gigabytes) = (count, gib);
    }
    for record in results.next().unwrap_or_default() {
        let (kind, count, gib) = counted(record)?;
        let slot = slot(&mut usage, kind);
        (slot.snapshots, slot.snapshot_gigabytes) = (count, gib);
    }
    for record in results.next().unwrap_or_default() {
        let mut cells = record.into_iter();
        usage.backups = answer(&mut cells, WHAT)?;
        usage.backup_gigabytes = answer(&mut cells, WHAT)?;
    }
    Ok(usage)
}

fn slot(usage: &mut QuotaUsage, kind: Option<VolumeTypeId>) -> &mut TypeUsage {
    match kind {
        Some(kind) => usage.types.entry(kind).or_default(),
        None => &mut usage.untyped,
    }
}

fn counted(record: Record) -> Result<(Option<VolumeTypeId>, u64, u64), CatalogError> {
    let mut cells = record.into_iter();
    Ok((
        answer(&mut cells, WHAT)?,
        answer(&mut cells, WHAT)?,
        answer(&mut cells, WHAT)?,
    ))
}
