//! Keeps volumes as files in a directory.
//!
//! `volumes/`, `snapshots/` and `frozen/` hold whole files only: each is written
//! in `unfinished/` and renamed once it is durable, so what stands under a name
//! was completed, and what a crash interrupted is simply done again. `backed-up/` holds
//! the last clone of each volume whose backup stands, where the file system makes clones:
//! the next one is compared with it, block by block, without reading either.

mod new_volume;
mod pause;

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use emberkeep_model::{ByteCount, SnapshotId, VolumeId};

use crate::file::{
    Copied, FileSource, FileTarget, clone_of, copy_sparse, mark_clone, sync_dir, sync_parent,
};
use crate::port::freeze_in_turn;
use crate::tree::{TreeReport, TreeTarget, pack_tree, unpack_tree};
use crate::{RestoreTarget, SourceSnapshot, TargetState, VolumeError, VolumeProvider};
pub use new_volume::NewVolume;
use new_volume::{Unfinished, remove_leftovers};
use pause::Paused;

const VOLUMES: &str = "volumes";
const SNAPSHOTS: &str = "snapshots";
const FROZEN: &str = "frozen";
const BACKED_UP: &str = "backed-up";
const UNFINISHED: &str = "unfinished";
const EXTENSION: &str = ".raw";

/// Volumes, snapshots and freezes as sparse raw files.
///
/// A snapshot shares its blocks with the volume where the file system can
/// (XFS, Btrfs, bcachefs) and is then taken at one instant. Elsewhere it is a
/// copy, and whoever asks for it has to keep writers away meanwhile.
///
/// Volumes frozen together are snapshot one right after the other. What that means for a writer
/// that goes on meanwhile stands in `pause.rs`.
#[derive(Debug)]
pub struct FileProvider {
    root: PathBuf,
}

impl FileProvider {
    /// Opens the directory, making what is missing, and removes what an
    /// interrupted process left unfinished.
    pub fn open(data_dir: impl AsRef<Path>) -> Result<Self, VolumeError> {
        let root = data_dir.as_ref();
        let failed = |cause| VolumeError::io(root.display().to_string(), cause);
        let root = std::path::absolute(root).map_err(failed)?;
        for dir in [VOLUMES, SNAPSHOTS, FROZEN, BACKED_UP, UNFINISHED] {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(root.join(dir))
                .map_err(failed)?;
        }
        sync_dir(&root)
            .and_then(|()| sync_parent(&root))
            .map_err(failed)?;
        remove_leftovers(&root.join(UNFINISHED));
        Ok(Self { root })
    }

    /// Begins a new volume, to be written front to back or in any order.
    ///
    /// It exists once it is finished; dropped before that, it leaves nothing.
    pub fn write_new(&self, volume: VolumeId, size: ByteCount) -> Result<NewVolume, VolumeError> {
        NewVolume::begin(self.unfinished(volume)?, size)
    }

    /// Makes a volume with the bytes of a source, grown to `size`, leaving out zeroes.
    pub fn import(
        &self,
        volume: VolumeId,
        source: &dyn SourceSnapshot,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        check_fits(&volume_name(volume), source.size(), size)?;
        let new = self.write_new(volume, size)?;
        new.copy_from(source)?;
        new.finish()
    }

    fn unfinished(&self, volume: VolumeId) -> Result<Unfinished, VolumeError> {
        let what = volume_name(volume);
        let place = self.volume_path(volume);
        if place.symlink_metadata().is_ok() {
            return Err(VolumeError::Exists { what });
        }
        Unfinished::create(&self.root.join(UNFINISHED), place, what)
    }

    /// Makes a volume that is a copy of `source`, grown to `size`.
    fn create_copy(
        &self,
        volume: VolumeId,
        source: (&Path, String),
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        let (path, name) = source;
        let failed = |cause| VolumeError::io(&name, cause);
        let from = File::open(path).map_err(failed)?;
        let have = ByteCount(from.metadata().map_err(failed)?.len());
        check_fits(&volume_name(volume), have, size)?;
        let new = self.unfinished(volume)?;
        copy_sparse(&from, new.file())
            .and_then(|_| new.file().set_len(size.0))
            .map_err(|cause| VolumeError::io(format!("writing {}", volume_name(volume)), cause))?;
        new.complete()
    }

    /// Copies a volume to `place` unless that exists, in which case it is whole already.
    fn copy_once(&self, volume: VolumeId, place: PathBuf, what: String) -> Result<(), VolumeError> {
        let failed = |cause| VolumeError::io(&what, cause);
        if !place.exists() {
            let path = self.volume_path(volume);
            let from =
                File::open(&path).map_err(|cause| VolumeError::io(volume_name(volume), cause))?;
            let new = Unfinished::create(&self.root.join(UNFINISHED), place.clone(), what.clone())?;
            if copy_sparse(&from, new.file()).map_err(failed)? == Copied::Shared {
                mark_clone(new.file(), volume);
            }
            match new.complete() {
                // Another run was faster; its copy is as good as ours.
                Err(VolumeError::Exists { .. }) => {}
                other => return other,
            }
        }
        // Who made it may have been killed before its name was durable.
        sync_parent(&place).map_err(failed)
    }

    fn volume_path(&self, volume: VolumeId) -> PathBuf {
        self.root.join(VOLUMES).join(format!("{volume}{EXTENSION}"))
    }

    fn snapshot_path(&self, snapshot: SnapshotId) -> PathBuf {
        self.root
            .join(SNAPSHOTS)
            .join(format!("{snapshot}{EXTENSION}"))
    }

    fn backed_up_path(&self, volume: VolumeId) -> PathBuf {
        self.root
            .join(BACKED_UP)
            .join(format!("{volume}{EXTENSION}"))
    }

    fn open_frozen(&self, path: &Path, what: String) -> Result<FileSource, VolumeError> {
        FileSource::open_frozen(path, what, |volume| {
            File::open(self.backed_up_path(volume)).ok()
        })
    }

    fn freeze_path(&self, freeze: &str) -> Result<PathBuf, VolumeError> {
        let fine = (1..=200).contains(&freeze.len())
            && !freeze.starts_with('.')
            && freeze
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
        if fine {
            return Ok(self.root.join(FROZEN).join(format!("{freeze}{EXTENSION}")));
        }
        let cause = io::Error::new(
            ErrorKind::InvalidInput,
            "this cannot be the name of a freeze",
        );
        Err(VolumeError::io(format!("'{freeze}'"), cause))
    }
}

impl FileProvider {
    /// Lists the volumes that have a file, with their sizes.
    pub fn volumes(&self) -> Result<Vec<(VolumeId, ByteCount)>, VolumeError> {
        let place = self.root.join(VOLUMES);
        let failed = |cause| VolumeError::io(place.display().to_string(), cause);
        let mut found = Vec::new();
        for entry in fs::read_dir(&place).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(EXTENSION));
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                let size = fs::metadata(entry.path()).map_err(failed)?.len();
                found.push((id, ByteCount(size)));
            }
        }
        found.sort_unstable();
        Ok(found)
    }
}

impl VolumeProvider for FileProvider {
    fn create(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError> {
        self.write_new(volume, size)?.finish()
    }

    fn create_from_snapshot(
        &self,
        volume: VolumeId,
        snapshot: SnapshotId,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        self.create_copy(
            volume,
            (&self.snapshot_path(snapshot), snapshot_name(snapshot)),
            size,
        )
    }

    fn create_from_volume(
        &self,
        volume: VolumeId,
        source: VolumeId,
        size: ByteCount,
    ) -> Result<(), VolumeError> {
        self.create_copy(
            volume,
            (&self.volume_path(source), volume_name(source)),
            size,
        )
    }

    fn grow(&self, volume: VolumeId, size: ByteCount) -> Result<(), VolumeError> {
        let what = volume_name(volume);
        let failed = |cause| VolumeError::io(&what, cause);
        let file = File::options()
            .write(true)
            .open(self.volume_path(volume))
            .map_err(failed)?;
        check_fits(
            &what,
            ByteCount(file.metadata().map_err(failed)?.len()),
            size,
        )?;
        file.set_len(size.0)
            .and_then(|()| file.sync_all())
            .map_err(failed)
    }

    fn delete(&self, volume: VolumeId) -> Result<(), VolumeError> {
        let what = volume_name(volume);
        remove(&self.volume_path(volume), &what)?;
        remove(&self.backed_up_path(volume), &what)
    }

    fn size(&self, volume: VolumeId) -> Result<ByteCount, VolumeError> {
        match fs::metadata(self.volume_path(volume)) {
            Ok(meta) => Ok(ByteCount(meta.len())),
            Err(cause) => Err(VolumeError::io(volume_name(volume), cause)),
        }
    }

    fn snapshot(&self, volume: VolumeId, snapshot: SnapshotId) -> Result<(), VolumeError> {
        self.copy_once(
            volume,
            self.snapshot_path(snapshot),
            snapshot_name(snapshot),
        )
    }

    fn delete_snapshot(&self, snapshot: SnapshotId) -> Result<(), VolumeError> {
        remove(&self.snapshot_path(snapshot), &snapshot_name(snapshot))
    }

    fn open_snapshot(&self, snapshot: SnapshotId) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        let path = self.snapshot_path(snapshot);
        Ok(Box::new(self.open_frozen(&path, snapshot_name(snapshot))?))
    }

    fn freeze(
        &self,
        volume: VolumeId,
        freeze: &str,
    ) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        let path = self.freeze_path(freeze)?;
        let what = format!("{}, frozen as {freeze}", volume_name(volume));
        self.copy_once(volume, path.clone(), what.clone())?;
        Ok(Box::new(self.open_frozen(&path, what)?))
    }

    fn freeze_together(
        &self,
        volumes: &[(VolumeId, String)],
    ) -> Result<Vec<Box<dyn SourceSnapshot>>, VolumeError> {
        let files: Vec<PathBuf> = volumes
            .iter()
            .map(|(id, _)| self.volume_path(*id))
            .collect();
        let _paused = Paused::take(&files);
        freeze_in_turn(self, volumes)
    }

    fn freeze_tree(
        &self,
        root: &Path,
        path: &Path,
        freeze: &str,
    ) -> Result<(Box<dyn SourceSnapshot>, TreeReport), VolumeError> {
        let place = self.freeze_path(freeze)?;
        let what = format!("{}, frozen as {freeze}", root.join(path).display());
        let mut report = TreeReport::default();
        if !place.exists() {
            let new = Unfinished::create(&self.root.join(UNFINISHED), place.clone(), what.clone())?;
            report = pack_tree(root, path, new.file())?;
            match new.complete() {
                Err(VolumeError::Exists { .. }) => {}
                other => other?,
            }
        }
        Ok((Box::new(self.open_frozen(&place, what)?), report))
    }

    fn tree_image(
        &self,
        freeze: &str,
        size: ByteCount,
    ) -> Result<Box<dyn RestoreTarget>, VolumeError> {
        let place = self.freeze_path(freeze)?;
        let what = format!("tree image {freeze}");
        // Made anew at every attempt: only what was just made reads as zeroes.
        remove(&place, &what)?;
        let new = Unfinished::create(&self.root.join(UNFINISHED), place.clone(), what.clone())?;
        let sized = new.file().set_len(size.0);
        sized.map_err(|cause| VolumeError::io(&what, cause))?;
        new.complete()?;
        let target = FileTarget::open_as(&place, what, TargetState::Zeroed)?;
        Ok(Box::new(target))
    }

    fn unpack_tree(&self, freeze: &str, target: &TreeTarget) -> Result<TreeReport, VolumeError> {
        let what = format!("tree image {freeze}");
        let image = File::open(self.freeze_path(freeze)?);
        unpack_tree(
            &image.map_err(|cause| VolumeError::io(what, cause))?,
            target,
        )
    }

    fn reopen_freeze(&self, freeze: &str) -> Result<Option<Box<dyn SourceSnapshot>>, VolumeError> {
        match self.open_frozen(&self.freeze_path(freeze)?, format!("freeze {freeze}")) {
            Ok(source) => Ok(Some(Box::new(source))),
            Err(VolumeError::Missing { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn release(&self, freeze: &str) -> Result<(), VolumeError> {
        remove(&self.freeze_path(freeze)?, &format!("freeze {freeze}"))
    }

    fn release_backed_up(&self, freeze: &str) -> Result<(), VolumeError> {
        let path = self.freeze_path(freeze)?;
        let what = format!("freeze {freeze}");
        let failed = |cause| VolumeError::io(&what, cause);
        let file = match File::open(&path) {
            Err(cause) if cause.kind() == ErrorKind::NotFound => return Ok(()),
            other => other.map_err(failed)?,
        };
        // Of a volume that has gone meanwhile nobody will ask.
        let kept = clone_of(&file).filter(|volume| self.volume_path(*volume).exists());
        let Some(volume) = kept else {
            return self.release(freeze);
        };
        let place = self.backed_up_path(volume);
        fs::rename(&path, &place).map_err(failed)?;
        sync_parent(&place)
            .and_then(|()| sync_parent(&path))
            .map_err(failed)?;
        if self.volume_path(volume).exists() {
            return Ok(());
        }
        remove(&place, &what)
    }

    fn freezes(&self) -> Result<Vec<String>, VolumeError> {
        let dir = self.root.join(FROZEN);
        let failed = |cause| VolumeError::io(dir.display().to_string(), cause);
        let mut names = Vec::new();
        for entry in fs::read_dir(&dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            names.extend(
                name.to_str()
                    .and_then(|n| n.strip_suffix(EXTENSION))
                    .map(str::to_owned),
            );
        }
        names.sort();
        Ok(names)
    }

    fn open_target(
        &self,
        volume: VolumeId,
        state: TargetState,
    ) -> Result<Box<dyn RestoreTarget>, VolumeError> {
        let path = self.volume_path(volume);
        Ok(Box::new(FileTarget::open_as(
            &path,
            volume_name(volume),
            state,
        )?))
    }

    fn open_source(&self, volume: VolumeId) -> Result<Box<dyn SourceSnapshot>, VolumeError> {
        let path = self.volume_path(volume);
        Ok(Box::new(FileSource::open_as(&path, volume_name(volume))?))
    }

    fn path(&self, volume: VolumeId) -> Option<PathBuf> {
        Some(self.volume_path(volume))
    }
}

fn volume_name(volume: VolumeId) -> String {
    format!("volume {volume}")
}

fn snapshot_name(snapshot: SnapshotId) -> String {
    format!("snapshot {snapshot}")
}

/// Refuses to make a volume of `size` from more bytes than that.
fn check_fits(what: &str, have: ByteCount, size: ByteCount) -> Result<(), VolumeError> {
    if have <= size {
        return Ok(());
    }
    let reason = format!("{} bytes do not fit into {}", have.0, size.0);
    Err(VolumeError::OutOfRange {
        what: what.to_owned(),
        reason,
    })
}

/// Removes a file durably; a missing one is fine.
fn remove(path: &Path, what: &str) -> Result<(), VolumeError> {
    match fs::remove_file(path) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        // Also where it was missing: who removed it may have been killed before it was durable.
        _ => sync_parent(path),
    }
    .map_err(|cause| VolumeError::io(format!("removing {what}"), cause))
}

#[cfg(test)]
mod tests;
