//! Sealed copies of the catalog.
//!
//! A copy is one object. The rows of each project are sealed under that project's own key, so that
//! erasing the project makes them unreadable in every copy, here and elsewhere. What belongs to no
//! project, or to one that never stored anything and so has no key, is sealed under a key of the
//! copies' own, which is kept, renewed and wrapped as a project's is.

use std::fmt;
use std::str::FromStr;

use emberkeep_format::{
    CatalogCopyHead, CatalogPart, EnvelopeKind, KeySpace, ObjectId, UnixMicros,
    decode_catalog_copy, decode_section, encode_catalog_copy, encode_section, names,
};
use emberkeep_keys::random;
use emberkeep_store::list_all;

use crate::damage::{Damage, DamageCause, ReadError};
use crate::error::RepositoryError;
use crate::repository::{ProjectRepository, Repository};
use crate::space::now;

/// Whose key seals what belongs to no project. No project of a service has such a name.
pub(crate) const CATALOG_PROJECT: &str = "emberkeep/catalog";

/// Names a copy: a number that grows, and an id that no other copy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CatalogCopyName {
    /// Grows from copy to copy.
    pub number: u64,
    /// Tells copies apart whose writers did not know of each other.
    pub id: ObjectId,
}

impl CatalogCopyName {
    /// Names a new copy that comes after number `last`.
    pub fn after(last: u64) -> Self {
        Self {
            number: last + 1,
            id: ObjectId(random()),
        }
    }

    fn object(self) -> String {
        names::catalog_copy(self.number, self.id)
    }
}

impl fmt::Display for CatalogCopyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.number, self.id)
    }
}

/// A text that names no copy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it does not name a copy of the catalog")]
pub struct NoCopyName;

impl FromStr for CatalogCopyName {
    type Err = NoCopyName;

    fn from_str(text: &str) -> Result<Self, NoCopyName> {
        let (number, id) = text.split_once('.').ok_or(NoCopyName)?;
        Ok(Self {
            number: number.parse().map_err(|_| NoCopyName)?,
            id: id.parse().map_err(|_| NoCopyName)?,
        })
    }
}

/// A copy in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CatalogCopy {
    /// Its name.
    pub name: CatalogCopyName,
    /// Bytes it takes.
    pub bytes: u64,
}

/// Rows that a copy is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatalogSection {
    /// Whose rows they are; `None` for those of no project.
    pub project: Option<String>,
    /// The rows, as text.
    pub text: Vec<u8>,
}

/// What a copy holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenedCopy {
    /// When its rows were read.
    pub created_at: UnixMicros,
    /// The rows of each project that has not been erased since, and those of none.
    pub texts: Vec<Vec<u8>>,
    /// Projects that were erased since: their rows cannot be read any more.
    pub erased: usize,
}

impl Repository {
    /// Lists the copies there are, oldest first.
    pub fn catalog_copies(&self) -> Result<Vec<CatalogCopy>, RepositoryError> {
        let mut copies: Vec<CatalogCopy> = list_all(&*self.store, names::CATALOG_COPIES)?
            .into_iter()
            .filter_map(|object| {
                let name = object.name.rsplit('/').next()?.parse().ok()?;
                let bytes = object.size;
                Some(CatalogCopy { name, bytes })
            })
            .collect();
        copies.sort_by_key(|copy| copy.name);
        Ok(copies)
    }

    /// Seals and stores a copy; durable and read back on return.
    pub fn put_catalog_copy(
        &self,
        name: CatalogCopyName,
        sections: Vec<CatalogSection>,
    ) -> Result<CatalogCopy, RepositoryError> {
        let created_at = now();
        let object = name.object();
        let own = self.project(CATALOG_PROJECT)?;
        let mut sealed = Vec::with_capacity(sections.len());
        for section in sections {
            let packed = encode_section(&section.text).map_err(|cause| {
                emberkeep_store::StoreError::Failed {
                    name: object.clone(),
                    cause,
                }
            })?;
            let place = match &section.project {
                Some(project) => self.keyed_project(project)?,
                None => None,
            };
            sealed.push(place.as_ref().unwrap_or(&own).seal_part(&object, &packed));
        }
        let head = CatalogCopyHead::new(created_at, &sealed);
        let head = own.seal_part(&object, &head.encode());
        let bytes = encode_catalog_copy(&head, &sealed);
        self.store.put_if_absent(&object, &[&bytes])?;
        // What could not be opened would be no copy: better known now than on the worst day.
        self.open_catalog_copy(name)?;
        Ok(CatalogCopy {
            name,
            bytes: bytes.len() as u64,
        })
    }

    /// Reads a copy, checks every byte of it, and opens what can still be opened.
    pub fn open_catalog_copy(&self, name: CatalogCopyName) -> Result<OpenedCopy, RepositoryError> {
        let object = name.object();
        let damaged = |cause| ReadError::damaged(&object, None, DamageCause::Format(cause));
        let stored = self.store.get(&object).map_err(ReadError::from_store)?;
        let (head, sections) = decode_catalog_copy(&stored).map_err(damaged)?;
        let own = self.catalog_space();
        if head.space != own {
            return Err(damaged(FORGED).into());
        }
        let keys = self.project(CATALOG_PROJECT)?;
        let head = CatalogCopyHead::decode(&keys.open_part(&object, &head)?).map_err(damaged)?;
        head.expect(&sections).map_err(damaged)?;
        let mut opened = OpenedCopy {
            created_at: head.created_at,
            texts: Vec::with_capacity(sections.len()),
            erased: 0,
        };
        for section in sections {
            let plain = if section.space == own {
                keys.open_part(&object, &section)?
            } else {
                match self.open_section(&object, &section)? {
                    Some(plain) => plain,
                    None => {
                        opened.erased += 1;
                        continue;
                    }
                }
            };
            opened.texts.push(decode_section(&plain).map_err(damaged)?);
        }
        Ok(opened)
    }

    /// Opens the rows of a project; `None` if it was erased since.
    fn open_section(
        &self,
        object: &str,
        section: &CatalogPart,
    ) -> Result<Option<Vec<u8>>, RepositoryError> {
        let Some(stored) = self.stored_key(section.space)? else {
            return Ok(None);
        };
        let project = match self.open_space(section.space, stored, None) {
            Ok(project) => project,
            Err(RepositoryError::ErasureUnfinished { .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        match project.open_part(object, section) {
            Ok(plain) => Ok(Some(plain)),
            // The bytes are those that were written, as the head says: the project was erased and
            // has got another key since.
            Err(ReadError::Damaged(damage)) if damage.cause.is_unsealed() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Removes copies, durably; those that are not there are fine.
    pub fn delete_catalog_copies(&self, copies: &[CatalogCopyName]) -> Result<(), RepositoryError> {
        let objects: Vec<String> = copies.iter().map(|name| name.object()).collect();
        Ok(self.store.delete_many(&objects)?)
    }

    /// Reads every copy and checks all of it; returns how many are whole, and what is wrong with the others.
    pub fn check_catalog_copies(&self) -> Result<(usize, Vec<Damage>), RepositoryError> {
        let mut whole = 0;
        let mut damaged = Vec::new();
        for copy in self.catalog_copies()? {
            match self.open_catalog_copy(copy.name) {
                Ok(_) => whole += 1,
                // One that is gone was replaced meanwhile.
                Err(RepositoryError::Damaged(damage))
                    if matches!(damage.cause, DamageCause::Missing) => {}
                Err(RepositoryError::Damaged(damage)) => damaged.push(*damage),
                Err(error) => return Err(error),
            }
        }
        Ok((whole, damaged))
    }

    /// Opens a project that has a key; none is made for one that has none.
    fn keyed_project(&self, project: &str) -> Result<Option<ProjectRepository>, RepositoryError> {
        let space = self.secret.key_space(project);
        match self.stored_key(space)? {
            Some(stored) if !self.secret.is_erased(&stored) => {
                self.open_space(space, stored, None).map(Some)
            }
            Some(_) | None => Ok(None),
        }
    }

    pub(crate) fn catalog_space(&self) -> KeySpace {
        self.secret.key_space(CATALOG_PROJECT)
    }
}

const FORGED: emberkeep_format::FormatError = emberkeep_format::FormatError::Malformed {
    what: "catalog copy",
    reason: "its head is not sealed for the catalog",
};

impl ProjectRepository {
    fn seal_part(&self, object: &str, plain: &[u8]) -> CatalogPart {
        CatalogPart {
            space: self.space.names.0,
            envelope: self.space.seal(EnvelopeKind::CatalogCopy, object, plain),
        }
    }

    fn open_part(&self, object: &str, part: &CatalogPart) -> Result<Vec<u8>, ReadError> {
        self.space
            .open(EnvelopeKind::CatalogCopy, object, &part.envelope)
    }
}
