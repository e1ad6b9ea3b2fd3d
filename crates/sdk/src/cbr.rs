//! Vaults, checkpoints and their backups through the CBR API (`cbr-v3.md §2`).

use reqwest::Method;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::block_storage::unwrap_key;
use crate::connection::{Call, Connection, Face};
use crate::error::SdkError;
use crate::ids::{BackupId, CheckpointId, TaskId, VaultId, VolumeId};

/// The most that CBR gives at once (`cbr-v3.md §2.9`).
const PAGE: usize = 1000;

/// A vault. What has no field of its own is kept in `more`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Vault {
    /// Its id.
    pub id: VaultId,
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its capacity, use and kind.
    pub billing: Billing,
    /// What it protects.
    pub resources: Vec<VaultResource>,
    /// When it was made.
    pub created_at: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// Capacity, use and kind of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Billing {
    /// Its capacity in GiB.
    pub size: u64,
    /// GiB of the resources in it.
    #[serde(default)]
    pub allocated: u64,
    /// MiB stored by its backups.
    #[serde(default)]
    pub used: u64,
    /// Its status.
    pub status: String,
    /// What it protects: `disk`, `server`, `turbo`.
    pub object_type: String,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A resource of a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultResource {
    /// Its id; a volume's id in vaults for disks.
    pub id: String,
    /// Its name.
    pub name: Option<String>,
    /// Whether it is being backed up, restored or removed.
    pub protect_status: Option<String>,
    /// Everything else the service says; numbers are text in some answers.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A vault to be made.
#[derive(Debug, Clone)]
pub struct NewVault {
    /// Its name.
    pub name: String,
    /// Free text.
    pub description: Option<String>,
    /// Its capacity in GiB.
    pub size_gib: u64,
    /// Volumes to begin with.
    pub volumes: Vec<VolumeId>,
}

/// Changes of a vault; what is none stays.
#[derive(Debug, Clone, Default)]
pub struct VaultChange {
    /// The new name.
    pub name: Option<String>,
    /// The new capacity in GiB.
    pub size_gib: Option<u64>,
    /// Whether it grows by itself when full.
    pub auto_expand: Option<bool>,
}

/// A volume to be put into a vault.
#[derive(Debug, Clone, Serialize)]
pub struct AddResource {
    id: VolumeId,
    #[serde(rename = "type")]
    kind: &'static str,
}

impl From<VolumeId> for AddResource {
    fn from(id: VolumeId) -> Self {
        Self {
            id,
            kind: "OS::Cinder::Volume",
        }
    }
}

/// A run over a vault to be made.
#[derive(Debug, Clone)]
pub struct NewCheckpoint {
    /// Which vault.
    pub vault_id: VaultId,
    /// Base name of the backups.
    pub name: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// Start from each resource's newest backup.
    pub incremental: bool,
    /// Which volumes; empty means all of the vault.
    pub volumes: Vec<VolumeId>,
}

/// One run over a vault.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Checkpoint {
    /// Its id.
    pub id: CheckpointId,
    /// `protecting`, `available`, `error`, `deleted`.
    pub status: String,
    /// When it was asked for.
    pub created_at: Option<String>,
    /// The vault, with what took part.
    pub vault: CheckpointVault,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The vault of a checkpoint.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckpointVault {
    /// Its id.
    pub id: VaultId,
    /// Its name.
    pub name: Option<String>,
    /// What took part.
    #[serde(default)]
    pub resources: Vec<VaultResource>,
    /// What was left out, each with `code` and `reason`.
    #[serde(default)]
    pub skipped_resources: Vec<Map<String, Value>>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// A backup as CBR shows it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct VaultBackup {
    /// Its id, the same as in Block Storage.
    pub id: BackupId,
    /// Its name.
    pub name: Option<String>,
    /// Its status, in CBR's words.
    pub status: String,
    /// The vault that keeps it.
    pub vault_id: Option<VaultId>,
    /// The run that made it.
    pub checkpoint_id: Option<CheckpointId>,
    /// What it is of.
    pub resource_id: Option<String>,
    /// Everything else the service says.
    #[serde(flatten)]
    pub more: Map<String, Value>,
}

/// The CBR API of a connection.
#[derive(Debug, Clone)]
pub struct Cbr {
    connection: Connection,
}

impl Cbr {
    pub(crate) fn new(connection: Connection) -> Self {
        Self { connection }
    }

    /// Lists the project's vaults.
    pub async fn vaults(&self, name: Option<&str>) -> Result<Vec<Vault>, SdkError> {
        self.list("vaults", &[("name", name)]).await
    }

    /// Shows one vault.
    pub async fn vault(&self, id: &VaultId) -> Result<Vault, SdkError> {
        self.one("vault", Call::get(&["vaults", id.as_str()])).await
    }

    /// Makes a vault for volumes.
    pub async fn create_vault(&self, new: &NewVault) -> Result<Vault, SdkError> {
        let resources: Vec<_> = new.volumes.iter().cloned().map(AddResource::from).collect();
        let mut vault = json!({
            "name": new.name,
            "resources": resources,
            "billing": {
                "object_type": "disk",
                "protect_type": "backup",
                "consistent_level": "crash_consistent",
                "size": new.size_gib,
            },
        });
        set(&mut vault, "description", new.description.as_ref());
        let call = Call::new(Method::POST, &["vaults"]).body(json!({"vault": vault}));
        self.one("vault", call).await
    }

    /// Changes a vault.
    pub async fn update_vault(
        &self,
        id: &VaultId,
        change: &VaultChange,
    ) -> Result<Vault, SdkError> {
        let mut vault = json!({});
        set(&mut vault, "name", change.name.as_ref());
        set(&mut vault, "auto_expand", change.auto_expand);
        set(
            &mut vault,
            "billing",
            change.size_gib.map(|size| json!({"size": size})),
        );
        let path = ["vaults", id.as_str()];
        self.one(
            "vault",
            Call::new(Method::PUT, &path).body(json!({"vault": vault})),
        )
        .await
    }

    /// Deletes a vault with all its backups.
    pub async fn delete_vault(&self, id: &VaultId) -> Result<(), SdkError> {
        self.done(Call::new(Method::DELETE, &["vaults", id.as_str()]))
            .await
    }

    /// Puts volumes into a vault.
    pub async fn add_volumes(&self, id: &VaultId, volumes: &[VolumeId]) -> Result<(), SdkError> {
        let resources: Vec<_> = volumes.iter().cloned().map(AddResource::from).collect();
        let path = ["vaults", id.as_str(), "addresources"];
        self.done(Call::new(Method::POST, &path).body(json!({"resources": resources})))
            .await
    }

    /// Takes volumes out of a vault, with all their backups in it.
    pub async fn remove_volumes(&self, id: &VaultId, volumes: &[VolumeId]) -> Result<(), SdkError> {
        let path = ["vaults", id.as_str(), "removeresources"];
        self.done(Call::new(Method::POST, &path).body(json!({"resource_ids": volumes})))
            .await
    }

    /// Begins a run over a vault.
    pub async fn create_checkpoint(&self, new: &NewCheckpoint) -> Result<Checkpoint, SdkError> {
        let mut parameters = json!({"incremental": new.incremental});
        set(&mut parameters, "name", new.name.as_ref());
        set(&mut parameters, "description", new.description.as_ref());
        set(
            &mut parameters,
            "resources",
            (!new.volumes.is_empty()).then_some(&new.volumes),
        );
        let body = json!({"checkpoint": {"vault_id": new.vault_id, "parameters": parameters}});
        self.one(
            "checkpoint",
            Call::new(Method::POST, &["checkpoints"]).body(body),
        )
        .await
    }

    /// Shows one checkpoint.
    pub async fn checkpoint(&self, id: &CheckpointId) -> Result<Checkpoint, SdkError> {
        self.one("checkpoint", Call::get(&["checkpoints", id.as_str()]))
            .await
    }

    /// Lists backups in vaults, of one vault or checkpoint if given, newest first.
    pub async fn backups(
        &self,
        vault: Option<&VaultId>,
        checkpoint: Option<&CheckpointId>,
    ) -> Result<Vec<VaultBackup>, SdkError> {
        let filters = [
            ("vault_id", vault.map(VaultId::as_str)),
            ("checkpoint_id", checkpoint.map(CheckpointId::as_str)),
        ];
        self.list("backups", &filters).await
    }

    /// Shows one backup.
    pub async fn backup(&self, id: &BackupId) -> Result<VaultBackup, SdkError> {
        self.one("backup", Call::get(&["backups", id.as_str()]))
            .await
    }

    /// Begins a restore into a volume; returns the task where the service names it.
    pub async fn restore_backup(
        &self,
        id: &BackupId,
        volume: &VolumeId,
    ) -> Result<Option<TaskId>, SdkError> {
        let path = ["backups", id.as_str(), "restore"];
        let call = Call::new(Method::POST, &path).body(json!({"restore": {"volume_id": volume}}));
        let response = self.connection.send(Face::Cbr, &call).await?;
        // One of the clouds answers with no body at all (`cbr-v3.md §2.4`).
        let body: Value = response.json().await.unwrap_or_default();
        Ok(body.get("job_id").and_then(Value::as_str).map(TaskId::from))
    }

    /// Begins the deletion of a backup.
    pub async fn delete_backup(&self, id: &BackupId) -> Result<(), SdkError> {
        self.done(Call::new(Method::DELETE, &["backups", id.as_str()]))
            .await
    }

    async fn one<T: DeserializeOwned>(&self, key: &str, call: Call<'_>) -> Result<T, SdkError> {
        let answer: Value = self.connection.json(Face::Cbr, &call).await?;
        unwrap_key(&call, key, answer)
    }

    async fn done(&self, call: Call<'_>) -> Result<(), SdkError> {
        self.connection.done(Face::Cbr, &call).await
    }

    async fn list<T: DeserializeOwned>(
        &self,
        kind: &'static str,
        filters: &[(&'static str, Option<&str>)],
    ) -> Result<Vec<T>, SdkError> {
        let mut items = Vec::new();
        loop {
            let path = [kind];
            let mut call = Call::get(&path)
                .query("limit", Some(PAGE))
                .query("offset", Some(items.len()));
            for (name, value) in filters {
                call = call.query(name, *value);
            }
            let answer: Value = self.connection.json(Face::Cbr, &call).await?;
            let page: Vec<T> = unwrap_key(&call, kind, answer)?;
            let full = page.len() >= PAGE;
            items.extend(page);
            if !full {
                return Ok(items);
            }
        }
    }
}

fn set(object: &mut Value, key: &str, value: Option<impl Serialize>) {
    if let Some(value) = value.and_then(|value| serde_json::to_value(value).ok()) {
        object[key] = value;
    }
}
