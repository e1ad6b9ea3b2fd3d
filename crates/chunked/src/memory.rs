//! Objects in memory, for tests.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ForeignError;
use crate::port::{ForeignObjects, ForeignSink, SinkObject};

/// Containers in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryObjects {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Debug, Default)]
struct Kept {
    objects: BTreeMap<(String, String), Vec<u8>>,
    /// Names in the order in which objects were finished.
    finished: Vec<String>,
    /// How many more objects may be finished before that fails.
    room: Option<usize>,
}

impl MemoryObjects {
    /// Puts an object, replacing one of that name.
    pub fn put(&self, container: &str, name: &str, bytes: Vec<u8>) {
        let key = (container.to_owned(), name.to_owned());
        self.lock().objects.insert(key, bytes);
    }

    /// Returns an object's bytes.
    pub fn get(&self, container: &str, name: &str) -> Option<Vec<u8>> {
        let key = (container.to_owned(), name.to_owned());
        self.lock().objects.get(&key).cloned()
    }

    /// Returns the names of all objects of all containers.
    pub fn names(&self) -> Vec<String> {
        let kept = self.lock();
        kept.objects.keys().map(|(_, name)| name.clone()).collect()
    }

    /// Returns the names of objects in the order in which they were finished.
    pub fn finished(&self) -> Vec<String> {
        self.lock().finished.clone()
    }

    /// Lets only so many more objects be finished.
    pub fn fail_after(&self, objects: usize) {
        self.lock().room = Some(objects);
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ForeignObjects for MemoryObjects {
    fn list(
        &self,
        container: &str,
        prefix: &str,
        each: &mut dyn FnMut(&str, u64),
    ) -> Result<(), ForeignError> {
        for ((of, name), bytes) in &self.lock().objects {
            if of == container && name.starts_with(prefix) {
                each(name, bytes.len() as u64);
            }
        }
        Ok(())
    }

    fn open(&self, container: &str, name: &str) -> Result<Box<dyn Read + Send>, ForeignError> {
        let missing = || ForeignError::Missing {
            name: format!("{container}/{name}"),
        };
        let bytes = self.get(container, name).ok_or_else(missing)?;
        Ok(Box::new(Cursor::new(bytes)))
    }
}

impl ForeignSink for MemoryObjects {
    fn create(&self, container: &str, name: &str) -> Result<Box<dyn SinkObject>, ForeignError> {
        Ok(Box::new(MemoryObject {
            to: self.clone(),
            key: (container.to_owned(), name.to_owned()),
            bytes: Vec::new(),
        }))
    }

    fn remove(&self, container: &str, name: &str) -> Result<(), ForeignError> {
        let key = (container.to_owned(), name.to_owned());
        self.lock().objects.remove(&key);
        Ok(())
    }
}

struct MemoryObject {
    to: MemoryObjects,
    key: (String, String),
    bytes: Vec<u8>,
}

impl Write for MemoryObject {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.bytes.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SinkObject for MemoryObject {
    fn finish(self: Box<Self>) -> io::Result<()> {
        let mut kept = self.to.lock();
        match &mut kept.room {
            Some(0) => return Err(io::ErrorKind::StorageFull.into()),
            Some(room) => *room -= 1,
            None => {}
        }
        if kept.objects.contains_key(&self.key) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        kept.finished.push(self.key.1.clone());
        kept.objects.insert(self.key, self.bytes);
        Ok(())
    }
}
