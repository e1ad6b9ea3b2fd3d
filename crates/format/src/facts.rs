//! What a manifest remembers of a backup beyond its content, so that its row can be made again.

mod context;

use std::collections::BTreeMap;

use emberkeep_model::{
    BackupId, CinderFacts, Gib, ObjectType, PolicyId, ProjectId, Replica, ServerFacts, Timestamp,
    UserId, VolumeId,
};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{FormatError, Manifest};
pub use context::{CheckpointFacts, ContextFacts, PolicyFacts, VaultFacts};

/// Version 1 does not say so; later ones have a field `version`.
const VERSION: u32 = 1;
const WHAT: &str = "manifest's facts";

/// Facts about a backup, stored in its manifest's `extra`.
///
/// A fact that an older manifest lacks has its default. One that is there and cannot be read makes
/// all of them unreadable: a default in its place would be a lie, such as "not automatic" for a
/// backup that retention deletes.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct BackupFacts {
    /// Who asked for it.
    pub user_id: Option<UserId>,
    /// The volume's size; the manifest's own, rounded up, if `None`.
    pub size_gib: Option<Gib>,
    /// The container it was asked for in.
    pub container: Option<String>,
    /// Its zone.
    pub availability_zone: Option<String>,
    /// The tenant's own pairs.
    pub metadata: BTreeMap<String, String>,
    /// Made by a schedule.
    pub automatic: bool,
    /// The policy whose run made it.
    pub policy_id: Option<PolicyId>,
    /// When it expires.
    pub expires_at: Option<Timestamp>,
    /// The instant of the content; when it was asked for, if `None`.
    pub data_timestamp: Option<Timestamp>,
    /// What Cinder's records hold besides.
    pub cinder: CinderFacts,
    /// What it is of.
    pub kind: ObjectType,
    /// The server's backup that it is part of.
    pub part_of: Option<BackupId>,
    /// What it is a copy of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replica: Option<Replica>,
    /// The project that has the copy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project_id: Option<ProjectId>,
    /// The server's backup that it is part of, in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub whole: Option<WholeFacts>,
    /// What it belonged to; older manifests do not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<ContextFacts>,
}

/// Facts about a server's backup, which has no manifest: each of its parts remembers them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WholeFacts {
    /// The server's backup.
    #[serde(default)]
    pub id: Option<BackupId>,
    /// How many parts it has; older manifests do not say.
    #[serde(default)]
    pub parts: Option<usize>,
    /// The server, whose id the row keeps as that of a volume.
    pub server_id: VolumeId,
    /// The server's name.
    #[serde(default)]
    pub server_name: Option<String>,
    /// The backup's name.
    #[serde(default)]
    pub name: Option<String>,
    /// The size of all volumes.
    pub size_gib: Gib,
    /// What the server ran.
    #[serde(default)]
    pub server: Option<ServerFacts>,
    /// What it is a copy of.
    #[serde(default)]
    pub replica: Option<Replica>,
}

impl BackupFacts {
    /// Returns what goes into the manifest.
    pub fn to_extra(&self) -> Map<String, Value> {
        let extra = serde_json::to_value(self).expect("facts are plain JSON");
        serde_json::from_value(extra).expect("facts are an object")
    }
}

impl Manifest {
    /// Reads the facts; a manifest that remembers none has the defaults.
    pub fn facts(&self) -> Result<BackupFacts, FormatError> {
        let json = |cause| FormatError::Json { what: WHAT, cause };
        let version = self.extra.get("version");
        let version = version
            .map_or(Ok(VERSION), u32::deserialize)
            .map_err(json)?;
        if version != VERSION {
            return Err(FormatError::UnknownVersion {
                what: WHAT,
                version,
            });
        }
        serde_json::from_value(Value::Object(self.extra.clone())).map_err(json)
    }
}

#[cfg(test)]
mod tests {
    use emberkeep_model::ByteCount;
    use serde_json::json;
    use uuid::Uuid;

    use super::*;
    use crate::ObjectId;

    fn manifest(extra: Value) -> Manifest {
        let id = BackupId(Uuid::from_u128(3));
        let mut made = Manifest::new(id, "p".into(), ByteCount(9), ObjectId([1; 16]));
        made.extra = serde_json::from_value(extra).expect("an object");
        Manifest::decode(&made.encode()).expect("is read")
    }

    #[test]
    fn facts_round_trip_in_the_bytes_that_were_always_written() {
        let id = Uuid::from_u128(7);
        let facts = BackupFacts {
            user_id: Some("u".parse().expect("an id")),
            size_gib: Some(Gib(3)),
            metadata: BTreeMap::from([("a".into(), "b".into())]),
            automatic: true,
            expires_at: Some(Timestamp(5)),
            part_of: Some(BackupId(id)),
            whole: Some(WholeFacts {
                id: Some(BackupId(id)),
                parts: Some(2),
                server_id: VolumeId(id),
                server_name: None,
                name: Some("n".into()),
                size_gib: Gib(4),
                server: None,
                replica: None,
            }),
            ..BackupFacts::default()
        };
        let wanted = json!({
            "user_id": "u", "size_gib": 3, "container": null, "availability_zone": null,
            "metadata": {"a": "b"}, "automatic": true, "policy_id": null, "expires_at": 5,
            "data_timestamp": null, "cinder": {}, "kind": "disk", "part_of": id,
            "whole": {"id": id, "parts": 2, "server_id": id, "server_name": null, "name": "n",
                "size_gib": 4, "server": null, "replica": null},
        });
        assert_eq!(Value::Object(facts.to_extra()), wanted);
        assert_eq!(manifest(wanted).facts().expect("are read"), facts);
    }

    #[test]
    fn what_older_manifests_lack_has_its_default() {
        let whole = json!({"server_id": Uuid::from_u128(7), "size_gib": 1});
        for (extra, part) in [
            (json!({}), false),
            (json!({"automatic": false, "size_gib": null}), false),
            (json!({"of another program": [1]}), false),
            (json!({"whole": whole}), true),
        ] {
            let facts = manifest(extra.clone()).facts().expect("are read");
            assert_eq!(facts.whole.is_some(), part, "{extra}");
            let rest = BackupFacts {
                whole: None,
                ..facts
            };
            assert_eq!(rest, BackupFacts::default(), "{extra}");
        }
    }

    #[test]
    fn no_unreadable_fact_becomes_a_default() {
        let whole = BackupFacts::default().to_extra();
        let keys = whole.keys().map(String::as_str);
        for key in keys.chain(["replica", "project_id", "whole", "context", "version"]) {
            // No fact is a list.
            let extra = json!({ key: [[]] });
            let read = manifest(extra).facts();
            assert!(
                matches!(read, Err(FormatError::Json { .. })),
                "{key}: {read:?}"
            );
        }
        let later = manifest(json!({"version": 2})).facts();
        assert!(matches!(
            later,
            Err(FormatError::UnknownVersion { version: 2, .. })
        ));
    }
}
