//! Volume types.

use axum::http::StatusCode;
use emberkeep_model::VolumeType;
use emberkeep_service::ServiceError;
use emberkeep_wire::cinder::{Fault, Listing, Resource, VolumeTypeView, query_flag, query_text};

use super::call::{Answer, Call, json, member};

/// `GET /types`: newest first unless asked for in another order.
pub(super) async fn list(call: &Call) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::VolumeType, call.version, admin)?;
    let public = match query_text(&call.query, "is_public") {
        // Only administrators know of types that are not public.
        _ if !admin => Some(true),
        None => Some(true),
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some(_) => Some(query_flag(&call.query, "is_public")?),
    };
    let mut types = call.service().volume_types(&call.caller).await?;
    types.retain(|one| public.is_none_or(|public| one.is_public == public));
    sort(&mut types, &listing)?;
    let total = u64::try_from(types.len()).ok();
    if let Some(marker) = &listing.marker {
        let at = types.iter().position(|one| one.id.to_string() == *marker);
        let at = at.ok_or_else(|| ServiceError::NoSuchVolumeType(marker.clone()))?;
        types.drain(..=at);
    }
    let items: Vec<_> = types
        .iter()
        .skip(usize::try_from(listing.offset).unwrap_or(usize::MAX))
        .take(usize::try_from(listing.limit).unwrap_or(usize::MAX))
        .map(|one| VolumeTypeView::new(one, admin))
        .collect();
    let last = items.last().map(|one| one.id.clone());
    let page = listing.page(
        Resource::VolumeType,
        "types",
        items,
        last.as_deref(),
        total,
        &call.site,
    );
    Ok(json(StatusCode::OK, &page))
}

fn sort(types: &mut [VolumeType], listing: &Listing) -> Result<(), Fault> {
    types.sort_by_key(|one| std::cmp::Reverse((one.created_at, one.id)));
    // The last key first: sorting is stable, so that the first key has the last word.
    for one in listing.sort.iter().rev() {
        let order = match one.key.as_str() {
            "created_at" => |a: &VolumeType, b: &VolumeType| a.created_at.cmp(&b.created_at),
            "id" => |a: &VolumeType, b: &VolumeType| a.id.cmp(&b.id),
            "display_name" => |a: &VolumeType, b: &VolumeType| a.name.cmp(&b.name),
            _ => return Err(Fault::invalid_input("Invalid sort key")),
        };
        if one.descending {
            types.sort_by(|a, b| order(b, a));
        } else {
            types.sort_by(order);
        }
    }
    Ok(())
}

/// `GET /types/{id}`: also by name, and `default`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let admin = call.caller.is_admin();
    let found = call.service().volume_type(&call.caller, id).await?;
    if !found.is_public && !admin {
        return Err(ServiceError::NoSuchVolumeType(id.to_owned()).into());
    }
    member(
        StatusCode::OK,
        "volume_type",
        &VolumeTypeView::new(&found, admin),
    )
}
