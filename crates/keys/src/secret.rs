//! The repository secret: wrapped by the master key, wraps project keys.

use std::fmt;

use emberkeep_format::{Envelope, EnvelopeKind, FormatError, KeySpace, NONCE_LEN, names};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::master::derive_seal;
use crate::{MasterKey, ProjectKey, random};

/// The secret of one repository.
#[derive(Clone)]
pub struct RepositorySecret {
    repository: Uuid,
    secret: Zeroizing<[u8; 32]>,
}

impl RepositorySecret {
    /// Draws the secret of a new repository.
    pub fn generate(repository: Uuid) -> Self {
        Self {
            repository,
            secret: Zeroizing::new(random()),
        }
    }

    /// Returns the bytes to store under [`names::master_key`] of the master key.
    pub fn wrap(&self, master: &MasterKey) -> Vec<u8> {
        let name = names::master_key(master.id());
        let place = Envelope {
            kind: EnvelopeKind::MasterWrap,
            repository: self.repository,
            name: &name,
        };
        place.seal(&master.wrap_key(), random::<NONCE_LEN>(), &*self.secret)
    }

    /// Opens what [`wrap`](Self::wrap) returned.
    pub fn unwrap(
        repository: Uuid,
        master: &MasterKey,
        mut stored: Vec<u8>,
    ) -> Result<Self, FormatError> {
        let name = names::master_key(master.id());
        let place = Envelope {
            kind: EnvelopeKind::MasterWrap,
            repository,
            name: &name,
        };
        let plain = place.open(&master.wrap_key(), &mut stored)?;
        let secret = plain.try_into().map_err(|_| FormatError::Malformed {
            what: "wrapped repository secret",
            reason: "it does not have the length of a key",
        })?;
        Ok(Self {
            repository,
            secret: Zeroizing::new(secret),
        })
    }

    /// Names the part of the repository that belongs to a project; reveals nothing of its name.
    pub fn key_space(&self, project: &str) -> KeySpace {
        let key = Zeroizing::new(blake3::derive_key(
            "emberkeep 2026 v1 key space",
            &*self.secret,
        ));
        let digest = blake3::keyed_hash(&key, project.as_bytes());
        let mut space = [0; 16];
        space.copy_from_slice(&digest.as_bytes()[..16]);
        KeySpace(space)
    }

    /// Returns the bytes to store under [`names::project_key`] of the project's key space.
    pub fn wrap_project(&self, key: &ProjectKey) -> Vec<u8> {
        let name = names::project_key(self.key_space(key.project()));
        let plain = Zeroizing::new([key.bytes(), key.project().as_bytes()].concat());
        self.project_place(&name)
            .seal(&self.project_wrap(), random::<NONCE_LEN>(), &plain)
    }

    /// Opens what [`wrap_project`](Self::wrap_project) returned.
    pub fn unwrap_project(
        &self,
        space: KeySpace,
        mut stored: Vec<u8>,
    ) -> Result<ProjectKey, FormatError> {
        let malformed = |reason| FormatError::Malformed {
            what: "wrapped project key",
            reason,
        };
        let name = names::project_key(space);
        let plain = self
            .project_place(&name)
            .open(&self.project_wrap(), &mut stored)?;
        let (key, project) = plain
            .split_first_chunk()
            .ok_or(malformed("it does not have the length of a key"))?;
        let project = std::str::from_utf8(project)
            .map_err(|_| malformed("the project's name is not text"))?;
        if self.key_space(project) != space {
            return Err(malformed("it belongs to another project"));
        }
        Ok(ProjectKey::from_bytes(project.to_owned(), *key))
    }

    /// Returns the repository's id.
    pub fn repository(&self) -> Uuid {
        self.repository
    }

    fn project_place<'n>(&self, name: &'n str) -> Envelope<'n> {
        Envelope {
            kind: EnvelopeKind::ProjectKey,
            repository: self.repository,
            name,
        }
    }

    fn project_wrap(&self) -> emberkeep_format::SealKey {
        derive_seal("emberkeep 2026 v1 project key wrap", &*self.secret)
    }
}

impl fmt::Debug for RepositorySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositorySecret({})", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrapping_round_trips_and_other_keys_do_not_open() {
        let (master, other) = (MasterKey::generate(), MasterKey::generate());
        let repository = Uuid::from_u128(4);
        let secret = RepositorySecret::generate(repository);
        let stored = secret.wrap(&master);
        let back = RepositorySecret::unwrap(repository, &master, stored.clone()).unwrap();
        assert_eq!(back.secret, secret.secret);
        assert!(RepositorySecret::unwrap(repository, &other, stored.clone()).is_err());
        assert!(RepositorySecret::unwrap(Uuid::from_u128(5), &master, stored).is_err());

        let key = ProjectKey::generate("project-a".into());
        let space = secret.key_space("project-a");
        let stored = secret.wrap_project(&key);
        let back = secret.unwrap_project(space, stored.clone()).unwrap();
        assert_eq!((back.project(), back.bytes()), ("project-a", key.bytes()));
        assert!(
            secret
                .unwrap_project(secret.key_space("project-b"), stored.clone())
                .is_err()
        );
        assert!(
            RepositorySecret::generate(repository)
                .unwrap_project(space, stored)
                .is_err()
        );
    }
}
