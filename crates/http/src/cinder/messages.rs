//! Messages about what failed.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_service::query::{MessageQuery, Paging};
use emberkeep_wire::cinder::{Listing, MessageView, Resource};

use super::call::{Answer, Call, json, keyed, message_id};

/// `GET /messages`.
pub(super) async fn list(call: &Call) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Message, call.version, admin)?;
    let mut query = MessageQuery {
        paging: Paging {
            limit: Some(listing.limit),
            offset: listing.offset,
            marker: listing.marker.as_deref().map(message_id).transpose()?,
            with_total: false,
        },
        ..MessageQuery::default()
    };
    for (key, value) in &listing.filters {
        match key.as_str() {
            "resource_uuid" => query.resource_id = Some(value.clone()),
            "resource_type" => query.resource_type = Some(value.to_ascii_uppercase()),
            "request_id" => query.request_id = Some(value.clone()),
            // All of ours are errors.
            "message_level" if value.eq_ignore_ascii_case("error") => {}
            other => return Err(Listing::invalid_filters(&[other]).into()),
        }
    }
    let page = call.service().messages(&call.caller, query).await?;
    let items: Vec<_> = page
        .items
        .iter()
        .map(|one| MessageView::new(one, &call.site))
        .collect();
    let last = items.last().map(|one| one.id.clone());
    let page = listing.page(
        Resource::Message,
        "messages",
        items,
        last.as_deref(),
        None,
        &call.site,
    );
    Ok(json(StatusCode::OK, &page))
}

/// `GET /messages/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let id = message_id(id)?;
    let message = call.service().one_message(&call.caller, id).await?;
    keyed(StatusCode::OK, &MessageView::new(&message, &call.site))
}

/// `DELETE /messages/{id}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    let id = message_id(id)?;
    call.service().delete_message(&call.caller, id).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
