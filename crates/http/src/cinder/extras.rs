//! What clients ask for besides: zones, limits, extensions, filters.

use axum::http::StatusCode;
use emberkeep_service::Reach;
use emberkeep_service::query::{BackupQuery, SnapshotQuery, VolumeQuery};
use emberkeep_wire::cinder::{AvailabilityZone, Limits, ResourceFilters, Usage, query_text};

use super::call::{Answer, Call, member};

/// `GET /os-availability-zone`.
pub(super) fn zones(call: &Call) -> Answer {
    let zone = call.service().settings().availability_zone.as_str();
    member(
        StatusCode::OK,
        "availabilityZoneInfo",
        &[AvailabilityZone::available(zone)],
    )
}

/// `GET /limits`: of the caller's project.
pub(super) async fn limits(call: &Call) -> Answer {
    let (service, caller) = (call.service(), &call.caller);
    let volumes = service
        .volumes(caller, VolumeQuery::default(), Reach::Own)
        .await?
        .items;
    let snapshots = service
        .snapshots(caller, SnapshotQuery::default(), Reach::Own)
        .await?
        .items;
    let backups = service
        .backups(caller, BackupQuery::default(), Reach::Own)
        .await?
        .items;
    let gib = |sizes: &mut dyn Iterator<Item = u32>| sizes.map(u64::from).sum::<u64>();
    let usage = Usage {
        volumes: volumes.len() as u64,
        gigabytes: gib(&mut volumes.iter().map(|one| one.size.0))
            + gib(&mut snapshots.iter().map(|one| one.size.0)),
        snapshots: snapshots.len() as u64,
        backups: backups.len() as u64,
        backup_gigabytes: gib(&mut backups.iter().map(|one| one.size.0)),
    };
    member(StatusCode::OK, "limits", &Limits::unlimited(usage))
}

/// `GET /extensions`: what once were extensions is all built in.
pub(super) fn extensions() -> Answer {
    member(StatusCode::OK, "extensions", &[(); 0])
}

/// `GET /resource_filters`.
pub(super) fn resource_filters(call: &Call) -> Answer {
    let resource = query_text(&call.query, "resource");
    member(
        StatusCode::OK,
        "resource_filters",
        &ResourceFilters::of(resource.as_deref()),
    )
}
