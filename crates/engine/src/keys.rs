//! Keys of a repository: finding and making a project's, erasing a project, changing the master key.
//!
//! A project's key is wrapped under the repository secret and a secret of the master key's ring.
//! **Erasing** destroys that secret where the master key is kept and only then the key object, so
//! that no copy of the store opens the project with what is left; no other project's key is
//! touched. **Changing the master key** wraps all keys anew, one by one, while the key file holds
//! both master keys; the wrapped secret under the old one goes before the last look for keys that
//! somebody made meanwhile, and a process that makes a key looks for it afterwards.

use std::sync::Arc;

use emberkeep_format::{KeySpace, ObjectId, names};
use emberkeep_keys::{Bond, KeyKeeper, MasterKey, MasterKeyId, OpenedKey, ProjectKey};
use emberkeep_store::{StoreError, list_all};

use crate::damage::ReadError;
use crate::error::RepositoryError;
use crate::repository::{ProjectRepository, Repository};
use crate::session::{Reap, alive};

/// What was, or would be, erased with a project.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Erased {
    /// There was a key, so that something could be read.
    pub had_key: bool,
    /// Backups there were.
    pub backups: u64,
    /// Objects there were.
    pub objects: u64,
    /// Bytes they took.
    pub bytes: u64,
    /// Copies of the store that were made before can still be opened with the master key that is
    /// kept: some of them hold the project's key as versions before the ring wrapped it, or this
    /// process was given no place where it could change the master key.
    pub copies_stay_readable: bool,
}

/// What a change of the master key did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotated {
    /// The master key that opens the repository now, and no other does.
    pub key: MasterKeyId,
    /// How many others did before.
    pub dropped: usize,
    /// Projects whose data keys were renewed.
    pub projects: usize,
}

impl Repository {
    /// Gives the repository the place where its master key is kept, so that erasing a project can
    /// destroy the secret of its key there, and the master key can be changed.
    #[must_use]
    pub fn with_keeper(mut self, keeper: Arc<dyn KeyKeeper>) -> Self {
        self.keeper = Some(keeper);
        self
    }

    /// Finds a project's key.
    pub(crate) fn find_key(&self, project: &str) -> Result<Option<OpenedKey>, RepositoryError> {
        let space = self.secret.key_space(project);
        let stored = self.stored_key(space)?;
        stored
            .map(|stored| self.open_key(space, &stored))
            .transpose()
    }

    pub(crate) fn stored_key(&self, space: KeySpace) -> Result<Option<Vec<u8>>, StoreError> {
        match self.store.get(&names::project_key(space)) {
            Ok(stored) => Ok(Some(stored)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    pub(crate) fn open_key(
        &self,
        space: KeySpace,
        stored: &[u8],
    ) -> Result<OpenedKey, RepositoryError> {
        self.secret.unwrap_project(space, stored).or_else(|cause| {
            if self.secret.is_erased(stored) {
                let place = self.store.describe();
                return Err(RepositoryError::ErasureUnfinished { place });
            }
            // A key under another master key is no damage.
            self.expect_current()?;
            Err(ReadError::damaged(names::project_key(space), None, cause).into())
        })
    }

    /// Stores the key of a project that has none, unless somebody else does; returns what is
    /// stored then.
    pub(crate) fn store_key(&self, key: &ProjectKey) -> Result<Vec<u8>, RepositoryError> {
        let space = self.secret.key_space(key.project());
        let name = names::project_key(space);
        let erased = || RepositoryError::KeyErased {
            place: self.store.describe(),
            project: key.project().to_owned(),
        };
        let wrapped = self.secret.wrap_project(key, false).ok_or_else(erased)?;
        // Before, so that no key is left under a master key that is gone; and after, since it may
        // have gone meanwhile: a process that changes it looks for keys like this one afterwards.
        self.expect_current()?;
        match self.store.put_if_absent(&name, &[&wrapped]) {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(cause) => return Err(cause.into()),
        }
        self.expect_current()?;
        Ok(self.store.get(&name)?)
    }

    /// Refuses to go on where the master key was changed since the repository was opened.
    pub(crate) fn expect_current(&self) -> Result<(), RepositoryError> {
        let name = names::master_key(self.secret.opened_with());
        match self.store.head(&name)? {
            Some(_) => Ok(()),
            None => Err(RepositoryError::MasterKeyReplaced {
                place: self.store.describe(),
            }),
        }
    }

    fn stored_keys(&self) -> Result<Vec<(KeySpace, Vec<u8>)>, RepositoryError> {
        let mut found = Vec::new();
        for object in list_all(&*self.store, names::PROJECT_KEYS)? {
            let Some(space) = names::last_segment(&object.name) else {
                continue;
            };
            found.extend(self.stored_key(space)?.map(|stored| (space, stored)));
        }
        Ok(found)
    }

    /// Opens every project that has a key here.
    pub fn projects(&self) -> Result<Vec<ProjectRepository>, RepositoryError> {
        let mut projects = Vec::new();
        for (space, stored) in self.stored_keys()? {
            if space != self.catalog_space() && !self.secret.is_erased(&stored) {
                projects.push(self.open_space(space, stored, None)?);
            }
        }
        Ok(projects)
    }

    /// Erases a project permanently: what the master key needs to open its key, in this store and in
    /// every copy of it; then its key; then its objects, which are noise by then. What is running
    /// for the project fails. Keys of other projects that versions before the ring wrapped are
    /// bound to the ring on the way.
    ///
    /// A project that is not there is fine: erasing may be broken off and done again.
    pub fn erase_project(&self, project: &str) -> Result<Erased, RepositoryError> {
        let space = self.secret.key_space(project);
        let erased = self.erasable(project)?;
        self.bind_keys(space)?;
        let key = self.stored_key(space)?;
        let opened = key.and_then(|stored| self.secret.unwrap_project(space, &stored).ok());
        if let (Some(keeper), Some(Bond::Tag { tag, .. })) =
            (&self.keeper, opened.map(|opened| opened.bond))
        {
            let left = keeper.change(&|key| key.without(tag))?;
            self.take_if_ours(left)?;
        }
        self.store.delete_many(&[names::project_key(space)])?;
        loop {
            const AT_ONCE: usize = 1000;
            let root = names::SpaceNames(space).root();
            let listed = self.store.list(&root, None, AT_ONCE)?;
            if listed.is_empty() {
                return Ok(erased);
            }
            let names: Vec<String> = listed.into_iter().map(|object| object.name).collect();
            self.store.delete_many(&names)?;
        }
    }

    /// Counts what erasing a project would take away, and takes nothing.
    pub fn erasable(&self, project: &str) -> Result<Erased, RepositoryError> {
        let space = self.secret.key_space(project);
        let key = self.stored_key(space)?;
        let names = names::SpaceNames(space);
        let mut found = Erased {
            had_key: key.is_some(),
            copies_stay_readable: key.is_some_and(|stored| self.copies_open(space, &stored)),
            ..Erased::default()
        };
        for object in list_all(&*self.store, &names.root())? {
            found.objects += 1;
            found.bytes += object.size;
            found.backups += u64::from(object.name.starts_with(&names.manifests()));
        }
        Ok(found)
    }

    /// Tells whether copies of a key can be opened once its project was erased.
    fn copies_open(&self, space: KeySpace, stored: &[u8]) -> bool {
        if self.secret.is_erased(stored) {
            return false;
        }
        let opened = self.secret.unwrap_project(space, stored);
        let bound = opened.is_ok_and(|opened| match opened.bond {
            Bond::Unbound => false,
            Bond::Tag { late, .. } => !late,
        });
        !bound || self.keeper.is_none()
    }

    /// Binds every key that is not yet; but that of a project that is about to be erased.
    fn bind_keys(&self, but: KeySpace) -> Result<(), RepositoryError> {
        for (space, stored) in self.stored_keys()? {
            let opened = self.secret.unwrap_project(space, &stored);
            let Ok(opened) = opened else {
                // Damaged, or half erased: that keeps no other from being erased.
                continue;
            };
            if space != but && opened.bond == Bond::Unbound {
                self.put_key(space, &opened.key, true)?;
            }
        }
        Ok(())
    }

    fn put_key(
        &self,
        space: KeySpace,
        key: &ProjectKey,
        late: bool,
    ) -> Result<(), RepositoryError> {
        let wrapped = self.secret.wrap_project(key, late);
        let wrapped = wrapped.ok_or_else(|| RepositoryError::KeyErased {
            place: self.store.describe(),
            project: key.project().to_owned(),
        })?;
        Ok(self.store.put(&names::project_key(space), &[&wrapped])?)
    }

    /// Goes on with the master key as it is kept now, if it is the one this was opened with.
    fn take_if_ours(&self, kept: MasterKey) -> Result<(), RepositoryError> {
        let opened_with = self.secret.opened_with();
        if !kept.with_retired().any(|key| key.id() == opened_with) {
            return Err(RepositoryError::MasterKeyReplaced {
                place: self.store.describe(),
            });
        }
        self.secret.take(kept, opened_with);
        Ok(())
    }

    /// Gives the repository a new master key and every project a new data key, and takes it away
    /// from all master keys before. No data is rewritten: what is stored from now on is sealed
    /// under the new data keys, and what was stored before still opens.
    ///
    /// The old master key opens copies of the store that were made before, and nothing that is
    /// stored afterwards. Whenever this is broken off, the kept key opens everything; doing it
    /// again goes on from there, with the same new key.
    pub fn rotate_keys(&self) -> Result<Rotated, RepositoryError> {
        let place = || self.store.describe();
        let Some(keeper) = &self.keeper else {
            return Err(RepositoryError::KeyNotChangeable { place: place() });
        };
        let mut kept = keeper.load()?;
        self.take_if_ours(kept.clone())?;
        self.refuse_busy()?;
        self.rotation_may_begin(&kept)?;
        if !kept.is_replacing() {
            let new = MasterKey::generate();
            kept = keeper.change(&|before| match before.is_replacing() {
                true => before.clone(),
                false => new.clone().succeeding(before),
            })?;
            self.take_if_ours(kept.clone())?;
        }
        self.claim_rotation(kept.id())?;
        let wrapped_secrets = list_all(&*self.store, names::MASTER_KEYS)?;
        let new_name = names::master_key(kept.id());
        self.store.put(&new_name, &[&self.secret.wrap(&kept)])?;
        // Before anything depends on it: it must open what it is to open.
        Self::open(self.store.clone(), &kept.alone())?;
        self.secret.take(kept.clone(), kept.id());
        let projects = self.wrap_all(Renew::Yes)?;
        self.claim_rotation(kept.id())?;
        let others: Vec<String> = wrapped_secrets
            .into_iter()
            .map(|object| object.name)
            .filter(|name| *name != new_name)
            .collect();
        self.store.delete_many(&others)?;
        // From here on nobody makes a key under an old one and goes on with it; what was made
        // before is in this list.
        self.wrap_all(Renew::No)?;
        let alone = keeper.change(&MasterKey::alone)?;
        self.secret.take(alone, kept.id());
        self.store.delete_many(&[names::ROTATING.to_owned()])?;
        Ok(Rotated {
            key: kept.id(),
            dropped: others.len(),
            projects,
        })
    }

    /// Wraps every key anew that is not under the current master key; or every key, renewed.
    fn wrap_all(&self, renew: Renew) -> Result<usize, RepositoryError> {
        let mut count = 0;
        for (space, stored) in self.stored_keys()? {
            if self.secret.is_erased(&stored) {
                continue;
            }
            let opened = self.open_key(space, &stored)?;
            let current = matches!(
                opened.bond,
                Bond::Tag {
                    current: true,
                    late: false,
                    ..
                }
            );
            let key = match renew {
                Renew::Yes => opened
                    .key
                    .renewed()
                    .ok_or_else(|| RepositoryError::TooManyKeys(opened.key.project().to_owned()))?,
                Renew::No if current => continue,
                Renew::No => opened.key,
            };
            self.put_key(space, &key, false)?;
            count += 1;
        }
        Ok(count)
    }

    /// Refuses where runs are under way: they would go on under the keys that they have.
    fn refuse_busy(&self) -> Result<(), RepositoryError> {
        for project in self.projects()? {
            if !alive(&project.space, Reap::No)?.is_empty() {
                return Err(RepositoryError::Busy {
                    project: project.project().to_owned(),
                });
            }
        }
        Ok(())
    }

    /// Refuses where another key file's rotation is under way or was broken off; what is left of
    /// one of ours that was done but for its last step is removed.
    fn rotation_may_begin(&self, kept: &MasterKey) -> Result<(), RepositoryError> {
        let Some(key) = self.rotating_to()? else {
            return Ok(());
        };
        if key != Some(kept.id()) {
            return Err(self.rotation_elsewhere(key));
        }
        if !kept.is_replacing() {
            self.store.delete_many(&[names::ROTATING.to_owned()])?;
        }
        Ok(())
    }

    /// Says that the master key is being changed to this one, unless it is to another.
    fn claim_rotation(&self, to: MasterKeyId) -> Result<(), RepositoryError> {
        match self
            .store
            .put_if_absent(names::ROTATING, &[to.to_string().as_bytes()])
        {
            Ok(()) | Err(StoreError::AlreadyExists { .. }) => {}
            Err(cause) => return Err(cause.into()),
        }
        // Some servers let the later of two writers have it.
        match self.rotating_to()? {
            Some(Some(key)) if key == to => Ok(()),
            key => Err(self.rotation_elsewhere(key.flatten())),
        }
    }

    /// Returns which master key the repository is being changed to, if it is; `None` inside where
    /// that cannot be read.
    fn rotating_to(&self) -> Result<Option<Option<MasterKeyId>>, StoreError> {
        match self.store.get(names::ROTATING) {
            Ok(stored) => {
                let id = std::str::from_utf8(&stored).ok();
                Ok(Some(id.and_then(|id| id.parse::<ObjectId>().ok())))
            }
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    fn rotation_elsewhere(&self, key: Option<MasterKeyId>) -> RepositoryError {
        RepositoryError::RotationElsewhere {
            place: self.store.describe(),
            key: key.map_or_else(|| "unknown".to_owned(), |key| key.to_string()),
        }
    }
}

/// Whether projects get new data keys.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Renew {
    Yes,
    No,
}
