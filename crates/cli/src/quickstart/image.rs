//! A small real disk image: a file system made by the system's own tool where there is
//! one, else an archive of the same files.

use std::fs::{self, File};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use emberkeep_model::ByteCount;

use super::tree;
use crate::error::CliError;

const TOOL: &str = "mkfs.ext4";
/// Where the tool lies for users whose path leaves out the administrator's directories.
const TOOL_DIRS: [&str; 3] = ["", "/usr/sbin/", "/sbin/"];

/// A directory for the image while it is needed; removed with everything in it when dropped.
pub(super) struct WorkDir(PathBuf);

impl WorkDir {
    /// Makes it within the data directory, which has room for images or nothing would work.
    pub(super) fn make(data_dir: &Path) -> Result<Self, CliError> {
        let path = data_dir.join("quickstart");
        // What an interrupted run left is of no use.
        match fs::remove_dir_all(&path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => {
                return Err(failed(&path, &cause));
            }
            _ => {}
        }
        fs::create_dir(&path).map_err(|cause| failed(&path, &cause))?;
        Ok(Self(path))
    }
}

impl Drop for WorkDir {
    fn drop(&mut self) {
        // What stays is removed by the next run.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// An image that was made.
pub(super) struct Made {
    pub(super) path: PathBuf,
    pub(super) words: String,
}

/// Makes an image of `size` bytes, somewhat more than half full of files.
pub(super) fn make(work: &WorkDir, size: u64) -> Result<Made, CliError> {
    let files = work.0.join("files");
    let path = work.0.join("disk.raw");
    let written = tree::write(&files, size / 100 * 62).map_err(|cause| failed(&files, &cause))?;
    let (how, done) = match make_file_system(&files, &path, size) {
        Ok(()) => ("ext4", Ok(())),
        // Without the tool the same files still make an image worth backing up.
        Err(_) => (
            "an archive, as there is no mkfs.ext4",
            make_archive(&files, &path, size),
        ),
    };
    done.map_err(|cause| failed(&path, &cause))?;
    fs::remove_dir_all(&files).map_err(|cause| failed(&files, &cause))?;
    Ok(Made {
        path,
        words: format!("{} of files in it ({how})", ByteCount(written)),
    })
}

fn failed(path: &Path, cause: &io::Error) -> CliError {
    CliError::failed_by(format_args!("making {}", path.display()), cause)
}

fn make_file_system(files: &Path, image: &Path, size: u64) -> io::Result<()> {
    for dir in TOOL_DIRS {
        File::create(image)?.set_len(size)?;
        let status = Command::new(format!("{dir}{TOOL}"))
            .args(["-q", "-F", "-L", "emberkeep", "-d"])
            .arg(files)
            .arg(image)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        match status {
            Ok(status) if status.success() => return Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
            Ok(status) => return Err(io::Error::other(format!("{TOOL}: {status}"))),
            Err(cause) => return Err(cause),
        }
    }
    Err(io::ErrorKind::NotFound.into())
}

/// The unit of a tar archive.
const BLOCK: u64 = 512;

fn make_archive(files: &Path, image: &Path, size: u64) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(image)?);
    for name in tree::list(files)? {
        let mut file = File::open(files.join(&name))?;
        let length = file.metadata()?.len();
        out.write_all(&header(&name.to_string_lossy(), length))?;
        io::copy(&mut file, &mut out)?;
        let end = out.stream_position()?;
        out.seek(SeekFrom::Start(end.next_multiple_of(BLOCK)))?;
    }
    let file = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.set_len(size)
}

/// Returns the header of one file in the ustar form.
fn header(name: &str, length: u64) -> [u8; 512] {
    let mut header = [0_u8; 512];
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(0, &name.as_bytes()[..name.len().min(100)]);
    put(100, b"0000644\0");
    put(108, b"0000000\0");
    put(116, b"0000000\0");
    put(124, format!("{length:011o}\0").as_bytes());
    put(136, b"00000000000\0");
    put(148, b"        ");
    put(156, b"0");
    put(257, b"ustar\x0000");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_image_hold_the_files() {
        let dir = tempfile::tempdir().unwrap();
        let work = WorkDir::make(dir.path()).unwrap();
        let made = make(&work, 32 << 20).unwrap();
        assert_eq!(fs::metadata(&made.path).unwrap().len(), 32 << 20);

        let files = dir.path().join("files");
        let written = tree::write(&files, 1 << 20).unwrap();
        let image = dir.path().join("archive.raw");
        make_archive(&files, &image, 4 << 20).unwrap();
        let bytes = fs::read(&image).unwrap();
        assert_eq!(bytes.len(), 4 << 20);
        assert_eq!(&bytes[257..262], b"ustar");
        assert!(bytes.iter().filter(|byte| **byte != 0).count() as u64 > written / 2);
        let there = dir.path().join("quickstart");
        assert!(there.exists());
        drop(work);
        assert!(!there.exists());
    }
}
