//! Volumes, snapshots and backups through the Block Storage API (`cinder-backup.md §2`).

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::ids::{BackupId, SnapshotId, VolumeId};

/// A volume. What has no field of its own is kept in `more`, so that nothing is lost.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Volume {
    /// Its id.
    pub id: VolumeId,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Its size in GiB.
    pub size: u32,
    /// Its status, e.g. `available`.
    pub status: String,
    /// When it was made.
    pub created_at: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A snapshot of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Snapshot {
    /// Its id.
    pub id: SnapshotId,
    /// Its name; may be missing or empty.
    pub name: Option<String>,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its size in GiB.
    pub size: u32,
    /// Its status.
    pub status: String,
    /// When it was taken.
    pub created_at: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A backup of a volume.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backup {
    /// Its id.
    pub id: BackupId,
    /// Its name; may be missing.
    pub name: Option<String>,
    /// Of which volume.
    pub volume_id: VolumeId,
    /// The volume's size in GiB.
    pub size: u32,
    /// Its status.
    pub status: String,
    /// Whether it was made from another one's map.
    #[serde(default)]
    pub is_incremental: bool,
    /// Why making it failed.
    pub fail_reason: Option<String>,
    /// When it was asked for.
    pub created_at: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A volume to be made.
#[derive(Debug, Clone, Default, Serialize)]
pub struct NewVolume {
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Its size in GiB; may be left out where the source tells it.
    pub size: Option<u32>,
    /// Its type.
    pub volume_type: Option<String>,
    /// Make it from this snapshot.
    pub snapshot_id: Option<SnapshotId>,
    /// Clone this volume.
    #[serde(rename = "source_volid")]
    pub source_volume_id: Option<VolumeId>,
}

/// A snapshot to be taken.
#[derive(Debug, Clone, Serialize)]
pub struct NewSnapshot {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Also of a volume in use.
    pub force: bool,
}

/// A backup to be made.
#[derive(Debug, Clone, Serialize)]
pub struct NewBackup {
    /// Of which volume.
    pub volume_id: VolumeId,
    /// From this snapshot of it.
    pub snapshot_id: Option<SnapshotId>,
    /// Its name.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// A vault's id puts it into that vault; anything else is kept as a word.
    pub container: Option<String>,
    /// Start from the newest backup of the volume.
    pub incremental: bool,
    /// Also of a volume in use.
    pub force: bool,
}

/// A restore that was begun.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RestoreStarted {
    /// The backup.
    pub backup_id: BackupId,
    /// The target.
    pub volume_id: VolumeId,
    /// The target's name.
    pub volume_name: String,
}

/// The Block Storage API of a connection.
#[derive(Debug, Clone)]
pub struct BlockStorage {
    connection: Connection,
}

impl BlockStorage {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Lists the project's volumes, newest first.
    pub async fn volumes(&self, name: Option<&str>) -> Result<Vec<Volume>, SdkError> {
        self.list("volumes", &[("name", name)]).await
    }

    /// Shows one volume.
    pub async fn volume(&self, id: &VolumeId) -> Result<Volume, SdkError> {
        self.one("volume", Call::get(&["volumes", id.as_str()]))
            .await
    }

    /// Makes a volume.
    pub async fn create_volume(&self, new: &NewVolume) -> Result<Volume, SdkError> {
        self.one(
            "volume",
            Call::new(Method::POST, &["volumes"]).body(json!({"volume": new})),
        )
        .await
    }

    /// Makes a volume larger.
    pub async fn extend_volume(&self, id: &VolumeId, size_gib: u32) -> Result<(), SdkError> {
        let body = json!({"os-extend": {"new_size": size_gib}});
        self.done(Call::new(Method::POST, &["volumes", id.as_str(), "action"]).body(body))
            .await
    }

    /// Deletes a volume.
    pub async fn delete_volume(&self, id: &VolumeId) -> Result<(), SdkError> {
        self.done(Call::new(Method::DELETE, &["volumes", id.as_str()]))
            .await
    }

    /// Lists the project's snapshots, of one volume if given, newest first.
    pub async fn snapshots(
        &self,
        name: Option<&str>,
        volume: Option<&VolumeId>,
    ) -> Result<Vec<Snapshot>, SdkError> {
        self.list(
            "snapshots",
            &[("name", name), ("volume_id", volume.map(VolumeId::as_str))],
        )
        .await
    }

    /// Shows one snapshot.
    pub async fn snapshot(&self, id: &SnapshotId) -> Result<Snapshot, SdkError> {
        self.one("snapshot", Call::get(&["snapshots", id.as_str()]))
            .await
    }

    /// Takes a snapshot.
    pub async fn create_snapshot(&self, new: &NewSnapshot) -> Result<Snapshot, SdkError> {
        self.one(
            "snapshot",
            Call::new(Method::POST, &["snapshots"]).body(json!({"snapshot": new})),
        )
        .await
    }

    /// Deletes a snapshot.
    pub async fn delete_snapshot(&self, id: &SnapshotId) -> Result<(), SdkError> {
        self.done(Call::new(Method::DELETE, &["snapshots", id.as_str()]))
            .await
    }

    /// Lists the project's backups, newest first.
    pub async fn backups(
        &self,
        name: Option<&str>,
        volume: Option<&VolumeId>,
        status: Option<&str>,
    ) -> Result<Vec<Backup>, SdkError> {
        let filters = [
            ("name", name),
            ("volume_id", volume.map(VolumeId::as_str)),
            ("status", status),
        ];
        self.list("backups", &filters).await
    }

    /// Shows one backup.
    pub async fn backup(&self, id: &BackupId) -> Result<Backup, SdkError> {
        self.one("backup", Call::get(&["backups", id.as_str()]))
            .await
    }

    /// Begins a backup and returns its id.
    pub async fn create_backup(&self, new: &NewBackup) -> Result<BackupId, SdkError> {
        #[derive(Deserialize)]
        struct Begun {
            id: BackupId,
        }
        let call = Call::new(Method::POST, &["backups"]).body(json!({"backup": new}));
        self.one::<Begun>("backup", call)
            .await
            .map(|begun| begun.id)
    }

    /// Begins a restore: to `volume`, or to a new one, called `name` if given.
    pub async fn restore_backup(
        &self,
        id: &BackupId,
        volume: Option<&VolumeId>,
        name: Option<&str>,
    ) -> Result<RestoreStarted, SdkError> {
        let body = json!({"restore": {"volume_id": volume, "name": name}});
        let path = ["backups", id.as_str(), "restore"];
        self.one("restore", Call::new(Method::POST, &path).body(body))
            .await
    }

    /// Begins the deletion of a backup.
    pub async fn delete_backup(&self, id: &BackupId) -> Result<(), SdkError> {
        self.done(Call::new(Method::DELETE, &["backups", id.as_str()]))
            .await
    }

    async fn one<T: DeserializeOwned>(&self, key: &str, call: Call<'_>) -> Result<T, SdkError> {
        let answer: Value = self.connection.json(Face::BlockStorage, &call).await?;
        unwrap_key(&call, key, answer)
    }

    async fn done(&self, call: Call<'_>) -> Result<(), SdkError> {
        self.connection.done(Face::BlockStorage, &call).await
    }

    /// Follows pages until the service names no next one.
    async fn list<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        filters: &[(&'static str, Option<&str>)],
    ) -> Result<Vec<T>, SdkError> {
        let mut items = Vec::new();
        let mut marker: Option<String> = None;
        let links = format!("{kind}_links");
        loop {
            let path = [kind, "detail"];
            let mut call = Call::get(&path).query("marker", marker.as_ref());
            for (name, value) in filters {
                call = call.query(name, *value);
            }
            let answer: Value = self.connection.json(Face::BlockStorage, &call).await?;
            let more = answer
                .get(&links)
                .and_then(Value::as_array)
                .is_some_and(|links| {
                    links
                        .iter()
                        .any(|link| link.get("rel").and_then(Value::as_str) == Some("next"))
                });
            let page: Vec<Value> = unwrap_key(&call, kind, answer)?;
            marker = page
                .last()
                .and_then(|last| last.get("id")?.as_str().map(str::to_owned));
            let empty = page.is_empty();
            for item in page {
                items.push(parse(&call, item)?);
            }
            if !more || empty {
                return Ok(items);
            }
        }
    }
}

/// Takes what lies under `key` out of an answer.
pub(crate) fn unwrap_key<T: DeserializeOwned>(
    call: &Call<'_>,
    key: &str,
    mut answer: Value,
) -> Result<T, SdkError> {
    let inner = answer
        .get_mut(key)
        .map(Value::take)
        .ok_or_else(|| SdkError::BadAnswer {
            asked: format!("{} /{}", call.method, call.path.join("/")),
            what: format!("it has no '{key}'"),
        })?;
    parse(call, inner)
}

fn parse<T: DeserializeOwned>(call: &Call<'_>, value: Value) -> Result<T, SdkError> {
    serde_json::from_value(value).map_err(|cause| SdkError::BadAnswer {
        asked: format!("{} /{}", call.method, call.path.join("/")),
        what: cause.to_string(),
    })
}
