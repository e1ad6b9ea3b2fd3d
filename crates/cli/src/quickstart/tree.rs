//! A directory tree of files such as disks hold: a program, logs, tables, texts, pictures.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// The largest file made.
const FILE_BYTES: u64 = 3 << 20;

const WORDS: [&str; 48] = [
    "the",
    "volume",
    "of",
    "backup",
    "and",
    "to",
    "restore",
    "in",
    "a",
    "point",
    "is",
    "vault",
    "that",
    "data",
    "for",
    "checkpoint",
    "on",
    "with",
    "chunk",
    "as",
    "was",
    "window",
    "by",
    "pack",
    "at",
    "index",
    "from",
    "manifest",
    "it",
    "disk",
    "this",
    "server",
    "when",
    "policy",
    "there",
    "request",
    "or",
    "schedule",
    "which",
    "storage",
    "were",
    "project",
    "one",
    "snapshot",
    "be",
    "network",
    "not",
    "resource",
];

/// What a file is filled with.
#[derive(Clone, Copy)]
enum Kind {
    Log,
    Table,
    Text,
    /// Compressed already, as pictures are.
    Picture,
}

/// A small fast generator of numbers; the same seed gives the same files.
pub(super) struct Numbers(u64);

impl Numbers {
    /// Starts from a seed.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns the next number.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns a number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }

    fn word(&mut self) -> &'static str {
        // The first words are the common ones, as in any text.
        let at = self.below(48).min(self.below(48));
        WORDS[usize::try_from(at).unwrap_or(0) % WORDS.len()]
    }
}

/// Fills a new directory with about `budget` bytes of files; returns how many there are.
pub(super) fn write(root: &Path, budget: u64) -> io::Result<u64> {
    let mut numbers = Numbers::new(0x0065_6d62_6572_6b65);
    let mut written = program(root, budget / 5)?;
    let mut at = 0_u64;
    while written < budget {
        let (kind, name) = match at % 10 {
            0..=2 => (Kind::Log, format!("var/log/service-{at}.log")),
            3..=5 => (Kind::Table, format!("srv/tables/measured-{at}.csv")),
            6..=7 => (Kind::Text, format!("home/notes/notes-{at}.txt")),
            _ => (Kind::Picture, format!("home/pictures/picture-{at}.jpg")),
        };
        let length = (FILE_BYTES / 16 + numbers.below(FILE_BYTES * 15 / 16)).min(budget - written);
        let bytes = fill(kind, length, &mut numbers);
        written += put(root, &name, &bytes)?;
        // People keep copies, and backups should not pay for them.
        if at % 9 == 4 && written + length < budget {
            written += put(root, &format!("home/copies/copy-{at}.csv"), &bytes)?;
        }
        at += 1;
    }
    Ok(written)
}

/// Puts a real program there: this one.
fn program(root: &Path, limit: u64) -> io::Result<u64> {
    let mut bytes = Vec::new();
    if let Ok(own) = std::env::current_exe() {
        File::open(own)?.take(limit).read_to_end(&mut bytes)?;
    }
    put(root, "usr/bin/emberkeep", &bytes)
}

fn put(root: &Path, name: &str, bytes: &[u8]) -> io::Result<u64> {
    let path = root.join(name);
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(path, bytes)?;
    Ok(bytes.len() as u64)
}

/// Returns `length` bytes of a kind of text, for changes to a volume.
pub(super) fn text(length: u64, numbers: &mut Numbers) -> Vec<u8> {
    fill(Kind::Text, length, numbers)
}

fn fill(kind: Kind, length: u64, numbers: &mut Numbers) -> Vec<u8> {
    let length = usize::try_from(length).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length + 128);
    let mut line = 0_u64;
    while bytes.len() < length {
        match kind {
            Kind::Log => {
                let text = format!(
                    "2026-03-{:02}T{:02}:{:02}:{:02}.{:06}Z INFO request req-{:016x} {} {} took {} ms\n",
                    1 + line / 40_000 % 28,
                    line / 3600 % 24,
                    line / 60 % 60,
                    line % 60,
                    numbers.below(1_000_000),
                    numbers.next(),
                    numbers.word(),
                    numbers.word(),
                    numbers.below(900),
                );
                bytes.extend_from_slice(text.as_bytes());
            }
            Kind::Table => {
                let text = format!(
                    "{line},{},{}.{:03},{}.{:02},{}\n",
                    numbers.word(),
                    numbers.below(100),
                    numbers.below(1000),
                    numbers.below(1000),
                    numbers.below(100),
                    if numbers.below(20) == 0 { "late" } else { "ok" },
                );
                bytes.extend_from_slice(text.as_bytes());
            }
            Kind::Text => {
                for _ in 0..5 + numbers.below(14) {
                    bytes.extend_from_slice(numbers.word().as_bytes());
                    bytes.push(b' ');
                }
                bytes.extend_from_slice(b".\n");
            }
            Kind::Picture => bytes.extend_from_slice(&numbers.next().to_le_bytes()),
        }
        line += 1;
    }
    bytes.truncate(length);
    bytes
}

/// Names all files below `root`, in order.
pub(super) fn list(root: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut dirs = vec![PathBuf::new()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(root.join(&dir))? {
            let entry = entry?;
            let name = dir.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                dirs.push(name)
            } else {
                files.push(name)
            }
        }
    }
    files.sort();
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tree_is_as_large_as_asked_and_always_the_same() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let lists = dirs.each_ref().map(|dir| {
            let written = write(dir.path(), 8 << 20).unwrap();
            assert_eq!(written, 8 << 20);
            list(dir.path()).unwrap()
        });
        assert_eq!(lists[0], lists[1]);
        assert!(lists[0].len() > 4);
        for name in &lists[0] {
            let read = |at: usize| fs::read(dirs[at].path().join(name)).unwrap();
            assert!(read(0) == read(1), "{} differs", name.display());
        }
    }
}
