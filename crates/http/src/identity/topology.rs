//! Domains, services, endpoints and regions: all fixed, shown for `openstack … list`.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use emberkeep_wire::identity::{
    DOMAIN_ID, DOMAIN_NAME, DomainView, EndpointView, Links, RegionView, ServiceView, list,
};
use serde::Deserialize;

use super::catalog::{INTERFACES, SERVICES};
use super::edge::{Refusal, Signed, keyed};
use crate::App;

/// What these lists can be narrowed by; each takes those that mean something for it.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Filter {
    name: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    service_id: Option<String>,
    interface: Option<String>,
    region_id: Option<String>,
}

/// Tells whether a filter lets `have` pass.
fn fits(want: Option<&String>, have: &str) -> bool {
    want.is_none_or(|want| want == have)
}

/// `GET /v3/auth/domains`: nobody has a role on a domain.
pub(super) async fn own_domains(caller: Signed) -> Response {
    Json(list::<DomainView>(&caller.root, "auth/domains", &[])).into_response()
}

/// `GET /v3/domains`: for administrators.
pub(super) async fn domains(
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut views = vec![DomainView::ours(&caller.root)];
    views.retain(|_| fits(filter.name.as_ref(), DOMAIN_NAME));
    Ok(Json(list(&caller.root, "domains", &views)).into_response())
}

/// `GET /v3/domains/{domain}`: everybody here belongs to it.
pub(super) async fn domain(caller: Signed, Path(id): Path<String>) -> Result<Response, Refusal> {
    if id != DOMAIN_ID {
        return Err(Refusal::NoSuch("domain", id));
    }
    Ok(keyed(StatusCode::OK, &DomainView::ours(&caller.root)))
}

/// `GET /v3/services`: for administrators.
pub(super) async fn services(
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut views = all_services(&caller.root);
    views.retain(|view| {
        fits(filter.name.as_ref(), &view.name) && fits(filter.kind.as_ref(), &view.kind)
    });
    Ok(Json(list(&caller.root, "services", &views)).into_response())
}

/// `GET /v3/services/{service}`: for administrators.
pub(super) async fn service(caller: Signed, Path(id): Path<String>) -> Result<Response, Refusal> {
    caller.admin()?;
    let found = all_services(&caller.root)
        .into_iter()
        .find(|view| view.id == id);
    let view = found.ok_or(Refusal::NoSuch("service", id))?;
    Ok(keyed(StatusCode::OK, &view))
}

/// `GET /v3/endpoints`: for administrators.
pub(super) async fn endpoints(
    State(app): State<App>,
    caller: Signed,
    Query(filter): Query<Filter>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let mut views = all_endpoints(&app, &caller);
    views.retain(|view| {
        fits(filter.service_id.as_ref(), &view.service_id)
            && fits(filter.interface.as_ref(), &view.interface)
            && fits(filter.region_id.as_ref(), &view.region_id)
    });
    Ok(Json(list(&caller.root, "endpoints", &views)).into_response())
}

/// `GET /v3/endpoints/{endpoint}`: for administrators.
pub(super) async fn endpoint(
    State(app): State<App>,
    caller: Signed,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    caller.admin()?;
    let found = all_endpoints(&app, &caller)
        .into_iter()
        .find(|view| view.id == id);
    let view = found.ok_or(Refusal::NoSuch("endpoint", id))?;
    Ok(keyed(StatusCode::OK, &view))
}

/// `GET /v3/regions`.
pub(super) async fn regions(State(app): State<App>, caller: Signed) -> Response {
    let views = [region_view(&app, &caller)];
    Json(list(&caller.root, "regions", &views)).into_response()
}

/// `GET /v3/regions/{region}`.
pub(super) async fn region(
    State(app): State<App>,
    caller: Signed,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    if id != app.settings.region {
        return Err(Refusal::NoSuch("region", id));
    }
    Ok(keyed(StatusCode::OK, &region_view(&app, &caller)))
}

fn all_services(root: &str) -> Vec<ServiceView> {
    SERVICES
        .iter()
        .map(|service| ServiceView {
            id: service.id(),
            name: service.name.to_owned(),
            kind: service.kind.to_owned(),
            enabled: true,
            description: String::new(),
            links: Links::of(root, "services", &service.id()),
        })
        .collect()
}

fn all_endpoints(app: &App, caller: &Signed) -> Vec<EndpointView> {
    let region = &app.settings.region;
    SERVICES
        .iter()
        .flat_map(|service| {
            INTERFACES
                .iter()
                .map(move |interface| (service, *interface))
        })
        .map(|(service, interface)| {
            let id = service.endpoint_id(interface, region);
            EndpointView {
                links: Links::of(&caller.root, "endpoints", &id),
                id,
                interface: interface.to_owned(),
                region: region.clone(),
                region_id: region.clone(),
                service_id: service.id(),
                // For nobody's project in particular, as operators write it.
                url: service.url(&caller.base, "$(project_id)s"),
                enabled: true,
            }
        })
        .collect()
}

fn region_view(app: &App, caller: &Signed) -> RegionView {
    let id = app.settings.region.clone();
    RegionView {
        links: Links::of(&caller.root, "regions", &id),
        id,
        description: String::new(),
        parent_region_id: None,
    }
}
