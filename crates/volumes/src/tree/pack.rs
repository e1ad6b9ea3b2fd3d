//! From a directory to an image.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt};
use std::path::Path;

use emberkeep_model::ByteCount;
use rustix::fs::{Dir, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;

use super::entry::{Entry, Kind, MAGIC, MOST_BYTES, VERSION};
use super::{BLOCK, TreeReport, aligned};
use crate::file::data_and_holes;
use crate::zero::data_runs;
use crate::{ExtentKind, VolumeError};

/// The deepest tree that is taken; one file is open for each level.
const DEEPEST: usize = 400;
/// A file that changes while it is read is read again so often.
const TRIES: usize = 3;
/// Bytes read at once; a bound on memory.
const STEP_BYTES: u64 = 1 << 20;

/// Writes the tree below `root`/`path` to `image`, which is empty. Fails if anything cannot be
/// read: what is missing from a backup must not look as if it had never been there. What
/// vanishes meanwhile was not there; what is neither file, directory, link nor pipe is left out,
/// and a note says so.
pub fn pack_tree(root: &Path, path: &Path, image: &File) -> Result<TreeReport, VolumeError> {
    let what = format!("directory {}", root.join(path).display());
    let failed = |cause| VolumeError::io(format!("reading {what}"), cause);
    let top = open_below(root, path).map_err(failed)?;
    let mut packing = Packing {
        image,
        at: BLOCK,
        entries: Vec::new(),
        count: 0,
        linked: HashMap::new(),
        report: TreeReport::default(),
    };
    packing.directory(top, &[], 0).map_err(failed)?;
    packing.finish().map_err(failed)
}

/// Sums the sizes of the files in a directory, holes included, each rounded up to a block.
pub fn measure(root: &Path, path: &Path) -> Result<ByteCount, VolumeError> {
    let what = format!("directory {}", root.join(path).display());
    open_below(root, path)
        .and_then(|_| measured(&root.join(path), 0))
        .map(ByteCount)
        .map_err(|cause| VolumeError::io(format!("reading {what}"), cause))
}

fn measured(directory: &Path, depth: usize) -> io::Result<u64> {
    if depth > DEEPEST {
        return Err(io::Error::other("it lies too deep"));
    }
    let mut sum = BLOCK;
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        // Of the thing itself, where it is a link.
        let meta = match entry.metadata() {
            Err(gone) if gone.kind() == io::ErrorKind::NotFound => continue,
            meta => meta?,
        };
        let size = if meta.is_dir() {
            measured(&entry.path(), depth + 1)?
        } else if meta.is_file() {
            aligned(meta.len()).unwrap_or(u64::MAX)
        } else {
            0
        };
        sum = sum.saturating_add(size);
    }
    Ok(sum)
}

/// Opens a directory below a root, through no link.
pub(super) fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let root = rustix::fs::open(root, flags, Mode::empty())?;
    if path.as_os_str().is_empty() {
        return Ok(File::from(root));
    }
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_MAGICLINKS;
    let opened: OwnedFd = rustix::fs::openat2(&root, path, flags, Mode::empty(), resolve)?;
    Ok(File::from(opened))
}

struct Packing<'a> {
    image: &'a File,
    /// Where the next content goes.
    at: u64,
    entries: Vec<u8>,
    count: u64,
    /// Files with several names: the number of the entry of the first.
    linked: HashMap<(u64, u64), u64>,
    report: TreeReport,
}

impl Packing<'_> {
    fn directory(&mut self, directory: File, path: &[u8], depth: usize) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(named(path, io::Error::other("it lies too deep")));
        }
        let meta = directory.metadata()?;
        self.add(path, &meta, xattrs(&directory)?, Kind::Directory)?;
        if depth > 0 {
            self.report.directories += 1;
        }
        let mut names: Vec<CString> = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let name = entry?.file_name().to_owned();
            if !matches!(name.as_bytes(), b"." | b"..") {
                names.push(name);
            }
        }
        names.sort();
        for name in names {
            let mut inner = path.to_vec();
            if !inner.is_empty() {
                inner.push(b'/');
            }
            inner.extend_from_slice(name.as_bytes());
            match self.thing(&directory, &name, &inner, depth) {
                Err(gone) if gone.kind() == io::ErrorKind::NotFound => {
                    self.report.note(&inner, "it vanished while it was read");
                }
                other => other.map_err(|cause| named(&inner, cause))?,
            }
        }
        Ok(())
    }

    fn thing(
        &mut self,
        parent: &File,
        name: &CString,
        path: &[u8],
        depth: usize,
    ) -> io::Result<()> {
        let look = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let seen = File::from(rustix::fs::openat(parent, name, look, Mode::empty())?);
        let meta = seen.metadata()?;
        let kind = meta.file_type();
        if kind.is_symlink() {
            let target = rustix::fs::readlinkat(&seen, c"", Vec::new())?.into_bytes();
            self.report.others += 1;
            return self.add(path, &meta, Vec::new(), Kind::Symlink { target });
        }
        if kind.is_fifo() {
            self.report.others += 1;
            return self.add(path, &meta, Vec::new(), Kind::Pipe);
        }
        if !kind.is_dir() && !kind.is_file() {
            self.report
                .note(path, "it is a socket or a device and is left out");
            return Ok(());
        }
        let mut flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if kind.is_dir() {
            flags |= OFlags::DIRECTORY;
        }
        let opened = File::from(rustix::fs::openat(parent, name, flags, Mode::empty())?);
        let now = opened.metadata()?;
        if (now.dev(), now.ino()) != (meta.dev(), meta.ino()) {
            return Err(io::Error::other("it was replaced while it was read"));
        }
        if kind.is_dir() {
            return self.directory(opened, path, depth + 1);
        }
        self.file(&opened, path)
    }

    fn file(&mut self, file: &File, path: &[u8]) -> io::Result<()> {
        let mut meta = file.metadata()?;
        let id = (meta.dev(), meta.ino());
        if meta.nlink() > 1
            && let Some(first) = self.linked.get(&id).copied()
        {
            return self.add(path, &meta, Vec::new(), Kind::HardLink { first });
        }
        let offset = self.at;
        for attempt in 1.. {
            let end = offset.checked_add(meta.len()).and_then(aligned);
            self.at = end.ok_or_else(|| io::Error::other("it is too large"))?;
            self.content(file, meta.len(), offset)?;
            let now = file.metadata()?;
            let stamp = |meta: &Metadata| (meta.len(), meta.mtime(), meta.mtime_nsec());
            if stamp(&now) == stamp(&meta) {
                break;
            }
            if attempt == TRIES {
                self.report.note(path, "it changed while it was read");
                break;
            }
            // What was written of it is no part of the next attempt.
            self.image.set_len(offset)?;
            meta = now;
        }
        if meta.nlink() > 1 {
            self.linked.insert(id, self.count);
        }
        self.report.files += 1;
        self.report.bytes += meta.len();
        let size = meta.len();
        let xattrs = xattrs(file)?;
        self.add(path, &meta, xattrs, Kind::File { size, offset })
    }

    /// Copies what a file holds, its holes excepted. Where it has shrunk there are zeroes.
    fn content(&self, file: &File, size: u64, offset: u64) -> io::Result<()> {
        let mut buf = Vec::new();
        for extent in data_and_holes(file, 0..size)? {
            if extent.kind == ExtentKind::Zero {
                continue;
            }
            let (mut at, end) = (extent.offset, extent.offset + extent.length);
            while at < end {
                let step = STEP_BYTES.min(end - at);
                buf.resize(usize::try_from(step).unwrap_or_default(), 0);
                let read = read_up_to(file, &mut buf, at)?;
                for run in data_runs(&buf[..read]) {
                    let place = offset + at + run.start as u64;
                    self.image.write_all_at(&buf[run], place)?;
                }
                if (read as u64) < step {
                    return Ok(());
                }
                at += step;
            }
        }
        Ok(())
    }

    fn add(
        &mut self,
        path: &[u8],
        meta: &Metadata,
        xattrs: Vec<(Vec<u8>, Vec<u8>)>,
        kind: Kind,
    ) -> io::Result<()> {
        let entry = Entry {
            path: path.to_vec(),
            mode: meta.mode() & 0o7777,
            uid: meta.uid(),
            gid: meta.gid(),
            mtime: (
                meta.mtime(),
                u32::try_from(meta.mtime_nsec()).unwrap_or_default(),
            ),
            xattrs,
            kind,
        };
        entry.write(&mut self.entries);
        self.count += 1;
        if self.entries.len() as u64 > MOST_BYTES {
            return Err(io::Error::other("the tree has too many entries"));
        }
        Ok(())
    }

    fn finish(self) -> io::Result<TreeReport> {
        self.image.write_all_at(&self.entries, self.at)?;
        let length = self.entries.len() as u64;
        let end = self.at.checked_add(length).and_then(aligned);
        let end = end.ok_or_else(|| io::Error::other("the tree is too large"))?;
        self.image.set_len(end)?;
        let mut head = Vec::with_capacity(64);
        head.extend_from_slice(MAGIC);
        head.extend_from_slice(&VERSION.to_le_bytes());
        head.extend_from_slice(&0_u32.to_le_bytes());
        for number in [self.at, length, self.count] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        self.image.write_all_at(&head, 0)?;
        Ok(self.report)
    }
}

fn read_up_to(file: &File, buf: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(&mut buf[filled..], offset + filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) => return Err(cause),
        }
    }
    Ok(filled)
}

/// Reads the extended attributes of what is open; a file system may have none.
fn xattrs(file: &File) -> io::Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut names = vec![0_u8; 64 << 10];
    let length = match rustix::fs::flistxattr(file, names.as_mut_slice()) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => return Ok(Vec::new()),
        Err(cause) => return Err(cause.into()),
    };
    let mut found = Vec::new();
    let mut value = vec![0_u8; 64 << 10];
    for name in names[..length].split(|byte| *byte == 0) {
        if name.is_empty() {
            continue;
        }
        let Ok(name_z) = CString::new(name) else {
            continue;
        };
        match rustix::fs::fgetxattr(file, &name_z, value.as_mut_slice()) {
            Ok(length) => found.push((name.to_vec(), value[..length].to_vec())),
            Err(Errno::NODATA) => {}
            Err(cause) => return Err(cause.into()),
        }
    }
    found.sort();
    Ok(found)
}

/// Says of which thing something is told.
pub(super) fn named(path: &[u8], cause: io::Error) -> io::Error {
    let name = String::from_utf8_lossy(path);
    io::Error::new(cause.kind(), format!("{name}: {cause}"))
}
