//! Disk images made from real files, the same on each run over the same tree.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process::{find, output};

const BLOCK: u64 = 4096;

/// The moment that every time in an image says, in seconds since 1970.
const MADE_AT: &str = "1750000000";

/// Copies files of `tree` in the order of their names until `limit` bytes are reached.
fn gather(tree: &Path, staging: &Path, limit: u64) -> Result<u64> {
    let mut total = 0;
    let mut open = vec![tree.to_owned()];
    while let Some(folder) = open.pop() {
        // What we may not read, or what goes away meanwhile, is left out.
        let Ok(entries) = fs::read_dir(&folder) else {
            continue;
        };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        for path in paths {
            let Ok(facts) = fs::symlink_metadata(&path) else {
                continue;
            };
            if facts.is_dir() {
                open.push(path);
            } else if facts.is_file() && total + facts.len() <= limit {
                let place = staging.join(path.strip_prefix(tree)?);
                fs::create_dir_all(place.parent().unwrap_or(staging))?;
                if fs::copy(&path, &place).is_ok() {
                    // Room on the file system goes by blocks.
                    total += facts.len().div_ceil(BLOCK) * BLOCK;
                }
            }
        }
    }
    Ok(total)
}

/// Gives every inode of the image the same times.
///
/// `mkfs.ext4 -d` takes them from the files it reads, and nobody can choose when a file's inode last changed.
fn settle_times(image: &Path, staging: &Path) -> Result<()> {
    let mut script = String::new();
    let mut open = vec![staging.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            let inside = path.strip_prefix(staging)?.display();
            for field in ["atime", "ctime", "mtime", "crtime"] {
                writeln!(script, "set_inode_field \"/{inside}\" {field} @{MADE_AT}")?;
                writeln!(script, "set_inode_field \"/{inside}\" {field}_extra 0")?;
            }
            if path.is_dir() {
                open.push(path);
            }
        }
    }
    for field in ["atime", "ctime", "mtime", "crtime"] {
        writeln!(script, "set_inode_field / {field} @{MADE_AT}")?;
        writeln!(script, "set_inode_field / {field}_extra 0")?;
    }
    let file = image.with_extension("debugfs");
    fs::write(&file, script)?;
    output(
        Command::new(find("debugfs").context("debugfs is missing (Debian package e2fsprogs)")?)
            .args(["-w", "-f"])
            .arg(&file)
            .arg(image)
            .env("E2FSPROGS_FAKE_TIME", MADE_AT),
    )?;
    fs::remove_file(&file)?;
    Ok(())
}

/// Makes an ext4 image of `size` bytes, some 70 % of it files of `tree`; returns their bytes.
pub(crate) fn make(image: &Path, size: u64, tree: &Path) -> Result<u64> {
    make_with(image, size, tree, |staging| {
        gather(tree, staging, size / 10 * 7)
    })
}

/// Makes an ext4 image of `size` bytes, some 57 % of it files of `tree`; returns their bytes.
pub(crate) fn make_first(image: &Path, size: u64, tree: &Path) -> Result<u64> {
    make_with(image, size, tree, |staging| {
        gather(tree, staging, size / 100 * 57)
    })
}

/// Makes another image, of whose bytes some 85 % are in the first one too, laid out otherwise.
pub(crate) fn make_second(image: &Path, size: u64, tree: &Path) -> Result<u64> {
    make_with(image, size, tree, |staging| {
        let limit = size / 100 * 57;
        let all = staging.with_extension("all");
        gather(tree, &all, limit / 100 * 115)?;
        let mut files = Vec::new();
        let mut open = vec![all.clone()];
        while let Some(folder) = open.pop() {
            let entries = fs::read_dir(&folder)?.collect::<io::Result<Vec<_>>>()?;
            let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
            paths.sort();
            for path in paths {
                if path.is_dir() {
                    open.push(path);
                } else {
                    files.push(path);
                }
            }
        }
        // The last to be gathered are not in the first image; as much is left out of the others.
        let (mut total, mut seen, mut kept) = (0, 0, Vec::new());
        for path in files {
            let length = fs::metadata(&path)?.len().div_ceil(BLOCK) * BLOCK;
            seen += length;
            if seen > limit / 100 * 15 {
                total += length;
                kept.push(path);
            }
        }
        let mut numbers = Numbers(0x0000_5EC0_4D11);
        while !kept.is_empty() {
            let at = usize::try_from(numbers.below(kept.len() as u64))?;
            let path = kept.swap_remove(at);
            let place = staging.join(format!("d{:02}", numbers.below(97)));
            fs::create_dir_all(&place)?;
            fs::rename(&path, place.join(format!("f{:06}", kept.len())))?;
        }
        fs::remove_dir_all(&all)?;
        Ok(total)
    })
}

/// Makes a file of `size` bytes that nothing can compress.
pub(crate) fn noise(path: &Path, size: u64) -> Result<()> {
    let mut file = io::BufWriter::with_capacity(1 << 20, File::create(path)?);
    let mut numbers = Numbers(0x0000_0401_5E01);
    for _ in 0..size / 8 {
        file.write_all(&numbers.next().to_le_bytes())?;
    }
    Ok(file.into_inner()?.sync_all()?)
}

/// Makes a sparse file of `size` bytes with `data` bytes of `from` in it, in runs of 64 KiB to 4 MiB
/// at places drawn in order; returns how many there are.
pub(crate) fn scatter(path: &Path, size: u64, from: &Path, data: u64) -> Result<u64> {
    let (mut source, mut file) = (File::open(from)?, File::create(path)?);
    let length = source.metadata()?.len();
    file.set_len(size)?;
    let mut numbers = Numbers(0x0000_5CA7_7E12);
    let (mut written, mut block) = (0, Vec::new());
    while written < data {
        let run = ((64 << 10) << numbers.below(7)).min(data - written);
        block.resize(usize::try_from(run)?, 0);
        source.seek(SeekFrom::Start(
            numbers.below((length - run) / BLOCK) * BLOCK,
        ))?;
        source.read_exact(&mut block)?;
        if block.chunks(usize::try_from(BLOCK)?).any(is_zero) {
            continue;
        }
        file.seek(SeekFrom::Start(numbers.below((size - run) / BLOCK) * BLOCK))?;
        file.write_all(&block)?;
        written += run;
    }
    file.sync_all()?;
    Ok(written)
}

fn is_zero(block: &[u8]) -> bool {
    block.iter().all(|byte| *byte == 0)
}

fn make_with(
    image: &Path,
    size: u64,
    tree: &Path,
    gathered: impl FnOnce(&Path) -> Result<u64>,
) -> Result<u64> {
    let staging = image.with_extension("tree");
    let total = gathered(&staging)?;
    if total < size / 10 {
        bail!(
            "{} holds too little ({total} bytes) for an image of {size} bytes",
            tree.display()
        );
    }
    File::create(image)?.set_len(size)?;
    output(
        Command::new(find("mkfs.ext4").context("mkfs.ext4 is missing (Debian package e2fsprogs)")?)
            .args(["-q", "-F", "-U", "6d6b6673-0000-4000-8000-000000000001"])
            .args([
                "-E",
                "hash_seed=6d6b6673-0000-4000-8000-000000000002,lazy_itable_init=0,nodiscard",
                "-d",
            ])
            .arg(&staging)
            .arg(image)
            .env("E2FSPROGS_FAKE_TIME", MADE_AT),
    )?;
    settle_times(image, &staging)?;
    // mkfs writes zeroes, or takes room for them, where the tables and the journal are: the rest of
    // the image shall be holes.
    let sparse = image.with_extension("sparse");
    output(
        Command::new("cp")
            .arg("--sparse=always")
            .args([image, &sparse]),
    )?;
    fs::rename(&sparse, image)?;
    fs::remove_dir_all(&staging)?;
    File::open(image)?.sync_all()?;
    Ok(total)
}

/// Numbers that are the same on each run (xorshift64*).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit.max(1)
    }
}

/// Overwrites `percent` of `data` bytes in scattered extents of 4 KiB to 1 MiB; returns the bytes changed.
///
/// Half of the new bytes are noise and half are pieces from elsewhere in the image,
/// as when files are written and copied.
pub(crate) fn change(image: &Path, data: u64, percent: u64) -> Result<u64> {
    let changes = change_at(image, data, percent)?;
    Ok(changes.iter().map(|(_, length)| length).sum())
}

/// Does the same and returns where, as offsets and lengths.
pub(crate) fn change_at(image: &Path, data: u64, percent: u64) -> Result<Vec<(u64, u64)>> {
    let mut changes = Vec::new();
    let mut file = OpenOptions::new().read(true).write(true).open(image)?;
    let size = file.metadata()?.len();
    let mut numbers = Numbers(0x005E_ED0F_EBE4);
    let wanted = data / 100 * percent;
    let mut changed = 0;
    let mut block = Vec::new();
    while changed < wanted {
        let length = (BLOCK << numbers.below(9)).min(wanted - changed).max(BLOCK);
        block.resize(usize::try_from(length)?, 0);
        let at = numbers.below((size - length) / BLOCK) * BLOCK;
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut block)?;
        if block.iter().all(|byte| *byte == 0) {
            // Changes happen where files are.
            continue;
        }
        if numbers.below(2) == 0 {
            block.fill_with(|| numbers.next().to_le_bytes()[7]);
        } else {
            file.seek(SeekFrom::Start(
                numbers.below((size - length) / BLOCK) * BLOCK,
            ))?;
            file.read_exact(&mut block)?;
        }
        file.seek(SeekFrom::Start(at))?;
        file.write_all(&block)?;
        changed += length;
        changes.push((at, length));
    }
    file.sync_all()?;
    Ok(changes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("xtask-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn an_image_is_the_same_each_time() {
        if crate::process::find("mkfs.ext4").is_none() {
            println!("skipped: no mkfs.ext4 here");
            return;
        }
        let folder = folder("image");
        let tree = folder.join("files");
        for index in 0..40_u32 {
            let place = tree.join(format!("d{}", index % 4));
            fs::create_dir_all(&place).unwrap();
            fs::write(
                place.join(format!("f{index}")),
                index.to_string().repeat(200_000),
            )
            .unwrap();
        }
        let size = 32 << 20;
        let images = [folder.join("one"), folder.join("other")];
        for image in &images {
            let bytes = super::make(image, size, &tree).unwrap();
            assert!((size / 10..=size / 10 * 7).contains(&bytes), "{bytes}");
            assert_eq!(fs::metadata(image).unwrap().len(), size);
        }
        assert!(fs::read(&images[0]).unwrap() == fs::read(&images[1]).unwrap());
        assert!(
            super::make(&images[0], 4 << 30, &tree).is_err(),
            "too few files"
        );
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_change_is_the_same_each_time_and_as_large_as_asked() {
        let folder = folder("change");
        let (one, other) = (folder.join("one"), folder.join("other"));
        let before: Vec<u8> = (0..8_u32 << 20).map(|at| at.to_le_bytes()[1] | 1).collect();
        for path in [&one, &other] {
            fs::write(path, &before).unwrap();
            let changed = super::change(path, 8 << 20, 10).unwrap();
            let wanted = (8 << 20) / 100 * 10;
            assert!((wanted..wanted + 8192).contains(&changed), "{changed}");
        }
        let after = fs::read(&one).unwrap();
        assert!(after == fs::read(&other).unwrap());
        assert!(after != before);
        fs::remove_dir_all(&folder).unwrap();
    }
}
