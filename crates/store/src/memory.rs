//! A store that lives and dies with the process.

use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::name::{check_name, check_prefix};
use crate::{Listed, ObjectStore, StoreError};

type Objects = BTreeMap<String, Arc<[u8]>>;

/// Keeps objects in memory. Clones share them, so a test can drop one user of
/// the store and open it again for the next.
#[derive(Debug, Clone, Default)]
pub struct MemoryStore {
    objects: Arc<RwLock<Objects>>,
}

impl MemoryStore {
    /// Makes an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    // A panic between lock and unlock cannot leave the map half changed, so
    // poison says nothing here.
    fn read(&self) -> RwLockReadGuard<'_, Objects> {
        self.objects.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Objects> {
        self.objects.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn object(&self, name: &str) -> Result<Arc<[u8]>, StoreError> {
        check_name(name)?;
        self.read()
            .get(name)
            .cloned()
            .ok_or_else(|| StoreError::NotFound {
                name: name.to_owned(),
            })
    }
}

impl ObjectStore for MemoryStore {
    fn put_if_absent(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        check_name(name)?;
        let mut objects = self.write();
        if objects.contains_key(name) {
            return Err(StoreError::AlreadyExists {
                name: name.to_owned(),
            });
        }
        objects.insert(name.to_owned(), parts.concat().into());
        Ok(())
    }

    fn put(&self, name: &str, parts: &[&[u8]]) -> Result<(), StoreError> {
        check_name(name)?;
        self.write().insert(name.to_owned(), parts.concat().into());
        Ok(())
    }

    fn get(&self, name: &str) -> Result<Vec<u8>, StoreError> {
        Ok(self.object(name)?.to_vec())
    }

    fn get_range(&self, name: &str, range: Range<u64>) -> Result<Vec<u8>, StoreError> {
        let object = self.object(name)?;
        let bounds = usize::try_from(range.start)
            .ok()
            .zip(usize::try_from(range.end).ok());
        bounds
            .and_then(|(start, end)| object.get(start..end))
            .map(<[u8]>::to_vec)
            .ok_or_else(|| StoreError::OutOfRange {
                name: name.to_owned(),
                size: object.len() as u64,
                start: range.start,
                end: range.end,
            })
    }

    fn head(&self, name: &str) -> Result<Option<u64>, StoreError> {
        check_name(name)?;
        Ok(self.read().get(name).map(|object| object.len() as u64))
    }

    fn list(
        &self,
        prefix: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Listed>, StoreError> {
        check_prefix(prefix)?;
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        Ok(self
            .read()
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(name, _)| name.starts_with(prefix))
            .take(limit)
            .map(|(name, object)| Listed {
                name: name.clone(),
                size: object.len() as u64,
            })
            .collect())
    }

    fn delete_many(&self, names: &[String]) -> Result<(), StoreError> {
        names.iter().try_for_each(|name| check_name(name))?;
        let mut objects = self.write();
        for name in names {
            objects.remove(name);
        }
        Ok(())
    }

    fn describe(&self) -> String {
        "memory".to_owned()
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn conforms() {
        crate::conformance::run(|| Box::new(super::MemoryStore::new()));
    }
}
