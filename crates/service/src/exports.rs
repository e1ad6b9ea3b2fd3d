//! Backups served as volumes over NBD, by this process, until it ends or nobody wants them.
//!
//! NBD knows no tokens. An export goes by a name that nobody can guess. Its address is returned
//! once, to the maker of the export; no list returns it, so that a reader cannot take it there.
//!
//! An instant restore is an export that outlives the process: it takes writes, and the rest of
//! the backup's bytes comes in behind them until the overlay is a volume of its own.

mod filling;
mod kept;

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use emberkeep_engine::RestoreError;
use emberkeep_model::{Backup, BackupId, ByteCount, Caller, ProjectId, Timestamp};
use emberkeep_nbd::{Address, Export, Exports, Listener, Server, ServerOptions};
use emberkeep_volumes::{Overlay, SourceSnapshot, VolumeError, VolumeExport};
use uuid::Uuid;

use crate::backup::restores::not_restorable;
use crate::blocking::Inner;
use crate::service::bad;
use crate::task::supervisor::{Desk, Worker};
use crate::task::worker::chain;
use crate::{Service, ServiceError};
pub use filling::Filled;
use filling::{Absent, Filling};
use kept::Record;

/// How often it is looked whether connections are accepted.
const ACCEPT_LOOK: std::time::Duration = std::time::Duration::from_secs(5);

/// The most exports of one project at once; each costs an index and some 84 MiB when busy.
const MOST: usize = 16;

/// A backup that is being served.
#[derive(Debug, Clone)]
pub struct ServedBackup {
    /// The export's id.
    pub id: Uuid,
    /// Whose it is.
    pub project_id: ProjectId,
    /// The backup.
    pub backup_id: BackupId,
    /// Where it is served, with the secret name. Only in the answer to the export's maker.
    pub uri: Option<String>,
    /// The volume's size.
    pub size: ByteCount,
    /// Whether writes are taken; they are gone with the export.
    pub writable: bool,
    /// How far it is, if it is an instant restore.
    pub filled: Option<Filled>,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What becomes of what clients write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportKind {
    /// Nobody may write.
    ReadOnly,
    /// It is gone with the export.
    Scratch,
    /// It stays, and all else is brought in beside it.
    Instant,
}

/// What it is served from.
struct Served {
    told: ServedBackup,
    name: String,
    export: Arc<VolumeExport>,
    /// What goes with this process.
    overlay: Option<PathBuf>,
    /// What does not.
    filling: Option<Filling>,
}

impl Served {
    /// Describes it without its address.
    fn told(&self) -> ServedBackup {
        ServedBackup {
            uri: None,
            filled: self.filling.as_ref().map(Filling::told),
            ..self.told.clone()
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(path) = &self.overlay {
            remove_overlay(path);
        }
    }
}

/// All that is being served.
#[derive(Default)]
struct Table(Mutex<HashMap<Uuid, Served>>);

impl Table {
    fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Served>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Exports for Table {
    fn open(&self, name: &str) -> Option<Arc<dyn Export>> {
        let served = self.lock();
        let found = served.values().find(|served| served.name == name)?;
        Some(found.export.clone())
    }

    fn names(&self) -> Vec<String> {
        Vec::new()
    }
}

/// The NBD server of a service.
pub struct ExportServer {
    table: Arc<Table>,
    server: Server,
    secured: bool,
    overlays: PathBuf,
    /// Instant restores of the process before, until they are taken up.
    kept: Mutex<Vec<Record>>,
    /// Held by the one overlay that is being filled.
    turn: Arc<Mutex<()>>,
}

impl ExportServer {
    /// Begins to listen. What writable exports are written to lies in `overlays`; what an
    /// earlier process left there is removed, but for instant restores.
    pub fn start(listener: Listener, options: ServerOptions, overlays: &Path) -> io::Result<Self> {
        use std::os::unix::fs::DirBuilderExt;
        let mut builder = std::fs::DirBuilder::new();
        builder.mode(0o700).recursive(true).create(overlays)?;
        let kept = kept::load(overlays)?;
        let table = Arc::new(Table::default());
        let secured = options.tls.is_some();
        let server = Server::start(listener, Arc::clone(&table) as Arc<dyn Exports>, options)?;
        Ok(Self {
            table,
            server,
            secured,
            overlays: overlays.to_owned(),
            kept: Mutex::new(kept),
            turn: Arc::default(),
        })
    }

    /// Returns where it listens.
    pub fn address(&self) -> String {
        self.uri("")
    }

    /// Begins to fill an overlay and describes it as it is served.
    fn instant(&self, record: Record, overlay: Overlay) -> io::Result<Served> {
        let overlay = Arc::new(overlay);
        let turn = Arc::clone(&self.turn);
        let filling = Filling::begin(record.id, Arc::clone(&overlay), record.content, turn)?;
        Ok(Served {
            told: ServedBackup {
                id: record.id,
                project_id: record.project_id,
                backup_id: record.backup_id,
                uri: None,
                size: ByteCount(record.size),
                writable: true,
                filled: None,
                created_at: record.created_at,
            },
            name: record.name,
            export: Arc::new(VolumeExport::Writable(overlay)),
            overlay: None,
            filling: Some(filling),
        })
    }

    fn uri(&self, name: &str) -> String {
        let mut address = Address::new(self.server.place().clone(), name);
        address.tls = self.secured;
        address.to_string()
    }
}

/// The worker that sees to it that NBD connections are accepted.
pub(crate) struct ExportWatch {
    pub(crate) service: Service,
}

#[async_trait]
impl Worker for ExportWatch {
    fn name(&self) -> String {
        "nbd".to_owned()
    }

    async fn run(&self, desk: Desk) {
        let Some(server) = &self.service.exports else {
            return desk.stopped().await;
        };
        let mut known = server.server.mishaps();
        while !desk.is_stopping() {
            desk.begin();
            let mishaps = server.server.mishaps();
            let problem = (mishaps > known).then_some("accepting connections panicked");
            known = mishaps;
            desk.end(problem);
            tokio::select! {
                () = desk.stopped() => {}
                () = tokio::time::sleep(ACCEPT_LOOK) => {}
            }
            assert!(
                server.server.is_accepting() || desk.is_stopping(),
                "connections are not accepted any more"
            );
        }
    }
}

impl From<RestoreError> for Inner {
    fn from(error: RestoreError) -> Self {
        Self::of(error)
    }
}

impl Service {
    /// Lets the service serve backups over NBD.
    #[must_use]
    pub fn with_exports(mut self, server: ExportServer) -> Self {
        self.exports = Some(Arc::new(server));
        self
    }

    fn export_server(&self) -> Result<&Arc<ExportServer>, ServiceError> {
        let words = "this service does not listen for NBD; its operator sets `nbd_listen`";
        self.exports.as_ref().ok_or_else(|| bad("exports", words))
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
            return Err(bad("backup_id", words));
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
                Err(bad("exports", format!("a project may have {MOST} at once")))
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
            return Err(bad("backup_id", words));
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

fn remove_overlay(path: &Path) {
    let mut map = path.as_os_str().to_owned();
    map.push(".map");
    for path in [path, Path::new(&map)] {
        if let Err(cause) = std::fs::remove_file(path) {
            tracing::warn!(path = %path.display(), %cause, "an overlay could not be removed");
        }
    }
}
