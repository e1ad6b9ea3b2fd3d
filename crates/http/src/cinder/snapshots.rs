//! Snapshots.

use axum::http::StatusCode;
use emberkeep_service::query::Page;
use emberkeep_wire::cinder::{
    Listing, Resource, SnapshotAction, SnapshotView, new_snapshot, snapshot_edit,
};

use super::call::{Answer, Call, accepted, json, keyed, snapshot_id};
use super::query::{self, Question};

/// `GET /snapshots` and `/snapshots/detail`.
pub(super) async fn list(call: &Call, detail: bool) -> Answer {
    let admin = call.caller.is_admin();
    let listing = Listing::parse(&call.query, Resource::Snapshot, call.version, admin)?;
    let page = match query::snapshots(&listing, &call.service().settings().availability_zone)? {
        Question::Ask(query) => {
            call.service()
                .snapshots(&call.caller, query, query::reach(&listing))
                .await?
        }
        Question::Nothing => Page {
            items: Vec::new(),
            total: Some(0),
            is_cut: false,
        },
    };
    let listing = listing.cut_short(page.is_cut);
    let last = page.items.last().map(|snapshot| snapshot.id.to_string());
    let items: Vec<_> = page
        .items
        .iter()
        .map(|one| {
            if detail {
                SnapshotView::detail(one, call.version).with_owner(one)
            } else {
                SnapshotView::summary(one)
            }
        })
        .collect();
    let path = if detail {
        "snapshots/detail"
    } else {
        "snapshots"
    };
    let page = listing.page(
        Resource::Snapshot,
        path,
        items,
        last.as_deref(),
        page.total,
        &call.site,
    );
    Ok(json(StatusCode::OK, &page))
}

/// `POST /snapshots`.
pub(super) async fn create(call: &Call) -> Answer {
    let new = new_snapshot(&call.body, call.version)?;
    let snapshot = call.service().create_snapshot(&call.caller, new).await?;
    keyed(
        StatusCode::ACCEPTED,
        &SnapshotView::detail(&snapshot, call.version),
    )
}

/// `GET /snapshots/{id}`.
pub(super) async fn show(call: &Call, id: &str) -> Answer {
    let snapshot = call
        .service()
        .snapshot(&call.caller, snapshot_id(id)?)
        .await?;
    let view = SnapshotView::detail(&snapshot, call.version).with_owner(&snapshot);
    keyed(StatusCode::OK, &view)
}

/// `PUT /snapshots/{id}`.
pub(super) async fn update(call: &Call, id: &str) -> Answer {
    let edit = snapshot_edit(&call.body, call.version)?;
    let snapshot = call
        .service()
        .edit_snapshot(&call.caller, snapshot_id(id)?, edit)
        .await?;
    keyed(
        StatusCode::OK,
        &SnapshotView::detail(&snapshot, call.version),
    )
}

/// `DELETE /snapshots/{id}`.
pub(super) async fn delete(call: &Call, id: &str) -> Answer {
    call.service()
        .delete_snapshot(&call.caller, snapshot_id(id)?)
        .await?;
    accepted()
}

/// `POST /snapshots/{id}/action`.
pub(super) async fn act(call: &Call, id: &str) -> Answer {
    let action = SnapshotAction::read(&call.body)?;
    let id = snapshot_id(id)?;
    let (service, caller) = (call.service(), &call.caller);
    match action {
        SnapshotAction::ResetStatus(status) => {
            service.reset_snapshot(caller, id, status).await?;
        }
        SnapshotAction::UpdateStatus { status, progress } => {
            service
                .update_snapshot_status(caller, id, status, progress)
                .await?;
        }
        SnapshotAction::ForceDelete => service.force_delete_snapshot(caller, id).await?,
    }
    accepted()
}
