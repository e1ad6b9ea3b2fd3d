//! Messages about what failed.

use axum::http::StatusCode;
use axum::response::IntoResponse;
use emberkeep_model::{MessageAction, MessageDetail};
use emberkeep_service::query::{MessageField, MessageQuery, Paging};
use emberkeep_wire::cinder::{Listing, MessageView, Resource, query_text};

use super::call::{Answer, Call, json, keyed, message_id};
use super::query::{self, Key};

/// `GET /messages`: below 3.5, which knows no filters and orders, only the limit is looked at.
pub(super) async fn list(call: &Call) -> Answer {
    let admin = call.caller.is_admin();
    let limit = query_text(&call.query, "limit").filter(|_| !call.since(5));
    let asked = match &limit {
        _ if call.since(5) => call.query.clone(),
        Some(limit) => format!("limit={limit}"),
        None => String::new(),
    };
    let listing = Listing::parse(&asked, Resource::Message, call.version, admin)?;
    let mut query = MessageQuery {
        sort: query::sort(&listing, MessageField::CreatedAt, field)?,
        paging: Paging {
            limit: Some(listing.limit),
            offset: listing.offset,
            marker: listing.marker.as_deref().map(message_id).transpose()?,
            with_total: false,
            max_bytes: None,
        },
        ..MessageQuery::default()
    };
    let mut nothing = false;
    for (key, value) in &listing.filters {
        match key.as_str() {
            "resource_uuid" => query.resource_id = Some(value.clone()),
            "resource_type" => query.resource_type = Some(value.to_ascii_uppercase()),
            "event_id" => match event(value) {
                Some((kind, action, detail)) => {
                    query.resource_type = Some(kind);
                    query.event = Some((action, detail));
                }
                None => nothing = true,
            },
            "request_id" => query.request_id = Some(value.clone()),
            // All of ours are errors.
            "message_level" if value.eq_ignore_ascii_case("error") => {}
            // No message has another level, or a column of another name.
            _ => nothing = true,
        }
    }
    let found = if nothing {
        Vec::new()
    } else {
        call.service().messages(&call.caller, query).await?.items
    };
    let items: Vec<_> = found
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

/// Finds a column to sort by; all messages of ours have the same level.
fn field(key: &str) -> Option<Key<MessageField>> {
    Some(Key::By(match key {
        "created_at" => MessageField::CreatedAt,
        "id" => MessageField::Id,
        "resource_type" => MessageField::ResourceType,
        "resource_uuid" => MessageField::ResourceId,
        "request_id" => MessageField::RequestId,
        "expires_at" | "guaranteed_until" => MessageField::ExpiresAt,
        "updated_at" | "deleted_at" | "deleted" | "message_level" => return Some(Key::Same),
        _ => return None,
    }))
}

/// Takes an event's name apart: the kind of thing, what was being done with it, why it failed.
fn event(name: &str) -> Option<(String, MessageAction, MessageDetail)> {
    let (rest, detail) = name.strip_prefix("VOLUME_")?.rsplit_once('_')?;
    let (kind, action) = rest.rsplit_once('_')?;
    Some((kind.to_owned(), action.parse().ok()?, detail.parse().ok()?))
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
