//! The file that keeps a master key: four lines of text, mode 0600.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::{MasterKey, MasterKeyId, random};

const VERSION_LINE: &str = "emberkeep-master-key 1";

/// Why a key file was not read or made.
#[derive(Debug, thiserror::Error)]
pub enum KeyFileError {
    /// There is no such file. A new key would not open what the old one sealed.
    #[error("the master key file {} does not exist", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
    },
    /// A file is there already and is never overwritten.
    #[error("the master key file {} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// The file does not hold a whole, unchanged key.
    #[error("the master key file {} is damaged: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: &'static str,
    },
    /// The operating system refused.
    #[error("the master key file {} cannot be used", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        #[source]
        cause: io::Error,
    },
}

/// A key read from its file.
#[derive(Debug)]
pub struct LoadedKey {
    /// The key.
    pub key: MasterKey,
    /// Whether the file's mode lets other users read it; worth a warning.
    pub open_to_others: bool,
}

impl MasterKey {
    /// Reads a key file.
    pub fn load(path: &Path) -> Result<LoadedKey, KeyFileError> {
        let io = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => KeyFileError::Missing {
                path: path.to_owned(),
            },
            _ => KeyFileError::Io {
                path: path.to_owned(),
                cause,
            },
        };
        let open_to_others = fs::metadata(path).map_err(io)?.mode() & 0o077 != 0;
        let text = Zeroizing::new(fs::read(path).map_err(io)?);
        let key = parse(&text).map_err(|reason| KeyFileError::Damaged {
            path: path.to_owned(),
            reason,
        })?;
        Ok(LoadedKey {
            key,
            open_to_others,
        })
    }

    /// Draws a key and stores it in a new file; durable on return.
    ///
    /// The file appears under its name whole or not at all: a crash never leaves
    /// half a key that would be refused ever after.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: path.to_owned(),
            cause,
        };
        let key = Self::generate();
        let mut name = path.as_os_str().to_owned();
        name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random())));
        let temporary = PathBuf::from(name);
        let written =
            write_new(&temporary, &render(&key)).and_then(|()| fs::hard_link(&temporary, path));
        let removed = fs::remove_file(&temporary);
        match written {
            Ok(()) => removed.map_err(io)?,
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => {
                return Err(KeyFileError::Exists {
                    path: path.to_owned(),
                });
            }
            Err(cause) => return Err(io(cause)),
        }
        sync_directory(path).map_err(io)?;
        Ok(key)
    }

    /// Puts the key file at `from` in the place of the one at `to`; durable on return.
    pub fn replace(from: &Path, to: &Path) -> Result<(), KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: to.to_owned(),
            cause,
        };
        fs::rename(from, to).map_err(io)?;
        sync_directory(to).map_err(io)
    }
}

fn sync_directory(path: &Path) -> io::Result<()> {
    let parent = path
        .parent()
        .filter(|p| !p.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    File::open(parent)?.sync_all()
}

fn write_new(path: &Path, text: &str) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

fn render(key: &MasterKey) -> Zeroizing<String> {
    let digits = Zeroizing::new(hex::encode(key.bytes()));
    Zeroizing::new(format!(
        "{VERSION_LINE}\n# Keep a copy elsewhere: without this key the backups cannot be read.\nid {}\nkey {}\n",
        key.id(),
        *digits
    ))
}

fn parse(text: &[u8]) -> Result<MasterKey, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let mut lines = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'));
    match lines.next() {
        Some(VERSION_LINE) => {}
        Some(line) if line.starts_with("emberkeep-master-key ") => {
            return Err("it was written by a later version");
        }
        Some(_) => return Err("it does not start like a master key file"),
        None => return Err("it is empty"),
    }
    let id: MasterKeyId = lines
        .next()
        .and_then(|line| line.strip_prefix("id "))
        .ok_or("the key id is missing")?
        .parse()
        .map_err(|_| "the key id is not 32 hexadecimal digits")?;
    let digits = lines
        .next()
        .and_then(|line| line.strip_prefix("key "))
        .ok_or("the key is missing")?;
    let mut bytes = Zeroizing::new([0; 32]);
    hex::decode_to_slice(digits, &mut *bytes)
        .map_err(|_| "the key is not 64 hexadecimal digits")?;
    if lines.next().is_some() {
        return Err("there is more than one key");
    }
    let key = MasterKey::from_bytes(*bytes);
    if key.id() == id {
        Ok(key)
    } else {
        Err("the key does not fit its id: one of them was changed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_back_and_is_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        let made = MasterKey::create(&path).unwrap();
        let loaded = MasterKey::load(&path).unwrap();
        assert_eq!(loaded.key.bytes(), made.bytes());
        assert!(!loaded.open_to_others);
        let before = fs::read(&path).unwrap();
        assert!(matches!(
            MasterKey::create(&path),
            Err(KeyFileError::Exists { .. })
        ));
        assert_eq!(fs::read(&path).unwrap(), before);
        assert_eq!(
            fs::read_dir(dir.path()).unwrap().count(),
            1,
            "a temporary file is left"
        );
    }

    #[test]
    fn a_missing_file_is_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        let missing = MasterKey::load(&dir.path().join("no"));
        assert!(matches!(missing, Err(KeyFileError::Missing { .. })));
    }

    #[test]
    fn cut_and_edited_files_are_refused() {
        let text = render(&MasterKey::from_bytes([7; 32]));
        assert!(parse(text.as_bytes()).is_ok());
        for end in 0..text.trim_end().len() {
            assert!(parse(&text.as_bytes()[..end]).is_err(), "cut at {end}");
        }
        let key_at = text.find("key 07").unwrap() + 4;
        for at in key_at..key_at + 64 {
            let mut edited = text.as_bytes().to_vec();
            edited[at] = b'c';
            assert!(parse(&edited).is_err(), "edited at {at}");
        }
    }

    #[test]
    fn the_mode_is_reported() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::create(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(MasterKey::load(&path).unwrap().open_to_others);
    }
}
