//! The NBD server of a service, and what it serves.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use emberkeep_model::ByteCount;
use emberkeep_nbd::{Address, Export, Exports, Listener, Server, ServerOptions};
use emberkeep_volumes::{Overlay, VolumeExport};
use uuid::Uuid;

use super::filling::Filling;
use super::kept::{self, Record, remove_overlay};
use super::served::ServedBackup;

/// What it is served from.
pub(super) struct Served {
    pub(super) told: ServedBackup,
    pub(super) name: String,
    pub(super) export: Arc<VolumeExport>,
    /// What goes with this process.
    pub(super) overlay: Option<PathBuf>,
    /// What does not.
    pub(super) filling: Option<Filling>,
}

impl Served {
    /// Describes it without its address.
    pub(super) fn told(&self) -> ServedBackup {
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
pub(super) struct Table(Mutex<HashMap<Uuid, Served>>);

impl Table {
    pub(super) fn lock(&self) -> MutexGuard<'_, HashMap<Uuid, Served>> {
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
    pub(super) table: Arc<Table>,
    pub(super) server: Server,
    secured: bool,
    pub(super) overlays: PathBuf,
    /// Instant restores of the process before, until they are taken up.
    pub(super) kept: Mutex<Vec<Record>>,
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
    pub(super) fn instant(&self, record: Record, overlay: Overlay) -> io::Result<Served> {
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

    pub(super) fn uri(&self, name: &str) -> String {
        let mut address = Address::new(self.server.place().clone(), name);
        address.tls = self.secured;
        address.to_string()
    }
}
