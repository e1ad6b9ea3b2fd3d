//! Names of objects in a store.

use emberkeep_model::BackupId;

use crate::{KeySpace, LedgerLabel, LedgerRecord, ObjectId, PackId};

/// The descriptor.
pub const FORMAT: &str = "format";
/// Starts the names of wrapped repository secrets.
pub const MASTER_KEYS: &str = "keys/master/";
/// Starts the names of wrapped project keys.
pub const PROJECT_KEYS: &str = "keys/projects/";
/// Says that the master key is being changed, and to which.
pub const ROTATING: &str = "keys/rotating";
/// Starts the names of copies of the catalog.
pub const CATALOG_COPIES: &str = "catalog/";
/// Ends the name of the object that a session's owner renews.
pub const BEAT: &str = ".beat";

/// Returns the name of the repository secret wrapped by a master key.
pub fn master_key(key: ObjectId) -> String {
    format!("{MASTER_KEYS}{key}")
}

/// Returns the name of a project's wrapped key.
pub fn project_key(space: KeySpace) -> String {
    format!("{PROJECT_KEYS}{space}")
}

/// Names a copy of the catalog; padded, so that names sort as numbers do.
pub fn catalog_copy(number: u64, id: ObjectId) -> String {
    format!("{CATALOG_COPIES}{number:020}.{id}")
}

/// Names of the objects of one project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SpaceNames(pub KeySpace);

impl SpaceNames {
    /// Starts every name of the project.
    pub fn root(self) -> String {
        format!("p/{}/", self.0)
    }

    /// Starts the names of packs.
    pub fn packs(self) -> String {
        format!("p/{}/packs/", self.0)
    }

    /// Names a pack, spread over 256 directories.
    pub fn pack(self, pack: PackId) -> String {
        format!("p/{}/packs/{:02x}/{pack}", self.0, pack.0[0])
    }

    /// Starts the names of index runs.
    pub fn index(self) -> String {
        format!("p/{}/index/", self.0)
    }

    /// Names an index run.
    pub fn index_run(self, run: ObjectId) -> String {
        format!("p/{}/index/{run}", self.0)
    }

    /// Starts the names of manifests.
    pub fn manifests(self) -> String {
        format!("p/{}/manifests/", self.0)
    }

    /// Names a manifest.
    pub fn manifest(self, backup: BackupId) -> String {
        format!("p/{}/manifests/{backup}", self.0)
    }

    /// Starts the names of sessions.
    pub fn sessions(self) -> String {
        format!("p/{}/sessions/", self.0)
    }

    /// Names a session; written once, so that a session that was ended stays ended.
    pub fn session(self, session: ObjectId) -> String {
        format!("p/{}/sessions/{session}", self.0)
    }

    /// Names the object that a session's owner renews.
    pub fn session_beat(self, session: ObjectId) -> String {
        format!("p/{}/sessions/{session}{BEAT}", self.0)
    }

    /// Starts the names of condemnations.
    pub fn condemned(self) -> String {
        format!("p/{}/condemned/", self.0)
    }

    /// Names a condemnation.
    pub fn condemnation(self, id: ObjectId) -> String {
        format!("p/{}/condemned/{id}", self.0)
    }

    /// Starts the names of marks on damaged packs.
    pub fn damaged(self) -> String {
        format!("p/{}/damaged/", self.0)
    }

    /// Names the mark that says that a pack is damaged.
    pub fn damaged_pack(self, pack: PackId) -> String {
        format!("p/{}/damaged/{pack}", self.0)
    }

    /// Starts the names of records of what checks have read.
    pub fn all_verified(self) -> String {
        format!("p/{}/verified/", self.0)
    }

    /// Names a record of what checks have read.
    pub fn verified(self, record: ObjectId) -> String {
        format!("p/{}/verified/{record}", self.0)
    }

    /// Starts the names of all records of unfinished backups.
    pub fn all_progress(self) -> String {
        format!("p/{}/progress/", self.0)
    }

    /// Starts the names of records of one unfinished backup.
    pub fn progress(self, backup: BackupId) -> String {
        format!("p/{}/progress/{backup}/", self.0)
    }

    /// Names one record of an unfinished backup.
    pub fn progress_record(self, backup: BackupId, record: ObjectId) -> String {
        format!("p/{}/progress/{backup}/{record}", self.0)
    }

    /// Starts the names of the ledger.
    pub fn ledger(self) -> String {
        format!("p/{}/ledger/", self.0)
    }

    /// Starts the names of tombstones; they come before entries, and entries before sets.
    pub fn tombstones(self) -> String {
        format!("p/{}/ledger/gone/", self.0)
    }

    /// Names the tombstone of a backup.
    pub fn tombstone(self, label: LedgerLabel) -> String {
        format!("p/{}/ledger/gone/{label}", self.0)
    }

    /// Starts the names of entries.
    pub fn ledger_entries(self) -> String {
        format!("p/{}/ledger/made/", self.0)
    }

    /// Names the entry of a backup.
    pub fn ledger_entry(self, record: LedgerRecord) -> String {
        format!("p/{}/ledger/made/{record}", self.0)
    }

    /// Starts the names of sets.
    pub fn ledger_sets(self) -> String {
        format!("p/{}/ledger/sets/", self.0)
    }

    /// Names a set; padded, so that names sort as numbers do.
    pub fn ledger_set(self, number: u64) -> String {
        format!("p/{}/ledger/sets/{number:020}", self.0)
    }

    /// Starts the names of sweep leases.
    pub fn leases(self) -> String {
        format!("p/{}/locks/sweep/", self.0)
    }

    /// Names a sweep lease; padded, so that names sort as numbers do.
    pub fn lease(self, generation: u64) -> String {
        format!("p/{}/locks/sweep/{generation:020}", self.0)
    }
}

/// Returns what follows the last `/`, parsed; none for names that are not of this kind.
pub fn last_segment<T: std::str::FromStr>(name: &str) -> Option<T> {
    name.rsplit('/').next()?.parse().ok()
}
