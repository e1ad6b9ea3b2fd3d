//! Volume types.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use emberkeep_model::VolumeType;
use emberkeep_service::ServiceError;
use emberkeep_wire::cinder::ask::TypeAccessChange;
use emberkeep_wire::cinder::{
    ExtraSpecsBody, Fault, Listing, Resource, TypeAccessView, VolumeTypeView, new_volume_type,
    parse_extra_spec, query_bool, query_text, volume_type_edit,
};

use super::call::{Answer, Call, accepted, json, keyed, project_id};
use super::query;

/// `GET /types`: newest first unless asked for in another order.
pub(super) async fn list(call: &Call) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::VolumeType, call.version, admin)?;
    let public = match query_text(&call.query, "is_public") {
        // Others see the public ones and those that they were given.
        _ if !admin => None,
        None => Some(true),
        Some(word) if word.eq_ignore_ascii_case("none") => None,
        Some(word) => {
            let wrong = || Fault::bad_request(format!("Invalid is_public filter [{word}]"));
            Some(query_bool(&word).ok_or_else(wrong)?)
        }
    };
    let mut types = call.service().volume_types(&call.caller).await?;
    types.retain(|one| public.is_none_or(|public| one.is_public == public));
    if let Some(wanted) = query_text(&call.query, "extra_specs").filter(|_| call.since(52)) {
        let wanted = query::pairs(&wanted);
        types.retain(|one| {
            let mut shown = one.extra_specs.clone();
            VolumeTypeView::hide_specs(&mut shown, admin);
            let has = |(key, value): &(String, String)| shown.get(key) == Some(value);
            wanted.as_ref().is_some_and(|all| all.iter().all(has))
        });
    }
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
    keyed(StatusCode::OK, &VolumeTypeView::new(&found, admin))
}

/// `POST /types`.
pub(super) async fn create(call: &Call) -> Answer {
    let new = new_volume_type(&call.body)?;
    let made = call.service().create_type(&call.caller, new).await?;
    let view = VolumeTypeView::made(&made, call.caller.is_admin());
    keyed(StatusCode::OK, &view)
}

/// `PUT /types/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let edit = volume_type_edit(&call.body)?;
    let edited = call.service().edit_type(&call.caller, id, edit).await?;
    let view = VolumeTypeView::changed(&edited, call.caller.is_admin());
    keyed(StatusCode::OK, &view)
}

/// `DELETE /types/{id}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    call.service().delete_type(&call.caller, id).await?;
    accepted()
}

/// `POST /types/{id}/action`: who may use it.
pub(super) async fn act(call: &Call, id: &str) -> Answer {
    let (project, allowed) = match TypeAccessChange::read(&call.body)? {
        TypeAccessChange::Add { project } => (project.0, true),
        TypeAccessChange::Remove { project } => (project.0, false),
    };
    let project = project_id(&project)?;
    call.service()
        .set_type_access(&call.caller, id, &project, allowed)
        .await?;
    accepted()
}

/// `GET /types/{id}/os-volume-type-access`.
pub(super) async fn access(call: &Call, id: &str) -> Answer {
    let (id, projects) = call.service().type_access(&call.caller, id).await?;
    let views: Vec<_> = projects
        .iter()
        .map(|project| TypeAccessView {
            volume_type_id: id.to_string(),
            project_id: project.to_string(),
        })
        .collect();
    keyed(StatusCode::OK, &views)
}

/// `GET /types/{id}/encryption`: none of ours is encrypted by its type.
pub(super) async fn encryption(call: &Call, id: &str) -> Answer {
    call.service().type_encryption(&call.caller, id).await?;
    Ok(json(StatusCode::OK, &BTreeMap::<String, String>::new()))
}

/// `GET /types/{id}/extra_specs`.
pub(super) async fn specs(call: &Call, id: &str) -> Answer {
    let mut all = call.service().extra_specs(&call.caller, id).await?;
    VolumeTypeView::hide_specs(&mut all, call.caller.is_admin());
    Ok(json(StatusCode::OK, &ExtraSpecsBody { extra_specs: all }))
}

/// `GET /types/{id}/extra_specs/{key}`.
pub(super) async fn spec(call: &Call, id: &str, key: &str) -> Answer {
    let mut all = call.service().extra_specs(&call.caller, id).await?;
    VolumeTypeView::hide_specs(&mut all, call.caller.is_admin());
    match all.remove_entry(key) {
        Some(pair) => Ok(json(StatusCode::OK, &BTreeMap::from([pair]))),
        None => Err(Fault::not_found(format!(
            "Volume Type {id} has no extra specs with key {key}."
        ))
        .into()),
    }
}

/// `POST /types/{id}/extra_specs` and `PUT …/{key}`.
pub(super) async fn add_specs(call: &Call, id: &str, key: Option<&str>) -> Answer {
    let specs = match key {
        None => ExtraSpecsBody::read(&call.body)?.extra_specs,
        Some(key) => parse_extra_spec(&call.body, key)?,
    };
    let shown = specs.clone();
    call.service()
        .add_extra_specs(&call.caller, id, specs)
        .await?;
    match key {
        None => Ok(json(StatusCode::OK, &ExtraSpecsBody { extra_specs: shown })),
        Some(_) => Ok(json(StatusCode::OK, &shown)),
    }
}

/// `DELETE /types/{id}/extra_specs/{key}`.
pub(super) async fn remove_spec(call: &Call, id: &str, key: &str) -> Answer {
    call.service()
        .remove_extra_spec(&call.caller, id, key)
        .await?;
    accepted()
}
