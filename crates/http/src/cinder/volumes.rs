//! Volumes.

use std::collections::{BTreeMap, BTreeSet};

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_model::{Volume, VolumeType};
use emberkeep_service::query::{Page, VolumeQuery};
use emberkeep_service::{DeleteVolume, Handover, NewAttachment, Reach, ResetVolume};
use emberkeep_wire::cinder::{
    ConnectionInfo, Listing, MetadataBody, Resource, VolumeAction, VolumeDetail, VolumeSummary,
    VolumeTotals, new_volume, query_flag, volume_edit,
};

use super::call::{Answer, Call, accepted, json, keyed, volume_id};
use super::query::{self, Question};

/// `GET /volumes` and `/volumes/detail`.
pub(super) async fn list(call: &Call, detail: bool) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Volume, call.version, admin)?;
    let page = match query::volumes(&listing, call.version)? {
        Question::Ask(query) => {
            call.service()
                .volumes(&call.caller, query, query::reach(&listing))
                .await?
        }
        Question::Nothing => Page {
            items: Vec::new(),
            total: Some(0),
            is_cut: false,
        },
    };
    let listing = listing.cut_short(page.is_cut);
    let last = page.items.last().map(|volume| volume.id.to_string());
    let (last, total) = (last.as_deref(), page.total);
    if detail {
        let types = call.service().volume_types(&call.caller).await?;
        let held = call.service().attachments_of(&page.items).await?;
        let view = |volume| {
            view(call, volume, &types)
                .with_owner(volume, admin)
                .with_attachments(volume, &held)
        };
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
    let new = new_volume(&call.body, call.version)?;
    let (service, caller) = (call.service(), &call.caller);
    let volume = service.create_volume(caller, new).await?;
    let types = call.service().volume_types(&call.caller).await?;
    keyed(StatusCode::ACCEPTED, &view(call, &volume, &types))
}

/// `GET /volumes/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let volume = call.service().volume(&call.caller, volume_id(id)?).await?;
    let types = call.service().volume_types(&call.caller).await?;
    let held = call
        .service()
        .attachments_of(std::slice::from_ref(&volume))
        .await?;
    let view = view(call, &volume, &types)
        .with_owner(&volume, call.caller.is_admin())
        .with_attachments(&volume, &held);
    keyed(StatusCode::OK, &view)
}

/// `PUT /volumes/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let edit = volume_edit(&call.body, call.version)?;
    let volume = call
        .service()
        .edit_volume(&call.caller, volume_id(id)?, edit)
        .await?;
    let types = call.service().volume_types(&call.caller).await?;
    keyed(StatusCode::OK, &view(call, &volume, &types))
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
    let action = VolumeAction::read(&call.body, call.version)?;
    let id = volume_id(id)?;
    let (service, caller) = (call.service(), &call.caller);
    use VolumeAction as A;
    match action {
        A::Extend(size) if call.since(42) => {
            service.extend_attached_volume(caller, id, size).await?;
        }
        A::Extend(size) => service.extend_volume(caller, id, size).await?,
        A::SetBootable(bootable) => {
            service.set_bootable(caller, id, bootable).await?;
            return Ok(StatusCode::OK.into_response());
        }
        A::SetReadonly(readonly) => service.set_readonly(caller, id, readonly).await?,
        A::Retype(name) => service.retype_volume(caller, id, &name).await?,
        A::Attach {
            instance_id,
            host,
            mountpoint,
            mode,
        } => {
            let new = NewAttachment {
                instance_id,
                host,
                mountpoint,
                mode,
                connector: None,
            };
            service.attach_volume(caller, id, new).await?;
        }
        A::Detach { .. } => service.detach_volume(caller, id, false).await?,
        A::ForceDetach => service.detach_volume(caller, id, true).await?,
        A::Reserve => service.move_volume(caller, id, Handover::Reserve).await?,
        A::Unreserve => service.move_volume(caller, id, Handover::Unreserve).await?,
        A::BeginDetaching => {
            let step = Handover::BeginDetaching;
            service.move_volume(caller, id, step).await?;
        }
        A::RollDetaching => {
            let step = Handover::RollDetaching;
            service.move_volume(caller, id, step).await?;
        }
        A::InitializeConnection(_) => {
            let volume = service.connection_of(caller, id).await?;
            let data = [
                ("volume_id", volume.id.to_string()),
                ("access_mode", "rw".to_owned()),
            ];
            let info = ConnectionInfo {
                data: data
                    .into_iter()
                    .map(|(key, value)| (key.to_owned(), value.into()))
                    .collect(),
                driver_volume_type: "local".to_owned(),
                more: serde_json::Map::new(),
            };
            return keyed(StatusCode::OK, &info);
        }
        A::TerminateConnection(_) => service.end_connection(caller, id).await?,
        A::SetImageMetadata(pairs) => {
            let all = service.set_image_properties(caller, id, &pairs).await?;
            return Ok(json(StatusCode::OK, &MetadataBody { metadata: all }));
        }
        A::UnsetImageMetadata(key) => {
            service.unset_image_property(caller, id, &key).await?;
            return Ok(StatusCode::OK.into_response());
        }
        A::ShowImageMetadata => {
            let all = service.image_properties(caller, id).await?;
            return Ok(json(StatusCode::OK, &MetadataBody { metadata: all }));
        }
        A::ResetStatus { status, detached } => {
            let reset = ResetVolume { status, detached };
            service.reset_volume(caller, id, reset).await?;
        }
        A::ForceDelete => service.force_delete_volume(caller, id).await?,
    }
    accepted()
}

/// `GET /volumes/summary`: how many volumes and GiB the project has, from 3.36 with all their pairs.
pub(super) async fn summary(call: &Call) -> Answer {
    // What others than administrators say is dropped unread.
    let reach = if call.caller.is_admin() && query_flag(&call.query, "all_tenants")? {
        Reach::AllProjects
    } else {
        Reach::Own
    };
    let volumes = call
        .service()
        .volumes(&call.caller, VolumeQuery::default(), reach)
        .await?
        .items;
    let size: u64 = volumes.iter().map(|one| u64::from(one.size.0)).sum();
    let mut totals = VolumeTotals {
        metadata: None,
        total_count: volumes.len() as u64,
        total_size: size,
    };
    if call.since(36) {
        let mut pairs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, value) in volumes.iter().flat_map(|one| &one.metadata) {
            pairs.entry(key.clone()).or_default().insert(value.clone());
        }
        let pairs = pairs.into_iter();
        totals.metadata = Some(
            pairs
                .map(|(key, values)| (key, values.into_iter().collect()))
                .collect(),
        );
    }
    keyed(StatusCode::OK, &totals)
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
