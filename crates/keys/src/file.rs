//! The file that keeps a master key: text, mode 0600.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::master::id_of;
use crate::ring::{Node, Ring};
use crate::{MasterKey, MasterKeyId, random};

/// Begins a file that holds one whole key.
const FIRST: &str = "emberkeep-master-key 1";
/// Begins a file that holds anything else; its last line is a checksum.
const SECOND: &str = "emberkeep-master-key 2";
const ADVICE: &str = "# Keep a copy elsewhere: without this key the backups cannot be read.";

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
    /// The command that prints the key failed.
    #[error("the master key cannot be had from the command '{command}': {reason}")]
    Command {
        /// The command.
        command: String,
        /// How it ended, or what it printed.
        reason: String,
    },
    /// Other users may read or write the file.
    #[error("the master key file {} has mode {mode:03o}: other users can use it; chmod 600 it", path.display())]
    OpenToOthers {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
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

/// Keeps a master key where it can be changed.
pub trait KeyKeeper: Send + Sync + std::fmt::Debug {
    /// Reads the key.
    fn load(&self) -> Result<MasterKey, KeyFileError>;

    /// Changes the key and returns it as it is then; durable on return. Changes come one after
    /// the other, each made of what the one before has left. When this fails, the key is kept as it
    /// was or as it was to be.
    fn change(&self, change: &dyn Fn(&MasterKey) -> MasterKey) -> Result<MasterKey, KeyFileError>;
}

/// A master key file that can be changed.
#[derive(Debug, Clone)]
pub struct KeyFile {
    path: PathBuf,
}

impl KeyFile {
    /// Names a file; looks at nothing.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Notes beside the file that there is a copy of the key as it is now; durable on return.
    pub fn confirm(&self, key: &MasterKey) -> Result<(), KeyFileError> {
        let note = self.note();
        let io = |cause| KeyFileError::Io {
            path: note.clone(),
            cause,
        };
        let temporary = temporary_beside(&note);
        write_new(&temporary, &format!("{}\n", key.state()))
            .and_then(|()| fs::rename(&temporary, &note))
            .and_then(|()| File::open(directory_of(&note))?.sync_all())
            .map_err(|cause| {
                // Gone already where the renaming came about.
                let _ = fs::remove_file(&temporary);
                io(cause)
            })
    }

    /// Tells whether it was noted that there is a copy of the key as it is now.
    pub fn is_confirmed(&self, key: &MasterKey) -> bool {
        // A note that cannot be read says nothing.
        fs::read_to_string(self.note()).is_ok_and(|state| state.trim_end() == key.state())
    }

    fn note(&self) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(".confirmed");
        PathBuf::from(name)
    }
}

impl KeyKeeper for KeyFile {
    fn load(&self) -> Result<MasterKey, KeyFileError> {
        MasterKey::load(&self.path)
    }

    fn change(&self, change: &dyn Fn(&MasterKey) -> MasterKey) -> Result<MasterKey, KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: self.path.clone(),
            cause,
        };
        // The directory is what all that change the file have in common; the file itself is another
        // one after each change.
        let directory = File::open(directory_of(&self.path)).map_err(io)?;
        directory.lock().map_err(io)?;
        let key = change(&self.load()?);
        let temporary = temporary_beside(&self.path);
        write_new(&temporary, &render(&key))
            .and_then(|()| fs::rename(&temporary, &self.path))
            .and_then(|()| directory.sync_all())
            .map_err(|cause| {
                // Gone already where the renaming came about.
                let _ = fs::remove_file(&temporary);
                io(cause)
            })?;
        Ok(key)
    }
}

impl MasterKey {
    /// Reads a key file.
    ///
    /// As `ssh` does with its own, a file of this user that others may use is refused. One that
    /// belongs to somebody else was given to this process by the owner of its mode.
    pub fn load(path: &Path) -> Result<Self, KeyFileError> {
        let io = |cause: io::Error| match cause.kind() {
            io::ErrorKind::NotFound => KeyFileError::Missing {
                path: path.to_owned(),
            },
            _ => KeyFileError::Io {
                path: path.to_owned(),
                cause,
            },
        };
        let mut file = File::open(path).map_err(io)?;
        let facts = file.metadata().map_err(io)?;
        let mode = facts.mode() & 0o777;
        if mode & 0o077 != 0 && is_mine(&facts) {
            return Err(KeyFileError::OpenToOthers {
                path: path.to_owned(),
                mode,
            });
        }
        // Room for all of it: what grows leaves pieces of itself behind.
        let room = usize::try_from(facts.len()).unwrap_or(0) + 1;
        let mut text = Zeroizing::new(Vec::with_capacity(room));
        file.read_to_end(&mut text).map_err(io)?;
        Self::parse(&text).map_err(|reason| KeyFileError::Damaged {
            path: path.to_owned(),
            reason,
        })
    }

    /// Reads the text of a key file; says what does not fit.
    pub fn parse(text: &[u8]) -> Result<Self, &'static str> {
        parse(text)
    }

    /// Returns the text of a key file.
    pub fn render(&self) -> Zeroizing<String> {
        render(self)
    }

    /// Draws a key and stores it in a new file; durable on return.
    pub fn create(path: &Path) -> Result<Self, KeyFileError> {
        let key = Self::generate();
        key.store_new(path)?;
        Ok(key)
    }

    /// Stores a key in a new file; durable on return.
    ///
    /// The file appears under its name whole or not at all: a crash never leaves
    /// half a key that would be refused ever after.
    pub fn store_new(&self, path: &Path) -> Result<(), KeyFileError> {
        let io = |cause| KeyFileError::Io {
            path: path.to_owned(),
            cause,
        };
        let temporary = temporary_beside(path);
        let written =
            write_new(&temporary, &render(self)).and_then(|()| fs::hard_link(&temporary, path));
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
        File::open(directory_of(path))
            .and_then(|directory| directory.sync_all())
            .map_err(io)
    }
}

/// Tells whether a file belongs to the user that this process acts as.
fn is_mine(facts: &fs::Metadata) -> bool {
    // Where that cannot be found out, it is treated as if it did.
    fs::metadata("/proc/self").map_or(true, |process| process.uid() == facts.uid())
}

fn directory_of(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{:016x}.tmp", u64::from_le_bytes(random())));
    PathBuf::from(name)
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

fn hex_of(bytes: &[u8]) -> Zeroizing<String> {
    Zeroizing::new(hex::encode(bytes))
}

fn render(key: &MasterKey) -> Zeroizing<String> {
    let version = match key.whole() {
        Some(_) if !key.is_replacing() => FIRST,
        _ => SECOND,
    };
    // Room for all of it: a text that grows leaves pieces of itself behind.
    let nodes: usize = key.with_retired().map(|one| one.ring.nodes().count()).sum();
    let room = 1024 + 256 * key.with_retired().count() + 100 * nodes;
    let mut text = Zeroizing::new(String::with_capacity(room));
    let mut line = |words: std::fmt::Arguments<'_>| {
        text.write_fmt(words).expect("a string takes any text");
        text.push('\n');
    };
    line(format_args!("{version}"));
    line(format_args!("{ADVICE}"));
    for one in key.with_retired() {
        line(format_args!("id {}", one.id()));
        if let Some(whole) = one.whole() {
            line(format_args!("key {}", *hex_of(whole)));
            continue;
        }
        line(format_args!("wrap {}", *hex_of(&*one.wrap)));
        for (node, seed) in one.ring.nodes() {
            let seed = hex_of(seed);
            line(format_args!(
                "node {} {:016x} {}",
                node.len, node.prefix, *seed
            ));
        }
    }
    if version == SECOND {
        let sum = checksum(text.as_bytes());
        text.push_str(&sum);
    }
    text
}

/// Returns the line that ends a file of the second version.
fn checksum(text: &[u8]) -> String {
    let sum = blake3::derive_key("emberkeep 2026 v1 master key file", text);
    format!("sum {}\n", hex::encode(&sum[..16]))
}

fn digits<const N: usize>(
    text: &str,
    reason: &'static str,
) -> Result<Zeroizing<[u8; N]>, &'static str> {
    let mut bytes = Zeroizing::new([0; N]);
    hex::decode_to_slice(text, &mut *bytes).map_err(|_| reason)?;
    Ok(bytes)
}

fn parse(text: &[u8]) -> Result<MasterKey, &'static str> {
    let text = std::str::from_utf8(text).map_err(|_| "it is not text")?;
    let mut lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect();
    lines.reverse();
    let second = match lines.pop() {
        Some(FIRST) => false,
        Some(SECOND) => true,
        Some(line) if line.starts_with("emberkeep-master-key ") => {
            return Err("it was written by a later version");
        }
        Some(_) => return Err("it does not start like a master key file"),
        None => return Err("it is empty"),
    };
    if second {
        let sum = lines.first().filter(|line| line.starts_with("sum "));
        let sum = *sum.ok_or("it ends too early")?;
        let end = text.rfind(sum).ok_or("it ends too early")?;
        if checksum(&text.as_bytes()[..end]).trim_end() != sum {
            return Err("it does not fit its checksum: it was changed");
        }
        lines.remove(0);
    }
    let mut key = one_key(&mut lines)?;
    while !lines.is_empty() {
        if !second {
            return Err("there is more than one key");
        }
        key.retired.push(one_key(&mut lines)?);
    }
    Ok(key)
}

/// Takes the lines of one key off the end of those that are left.
fn one_key(lines: &mut Vec<&str>) -> Result<MasterKey, &'static str> {
    let id: MasterKeyId = lines
        .pop()
        .and_then(|line| line.strip_prefix("id "))
        .ok_or("the key id is missing")?
        .parse()
        .map_err(|_| "the key id is not 32 hexadecimal digits")?;
    let line = lines.pop().ok_or("the key is missing")?;
    if let Some(wrap) = line.strip_prefix("wrap ") {
        let mut nodes = BTreeMap::new();
        while let Some(line) = lines.pop_if(|line| line.starts_with("node ")) {
            let (node, seed) = one_node(line).ok_or("a node of its ring is not one")?;
            nodes.insert(node, seed);
        }
        return Ok(MasterKey {
            id,
            whole: None,
            wrap: digits(wrap, "the wrap key is not 64 hexadecimal digits")?,
            ring: Ring::from_nodes(nodes),
            retired: Vec::new(),
        });
    }
    let key = line.strip_prefix("key ").ok_or("the key is missing")?;
    let key = digits(key, "the key is not 64 hexadecimal digits")?;
    if id_of(&key) == id {
        Ok(MasterKey::from_bytes(*key))
    } else {
        Err("the key does not fit its id: one of them was changed")
    }
}

fn one_node(line: &str) -> Option<(Node, Zeroizing<[u8; 32]>)> {
    let mut words = line.split(' ').skip(1);
    let len = words.next()?.parse().ok()?;
    let prefix = u64::from_str_radix(words.next()?, 16).ok()?;
    let seed = digits(words.next()?, "").ok()?;
    let node = Node { len, prefix };
    (words.next().is_none() && node.is_valid()).then_some((node, seed))
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
        assert_eq!(loaded.whole(), made.whole());
        assert!(made.whole().is_some());
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
    fn a_changed_key_comes_back_and_leaves_nothing_beside_it() {
        use emberkeep_format::KeyTag;
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("master.key"));
        assert!(matches!(
            file.change(&MasterKey::clone),
            Err(KeyFileError::Missing { .. })
        ));
        let made = MasterKey::create(file.path()).unwrap();
        let whole = fs::read(file.path()).unwrap();
        let same = file.change(&MasterKey::clone).unwrap();
        assert_eq!(same.whole(), made.whole());
        assert_eq!(
            fs::read(file.path()).unwrap(),
            whole,
            "nothing was to change"
        );

        let tags = [KeyTag([1; 8]), KeyTag([0xff; 8])];
        for tag in tags {
            file.change(&|key| key.without(tag)).unwrap();
        }
        let next = MasterKey::generate();
        file.change(&|key| next.clone().succeeding(key)).unwrap();
        let key = MasterKey::load(file.path()).unwrap();
        assert_eq!(key.whole(), next.whole());
        assert!(key.is_replacing());
        let old = &key.retired[0];
        assert_eq!(old.id(), made.id());
        assert!(old.whole().is_none() && old.wrap == made.wrap);
        for tag in tags {
            assert!(old.ring.secret(tag).is_none());
        }
        let kept = KeyTag([2; 8]);
        assert_eq!(old.ring.secret(kept), made.ring.secret(kept));
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(!text.contains(&*hex_of(made.whole().unwrap())));

        file.change(&MasterKey::alone).unwrap();
        let key = MasterKey::load(file.path()).unwrap();
        assert!(key.whole() == next.whole() && !key.is_replacing());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_changed_key_s_file_is_refused_when_cut_or_edited() {
        let key = MasterKey::from_bytes([7; 32]).without(emberkeep_format::KeyTag([3; 8]));
        let text = render(&MasterKey::from_bytes([8; 32]).succeeding(&key));
        let text = text.trim_end().as_bytes();
        assert!(parse(text).is_ok());
        for end in 0..text.len() {
            assert!(parse(&text[..end]).is_err(), "cut at {end}");
        }
        for at in 0..text.len() {
            let mut edited = text.to_vec();
            edited[at] = if edited[at] == b'5' { b'6' } else { b'5' };
            assert!(parse(&edited).is_err(), "edited at {at}");
        }
    }

    #[test]
    fn a_copy_is_confirmed_of_one_state_of_the_key() {
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("master.key"));
        let key = MasterKey::create(file.path()).unwrap();
        assert!(!file.is_confirmed(&key));
        file.confirm(&key).unwrap();
        assert!(file.is_confirmed(&key));
        let changed = file
            .change(&|key| key.without(emberkeep_format::KeyTag([1; 8])))
            .unwrap();
        assert!(!file.is_confirmed(&changed));
        file.confirm(&changed).unwrap();
        assert!(file.is_confirmed(&changed) && !file.is_confirmed(&key));
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2);
    }

    #[test]
    fn changes_at_the_same_moment_are_all_made() {
        use emberkeep_format::KeyTag;
        let dir = tempfile::tempdir().unwrap();
        let file = KeyFile::new(dir.path().join("master.key"));
        MasterKey::create(file.path()).unwrap();
        std::thread::scope(|scope| {
            for n in 0..8 {
                let file = &file;
                scope.spawn(move || file.change(&|key| key.without(KeyTag([n; 8]))).unwrap());
            }
        });
        let key = MasterKey::load(file.path()).unwrap();
        for n in 0..8 {
            assert!(key.ring.secret(KeyTag([n; 8])).is_none(), "{n}");
        }
        assert!(key.ring.secret(KeyTag([8; 8])).is_some());
    }

    #[test]
    fn files_that_others_may_use_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("master.key");
        MasterKey::create(&path).unwrap();
        for (mode, refused) in [
            (0o600, false),
            (0o400, false),
            (0o604, true),
            (0o640, true),
            (0o620, true),
            (0o601, true),
        ] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let loaded = MasterKey::load(&path);
            match (loaded, refused) {
                (Ok(_), false) => {}
                (Err(KeyFileError::OpenToOthers { mode: told, .. }), true) => {
                    assert_eq!(told, mode);
                }
                (other, _) => panic!("{mode:o}: {other:?}"),
            }
        }
    }
}
