//! Volumes.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_model::{BackupId, Volume, VolumeType};
use emberkeep_service::query::Page;
use emberkeep_service::{DeleteVolume, Edit, NewVolume, RestoreTo};
use emberkeep_wire::cinder::{
    CreateVolume, Fault, Listing, Resource, UpdateVolume, VolumeAction, VolumeDetail,
    VolumeSummary, query_flag,
};

use super::call::{Answer, Call, Refusal, accepted, json, member, volume_id};
use super::query::{self, Question};

/// `GET /volumes` and `/volumes/detail`.
pub(super) async fn list(call: &Call, detail: bool) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Volume, call.version, admin)?;
    let page = match query::volumes(&listing)? {
        Question::Ask(query) => {
            call.service()
                .volumes(&call.caller, query, query::reach(&listing))
                .await?
        }
        Question::Nothing => Page {
            items: Vec::new(),
            total: Some(0),
        },
    };
    let last = page.items.last().map(|volume| volume.id.to_string());
    let (last, total) = (last.as_deref(), page.total);
    if detail {
        let types = call.service().volume_types(&call.caller).await?;
        let view = |volume| view(call, volume, &types).with_owner(volume, admin);
        let items: Vec<_> = page.items.iter().map(view).collect();
        let page = listing.page(
            Resource::Volume,
            "volumes/detail",
            items,
            last,
            total,
            &call.site,
        );
        return Ok(json(StatusCode::OK, &page));
    }
    let items: Vec<_> = page
        .items
        .iter()
        .map(|v| VolumeSummary::new(v, &call.site))
        .collect();
    let page = listing.page(Resource::Volume, "volumes", items, last, total, &call.site);
    Ok(json(StatusCode::OK, &page))
}

/// `POST /volumes`.
pub(super) async fn create(call: &Call) -> Answer {
    let asked = CreateVolume::parse(&call.body, call.version)?;
    let volume = match asked.backup_id {
        Some(id) => from_backup(call, id, asked).await?,
        None => {
            let new = NewVolume {
                name: asked.name,
                description: asked.description,
                size: asked.size,
                volume_type: asked.volume_type,
                availability_zone: asked.availability_zone,
                snapshot_id: asked.snapshot_id,
                source_volume_id: asked.source_volume_id,
                metadata: asked.metadata,
            };
            call.service().create_volume(&call.caller, new).await?
        }
    };
    let types = call.service().volume_types(&call.caller).await?;
    member(StatusCode::ACCEPTED, "volume", &view(call, &volume, &types))
}

/// Makes a volume of a backup. All but its name comes from the backup; a wish for anything else is
/// refused rather than dropped.
async fn from_backup(call: &Call, id: BackupId, asked: CreateVolume) -> Result<Volume, Refusal> {
    let backup = call.service().backup(&call.caller, id).await?;
    let mut other = Vec::new();
    if asked.size.is_some_and(|size| size != backup.size) {
        other.push("size");
    }
    if asked.description.is_some_and(|text| !text.is_empty()) {
        other.push("description");
    }
    if asked.volume_type.is_some() {
        other.push("volume_type");
    }
    if asked.availability_zone.is_some() && asked.availability_zone != backup.availability_zone {
        other.push("availability_zone");
    }
    if !asked.metadata.is_empty() {
        other.push("metadata");
    }
    if !other.is_empty() {
        return Err(Fault::invalid_input(format!(
            "a volume made from a backup takes all but its name from it; leave out: {}",
            other.join(", ")
        ))
        .into());
    }
    let to = RestoreTo::New { name: asked.name };
    Ok(call
        .service()
        .restore_backup(&call.caller, id, to)
        .await?
        .volume)
}

/// `GET /volumes/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let volume = call.service().volume(&call.caller, volume_id(id)?).await?;
    let types = call.service().volume_types(&call.caller).await?;
    let view = view(call, &volume, &types).with_owner(&volume, call.caller.is_admin());
    member(StatusCode::OK, "volume", &view)
}

/// `PUT /volumes/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let asked = UpdateVolume::parse(&call.body, call.version)?;
    let edit = Edit {
        name: asked.name,
        description: asked.description,
        metadata: asked.metadata,
    };
    let volume = call
        .service()
        .edit_volume(&call.caller, volume_id(id)?, edit)
        .await?;
    let types = call.service().volume_types(&call.caller).await?;
    member(StatusCode::OK, "volume", &view(call, &volume, &types))
}

/// `DELETE /volumes/{id}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    let how = DeleteVolume {
        cascade: query_flag(&call.query, "cascade")?,
        force: call.since(23) && query_flag(&call.query, "force")?,
    };
    call.service()
        .delete_volume(&call.caller, volume_id(id)?, how)
        .await?;
    accepted()
}

/// `POST /volumes/{id}/action`.
pub(super) async fn act(call: &Call, id: &str) -> Answer {
    let action = VolumeAction::parse(&call.body, call.version)?;
    let id = volume_id(id)?;
    match action {
        VolumeAction::Extend(size) => {
            call.service().extend_volume(&call.caller, id, size).await?;
            accepted()
        }
        VolumeAction::SetBootable(bootable) => {
            call.service()
                .set_bootable(&call.caller, id, bootable)
                .await?;
            Ok(StatusCode::OK.into_response())
        }
    }
}

fn view(call: &Call, volume: &Volume, types: &[VolumeType]) -> VolumeDetail {
    let found = types
        .iter()
        .find(|one| Some(one.id) == volume.volume_type_id);
    let name = found.map(|one| one.name.as_str());
    VolumeDetail::new(
        volume,
        name,
        &call.site,
        call.version,
        call.caller.is_admin(),
    )
}
