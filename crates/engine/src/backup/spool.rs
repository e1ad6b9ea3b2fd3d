//! Where finished work waits until it is in packs that a record names.
//!
//! A pack is stored when it is full, and a record is written for several: a process that is
//! killed loses what it had in memory by then. So, where the store lends room on a disk of
//! this machine, workers write what they finish to files there too, sealed, without waiting
//! for the disk: what a killed process wrote is still there. Files go as soon as all in
//! them is in packs that a record names. A power cut may lose them; then more is read again.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use emberkeep_format::{NONCE_LEN, PackId, SealKey, SpoolFrame, TAG_LEN};
use emberkeep_keys::random;
use emberkeep_model::BackupId;

use crate::packs::Journal;
use crate::space::Space;

/// A new file is begun when one is so long.
const FILE: u64 = 32 << 20;
/// No frame is longer: a batch, or a page.
const FRAME: usize = 64 << 20;
/// Files that nobody came for are removed after this time.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The files of one attempt.
pub(crate) struct Spool<'a> {
    space: &'a Space,
    journal: Journal,
    dir: PathBuf,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: Option<OpenFile>,
    /// Frames in each file that no record covers yet.
    waiting: HashMap<u64, (PathBuf, usize)>,
    next: u64,
    /// The disk failed us: the backup goes on without.
    broken: bool,
    buffer: Vec<u8>,
}

struct OpenFile {
    file: File,
    number: u64,
    key: SealKey,
    frames: u32,
    length: u64,
}

impl<'a> Spool<'a> {
    /// Prepares the files of an attempt; none where the store lends no room.
    pub(crate) fn begin(space: &'a Space, journal: Journal) -> Option<Self> {
        let dir = space.store.scratch()?.join("spool");
        remove_old(&dir);
        Some(Self {
            space,
            journal,
            dir,
            state: Mutex::default(),
        })
    }

    /// Keeps a frame; returns the number of the file it is in, which [`Spool::release`] wants.
    pub(crate) fn keep(&self, frame: &SpoolFrame<'_>) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return None;
        }
        match self.try_keep(&mut state, frame) {
            Ok(number) => Some(number),
            Err(cause) => {
                tracing::warn!(%cause, "a crash would cost more: work cannot be kept in {}", self.dir.display());
                state.broken = true;
                None
            }
        }
    }

    fn try_keep(&self, state: &mut State, frame: &SpoolFrame<'_>) -> io::Result<u64> {
        if state.open.as_ref().is_none_or(|open| open.length >= FILE) {
            self.open(state)?;
        }
        let mut bytes = std::mem::take(&mut state.buffer);
        let Some(open) = &mut state.open else {
            return Err(io::ErrorKind::NotFound.into());
        };
        bytes.clear();
        bytes.extend_from_slice(&[0; 4]);
        frame.encode(&mut bytes);
        let tag = open
            .key
            .seal(nonce(open.frames), &self.journal.instant, &mut bytes[4..]);
        bytes.extend_from_slice(&tag);
        let length = u32::try_from(bytes.len() - 4).map_err(|_| io::ErrorKind::FileTooLarge)?;
        bytes[..4].copy_from_slice(&length.to_le_bytes());
        open.file.write_all(&bytes)?;
        open.frames += 1;
        open.length += bytes.len() as u64;
        let number = open.number;
        state.buffer = bytes;
        if let Some((_, frames)) = state.waiting.get_mut(&number) {
            *frames += 1;
        }
        Ok(number)
    }

    fn open(&self, state: &mut State) -> io::Result<()> {
        let id = PackId(random());
        if let Some(parent) = self.dir.parent() {
            // The store's own room for unfinished files; it may not have needed it yet.
            make_dir(parent)?;
        }
        make_dir(&self.dir)?;
        let path = self.dir.join(format!("{}.{id}", self.journal.backup));
        let file = File::options()
            .append(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        let number = state.next;
        state.next += 1;
        let before = state.open.replace(OpenFile {
            file,
            number,
            key: self.space.keys.pack(id),
            frames: 0,
            length: 0,
        });
        state.waiting.insert(number, (path, 0));
        if let Some(before) = before {
            remove_if_done(state, before.number);
        }
        Ok(())
    }

    /// Says that frames are covered by a record.
    pub(crate) fn release(&self, numbers: &[u64]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for number in numbers {
            if let Some((_, frames)) = state.waiting.get_mut(number) {
                *frames = frames.saturating_sub(1);
            }
            if state
                .open
                .as_ref()
                .is_none_or(|open| open.number != *number)
            {
                remove_if_done(&mut state, *number);
            }
        }
    }
}

fn make_dir(path: &Path) -> io::Result<()> {
    match fs::create_dir(path) {
        Err(cause) if cause.kind() != io::ErrorKind::AlreadyExists => Err(cause),
        _ => Ok(()),
    }
}

/// What cannot be removed takes room for a while, and does no harm.
fn remove_if_done(state: &mut State, number: u64) {
    if state
        .waiting
        .get(&number)
        .is_some_and(|(_, frames)| *frames == 0)
        && let Some((path, _)) = state.waiting.remove(&number)
    {
        let _ = fs::remove_file(path);
    }
}

fn remove_old(dir: &Path) {
    let Ok(entries) = fs::read_dir(dir) else {
        return;
    };
    let now = SystemTime::now();
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|meta| meta.modified());
        let age = modified.ok().and_then(|then| now.duration_since(then).ok());
        if age.is_some_and(|age| age > PATIENCE) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn nonce(frame: u32) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[..4].copy_from_slice(&frame.to_le_bytes());
    nonce
}

/// Lists the files that attempts at a backup left behind.
pub(crate) fn files_of(space: &Space, backup: BackupId) -> Vec<PathBuf> {
    let Some(dir) = space.store.scratch() else {
        return Vec::new();
    };
    let Ok(entries) = fs::read_dir(dir.join("spool")) else {
        return Vec::new();
    };
    let prefix = format!("{backup}.");
    let mine = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name.starts_with(&prefix))
    };
    let mut files: Vec<PathBuf> = entries.flatten().map(|e| e.path()).filter(mine).collect();
    files.sort();
    files
}

/// Removes files that nobody needs any more.
pub(crate) fn remove(files: &[PathBuf]) {
    for file in files {
        let _ = fs::remove_file(file);
    }
}

/// Hands on every frame of a file that is whole. Whatever is wrong with the rest, with all of
/// it, or with the instant it is of: it is left out, and read again.
pub(crate) fn read<E>(
    space: &Space,
    journal: Journal,
    path: &Path,
    mut sink: impl FnMut(SpoolFrame<'_>) -> Result<(), E>,
) -> Result<(), E> {
    let name = path.file_name().and_then(|name| name.to_str());
    let id = name.and_then(|name| name.rsplit_once('.')?.1.parse::<PackId>().ok());
    let (Some(id), Ok(file)) = (id, File::open(path)) else {
        return Ok(());
    };
    let key = space.keys.pack(id);
    let mut file = io::BufReader::with_capacity(1 << 20, file);
    let mut bytes = Vec::new();
    for number in 0..u32::MAX {
        let mut length = [0; 4];
        if file.read_exact(&mut length).is_err() {
            break;
        }
        let length = u32::from_le_bytes(length) as usize;
        if !(TAG_LEN..=FRAME).contains(&length) {
            break;
        }
        bytes.resize(length, 0);
        if file.read_exact(&mut bytes).is_err() {
            break;
        }
        let opened = key.open(nonce(number), &journal.instant, &mut bytes, "spool frame");
        match opened.and_then(|plain| SpoolFrame::decode(plain)) {
            Ok(frame) => sink(frame)?,
            Err(_) => break,
        }
    }
    Ok(())
}
