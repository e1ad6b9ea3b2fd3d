//! File systems: directories that an operator has entrusted to projects, backed up as trees of
//! files. Which directories those may be the operator says; a tenant names none.

use std::path::{Path, PathBuf};

use emberkeep_catalog::{CatalogError, Change, InventoryQuery, Key, Page, Row};
use emberkeep_model::{
    Backup, BackupEvent, ByteCount, Caller, FileSystem, FileSystemId, ProtectStatus, Role, TaskId,
    VolumeId, Work,
};
use emberkeep_volumes::tree;
use uuid::Uuid;

use crate::access::require;
use crate::backup::restores::not_restorable;
use crate::error::invalid;
use crate::pairs;
use crate::race::racing;
use crate::{CbrError, CbrRestore, NewFileSystem, Service, ServiceError};

/// The longest name, in characters, and the longest text.
const NAME: usize = 255;
const DESCRIPTION: usize = 255;

impl Service {
    /// Registers a directory below one of the roots that the operator allows. Only an
    /// administrator may: whoever can name a directory of this host can read it by a backup.
    pub async fn create_file_system(
        &self,
        caller: &Caller,
        new: NewFileSystem,
    ) -> Result<FileSystem, ServiceError> {
        require(caller, Role::Admin, "file_systems:create")?;
        if new.name.trim().is_empty() || new.name.chars().count() > NAME {
            return Err(invalid("name", format!("must have 1 to {NAME} characters")));
        }
        pairs::check_new(&new.metadata)?;
        let long = |text: &String| text.chars().count() > DESCRIPTION;
        if new.description.as_ref().is_some_and(long) {
            return Err(invalid(
                "description",
                format!("must have at most {DESCRIPTION} characters"),
            ));
        }
        let (root, below) = self.allowed(&new.path)?;
        let asked = new.path.clone();
        let size = self
            .blocking("measuring the directory", move || {
                tree::measure(&root, &below)
            })
            .await
            .map_err(|cause| {
                let text = crate::error::chain(&cause);
                CbrError::Directory(format!("{}: {text}", asked.display()))
            })?;
        let path = new.path.to_str().map(str::to_owned);
        let path = path.ok_or_else(|| invalid("path", "must be UTF-8"))?;
        let others = self
            .catalog
            .file_systems(&InventoryQuery::default())
            .await?;
        for other in &others.items {
            let (a, b) = (Path::new(&other.path), Path::new(&path));
            if a.starts_with(b) || b.starts_with(a) {
                let why = format!("{path} overlaps with file system {}", other.id);
                return Err(CbrError::Directory(why).into());
            }
        }
        let system = FileSystem {
            id: FileSystemId(Uuid::new_v4()),
            project_id: new.project.unwrap_or_else(|| caller.project_id.clone()),
            user_id: caller.user_id.clone(),
            name: new.name,
            description: new.description,
            path: path.clone(),
            size: size.to_gib_ceil().max(emberkeep_model::Gib(1)),
            metadata: new.metadata,
            created_at: self.now(),
            updated_at: None,
            revision: 0,
        };
        let row = Change::Insert(Row::FileSystem(system.clone()));
        match self.commit(vec![row]).await {
            Err(ServiceError::Catalog(CatalogError::Exists { .. })) => {
                Err(CbrError::Directory(format!("{path} is registered already")).into())
            }
            settled => settled.map(|()| system),
        }
    }

    /// Splits a directory into the root that allows it and what is below; refuses any other.
    /// Links and `..` are refused where it is opened.
    pub(crate) fn allowed(&self, path: &Path) -> Result<(PathBuf, PathBuf), ServiceError> {
        let below = self.settings.turbo_roots.iter().find_map(|root| {
            let below = path.strip_prefix(root).ok()?;
            let plain = below
                .components()
                .all(|part| matches!(part, std::path::Component::Normal(_)));
            (plain && below.components().next().is_some()).then(|| (root.clone(), below.to_owned()))
        });
        below.ok_or_else(|| {
            let why = format!(
                "{} is below none of the roots for file systems",
                path.display()
            );
            CbrError::Directory(why).into()
        })
    }

    /// Lists the project's file systems, newest first.
    pub async fn file_systems(
        &self,
        caller: &Caller,
        mut query: InventoryQuery<FileSystemId>,
    ) -> Result<Page<FileSystem>, ServiceError> {
        require(caller, Role::Reader, "file_systems:list")?;
        query.project = Some(caller.project_id.clone());
        Ok(self.catalog.file_systems(&query).await?)
    }

    /// Shows one file system.
    pub async fn file_system(
        &self,
        caller: &Caller,
        id: FileSystemId,
    ) -> Result<FileSystem, ServiceError> {
        let found = self.catalog.file_system(id).await?;
        let found = found
            .filter(|system| caller.sees(&system.project_id))
            .ok_or(CbrError::NoSuchFileSystem(id))?;
        require(caller, Role::Reader, "file_systems:get")?;
        Ok(found)
    }

    /// Forgets a file system. The directory stays, and so do its backups.
    pub async fn delete_file_system(
        &self,
        caller: &Caller,
        id: FileSystemId,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let found = self.file_system(caller, id).await?;
            require(caller, Role::Admin, "file_systems:delete")?;
            let gone = Change::Remove(Key::FileSystem(id), found.revision);
            self.commit(vec![gone]).await
        })
        .await
    }

    /// Begins the restore of a file system's backup to a file system, which then holds exactly
    /// what was backed up.
    pub(crate) async fn begin_file_system_restore(
        &self,
        caller: &Caller,
        mut backup: Backup,
        to: &CbrRestore,
    ) -> Result<TaskId, ServiceError> {
        let target = match (to.resource_id, to.volume_id, to.server_id) {
            (Some(target), _, _) => FileSystemId::from(target),
            (None, Some(volume), _) => return Err(CbrError::TargetKind(volume.into()).into()),
            (None, None, Some(server)) => return Err(CbrError::TargetKind(server.into()).into()),
            (None, None, None) => {
                return Err(invalid(
                    "resource_id",
                    "names the file system to restore to, whose files are replaced",
                ));
            }
        };
        let found = self.catalog.file_system(target).await?;
        let found = found
            .filter(|system| system.project_id == caller.project_id)
            .ok_or(CbrError::NoSuchFileSystem(target))?;
        self.allowed(Path::new(&found.path))?;
        let id = VolumeId(target.0);
        backup
            .take(BackupEvent::RestoreAsked { target: id }, self.now())
            .map_err(|_| not_restorable(&backup))?;
        let work = Work::Restore {
            backup_id: backup.id,
            volume_id: id,
            fresh: false,
        };
        let mut task = self.backup_task(caller, &backup, work);
        task.volume_id = Some(id);
        task.volume_name = Some(found.name.clone());
        if found.project_id != backup.project_id {
            task.project_id = found.project_id.clone();
            task.vault_id = None;
            task.checkpoint_id = None;
        } else if let Some(vault) = backup.vault_id {
            task.vault_name = self.catalog.vault(vault).await?.map(|v| v.name);
        }
        let task_id = task.id;
        let mut changes = vec![
            Change::Save(Row::Backup(backup)),
            Change::Insert(Row::Task(task)),
            Change::Save(Row::FileSystem(found)),
        ];
        changes.extend(
            self.protect_status(target, ProtectStatus::Restoring)
                .await?,
        );
        self.commit(changes).await?;
        Ok(task_id)
    }

    /// Notes what a file system takes now; the next run counts it against the vault.
    pub(crate) async fn note_size(
        &self,
        id: FileSystemId,
        size: ByteCount,
    ) -> Result<(), ServiceError> {
        racing(|| async {
            let Some(mut system) = self.catalog.file_system(id).await? else {
                return Ok(());
            };
            let size = size.to_gib_ceil();
            if system.size == size {
                return Ok(());
            }
            system.size = size;
            system.updated_at = Some(self.now());
            self.commit(vec![Change::Save(Row::FileSystem(system))])
                .await
        })
        .await
    }
}
