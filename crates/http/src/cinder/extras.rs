//! What clients ask for besides: zones, limits, extensions, filters.

use std::collections::BTreeSet;

use axum::http::StatusCode;
use emberkeep_wire::cinder::{
    AvailabilityZone, Extension, Fault, Limits, Most, ResourceFilters, Usage, query_text,
};

use super::call::{Answer, Call, keyed, nothing, project_id};
use super::row::CinderRow;

/// `GET /os-availability-zone`.
pub(super) fn zones(call: &Call) -> Answer {
    let zone = call.service().settings().availability_zone.as_str();
    keyed(StatusCode::OK, &[AvailabilityZone::available(zone)][..])
}

/// `GET /limits`: of the caller's project; of any for administrators from 3.39.
pub(super) async fn limits(call: &Call) -> Answer {
    let asked = query_text(&call.query, "project_id").filter(|_| call.since(39));
    let project = match asked {
        Some(id) if call.caller.is_admin() => project_id(&id)?,
        _ => call.caller.project_id.clone(),
    };
    let lines = call.service().quota_lines(&project).await?;
    let line = |name: &str| {
        let found = lines.iter().find(|line| line.name == name);
        found.map_or((-1, 0), |line| (line.limit, line.in_use))
    };
    let (volumes, snapshots, gigabytes) = (line("volumes"), line("snapshots"), line("gigabytes"));
    let (backups, backup_gigabytes) = (line("backups"), line("backup_gigabytes"));
    let most = Most {
        volumes: volumes.0,
        snapshots: snapshots.0,
        gigabytes: gigabytes.0,
        backups: backups.0,
        backup_gigabytes: backup_gigabytes.0,
    };
    let usage = Usage {
        volumes: volumes.1,
        snapshots: snapshots.1,
        gigabytes: gigabytes.1,
        backups: backups.1,
        backup_gigabytes: backup_gigabytes.1,
    };
    let usage = Some(usage).filter(|_| call.service().may_see_usage(&call.caller));
    keyed(StatusCode::OK, &Limits::new(most, usage))
}

/// `GET /qos-specs`: there are none, and not everybody may know it.
pub(super) async fn no_qos(call: &Call) -> Answer {
    call.service().may_see_qos(&call.caller)?;
    nothing("qos_specs")
}

/// Lists the extensions that some endpoint is part of.
fn served(rows: &[CinderRow]) -> impl Iterator<Item = Extension> {
    let aliases: BTreeSet<&str> = rows
        .iter()
        .flat_map(|row| row.endpoint.extensions)
        .copied()
        .collect();
    let all = Extension::all().into_iter();
    all.filter(move |extension| aliases.contains(extension.alias.as_str()))
}

/// `GET /extensions`.
pub(super) fn extensions(rows: &[CinderRow]) -> Answer {
    let all: Vec<_> = served(rows).collect();
    keyed(StatusCode::OK, &all[..])
}

/// `GET /extensions/{alias}`.
pub(super) fn extension(rows: &[CinderRow], alias: &str) -> Answer {
    let found = served(rows)
        .find(|extension| extension.alias == alias)
        .ok_or_else(|| Fault::not_found("The resource could not be found."))?;
    keyed(StatusCode::OK, &found)
}

/// `GET /resource_filters`.
pub(super) fn resource_filters(call: &Call) -> Answer {
    let resource = query_text(&call.query, "resource");
    keyed(StatusCode::OK, &ResourceFilters::of(resource.as_deref()))
}
