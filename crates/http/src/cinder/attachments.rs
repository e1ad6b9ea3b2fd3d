//! Attachments of volumes.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_service::query::{AttachmentField, AttachmentQuery, Paging};
use emberkeep_wire::cinder::ask::AttachmentAction;
use emberkeep_wire::cinder::{
    AttachmentDetail, AttachmentSummary, Listing, Resource, attachment_update, new_attachment,
};

use super::call::{Answer, Call, attachment_id, json, keyed, nothing};
use super::query::{self, Key};

/// `GET /attachments` and `/attachments/detail`.
pub(super) async fn list(call: &Call, detail: bool) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Attachment, call.version, admin)?;
    let mut asked = AttachmentQuery {
        sort: query::sort(&listing, AttachmentField::CreatedAt, field)?,
        paging: Paging {
            limit: Some(listing.limit),
            offset: listing.offset,
            marker: listing.marker.as_deref().map(attachment_id).transpose()?,
            with_total: false,
            max_bytes: None,
        },
        ..AttachmentQuery::default()
    };
    let mut nothing = false;
    for (key, value) in &listing.filters {
        match key.as_str() {
            "volume_id" => match value.parse() {
                Ok(id) => asked.volumes = vec![id],
                Err(_) => nothing = true,
            },
            "instance_id" => asked.instance = Some(value.clone()),
            "status" | "attach_status" => match value.parse() {
                Ok(status) => asked.status = Some(status),
                Err(_) => nothing = true,
            },
            "project_id" => match value.parse() {
                Ok(id) => asked.project = Some(id),
                Err(_) => nothing = true,
            },
            // No attachment has a column of another name.
            _ => nothing = true,
        }
    }
    let found = if nothing {
        Vec::new()
    } else {
        let reach = query::reach(&listing);
        call.service()
            .attachments(&call.caller, asked, reach)
            .await?
            .items
    };
    let last = found.last().map(|one| one.id.to_string());
    let last = last.as_deref();
    if detail {
        let items: Vec<_> = found.iter().map(AttachmentDetail::new).collect();
        let path = "attachments/detail";
        let page = listing.page(Resource::Attachment, path, items, last, None, &call.site);
        return Ok(json(StatusCode::OK, &page));
    }
    let items: Vec<_> = found.iter().map(AttachmentSummary::new).collect();
    let path = "attachments";
    let page = listing.page(Resource::Attachment, path, items, last, None, &call.site);
    Ok(json(StatusCode::OK, &page))
}

/// Finds a column to sort by.
fn field(key: &str) -> Option<Key<AttachmentField>> {
    Some(Key::By(match key {
        "created_at" => AttachmentField::CreatedAt,
        "id" => AttachmentField::Id,
        "volume_id" => AttachmentField::VolumeId,
        "instance_uuid" | "instance_id" => AttachmentField::InstanceId,
        "attached_host" => AttachmentField::Host,
        "mountpoint" => AttachmentField::Mountpoint,
        "attach_mode" => AttachmentField::Mode,
        "attach_status" | "status" => AttachmentField::Status,
        "attach_time" | "attached_at" => AttachmentField::AttachedAt,
        "updated_at" | "deleted_at" | "deleted" | "detach_time" => return Some(Key::Same),
        _ => return None,
    }))
}

/// `POST /attachments`.
pub(super) async fn create(call: &Call) -> Answer {
    let (volume, new) = new_attachment(&call.body, call.version)?;
    let made = call
        .service()
        .create_attachment(&call.caller, volume, new)
        .await?;
    keyed(StatusCode::OK, &AttachmentDetail::new(&made))
}

/// `GET /attachments/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let id = attachment_id(id)?;
    let found = call.service().attachment(&call.caller, id).await?;
    keyed(StatusCode::OK, &AttachmentDetail::new(&found))
}

/// `PUT /attachments/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let update = attachment_update(&call.body)?;
    let id = attachment_id(id)?;
    let changed = call
        .service()
        .update_attachment(&call.caller, id, update)
        .await?;
    keyed(StatusCode::OK, &AttachmentDetail::new(&changed))
}

/// `DELETE /attachments/{id}`: answers what is left of the volume's, which is nothing.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    let id = attachment_id(id)?;
    call.service().delete_attachment(&call.caller, id).await?;
    nothing("attachments")
}

/// `POST /attachments/{id}/action`: there is one, `os-complete`.
pub(super) async fn act(call: &Call, id: &str) -> Answer {
    let AttachmentAction::Complete(()) = AttachmentAction::read(&call.body)?;
    let id = attachment_id(id)?;
    call.service().complete_attachment(&call.caller, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
