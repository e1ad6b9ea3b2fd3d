//! Exports begun, listed and ended.

use std::sync::{Arc, PoisonError};

use emberkeep_engine::RestoreError;
use emberkeep_model::{Backup, BackupId, ByteCount, Caller};
use emberkeep_volumes::{Overlay, SourceSnapshot, VolumeError, VolumeExport};
use uuid::Uuid;

use super::filling::{Absent, Filling};
use super::kept::{self, Record};
use super::served::{ExportKind, ServedBackup};
use super::server::{ExportServer, Served};
use crate::backup::restores::not_restorable;
use crate::blocking::Inner;
use crate::error::{chain, invalid};
use crate::{Service, ServiceError};

/// The most exports of one project at once; each costs an index and some 84 MiB when busy.
const MOST: usize = 16;

impl Service {
    /// Lets the service serve backups over NBD.
    #[must_use]
    pub fn with_exports(mut self, server: ExportServer) -> Self {
        self.exports = Some(Arc::new(server));
        self
    }

    fn export_server(&self) -> Result<&Arc<ExportServer>, ServiceError> {
        let words = "this service does not listen for NBD; its operator sets `nbd_listen`";
        self.exports
            .as_ref()
            .ok_or_else(|| invalid("exports", words))
    }

    /// Begins to serve a backup.
    pub async fn begin_export(
        &self,
        caller: &Caller,
        id: BackupId,
        kind: ExportKind,
    ) -> Result<ServedBackup, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        // An operator who has narrowed restores has narrowed who gets the bytes.
        self.allow(caller, "export:create")?;
        self.allow(caller, "backup:restore")?;
        let server = self.export_server()?;
        if backup.state.sealed().is_none() {
            return Err(not_restorable(&backup));
        }
        if backup.foreign().is_some() {
            let words = "it is in Cinder's format; adopt it first";
            return Err(invalid("backup_id", words));
        }
        let (_, content) = backup.content();
        let place = self.place_of(&backup)?;
        let reader = self
            .blocking("opening a backup", move || {
                place.open().map_err(RestoreError::from)?.reader(content)
            })
            .await?;
        let export_id = Uuid::new_v4();
        // Two hundred and forty-four random bits, of a source that cannot be guessed.
        let name = format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        let uri = server.uri(&name);
        let told = ServedBackup {
            id: export_id,
            project_id: caller.project_id.clone(),
            backup_id: id,
            uri: None,
            size: reader.size(),
            writable: kind != ExportKind::ReadOnly,
            filled: None,
            created_at: self.now(),
        };
        let base: Arc<dyn SourceSnapshot> = Arc::new(self.watched(id, Box::new(reader)));
        let served = match kind {
            ExportKind::ReadOnly => Served {
                told,
                name,
                export: Arc::new(VolumeExport::ReadOnly(base)),
                overlay: None,
                filling: None,
            },
            ExportKind::Scratch | ExportKind::Instant => {
                let path = kept::overlay_of(&server.overlays, export_id);
                let (file, identity) = (path.clone(), content.to_string());
                let opened = self
                    .blocking("making an overlay", move || {
                        Overlay::open(&file, base, &identity)
                    })
                    .await?;
                if kind == ExportKind::Scratch {
                    Served {
                        told,
                        name,
                        export: Arc::new(VolumeExport::Writable(Arc::new(opened))),
                        overlay: Some(path),
                        filling: None,
                    }
                } else {
                    let record = Record::new(&told, content, &name);
                    let dir = server.overlays.clone();
                    let kept = record.clone();
                    self.blocking("keeping an instant restore", move || {
                        kept.store(&dir)
                            .map_err(|cause| VolumeError::io(dir.display().to_string(), cause))
                    })
                    .await?;
                    server.instant(record, opened).map_err(|cause| {
                        ServiceError::Inner("filling an instant restore", Box::new(cause))
                    })?
                }
            }
        };
        let told = served.told();
        let refused = {
            let mut table = server.table.lock();
            let own = |served: &&Served| served.told.project_id == caller.project_id;
            if table.values().filter(own).count() >= MOST {
                Some(served)
            } else {
                table.insert(export_id, served);
                None
            }
        };
        match refused {
            None => Ok(ServedBackup {
                uri: Some(uri),
                ..told
            }),
            Some(served) => {
                self.end_served(server, export_id, served).await?;
                Err(invalid(
                    "exports",
                    format!("a project may have {MOST} at once"),
                ))
            }
        }
    }

    /// Serves instant restores again that an earlier process began, under the same names.
    pub(crate) async fn resume_exports(&self) -> Result<(), ServiceError> {
        let Some(server) = &self.exports else {
            return Ok(());
        };
        let records =
            std::mem::take(&mut *server.kept.lock().unwrap_or_else(PoisonError::into_inner));
        for record in records {
            let id = record.id;
            match self.resume_export(server, record).await {
                Ok(served) => {
                    server.table.lock().insert(id, served);
                    tracing::info!(export_id = %id, "an instant restore goes on");
                }
                // What was written to it stays where it is, for somebody to look at.
                Err(error) => {
                    tracing::error!(export_id = %id, error = chain(&error), "an instant restore cannot go on");
                }
            }
        }
        Ok(())
    }

    async fn resume_export(
        &self,
        server: &Arc<ExportServer>,
        record: Record,
    ) -> Result<Served, ServiceError> {
        let place = match self.catalog.backup(record.backup_id).await? {
            Some(backup) => self.place_of(&backup)?,
            None => self.place_in(None, record.project_id.as_str())?,
        };
        let path = kept::overlay_of(&server.overlays, record.id);
        let (content, size) = (record.content, ByteCount(record.size));
        let (service, backup) = (self.clone(), record.backup_id);
        let opened = self
            .blocking("opening an instant restore", move || {
                let identity = content.to_string();
                // One that is whole needs its backup no more, which may be gone by now.
                let whole = Overlay::open(&path, Arc::new(Absent { size }), &identity)
                    .map_err(Inner::from)?;
                if whole.is_complete() {
                    return Ok(whole);
                }
                drop(whole);
                let reader = place.open().map_err(RestoreError::from)?.reader(content)?;
                let reader = service.watched(backup, Box::new(reader));
                Ok::<_, Inner>(Overlay::open(&path, Arc::new(reader), &identity)?)
            })
            .await?;
        server
            .instant(record, opened)
            .map_err(|cause| ServiceError::Inner("filling an instant restore", Box::new(cause)))
    }

    /// Refuses to let a backup go from which a volume is still being filled.
    pub(crate) fn not_filled_from(&self, backup: &Backup) -> Result<(), ServiceError> {
        let Some(server) = &self.exports else {
            return Ok(());
        };
        let (_, content) = backup.content();
        let table = server.table.lock();
        let filling = table.values().filter_map(|served| served.filling.as_ref());
        let needs = |filling: &Filling| filling.content == content && !filling.told().complete;
        if filling.into_iter().any(needs) {
            let words = "an instant restore still needs it; wait until that is complete, or end it";
            return Err(invalid("backup_id", words));
        }
        Ok(())
    }

    /// Makes what was written to instant restores durable, for a shutdown.
    pub async fn close_exports(&self) {
        let Some(server) = self.exports.clone() else {
            return;
        };
        let open: Vec<_> = {
            let mut table = server.table.lock();
            table.drain().map(|(_, served)| served).collect()
        };
        let closed = self.blocking("closing exports", move || {
            open.iter()
                .filter_map(|served| served.filling.as_ref())
                .try_for_each(|filling| filling.overlay.flush())
        });
        if let Err(error) = closed.await {
            tracing::error!(
                error = chain(&error),
                "an instant restore could not be made durable"
            );
        }
    }

    /// Ends an export and removes what it kept.
    async fn end_served(
        &self,
        server: &Arc<ExportServer>,
        id: Uuid,
        served: Served,
    ) -> Result<(), ServiceError> {
        let dir = server.overlays.clone();
        // Its session and its files go here, which blocks.
        self.blocking("ending an export", move || {
            let is_kept = served.filling.is_some();
            drop(served);
            if is_kept {
                kept::remove(&dir, id)
                    .map_err(|cause| VolumeError::io(dir.display().to_string(), cause))?;
            }
            Ok::<_, VolumeError>(())
        })
        .await
    }

    /// Lists what is being served of the caller's project, oldest first; without addresses.
    pub fn exports(&self, caller: &Caller) -> Result<Vec<ServedBackup>, ServiceError> {
        self.allow(caller, "export:get_all")?;
        let Some(server) = &self.exports else {
            return Ok(Vec::new());
        };
        let table = server.table.lock();
        let mut own: Vec<_> = table
            .values()
            .filter(|served| served.told.project_id == caller.project_id)
            .map(Served::told)
            .collect();
        own.sort_by_key(|told| (told.created_at, told.id));
        Ok(own)
    }

    /// Serves it no more; whoever is connected reads to the end of the connection. What was
    /// written is gone. Ending twice is harmless.
    pub async fn end_export(&self, caller: &Caller, id: Uuid) -> Result<(), ServiceError> {
        self.allow(caller, "export:delete")?;
        self.allow(caller, "backup:restore")?;
        let Some(server) = self.exports.clone() else {
            return Ok(());
        };
        let own = {
            let mut table = server.table.lock();
            let is_own = |served: &Served| served.told.project_id == caller.project_id;
            if table.get(&id).is_some_and(is_own) {
                table.remove(&id)
            } else {
                None
            }
        };
        match own {
            Some(served) => self.end_served(&server, id, served).await,
            None => Ok(()),
        }
    }
}
