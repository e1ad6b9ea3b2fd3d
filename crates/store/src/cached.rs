//! A wrapper that keeps some objects of a far-away store in a local directory.
//!
//! Only what never changes may be kept: the caller says which objects those are. The store
//! stays the judge of what exists, since listings and sizes are always asked of it, and writes
//! go to it first. A kept object that cannot be read, or has changed, is asked for again.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use xxhash_rust::xxh3::xxh3_64;

use crate::name::check_name;
use crate::{Listed, ObjectStore, StoreError};

/// Bytes before an object's own.
const HEAD: usize = 8;
/// How many bytes of an object the caller looks at to tell whether it is kept.
const GLANCE: usize = 64;

/// Tells from its name and first bytes whether an object is kept.
pub type Keep = fn(name: &str, first: &[u8]) -> bool;

/// A store with a local directory in front.
pub struct CachedStore {
    inner: Arc<dyn ObjectStore>,
    dir: PathBuf,
    keep: Keep,
    next: AtomicU64,
    /// Objects whose kept bytes were looked at since this was opened.
    sound: Mutex<HashSet<String>>,
}

impl CachedStore {
    /// Keeps objects in `dir`, which is made if it is missing. Of what lies there the oldest goes
    /// until no more than `limit` bytes are left.
    pub fn open(
        inner: Arc<dyn ObjectStore>,
        dir: &Path,
        limit: u64,
        keep: Keep,
    ) -> Result<Self, StoreError> {
        let made = fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(dir)
            .and_then(|()| shrink(dir, limit));
        made.map_err(|cause| StoreError::Failed {
            name: dir.display().to_string(),
            cause,
        })?;
        Ok(Self {
            inner,
            dir: dir.to_owned(),
            keep,
            next: AtomicU64::new(0),
            sound: Mutex::default(),
        })
    }

    fn place(&self, name: &str) -> PathBuf {
        // No name holds this sign.
        self.dir.join(name.replace('/', "+"))
    }

    fn is_sound(&self, name: &str) -> bool {
        let sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        sound.contains(name)
    }

    fn mark_sound(&self, name: &str) {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        sound.insert(name.to_owned());
    }

    fn forget(&self, name: &str) {
        let mut sound = self.sound.lock().unwrap_or_else(PoisonError::into_inner);
        sound.remove(name);
        let _ = fs::remove_file(self.place(name));
    }

    /// Returns a kept object whose checksum is right.
    fn kept(&self, name: &str) -> Option<Vec<u8>> {
        let mut file = File::open(self.place(name)).ok()?;
        let mut sum = [0; HEAD];
        let mut bytes = Vec::new();
        let read = file
            .read_exact(&mut sum)
            .and_then(|()| file.read_to_end(&mut bytes));
        if read.is_ok() && u64::from_le_bytes(sum) == xxh3_64(&bytes) {
            self.mark_sound(name);
            return Some(bytes);
        }
        self.forget(name);
        None
    }

    fn kept_range(&self, name: &str, range: &Range<u64>) -> Option<Vec<u8>> {
        let length = usize::try_from(range.end.checked_sub(range.start)?).ok()?;
        if !self.is_sound(name) {
            let whole = self.kept(name)?;
            let start = usize::try_from(range.start).ok()?;
            return Some(whole.get(start..start.checked_add(length)?)?.to_vec());
        }
        let file = File::open(self.place(name)).ok()?;
        // Of what lies beyond the end even an empty range is an error, which the store words.
        if file.metadata().ok()?.len().checked_sub(HEAD as u64)? < range.end {
            return None;
        }
        let mut bytes = vec![0; length];
        let read = file.read_exact_at(&mut bytes, HEAD as u64 + range.start);
        read.is_ok().then_some(bytes)
    }

    /// Keeps an object if it is one to keep. Where that fails there is one less to be had at once.
    fn remember(&self, name: &str, parts: &[&[u8]]) {
        let mut first = Vec::with_capacity(GLANCE);
        for part in parts {
            let room = GLANCE - first.len();
            first.extend_from_slice(&part[..part.len().min(room)]);
        }
        if (self.keep)(name, &first) {
            let whole = parts.concat();
            if self.write(name, &whole).is_ok() {
                self.mark_sound(name);
            }
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let next = self.next.fetch_add(1, Relaxed);
        let unfinished = self
            .dir
            .join(format!("{}-{next}.unfinished", std::process::id()));
        let mut file = File::options()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(&unfinished)?;
        let written = file
            .write_all(&xxh3_64(bytes).to_le_bytes())
            .and_then(|()| file.write_all(bytes))
            .and_then(|()| fs::rename(&unfinished, self.place(name)));
        written.inspect_err(|_| {
            let _ = fs::remove_file(&unfinished);
        })
    }
}

/// Removes what nobody finished, and the oldest until the rest fits.
fn shrink(dir: &Path, limit: u64) -> io::Result<()> {
    let mut files = Vec::new();
    let mut total = 0;
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let Ok(meta) = entry.metadata() else {
            continue;
        };
        total += meta.len();
        files.push((meta.modified()?, meta.len(), entry.path()));
    }
    files.sort();
    for (_, length, path) in files {
        if total <= limit {
            break;
        }
        match fs::remove_file(path) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => total -= length,
        }
    }
    Ok(())
}

impl ObjectStore for CachedStore {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        self.inner.put_if_absent(name, parts)?;
        self.remember(name, parts);
        Ok(())
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        check_name(name)?;
        self.forget(name);
        self.inner.put(name, parts)?;
        self.remember(name, parts);
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        if let Some(bytes) = self.kept(name) {
            return Ok(bytes);
        }
        let bytes = self.inner.get(name)?;
        self.remember(name, &[&bytes]);
        Ok(bytes)
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        check_name(name)?;
        match self.kept_range(name, &range) {
            Some(bytes) => Ok(bytes),
            None => self.inner.get_range(name, range),
        }
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        self.inner.head(name)
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        self.inner.list(prefix, after, limit)
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| check_name(name))?;
        names.iter().for_each(|name| self.forget(name));
        self.inner.delete_many(names)
    }

    fn describe(&self) -> String {
        self.inner.describe()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Counted, FaultPlan, FaultyStore, MemoryStore};

    #[test]
    fn conforms_with_everything_kept() {
        let scratch = tempfile::tempdir().expect("a directory");
        let next = AtomicU64::new(0);
        crate::conformance::run(|| {
            let dir = scratch.path().join(next.fetch_add(1, Relaxed).to_string());
            // But for the one that is replaced while it is read: what changes is not to be kept.
            let keep = |name: &str, _: &[u8]| name != "swap";
            let store = CachedStore::open(Arc::new(MemoryStore::new()), &dir, 1 << 30, keep);
            Box::new(store.expect("a cache"))
        });
    }

    #[test]
    fn what_is_kept_is_not_asked_for_and_what_was_changed_is() {
        let scratch = tempfile::tempdir().expect("a directory");
        let plan = FaultPlan::new(Counted::All);
        let far = Arc::new(FaultyStore::new(MemoryStore::new(), plan.clone()));
        let open = |limit| {
            CachedStore::open(far.clone(), scratch.path(), limit, |name, first| {
                name.starts_with("a/") && first.starts_with(b"keep")
            })
            .expect("a cache")
        };
        let store = open(1 << 20);
        store.put_if_absent("a/1", &[b"ke", b"ep me"]).expect("put");
        store.put_if_absent("a/2", &[b"drop me"]).expect("put");
        let asks = |store: &CachedStore, name: &str| {
            plan.arm(None);
            let whole = store.get(name).expect("get");
            let part = store.get_range(name, 1..4).expect("range");
            assert_eq!(part, whole[1..4], "{name}");
            (whole, plan.calls())
        };
        assert_eq!(asks(&store, "a/1"), (b"keep me".to_vec(), 0));
        assert_eq!(asks(&store, "a/2").1, 2, "it is not one to keep");
        assert!(store.get_range("a/1", 3..99).is_err(), "the store says why");
        // Another process finds it too, and sees when it was changed meanwhile.
        let store = open(1 << 20);
        assert_eq!(asks(&store, "a/1").1, 0);
        let file = scratch.path().join("a+1");
        let mut bytes = fs::read(&file).expect("kept");
        bytes[9] ^= 1;
        fs::write(&file, bytes).expect("changed");
        let store = open(1 << 20);
        assert_eq!(asks(&store, "a/1"), (b"keep me".to_vec(), 1));
        // What is deleted is not kept, and room is made.
        store.delete_many(&["a/1".to_owned()]).expect("delete");
        assert!(store.get("a/1").is_err());
        store.put_if_absent("a/3", &[b"keep"]).expect("put");
        assert!(scratch.path().join("a+3").exists());
        let store = open(0);
        assert!(!scratch.path().join("a+3").exists());
        assert_eq!(asks(&store, "a/3").1, 1);
    }
}
