//! The repository secret: wrapped by the master key, names and wraps project keys.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use emberkeep_format::{
    Envelope, EnvelopeKind, FormatError, KeySpace, KeyTag, NONCE_LEN, SealKey, WrappedKey, names,
};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::{MasterKey, MasterKeyId, ProjectKey, random};

const WHAT: &str = "wrapped project key";

/// The secret of one repository, and the master key that it was opened with; clones share it.
#[derive(Clone)]
pub struct RepositorySecret {
    repository: Uuid,
    secret: Zeroizing<[u8; 32]>,
    /// The digest of the descriptor as it was when the secret was wrapped; versions before did not
    /// write it.
    descriptor: Option<[u8; 32]>,
    held: Arc<RwLock<Held>>,
}

/// The master key, and which of its ids the secret was opened with.
struct Held {
    master: MasterKey,
    opened_with: MasterKeyId,
}

/// A project's key as it was found.
#[derive(Debug, Clone)]
pub struct OpenedKey {
    /// The key.
    pub key: ProjectKey,
    /// What older copies of the wrapped key need.
    pub bond: Bond,
}

/// What opens copies of a project's wrapped key that were made before now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bond {
    /// The master key alone: the key was wrapped by a version that knew no ring.
    Unbound,
    /// This tag's secret, or a master key that was replaced.
    Tag {
        /// The tag.
        tag: KeyTag,
        /// Copies from before the key was bound need the master key alone.
        late: bool,
        /// It is wrapped under the current master key, not under one that is being replaced.
        current: bool,
    },
}

impl RepositorySecret {
    /// Draws the secret of a new repository.
    pub fn generate(repository: Uuid, master: &MasterKey, descriptor: &[u8]) -> Self {
        Self {
            repository,
            secret: Zeroizing::new(random()),
            descriptor: Some(digest_of(descriptor)),
            held: Held::shared(master, master.id()),
        }
    }

    /// Returns the bytes to store under [`names::master_key`] of the master key.
    pub fn wrap(&self, master: &MasterKey) -> Vec<u8> {
        let name = names::master_key(master.id());
        let place = self.place(EnvelopeKind::MasterWrap, &name);
        let mut plain = Zeroizing::new(self.secret.to_vec());
        plain.extend(self.descriptor.iter().flatten());
        place.seal(&master.wrap_key(), random::<NONCE_LEN>(), &plain)
    }

    /// Opens what [`wrap`](Self::wrap) returned for the master key, or for the one of those it is
    /// replacing that has this id.
    pub fn unwrap(
        repository: Uuid,
        master: &MasterKey,
        id: MasterKeyId,
        mut stored: Vec<u8>,
    ) -> Result<Self, FormatError> {
        let malformed = |reason| FormatError::Malformed {
            what: "wrapped repository secret",
            reason,
        };
        let key = master.with_retired().find(|key| key.id() == id);
        let key = key.ok_or(malformed("it is of another master key"))?;
        let name = names::master_key(id);
        let place = Envelope {
            kind: EnvelopeKind::MasterWrap,
            repository,
            name: &name,
        };
        let plain = place.open(&key.wrap_key(), &mut stored)?;
        let (secret, descriptor) = match plain.split_first_chunk() {
            Some((secret, [])) => (secret, None),
            Some((secret, digest)) => (secret, digest.try_into().ok()),
            None => return Err(malformed("it does not have the length of a key")),
        };
        if descriptor.is_none() && plain.len() != secret.len() {
            return Err(malformed("it does not have the length of a key"));
        }
        Ok(Self {
            repository,
            secret: Zeroizing::new(*secret),
            descriptor,
            held: Held::shared(master, id),
        })
    }

    /// Refuses a descriptor that is not the one that the secret was wrapped for. From now on one
    /// that has none is for this one, whenever it is wrapped again.
    pub fn expect_descriptor(&mut self, descriptor: &[u8]) -> Result<(), FormatError> {
        let found = digest_of(descriptor);
        if *self.descriptor.get_or_insert(found) == found {
            return Ok(());
        }
        Err(FormatError::Malformed {
            what: "repository descriptor",
            reason: "it was changed since the repository was made",
        })
    }

    /// Returns the id of the master key whose wrapped secret was opened.
    pub fn opened_with(&self) -> MasterKeyId {
        self.held().opened_with
    }

    /// Takes another state of the master key: one that has lost a tag, or replaces the one before.
    /// `opened_with` is the one of its ids whose wrapped secret is known to be stored.
    pub fn take(&self, master: MasterKey, opened_with: MasterKeyId) {
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Held {
            master,
            opened_with,
        };
    }

    /// Tells whether a stored key was erased under this master key: it opens nothing any more.
    pub fn is_erased(&self, stored: &[u8]) -> bool {
        match WrappedKey::decode(stored) {
            Ok(WrappedKey::Bound(tag, _)) => self.held().master.ring.secret(tag).is_none(),
            Ok(WrappedKey::Unbound(_)) | Err(_) => false,
        }
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().unwrap_or_else(PoisonError::into_inner)
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

    /// Returns the bytes to store under [`names::project_key`]. `late` is whether older copies of
    /// them need nothing but a master key that is still kept. `None` where the key was erased under
    /// this master key: it does not come back.
    pub fn wrap_project(&self, key: &ProjectKey, late: bool) -> Option<Vec<u8>> {
        let tag = self.tag(key);
        let wrap = self.bound_wrap(&self.held().master, tag)?;
        let name = names::project_key(self.key_space(key.project()));
        let count = u8::try_from(key.count()).expect("a project has at most 255 keys");
        let mut plain = Zeroizing::new(vec![count, late.into()]);
        for one in key.keys() {
            plain.extend_from_slice(one);
        }
        plain.extend_from_slice(key.project().as_bytes());
        let place = self.place(EnvelopeKind::ProjectKey, &name);
        let envelope = place.seal(&wrap, random::<NONCE_LEN>(), &plain);
        Some(WrappedKey::Bound(tag, &envelope).encode())
    }

    /// Opens a project's stored key.
    pub fn unwrap_project(&self, space: KeySpace, stored: &[u8]) -> Result<OpenedKey, FormatError> {
        let name = names::project_key(space);
        let place = self.place(EnvelopeKind::ProjectKey, &name);
        let opened = match WrappedKey::decode(stored)? {
            WrappedKey::Unbound(envelope) => {
                let wrap = derive_seal("emberkeep 2026 v1 project key wrap", &*self.secret);
                let mut envelope = envelope.to_vec();
                let plain = place.open(&wrap, &mut envelope)?;
                OpenedKey {
                    key: parse(plain, 1)?,
                    bond: Bond::Unbound,
                }
            }
            WrappedKey::Bound(tag, envelope) => self.unwrap_bound(place, tag, envelope)?,
        };
        if self.key_space(opened.key.project()) != space {
            return Err(malformed("it belongs to another project"));
        }
        Ok(opened)
    }

    fn unwrap_bound(
        &self,
        place: Envelope<'_>,
        tag: KeyTag,
        envelope: &[u8],
    ) -> Result<OpenedKey, FormatError> {
        let held = self.held();
        let mut failed = FormatError::Unsealed { what: WHAT };
        for (at, key) in held.master.with_retired().enumerate() {
            let Some(wrap) = self.bound_wrap(key, tag) else {
                continue;
            };
            let mut envelope = envelope.to_vec();
            let plain = match place.open(&wrap, &mut envelope) {
                Ok(plain) => plain,
                Err(cause) => {
                    failed = cause;
                    continue;
                }
            };
            let ([count, late], plain) = plain
                .split_first_chunk()
                .ok_or(malformed("it is too short"))?;
            if *count == 0 || *late > 1 {
                return Err(malformed("its head is not one"));
            }
            return Ok(OpenedKey {
                key: parse(plain, (*count).into())?,
                bond: Bond::Tag {
                    tag,
                    late: *late == 1,
                    current: at == 0,
                },
            });
        }
        Err(failed)
    }

    /// Returns the repository's id.
    pub fn repository(&self) -> Uuid {
        self.repository
    }

    fn place<'n>(&self, kind: EnvelopeKind, name: &'n str) -> Envelope<'n> {
        Envelope {
            kind,
            repository: self.repository,
            name,
        }
    }

    /// Names the ring's secret that a key is bound to: the same one however often it is wrapped.
    fn tag(&self, key: &ProjectKey) -> KeyTag {
        let first = key.keys().next().expect("a project has a key at least");
        let mut material = Zeroizing::new([0; 64]);
        material[..32].copy_from_slice(&*self.secret);
        material[32..].copy_from_slice(first);
        let digest = blake3::derive_key("emberkeep 2026 v1 key tag", &*material);
        let (tag, _) = digest
            .split_first_chunk()
            .expect("a digest is longer than a tag");
        KeyTag(*tag)
    }

    fn bound_wrap(&self, master: &MasterKey, tag: KeyTag) -> Option<SealKey> {
        let of_tag = master.ring.secret(tag)?;
        let mut material = Zeroizing::new([0; 64]);
        material[..32].copy_from_slice(&*self.secret);
        material[32..].copy_from_slice(&*of_tag);
        let context = "emberkeep 2026 v1 bound project key wrap";
        Some(derive_seal(context, &*material))
    }
}

impl Held {
    fn shared(master: &MasterKey, opened_with: MasterKeyId) -> Arc<RwLock<Self>> {
        Arc::new(RwLock::new(Self {
            master: master.clone(),
            opened_with,
        }))
    }
}

fn digest_of(descriptor: &[u8]) -> [u8; 32] {
    blake3::derive_key("emberkeep 2026 v1 descriptor", descriptor)
}

fn malformed(reason: &'static str) -> FormatError {
    FormatError::Malformed { what: WHAT, reason }
}

fn derive_seal(context: &'static str, material: &[u8]) -> SealKey {
    SealKey::new(&Zeroizing::new(blake3::derive_key(context, material)))
}

/// Reads keys and the project's name.
fn parse(plain: &[u8], count: usize) -> Result<ProjectKey, FormatError> {
    let (keys, project) = plain
        .split_at_checked(32 * count)
        .ok_or(malformed("it does not have the length of a key"))?;
    let (keys, _) = keys.as_chunks::<32>();
    let keys = keys.iter().map(|key| Zeroizing::new(*key)).collect();
    let project =
        std::str::from_utf8(project).map_err(|_| malformed("the project's name is not text"))?;
    Ok(ProjectKey::from_keys(project.to_owned(), keys))
}

impl fmt::Debug for RepositorySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RepositorySecret({})", self.repository)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REPOSITORY: Uuid = Uuid::from_u128(4);

    fn keys(key: &ProjectKey) -> Vec<[u8; 32]> {
        key.keys().copied().collect()
    }

    #[test]
    fn wrapping_round_trips_and_other_keys_do_not_open() {
        let (master, other) = (MasterKey::generate(), MasterKey::generate());
        let secret = RepositorySecret::generate(REPOSITORY, &master, b"{}");
        let stored = secret.wrap(&master);
        let unwrap = |repository, master: &MasterKey| {
            RepositorySecret::unwrap(repository, master, master.id(), stored.clone())
        };
        let back = unwrap(REPOSITORY, &master).unwrap();
        assert_eq!(back.secret, secret.secret);
        assert!(back.clone().expect_descriptor(b"{}").is_ok());
        assert!(back.clone().expect_descriptor(b"{ }").is_err());
        assert!(unwrap(REPOSITORY, &other).is_err());
        assert!(unwrap(Uuid::from_u128(5), &master).is_err());

        let key = ProjectKey::generate("project-a".into());
        let key = key.renewed().unwrap();
        let space = secret.key_space("project-a");
        let stored = secret.wrap_project(&key, false).unwrap();
        let opened = back.unwrap_project(space, &stored).unwrap();
        assert_eq!(opened.key.project(), "project-a");
        assert_eq!(keys(&opened.key), keys(&key));
        assert!(matches!(
            opened.bond,
            Bond::Tag {
                late: false,
                current: true,
                ..
            }
        ));
        for at in 0..stored.len() {
            let mut bad = stored.clone();
            bad[at] ^= 1;
            assert!(secret.unwrap_project(space, &bad).is_err(), "byte {at}");
        }
        let elsewhere = secret.key_space("project-b");
        assert!(secret.unwrap_project(elsewhere, &stored).is_err());
        let stranger = RepositorySecret::generate(REPOSITORY, &master, b"{}");
        assert!(stranger.unwrap_project(space, &stored).is_err());
    }

    #[test]
    fn a_destroyed_tag_closes_its_own_key_in_every_copy_and_no_other() {
        let master = MasterKey::generate();
        let secret = RepositorySecret::generate(REPOSITORY, &master, b"{}");
        let wrapped = |name: &str| {
            secret
                .wrap_project(&ProjectKey::generate(name.into()), false)
                .unwrap()
        };
        let (a, b) = (wrapped("a"), wrapped("b"));
        let (space_a, space_b) = (secret.key_space("a"), secret.key_space("b"));
        let opened = secret.unwrap_project(space_a, &a).unwrap();
        let Bond::Tag { tag, .. } = opened.bond else {
            panic!("a new key is bound");
        };
        let again = secret.wrap_project(&opened.key, true).unwrap();
        assert_ne!(again, a);
        let late = secret.unwrap_project(space_a, &again).unwrap();
        assert!(matches!(late.bond, Bond::Tag { late: true, tag: same, .. } if same == tag));
        assert!(!secret.is_erased(&a));
        secret.take(master.without(tag), master.id());
        assert!(secret.is_erased(&a) && !secret.is_erased(&b));
        for copy in [&a, &again] {
            assert!(secret.unwrap_project(space_a, copy).is_err());
        }
        assert!(secret.unwrap_project(space_b, &b).is_ok());
        assert_eq!(secret.wrap_project(&opened.key, false), None);
    }

    #[test]
    fn a_key_that_replaces_another_opens_what_that_one_wrapped() {
        let (old, new) = (MasterKey::generate(), MasterKey::generate());
        let secret = RepositorySecret::generate(REPOSITORY, &old, b"{}");
        let space = secret.key_space("a");
        let before = secret
            .wrap_project(&ProjectKey::generate("a".into()), false)
            .unwrap();
        let both = new.clone().succeeding(&old);
        secret.take(both.clone(), old.id());
        let opened = secret.unwrap_project(space, &before).unwrap();
        assert!(matches!(opened.bond, Bond::Tag { current: false, .. }));
        let after = secret.wrap_project(&opened.key, false).unwrap();
        secret.take(both.alone(), new.id());
        assert!(secret.unwrap_project(space, &before).is_err());
        let opened = secret.unwrap_project(space, &after).unwrap();
        assert!(matches!(opened.bond, Bond::Tag { current: true, .. }));
        secret.take(old.clone(), old.id());
        assert!(secret.unwrap_project(space, &after).is_err());
    }
}
