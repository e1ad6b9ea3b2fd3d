//! The pairs of backups, volumes and snapshots, as a resource of their own. Cinder has none for
//! backups; openstacksdk's helpers ask for one all the same.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_service::{Edit, ServiceError};
use emberkeep_wire::cinder::{Fault, MetaBody, MetadataBody, parse_meta_item};

use super::call::{Answer, Call, backup_id, json, snapshot_id, volume_id};
use super::row::Owner;

type Pairs = BTreeMap<String, String>;

fn shown(metadata: Pairs) -> Answer {
    Ok(json(StatusCode::OK, &MetadataBody { metadata }))
}

fn shown_one(key: &str, value: &str) -> Answer {
    let meta = BTreeMap::from([(key.to_owned(), value.to_owned())]);
    Ok(json(StatusCode::OK, &MetaBody { meta }))
}

/// `GET /volumes/{id}/metadata`.
pub(super) async fn all(call: &Call, owner: Owner, id: &str) -> Answer {
    shown(owner.pairs(call, id).await?)
}

/// `POST /volumes/{id}/metadata`: adds to them.
pub(super) async fn add(call: &Call, owner: Owner, id: &str) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    pairs.extend(MetadataBody::read(&call.body)?.metadata);
    shown(owner.save(call, id, pairs).await?)
}

/// `PUT /volumes/{id}/metadata`: replaces them.
pub(super) async fn replace(call: &Call, owner: Owner, id: &str) -> Answer {
    owner.pairs(call, id).await?;
    let given = MetadataBody::read(&call.body)?.metadata;
    shown(owner.save(call, id, given).await?)
}

/// `GET /volumes/{id}/metadata/{key}`.
pub(super) async fn one(call: &Call, owner: Owner, id: &str, key: &str) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    shown_one(key, &owner.take(&mut pairs, id, key)?)
}

/// `PUT /volumes/{id}/metadata/{key}`; of backups `POST` too.
pub(super) async fn set(call: &Call, owner: Owner, id: &str, key: &str) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    let value = parse_meta_item(&call.body, key)?;
    pairs.insert(key.to_owned(), value.clone());
    owner.save(call, id, pairs).await?;
    shown_one(key, &value)
}

/// `DELETE /volumes/{id}/metadata/{key}`.
pub(super) async fn remove(call: &Call, owner: Owner, id: &str, key: &str) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    owner.take(&mut pairs, id, key)?;
    owner.save(call, id, pairs).await?;
    Ok(StatusCode::OK.into_response())
}

impl Owner {
    /// Takes the value of a key out, unless there is none.
    fn take(self, pairs: &mut Pairs, id: &str, key: &str) -> Result<String, Fault> {
        pairs.remove(key).ok_or_else(|| {
            let what = self.word();
            Fault::not_found(format!("{what} {id} has no metadata with key {key}."))
        })
    }

    fn word(self) -> &'static str {
        match self {
            Self::Backup => "Backup",
            Self::Volume => "Volume",
            Self::Snapshot => "Snapshot",
        }
    }

    async fn pairs(self, call: &Call, id: &str) -> Result<Pairs, super::Refusal> {
        let (service, caller) = (call.service(), &call.caller);
        Ok(match self {
            Self::Backup => service
                .backup(caller, backup_id(id)?)
                .await?
                .metadata
                .clone(),
            Self::Volume => service.volume(caller, volume_id(id)?).await?.metadata,
            Self::Snapshot => service.snapshot(caller, snapshot_id(id)?).await?.metadata,
        })
    }

    async fn save(self, call: &Call, id: &str, pairs: Pairs) -> Result<Pairs, super::Refusal> {
        let edit = Edit {
            metadata: Some(pairs),
            ..Edit::default()
        };
        let (service, caller) = (call.service(), &call.caller);
        let saved: Result<Pairs, ServiceError> = match self {
            Self::Backup => service
                .edit_backup(caller, backup_id(id)?, edit)
                .await
                .map(|b| b.metadata),
            Self::Volume => service
                .edit_volume(caller, volume_id(id)?, edit)
                .await
                .map(|v| v.metadata),
            Self::Snapshot => service
                .edit_snapshot(caller, snapshot_id(id)?, edit)
                .await
                .map(|s| s.metadata),
        };
        Ok(saved?)
    }
}
