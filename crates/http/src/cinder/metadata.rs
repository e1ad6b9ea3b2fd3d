//! The pairs of backups, volumes and snapshots, as a resource of their own. Cinder has none for
//! backups; openstacksdk's helpers ask for one all the same.

use std::collections::BTreeMap;

use axum::http::{Method, StatusCode};
use axum::response::IntoResponse;
use emberkeep_service::{Edit, ServiceError};
use emberkeep_wire::cinder::{Fault, MetaBody, MetadataBody, parse_meta_item};

use super::Owner;
use super::call::{Answer, Call, backup_id, json, snapshot_id, volume_id};

type Pairs = BTreeMap<String, String>;

/// `GET`, `POST` (adds to them) and `PUT` (replaces them) `/volumes/{id}/metadata`.
pub(super) async fn all(call: &Call, method: &Method, owner: Owner, id: &str) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    if method == Method::GET {
        return Ok(json(StatusCode::OK, &MetadataBody { metadata: pairs }));
    }
    let given = MetadataBody::read(&call.body)?.metadata;
    if method == Method::POST {
        pairs.extend(given);
    } else {
        pairs = given;
    }
    let pairs = owner.save(call, id, pairs).await?;
    Ok(json(StatusCode::OK, &MetadataBody { metadata: pairs }))
}

/// `GET`, `PUT` and `DELETE` `/volumes/{id}/metadata/{key}`.
pub(super) async fn item(
    call: &Call,
    method: &Method,
    owner: Owner,
    id: &str,
    key: &str,
) -> Answer {
    let mut pairs = owner.pairs(call, id).await?;
    let meta = |value: &str| {
        let meta = BTreeMap::from([(key.to_owned(), value.to_owned())]);
        Ok(json(StatusCode::OK, &MetaBody { meta }))
    };
    if method == Method::PUT || method == Method::POST {
        let value = parse_meta_item(&call.body, key)?;
        pairs.insert(key.to_owned(), value.clone());
        owner.save(call, id, pairs).await?;
        return meta(&value);
    }
    let Some(value) = pairs.remove(key) else {
        let what = owner.word();
        let message = format!("{what} {id} has no metadata with key {key}.");
        return Err(Fault::not_found(message).into());
    };
    if method == Method::GET {
        return meta(&value);
    }
    owner.save(call, id, pairs).await?;
    Ok(StatusCode::OK.into_response())
}

impl Owner {
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
