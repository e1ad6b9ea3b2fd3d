//! From an image to a directory.

use std::ffi::{CString, OsString};
use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    AtFlags, Mode, OFlags, RenameFlags, ResolveFlags, Timespec, Timestamps, UTIME_OMIT,
};
use rustix::io::Errno;
use rustix::process::{Gid, Uid};

use super::entry::{Entry, Kind, MAGIC, MOST_BYTES, Reader, VERSION, bad, parts};
use super::pack::{named, open_below};
use super::{BLOCK, TreeReport};
use crate::file::data_and_holes;
use crate::zero::data_runs;
use crate::{ExtentKind, VolumeError};

/// Bytes moved at once; a bound on memory.
const STEP_BYTES: u64 = 1 << 20;

/// Where a tree is to be put: a directory below a root.
#[derive(Debug, Clone)]
pub struct TreeTarget {
    /// The root, which the operator allows.
    pub root: PathBuf,
    /// The directory, below it; it may be missing, but not what it is in.
    pub path: PathBuf,
    /// Names the attempt: what an interrupted one left under the same name is removed.
    pub attempt: String,
}

/// Makes the target hold exactly the tree of an image. The tree is made whole beside the target
/// and then takes its place at once, so that a failure leaves what was there.
pub fn unpack_tree(image: &File, target: &TreeTarget) -> Result<TreeReport, VolumeError> {
    let what = format!("directory {}", target.root.join(&target.path).display());
    let failed = |cause| VolumeError::io(format!("restoring {what}"), cause);
    replace(image, target).map_err(failed)
}

fn replace(image: &File, target: &TreeTarget) -> io::Result<TreeReport> {
    let (Some(name), Some(parent)) = (target.path.file_name(), target.path.parent()) else {
        return Err(io::Error::other("a root itself cannot be replaced"));
    };
    let above = open_below(&target.root, parent)?;
    let mut staged = OsString::from(".");
    staged.push(name);
    staged.push(format!(".emberkeep-{}", target.attempt));
    let place = target.root.join(parent).join(&staged);
    // Of an interrupted attempt: a tree half made, or the one that was replaced.
    discard(&place)?;
    rustix::fs::mkdirat(&above, &staged, Mode::RWXU)?;
    let made = open_in(&above, &staged).and_then(|top| {
        let report = unpack(image, &top)?;
        rustix::fs::syncfs(&top)?;
        Ok(report)
    });
    let report = match made {
        Ok(report) => report,
        Err(cause) => {
            discard(&place)?;
            return Err(cause);
        }
    };
    let swapped = rustix::fs::renameat_with(&above, &staged, &above, name, RenameFlags::EXCHANGE);
    match swapped {
        Ok(()) => {
            above.sync_all()?;
            discard(&place)?;
        }
        Err(Errno::NOENT) => {
            rustix::fs::renameat_with(&above, &staged, &above, name, RenameFlags::NOREPLACE)?;
        }
        Err(cause) => {
            discard(&place)?;
            return Err(cause.into());
        }
    }
    above.sync_all()?;
    Ok(report)
}

/// Removes a tree; one that is not there is fine.
fn discard(place: &Path) -> io::Result<()> {
    match fs::remove_dir_all(place) {
        Err(cause) if cause.kind() != ErrorKind::NotFound => Err(cause),
        _ => Ok(()),
    }
}

fn open_in(parent: &File, name: &std::ffi::OsStr) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(File::from(rustix::fs::openat(
        parent,
        name,
        flags,
        Mode::empty(),
    )?))
}

/// Makes the tree in `top`, an empty directory that nobody else knows of.
fn unpack(image: &File, top: &File) -> io::Result<TreeReport> {
    let entries = read_entries(image)?;
    let mut report = TreeReport::default();
    for (number, entry) in entries.iter().enumerate() {
        let made = make(image, top, &entries, number, &mut report);
        made.map_err(|cause| named(&entry.path, cause))?;
    }
    // A directory's own times change with what is put into it, and its mode may forbid that.
    for entry in entries.iter().rev() {
        if entry.kind == Kind::Directory {
            let directory = descend(top, &parts(&entry.path)?)?;
            finish(&directory, entry, &mut report).map_err(|cause| named(&entry.path, cause))?;
        }
    }
    Ok(report)
}

/// Reads and checks the entries: the root first, then each below a directory that came before.
fn read_entries(image: &File) -> io::Result<Vec<Entry>> {
    let size = image.metadata()?.len();
    let mut head = [0; 40];
    image.read_exact_at(&mut head, 0)?;
    let (magic, rest) = head.split_at(8);
    let number = |at: usize| -> io::Result<u64> {
        let bytes = rest.get(at..at + 8).and_then(|b| b.try_into().ok());
        Ok(u64::from_le_bytes(bytes.ok_or_else(|| bad("no head"))?))
    };
    if magic != MAGIC || number(0)? != u64::from(VERSION) {
        return Err(bad("it is not the image of a tree that we know"));
    }
    let (offset, length, count) = (number(8)?, number(16)?, number(24)?);
    let end = offset.checked_add(length);
    if end.is_none_or(|end| end > size) || length > MOST_BYTES {
        return Err(bad("the entries lie outside of the image"));
    }
    let mut bytes = vec![0; usize::try_from(length).map_err(|_| bad("too many entries"))?];
    image.read_exact_at(&mut bytes, offset)?;
    let mut reader = Reader(&bytes);
    let mut entries: Vec<Entry> = Vec::new();
    let mut directories = std::collections::HashSet::new();
    let mut paths = std::collections::HashSet::new();
    for _ in 0..count {
        let entry = reader.entry()?;
        let parts = parts(&entry.path)?;
        let is_root = parts.is_empty();
        if is_root != entries.is_empty() || (is_root && entry.kind != Kind::Directory) {
            return Err(bad("the root has to be the first entry"));
        }
        if !paths.insert(entry.path.clone()) {
            return Err(bad("a path is there twice"));
        }
        if !is_root {
            let cut = entry.path.iter().rposition(|byte| *byte == b'/');
            let parent = entry.path[..cut.unwrap_or(0)].to_vec();
            if !directories.contains(&parent) {
                return Err(bad("an entry is in no directory"));
            }
        }
        match &entry.kind {
            Kind::Directory => {
                directories.insert(entry.path.clone());
            }
            Kind::File { size, offset: at } => {
                let end = at.checked_add(*size);
                if *at < BLOCK || end.is_none_or(|end| end > offset) {
                    return Err(bad("a file's content lies outside of the image"));
                }
            }
            Kind::HardLink { first } => {
                let first = usize::try_from(*first).ok().and_then(|n| entries.get(n));
                if !first.is_some_and(|first| matches!(first.kind, Kind::File { .. })) {
                    return Err(bad("a hard link is of no file"));
                }
            }
            Kind::Symlink { .. } | Kind::Pipe => {}
        }
        entries.push(entry);
    }
    if entries.is_empty() {
        return Err(bad("there is no root"));
    }
    Ok(entries)
}

fn make(
    image: &File,
    top: &File,
    entries: &[Entry],
    number: usize,
    report: &mut TreeReport,
) -> io::Result<()> {
    let entry = &entries[number];
    let path = parts(&entry.path)?;
    let Some((name, above)) = path.split_last() else {
        return Ok(());
    };
    let parent = descend(top, above)?;
    let name = CString::new(*name).map_err(|_| bad("a name holds a zero byte"))?;
    match &entry.kind {
        Kind::Directory => {
            rustix::fs::mkdirat(&parent, &name, Mode::RWXU)?;
            report.directories += 1;
        }
        Kind::File { size, offset } => {
            let flags =
                OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let mode = Mode::RUSR | Mode::WUSR;
            let file = File::from(rustix::fs::openat(&parent, &name, flags, mode)?);
            file.set_len(*size)?;
            content(image, &file, *size, *offset)?;
            finish(&file, entry, report)?;
            report.files += 1;
            report.bytes += size;
        }
        Kind::Symlink { target } => {
            let target = CString::new(target.as_slice());
            let target = target.map_err(|_| bad("a target holds a zero byte"))?;
            rustix::fs::symlinkat(&target, &parent, &name)?;
            finish_by_name(&parent, &name, entry, false, report)?;
            report.others += 1;
        }
        Kind::HardLink { first } => {
            let first = usize::try_from(*first).ok().and_then(|n| entries.get(n));
            let first = first.ok_or_else(|| bad("a hard link is of no file"))?;
            let first_path = parts(&first.path)?;
            let (first_name, first_above) = first_path
                .split_last()
                .ok_or_else(|| bad("a hard link is of no file"))?;
            let first_parent = descend(top, first_above)?;
            let first_name = CString::new(*first_name).map_err(|_| bad("a zero byte"))?;
            rustix::fs::linkat(&first_parent, &first_name, &parent, &name, AtFlags::empty())?;
        }
        Kind::Pipe => {
            let mode = Mode::RUSR | Mode::WUSR;
            rustix::fs::mknodat(&parent, &name, rustix::fs::FileType::Fifo, mode, 0)?;
            finish_by_name(&parent, &name, entry, true, report)?;
            report.others += 1;
        }
    }
    Ok(())
}

/// Opens a directory of the tree.
fn descend(top: &File, parts: &[&[u8]]) -> io::Result<File> {
    if parts.is_empty() {
        return top.try_clone();
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let path = OsString::from_vec(parts.join(&b'/'));
    let opened = rustix::fs::openat2(top, path.as_bytes(), flags, Mode::empty(), resolve)?;
    Ok(File::from(opened))
}

fn content(image: &File, file: &File, size: u64, offset: u64) -> io::Result<()> {
    let mut buf = Vec::new();
    for extent in data_and_holes(image, offset..offset + size)? {
        if extent.kind == ExtentKind::Zero {
            continue;
        }
        let (mut at, end) = (extent.offset, extent.offset + extent.length);
        while at < end {
            let step = STEP_BYTES.min(end - at);
            buf.resize(usize::try_from(step).unwrap_or_default(), 0);
            image.read_exact_at(&mut buf, at)?;
            for run in data_runs(&buf) {
                file.write_all_at(&buf[run.clone()], at - offset + run.start as u64)?;
            }
            at += step;
        }
    }
    Ok(())
}

/// Gives what is open its owner, mode, attributes and time, in this order: a new owner clears
/// bits of the mode, and everything touches the time.
fn finish(file: &File, entry: &Entry, report: &mut TreeReport) -> io::Result<()> {
    let (uid, gid) = owner(entry);
    if let Err(cause) = rustix::fs::fchown(file, Some(uid), Some(gid)) {
        report.note(&entry.path, format_args!("its owner: {cause}"));
    }
    for (name, value) in &entry.xattrs {
        let name_z = CString::new(name.as_slice()).map_err(|_| bad("a zero byte"))?;
        let set = rustix::fs::fsetxattr(file, &name_z, value, rustix::fs::XattrFlags::empty());
        if let Err(cause) = set {
            let name = String::from_utf8_lossy(name);
            report.note(&entry.path, format_args!("its attribute {name}: {cause}"));
        }
    }
    rustix::fs::fchmod(file, Mode::from_raw_mode(entry.mode))?;
    rustix::fs::futimens(file, &times(entry))?;
    Ok(())
}

/// The same for what cannot be opened.
fn finish_by_name(
    parent: &File,
    name: &CString,
    entry: &Entry,
    has_mode: bool,
    report: &mut TreeReport,
) -> io::Result<()> {
    let (uid, gid) = owner(entry);
    let parent = parent.as_fd();
    let flags = AtFlags::SYMLINK_NOFOLLOW;
    if let Err(cause) = rustix::fs::chownat(parent, name, Some(uid), Some(gid), flags) {
        report.note(&entry.path, format_args!("its owner: {cause}"));
    }
    if has_mode {
        let mode = Mode::from_raw_mode(entry.mode);
        rustix::fs::chmodat(parent, name, mode, AtFlags::empty())?;
    }
    rustix::fs::utimensat(parent, name, &times(entry), flags)?;
    Ok(())
}

fn owner(entry: &Entry) -> (Uid, Gid) {
    (Uid::from_raw(entry.uid), Gid::from_raw(entry.gid))
}

fn times(entry: &Entry) -> Timestamps {
    Timestamps {
        last_access: Timespec {
            tv_sec: 0,
            tv_nsec: UTIME_OMIT,
        },
        last_modification: Timespec {
            tv_sec: entry.mtime.0,
            tv_nsec: entry.mtime.1.into(),
        },
    }
}
