//! Small sealed JSON records by which runs and sweeps know of each other.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{FormatError, ObjectId, PackId, UnixMicros};

const VERSION: u32 = 1;

/// Reads a JSON document whose `version` is judged before anything else.
pub(crate) fn decode_versioned<T: DeserializeOwned>(
    bytes: &[u8],
    version: u32,
    what: &'static str,
) -> Result<T, FormatError> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let json = |cause| FormatError::Json { what, cause };
    let head: Head = serde_json::from_slice(bytes).map_err(json)?;
    if head.version != version {
        return Err(FormatError::UnknownVersion {
            what,
            version: head.version,
        });
    }
    serde_json::from_slice(bytes).map_err(json)
}

/// What a session does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionKind {
    /// Writes a backup.
    Backup,
    /// Reads a backup.
    Restore,
    /// Reads everything.
    Check,
    /// Frees space.
    Sweep,
}

/// The process behind a session, told apart from every other process that ever ran.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOwner {
    /// The kernel's boot id.
    pub boot_id: String,
    /// The inode of the process's pid namespace.
    pub pid_namespace: u64,
    /// The process.
    pub pid: u32,
    /// When it started, in clock ticks since boot.
    pub started_ticks: u64,
}

/// A running session: keeps what it may read from being deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionRecord {
    version: u32,
    /// What it does.
    pub kind: SessionKind,
    /// Who runs it.
    pub owner: SessionOwner,
    /// When its owner last said that it is alive.
    pub heartbeat: UnixMicros,
}

/// Packs that a sweep is about to delete. Stays until they are gone or pardoned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condemnation {
    version: u32,
    /// The packs.
    pub packs: Vec<PackId>,
    /// The sessions to wait for; none until they have been listed after this was stored.
    pub wait_for: Option<Vec<ObjectId>>,
}

/// Who may sweep: the highest lease whose session is alive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    version: u32,
    /// The sweep's session.
    pub session: ObjectId,
}

macro_rules! records {
    ($($name:ident($what:literal): fn new($($field:ident: $type:ty),*);)*) => {$(
        impl $name {
            /// Makes a record of the current version.
            pub fn new($($field: $type),*) -> Self {
                Self { version: VERSION, $($field),* }
            }

            /// Returns the plaintext.
            pub fn encode(&self) -> Vec<u8> {
                serde_json::to_vec(self).expect(concat!("a ", $what, " is plain JSON"))
            }

            /// Reads the plaintext; the version is judged before anything else.
            pub fn decode(bytes: &[u8]) -> Result<Self, FormatError> {
                decode_versioned(bytes, VERSION, $what)
            }
        }
    )*};
}

records! {
    SessionRecord("session"): fn new(kind: SessionKind, owner: SessionOwner, heartbeat: UnixMicros);
    Condemnation("condemnation"): fn new(packs: Vec<PackId>, wait_for: Option<Vec<ObjectId>>);
    Lease("sweep lease"): fn new(session: ObjectId);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_round_trip() {
        let owner = SessionOwner {
            boot_id: "b".into(),
            pid_namespace: 4,
            pid: 5,
            started_ticks: 6,
        };
        let session = SessionRecord::new(SessionKind::Backup, owner, UnixMicros(7));
        assert_eq!(SessionRecord::decode(&session.encode()).unwrap(), session);
        let condemned = Condemnation::new(vec![PackId([1; 16])], Some(vec![ObjectId([2; 16])]));
        assert_eq!(
            Condemnation::decode(&condemned.encode()).unwrap(),
            condemned
        );
        let lease = Lease::new(ObjectId([3; 16]));
        assert_eq!(Lease::decode(&lease.encode()).unwrap(), lease);
        assert!(Lease::decode(&condemned.encode()).is_err());
        assert!(Lease::decode(br#"{"version":2,"session":"00"}"#).is_err());
    }
}
