//! A directory as one image, so that it is stored like a volume; and back again.
//!
//! The image begins with a head of one block. Then come the contents of the files, in the order
//! of their names, each from a border of 4 KiB on, so that what has not changed is cut into the
//! same chunks although something before it has; holes of files are holes of the image. The
//! entries stand at the end, one for each thing in the tree, parents before what is in them.
//! Names, targets and attributes are bytes, not text.
//!
//! Nothing here follows a symbolic link, in either direction: each thing is opened below the
//! directory that it is in.

mod entry;
mod pack;
mod unpack;

pub use pack::{measure, pack_tree};
pub use unpack::{TreeTarget, unpack_tree};

/// Contents begin at multiples of this.
pub(crate) const BLOCK: u64 = 4096;

/// What became of a tree.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TreeReport {
    /// Regular files, each name of a hard link counted once.
    pub files: u64,
    /// Directories, the root excepted.
    pub directories: u64,
    /// Everything else: links, pipes.
    pub others: u64,
    /// Bytes of files, holes included.
    pub bytes: u64,
    /// What is not quite as it was, and why; the first of them.
    pub notes: Vec<String>,
    /// How many those are in all.
    pub noted: u64,
}

impl TreeReport {
    /// So many notes are kept word for word.
    const NOTES: usize = 20;

    fn note(&mut self, path: &[u8], why: impl std::fmt::Display) {
        self.noted += 1;
        if self.notes.len() < Self::NOTES {
            let name = String::from_utf8_lossy(path);
            self.notes.push(format!("{name}: {why}"));
        }
    }
}

/// Rounds up to the next border.
pub(crate) fn aligned(bytes: u64) -> Option<u64> {
    bytes.checked_next_multiple_of(BLOCK)
}

#[cfg(test)]
mod tests;
