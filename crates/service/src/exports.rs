//! Backups served as volumes over NBD, by this process, until it ends or nobody wants them.
//!
//! NBD knows no tokens. An export goes by a name that nobody can guess and that no list
//! shows: whoever was told the name was allowed to read the backup.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_engine::RestoreError;
use emberkeep_model::{BackupId, ByteCount, Caller, ProjectId, Timestamp};
use emberkeep_nbd::{Address, Export, Exports, Listener, Server, ServerOptions};
use emberkeep_volumes::{Overlay, SourceSnapshot, VolumeError, VolumeExport};
use uuid::Uuid;

use crate::blocking::Inner;
use crate::restores::not_restorable;
use crate::service::bad;
use crate::{Service, ServiceError};

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
    /// Where it is served, name and all: a secret of those who may read it.
    pub uri: String,
    /// The volume's size.
    pub size: ByteCount,
    /// Whether writes are taken; they are gone with the export.
    pub writable: bool,
    /// When it was asked for.
    pub created_at: Timestamp,
}

/// What it is served from.
struct Served {
    told: ServedBackup,
    name: String,
    export: Arc<VolumeExport>,
    overlay: Option<PathBuf>,
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
}

impl ExportServer {
    /// Begins to listen. What writable exports are written to lies in `overlays`; what an
    /// earlier process left there is removed.
    pub fn start(listener: Listener, options: ServerOptions, overlays: &Path) -> io::Result<Self> {
        match std::fs::remove_dir_all(overlays) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => return Err(cause),
            _ => {}
        }
        use std::os::unix::fs::DirBuilderExt;
        std::fs::DirBuilder::new().mode(0o700).create(overlays)?;
        let table = Arc::new(Table::default());
        let secured = options.tls.is_some();
        let server = Server::start(listener, Arc::clone(&table) as Arc<dyn Exports>, options)?;
        Ok(Self {
            table,
            server,
            secured,
            overlays: overlays.to_owned(),
        })
    }

    /// Returns where it listens.
    pub fn address(&self) -> String {
        self.uri("")
    }

    fn uri(&self, name: &str) -> String {
        let mut address = Address::new(self.server.place().clone(), name);
        address.tls = self.secured;
        address.to_string()
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
        writable: bool,
    ) -> Result<ServedBackup, ServiceError> {
        let backup = self.visible_backup(caller, id).await?;
        // Who may restore it may have its bytes.
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
        let told = ServedBackup {
            id: export_id,
            project_id: caller.project_id.clone(),
            backup_id: id,
            uri: server.uri(&name),
            size: reader.size(),
            writable,
            created_at: self.now(),
        };
        let base: Arc<dyn SourceSnapshot> = Arc::new(reader);
        let (export, overlay) = if writable {
            let path = server.overlays.join(format!("{export_id}.img"));
            let (file, identity) = (path.clone(), content.to_string());
            let opened = self
                .blocking("making an overlay", move || {
                    Overlay::open(&file, base, &identity)
                })
                .await?;
            (VolumeExport::Writable(Arc::new(opened)), Some(path))
        } else {
            (VolumeExport::ReadOnly(base), None)
        };
        let served = Served {
            told: told.clone(),
            name,
            export: Arc::new(export),
            overlay,
        };
        let mut table = server.table.lock();
        let own = |served: &&Served| served.told.project_id == caller.project_id;
        if table.values().filter(own).count() >= MOST {
            return Err(bad("exports", format!("a project may have {MOST} at once")));
        }
        table.insert(export_id, served);
        Ok(told)
    }

    /// Lists what is being served of the caller's project, oldest first.
    pub fn exports(&self, caller: &Caller) -> Vec<ServedBackup> {
        let Some(server) = &self.exports else {
            return Vec::new();
        };
        let table = server.table.lock();
        let told = table.values().map(|served| &served.told);
        let mut own: Vec<_> = told
            .filter(|told| told.project_id == caller.project_id)
            .cloned()
            .collect();
        own.sort_by_key(|told| (told.created_at, told.id));
        own
    }

    /// Serves it no more; whoever is connected reads to the end of the connection. What was
    /// written is gone. Ending twice is harmless.
    pub async fn end_export(&self, caller: &Caller, id: Uuid) -> Result<(), ServiceError> {
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
        // Its session and its files go here, which blocks.
        self.blocking("ending an export", move || {
            drop(own);
            Ok::<_, VolumeError>(())
        })
        .await
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
