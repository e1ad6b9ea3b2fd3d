//! Writes a backup anew from the image it was made of, and compares the files.

use std::io::Read;

use emberkeep_model::Timestamp;
use emberkeep_volumes::TargetState;

use super::disk::Disk;
use super::expected::Backup;
use super::{Runner, Wrong, same, sha256};
use crate::memory::MemoryObjects;
use crate::port::ForeignObjects;
use crate::write::{BackupHeader, WriteOptions, write, write_incremental};

/// Rebuilds one backup; an incremental one from its parent's hashes in the repository.
pub(super) fn rebuild(runner: &Runner, backup: &Backup) -> Result<Option<String>, Wrong> {
    let set = &runner.set;
    let image = backup.image(set.image_size)?;
    same(
        "the image's SHA-256",
        sha256(&image),
        backup.source_sha256.clone(),
    )?;
    let location = &runner.locations[&backup.backup_id];
    let row = backup.row();
    let header = BackupHeader {
        backup_id: backup.backup_id,
        volume_id: row.volume_id,
        name: row.display_name.clone(),
        description: row.display_description.clone(),
        created_at: created_at(&backup.created_at_str)?,
        parent_id: None,
        // It cannot be made from the description of the image.
        volume_meta: runner.chain(backup)?.newest().volume_meta.clone(),
    };
    let options = WriteOptions {
        compression: set.compression.parse()?,
        object_size: set.chunk_size,
        block_size: set.sha_block_size,
    };
    let source = Disk::new(image, TargetState::HoldsData);
    let sink = MemoryObjects::default();
    let what = (&header, options);
    let report = match backup.parent_id {
        None => write(&source, &sink, location, what, &())?,
        Some(parent) => {
            let parent = runner
                .locations
                .get(&parent)
                .ok_or("the parent is not in the set")?;
            let parents = (&runner.repository as &dyn ForeignObjects, parent);
            write_incremental(&source, &sink, location, what, parents, &())?
        }
    };
    same(
        "the number of objects",
        report.object_count,
        backup.object_count,
    )?;
    compare(runner, backup, &sink)
}

fn created_at(text: &str) -> Result<Timestamp, Wrong> {
    let instant: jiff::Timestamp = text.parse()?;
    Ok(Timestamp(instant.as_microsecond()))
}

fn compare(
    runner: &Runner,
    backup: &Backup,
    sink: &MemoryObjects,
) -> Result<Option<String>, Wrong> {
    let location = &runner.locations[&backup.backup_id];
    let container = location.container();
    let mut names = backup.objects.clone();
    names.sort_unstable();
    same("the list of objects", sink.names(), names)?;
    let mut other_frames = 0;
    for name in &backup.objects {
        let mut want = Vec::new();
        runner
            .repository
            .open(container, name)?
            .read_to_end(&mut want)?;
        let got = sink.get(container, name).unwrap_or_default();
        if got == want {
            continue;
        }
        // Versions of libzstd make different frames of the same bytes.
        let is_data = ![location.metadata_name(), location.sha256_name()].contains(name);
        let same_content = || Some(zstd::decode_all(&*got).ok()? == zstd::decode_all(&*want).ok()?);
        if is_data && runner.set.compression == "zstd" && same_content() == Some(true) {
            other_frames += 1;
            continue;
        }
        let at = got.iter().zip(&want).take_while(|(a, b)| a == b).count();
        return Err(format!(
            "object {name} differs from byte {at} on: {} bytes instead of {}",
            got.len(),
            want.len()
        )
        .into());
    }
    Ok((other_frames > 0)
        .then(|| format!("{other_frames} zstd frames differ, but not in what they decompress to")))
}
