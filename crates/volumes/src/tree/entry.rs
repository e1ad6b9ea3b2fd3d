//! The entries of a tree, and the bytes that they are stored as.

use std::io::{self, ErrorKind};

/// The first bytes of an image.
pub(super) const MAGIC: &[u8; 8] = b"EMBKTREE";
/// The version that we write; others are refused.
pub(super) const VERSION: u32 = 1;
/// Entries take at most so many bytes in all: they are held in memory.
pub(super) const MOST_BYTES: u64 = 1 << 30;
/// The longest path, name and value that are taken; the kernel's own limits are lower.
const LONGEST: usize = 1 << 20;

/// One thing in a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// Below the root; empty for the root itself.
    pub(super) path: Vec<u8>,
    /// Permission bits.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// When its content last changed: seconds, and nanoseconds within.
    pub(super) mtime: (i64, u32),
    /// Extended attributes.
    pub(super) xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    pub(super) kind: Kind,
}

/// What it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    Directory,
    /// Content of `size` bytes from `offset` of the image on.
    File {
        size: u64,
        offset: u64,
    },
    Symlink {
        target: Vec<u8>,
    },
    /// Another name of the entry with this number.
    HardLink {
        first: u64,
    },
    Pipe,
}

impl Entry {
    /// Appends it to `out`.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let tag: u8 = match self.kind {
            Kind::Directory => 1,
            Kind::File { .. } => 2,
            Kind::Symlink { .. } => 3,
            Kind::HardLink { .. } => 4,
            Kind::Pipe => 5,
        };
        out.push(tag);
        put(out, &self.path);
        for number in [self.mode, self.uid, self.gid, self.mtime.1] {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.mtime.0.to_le_bytes());
        let count = u32::try_from(self.xattrs.len()).unwrap_or(u32::MAX);
        out.extend_from_slice(&count.to_le_bytes());
        for (name, value) in &self.xattrs {
            put(out, name);
            put(out, value);
        }
        match &self.kind {
            Kind::Directory | Kind::Pipe => {}
            Kind::File { size, offset } => {
                out.extend_from_slice(&size.to_le_bytes());
                out.extend_from_slice(&offset.to_le_bytes());
            }
            Kind::Symlink { target } => put(out, target),
            Kind::HardLink { first } => out.extend_from_slice(&first.to_le_bytes()),
        }
    }
}

fn put(out: &mut Vec<u8>, bytes: &[u8]) {
    let length = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(&length.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Reads entries back; believes nothing.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl Reader<'_> {
    /// Reads the next entry.
    pub(super) fn entry(&mut self) -> io::Result<Entry> {
        let tag = self.take(1)?[0];
        let path = self.bytes()?;
        let [mode, uid, gid, nanos] = [self.u32()?, self.u32()?, self.u32()?, self.u32()?];
        let secs = i64::from_le_bytes(self.array()?);
        let count = self.u32()?;
        let mut xattrs = Vec::new();
        for _ in 0..count {
            xattrs.push((self.bytes()?, self.bytes()?));
        }
        let kind = match tag {
            1 => Kind::Directory,
            2 => Kind::File {
                size: self.u64()?,
                offset: self.u64()?,
            },
            3 => Kind::Symlink {
                target: self.bytes()?,
            },
            4 => Kind::HardLink { first: self.u64()? },
            5 => Kind::Pipe,
            _ => return Err(bad(format!("kind {tag} is not known"))),
        };
        if mode > 0o7777 || nanos >= 1_000_000_000 {
            return Err(bad("a mode or a time is out of range"));
        }
        Ok(Entry {
            path,
            mode,
            uid,
            gid,
            mtime: (secs, nanos),
            xattrs,
            kind,
        })
    }

    fn take(&mut self, length: usize) -> io::Result<&[u8]> {
        if length > self.0.len() {
            return Err(bad("the entries end too early"));
        }
        let (head, rest) = self.0.split_at(length);
        self.0 = rest;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let bytes = self.take(N)?;
        bytes
            .try_into()
            .map_err(|_| bad("the entries end too early"))
    }

    fn u32(&mut self) -> io::Result<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    fn u64(&mut self) -> io::Result<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn bytes(&mut self) -> io::Result<Vec<u8>> {
        let length = self.u32()? as usize;
        if length > LONGEST {
            return Err(bad("a name or value is too long"));
        }
        Ok(self.take(length)?.to_vec())
    }
}

/// Splits a path into its parts; refuses one that could lead out of the tree.
pub(super) fn parts(path: &[u8]) -> io::Result<Vec<&[u8]>> {
    if path.is_empty() {
        return Ok(Vec::new());
    }
    let parts: Vec<&[u8]> = path.split(|byte| *byte == b'/').collect();
    let wrong =
        |part: &&[u8]| part.is_empty() || *part == b"." || *part == b".." || part.contains(&0);
    if parts.iter().any(wrong) {
        let name = String::from_utf8_lossy(path);
        return Err(bad(format!("'{name}' is not a path below the root")));
    }
    Ok(parts)
}

/// Says that an image is not one of ours.
pub(super) fn bad(why: impl Into<String>) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, why.into())
}
